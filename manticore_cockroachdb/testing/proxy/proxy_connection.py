"""One client's connection and its twin upstream: what the client says, on its way to the server.

Two tasks, one per direction; `response_relay` is the other direction. Decides nothing: `Interception`
says what shall happen to a statement, this carries it out.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from typing import Protocol

from . import protocol
from .delayed_writer import DelayedWriter
from .interception import Interception
from .protocol import Decoder, Message, ServerError
from .response_relay import ENDS, OWED_READY, PendingResponse, ResponseRelay, Traffic, until
from .rules import Drop, When
from .words import Words

_CHUNK = 256 * 1024
_LINGER = 1.0  # seconds a client gets to notice that the connection has ended
_COPY_IN = re.compile(r"\A\s*COPY\b.*\bFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)
_EXTENDED = (b"P", b"B", b"D", b"E", b"C", b"H")


class Host(Protocol):
    """What a link needs of the proxy."""

    @property
    def words(self) -> Words:
        """The client's words in the server's."""

    @property
    def latency(self) -> float:
        """Seconds a byte takes in either direction."""

    def interception(self, sql: str, traffic: Traffic) -> Interception:
        """Note the statement, and say what shall happen to it."""

    def note(self, sql: str, traffic: Traffic) -> None:
        """Note a statement that the server will discard."""

    async def cancel(self, request: bytes) -> None:
        """Pass a cancel request on, or swallow it."""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection upstream."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    sql: str
    types: bytes
    sent: str
    tag: str | None


class _Cut(Exception):
    """No error: the connection's planned end."""

    def __init__(self, drop: Drop) -> None:
        super().__init__(drop)
        self.drop = drop


class ProxyConnection:
    """Carries one connection from its first byte to its last."""

    def __init__(
        self,
        host: Host,
        traffic: Traffic,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.traffic = traffic
        self._host = host
        self._client_in = reader
        self._client = DelayedWriter(writer, lambda: host.latency)
        self._server_in: asyncio.StreamReader
        self._server: DelayedWriter | None = None
        self._to_server = bytearray()
        self._prepared: dict[str, _Prepared] = {}
        # The group of messages up to the next Sync:
        self._current: Interception | None = None
        self._group: list[Interception] = []
        self._last: Interception | None = None  # after this one nothing more may reach the server
        self._discards = False
        self._unsynced = False
        self._inject: str | None = None
        self._relay = ResponseRelay(host.words, traffic, self._client, self._reclaim)

    async def serve(self) -> None:
        """Serve the connection until it has ended on both sides."""
        try:
            if await self._greet():
                await self._carry()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away before it said anything
        finally:
            self.traffic.is_open = False
            self._client.abort()
            if self._server is not None:
                self._server.abort()
                await self._server.close()
            await self._client.close()

    async def _greet(self) -> bool:
        while True:
            size = await self._client_in.readexactly(4)
            body = await self._client_in.readexactly(int.from_bytes(size) - 4)
            code = int.from_bytes(body[:4])
            if code == protocol.CANCEL_REQUEST:
                await self._host.cancel(size + body)
                return False
            self.traffic.handshakes += 1
            if code not in (protocol.SSL_REQUEST, protocol.GSS_REQUEST):
                break
            self._client.send(b"N")
        parameters = protocol.parameters_of(body[4:])
        self.traffic.application_name = parameters.get("application_name", "")
        self.traffic.database = parameters.get("database", parameters.get("user", ""))
        try:
            self._server_in, writer = await self._host.connect()
        except OSError as reason:
            refusal = ServerError("08001", f"no server behind the proxy: {reason}", None, None)
            self._client.send(refusal.encode())
            await self._client.flush()
            return False
        self._server = DelayedWriter(writer, lambda: self._host.latency)
        self._relay.push(PendingResponse(b"^"))
        self._server.send(self._host.words.startup(body))
        return True

    async def _carry(self) -> None:
        assert self._server is not None  # noqa: S101 - greeted first
        up = asyncio.create_task(self._from_client())
        down = asyncio.create_task(self._from_server())
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            cut = None
            if up.done():
                cut = up.result()
                self._relay.client_gone = cut is None
                self._relay.muted = True
                if cut is not None and cut.when is When.DURING:
                    await self._goodbye(cut)
                # Half-closed, so that the server still does all that it was sent.
                await self._flush_server()
                await self._server.end()
            await down
            up.cancel()
            (ended,) = await asyncio.gather(up, return_exceptions=True)
            if isinstance(ended, Exception):
                raise ended
            if not self._relay.client_gone and (cut is None or cut.when is not When.DURING):
                await self._goodbye(cut)
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _goodbye(self, cut: Drop | None) -> None:
        if cut is not None and cut.farewell is not None:
            self._client.send(cut.farewell.encode())
        await self._client.end()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_LINGER):
                while await self._client_in.read(_CHUNK):
                    pass
        await self._client.close()

    # From the client to the server

    async def _from_client(self) -> Drop | None:
        decoder = Decoder()
        try:
            while data := await self._client_in.read(_CHUNK):
                for message in decoder.feed(data):
                    await self._request(message)
                await self._flush_server()
        except ConnectionError:
            return None
        except _Cut as cut:
            return cut.drop
        return None

    async def _request(self, message: Message) -> None:
        kind = message.kind
        if not self._relay.busy and (kind in _EXTENDED or kind in OWED_READY):
            self._relay.busy = True
            self.traffic.waits += 1
        if kind in (b"Q", b"S", b"F") or (kind == b"H" and self._unsynced):
            self.traffic.round_trips += 1
        self._unsynced = kind in ENDS or (kind == b"H" and self._unsynced)
        if kind == b"Q":
            await self._query(message)
        elif kind == b"P":
            await self._parse(message)
        elif kind == b"B":
            await self._bind(message)
        elif kind == b"S":
            await self._sync(message)
        elif kind == b"H":
            await self._flush(message)
        elif kind in ENDS:
            if not self._discards:
                self._send(message.raw, PendingResponse(kind, self._current))
        elif kind == b"F":
            self._send(message.raw, PendingResponse(kind))
        else:  # COPY data, Terminate: without an answer; authentication's is not a statement's
            if kind == b"p":
                self.traffic.handshakes += 1
            self._to_server += message.raw
            last = self._last
            if kind in (b"c", b"f") and last is not None and last not in self._group:
                await self._end_here(last)  # a simple Query's COPY; others end with their Sync

    async def _query(self, message: Message) -> None:
        (sql,), _ = protocol.strings(message.body, 1)
        self._next_statement()
        interception = await self._begin(sql)
        inject = None
        if interception.error is not None:
            sent = _raising(interception.error.sqlstate)
            inject = "ROLLBACK" if interception.is_commit else None
        else:
            rewritten = self._host.words.translate(sql)
            sent, interception.tag = rewritten.sql, rewritten.tag
            interception.start()
            if interception.error_after is not None and not _COPY_IN.match(sql):
                inject = _raising("P0001")
        raw = message.raw if sent == sql else protocol.query(sent)
        self._owing_ready(PendingResponse(b"Q", interception), raw, (interception,), inject)
        if interception.drops(When.DURING, When.AFTER):
            await self._end_here(interception)

    async def _parse(self, message: Message) -> None:
        (name, sql), types = protocol.strings(message.body, 2)
        self._next_statement()
        if self._discards:
            self._host.note(sql, self.traffic)
            return
        if name:  # a statement begins with its Bind, then
            rewritten = self._host.words.translate(sql, looks=False)
            self._prepared[name] = _Prepared(sql, types, rewritten.sql, rewritten.tag)
            self._current = None
            self._send(protocol.parse(name, rewritten.sql, types), PendingResponse(b"P"))
            return
        interception = await self._begin_extended(sql)
        if interception is not None:
            rewritten = self._host.words.translate(sql)
            interception.tag = rewritten.tag
            raw = message.raw
            if rewritten.sql != sql:
                raw = protocol.parse(name, rewritten.sql, types)
            self._send(raw, PendingResponse(b"P", interception))

    async def _bind(self, message: Message) -> None:
        (_, name), _ = protocol.strings(message.body, 2)
        prepared = self._prepared.get(name) if name else None
        if prepared is not None:
            self._next_statement()
        if self._discards:
            return
        if prepared is not None:
            interception = await self._begin_extended(prepared.sql)
            if interception is None:
                return
            interception.tag = prepared.tag
            if prepared.sent != prepared.sql:  # the rows in it may be outdated: send it again
                sent = self._host.words.translate(prepared.sql).sql
                self._send(protocol.close_statement(name), PendingResponse(b"C", mute_body=True))
                again = protocol.parse(name, sent, prepared.types)
                self._send(again, PendingResponse(b"P", mute_body=True))
        self._send(message.raw, PendingResponse(b"B", self._current))

    async def _sync(self, message: Message) -> None:
        group, last, inject = tuple(self._group), self._last, self._inject
        self._group, self._last, self._inject = [], None, None
        self._current, self._discards = None, False
        self._owing_ready(PendingResponse(b"S"), message.raw, group, inject)
        if last is not None and last.drop is not None:
            await self._end_here(last)

    async def _flush(self, message: Message) -> None:
        if self._discards:
            return
        if self._current is not None:
            self._current.flushed = True
        self._to_server += message.raw
        if self._last is not None and self._last.drop is not None:
            await self._end_here(self._last)

    async def _begin_extended(self, sql: str) -> Interception | None:
        """Begin a statement; None if an error takes its place."""
        interception = self._current = await self._begin(sql)
        self._group.append(interception)
        if interception.error is not None:
            self._send(
                protocol.parse("", _raising(interception.error.sqlstate)),
                PendingResponse(b"P", interception),
            )
            self._send(protocol.bind(), PendingResponse(b"B", interception))
            self._send(protocol.execute(), PendingResponse(b"E", interception))
            self._discards = True
            self._inject = "ROLLBACK" if interception.is_commit else None
            return None
        interception.start()
        if interception.error_after is not None:
            # In autocommit the statement is committed by then; in a transaction this aborts it.
            self._inject = _raising("P0001")
            self._last = interception
        if interception.drops(When.DURING, When.AFTER):
            self._last = interception
        return interception

    async def _begin(self, sql: str) -> Interception:
        interception = self._host.interception(sql, self.traffic)
        for rule, hold in interception.holds:
            await self._flush_server()
            rule.reach()
            await until(hold.event.is_set)
        if interception.drop is not None and interception.drops(When.BEFORE):
            await self._flush_server()
            await self._relay.idle.wait()
            raise _Cut(interception.drop)
        return interception

    def _next_statement(self) -> None:
        """A further statement comes in the same group: it may be one too many."""
        last, self._last = self._last, None
        if last is None:
            return
        if last.drop is not None:
            raise _Cut(last.drop)
        self._discards = True

    async def _end_here(self, interception: Interception) -> None:
        """Cut, when the server has answered, or at once if it is to continue alone."""
        assert interception.drop is not None  # noqa: S101 - asked by its callers
        await self._flush_server()
        if not interception.drops(When.DURING):
            await interception.done.wait()
            if interception.copying:  # it is not over: the client's data and its end are to come
                interception.copying = False
                interception.done.clear()
                self._last = interception
                return
        raise _Cut(interception.drop)

    def _owing_ready(
        self,
        pending: PendingResponse,
        raw: bytes,
        group: tuple[Interception, ...],
        inject: str | None,
    ) -> None:
        """Send a Query or Sync, and a statement of ours after it that the client does not see."""
        pending.mute_ready = inject is not None
        if inject is None:
            pending.group = group
        self._send(raw, pending)
        if inject is not None:
            self._send(protocol.query(inject), PendingResponse(b"Q", group=group, mute_body=True))

    def _send(self, raw: bytes, pending: PendingResponse) -> None:
        self._to_server += raw
        self._relay.push(pending)

    async def _flush_server(self) -> None:
        assert self._server is not None  # noqa: S101 - greeted first
        data, self._to_server = bytes(self._to_server), bytearray()
        self._server.send(data)
        await self._server.drain()

    def _reclaim(self, group: tuple[Interception, ...]) -> None:
        """These statements' Sync is ignored by the server: they are of the next one's group."""
        self._group.extend(group)

    async def _from_server(self) -> None:
        decoder = Decoder()
        with contextlib.suppress(ConnectionError):
            while data := await self._server_in.read(_CHUNK):
                for message in decoder.feed(data):
                    await self._relay.take(message)
                await self._relay.flush()
        await self._relay.end()


def _raising(sqlstate: str) -> str:
    """A statement that fails with this code."""
    return (
        f"DO $injected$BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}',"
        " MESSAGE = 'injected'; END$injected$"
    )
