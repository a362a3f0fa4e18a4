"""The proxy itself: a thread, its event loop, a listening socket, and what its users say and ask.

Everything public may be called from any thread. A bug in here, or in a predicate of a rule, fails the
`with` block it happened in.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

from .interception import Interception
from .proxy_connection import ProxyConnection
from .response_relay import Traffic
from .rules import Action, Drop, Match, Rule, When
from .words import SameWords, Words

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Seen:
    """A statement that reached the proxy.

    Attributes:
        sql: Its text, as the client sent it.
        connection: The number of the connection it came by, from 1.
        application_name: Of that connection, when the statement came.
    """

    sql: str
    connection: int
    application_name: str


class Proxy:
    """A link between clients and a server that fails on demand.

    Args:
        upstream_url: The server, reached without TLS.
        words: How statements become the server's; None: as they are.
        ignores_cancel: Whether cancel requests are swallowed, as CockroachDB v21.1 does.
        latency: Seconds a byte takes in either direction.

    Attributes:
        url: Where clients connect: upstream's URL with the proxy's address.
        words: As given.
        latency: As given; may be changed at any time.
        statements: Every statement that came, in order.
        traffic: What each connection sent, by its number.
        connections: How many connections were made, since the last reset.
        cancels: How many cancel requests came.
    """

    def __init__(
        self,
        upstream_url: str,
        words: Words | None = None,
        *,
        ignores_cancel: bool = False,
        latency: float = 0.0,
    ) -> None:
        self._upstream = {k: str(v) for k, v in conninfo_to_dict(upstream_url).items()}
        self._ignores_cancel = ignores_cancel
        self.latency = latency
        self.words: Words = words or SameWords()
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._bugs: list[Exception] = []
        self._numbers = 0
        self.statements: list[Seen] = []
        self.traffic: dict[int, Traffic] = {}
        self.connections = 0
        self.cancels = 0
        self._port = 0
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread: threading.Thread | None = None

    # Life

    def __enter__(self) -> Self:
        listening: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(listening,), name="manticore-proxy", daemon=True
        )
        self._thread.start()
        self._port = listening.result(timeout=20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if self._bugs:
            raise ExceptionGroup("the proxy, or a predicate of a rule, has a bug", self._bugs)

    def close(self) -> None:
        """End every connection and the thread."""
        if self._thread is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=20)
        if self._thread.is_alive():
            raise RuntimeError("the proxy's thread does not end")
        self._thread = None

    # What users say

    def rule(self, match: Match, *, then: Action | Iterable[Action], nth: int | None = 1) -> Rule:
        """Let something happen to a statement.

        Args:
            match: A pattern, searched for in any case, or a predicate on the text.
            then: One action or several, from `rules`.
            nth: To which of the statements that match, from 1, counted from now on; None: to all.
        """
        rule = Rule(match, nth, then)
        with self._lock:
            self._rules.append(rule)
        return rule

    def cut_at(self, k: int, when: When | str = When.BEFORE) -> Rule:
        """Cut the connection at the k-th statement from now on, of all connections together."""
        return self.rule(_anything, then=Drop(When(when)), nth=k)

    def reset(self) -> None:
        """Forget rules and counts; connections stay."""
        with self._lock:
            self._rules.clear()
            self.statements.clear()
            self.connections = self.cancels = 0
            self.traffic = {n: t for n, t in self.traffic.items() if t.is_open}
            for traffic in self.traffic.values():
                traffic.handshakes = traffic.round_trips = traffic.waits = traffic.statements = 0

    # What users ask

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self.url_of(self._upstream.get("dbname", ""))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where clients connect."""
        return _HOST, self._port

    def url_of(self, database: str) -> str:
        """The URL of another database of the same server."""
        rest = dict(self._upstream)
        user, password = rest.pop("user", ""), rest.pop("password", "")
        for name in ("host", "port", "hostaddr", "dbname"):
            rest.pop(name, None)
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        at = f"{login}@" if login else ""
        options = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
        return f"postgresql://{at}{_HOST}:{self._port}/{quote(database, safe='')}{options}"

    @property
    def round_trips(self) -> int:
        """Syncs, simple queries and flushes of all connections together."""
        with self._lock:
            return sum(each.round_trips for each in self.traffic.values())

    # What links ask

    def interception(self, sql: str, traffic: Traffic) -> Interception:
        """Note a statement, and say what shall happen to it."""
        self.note(sql, traffic)
        interception = self._new_passage(sql, traffic)
        with self._lock:
            fired = [rule for rule in self._rules if rule.considers(sql)]
        for rule in fired:
            interception.take(rule)
        return interception

    def _new_passage(self, sql: str, traffic: Traffic) -> Interception:  # noqa: ARG002 - for subclasses
        return Interception(sql)

    def note(self, sql: str, traffic: Traffic) -> None:
        """Note a statement."""
        with self._lock:
            traffic.statements += 1
            self.statements.append(Seen(sql, traffic.number, traffic.application_name))

    async def cancel(self, request: bytes) -> None:
        """Pass a cancel request on, or swallow it."""
        with self._lock:
            self.cancels += 1
        if self._ignores_cancel:
            return
        reader, writer = await self.connect()
        try:
            writer.write(request)
            await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection upstream."""
        host = self._upstream.get("hostaddr") or self._upstream.get("host") or _HOST
        port = self._upstream.get("port", "5432")
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, int(port))

    # The thread

    def _run(self, listening: Future[int]) -> None:
        try:
            asyncio.run(self._listen(listening))
        except Exception as bug:  # noqa: BLE001 - reported where the `with` block ends
            self._bugs.append(bug)
            if not listening.done():
                listening.set_exception(bug)

    async def _listen(self, listening: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        links: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(reader, writer))
            links.add(task)
            task.add_done_callback(links.discard)
            # Should the task be cancelled before it has begun, nobody else would close it.
            task.add_done_callback(lambda _: writer.transport.abort())

        server = await asyncio.start_server(accept, _HOST, 0, backlog=512)
        listening.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._lock:
            self._numbers += 1
            self.connections += 1
            traffic = self.traffic[self._numbers] = Traffic(self._numbers)
        try:
            await ProxyConnection(self, traffic, reader, writer).serve()
        except Exception as bug:  # noqa: BLE001 - reported when the `with` block ends
            self._bugs.append(bug)


def _anything(_sql: str) -> bool:
    return True
