"""What the server says, on its way to one client: passed on, withheld, replaced or swallowed.

What the server owes an answer to is in a queue of pending responses, so that every answer
is known by the statement it belongs to.
Never sends anything to the server; decides nothing: `Interception` does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from . import protocol
from .delayed_writer import DelayedWriter
from .interception import Interception
from .protocol import Message
from .rules import When
from .words import Words

OWED_READY = (b"^", b"Q", b"S", b"F")  # answered by ReadyForQuery; ^ is the start-up
ENDS = {b"P": b"1", b"B": b"2", b"D": b"Tn", b"E": b"CIs", b"C": b"3"}
_LOOK = 0.002  # seconds between two looks at an event that another thread sets


@dataclass(slots=True)
class Traffic:
    """What one connection has sent.

    Attributes:
        number: The connection's number, from 1.
        application_name: As the server last reported it.
        database: The database it is connected to.
        handshakes: Round trips before the session: encryption asked for, start-up, authentication.
        round_trips: Syncs, simple queries and flushes: each makes the server answer.
        waits: How often the client began to send while the server owed it nothing.
        statements: How many statements.
        is_open: Whether the connection still is.
    """

    number: int
    application_name: str = ""
    database: str = ""
    handshakes: int = 0
    round_trips: int = 0
    waits: int = 0
    statements: int = 0
    is_open: bool = True


@dataclass(slots=True, eq=False)
class PendingResponse:
    """A message the server owes an answer to."""

    kind: bytes
    interception: Interception | None = None
    group: tuple[Interception, ...] = ()  # for Sync and Query: whose answers end with it
    mute_body: bool = False
    mute_ready: bool = False


class ResponseRelay:
    """The server's side of one connection.

    Attributes:
        idle: Set while the server owes nothing.
        muted: Whether the client is to hear nothing more.
        client_gone: Whether nobody waits for an answer any longer.
        busy: Set when the client has begun to send; cleared when the server owes nothing again.
    """

    def __init__(
        self,
        words: Words,
        traffic: Traffic,
        client: DelayedWriter,
        reclaim: Callable[[tuple[Interception, ...]], None],
    ) -> None:
        self.idle = asyncio.Event()
        self.muted = False
        self.client_gone = False
        self.busy = False
        self._words = words
        self._traffic = traffic
        self._client = client
        self._reclaim = reclaim  # returns the statements of a Sync that the server ignores
        self._to_client = bytearray()
        self._withheld: list[bytes] | None = None
        self._pending: deque[PendingResponse] = deque()
        self._owed = 0

    def push(self, pending: PendingResponse) -> None:
        """The server will owe an answer to this."""
        self._pending.append(pending)
        if pending.kind in OWED_READY:
            self._owed += 1
            self.idle.clear()
        self._announce()

    async def flush(self) -> None:
        """Send the client what is ready, and wait while it does not take it."""
        self._flush()
        await self._client.drain()

    async def end(self) -> None:
        """Nothing more comes: what was withheld goes out as it is."""
        held, self._withheld = self._withheld, None
        self._emit(b"".join(held or ()))
        await self.flush()

    async def take(self, message: Message) -> None:
        """Take the server's next message."""
        kind, pending = message.kind, self._pending[0] if self._pending else None
        if kind == b"S":
            self._emit(self._status(message))
            return
        if pending is None or kind == b"A":
            self._emit(message.raw)
            return
        interception = pending.interception
        if interception is not None:
            if interception.drops(When.DURING, When.AFTER):
                self.muted = True
            if interception.withholds and self._withheld is None:
                self._withheld = []
        if kind == b"Z":
            await self._ready(message)
        elif kind == b"E":
            await self._refused(pending, message)
        elif kind == b"G":
            self._copy_in(pending, message)
        else:
            if not pending.mute_body:
                self._emit(_tagged(pending, message))
            if kind in ENDS.get(pending.kind, b""):
                self._pending.popleft()
                self._announce()
                if pending.kind == b"E":
                    await self._executed(interception)

    def _status(self, message: Message) -> bytes:
        (name, value), _ = protocol.strings(message.body, 2)
        if name == "application_name":
            self._traffic.application_name = value
        return self._words.status(name, value)

    async def _ready(self, message: Message) -> None:
        while (pending := self._pending.popleft()).kind not in OWED_READY:
            if pending.interception is not None and pending.kind == b"E":
                pending.interception.fail("discarded by the server after an earlier error")
        if not pending.mute_ready:  # else the next pending's end is this group's
            await self._release(pending.group)
            self._emit(message.raw)
        for interception in pending.group:
            interception.done.set()
        self._owed -= 1
        if self._owed == 0:
            self.idle.set()
            self.busy = False
        self._announce()

    async def _refused(self, pending: PendingResponse, message: Message) -> None:
        interception = pending.interception
        if pending.mute_body or (pending.kind == b"S" and pending.mute_ready):
            return
        said = protocol.fields(message.body)
        raw = message.raw
        if interception is not None:
            interception.fail(said.get("M", ""))
            if interception.error is not None and interception.error.sqlstate == said.get("C"):
                raw = interception.error.encode()
        self._emit(raw)
        if pending.kind not in OWED_READY:
            await self._executed(interception)

    async def _executed(self, interception: Interception | None) -> None:
        if interception is not None and interception.flushed:
            await self._release((interception,))
            interception.done.set()

    def _copy_in(self, pending: PendingResponse, message: Message) -> None:
        if pending.kind == b"E" and len(self._pending) > 1 and self._pending[1].kind == b"S":
            # In COPY the server ignores the Sync that came with the Execute.
            self._reclaim(self._pending[1].group)
            del self._pending[1]
            self._owed -= 1
        self._to_client += b"".join(self._withheld or ()) + message.raw
        self._withheld = None
        if pending.interception is not None:
            pending.interception.copying = True
            pending.interception.done.set()

    async def _release(self, interceptions: tuple[Interception, ...]) -> None:
        """Let withheld answers go, when their gates open, or an error in their place."""
        if self._withheld is None:
            return
        self._flush()
        for interception in interceptions:
            for gate in interception.gates():
                await until(lambda gate=gate: gate() or self.client_gone)  # type: ignore[misc]
            verdict = interception.verdict()
            if verdict is not None:
                self._withheld = [verdict.encode()]
        held, self._withheld = self._withheld, None
        self._emit(b"".join(held))

    def _announce(self) -> None:
        """Send the notices of the statement the server is at."""
        interception = self._pending[0].interception if self._pending else None
        if interception is not None and interception.notices:
            for text in interception.notices:
                self._emit(protocol.notice(text))
            interception.notices.clear()
            self._flush()

    def _emit(self, data: bytes) -> None:
        if self.muted:
            return
        if self._withheld is None:
            self._to_client += data
        else:
            self._withheld.append(data)

    def _flush(self) -> None:
        data, self._to_client = bytes(self._to_client), bytearray()
        self._client.send(data)


async def until(ready: Callable[[], bool]) -> None:
    """Wait until another thread has made this true."""
    while not ready():  # noqa: ASYNC110 - the other thread knows no event of this loop
        await asyncio.sleep(_LOOK)


def _tagged(pending: PendingResponse, message: Message) -> bytes:
    """The message, or what a statement without rows says in its place."""
    interception = pending.interception
    if interception is None or interception.tag is None:
        return message.raw
    if message.kind == b"T":
        return protocol.message(b"n") if pending.kind == b"D" else b""
    if message.kind == b"D":
        interception.rows += 1
        return b""
    if message.kind == b"C":
        return protocol.command_complete(f"{interception.tag} {interception.rows}")
    return message.raw
