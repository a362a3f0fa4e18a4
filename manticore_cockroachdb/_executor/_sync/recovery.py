# Generated from _async/recovery.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Finds out what happened to a statement whose answer never came, and waits where waiting is the answer.

The same path after a crash and after a connection lost in mid-statement. What to do is decided by
`decisions`; here the server is asked, and the lease kept while waiting.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from ..._backend import introspection
from ..._backend.job_match import match_jobs, unfinished_on
from ..._backend.jobs import IS_ADMINISTRATOR, Job, JobState, described
from ..._planner import evidence
from ..._planner.decisions import JOBS_KEPT, Action, Decision, Sent, decide, hidden
from ..._planner.evidence import Trace
from ..._planner.step import Step
from ..._scripts.direction import Direction
from ..._scripts.script import called
from ..._sql.likeness import NameContext
from ..._sql.schema_change import Repeat
from ..._sql.statement import Statement, makes_no_job, repeatable, summary
from ..._store.fenced import clear_progress, save_progress
from ..._store.snapshot import Progress
from ...errors import LeaseTimeout, OutcomeUnknown
from ...events import JobsAwaited, Reconciled, SessionAwaited
from .. import concurrency
from ..job_messages import job_failed
from .job_list import list_jobs
from .lease import OWN_SESSION_ENDS
from .run import Run

_PAUSE = 0.5


def recover(run: Run, step: Step, statement: Statement, sent: Progress) -> bool:
    """Settle a statement that was in flight.

    Returns:
        Whether it took effect; if not, it can be sent again.

    Raises:
        JobFailed: Its job failed, or is paused.
        OutcomeUnknown: Nothing tells, and it could take effect twice.
    """
    await_session(run, sent)
    run.read_name_context()
    started = time.monotonic()
    while True:
        decision = _decide(run, statement, sent)
        if decision.action is Action.WAIT:
            _wait(run, step, decision.jobs, started)
            continue
        if decision.action is Action.BLOCKED:
            raise job_failed(step, statement, decision.jobs[-1])
        if decision.action is Action.REVERTED:
            _record_undone(run, sent, decision)
            raise job_failed(step, statement, decision.jobs[-1])
        if decision.action is Action.ASK:
            raise outcome_unknown(step, statement, f"{_NO_ANSWER}, and {decision.reason}")
        run.emit(Reconciled(step, statement, decision.reason))
        return decision.action is Action.DONE


def await_session(run: Run, sent: Progress) -> None:
    """A server may still be working for a runner that died: its session must be gone first.

    Raises:
        LeaseTimeout: It is still there after `lock_timeout`.
    """
    if sent.sent_by is None:
        return
    started = time.monotonic()
    # Our own session is not another runner's: `lock_timeout` does not apply to it.
    ours = sent.sent_by.startswith(f"{run.lease.owner}/")
    longest = max(run.options.lock_timeout, OWN_SESSION_ENDS if ours else 0.0)
    alive = introspection.sessions_alive(
        run.server,
        [sent.sent_session] if sent.sent_session else [],
        None if sent.sent_session else sent.sent_by,
    )
    while True:
        found = run.session.send(alive)
        if not found[0].rows:
            return
        session_id = found[0].rows[0][0]
        waited = time.monotonic() - started
        if waited > longest:
            end = introspection.how_to_end(run.server, session_id)
            raise LeaseTimeout(
                f"The session {session_id} ({sent.sent_by}) of the runner before this one is still "
                f"there after {waited:.0f} s; the server may still be working on "
                f"{called(sent.key)}. Wait for it to end, or end it with {end}, and run again.",
                owner=sent.sent_by,
                waited=waited,
            )
        run.emit(SessionAwaited(sent.sent_by, session_id, waited))
        run.renew_lease()
        concurrency.sleep(min(_PAUSE, run.lease.seconds / 5))


def await_others(
    run: Run, step: Step, statement: Statement, *, conditional_only: bool = False
) -> tuple[Job, ...]:
    """Wait until no schema change on the statement's objects is running; those there were, ended.

    Args:
        run: The run.
        step: The script.
        statement: The statement.
        conditional_only: Only the objects named after IF EXISTS or IF NOT EXISTS.

    Raises:
        JobFailed: One is paused.
    """
    started = time.monotonic()
    awaited: set[int] = set()
    found: tuple[Job, ...] = ()
    descriptions: dict[int, str] = {}
    while run.server.has_jobs:
        found = list_jobs(run.session, math.inf, descriptions)
        unfinished = unfinished_on(
            found, statement, run.name_context, conditional_only=conditional_only
        )
        if not unfinished:
            break
        awaited |= {job.job_id for job in unfinished}
        for job in unfinished:
            if job.state is JobState.BLOCKED:
                raise job_failed(step, statement, job)
        _wait(run, step, unfinished, started)
    return tuple(job for job in found if job.job_id in awaited)


def await_own(
    run: Run, step: Step, statements: Sequence[Statement], sent: Progress
) -> bool:
    """Wait for the schema changes of a committed transaction; whether all of them succeeded.

    Args:
        run: The run.
        step: The script.
        statements: What was in the transaction.
        sent: What is recorded of it.

    Raises:
        JobFailed: One is paused.
        OutcomeUnknown: One that may be somebody else's did not succeed, or the server does not list them,
            or not to this user.
    """
    started = time.monotonic()
    run.read_name_context()
    since, context = sent.sent_at or 0.0, _sender(run, sent)
    makes_jobs = not all(makes_no_job(each) for each in statements)
    if makes_jobs and _now(run) - since > JOBS_KEPT:
        raise outcome_unknown(step, None, _NOT_LISTED)
    while True:
        found = list_jobs(run.session, since)
        if makes_jobs and not _are_shown(run, context.user, found):
            why = hidden(context.user, run.name_context.user)
            raise outcome_unknown(step, None, f"{_NO_ANSWER}, and {why}")
        jobs = match_jobs(found, statements, context, since=since)
        running = tuple(job for job in (*jobs.own, *jobs.unclear) if job.state is JobState.RUNNING)
        if not running:
            break
        _wait(run, step, running, started)
    for job in jobs.own:
        if job.state is JobState.BLOCKED:
            raise job_failed(step, None, job)
    if any(job.state is not JobState.SUCCEEDED for job in jobs.own):
        return False
    for job in jobs.unclear:
        if job.state is not JobState.SUCCEEDED:
            raise outcome_unknown(
                step,
                None,
                f"{_NO_ANSWER}, and one of its schema changes may have failed ({described(job)})",
            )
    return True


def read_traces(run: Run, statement: Statement) -> list[Trace] | None:
    """What the catalogs show of what a statement is about to change; None where they are not asked.

    Asked on the script's own session, so that names are looked up as the statement's will be.
    """
    questions = introspection.traces(run.server, statement)
    if not questions:
        return None
    return introspection.found_traces(run.session.send(*questions))


def _sender(run: Run, sent: Progress) -> NameContext:
    """The session that sent it: as ours is now, but maybe another user's."""
    return replace(run.name_context, user=sent.sent_user or run.name_context.user)


def _are_shown(run: Run, user: str, found: Sequence[Job]) -> bool:
    """Whether the server shows us the jobs of a user: our own, some of its, or everybody's."""
    if not run.server.has_jobs or user == run.name_context.user:
        return True
    if any(job.user == user for job in found):
        return True
    is_administrator: bool = run.session.send(IS_ADMINISTRATOR)[0].rows[0][0]
    return is_administrator


def _now(run: Run) -> float:
    """The server's clock, in seconds since 1970."""
    now: float = run.session.send(introspection.NOW)[0].rows[0][0]
    return now


def _decide(run: Run, statement: Statement, sent: Progress) -> Decision:
    now = _now(run)
    at = sent.sent_at if sent.sent_at is not None else now
    found = list_jobs(run.session, at)
    traces = read_traces(run, statement)
    context = _sender(run, sent)
    shown = _are_shown(run, context.user, found)
    hidden_from = None if shown else run.name_context.user
    return decide(
        Sent(statement, context, at, age=now - at, hidden_from=hidden_from),
        run.server,
        found,
        evidence.compare(statement, sent.evidence, traces),
    )


def _wait(run: Run, step: Step, awaited: tuple[Job, ...], started: float) -> None:
    run.emit(JobsAwaited(step, awaited, time.monotonic() - started))
    run.renew_lease()
    concurrency.sleep(min(_PAUSE, run.lease.seconds / 5))


def _record_undone(run: Run, sent: Progress, decision: Decision) -> None:
    """The statement is as if never sent: the next run sends it, as fixed by then."""
    tables = run.store.tables
    if not sent.done and sent.direction is Direction.UP:
        run.write(clear_progress(tables, run.lease, decision.reason))
        return
    undone = Progress(
        version=sent.version,
        script=sent.script,
        direction=sent.direction,
        done=sent.done,
        in_flight=False,
        error=decision.reason,
        checkpoint=sent.checkpoint,
    )
    run.write(save_progress(tables, run.lease, undone))


_NO_ANSWER = "has an unknown outcome: the previous run ended before the server answered"
_NOT_LISTED = (
    "was committed by a run that ended before its schema changes did, and the server no "
    "longer lists their jobs"
)
_HARM = {
    Repeat.DESTRUCTIVE: "sending it again could delete what was created since",
}


def outcome_unknown(step: Step, statement: Statement | None, happened: str) -> OutcomeUnknown:
    """The error for a statement, or a whole script, that only a person can judge.

    Args:
        step: The script.
        statement: The statement; None: the whole script, sent as one transaction.
        happened: What happened to it, and why that leaves the outcome open.
    """
    verb = step.direction.participle
    line = statement.line if statement else None
    what = summary(statement) if statement else "its transaction"
    kind = repeatable(statement) if statement else Repeat.UNSAFE
    harm = _HARM.get(kind, "it could take effect twice")
    return OutcomeUnknown(
        f"{step.where(statement)}: {what} {happened}. It was not sent again, because {harm}. Look at the "
        "database; if the statement took effect, finish the rest of the script by hand and record that "
        f"{step.called} is {verb}, or revert it by hand and record the opposite, with manticore_resolve "
        f"--applied {step.key} or --not-applied {step.key}.",
        version=step.version,
        path=step.path,
        line=line,
    )
