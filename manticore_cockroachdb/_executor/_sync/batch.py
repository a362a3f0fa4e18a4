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
from dataclasses import dataclass, replace

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
from ..._sql.server_kind import ServerKind
from ..._sql.statement import Statement
from ..._sql.windowed import windowed, works_on_all
from ..._store import fenced
from ..._store.snapshot import BatchState, Progress
from ..._store.transactions import begin, lock_state
from ...errors import ConnectionLost, DatabaseError, MigrationFailed, PlanRefused, Problem
from ...events import BatchPaused, BatchProgress, StatementFinished, StatementStarted
from .. import concurrency
from ..messages import windows_stay
from ..under_way import UnderWay
from .run import Run
from .script_record import ScriptRecord
from .supervision import run_transaction

#: Seconds between two looks at `stop_if` while it is true.
_STOPPED = 2.0


@dataclass(frozen=True, slots=True)
class _Next:
    """The next window, as it was found.

    Attributes:
        upper: Its last row; None for the last window.
        rows: How many rows of the table it covers.
    """

    upper: Position | None
    rows: int


@dataclass(frozen=True, slots=True)
class _Sent:
    """What happened to a window.

    Attributes:
        refusal: Why nothing of it was done; None where it is done.
        rows: How many rows are changed by now.
        seconds: How long it took.
        following: The window after it, where that was found in the same round trip.
    """

    refusal: Refusal | None
    rows: int = 0
    seconds: float = 0.0
    following: _Next | None = None


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
        self._state = BatchState(window.written(()), "")
        self._position: Position = ()
        self._started = time.monotonic()

    def run(self, resume: Progress | None) -> None:
        """Run every window that is left.

        Args:
            resume: What the run state says of it, if it has begun.
        """
        run, number = self._run, self._segment.start + 1
        begun = resume.batch if resume is not None else None
        if begun is not None and begun.windows:
            self._state, self._position = begun, window.read(begun.position)
        key = self._key()
        if self._state.windows:
            self._check_key(key)
        else:
            self._state = replace(
                self._state,
                fingerprint=batch_progress.fingerprint(self._statement, key),
                total=self._estimate(),
            )
            run.write(self._record.begin_batch(self._segment, self._state))
        run.emit(StatementStarted(self._step, self._statement, number, self._total))
        following: _Next | None = None
        while True:
            found = following or self._find(key)
            if found.upper is not None and found.upper == self._position:
                raise self._failed(
                    DatabaseError(
                        f"the row after {', '.join(found.upper)} reads the same as text, so the batch "
                        "would not advance; name another key with key="
                    )
                )
            sent = self._send(key, found)
            if sent.refusal is not None:
                following = None
                self._again(sent.refusal)
                continue
            self._size.took(sent.seconds)
            self._state = replace(
                self._state,
                windows=self._state.windows + 1,
                rows=sent.rows,
                scanned=self._state.scanned + found.rows,
            )
            self._position = self._position if found.upper is None else found.upper
            self._tell(is_last=found.upper is None)
            if found.upper is None:
                break
            following = sent.following
            if following is not None and following.rows > self._size.rows:
                following = None  # it was found before this one turned out to be slow
            self._pause(self._batch.pause)
        seconds = time.monotonic() - self._started
        rows = self._state.rows
        run.emit(StatementFinished(self._step, self._statement, number, self._total, seconds, rows))

    def _key(self) -> BatchKey:
        """Find the key to follow.

        Raises:
            PlanRefused: There is none that does; nothing of the statement was run.
        """
        table, functions = self._windowed.table, self._windowed.functions
        kind = self._run.server.kind
        try:
            asked = [*introspection.unique_indexes(kind, table)]
            if functions and kind is ServerKind.POSTGRESQL:
                asked.append(introspection.aggregates(functions))
            indexes, columns, *aggregates = self._run.session.send(*asked)
            for name in (row[0] for found in aggregates for row in found.rows):
                raise NoKey(works_on_all(name))
            return batch_key.choose_key(
                table,
                batch_key.read_indexes(table, indexes, columns),
                self._batch.key,
                self._windowed.assigned,
                kind,
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

    def _estimate(self) -> int | None:
        """How many rows the table has, about; None where the server does not tell."""
        question = introspection.row_estimate(self._windowed.table)
        answers, _refusal = self._run.session.ask(question)
        return introspection.read_row_estimate(answers[0]) if answers else None

    def _find(self, key: BatchKey) -> _Next:
        """Wait while a `stop_if` says to, and find the next window."""
        self._wait_while_stopped()
        size = self._size.rows
        asked = self._end_of_next(key, self._position, size)
        sent = self._run.session.state.unambiguous(asked)
        answers = self._ask(sent, "looking for the end of the next window")
        rows = answers[sent.index(asked)].rows
        return _Next(rows[0] if rows else None, size)

    def _end_of_next(self, key: BatchKey, lower: Position, rows: int) -> Command:
        return window.next_upper(self._windowed, key, lower, rows, self._run.server.kind)

    def _questions(self, key: BatchKey, lower: Position | None) -> tuple[list[Command], int]:
        """What is asked about the window after the one that is sent, and which of them finds its end.

        None where that one is the last, or where a pause comes between.

        Args:
            key: The key.
            lower: Where the window after it begins.
        """
        if lower is None or self._batch.pause:
            return [], 0
        asked = self._end_of_next(key, lower, self._size.rows)
        sent = list(self._run.session.state.unambiguous(asked))
        at = sent.index(asked)
        if self._batch.stop_if is not None:
            sent.append(Command(self._batch.stop_if))
        return sent, at

    def _read_ahead(self, answers: Sequence[Result], at: int, size: int) -> _Next | None:
        """The window after the one that was sent; None where `stop_if` may hold it up."""
        if self._batch.stop_if is not None and _first_value(answers[-1]) not in (None, False):
            return None
        rows = answers[at].rows
        return _Next(rows[0] if rows else None, size)

    def _ask(self, commands: Sequence[Command], what: str) -> list[Result]:
        """The answers to a question between two windows.

        Args:
            commands: The question, and what stands around it.
            what: What is asked, for people.

        Raises:
            MigrationFailed: The server refused it; the windows before it stay done.
        """
        try:
            return self._run.session.send(*commands)
        except DatabaseError as error:
            if outcome_unknown(error.sqlstate):
                raise
            failed = DatabaseError(f"{what} failed: {error}", sqlstate=error.sqlstate)
            raise self._failed(failed) from error

    def _failed(self, error: DatabaseError) -> MigrationFailed:
        """Record that a question between two windows was not answered well; the error to raise."""
        return self._record.fail_batch(
            self._statement, error, self._segment.start, self._state.windows
        )

    def _send(self, key: BatchKey, found: _Next) -> _Sent:
        """Send one window, and look for the next one in the same round trip.

        Args:
            key: The key.
            found: The window.
        """
        run = self._run
        limits = run.lock_limits(
            self._step, self._statements, self._segment.start, self._segment.end
        )
        settings = [each for each in limits.settings if each is not None]
        cut = Window(self._position, found.upper)
        statement = window.narrowed(self._windowed, key, cut)
        counts = found.upper is not None  # the last window clears the count
        if counts and run.session.state.carries_values:
            statement = fenced.count_rows(statement)
        elif counts:
            statement = fenced.add_rows_of(run.store.tables, statement)
        before, after = self._writes(found)
        commands = [
            begin(run.server, self._step.script.isolation),
            *before,
            *settings,
            statement,
            *after,
            # Answered at once: the time to find the next window is not this one's.
            replace(COMMIT, flushes=True),
        ]
        at, committed = commands.index(statement), len(commands) - 1
        (ahead, asked), size = self._questions(key, found.upper), self._size.rows
        under_way, began = self._under_way, time.monotonic()
        ended = began
        answers: list[Result] = []

        def answered(number: int, result: Result) -> None:
            nonlocal ended
            answers.append(result)
            if number == committed:
                ended = time.monotonic()

        refusal = run_transaction(
            run,
            [*commands, *ahead],
            lambda _answered: under_way,
            answered,
            renew=lambda count: count > committed,
            limits=limits.seconds,
        )
        if refusal is not None and refusal.index <= committed:
            return _Sent(refusal)
        rows = self._state.rows
        if not counts:
            rows += answers[at].count
        elif run.session.state.carries_values:
            rows += int(answers[at].rows[0][0])
        else:
            rows = answers[at].rows[0][0]
        following = None
        if ahead and refusal is None:
            following = self._read_ahead(answers[committed + 1 :], asked, size)
        return _Sent(None, rows, ended - began, following)

    def _writes(self, found: _Next) -> tuple[Sequence[Command], Sequence[Command]]:
        """Our writes before and after the statement of a window."""
        run = self._run
        tables, state = run.store.tables, run.session.state
        is_first = run.server.serializable_only
        last: list[Command] = []
        if found.upper is not None:
            write = fenced.save_window(
                tables,
                run.lease,
                window.written(found.upper),
                scanned=found.rows,
                seconds=self._seconds,
                counts=state.carries_values and not is_first,
            )
            if state.carries_values and is_first:
                last = [fenced.add_rows(tables)]
        elif self._last:
            write = self._record.complete(in_transaction=True)
        else:
            write = self._record.mark(self._segment, self._following)
        # The written row keeps other runners out until the transaction ends.
        first = write if is_first else lock_state(tables)
        if not is_first:
            last = [write]
        if not run.session_touched:
            return (first,), last
        return state.inside(first), state.at_end(*last) if last else ()

    @property
    def _under_way(self) -> UnderWay:
        return UnderWay(
            self._step, self._segment.start, self._statement, windows=self._state.windows
        )

    def _again(self, refusal: Refusal) -> None:
        """Prepare to send the window again, smaller; raises where that does not help."""
        error, run = refusal.error, self._run
        if outcome_unknown(error.sqlstate):
            raise ConnectionLost(str(error), sqlstate=error.sqlstate)
        if error.sqlstate == fenced.LOST:
            raise run.why_refused(error, self._step, committed=True)
        place = self._under_way.place
        if error.sqlstate in RETRY:
            self._size.refused()
            where = self._step.where(self._statement)
            if run.tries_again(error, place, f"{where}, a window"):
                return
        elif error.sqlstate == LOCK_NOT_AVAILABLE:
            self._size.refused()
            if run.waits_for_lock(error, self._step, self._statement, place):
                return
        elif self._size.rows > 1 and _is_too_large(error):
            self._size.refused()
            return
        halved = error.sqlstate in {*RETRY, LOCK_NOT_AVAILABLE} or _is_too_large(error)
        raise self._record.fail_batch(
            self._statement,
            error,
            self._segment.start,
            self._state.windows,
            is_smallest=halved and self._size.rows == 1 and self._batch.rows > 1,
        ) from error

    def _wait_while_stopped(self) -> None:
        """Wait until `stop_if` is no longer true."""
        if self._batch.stop_if is None:
            return
        began = time.monotonic()
        while True:
            what = f"its stop_if ({self._batch.stop_if})"
            (answer,) = self._ask((Command(self._batch.stop_if),), what)
            stops = _first_value(answer)
            if stops is None or stops is False:
                return
            if stops is not True:
                raise self._failed(
                    DatabaseError(
                        f"{what} answered {stops!r}, and a stop_if must answer true or false"
                    )
                )
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


def _first_value(answer: Result) -> object:
    """What a `stop_if` says of the next window."""
    return answer.rows[0][0] if answer.rows and answer.rows[0] else None


def _is_too_large(error: DatabaseError) -> bool:
    """Whether a smaller window may be done where this one was not."""
    if error.sqlstate == QUERY_CANCELED:  # by a person, or by statement_timeout
        return "timeout" in str(error)
    return error.sqlstate in TOO_LARGE
