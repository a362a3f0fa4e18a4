"""The stand-in itself: a thread, its event loop, a listening socket, and what tests say and ask.

Everything public may be called from any thread. A bug in here, or in a test's own predicate, fails
the `with` block it happened in.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from .answers import Traffic
from .dialect import Dialect, Replacement, version_of
from .jobs import Jobs
from .link import Link
from .passage import Passage
from .protocol import ServerError
from .rules import Action, Drop, Match, Rule, When, matcher
from .transactions import Transaction

V21_1 = "CockroachDB CCL v21.1.21 (x86_64-unknown-linux-gnu, built 2022/09/15 01:28:12, go1.15.14)"
_HOST = "127.0.0.1"
_LONGEST_LOOKED_AT = 64 * 1024  # characters; longer statements are data
#: The names of the settings that a server knows, by its host and port.
_settings_of: dict[tuple[str, str], frozenset[str]] = {}
_takes_advisory_lock = matcher(r"\bpg_advisory_(?:xact_)?lock(?:_shared)?\s*\(")


@dataclass(frozen=True, slots=True)
class Seen:
    """A statement that reached the stand-in.

    Attributes:
        sql: Its text, as the client sent it.
        connection: The number of the connection it came by, from 1.
        application_name: Of that connection, when the statement came.
    """

    sql: str
    connection: int
    application_name: str


class StandIn:
    """A proxy in front of PostgreSQL that plays CockroachDB and fails on demand.

    Args:
        upstream_url: The PostgreSQL server, reached without TLS.
        cockroach: What `crdb_version` says. None: a transparent proxy that plays nothing.
        ignores_cancel: Whether cancel requests are swallowed, as v21.1 does.
        latency: Seconds a byte takes in either direction.

    Attributes:
        url: Where clients connect: upstream's URL with the stand-in's address.
        jobs: The schema-change jobs it claims to have.
        latency: As given; may be changed at any time.
        statements: Every statement that came, in order.
        traffic: What each connection sent, by its number.
        connections: How many connections were made, since the last reset.
        cancels: How many cancel requests came.
    """

    def __init__(
        self,
        upstream_url: str,
        cockroach: str | None = V21_1,
        *,
        ignores_cancel: bool = False,
        latency: float = 0.0,
    ) -> None:
        self._upstream_url = upstream_url
        self._upstream = {k: str(v) for k, v in conninfo_to_dict(upstream_url).items()}
        self._cockroach = cockroach
        self._ignores_cancel = ignores_cancel
        self.latency = latency
        version = (0, 0) if cockroach is None else version_of(cockroach)
        self._orders_transactions = cockroach is not None and version < (22, 1)
        self._transactions: defaultdict[int, Transaction] = defaultdict(Transaction)
        self.jobs = Jobs(
            self._upstream.get("user", "root"),
            shows_started=version < (25, 3),
            abridges=version >= (24, 1),
        )
        self.dialect = Dialect(cockroach, self.jobs, self._settings())
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

    def __enter__(self) -> StandIn:
        listening: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(listening,), name="standin", daemon=True
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
            raise ExceptionGroup("the stand-in, or a test's predicate, has a bug", self._bugs)

    def close(self) -> None:
        """End every connection and the thread."""
        if self._thread is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=20)
        if self._thread.is_alive():
            raise RuntimeError("the stand-in's thread does not end")
        self._thread = None

    # What tests say

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

    def rewrite(self, pattern: str, replacement: Replacement, tag: str | None = None) -> None:
        """See `Dialect.rewrite`."""
        self.dialect.rewrite(pattern, replacement, tag)

    def answers(
        self,
        pattern: str,
        columns: Sequence[str] | Mapping[str, str],
        rows: Sequence[Sequence[object]],
    ) -> None:
        """See `Dialect.answers`."""
        self.dialect.answers(pattern, columns, rows)

    def reset(self) -> None:
        """Forget rules, rewrites, jobs and counts; connections stay."""
        with self._lock:
            self._rules.clear()
            self.dialect.clear()
            self.jobs.clear()
            self.statements.clear()
            self.connections = self.cancels = 0
            self.traffic = {n: t for n, t in self.traffic.items() if t.is_open}
            for traffic in self.traffic.values():
                traffic.handshakes = traffic.round_trips = traffic.waits = traffic.statements = 0

    # What tests ask

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self.url_of(self._upstream.get("dbname", ""))

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

    def passage(self, sql: str, traffic: Traffic) -> Passage:
        """Note a statement, and say what shall happen to it."""
        self.note(sql, traffic)
        passage = Passage(sql, traffic.database, attachments=self.jobs.attached_to(sql))
        with self._lock:
            fired = [rule for rule in self._rules if rule.considers(sql)]
        for rule in fired:
            passage.take(rule)
        if self._cockroach is not None and passage.error is None and _locks(sql):
            passage.error = ServerError("42883", "unknown function: pg_advisory_lock()")
        if self._orders_transactions and passage.error is None:
            passage.error = self._transactions[traffic.number].refusal(sql[:_LONGEST_LOOKED_AT])
        return passage

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

    def _settings(self) -> frozenset[str]:
        """The names of the settings upstream knows."""
        if self._cockroach is None:
            return frozenset()
        server = self._upstream.get("host", ""), self._upstream.get("port", "")
        if server not in _settings_of:
            with psycopg.connect(self._upstream_url, application_name="standin") as connection:
                _settings_of[server] = frozenset(
                    name.lower() for (name,) in connection.execute("SELECT name FROM pg_settings")
                )
        return _settings_of[server]

    def _run(self, listening: Future[int]) -> None:
        try:
            asyncio.run(self._listen(listening))
        except Exception as bug:  # noqa: BLE001 - reported where the test can see it
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
            await Link(self, traffic, reader, writer).serve()
        except Exception as bug:  # noqa: BLE001 - reported when the `with` block ends
            self._bugs.append(bug)


def _anything(sql: str) -> bool:
    return True


def _locks(sql: str) -> bool:
    return len(sql) < _LONGEST_LOOKED_AT and _takes_advisory_lock(sql)
