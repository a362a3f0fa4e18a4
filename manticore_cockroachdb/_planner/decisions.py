"""What happened to a statement whose answer never came: the decision, from what the server shows. Pure.

Theory of operation
===================

The run state says "in flight" before a statement is sent alone, and "done" after its answer. A run
that finds "in flight" (after a crash, or after a connection lost in mid-statement) first waits until the
session that sent it is gone; then it decides. Each line below is tried in this order, and the first that
applies holds:

    what the server shows                                    action
    -------------------------------------------------------  ---------------------------------------------
 1  a job that is surely its own is running                  WAIT: look again
 2  its own jobs ended, one of them failed or was cancelled  REVERTED: the job's error; nothing is done
 3  its own jobs ended, one of them is paused                BLOCKED: a person resumes or cancels it
 4  its own jobs all succeeded                               DONE
 5  a job that may be its own is running                     WAIT: look again
 6  the catalogs show that it took effect                    DONE
 7  it makes a job, another user sent it, and that user's    ASK: a job of it may be at work
    jobs may be hidden from this one
 8  the catalogs show that it did not                        SEND again
 9  nothing, and a second sending does no harm               SEND again: if the first took effect, the
                                                             answer says so ("already exists")
10  no job at all that may be its own, although it makes     SEND again: it never arrived
    one and the server still lists jobs of that time
11  anything else                                            ASK: a person must look

Whose a job is, `job_match` says; what the catalogs show, `evidence`; what a second sending does and what
the server then answers, `schema_change`. A statement that makes no job takes no evidence from jobs, and
a job that may be somebody else's decides nothing: it is only waited for. So a foreign job that fails or
is paused never ends our run, and one that succeeds never counts as ours.

Line 9 is what a TRUNCATE or DROP needs: sent again after it took effect, it would take away what was made
since. PostgreSQL has no jobs: there lines 6, 7, 8 and 10 decide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .._backend.dialect import Server
from .._backend.job_match import match_jobs, undoes
from .._backend.jobs import Job, JobState, described
from .._sql.likeness import NameContext
from .._sql.schema_change import Repeat
from .._sql.statement import Statement, answers_when_repeated, makes_no_job, repeatable
from .evidence import Evidence

#: SHOW JOBS lists ended jobs for twelve hours; after that "no such job" says nothing any more.
#: https://www.cockroachlabs.com/docs/stable/show-jobs
JOBS_KEPT = 11 * 3600.0

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


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement that was in flight, and when.

    Attributes:
        statement: The statement.
        context: The session it was sent in.
        at: When it was sent, in seconds since 1970 by the server's clock.
        age: How many seconds ago that was.
        hidden_from: The user that asks now, where the jobs of the one that sent it may be hidden from it.
    """

    statement: Statement
    context: NameContext
    at: float
    age: float
    hidden_from: str | None = None


def outcome_unknown(sqlstate: str | None) -> bool:
    """Whether an error leaves open what happened to what was sent: it is not an answer.

    An answer has a code. Where the connection is gone, or the server says that it does not know, the
    protocol has made it a `ConnectionLost`, which has none.
    """
    return sqlstate is None


def alone_unknown(sqlstate: str | None, server: Server) -> bool:
    """The same for a statement that was sent alone.

    On CockroachDB a cancelled schema change may still continue as a job.
    """
    return outcome_unknown(sqlstate) or (sqlstate == _CANCELLED and server.has_jobs)


def decide(sent: Sent, server: Server, found: Sequence[Job], evidence: Evidence) -> Decision:
    """What to do about a statement that was in flight.

    Args:
        sent: The statement.
        server: The server it was sent to.
        found: Every schema-change job the server shows.
        evidence: What the catalogs show of it.
    """
    jobs = match_jobs(found, (sent.statement,), sent.context, since=sent.at)
    if jobs.own:
        return _by_own_jobs(jobs.own)
    running = tuple(job for job in jobs.unclear if job.state is JobState.RUNNING)
    if running:
        return Decision(Action.WAIT, "a schema-change job that may be its own is running", running)
    if evidence is Evidence.PRESENT:
        return Decision(Action.DONE, "what it does is done")
    if sent.hidden_from is not None and not makes_no_job(sent.statement):
        return Decision(Action.ASK, hidden(sent.context.user, sent.hidden_from))
    if evidence is Evidence.ABSENT:
        return Decision(Action.SEND, "it did not take effect; it is sent again")
    if repeatable(sent.statement) is Repeat.SAFE:
        return Decision(Action.SEND, "nothing shows that it took effect; it is sent again")
    listed = server.has_jobs and not makes_no_job(sent.statement) and sent.age < JOBS_KEPT
    if listed and not jobs.unclear:
        return Decision(Action.SEND, "the server has no job of it, so it did not take effect")
    return _unknown(jobs.unclear)


def after_others(statement: Statement, ended: Sequence[Job], context: NameContext) -> Action:
    """What to do about a statement with IF [NOT] EXISTS, answered while others changed the same object.

    Their change may have failed and vanished since. What the statement does besides is done, and only what
    can be done twice is sent again.

    Args:
        statement: The statement.
        ended: Their jobs, which have ended.
        context: The session that the statement was sent in.

    Returns:
        DONE, SEND, or ASK where a second sending could do harm.
    """
    kind = repeatable(statement)
    if kind is Repeat.SAFE:
        return Action.SEND
    if all(
        job.state is JobState.SUCCEEDED and not undoes(job, statement, context) for job in ended
    ):
        return Action.DONE
    return Action.SEND if kind is Repeat.DESTRUCTIVE else Action.ASK


def _by_own_jobs(own: tuple[Job, ...]) -> Decision:
    """One statement may make several jobs; the one that went wrong tells."""
    running = tuple(job for job in own if job.state is JobState.RUNNING)
    if running:
        return Decision(Action.WAIT, "its schema-change job is still running", running)
    for state, action in ((JobState.REVERTED, Action.REVERTED), (JobState.BLOCKED, Action.BLOCKED)):
        wrong = tuple(job for job in own if job.state is state)
        if wrong:
            return Decision(action, described(wrong[0]), wrong)
    return Decision(Action.DONE, f"its job {own[-1].job_id} succeeded", own[-1:])


def hidden(sender: str, user: str) -> str:
    """Why nothing can be said of what another user sent, and the way on."""
    return (
        f"user {user} may not see the schema-change jobs of user {sender}, who sent it. Run again as "
        f"{sender} or as an administrator"
    )


def _unknown(unclear: tuple[Job, ...]) -> Decision:
    if not unclear:
        return Decision(Action.ASK, "nothing on the server shows whether it took effect")
    seen = "; ".join(described(job) for job in unclear)
    return Decision(
        Action.ASK,
        f"the jobs that may be its own do not show whether it took effect ({seen})",
    )


def proves_done(statement: Statement, sqlstate: str | None, message: str) -> bool:
    """Whether the error of a second sending tells that the first one took effect.

    Args:
        statement: The statement.
        sqlstate: The error's SQLSTATE.
        message: Its words, which tell where the SQLSTATE does not.
    """
    return any(
        answer.sqlstate == sqlstate and re.search(answer.text, message)
        for answer in answers_when_repeated(statement)
    )
