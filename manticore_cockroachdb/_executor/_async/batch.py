"""Runs one data statement in windows over a key of its table, each row exactly once.

Each window is one transaction: the statement for a range of the key, and the position it has reached in the
run state. So whatever dies, the run state says which rows are done, and the next run continues after them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..._backend import introspection
from ..._backend.protocol import COMMIT, Command, Refusal, Result
from ..._backend.retry import LOCK_NOT_AVAILABLE, QUERY_CANCELED, RETRY, TOO_LARGE
from ..._planner import batch_key, batch_progress, window
from ..._planner.batch_key import BatchKey, NoKey
from ..._planner.decisions import outcome_unknown
from ..._planner.segments import Segment
from ..._planner.step import Step
from ..._planner.window import Position, Window
from ..._planner.window_size import WindowSize
from ..._sql.batch import Batch
from ..._sql.statement import Statement
from ..._sql.windowed import windowed
from ..._store import fenced
from ..._store.snapshot import BatchState, Progress
from ..._store.transactions import begin, lock_state
from ...errors import ConnectionLost, DatabaseError, PlanRefused, Problem
from ...events import BatchPaused, BatchProgress, StatementFinished, StatementStarted
from .. import concurrency
from ..messages import windows_stay
from ..under_way import UnderWay
from .run import AsyncRun
from .script_record import AsyncScriptRecord
from .supervision import async_run_transaction

#: Seconds between two looks at `stop_if` while it is true.
_STOPPED = 2.0


class AsyncBatchedStatement:
    """One statement on its way through a table.

    Args:
        run: The run.
        step: The script.
        segment: The statement, which has options of a batch.
        record: What the tables say of the script.
        following: The segment that comes next, if one is recorded with this one's end.
        last: Whether it is the script's last segment: the ledger moves with its last window.
        statements: All the script's statements.
    """

    def __init__(
        self,
        run: AsyncRun,
        step: Step,
        segment: Segment,
        record: AsyncScriptRecord,
        *,
        following: Segment | None,
        last: bool,
        statements: Sequence[Statement],
    ) -> None:
        self._run = run
        self._step = step
        self._segment = segment
        self._record = record
        self._following = following
        self._last = last
        self._statements = statements
        self._total = len(statements)
        self._statement: Statement = segment.statements[0]
        self._batch: Batch = self._statement.batch or Batch(1)
        self._windowed = windowed(self._statement.text)
        self._size = WindowSize(self._batch.rows, self._batch.target)
        self._state = BatchState(window.written(()), "")
        self._position: Position = ()
        self._started = time.monotonic()

    async def run(self, resume: Progress | None) -> None:
        """Run every window that is left.

        Args:
            resume: What the run state says of it, if it has begun.
        """
        run, number = self._run, self._segment.start + 1
        begun = resume.batch if resume is not None else None
        if begun is not None and begun.windows:
            self._state, self._position = begun, window.read(begun.position)
        key = await self._key()
        if self._state.windows:
            self._check_key(key)
        else:
            self._state = replace(
                self._state,
                fingerprint=batch_progress.fingerprint(self._statement, key),
                total=await self._estimate(),
            )
            await run.write(await self._record.begin_batch(self._segment, self._state))
        run.emit(StatementStarted(self._step, self._statement, number, self._total))
        while True:
            await self._wait_while_stopped()
            upper, size = await self._upper(key), self._size.rows
            began = time.monotonic()
            refusal, rows = await self._send(key, Window(self._position, upper), size)
            if refusal is not None:
                await self._again(refusal)
                continue
            self._size.took(time.monotonic() - began)
            self._state = replace(
                self._state,
                windows=self._state.windows + 1,
                rows=rows,
                scanned=self._state.scanned + size,
            )
            self._position = self._position if upper is None else upper
            self._tell(is_last=upper is None)
            if upper is None:
                break
            await self._pause(self._batch.pause)
        seconds = time.monotonic() - self._started
        rows = self._state.rows
        run.emit(StatementFinished(self._step, self._statement, number, self._total, seconds, rows))

    async def _key(self) -> BatchKey:
        """Find the key to follow.

        Raises:
            PlanRefused: There is none that does; nothing of the statement was run.
        """
        table = self._windowed.table
        try:
            asked = introspection.unique_indexes(self._run.server.kind, table)
            indexes, columns = await self._run.session.send(*asked)
            return batch_key.choose_key(
                table,
                batch_key.read_indexes(table, indexes, columns),
                self._batch.key,
                self._windowed.assigned,
            )
        except NoKey as error:
            reason = str(error)
        except DatabaseError as error:
            if outcome_unknown(error.sqlstate):
                raise
            reason = f"the key of {table} could not be read: {error}"
        raise self._not_continued(reason)

    def _check_key(self, key: BatchKey) -> None:
        """Refuse to continue along another key than the one the position belongs to.

        Raises:
            PlanRefused: The script asks for another one, or the table has another one now.
        """
        if self._state.fingerprint != batch_progress.fingerprint(self._statement, key):
            columns = ", ".join(key.columns)
            raise self._not_continued(
                f"the key that its windows follow, now ({columns}), was changed since it began. "
                "Restore it, or start the batch again from its first row with manticore_resolve "
                f"--restart-batch {self._step.key}: rows of the windows that are done are then "
                "changed again"
            )

    def _not_continued(self, reason: str) -> PlanRefused:
        windows = self._state.windows
        state = f" {windows_stay(windows)}" if windows else ""
        problem = Problem(
            f"{reason.rstrip('.')}.{state}",
            path=self._step.path,
            line=self._statement.line,
            version=self._step.version or None,
        )
        verb = "continued" if windows else "started"
        return PlanRefused(f"The batch was not {verb}", [problem])

    async def _estimate(self) -> int | None:
        """How many rows the table has, about; None where the server does not tell."""
        question = introspection.row_estimate(self._windowed.table)
        answers, _refusal = await self._run.session.ask(question)
        return introspection.read_row_estimate(answers[0]) if answers else None

    async def _upper(self, key: BatchKey) -> Position | None:
        asked = window.next_upper(self._windowed, key, self._position, self._size.rows)
        sent = self._run.session.state.unambiguous(asked)
        rows = await self._ask(sent, sent.index(asked), "looking for the end of the next window")
        return rows[0] if rows else None

    async def _ask(self, commands: Sequence[Command], at: int, what: str) -> list[tuple[Any, ...]]:
        """The rows that answer a question between two windows.

        Args:
            commands: The question, and what stands around it.
            at: Which of them it is.
            what: What is asked, for people.

        Raises:
            MigrationFailed: The server refused it; the windows before it stay done.
        """
        try:
            return (await self._run.session.send(*commands))[at].rows
        except DatabaseError as error:
            if outcome_unknown(error.sqlstate):
                raise
            failed = DatabaseError(f"{what} failed: {error}", sqlstate=error.sqlstate)
            raise await self._record.fail_batch(
                self._statement, failed, self._segment.start, self._state.windows
            ) from error

    async def _send(self, key: BatchKey, cut: Window, size: int) -> tuple[Refusal | None, int]:
        """Send one window; the refusal if there was one, and how many rows are changed by now.

        Args:
            key: The key.
            cut: The window.
            size: How many rows of the table it covers.
        """
        run = self._run
        tables, lease = run.store.tables, run.lease
        statement = window.narrowed(self._windowed, key, cut)
        # Counted with the rows, except for the last window, which clears the count. Where the script may
        # have taken a role that cannot write our table, the next window writes the count.
        counted = cut.upper is not None and not run.session_touched
        if counted:
            statement = fenced.count_rows(tables, statement)
        if cut.upper is not None:
            write = fenced.save_window(
                tables,
                lease,
                window.written(cut.upper),
                scanned=size,
                seconds=self._seconds,
                rows=None if counted else self._state.rows,
            )
        elif self._last:
            write = await self._record.complete(in_transaction=True)
        else:
            write = await self._record.mark(self._segment, self._following)
        opening = [begin(run.server, self._step.script.isolation)]
        # The written row keeps other runners out until the transaction ends.
        ours: Sequence[Command] = (
            (write,) if run.server.serializable_only else (lock_state(tables),)
        )
        if run.session_touched:
            ours = run.session.state.inside(*ours)
        limits = run.lock_limits(
            self._step, self._statements, self._segment.start, self._segment.end
        )
        settings = [each for each in limits.settings if each is not None]
        commands = [*opening, *ours, *settings, statement]
        if not run.server.serializable_only:
            commands += run.session.state.at_end(write) if run.session_touched else (write,)
        at = len(opening) + len(ours) + len(settings)
        commands.append(COMMIT)
        under_way = self._under_way
        rows = self._state.rows

        def answered(number: int, result: Result) -> None:
            nonlocal rows
            if number == at:
                rows = result.rows[0][0] if counted else rows + result.count

        refusal = await async_run_transaction(
            run, commands, lambda _answered: under_way, answered, limits=limits.seconds
        )
        return refusal, rows

    @property
    def _under_way(self) -> UnderWay:
        return UnderWay(
            self._step, self._segment.start, self._statement, windows=self._state.windows
        )

    async def _again(self, refusal: Refusal) -> None:
        """Prepare to send the window again, smaller; raises where that does not help."""
        error, run = refusal.error, self._run
        if outcome_unknown(error.sqlstate):
            raise ConnectionLost(str(error), sqlstate=error.sqlstate)
        if error.sqlstate == fenced.LOST:
            raise await run.why_refused(error, self._step, committed=True)
        place = self._under_way.place
        if error.sqlstate in RETRY:
            self._size.refused()
            where = self._step.where(self._statement)
            if await run.tries_again(error, place, f"{where}, a window"):
                return
        elif error.sqlstate == LOCK_NOT_AVAILABLE:
            self._size.refused()
            if await run.waits_for_lock(error, self._step, self._statement, place):
                return
        elif self._size.rows > 1 and _is_too_large(error):
            self._size.refused()
            return
        halved = error.sqlstate in {*RETRY, LOCK_NOT_AVAILABLE} or _is_too_large(error)
        raise await self._record.fail_batch(
            self._statement,
            error,
            self._segment.start,
            self._state.windows,
            is_smallest=halved and self._size.rows == 1 and self._batch.rows > 1,
        ) from error

    async def _wait_while_stopped(self) -> None:
        """Wait until `stop_if` is no longer true."""
        if self._batch.stop_if is None:
            return
        began = time.monotonic()
        while True:
            what = f"its stop_if ({self._batch.stop_if})"
            rows = await self._ask((Command(self._batch.stop_if),), 0, what)
            if not rows or rows[0][0] is not True:
                return
            self._run.emit(BatchPaused(self._step, self._statement, time.monotonic() - began))
            await self._pause(_STOPPED)

    async def _pause(self, seconds: float) -> None:
        """Pause between two windows, and keep the lease meanwhile."""
        step = self._run.lease.seconds / 3
        while seconds > 0:
            await concurrency.async_sleep(min(seconds, step))
            seconds -= step
            if seconds > 0:
                await self._run.renew_lease()

    @property
    def _seconds(self) -> float:
        """How long runs have worked on it, this one and earlier ones."""
        return self._state.seconds + time.monotonic() - self._started

    def _tell(self, *, is_last: bool) -> None:
        state, seconds = self._state, self._seconds
        left = batch_progress.remaining(state.scanned, state.total, seconds)
        self._run.emit(
            BatchProgress(
                self._step,
                self._statement,
                state.windows,
                state.rows,
                self._size.rows,
                time.monotonic() - self._started,
                0.0 if is_last else left,
                self._position,
                batch_progress.rate(state.rows, seconds),
            )
        )


def _is_too_large(error: DatabaseError) -> bool:
    """Whether a smaller window may be done where this one was not."""
    if error.sqlstate == QUERY_CANCELED:  # by a person, or by statement_timeout
        return "timeout" in str(error)
    return error.sqlstate in TOO_LARGE
