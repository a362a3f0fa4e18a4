"""Runs one script segment by segment, so that the run state is true at every moment in between.

Where a script is entered is decided in `_planner.entry`, and what is recorded when in `script_record`. Here
segments are sent, and their errors are read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ..._backend import leftovers
from ..._backend.dialect import PARTIALLY_COMMITTED
from ..._backend.job_match import undoes
from ..._backend.jobs import JobState, described
from ..._backend.protocol import COMMIT, Command, Refusal, Result
from ..._planner.batch_progress import statement_fingerprint
from ..._planner.cursor import RunCursor
from ..._planner.decisions import alone_unknown, outcome_unknown, proves_done
from ..._planner.entry import Entry, entry_point
from ..._planner.segments import Prepared, Segment, Sending, replay, segments
from ..._scripts.script import Mode
from ..._sql.schema_change import Repeat
from ..._sql.session_effects import defers_constraints, leaves, session_wide, sets_inside_block
from ..._sql.statement import (
    Kind,
    Statement,
    has_if_exists,
    makes_no_job,
    repeatable,
    rows_changed,
)
from ..._store import fenced
from ..._store.snapshot import BatchState, Progress
from ..._store.transactions import Placed, begin, lock_state, with_write
from ...errors import ConnectionLost, DatabaseError, MigrationFailed, PlanRefused, Problem
from ...events import (
    Reconciled,
    StatementFinished,
    StatementStarted,
    TransactionFinished,
    TransactionStarted,
    Warned,
)
from ..job_messages import job_failed
from ..messages import partially_committed, windows_done
from ..under_way import UnderWay, located
from .batch import AsyncBatchedStatement
from .leftovers import AsyncLeftovers
from .recovery import (
    async_await_others,
    async_await_own,
    async_await_session,
    async_recover,
)
from .recovery import (
    outcome_unknown as statement_unknown,
)
from .run import AsyncRun
from .script_record import AsyncScriptRecord


class AsyncScript:
    """One script on its way.

    Args:
        run: The run it is part of.
        prepared: The script, its direction and its statements; its mode is STEPWISE or AUTOCOMMIT, or
            ATOMIC where the server cannot do that in one transaction with the ledger.
        record: What the tables say of it.
    """

    def __init__(self, run: AsyncRun, prepared: Prepared, record: AsyncScriptRecord) -> None:
        self._run = run
        self._record = record
        self._prepared = prepared
        self._step = prepared.step
        self._statements = prepared.statements

    async def run(self, cursor: RunCursor) -> None:
        """Run what is left of it and move the ledger.

        Args:
            cursor: What is recorded of it.
        """
        done, sent_before = await self._enter(cursor)
        left = segments(self._statements, self._prepared.mode, self._run.server, start=done)
        self._warn_of_blocks(done)
        for index, segment in enumerate(left):
            last = index + 1 == len(left)
            following = next(
                (s for s in left[index + 1 :] if s.sending is not Sending.SESSION), None
            )
            match segment.sending:
                case Sending.SESSION:
                    await self._send_session(segment)
                case Sending.TRANSACTION:
                    await self._send_transaction(segment, following, last=last)
                case Sending.SCRIPT_TRANSACTION:
                    await self._send_script(segment)
                case Sending.BATCH:
                    await self._send_batch(segment, following, cursor.resume, last=last)
                case Sending.AUTOCOMMIT:
                    await self._send_recorded(segment, following, sent_before, last=last)
                    sent_before = None
        if not left or left[-1].sending is Sending.SESSION:
            await self._run.write(await self._record.complete())

    # Where it goes on.

    async def _enter(self, cursor: RunCursor) -> tuple[int, Progress | None]:
        """Bring the session to where the script goes on, and find out what became of what was in flight.

        Returns:
            How many statements are done; and, where the next one was sent before, the record of that.
        """
        run, resume = self._run, cursor.resume
        mode = self._prepared.mode
        at = entry_point(self._statements, mode, run.server, resume, intended=cursor.intended)
        if resume is None:
            return 0, None
        if not self._record.unchanged(at.guarded, resume.done_hash):
            raise self._changed(at.guarded)
        if resume.batch is not None and resume.batch.windows:
            self._check_batch(resume.batch, at.done)
        await self._send_settings(replay(self._statements, at.start), resumed_at=at.done)
        match at.entry:
            case Entry.NOT_MARKED:
                await async_await_session(run, resume)
            case Entry.MARKED:
                await self._await_own_jobs(resume)
            case Entry.UNKNOWN if at.segment is not None:
                if await async_recover(run, self._step, at.segment.statements[0], resume):
                    return at.segment.end, None
                return at.start, resume
        return at.start, None

    async def _await_own_jobs(self, resume: Progress) -> None:
        """A whole script whose transaction was committed: its jobs say how it ended."""
        await async_await_session(self._run, resume)
        if resume.error is not None:
            raise partially_committed(self._step, resume.error, None)
        if not await async_await_own(self._run, self._step, self._statements, resume):
            raise partially_committed(self._step, "one of its schema-change jobs failed", None)

    def _changed(self, count: int) -> PlanRefused:
        step = self._step
        if count == 1:
            what, restore = (
                "its first statement, which is done or running, was changed",
                "Restore it",
            )
        else:
            what, restore = (
                f"its first {count} statements, which are done or running, were changed",
                "Restore them",
            )
        return PlanRefused(
            "Nothing was run",
            [
                Problem(
                    f"{step.called} is partially {step.direction.participle}, and {what}.",
                    path=step.path,
                    version=step.version or None,
                    hint=f"{restore}; later ones may be edited. Or record what is true with "
                    "manticore_resolve "
                    f"--applied {step.key} or --not-applied {step.key}.",
                )
            ],
        )

    def _check_batch(self, begun: BatchState, done: int) -> None:
        """Refuse to go on with a statement other than the one whose windows are done.

        Raises:
            PlanRefused: It was changed, or does not run in batches any more.
        """
        statement = self._statements[done] if done < len(self._statements) else None
        if (
            statement is not None
            and statement.batch is not None
            and begun.fingerprint.startswith(statement_fingerprint(statement))
        ):
            return
        step = self._step
        where = "its statement in batches" if statement is None else f"statement {done + 1}"
        problem = Problem(
            f"{step.called} is partially {step.direction.participle}, and {where}, of which "
            f"{windows_done(begun.windows)}, was changed.",
            path=step.path,
            line=statement.line if statement is not None else None,
            version=step.version or None,
            hint="Restore it and its batch= option; later ones may be edited. Or start it again from its "
            f"first row with manticore_resolve --restart-batch {step.key}: rows of the windows that are "
            "done are then changed again.",
        )
        raise PlanRefused("Nothing was run", [problem])

    # The ways to send a segment.

    async def _send_session(self, segment: Segment) -> None:
        """Send the settings of a segment, and tell of each."""
        total = len(self._statements)
        for number, statement in enumerate(segment.statements, segment.start + 1):
            self._run.emit(StatementStarted(self._step, statement, number, total))
            began = time.monotonic()
            await self._send_settings((statement,))
            seconds = time.monotonic() - began
            self._run.emit(StatementFinished(self._step, statement, number, total, seconds))

    async def _send_settings(
        self, statements: Sequence[Statement], *, resumed_at: int | None = None
    ) -> None:
        """Send settings; with `resumed_at`, those of a script that goes on after them: its record stays."""
        for statement in statements:
            number = 1 + next(i for i, s in enumerate(self._statements) if s is statement)
            while True:
                try:
                    self._run.session_touched = True
                    await self._run.session.run(session_wide(statement))
                except DatabaseError as error:
                    if await self._tries_again(error, number - 1, self._where(statement)):
                        continue
                    if outcome_unknown(error.sqlstate):
                        raise
                    if resumed_at is not None:
                        failed = self._record.failure(statement, error, resumed_at, number)
                    else:
                        failed = await self._record.fail(statement, error, number - 1)
                    raise failed from error
                break
        if statements:
            await self._run.read_name_context()

    async def _send_transaction(
        self, segment: Segment, following: Segment | None, *, last: bool
    ) -> None:
        """Send a segment that shares a transaction with its mark, or with the ledger's row."""
        run = self._run
        tables, lease = run.store.tables, run.lease
        opening = begin(run.server, self._step.script.isolation)
        limits = run.lock_limits(self._step, self._statements, segment.start, segment.end)
        statements: list[Placed] = []
        for setting, each in zip(limits.settings, segment.statements, strict=True):
            if setting is not None:
                statements.append(Placed(setting, ours=True))
            statements.append(Placed(Command(session_wide(each), discards=True)))
        mark = await self._record.mark(segment, following) if not last else None
        if run.server.serializable_only:
            # The first write of ours keeps other runners out.
            hold = mark or fenced.renew_lease(tables, lease)
            last_write = None
        else:
            hold, last_write = lock_state(tables), mark
        if mark is None:
            last_write = await self._record.complete(in_transaction=True)
        state, touched = run.session.state, run.session_touched
        run.session_touched |= self._touches(segment)
        first = state.inside(hold) if touched else (hold,)
        final: tuple[Command, ...] = () if last_write is None else (last_write,)
        if final and run.session_touched:
            final = state.at_end(*final)
        opened = (opening, *first, *self._deferrals(segment))
        commands = [
            *(Placed(command, True) for command in opened),
            *statements,
            *(Placed(command, True) for command in final),
            Placed(COMMIT),
        ]
        number, total = segment.start + 1, len(self._statements)
        run.emit(TransactionStarted(self._step, segment.statements, number, total))
        began = time.monotonic()
        rows = await self._send_commands(segment, commands, limits.seconds)
        seconds = time.monotonic() - began
        run.emit(TransactionFinished(self._step, segment.statements, number, total, seconds, rows))
        if any(each.kind is Kind.SESSION for each in segment.statements):
            await run.read_name_context()

    async def _send_script(self, segment: Segment) -> None:
        """Send a whole script as one transaction, on a server whose schema changes outlive that."""
        run = self._run
        await run.allow_schema_changes_in_transactions()
        await self._record.intend(segment)
        run.session_touched = True
        mark = await self._record.mark_script(segment)
        placed = [
            Placed(command, each.ours)
            for each in with_write(segment.statements, mark)
            for command in (run.session.state.inside(mark) if each.ours else (each.command,))
        ]
        # COMMIT waits for the schema changes, and others are no longer kept out then: the answers before it
        # say when that begins.
        placed[-1] = replace(placed[-1], command=replace(placed[-1].command, flushes=True))
        await self._send_commands(
            segment, [Placed(begin(run.server), True), *placed, Placed(COMMIT)], renews=True
        )
        await run.write(await self._record.complete())

    async def _send_commands(
        self,
        segment: Segment,
        commands: Sequence[Placed],
        limits: Sequence[float | None] = (),
        *,
        renews: bool = False,
    ) -> tuple[int | None, ...]:
        """Send a segment's transaction, again and again on 40001 and where a lock was not granted.

        Args:
            segment: The segment.
            commands: The transaction.
            limits: Seconds that its statements wait for a lock at most.
            renews: Whether the lease is renewed while COMMIT is under way.

        Returns:
            How many rows each statement changed; None for one that changes none.
        """
        run = self._run
        # Of each command: how many of the segment's statements come before it.
        before = [sum(not each.ours for each in commands[:n]) for n in range(len(commands))]

        def under_way(answered: int) -> UnderWay:
            at = min(answered, len(commands) - 1)
            if renews and answered == len(commands) - 1:
                return UnderWay(self._step, segment.start, committed=segment.statements)
            statement = None
            if not commands[at].ours and before[at] < len(segment.statements):
                statement = segment.statements[before[at]]
            return UnderWay(self._step, segment.start, statement)

        def locate(text: str) -> UnderWay | None:
            each = (UnderWay(self._step, segment.start, s) for s in segment.statements)
            return located(text, each)

        rows: list[int | None] = []

        def answered(number: int, result: Result) -> None:
            if not commands[number].ours and before[number] < len(segment.statements):
                rows.append(rows_changed(segment.statements[before[number]], result.tag))

        while True:
            rows.clear()
            refusal = await run.run_transaction(
                [each.command for each in commands],
                under_way,
                answered,
                renew=lambda answered: renews and answered == len(commands) - 1,
                locate=locate,
                limits=limits,
            )
            if refusal is None:
                return tuple(rows)
            what = f"{self._step.path.name}, a transaction"
            if await self._tries_again(refusal.error, segment.start, what):
                continue
            refused = under_way(refusal.index)
            if await run.waits_for_lock(
                refusal.error, self._step, refused.statement, refused.place
            ):
                continue
            raise await self._refused(segment, refusal, commands, before) from refusal.error

    async def _refused(
        self, segment: Segment, refusal: Refusal, commands: Sequence[Placed], before: list[int]
    ) -> Exception:
        """The error for a transaction that was refused; what is true is recorded."""
        error = refusal.error
        at = refusal.index
        if at < len(commands) and commands[at].ours and error.sqlstate is not None:
            why = await self._run.why_refused(error, self._step, committed=segment.start > 0)
            if why is not error:
                return why
        if outcome_unknown(error.sqlstate):
            return ConnectionLost(str(error), sqlstate=error.sqlstate)
        if error.sqlstate == PARTIALLY_COMMITTED:
            await self._record.partially_committed(segment, error)
            return partially_committed(self._step, str(error), error.sqlstate)
        if at < len(commands) and not commands[at].ours and before[at] < len(segment.statements):
            number = segment.start + before[at] + 1
            statement = segment.statements[before[at]]
            return await self._record.fail(statement, error, segment.start, number=number)
        return await self._record.fail(None, error, segment.start)

    async def _send_batch(
        self, segment: Segment, following: Segment | None, resume: Progress | None, *, last: bool
    ) -> None:
        """Send a statement in batches; its last window shares a transaction with its mark."""
        begun = resume if resume is not None and resume.done == segment.start else None
        batch = AsyncBatchedStatement(
            self._run,
            self._step,
            segment,
            self._record,
            following=following,
            last=last,
            statements=self._statements,
        )
        await batch.run(begun)

    async def _send_recorded(
        self,
        segment: Segment,
        following: Segment | None,
        sent_before: Progress | None,
        *,
        last: bool,
    ) -> None:
        """Send a statement by itself, with its intent recorded before and its end after."""
        await self._record.intend(segment)
        await self._send_by_itself(segment, sent_before)
        await self._record.end(segment, following, last=last)

    # A statement sent by itself.

    async def _send_by_itself(self, segment: Segment, sent_before: Progress | None) -> None:
        run = self._run
        (statement,) = segment.statements
        number, total = segment.start + 1, len(self._statements)
        run.emit(StatementStarted(self._step, statement, number, total))
        run.session_touched |= self._touches(segment)
        began = time.monotonic()
        rows: int | None = None
        where = self._where(statement)
        left = AsyncLeftovers(run, statement, where, sent_before is not None)
        while True:
            try:
                if await left.settle():
                    break
                rows = await run.run_statement(self._step, self._statements, segment.start)
            except ConnectionLost:
                raise
            except DatabaseError as error:
                still_left = await left.settle_after_failure()
                if not leftovers.runs_code(statement) and (
                    await self._tries_again(error, segment.start, where)
                    or await run.waits_for_lock(
                        error, self._step, statement, UnderWay(self._step, segment.start).place
                    )
                ):
                    continue
                if not self._says_done(statement, error, sent_before):
                    raise await self._failed(segment, error, still_left) from error
                # "Exists" proves nothing while a job on it is not at its end: that may be a failure.
                if await async_await_others(run, self._step, statement):
                    continue
                if await left.await_valid():
                    self._tell_done(statement, error)
                    break
                continue
            if not await self._was_cut_short(statement) and await left.await_valid():
                break
        seconds = time.monotonic() - began
        run.emit(StatementFinished(self._step, statement, number, total, seconds, rows))

    async def _failed(
        self, segment: Segment, error: DatabaseError, left: Sequence[leftovers.Leftover]
    ) -> MigrationFailed:
        (statement,) = segment.statements
        for job in await self._run.ended_jobs(statement):
            if job.state is JobState.BLOCKED:
                return job_failed(self._step, statement, job)
        what_is_left = None
        if left:
            what_is_left = leftovers.described(left)
        elif leftovers.may_commit_parts(statement):
            what_is_left = "What the statement had committed before it failed stays committed."
        return await self._record.fail(statement, error, segment.start, left=what_is_left)

    def _says_done(
        self, statement: Statement, error: DatabaseError, sent_before: Progress | None
    ) -> bool:
        """Whether the error of a second sending says that the first one took effect."""
        if alone_unknown(error.sqlstate, self._run.server):
            raise ConnectionLost(str(error), sqlstate=error.sqlstate) from error
        return sent_before is not None and proves_done(statement, error.sqlstate, str(error))

    def _tell_done(self, statement: Statement, error: DatabaseError) -> None:
        finding = f"the server reported on the second attempt: {error}"
        self._run.emit(Reconciled(self._step, statement, finding))
        self._run.emit(
            Warned(
                f"{self._where(statement)}: treated as applied, because {finding}. If the object existed "
                "before the script ran, check it."
            )
        )

    async def _was_cut_short(self, statement: Statement) -> bool:
        """Whether to send it again: IF [NOT] EXISTS was answered while the object was being changed.

        Somebody's change of that very object may yet fail and vanish, so its end is waited for. What the
        statement does besides is done, and only what bears being done twice is sent again.
        """
        run = self._run
        if not run.server.has_jobs or not has_if_exists(statement) or makes_no_job(statement):
            return False
        ended = await async_await_others(run, self._step, statement, conditional_only=True)
        if not ended:
            return False
        kind = repeatable(statement)
        if kind is Repeat.SAFE:
            return True
        if all(
            job.state is JobState.SUCCEEDED and not undoes(job, statement, run.name_context)
            for job in ended
        ):
            return False
        if kind is Repeat.DESTRUCTIVE:
            return True
        jobs = "; ".join(described(job) for job in ended)
        raise statement_unknown(
            self._step,
            statement,
            "was answered while another schema change of the same object ran, which then did not leave it "
            f"as this statement wants it ({jobs})",
        )

    async def _tries_again(self, error: DatabaseError, done: int, what: str) -> bool:
        place = UnderWay(self._step, done).place
        return await self._run.tries_again(error, place, what)

    def _touches(self, segment: Segment) -> bool:
        """Whether a segment may leave the session other than it was."""
        kind = self._run.server.kind
        return any(leaves(statement, kind) for statement in segment.statements)

    def _deferrals(self, segment: Segment) -> tuple[Command, ...]:
        """SET CONSTRAINTS holds for one transaction: what came before is sent again in each of them."""
        before = (s for s in self._statements[: segment.start] if defers_constraints(s))
        return tuple(Command(statement.text) for statement in before)

    def _warn_of_blocks(self, done: int) -> None:
        """A setting that a DO block makes for its transaction ends with the block."""
        if self._prepared.mode is Mode.ATOMIC:
            return
        for statement in self._statements[done:]:
            if sets_inside_block(statement):
                self._run.emit(
                    Warned(
                        f"{self._where(statement)}: what this DO block sets for its transaction "
                        "(SET LOCAL, set_config(…, true)) ends with the block: in "
                        f"mode={self._prepared.mode.value} a script is more than one transaction. Set "
                        "what later statements need outside the block."
                    )
                )

    def _where(self, statement: Statement) -> str:
        return f"{self._step.path.name}:{statement.line}"
