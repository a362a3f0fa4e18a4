"""One direction of a connection: bytes leave in order, each after the link's latency.

Later bytes do not wait for earlier ones to arrive: what was pipelined stays pipelined.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable


class DelayedWriter:
    """The sending side of a socket."""

    def __init__(self, writer: asyncio.StreamWriter, latency: Callable[[], float]) -> None:
        self._writer = writer
        self._latency = latency
        self._loop = asyncio.get_running_loop()
        self._late: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, data: bytes) -> None:
        """Send, now or after the latency; never waits."""
        if not data:
            return
        latency = self._latency()
        if latency <= 0 and not self._late:
            self._write(data)
            return
        self._late.append((self._loop.time() + latency, data))
        if self._timer is None:
            self._timer = self._loop.call_at(self._late[0][0], self._deliver)

    async def drain(self) -> None:
        """Wait while the other side does not take what was sent."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def flush(self) -> None:
        """Wait until all that was sent has left."""
        while self._late:  # noqa: ASYNC110 - a timer empties it; no event says so
            await asyncio.sleep(max(0.0, self._late[-1][0] - self._loop.time()))
        await self.drain()

    async def end(self) -> None:
        """Send all, then say that nothing more comes; the other direction stays open."""
        await self.flush()
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    def abort(self) -> None:
        """Let go of the socket at once."""
        if self._timer is not None:
            self._timer.cancel()
        self._late.clear()
        self._writer.transport.abort()

    async def close(self) -> None:
        """Let go of the socket, and wait until it is closed."""
        self.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    def _deliver(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._late and self._late[0][0] <= now:
            self._write(self._late.popleft()[1])
        if self._late:
            self._timer = self._loop.call_at(self._late[0][0], self._deliver)
