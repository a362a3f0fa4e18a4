"""Runs one script segment by segment, so that the run record is true at every moment in between.

Before a statement is sent by itself the record says "in flight", after it "done"; done and the next
statement's intent are one write. Segments of rows carry their mark in their own transaction. The last
mark, the ledger's row and the next script's intent are one write too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..._backend import introspection
from ..._backend.dialect import PARTIALLY_COMMITTED
from ..._backend.job_match import undoes
from ..._backend.jobs import JobState, described
from ..._backend.protocol import BEGIN, COMMIT, Command, Refusal
from ..._planner import evidence
from ..._planner.decisions import alone_unknown, outcome_unknown, proves_done
from ..._planner.plan import Step
from ..._planner.segments import Fingerprint, Prepared, Segment, Sending, prepare, replay, segments
from ..._scripts.direction import Direction
from ..._sql.schema_change import Repeat
from ..._sql.statement import Kind, Statement, has_if_exists, makes_no_job, repeatable
from ..._store import run_state
from ..._store.ledger import LedgerRow
from ..._store.run_state import Progress
from ...errors import ConnectionLost, DatabaseError, MigrationFailed, PlanRefused, Problem
from ...events import Reconciled, StatementFinished, StatementStarted, Warned
from ..messages import migration_failed, partially_committed
from .recovery import (
    async_await_others,
    async_await_own,
    async_await_session,
    async_read_traces,
    async_recover,
)
from .recovery import outcome_unknown as statement_unknown
from .run import AsyncRun, job_failed
from .store import lease_lost


class AsyncStepwise:
    """One script on its way.

    Args:
        run: The run it is part of.
        prepared: The script, its direction and its statements; its mode is STEPWISE, or ATOMIC where the
            server cannot do that in one transaction with the ledger.
        behind: The step that comes next, if its first intent may be recorded with this one's end.
        row: Its ledger row as it was, if it is to be reverted and nothing of that was done yet.
    """

    def __init__(
        self,
        run: AsyncRun,
        prepared: Prepared,
        *,
        behind: Step | None = None,
        row: LedgerRow | None = None,
    ) -> None:
        self._run = run
        self._behind = behind
        self._row = row
        self._step = prepared.step
        self._statements = prepared.statements
        self._fingerprint = Fingerprint(prepared.statements)
        self._mode = prepared.mode
        self._intended = self._following = False
        self._sent_before: Progress | None = None
        self._started = time.monotonic()

    async def go(self, resume: Progress | None, *, intended: bool) -> bool:
        """Run what is left of it and move the ledger.

        Args:
            resume: What an earlier run left half done of it.
            intended: The first statement's intent is recorded already, by this run.

        Returns:
            Whether the next step's first intent was recorded with the ledger's row.
        """
        self._intended = intended
        done = await self._resumed(resume) if resume is not None else 0
        left = self._cut(done)
        self._started = time.monotonic()
        for index, segment in enumerate(left):
            last = index + 1 == len(left)
            behind = next((s for s in left[index + 1 :] if s.sending is not Sending.SESSION), None)
            if segment.sending is Sending.SESSION:
                await self._session(segment.statements)
            elif segment.sending is Sending.TRANSACTION:
                await self._transaction(segment, behind, last=last)
            elif segment.sending is Sending.SCRIPT_TRANSACTION:
                await self._whole(segment)
            else:
                await self._alone(segment, behind, last=last)
        if not left or left[-1].sending is Sending.SESSION:
            await self._run.write(await self._finish())
        return self._following

    async def first_intent(self) -> Progress | None:
        """What to record before the script's first statement, where the script before may do so."""
        cut = self._cut(0)
        if not cut or cut[0].sending is not Sending.AUTOCOMMIT:
            return None
        return await self._progress(0, cut[0], through=0)

    # Segments, in the order of their law's strictness.

    async def _session(self, statements: Sequence[Statement], *, done: int | None = None) -> None:
        """Send settings; with `done`, those of a script that goes on behind them: its record stays."""
        for statement in statements:
            attempt = 0
            while True:
                attempt += 1
                try:
                    await self._run.session.run(statement.text)
                except DatabaseError as error:
                    if await self._run.tries_again(error, attempt, self._where(statement)):
                        continue
                    if outcome_unknown(error.sqlstate):
                        raise
                    place = next(i for i, s in enumerate(self._statements) if s is statement)
                    if done is not None:
                        raise self._failure(statement, error, done, place + 1) from error
                    raise await self._failed(statement, error, place) from error
                break
        if statements:
            await self._run.read_name_context()

    async def _transaction(self, segment: Segment, behind: Segment | None, *, last: bool) -> None:
        run = self._run
        tables, lease = run.store.tables, run.lease
        intended = False
        if last:
            mark = run_state.renew_lease(tables, lease)
            tail: tuple[Command, ...] = (await self._finish(in_transaction=True), COMMIT)
        else:
            progress = await self._progress(segment.end, behind, through=segment.start)
            mark = run_state.save_progress(tables, lease, progress)
            tail = (COMMIT,)
            intended = progress.in_flight
        await self._in_transaction(segment, (BEGIN, mark), tail)
        self._intended = intended
        if any(statement.kind is Kind.SESSION for statement in segment.statements):
            await run.read_name_context()

    async def _alone(self, segment: Segment, behind: Segment | None, *, last: bool) -> None:
        run = self._run
        (statement,) = segment.statements
        if not self._intended:
            progress = await self._progress(segment.start, segment, through=segment.start)
            await run.write(run_state.save_progress(run.store.tables, run.lease, progress))
        self._intended = False
        await self._send_alone(segment, statement)
        if last:
            await run.write(await self._finish())
            return
        progress = await self._progress(segment.end, behind, through=segment.end)
        await run.write(run_state.save_progress(run.store.tables, run.lease, progress))
        self._intended = progress.in_flight

    async def _send_alone(self, segment: Segment, statement: Statement) -> None:
        run = self._run
        number, total = segment.start + 1, len(self._statements)
        run.emit(StatementStarted(self._step, statement, number, total))
        began = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                await run.run_statement(self._step, statement)
            except ConnectionLost:
                raise
            except DatabaseError as error:
                if await self._run.tries_again(error, attempt, self._where(statement)):
                    continue
                if not self._says_done(statement, error):
                    for job in await run.ended_jobs(statement):
                        if job.state is JobState.BLOCKED:
                            raise job_failed(self._step, statement, job) from error
                    raise await self._failed(statement, error, segment.start) from error
                # "Exists" proves nothing while a job on it is not at its end: that may be a failure.
                if await async_await_others(run, self._step, statement):
                    continue
                self._tell_done(statement, error)
                break
            if not await self._was_cut_short(statement):
                break
        self._sent_before = None
        seconds = time.monotonic() - began
        run.emit(StatementFinished(self._step, statement, number, total, seconds))

    def _says_done(self, statement: Statement, error: DatabaseError) -> bool:
        """Whether the error of a second sending says that the first one took effect."""
        if alone_unknown(error.sqlstate, self._run.server):
            raise ConnectionLost(str(error), sqlstate=error.sqlstate) from error
        return self._sent_before is not None and proves_done(statement, error.sqlstate, str(error))

    def _tell_done(self, statement: Statement, error: DatabaseError) -> None:
        finding = f"sent again, the server says it is so already: {error}"
        self._run.emit(Reconciled(self._step, statement, finding))
        self._run.emit(
            Warned(
                f"{self._where(statement)}: taken for done because {finding}. If the object was there "
                "before the script ran, look at it."
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

    async def _whole(self, segment: Segment) -> None:
        run = self._run
        tables, lease = run.store.tables, run.lease
        await run.allow_schema_changes_in_transactions()
        sent = await self._progress(segment.start, segment, through=segment.start)
        await run.write(run_state.save_progress(tables, lease, sent))
        sent = await self._progress(segment.end, segment, through=segment.end)
        mark = run_state.save_progress(tables, lease, sent)
        await self._in_transaction(segment, (BEGIN, mark), (COMMIT,))
        await run.write(await self._finish())

    async def _in_transaction(
        self, segment: Segment, head: tuple[Command, ...], tail: tuple[Command, ...]
    ) -> None:
        """Send a segment between two lists of our own commands, again and again on 40001."""
        run = self._run
        commands = (*head, *(Command(s.text) for s in segment.statements), *tail)
        attempt = 0
        while True:
            attempt += 1
            refusal = await run.run_transaction(self._step, commands)
            if refusal is None:
                return
            error = refusal.error
            if await self._run.tries_again(
                error, attempt, f"{self._step.path.name}, a transaction"
            ):
                continue
            raise await self._refused(segment, refusal, len(head), len(tail)) from error

    async def _refused(self, segment: Segment, refusal: Refusal, head: int, tail: int) -> Exception:
        error = refusal.error
        place = refusal.index - head
        own = place < 0 or len(segment.statements) <= place < len(segment.statements) + tail - 1
        if own and error.sqlstate == run_state.LOST:
            return lease_lost()
        if outcome_unknown(error.sqlstate):
            return ConnectionLost(str(error), sqlstate=error.sqlstate)
        if error.sqlstate == PARTIALLY_COMMITTED:
            return await self._partially_committed(segment, error)
        if 0 <= place < len(segment.statements):
            number = segment.start + place + 1
            return await self._failed(segment.statements[place], error, segment.start, number)
        return await self._failed(None, error, segment.start)

    # What is recorded, and what is said.

    async def _progress(self, done: int, behind: Segment | None, *, through: int) -> Progress:
        """The record once `done` statements are, with the intent of the segment behind them.

        The intent is left out, and written when its time comes, where evidence is wanted and a statement
        before it may change what the catalogs show, or in which schema they are looked at.

        Args:
            done: How many statements are done.
            behind: The next segment that is recorded.
            through: How many statements the session has run by now.
        """
        in_flight = behind is not None and behind.sending in (
            Sending.AUTOCOMMIT,
            Sending.SCRIPT_TRANSACTION,
        )
        traces: str | None = None
        if behind is not None and behind.sending is Sending.AUTOCOMMIT:
            (statement,) = behind.statements
            between = self._statements[through : behind.start]
            in_flight = not introspection.traces(self._run.server, statement) or all(
                one.kind is Kind.DATA for one in between
            )
            found = await async_read_traces(self._run, statement) if in_flight else None
            traces = None if found is None else evidence.fingerprints(found)
        upto = behind.end if behind is not None and in_flight else done
        return Progress(
            version=self._step.version,
            direction=self._step.direction,
            done=done,
            in_flight=in_flight,
            done_hash=self._fingerprint.of(upto),
            sent_by=self._run.session.name if in_flight else None,
            evidence=traces,
        )

    async def _finish(self, *, in_transaction: bool = False) -> Command:
        """The ledger's move, with the next step's first intent where there is one."""
        run = self._run
        intent: Progress | None = None
        if self._behind is not None:
            prepared = prepare(self._behind, run.server, run.options.mode)
            if not prepared.one_transaction:
                intent = await AsyncStepwise(run, prepared).first_intent()
        self._following = intent is not None
        return run_state.complete(
            run.store.tables,
            run.lease,
            self._step.script,
            self._step.direction,
            milliseconds=int((time.monotonic() - self._started) * 1000),
            in_transaction=in_transaction,
            following=intent,
        )

    async def _failed(
        self, statement: Statement | None, error: DatabaseError, done: int, number: int = 0
    ) -> MigrationFailed:
        """Record that the statement failed and the ones before it are done; the error to raise."""
        run = self._run
        failed = self._failure(statement, error, done, number or done + 1)
        tables = run.store.tables
        taken_out = self._step.direction is Direction.DOWN and self._row is None
        if done or taken_out:
            progress = Progress(
                version=self._step.version,
                direction=self._step.direction,
                done=done,
                in_flight=False,
                done_hash=self._fingerprint.of(done),
                error=str(error),
            )
            await run.write(run_state.save_progress(tables, run.lease, progress))
        else:
            await run.write(
                run_state.clear_progress(tables, run.lease, str(error), still=self._row)
            )
        return failed

    def _failure(
        self, statement: Statement | None, error: DatabaseError, done: int, number: int
    ) -> MigrationFailed:
        return migration_failed(
            self._step,
            statement,
            error,
            number=number,
            done=done,
            total=len(self._statements),
            jobs=self._run.jobs_seen,
        )

    async def _partially_committed(self, segment: Segment, error: DatabaseError) -> MigrationFailed:
        """A whole script was committed and a schema change in it then failed: a person must look."""
        run = self._run
        progress = Progress(
            version=self._step.version,
            direction=self._step.direction,
            done=segment.end,
            in_flight=True,
            done_hash=self._fingerprint.of(segment.end),
            sent_by=run.session.name,
            error=str(error),
        )
        await run.write(run_state.save_progress(run.store.tables, run.lease, progress))
        return partially_committed(self._step, str(error), error.sqlstate)

    def _where(self, statement: Statement) -> str:
        return f"{self._step.path.name}:{statement.line}"

    # Going on where an earlier run, or an earlier connection, stopped.

    async def _resumed(self, resume: Progress) -> int:
        """Check what was done, bring the session there, settle what was in flight; how many are done."""
        run, done = self._run, resume.done
        cut = [s for s in self._cut(done) if s.sending is not Sending.SESSION]
        segment = cut[0] if resume.in_flight and cut else None
        start = segment.start if segment else done
        upto = segment.end if segment else done
        if done > len(self._statements) or (
            resume.done_hash is not None and self._fingerprint.of(upto) != resume.done_hash
        ):
            raise self._changed(upto)
        await self._session(replay(self._statements, start), done=done)
        if not resume.in_flight:
            return done
        if segment is None:
            return await self._resumed_whole(resume)
        if segment.sending is Sending.SCRIPT_TRANSACTION:
            # The mark inside the transaction is not there: it was not committed.
            await async_await_session(run, resume)
            return start
        if segment.sending is not Sending.AUTOCOMMIT:
            return start
        (statement,) = segment.statements
        if await async_recover(run, self._step, statement, resume):
            return segment.end
        self._sent_before = resume
        return start

    async def _resumed_whole(self, resume: Progress) -> int:
        """A whole script whose transaction was committed: its jobs say how it ended."""
        await async_await_session(self._run, resume)
        if resume.error is not None:
            raise partially_committed(self._step, resume.error, None)
        if not await async_await_own(
            self._run, self._step, self._statements, resume.sent_at or 0.0
        ):
            raise partially_committed(self._step, "one of its schema-change jobs failed", None)
        return resume.done

    def _changed(self, count: int) -> PlanRefused:
        version = self._step.version
        what = (
            "its first statement, which is done or under way, was changed. Restore it"
            if count == 1
            else f"among its first {count} statements, which are done or under way, something was "
            "changed. Restore them"
        )
        return PlanRefused(
            "Nothing was run",
            [
                Problem(
                    f"version {version} is half done ({self._step.direction.value}), and {what}; later "
                    "ones may be edited. Or say by hand what is true with resolve "
                    f"(--applied {version} or --not-applied {version}).",
                    path=self._step.path,
                    version=version,
                )
            ],
        )

    def _cut(self, start: int) -> tuple[Segment, ...]:
        return segments(self._statements, self._mode, self._run.server, start=start)
