"""What the server says, on its way to one client: passed on, withheld, replaced or swallowed.

What the server owes an answer to stands in a queue of units, so that every answer is known by the
statement it belongs to. Never sends anything to the server; decides nothing: `Passage` does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from . import protocol
from .outlet import Outlet
from .passage import Passage
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
        handshakes: Messages before the session: encryption asked for, start-up.
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
class Unit:
    """A message the server owes an answer to."""

    kind: bytes
    passage: Passage | None = None
    group: tuple[Passage, ...] = ()  # for Sync and Query: whose answers end with it
    mute_body: bool = False
    mute_ready: bool = False


class Answers:
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
        client: Outlet,
        reclaim: Callable[[tuple[Passage, ...]], None],
    ) -> None:
        self.idle = asyncio.Event()
        self.muted = False
        self.client_gone = False
        self.busy = False
        self._words = words
        self._traffic = traffic
        self._client = client
        self._reclaim = reclaim  # takes back the statements of a Sync that the server ignores
        self._to_client = bytearray()
        self._withheld: list[bytes] | None = None
        self._units: deque[Unit] = deque()
        self._owed = 0

    def push(self, unit: Unit) -> None:
        """The server will owe an answer to this."""
        self._units.append(unit)
        if unit.kind in OWED_READY:
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
        kind, unit = message.kind, self._units[0] if self._units else None
        if kind == b"S":
            self._emit(self._status(message))
            return
        if unit is None or kind == b"A":
            self._emit(message.raw)
            return
        passage = unit.passage
        if passage is not None:
            if passage.drops(When.DURING, When.AFTER):
                self.muted = True
            if passage.withholds and self._withheld is None:
                self._withheld = []
        if kind == b"Z":
            await self._ready(message)
        elif kind == b"E":
            await self._refused(unit, message)
        elif kind == b"G":
            self._copy_in(unit, message)
        else:
            if not unit.mute_body:
                self._emit(_tagged(unit, message))
            if kind in ENDS.get(unit.kind, b""):
                self._units.popleft()
                self._announce()
                if unit.kind == b"E":
                    await self._executed(passage)

    def _status(self, message: Message) -> bytes:
        (name, value), _ = protocol.strings(message.body, 2)
        if name == "application_name":
            self._traffic.application_name = value
        return self._words.status(name, value)

    async def _ready(self, message: Message) -> None:
        while (unit := self._units.popleft()).kind not in OWED_READY:
            if unit.passage is not None and unit.kind == b"E":
                unit.passage.fail("discarded by the server after an earlier error")
        if not unit.mute_ready:  # else the next unit's end is this group's
            await self._release(unit.group)
            self._emit(message.raw)
        for passage in unit.group:
            passage.done.set()
        self._owed -= 1
        if self._owed == 0:
            self.idle.set()
            self.busy = False
        self._announce()

    async def _refused(self, unit: Unit, message: Message) -> None:
        passage = unit.passage
        if unit.mute_body or (unit.kind == b"S" and unit.mute_ready):
            return
        said = protocol.fields(message.body)
        raw = message.raw
        if passage is not None:
            passage.fail(said.get("M", ""))
            if passage.error is not None and passage.error.sqlstate == said.get("C"):
                raw = passage.error.encode()
        self._emit(raw)
        if unit.kind not in OWED_READY:
            await self._executed(passage)

    async def _executed(self, passage: Passage | None) -> None:
        if passage is not None and passage.flushed:
            await self._release((passage,))
            passage.done.set()

    def _copy_in(self, unit: Unit, message: Message) -> None:
        if unit.kind == b"E" and len(self._units) > 1 and self._units[1].kind == b"S":
            # In COPY the server ignores the Sync that came with the Execute.
            self._reclaim(self._units[1].group)
            del self._units[1]
            self._owed -= 1
        self._to_client += b"".join(self._withheld or ()) + message.raw
        self._withheld = None
        if unit.passage is not None:
            unit.passage.copying = True
            unit.passage.done.set()

    async def _release(self, passages: tuple[Passage, ...]) -> None:
        """Let withheld answers go, when their gates open, or an error in their place."""
        if self._withheld is None:
            return
        self._flush()
        for passage in passages:
            for gate in passage.gates():
                await until(lambda gate=gate: gate() or self.client_gone)  # type: ignore[misc]
            verdict = passage.verdict()
            if verdict is not None:
                self._withheld = [verdict.encode()]
        held, self._withheld = self._withheld, None
        self._emit(b"".join(held))

    def _announce(self) -> None:
        """Send the notices of the statement the server is at."""
        passage = self._units[0].passage if self._units else None
        if passage is not None and passage.notices:
            for text in passage.notices:
                self._emit(protocol.notice(text))
            passage.notices.clear()
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


def _tagged(unit: Unit, message: Message) -> bytes:
    """The message, or what a statement without rows says in its place."""
    passage = unit.passage
    if passage is None or passage.tag is None:
        return message.raw
    if message.kind == b"T":
        return protocol.message(b"n") if unit.kind == b"D" else b""
    if message.kind == b"D":
        passage.rows += 1
        return b""
    if message.kind == b"C":
        return protocol.command_complete(f"{passage.tag} {passage.rows}")
    return message.raw
