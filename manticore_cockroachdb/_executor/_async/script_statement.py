"""Sends a statement alone: its intent is recorded before, and its end after."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..._backend import leftovers
from ..._backend.jobs import JobState, described
from ..._planner.decisions import Action, after_others, alone_unknown, proves_done
from ..._planner.segments import Prepared, Segment
from ..._sql.statement import Statement, has_if_exists, makes_no_job
from ..._store.snapshot import Progress
from ...errors import ConnectionLost, DatabaseError, MigrationFailed
from ...events import Reconciled, StatementFinished, StatementStarted, Warned
from ..job_messages import job_failed
from ..under_way import UnderWay
from .leftovers import AsyncLeftovers
from .recovery import async_await_others
from .recovery import outcome_unknown as statement_unknown
from .run import AsyncRun
from .script_record import AsyncScriptRecord
from .supervision import async_run_statement


class AsyncScriptStatements:
    """The statements of one script that are sent alone.

    Args:
        run: The run it is part of.
        prepared: The script, its direction and its statements.
        record: What the tables say of it.
    """

    def __init__(self, run: AsyncRun, prepared: Prepared, record: AsyncScriptRecord) -> None:
        self._run = run
        self._record = record
        self._step = prepared.step
        self._statements = prepared.statements

    async def send_segment(
        self,
        segment: Segment,
        following: Segment | None,
        sent_before: Progress | None,
        *,
        last: bool,
    ) -> None:
        """Send a statement alone, with its intent recorded before and its end after."""
        await self._record.intend(segment)
        await self._send(segment, sent_before)
        await self._record.end(segment, following, last=last)

    async def _send(self, segment: Segment, sent_before: Progress | None) -> None:
        run = self._run
        (statement,) = segment.statements
        number, total = segment.start + 1, len(self._statements)
        run.emit(StatementStarted(self._step, statement, number, total))
        run.session_touched |= segment.changes_session(run.server.kind)
        began = time.monotonic()
        rows: int | None = None
        where, place = self._step.where(statement), UnderWay(self._step, segment.start).place
        left = AsyncLeftovers(
            run,
            self._step,
            self._statements,
            segment.start,
            sent_before=sent_before is not None,
        )
        while True:
            try:
                if await left.settle():
                    break
                rows = await async_run_statement(run, self._step, self._statements, segment.start)
            except ConnectionLost:
                raise
            except DatabaseError as error:
                still_left = await left.settle_after_failure()
                if not leftovers.runs_code(statement) and (
                    await run.tries_again(error, place, where)
                    or await run.waits_for_lock(error, self._step, statement, place)
                ):
                    continue
                if alone_unknown(error.sqlstate, run.server):
                    raise ConnectionLost(str(error), sqlstate=error.sqlstate) from error
                # The error of a second sending may say that the first one took effect.
                if sent_before is None or not proves_done(statement, error.sqlstate, str(error)):
                    raise await self._failed(segment, error, still_left) from error
                # "Exists" proves nothing while a job on it is not at its end: that may be a failure.
                if await async_await_others(run, self._step, statement):
                    continue
                if await left.await_valid():
                    self._emit_done(statement, error)
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

    def _emit_done(self, statement: Statement, error: DatabaseError) -> None:
        finding = f"the server reported on the second attempt: {error}"
        self._run.emit(Reconciled(self._step, statement, finding))
        self._run.emit(
            Warned(
                f"{self._step.where(statement)}: treated as applied, because {finding}. If the object "
                "existed before the script ran, check it."
            )
        )

    async def _was_cut_short(self, statement: Statement) -> bool:
        """Whether to send it again: IF [NOT] EXISTS was answered while the object was being changed.

        Somebody's change of that very object may yet fail and vanish, so its end is waited for.
        """
        run = self._run
        if not run.server.has_jobs or not has_if_exists(statement) or makes_no_job(statement):
            return False
        ended = await async_await_others(run, self._step, statement, conditional_only=True)
        if not ended:
            return False
        action = after_others(statement, ended, run.name_context)
        if action is Action.ASK:
            jobs = "; ".join(described(job) for job in ended)
            raise statement_unknown(
                self._step,
                statement,
                "was answered while another schema change of the same object ran, which then did not leave "
                f"it as this statement wants it ({jobs})",
            )
        return action is Action.SEND
