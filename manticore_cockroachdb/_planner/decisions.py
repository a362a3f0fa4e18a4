"""What became of a statement whose answer never came: the verdict, from what the server shows. Pure.

Asked after a crash and after a connection lost in mid-statement alike. The order is: what its job says;
then other jobs on the same objects, which must end first; then whether it can be sent a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .._backend.dialect import Server
from .._backend.jobs import Job, JobState, described, of_statement, unfinished_on
from .._sql.schema_change import Repeat
from .._sql.statement import Statement, already_so, makes_no_job, repeatable

#: SHOW JOBS lists ended jobs for twelve hours; after that "no such job" says nothing any more.
#: https://www.cockroachlabs.com/docs/stable/show-jobs
JOBS_KEPT = 11 * 3600.0

#: No answer, or one that leaves open whether the statement took effect.
_UNKNOWN = frozenset({"40003", "57P01", "57P02", "57P03", "57P05"})
_CANCELLED = "57014"


class Action(Enum):
    """What to do about it."""

    DONE = "done"
    REVERTED = "reverted"
    WAIT = "wait"
    BLOCKED = "blocked"
    SEND = "send"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why.

    Attributes:
        action: What to do.
        reason: Why, for people.
        jobs: The jobs it rests on.
    """

    action: Action
    reason: str
    jobs: tuple[Job, ...] = ()


def outcome_unknown(sqlstate: str | None) -> bool:
    """Whether an error leaves open what became of what was sent: it is no answer."""
    return sqlstate is None or sqlstate in _UNKNOWN or sqlstate.startswith("08")


def alone_unknown(sqlstate: str | None, server: Server) -> bool:
    """The same for a statement that was sent by itself.

    On CockroachDB a cancelled schema change may still go on as a job.
    """
    return outcome_unknown(sqlstate) or (sqlstate == _CANCELLED and server.has_jobs)


def decide(
    statement: Statement,
    server: Server,
    found: Sequence[Job],
    *,
    sent_at: float,
    now: float,
    counted_before: int | None,
    counted_now: int | None,
) -> Decision:
    """The verdict on a statement that was in flight.

    Args:
        statement: The statement.
        server: The server it was sent to.
        found: Every schema-change job the server shows.
        sent_at: When it was sent, seconds since 1970 by the server's clock.
        now: The server's time now, likewise.
        counted_before: What was counted before it was sent, for an unnamed index or constraint.
        counted_now: The same, counted now.
    """
    own = of_statement(found, statement, since=sent_at, user=server.user)
    running = tuple(job for job in own if job.state is JobState.RUNNING)
    if running:
        return Decision(Action.WAIT, "its schema-change job is still running", running)
    if own:
        # One statement may make several jobs; the one that went wrong tells.
        wrong = (job for job in own if job.state is not JobState.SUCCEEDED)
        return _ended(next(wrong, own[-1]))
    others = unfinished_on(found, statement)
    stuck = tuple(job for job in others if job.state is JobState.BLOCKED)
    if stuck:
        return Decision(Action.BLOCKED, described(stuck[0]), stuck)
    if others:
        return Decision(Action.WAIT, "another schema change on the same objects is running", others)
    return _unseen(statement, server, now - sent_at, counted_before, counted_now)


def _ended(job: Job) -> Decision:
    if job.state is JobState.SUCCEEDED:
        return Decision(Action.DONE, f"its job {job.job_id} succeeded", (job,))
    verdict = Action.REVERTED if job.state is JobState.REVERTED else Action.BLOCKED
    return Decision(verdict, described(job), (job,))


def _unseen(
    statement: Statement,
    server: Server,
    age: float,
    counted_before: int | None,
    counted_now: int | None,
) -> Decision:
    """No job tells of it: whether sending it again can do harm decides."""
    kind = repeatable(statement)
    if kind is Repeat.SAFE:
        return Decision(Action.SEND, "nothing shows that it took effect; it is sent again")
    if kind is Repeat.UNNAMED and counted_before is not None and counted_now is not None:
        if counted_now == counted_before:
            return Decision(Action.SEND, "it did not take effect; it is sent again")
        if counted_now == counted_before + 1:
            return Decision(Action.DONE, "what it makes is there")
    if server.has_jobs and not makes_no_job(statement) and age < JOBS_KEPT:
        return Decision(Action.SEND, "the server has no job of it, so it did not take effect")
    return Decision(Action.ASK, "nothing on the server tells whether it took effect")


def proves_done(statement: Statement, sqlstate: str | None) -> bool:
    """Whether the error of a second sending tells that the first one took effect."""
    return sqlstate in already_so(statement)
