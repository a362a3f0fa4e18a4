# Generated from _async/script_record.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""What the tables say of one script while it runs, written at the right moments.

Before a segment is sent that cannot share a transaction with its mark, the run state says "in flight", and
after it "done". Done and the next segment's intent are one write. So are the last mark, the ledger's row,
and the intent of the next script's first segment.

| recorded | means                                         | becomes                                |
|----------|-----------------------------------------------|----------------------------------------|
| DONE     | what was sent is done; nothing is in flight   | INTENT by `intend`, or by a mark       |
| INTENT   | the next segment (of this script or the next) | DONE or INTENT by the mark of that one |
|          | is in flight, and has not been sent yet       |                                        |
"""

from __future__ import annotations

import time
from dataclasses import replace
from enum import Enum

from ..._backend import introspection
from ..._backend.dialect import Server
from ..._backend.protocol import Command
from ..._planner import evidence
from ..._planner.evidence import Trace
from ..._planner.segments import Fingerprint, Prepared, Segment, Sending, segments
from ..._scripts.direction import Direction
from ..._sql.statement import Statement
from ..._store import fenced
from ..._store.ledger import LedgerRow
from ..._store.snapshot import BatchState, Progress
from ...errors import DatabaseError, MigrationFailed
from ..messages import migration_failed, windows_stay
from ..under_way import TracesAhead
from .recovery import read_traces
from .run import Run


class Recorded(Enum):
    """What the run state says of the segment that comes next; see the table above."""

    DONE = "done"
    INTENT = "intent"


class ScriptRecord:
    """The record of one script.

    Args:
        run: The run.
        prepared: The script, its direction and its statements.
        recorded: What the run state says of its first segment.
        following: The next script, if the intent of its first segment may be recorded with this one's end.
        row: Its ledger row, if it is to be reverted and nothing of that was done yet.

    Attributes:
        recorded: What the run state says of the segment that comes next.
    """

    def __init__(
        self,
        run: Run,
        prepared: Prepared,
        *,
        recorded: Recorded,
        following: Prepared | None = None,
        row: LedgerRow | None = None,
    ) -> None:
        self.recorded = recorded
        self._run = run
        self._prepared = prepared
        self._step = prepared.step
        self._following = following
        self._row = row
        self._fingerprint = Fingerprint(prepared.statements)
        self._started = time.monotonic()

    def unchanged(self, count: int, done_hash: str | None) -> bool:
        """Whether the first statements are the ones that were recorded."""
        if count > len(self._prepared.statements):
            return False
        return done_hash is None or self._fingerprint.of(count) == done_hash

    def intend(self, segment: Segment) -> None:
        """Record that a segment is in flight, unless that is recorded."""
        if self.recorded is Recorded.DONE:
            self._save(self.progress(segment.start, segment))
            self.recorded = Recorded.INTENT

    def mark(self, segment: Segment, following: Segment | None) -> Command:
        """The write that a segment is done, with the next one's intent where that has one.

        Where the catalogs are read for evidence, that is done just before the statement is sent, in the
        session as the script has set it by then; such an intent is not recorded here.
        """
        if following is not None and self._questions(following):
            following = None
        progress = self.progress(segment.end, following)
        self.recorded = Recorded.INTENT if progress.in_flight else Recorded.DONE
        return fenced.save_progress(self._run.store.tables, self._run.lease, progress)

    def end(self, segment: Segment, following: Segment | None, *, last: bool) -> None:
        """Record that a segment sent alone is done, with the next intent where there is one.

        What the catalogs are asked before the next segment is asked in the same round trip: nothing is sent
        in between.

        Args:
            segment: The segment.
            following: The next one of the script that is not settings only.
            last: Whether it is the script's last segment: the ledger moves.
        """
        write = (self.complete() if last else self.mark(segment, following))
        if last:
            upcoming = self._following and _first(self._following, self._run.server)
        else:
            upcoming = following if following and following.start == segment.end else None
        questions = self._questions(upcoming) if upcoming else ()
        if not upcoming or not questions:
            self._run.write(write)
            return
        answers = self._run.write_and_ask(write, questions)
        statement = upcoming.statements[0]
        self._run.traces_ahead = TracesAhead(statement, introspection.found_traces(answers))

    def mark_script(self, segment: Segment) -> Command:
        """The write, in a script's transaction, that it committed: its schema changes may still fail."""
        progress = self.progress(segment.end, segment)
        return fenced.save_committed(self._run.store.tables, self._run.lease, progress)

    def _questions(self, segment: Segment) -> tuple[Command, ...]:
        """What the catalogs are asked before a segment is sent, to know later whether it took effect."""
        if segment.sending is not Sending.AUTOCOMMIT:
            return ()
        return introspection.traces(self._run.server, segment.statements[0])

    def _traces(self, statement: Statement) -> list[Trace] | None:
        """What the catalogs show just before a statement is sent."""
        ahead, self._run.traces_ahead = self._run.traces_ahead, None
        if ahead is not None and ahead.statement is statement:
            return ahead.traces
        return read_traces(self._run, statement)

    def begin_batch(self, segment: Segment, state: BatchState) -> Command:
        """The write that a statement begins to run in batches: it must not change from now on."""
        progress = replace(self.progress(segment.start, None), batch=state)
        self.recorded = Recorded.DONE
        return fenced.save_progress(self._run.store.tables, self._run.lease, progress)

    def fail_batch(
        self,
        statement: Statement,
        error: DatabaseError,
        done: int,
        windows: int,
        *,
        is_smallest: bool = False,
    ) -> MigrationFailed:
        """Record that a window failed; the windows before it stay done. The error to raise.

        Args:
            statement: The statement.
            error: What the server said.
            done: How many statements of the script are done.
            windows: How many windows of this one are.
            is_smallest: Whether larger windows were refused before, and this one had one row.
        """
        run = self._run
        left = windows_stay(windows) if windows else None
        if is_smallest:
            left = " ".join(filter(None, ("This window had a single row, so no size helps.", left)))
        failed = self.failure(statement, error, done, done + 1, left)
        run.write(fenced.save_error(run.store.tables, run.lease, str(error)))
        return failed

    def complete(self, *, in_transaction: bool = False) -> Command:
        """The ledger's move, with the next script's first intent where there is one."""
        run = self._run
        intent: Progress | None = None
        if self._following is not None:
            intent = ScriptRecord(
                run, self._following, recorded=Recorded.DONE
            ).first_intent()
        self.recorded = Recorded.DONE if intent is None else Recorded.INTENT
        return fenced.complete(
            run.store.tables,
            run.lease,
            self._step.script,
            self._step.direction,
            milliseconds=int((time.monotonic() - self._started) * 1000),
            in_transaction=in_transaction,
            following=intent,
        )

    def first_intent(self) -> Progress | None:
        """What to record before the script's first segment, where the script before may do so."""
        first = _first(self._prepared, self._run.server)
        if first is None or first.sending is not Sending.AUTOCOMMIT or self._questions(first):
            return None
        return self.progress(0, first)

    def progress(
        self, done: int, following: Segment | None, error: str | None = None
    ) -> Progress:
        """The run state once `done` statements are, with the intent of the segment after them."""
        in_flight = following is not None and following.sending.has_intent
        guarded = following.end if following is not None and in_flight else done
        traces: str | None = None
        if following is not None and following.sending is Sending.AUTOCOMMIT:
            found = self._traces(following.statements[0])
            traces = None if found is None else evidence.fingerprints(found)
        return Progress(
            version=self._step.version,
            script=self._step.script.repeatable,
            direction=self._step.direction,
            done=done,
            in_flight=in_flight,
            done_hash=self._fingerprint.of(guarded),
            sent_by=self._run.session.name if in_flight else None,
            sent_session=self._run.session.session_id if in_flight else None,
            sent_user=self._run.name_context.user if in_flight else None,
            evidence=traces,
            error=error,
            checkpoint=self._step.script.checkpoint is not None,
        )

    def fail(
        self,
        statement: Statement | None,
        error: DatabaseError,
        done: int,
        *,
        number: int = 0,
        left: str | None = None,
    ) -> MigrationFailed:
        """Record that a statement failed and the ones before it are done; the error to raise.

        Args:
            statement: The statement; None means the transaction's COMMIT.
            error: What the server said.
            done: How many statements are done.
            number: Which statement it is, from 1; 0 means the one after those.
            left: What of the statement took effect all the same, in a sentence.
        """
        run, tables = self._run, self._run.store.tables
        failed = self.failure(statement, error, done, number or done + 1, left)
        taken_out = self._step.direction is Direction.DOWN and self._row is None
        if done or taken_out:
            self._save(self.progress(done, None, str(error)))
        else:
            run.write(fenced.clear_progress(tables, run.lease, str(error), still=self._row))
        return failed

    def failure(
        self,
        statement: Statement | None,
        error: DatabaseError,
        done: int,
        number: int,
        left: str | None = None,
    ) -> MigrationFailed:
        """The error for a statement that failed; records nothing."""
        return migration_failed(
            self._step,
            statement,
            error,
            number=number,
            done=done,
            total=len(self._prepared.statements),
            jobs=self._run.jobs_seen,
            left=left,
            lock_wait=self._run.locks.failure(error, statement),
        )

    def partially_committed(self, segment: Segment, error: DatabaseError) -> None:
        """Record that a whole script was committed and a schema change in it then failed."""
        self._save(self.progress(segment.end, segment, str(error)))

    def _save(self, progress: Progress) -> None:
        run = self._run
        run.write(fenced.save_progress(run.store.tables, run.lease, progress))


def _first(prepared: Prepared, server: Server) -> Segment | None:
    """The first segment of a script that is sent from its beginning."""
    cut = segments(prepared.statements, prepared.mode, server)
    return cut[0] if cut else None
