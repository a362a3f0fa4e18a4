"""Runs scripts that are one transaction each, one behind the other in a single stream.

Every script is a transaction of its own, with its own ledger row and its own proof of the lease; but no
answer is waited for in between. After an error the server discards the rest of the stream: scripts before
the failed one are committed, it is rolled back, and none behind it has run.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from ..._backend.protocol import BEGIN, COMMIT, Command, Refusal, Result
from ..._planner.decisions import outcome_unknown
from ..._planner.pace import MOST_BYTES, Pace
from ..._planner.plan import Step
from ..._planner.segments import Prepared, prepare
from ..._scripts.script import Mode
from ..._sql.statement import Statement
from ..._store import run_state
from ...errors import ConnectionLost
from ...events import StepFinished, StepStarted
from ..messages import migration_failed
from .run import AsyncRun
from .store import lease_lost


class _Part(Enum):
    OURS = "ours"
    SCRIPT = "script"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a command in flight belongs to."""

    place: int
    part: _Part
    statement: Statement | None = None
    number: int = 0


class AsyncAtomic:
    """A stream of scripts.

    Args:
        run: The run it is part of.
        steps: Every step of the run.
    """

    def __init__(self, run: AsyncRun, steps: tuple[Step, ...]) -> None:
        self._run = run
        self._steps = steps
        self._in_flight: deque[_Sent] = deque()
        self._prepared: dict[int, Prepared] = {}
        self._finished = 0
        self._told = 0
        self._dirty = False
        self._pace = Pace()
        self._moment = time.monotonic()

    async def go(self, start: int, count: Callable[[Step], None]) -> int:
        """Run steps from number `start` (from 0) on, for as long as they are transactions.

        Args:
            start: The first.
            count: Told of each step as soon as it is done.

        Returns:
            The number of the first step that was not run.
        """
        self._finished = start
        self._dirty = False
        self._pace = Pace()
        attempt, failed_at = 0, start

        def done(place: int) -> None:
            self._done(place, count)

        while self._goes_on(self._finished):
            before, began = self._finished, time.monotonic()
            self._moment = began
            self._tell_start()
            refusal = await self._run.supervise(
                self._send,
                step=self._step_under_way,
                statement=None,
                on_item=done,
                renew=False,
            )
            if refusal is None:
                self._pace.took(self._finished - before, time.monotonic() - began)
                continue
            if failed_at != self._finished:
                attempt, failed_at = 0, self._finished
            attempt += 1
            self._pace = Pace()
            what = self._step_under_way().path.name
            if not await self._run.tries_again(refusal.error, attempt, what):
                raise await self._error(refusal) from refusal.error
        return self._finished

    def _goes_on(self, place: int) -> bool:
        """Whether a step can be part of this stream: a transaction, on a session fit for it."""
        if place >= len(self._steps) or not self._prepare(place).one_transaction:
            return False
        return not self._dirty or self._run.server.reset_statements is not None

    async def _send(self, report: Callable[[int], None]) -> Refusal | None:
        self._in_flight.clear()

        def answered(_number: int, _result: Result) -> None:
            sent = self._in_flight.popleft()
            if sent.part is _Part.COMMIT:
                report(sent.place)

        return await self._run.session.stream(self._commands(self._pace.scripts), answered)

    def _commands(self, scripts: int) -> Iterator[Command]:
        """The next scripts' commands, made as they are sent: texts are not kept."""
        run = self._run
        tables, lease = run.store.tables, run.lease
        start, size = self._finished, 0
        for place in range(start, start + scripts):
            if not self._goes_on(place) or size > MOST_BYTES:
                return
            prepared = self._prepare(place)
            for text in self._resets():
                yield self._ours(place, Command(text))
            yield self._ours(place, BEGIN)
            yield self._ours(place, run_state.renew_lease(tables, lease))
            for number, statement in enumerate(prepared.statements, 1):
                self._in_flight.append(_Sent(place, _Part.SCRIPT, statement, number))
                size += len(statement.text)
                yield Command(statement.text)
            step = prepared.step
            # The script may be another role now, one that may not write our tables.
            if prepared.changes_session:
                for text in run.server.own_role_statements:
                    yield self._ours(place, Command(text))
            self._dirty = prepared.changes_session
            yield self._ours(
                place,
                run_state.complete(tables, lease, step.script, step.direction, in_transaction=True),
            )
            self._in_flight.append(_Sent(place, _Part.COMMIT))
            yield COMMIT

    def _resets(self) -> tuple[str, ...]:
        """Every script starts from a clean session; who it runs as is reset only if that may be needed."""
        resets = self._run.server.reset_statements or ()
        return resets if self._dirty else resets[-1:]

    def _ours(self, place: int, command: Command) -> Command:
        self._in_flight.append(_Sent(place, _Part.OURS))
        return command

    def _done(self, place: int, count: Callable[[Step], None]) -> None:
        now = time.monotonic()
        step = self._steps[place]
        self._finished = place + 1
        self._prepared.pop(place, None)
        count(step)
        self._run.emit(StepFinished(step, place + 1, len(self._steps), now - self._moment))
        self._moment = now
        self._tell_start()

    def _tell_start(self) -> None:
        """Tell that the step behind the finished ones is under way, if it is part of this stream."""
        place = self._finished
        if place < self._told or place >= len(self._steps):
            return
        prepared = self._prepare(place)
        if prepared.one_transaction:
            self._told = place + 1
            self._run.emit(StepStarted(prepared.step, place + 1, len(self._steps), Mode.ATOMIC))

    def _prepare(self, place: int) -> Prepared:
        """Read a step once: it is asked for when it is sent and when it is told of."""
        if place not in self._prepared:
            run = self._run
            self._prepared[place] = prepare(self._steps[place], run.server, run.options.mode)
        return self._prepared[place]

    def _step_under_way(self) -> Step:
        return self._steps[min(self._finished, len(self._steps) - 1)]

    async def _error(self, refusal: Refusal) -> Exception:
        error = refusal.error
        if outcome_unknown(error.sqlstate):
            return ConnectionLost(str(error), sqlstate=error.sqlstate)
        sent = self._in_flight[0] if self._in_flight else None
        if sent is None or sent.part is _Part.OURS:
            return lease_lost() if error.sqlstate == run_state.LOST else error
        step = self._steps[sent.place]
        failed = migration_failed(step, sent.statement, error, number=sent.number)
        await self._run.write(
            run_state.clear_progress(self._run.store.tables, self._run.lease, str(error))
        )
        return failed
