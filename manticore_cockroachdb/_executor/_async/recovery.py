"""Finds out what became of a statement whose answer never came, and waits where waiting is the answer.

The same path after a crash and after a connection lost in mid-statement. The verdicts are `reconcile`'s;
here the server is asked, and the lease kept while waiting.
"""

from __future__ import annotations

import time
from dataclasses import replace

from psycopg import sql

from ..._backend import introspection, jobs
from ..._backend.jobs import Job, JobState
from ..._planner.decisions import Action, Decision, decide
from ..._planner.plan import Step
from ..._scripts.direction import Direction
from ..._sql.statement import Statement, summary
from ..._store.run_state import Progress, clear_progress, save_progress
from ...errors import LeaseTimeout, OutcomeUnknown
from ...events import JobsAwaited, Reconciled, SessionAwaited
from .. import concurrency
from .run import AsyncRun, job_failed
from .session import AsyncSession

_PAUSE = 0.5


async def async_recover(run: AsyncRun, step: Step, statement: Statement, sent: Progress) -> bool:
    """Settle a statement that was in flight.

    Returns:
        Whether it took effect; if not, it can be sent again.

    Raises:
        JobFailed: Its job failed, or stands still.
        OutcomeUnknown: Nothing tells, and sending it again could do it twice.
    """
    await async_await_session(run, sent)
    started = time.monotonic()
    while True:
        decision = await _decide(run, statement, sent)
        if decision.action is Action.WAIT:
            await _wait(run, step, decision.jobs, started)
            continue
        if decision.action is Action.BLOCKED:
            raise job_failed(step, statement, decision.jobs[-1])
        if decision.action is Action.REVERTED:
            await _record_undone(run, sent, decision)
            raise job_failed(step, statement, decision.jobs[-1])
        if decision.action is Action.ASK:
            raise _unknown(step, statement, decision)
        run.emit(Reconciled(step, statement, decision.reason))
        if decision.action is Action.SEND:
            await _drop_invalid(run, statement)
        return decision.action is Action.DONE


async def async_await_session(run: AsyncRun, sent: Progress) -> None:
    """A server may still be working for a runner that died: its session must be gone first.

    Raises:
        LeaseTimeout: It is still there after `lock_timeout`.
    """
    if sent.sent_by is None:
        return
    started = time.monotonic()
    while True:
        found = await run.session.send(introspection.sessions_named(run.server, sent.sent_by))
        if not found[0].rows:
            return
        session_id = found[0].rows[0][0]
        waited = time.monotonic() - started
        if waited > run.options.lock_timeout:
            end = introspection.how_to_end(run.server, session_id)
            raise LeaseTimeout(
                f"The session {session_id} ({sent.sent_by}) of the runner before this one is still "
                f"there after {waited:.0f} s; the server may still be working on version "
                f"{sent.version}. Let it end, or end it with {end}, and run again.",
                owner=sent.sent_by,
                waited=waited,
            )
        run.emit(SessionAwaited(sent.sent_by, session_id, waited))
        await run.renew_lease()
        await concurrency.async_sleep(min(_PAUSE, run.lease.seconds / 5))


async def async_await_others(run: AsyncRun, step: Step, statement: Statement) -> bool:
    """Wait until no schema change on the statement's objects is under way; whether there was one.

    Raises:
        JobFailed: One stands still.
    """
    started = time.monotonic()
    waited = False
    while run.server.has_jobs:
        unfinished = jobs.unfinished_on(await async_list_jobs(run.session), statement)
        if not unfinished:
            break
        waited = True
        for job in unfinished:
            if job.state is JobState.BLOCKED:
                raise job_failed(step, statement, job)
        await _wait(run, step, unfinished, started)
    return waited


async def async_await_own(run: AsyncRun, step: Step, since: float) -> bool:
    """Wait for every schema change of this user made since then; whether all of them succeeded.

    Raises:
        JobFailed: One stands still.
    """
    started = time.monotonic()
    while True:
        own = tuple(
            job
            for job in await async_list_jobs(run.session)
            if job.created >= since and job.user in ("", run.server.user)
        )
        running = tuple(job for job in own if job.state is JobState.RUNNING)
        if not running:
            break
        await _wait(run, step, running, started)
    for job in own:
        if job.state is JobState.BLOCKED:
            raise job_failed(step, None, job)
    return all(job.state is JobState.SUCCEEDED for job in own)


async def async_count(session: AsyncSession, statement: Statement) -> int | None:
    """How many there are of what an unnamed CREATE INDEX or ADD CONSTRAINT makes one more of."""
    question = introspection.count_before(statement)
    if question is None:
        return None
    count: int = (await session.send(question))[0].rows[0][0]
    return count


async def async_list_jobs(session: AsyncSession, since: float | None = None) -> tuple[Job, ...]:
    """The schema-change jobs the server shows; none where it has no such thing.

    Args:
        session: Where to ask.
        since: Seconds since 1970: of jobs made since, and of those not at their end, the whole
            description is asked for where the list may have cut it.
    """
    if not session.server.has_jobs:
        return ()
    found = jobs.jobs((await session.send(jobs.show_jobs()))[0])
    whole: list[Job] = []
    for job in found:
        wanted = since is not None and job.created >= since
        unfinished = job.state in (JobState.RUNNING, JobState.BLOCKED)
        if job.maybe_cut and (wanted or unfinished):
            asked = jobs.jobs((await session.send(jobs.show_job(job.job_id)))[0])
            whole += (replace(one, maybe_cut=False) for one in asked)
        else:
            whole.append(job)
    return tuple(whole)


async def _decide(run: AsyncRun, statement: Statement, sent: Progress) -> Decision:
    now: float = (await run.session.send(introspection.NOW))[0].rows[0][0]
    return decide(
        statement,
        run.server,
        await async_list_jobs(run.session, sent.sent_at),
        sent_at=sent.sent_at if sent.sent_at is not None else now,
        now=now,
        counted_before=sent.evidence,
        counted_now=await async_count(run.session, statement),
    )


async def _wait(run: AsyncRun, step: Step, awaited: tuple[Job, ...], started: float) -> None:
    run.emit(JobsAwaited(step, awaited, time.monotonic() - started))
    await run.renew_lease()
    await concurrency.async_sleep(min(_PAUSE, run.lease.seconds / 5))


async def _drop_invalid(run: AsyncRun, statement: Statement) -> None:
    question = introspection.invalid_index(run.server, statement)
    if question is None:
        return
    for schema, name in (await run.session.send(question))[0].rows:
        full = sql.Identifier(schema, name).as_string(None)
        await run.session.run(f"DROP INDEX CONCURRENTLY IF EXISTS {full}")


async def _record_undone(run: AsyncRun, sent: Progress, decision: Decision) -> None:
    """The statement is as if never sent: the next run sends it, as repaired by then."""
    tables = run.store.tables
    if not sent.done and sent.direction is Direction.UP:
        await run.write(clear_progress(tables, run.lease, decision.reason))
        return
    undone = Progress(
        version=sent.version,
        direction=sent.direction,
        done=sent.done,
        in_flight=False,
        error=decision.reason,
    )
    await run.write(save_progress(tables, run.lease, undone))


def _unknown(step: Step, statement: Statement, decision: Decision) -> OutcomeUnknown:
    version = step.version
    verb = "applied" if step.direction is Direction.UP else "reverted"
    return OutcomeUnknown(
        f"{step.path.name}:{statement.line}: {summary(statement)} was sent by a run that did not "
        f"live to see the answer, and {decision.reason}. Sending it again could do it twice, so it is not "
        "sent. Look at the database; if the statement took effect, finish the rest of the script by hand "
        f"and say that version {version} is {verb}, or undo it by hand and say the opposite, with resolve "
        f"(--applied {version} or --not-applied {version}).",
        version=version,
        path=step.path,
        line=statement.line,
    )
