"""A link of a chosen length: a proxy that delays each direction and counts round trips.

Passes bytes through unchanged and looks into them only to see where a session's start-up ends. What is
sent while earlier bytes are still on their way arrives right behind them, as on a real link: pipelining
gains here what it gains there.

A round trip is counted by cause, not by message. Everything the client sends before it has heard
anything is trip 1; an answer belongs to the latest trip the server had seen; what the client sends after
hearing an answer of trip n is trip n + 1. So a connection that counted n trips took at least n times the
link's round trip, whichever tool used it, and a stream sent without waiting counts once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

_HOST = "127.0.0.1"
_CHUNK = 256 * 1024
_ON_THE_WAY = 16 * 1024 * 1024  # bytes in one direction at most; then the sender is not read from
_WANTS_ENCRYPTION = (80877103, 80877104)


@dataclass(slots=True)
class Traffic:
    """What one connection cost.

    Attributes:
        trips: Its round trips, start-up included.
        startup: Those of them up to the moment the session was ready.
        sent: Bytes the client sent.
    """

    trips: int = 0
    startup: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """What a tool's run cost over all its connections.

    Attributes:
        connections: How many it made.
        trips: Round trips, start-up included.
        startup: Round trips until its sessions were ready.
    """

    connections: int
    trips: int
    startup: int


class Proxy:
    """A server at the other end of a link.

    Args:
        url: The server's URL; it is reached without encryption.
        round_trip: Seconds to the server and back, on top of what the machine itself takes.

    Attributes:
        round_trip: As given; may be changed between two runs.
    """

    def __init__(self, url: str, round_trip: float = 0.0) -> None:
        parts = urlsplit(url)
        self._upstream = (parts.hostname or _HOST, parts.port or 5432)
        self.round_trip = round_trip
        self._lock = threading.Lock()
        self._traffic: list[Traffic] = []
        self._port = 0
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread: threading.Thread

    def __enter__(self) -> Proxy:
        listening: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listening)), name="link", daemon=True
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
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=20)

    def through(self, url: str) -> str:
        """The URL of a database of the same server, over the link and without encryption."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        where = f"{login}@{_HOST}:{self._port}" if login else f"{_HOST}:{self._port}"
        return urlunsplit((parts.scheme, where, parts.path, "sslmode=disable", ""))

    def reset(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self._traffic.clear()

    def count(self) -> Count:
        """What all connections since the last reset cost."""
        with self._lock:
            return Count(
                connections=len(self._traffic),
                trips=sum(each.trips for each in self._traffic),
                startup=sum(each.startup for each in self._traffic),
            )

    async def _serve(self, listening: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        links: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = asyncio.create_task(self._carry(reader, writer))
            links.add(link)
            link.add_done_callback(links.discard)

        server = await asyncio.start_server(accept, _HOST, 0, backlog=512)
        listening.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _carry(
        self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter
    ) -> None:
        traffic = Traffic()
        with self._lock:
            self._traffic.append(traffic)
        server_in, server_out = await asyncio.open_connection(*self._upstream)
        trips = _Trips(traffic)
        delay = self.round_trip / 2
        there = _Direction(client_in, server_out, delay, trips.client_sent, trips.server_heard)
        back = _Direction(server_in, client_out, delay, trips.server_sent, trips.client_heard)
        try:
            await asyncio.gather(there.carry(), back.carry())
        finally:
            for writer in (client_out, server_out):
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()


class _Trips:
    """Says of each piece of data which trip it belongs to."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._client = 1  # the trip that what the client sends now belongs to
        self._server = 0  # the latest trip the server has heard of
        self._ready = _Ready()

    def client_sent(self, data: bytes) -> int:
        if data != b"X\x00\x00\x00\x04":  # Terminate: nobody waits for an answer to it
            self._traffic.trips = self._client
        self._traffic.sent += len(data)
        self._ready.client_sent(data)
        return self._client

    def server_heard(self, trip: int) -> None:
        self._server = trip

    def server_sent(self, data: bytes) -> int:
        if self._ready.server_sent(data):
            self._traffic.startup = self._server
        return self._server

    def client_heard(self, trip: int) -> None:
        self._client = max(self._client, trip + 1)


class _Ready:
    """Finds the server's first ReadyForQuery, where a session's start-up ends."""

    def __init__(self) -> None:
        self._unread = b""
        self._bare = False  # the next answer is one byte: to a wish for encryption
        self._over = False

    def client_sent(self, data: bytes) -> None:
        if not self._over and len(data) == 8 and int.from_bytes(data[4:]) in _WANTS_ENCRYPTION:
            self._bare = True

    def server_sent(self, data: bytes) -> bool:
        """Whether the session became ready with this piece."""
        if self._over:
            return False
        self._unread += data
        if self._bare:
            self._unread, self._bare = self._unread[1:], False
        while len(self._unread) >= 5:
            size = 1 + int.from_bytes(self._unread[1:5])
            if len(self._unread) < size:
                return False
            if self._unread[:1] == b"Z":
                self._over = True
                return True
            self._unread = self._unread[size:]
        return False


class _Direction:
    """Carries bytes one way, each piece for the same time."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        delay: float,
        sent: Callable[[bytes], int],
        heard: Callable[[int], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._delay = delay
        self._sent = sent
        self._heard = heard
        self._way: deque[tuple[float, int, bytes]] = deque()
        self._weight = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def carry(self) -> None:
        """Until the sender has ended and all has arrived, or the connection is gone."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._read())
                both.create_task(self._write())
        except* ConnectionError:
            self._writer.close()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await self._reader.read(_CHUNK):
                self._put(loop.time() + self._delay, self._sent(data), data)
                while self._weight > _ON_THE_WAY:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._put(loop.time() + self._delay, 0, b"")

    def _put(self, due: float, trip: int, data: bytes) -> None:
        self._way.append((due, trip, data))
        self._weight += len(data)
        self._news.set()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._way:
                self._news.clear()
                await self._news.wait()
            due, trip, data = self._way[0]
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            self._way.popleft()
            self._weight -= len(data)
            self._room.set()
            if not data:
                self._writer.write_eof()
                return
            self._heard(trip)
            self._writer.write(data)
            await self._writer.drain()
