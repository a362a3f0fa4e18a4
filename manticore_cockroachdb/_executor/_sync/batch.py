# Generated from _async/batch.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Runs one data statement in windows over a key of its table, each row exactly once.

Each window is one transaction: the statement for a range of the key, and the position it has reached in the
run state. So whatever dies, the run state says which rows are done, and the next run continues after them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ..._backend import introspection
from ..._backend.protocol import COMMIT, Command, Refusal, Result
from ..._backend.retry import LOCK_NOT_AVAILABLE, RETRY
from ..._planner import batch_key, window
from ..._planner.batch_key import BatchKey, NoKey
from ..._planner.decisions import outcome_unknown
from ..._planner.plan import Step
from ..._planner.segments import Segment
from ..._planner.window import Position, Window
from ..._planner.window_size import WindowSize
from ..._sql.batch import Batch
from ..._sql.statement import Statement
from ..._sql.windowed import windowed
from ..._store import run_state
from ..._store.run_state import Progress
from ..._store.transactions import begin, lock_state
from ...errors import ConnectionLost, DatabaseError, PlanRefused, Problem
from ...events import BatchPaused, BatchProgress, StatementFinished, StatementStarted
from .. import concurrency
from .run import Run, UnderWay
from .script_record import ScriptRecord

#: Seconds between two looks at `stop_if` while it is true.
_STOPPED = 2.0


class BatchedStatement:
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
        run: Run,
        step: Step,
        segment: Segment,
        record: ScriptRecord,
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
        self._windows = self._rows = 0
        self._started = time.monotonic()

    def run(self, resume: Progress | None) -> None:
        """Run every window that is left.

        Args:
            resume: What the run state says of it, if it has begun.
        """
        run, number = self._run, self._segment.start + 1
        key = self._key()
        position: Position = ()
        if resume is not None and resume.batch_position is not None:
            position = window.read(resume.batch_position)
            self._windows, self._rows = resume.batch_windows, resume.batch_rows
        else:
            run.write(self._record.begin_batch(self._segment, window.written(())))
        run.emit(StatementStarted(self._step, self._statement, number, self._total))
        while True:
            self._wait_while_stopped()
            upper = self._upper(key, position)
            began = time.monotonic()
            refusal, rows = self._send(key, Window(position, upper))
            if refusal is not None:
                self._again(refusal)
                continue
            self._size.took(time.monotonic() - began)
            self._windows += 1
            self._rows = rows
            self._tell()
            if upper is None:
                break
            position = upper
            self._pause(self._batch.pause)
        seconds = time.monotonic() - self._started
        run.emit(StatementFinished(self._step, self._statement, number, self._total, seconds))

    def _key(self) -> BatchKey:
        """Find the key to follow.

        Raises:
            PlanRefused: There is none that does; nothing of the statement was run.
        """
        table = self._windowed.table
        try:
            indexes, columns = self._run.session.send(*introspection.unique_indexes(table))
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
        problem = Problem(
            f"{reason.rstrip('.')}. Nothing of this statement was run.",
            path=self._step.path,
            line=self._statement.line,
            version=self._step.version,
        )
        raise PlanRefused("A batch was not started", [problem])

    def _upper(self, key: BatchKey, position: Position) -> Position | None:
        asked = window.next_upper(self._windowed, key, position, self._size.rows)
        rows = self._ask(asked, "looking for the end of the next window")
        return rows[0] if rows else None

    def _ask(self, question: Command, what: str) -> list[tuple[Any, ...]]:
        """The rows that answer a question between two windows.

        Raises:
            MigrationFailed: The server refused it; the windows before it stay done.
        """
        try:
            return self._run.session.send(question)[0].rows
        except DatabaseError as error:
            if outcome_unknown(error.sqlstate):
                raise
            failed = DatabaseError(f"{what} failed: {error}", sqlstate=error.sqlstate)
            raise self._record.fail_batch(
                self._statement, failed, self._segment.start, self._windows
            ) from error

    def _send(self, key: BatchKey, cut: Window) -> tuple[Refusal | None, int]:
        """Send one window; the refusal if there was one, and how many rows are changed by now."""
        run = self._run
        tables, lease = run.store.tables, run.lease
        statement = window.narrowed(self._windowed, key, cut)
        # Counted with the rows, but for the last window, which clears the count, and where the script may
        # have taken a role that cannot write our table.
        counted = cut.upper is not None and not run.session_touched
        if counted:
            statement = run_state.count_rows(tables, statement)
        if cut.upper is not None:
            write = run_state.save_window(tables, lease, window.written(cut.upper))
        elif self._last:
            write = self._record.complete(in_transaction=True)
        else:
            write = self._record.mark(self._segment, self._following)
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
        rows = self._rows

        def answered(number: int, result: Result) -> None:
            nonlocal rows
            if number == at:
                rows = result.rows[0][0] if counted else rows + result.count

        refusal = run.run_transaction(
            commands, lambda _answered: under_way, answered, limits=limits.seconds
        )
        return refusal, rows

    @property
    def _under_way(self) -> UnderWay:
        return UnderWay(self._step, self._segment.start, self._statement, windows=self._windows)

    def _again(self, refusal: Refusal) -> None:
        """Prepare to send the window again, smaller; raises where that does not help."""
        error, run = refusal.error, self._run
        if outcome_unknown(error.sqlstate):
            raise ConnectionLost(str(error), sqlstate=error.sqlstate)
        if error.sqlstate == run_state.LOST:
            raise run.why_refused(error, self._step, committed=True)
        place = self._under_way.place
        if error.sqlstate in RETRY:
            self._size.refused()
            where = f"{self._step.path.name}:{self._statement.line}"
            if run.tries_again(error, place, f"{where}, a window"):
                return
        if error.sqlstate == LOCK_NOT_AVAILABLE:
            self._size.refused()
            if run.waits_for_lock(error, self._step, self._statement, place):
                return
        raise self._record.fail_batch(
            self._statement, error, self._segment.start, self._windows
        ) from error

    def _wait_while_stopped(self) -> None:
        """Wait until `stop_if` is no longer true."""
        if self._batch.stop_if is None:
            return
        began = time.monotonic()
        while True:
            what = f"its stop_if ({self._batch.stop_if})"
            rows = self._ask(Command(self._batch.stop_if), what)
            if not rows or rows[0][0] is not True:
                return
            self._run.emit(BatchPaused(self._step, self._statement, time.monotonic() - began))
            self._pause(_STOPPED)

    def _pause(self, seconds: float) -> None:
        """Pause between two windows, and keep the lease meanwhile."""
        step = self._run.lease.seconds / 3
        while seconds > 0:
            concurrency.sleep(min(seconds, step))
            seconds -= step
            if seconds > 0:
                self._run.renew_lease()

    def _tell(self) -> None:
        elapsed = time.monotonic() - self._started
        self._run.emit(
            BatchProgress(
                self._step, self._statement, self._windows, self._rows, self._size.rows, elapsed
            )
        )
