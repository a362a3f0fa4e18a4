# Generated from _async/atomic.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Runs scripts that are one transaction each, in order, in a single stream.

Every script is one transaction, with its own ledger row and its own proof of the lease; but no
answer is waited for in between. After an error the server discards the rest of the stream: scripts before
the failed one are committed, it is rolled back, and none after it has run.

Each transaction keeps other runners out while it is open (`_store.transactions`). On CockroachDB that is a
write of the run state's row, and a write of a row that the transaction before has just written waits until
that one is cleaned up. So brief scripts that are sent together share a transaction there. When the server
refuses one of them, they are sent again one by one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from ..._backend.protocol import COMMIT, Command, Refusal, Result
from ..._planner.cursor import RunCursor, StepList
from ..._planner.decisions import outcome_unknown
from ..._planner.pace import MOST_BYTES, Pace, is_brief
from ..._planner.segments import Prepared
from ..._planner.step import Step
from ..._scripts.script import Mode
from ..._sql.session_effects import Leaves
from ..._sql.statement import Statement, rows_changed
from ..._store import fenced
from ..._store.transactions import begin, lock_state
from ...errors import ConnectionLost
from ...events import StepFinished, StepStarted
from ..messages import migration_failed
from ..under_way import Limits, UnderWay, located
from .run import Run
from .supervision import run_supervised


class _Part(Enum):
    OURS = "ours"
    SCRIPT = "script"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a command in flight belongs to.

    Attributes:
        first: The first step of its transaction.
        place: Its step.
        part: What it is to that step.
        statement: The statement, if it is one of the script's.
        number: Which statement of the script that is, from 1.
    """

    first: int
    place: int
    part: _Part
    statement: Statement | None = None
    number: int = 0


class Atomic:
    """A stream of scripts.

    Args:
        run: The run it is part of.
        steps: Every step of the run.
        count: Called with each step as soon as it is done.
    """

    def __init__(self, run: Run, steps: StepList, count: Callable[[Step], None]) -> None:
        self._run = run
        self._steps = steps
        self._count = count
        self._in_flight: deque[_Sent] = deque()
        self._finished = self._started = 0
        self._rows: dict[int, list[int | None]] = {}
        self._left = Leaves.NOTHING
        self._pace = Pace()
        self._moment = time.monotonic()

    def accepts(self, cursor: RunCursor) -> bool:
        """Whether the next step is a transaction, and nothing of it was sent another way."""
        return cursor.resume is None and self._steps.prepared(cursor.place).one_transaction

    def run(self, cursor: RunCursor) -> RunCursor:
        """Run steps for as long as they are transactions, on a session that is fit for them."""
        self._finished = cursor.place
        self._left = Leaves.NOTHING
        self._pace = Pace()
        while self._continues(self._finished):
            before, began = self._finished, time.monotonic()
            self._moment = began
            self._emit_start()
            refusal = run_supervised(
                self._run,
                self._send,
                under_way=self._under_way,
                on_item=self._done,
                renew=lambda: False,
                locate=self._locate,
                limits=self._limits(self._steps.prepared(before)).seconds,
            )
            if refusal is None:
                self._pace.took(self._finished - before, time.monotonic() - began)
                continue
            self._pace = Pace()
            now = self._under_way()
            if self._others_were_refused(refusal):
                continue
            error = refusal.error
            if not (
                self._run.tries_again(error, now.place, now.step.path.name)
                or self._run.waits_for_lock(error, now.step, now.statement, now.place)
            ):
                raise self._error(refusal) from error
            # Rolled back; but locks, prepared statements and the like are no part of a transaction, and
            # CockroachDB v21.1 does not roll SET back.
            left = self._steps.prepared(min(self._finished, len(self._steps) - 1)).leaves
            if left:
                self._run.reset_session(objects=left is Leaves.OBJECTS)
            self._left = Leaves.NOTHING
        return cursor.moved_to(self._finished, left=self._left)

    def _continues(self, place: int) -> bool:
        """Whether a step can be part of this stream: a transaction, on a session fit for it."""
        if place >= len(self._steps) or not self._steps.prepared(place).one_transaction:
            return False
        return not self._left or self._can_reset(self._left)

    def _can_reset(self, left: Leaves) -> bool:
        """Whether what a script left can be cleaned away inside the stream."""
        has_jobs = self._run.server.has_jobs
        return self._run.session.state.resets and not (has_jobs and left is Leaves.OBJECTS)

    def _send(self, report: Callable[[int], None]) -> Refusal | None:
        self._in_flight.clear()
        self._rows.clear()

        def answered(_number: int, result: Result) -> None:
            sent = self._in_flight.popleft()
            if sent.statement is not None:
                changed = rows_changed(sent.statement, result.tag)
                self._rows.setdefault(sent.place, []).append(changed)
            if sent.part is _Part.COMMIT:
                for place in range(sent.first, sent.place + 1):
                    report(place)

        return self._run.session.stream(self._commands(self._pace.scripts), answered)

    def _commands(self, scripts: int) -> Iterator[Command]:
        """The next scripts' commands, made as they are sent: texts are not kept."""
        run = self._run
        tables, lease = run.store.tables, run.lease
        start, size = self._finished, 0
        place = start
        while place < start + scripts and size <= MOST_BYTES and self._continues(place):
            first, prepared = place, self._steps.prepared(place)
            for command in run.session.state.clean() if self._left else ():
                yield self._ours(first, place, command)
            yield self._ours(first, place, begin(run.server, prepared.step.script.isolation))
            if run.server.serializable_only:
                yield self._ours(first, place, fenced.hold_lease(tables, lease))
            else:
                yield self._ours(first, place, lock_state(tables))
            while True:
                limits = self._limits(prepared)
                for number, statement in enumerate(prepared.statements, 1):
                    setting = limits.settings[number - 1]
                    if setting is not None:
                        yield self._ours(first, place, setting)
                    self._in_flight.append(_Sent(first, place, _Part.SCRIPT, statement, number))
                    size += len(statement.text)
                    yield Command(statement.text, discards=True)
                self._left = prepared.leaves
                completed = self._completed(prepared.step)
                # The script may be another role now, one that may not write our tables.
                for command in run.session.state.at_end(completed) if self._left else (completed,):
                    yield self._ours(first, place, command)
                if place + 1 == start + scripts or not self._shares(place):
                    break
                place += 1
                prepared = self._steps.prepared(place)
            self._in_flight.append(_Sent(first, place, _Part.COMMIT))
            yield COMMIT
            place += 1

    def _limits(self, prepared: Prepared) -> Limits:
        statements = prepared.statements
        return self._run.lock_limits(prepared.step, statements, 0, len(statements))

    def _completed(self, step: Step) -> Command:
        tables, lease = self._run.store.tables, self._run.lease
        if self._run.server.serializable_only:
            return fenced.complete_held(tables, lease, step.script, step.direction)
        return fenced.complete(tables, lease, step.script, step.direction, in_transaction=True)

    def _shares(self, place: int) -> bool:
        """Whether a step and the next one are sent in one transaction."""
        if not self._run.server.serializable_only or place + 1 >= len(self._steps):
            return False
        both = [self._steps.prepared(each) for each in (place, place + 1)]
        return all(is_brief(each) and not each.leaves for each in both)

    def _others_were_refused(self, refusal: Refusal) -> bool:
        """Whether scripts before the refused one were in its transaction, and are to be sent again."""
        sent = self._in_flight[0] if self._in_flight else None
        answered = not outcome_unknown(refusal.error.sqlstate)
        return answered and sent is not None and sent.first < sent.place

    def _ours(self, first: int, place: int, command: Command) -> Command:
        self._in_flight.append(_Sent(first, place, _Part.OURS))
        return command

    def _done(self, place: int) -> None:
        now = time.monotonic()
        step = self._steps[place]
        self._run.lease_renewed()
        self._finished = place + 1
        self._steps.forget(place)
        self._count(step)
        rows = tuple(self._rows.pop(place, ()))
        took = now - self._moment
        self._run.emit(StepFinished(step, place + 1, len(self._steps), took, rows=rows))
        self._moment = now
        self._emit_start()

    def _emit_start(self) -> None:
        """Report that the step after the finished ones has started, if it is part of this stream."""
        place = self._finished
        if place < self._started or place >= len(self._steps):
            return
        prepared = self._steps.prepared(place)
        if prepared.one_transaction:
            self._started = place + 1
            self._run.emit(StepStarted(prepared.step, place + 1, len(self._steps), Mode.ATOMIC))

    def _under_way(self) -> UnderWay:
        sent = self._in_flight[0] if self._in_flight else None
        if sent is not None:
            return UnderWay(self._steps[sent.place], statement=sent.statement)
        return UnderWay(self._steps[min(self._finished, len(self._steps) - 1)])

    def _locate(self, text: str) -> UnderWay | None:
        """The statement in flight that the server shows as running: its answers may not have come yet."""
        sent = (each for each in list(self._in_flight) if each.statement is not None)
        return located(
            text, (UnderWay(self._steps[each.place], statement=each.statement) for each in sent)
        )

    def _error(self, refusal: Refusal) -> Exception:
        error = refusal.error
        if outcome_unknown(error.sqlstate):
            return ConnectionLost(str(error), sqlstate=error.sqlstate)
        sent = self._in_flight[0] if self._in_flight else None
        if sent is None or sent.part is _Part.OURS:
            step = self._steps[sent.place] if sent else None
            return self._run.why_refused(error, step, committed=False)
        step = self._steps[sent.place]
        failed = migration_failed(
            step,
            sent.statement,
            error,
            number=sent.number,
            lock_wait=self._run.locks.failure(error, sent.statement),
        )
        self._run.write(
            fenced.clear_progress(self._run.store.tables, self._run.lease, str(error))
        )
        return failed
