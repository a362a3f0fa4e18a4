"""The error for a statement of a script that failed: its words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .._backend.blockers import Blocker
from .._backend.dialect import Server
from .._backend.jobs import Job
from .._backend.retry import QUERY_CANCELED
from .._planner.losses import dropped_columns, loss, what_may_be_lost
from .._planner.step import Step
from .._scripts.direction import Direction
from .._scripts.script import Mode
from .._sql.statement import Statement, summary
from .._sql.tokens import head
from .._wording import capitalized
from ..errors import (
    ConnectionFailed,
    ConnectionLost,
    DatabaseError,
    LockNotGranted,
    ManticoreError,
    MigrationFailed,
)


@dataclass(frozen=True, slots=True)
class LockWait:
    """How a statement waited for a lock without getting it.

    Attributes:
        blockers: The sessions in front of it, as last seen.
        attempts: How often it was tried.
        waited: Seconds from its first attempt to its end.
    """

    blockers: tuple[Blocker, ...]
    attempts: int
    waited: float


def migration_failed(
    step: Step,
    statement: Statement | None,
    error: DatabaseError,
    *,
    number: int = 0,
    done: int = 0,
    total: int = 0,
    jobs: tuple[Job, ...] = (),
    left: str | None = None,
    lock_wait: LockWait | None = None,
) -> MigrationFailed:
    """Say which statement of which file failed, why, what is done of the script, and the way on.

    Args:
        step: The script and its direction.
        statement: The statement; None: the transaction's COMMIT.
        error: What the server said.
        number: Which statement of the script it is, from 1.
        done: How many statements of the script are done and recorded.
        total: How many it has.
        jobs: The schema-change jobs that carried it out.
        left: What of the statement took effect all the same, in a sentence.
        lock_wait: How it waited for a lock that it did not get.
    """
    path = step.path
    lines = [f"{_what_failed(step, statement, error)}: {error}"]
    if error.hint:
        lines.append(f"  Hint: {error.hint}")
    lines += (f"  Job {job.job_id} carried it out: {job.status}." for job in jobs)
    lost = loss((statement,) if statement else step.statements(), jobs)
    if lost is not None:
        lines.append(f"  {lost}")
    if left:
        lines.append(f"  {left}")
    if lock_wait is not None:
        lines += _blocked(lock_wait, partly=bool(left or lost))
        lines.append(f"  {_state(step, done, total)} {_LOCK_WAY_ON.format(again=_again(step))}")
        return LockNotGranted(
            "\n".join(lines),
            version=step.version,
            path=path,
            line=statement.line if statement else None,
            sqlstate=error.sqlstate,
            blockers=tuple(str(each) for each in lock_wait.blockers),
        )
    lines.append("  " + _way_on(step, number, done, total, partly=bool(left or lost)))
    advice = _ADVICE.get(error.sqlstate or "")
    if advice and (done == 0 or advice.mode is Mode.AUTOCOMMIT):
        lines.append(f"  {advice.text}")
    if any(_makes_temporary(done_before) for done_before in step.statements()[:done]):
        lines.append(
            "  A statement that is done created a temporary table; it was dropped with its connection. "
            "If that is what is missing, use an ordinary table, or mode=atomic where the server allows it."
        )
    return MigrationFailed(
        "\n".join(lines),
        version=step.version,
        path=path,
        line=statement.line if statement else None,
        sqlstate=error.sqlstate,
    )


def _what_failed(step: Step, statement: Statement | None, error: DatabaseError) -> str:
    """The file, the statement, and the line in it where the server found the fault."""
    if statement is None:
        return f"{step.where()}: its transaction could not be committed"
    what = f"{step.where(statement)}: {summary(statement)} failed"
    if error.position:
        breaks = statement.text[: error.position - 1].count("\n")
        what += f" (at line {statement.line + breaks})" if breaks else ""
    return what


@dataclass(frozen=True, slots=True)
class _Advice:
    """What helps against an error of the server.

    Attributes:
        mode: The mode that the script needs.
        text: The advice, in sentences.
    """

    mode: Mode
    text: str


_OUTSIDE = _Advice(
    Mode.AUTOCOMMIT,
    "With '-- manticore: mode=autocommit' as the file's first line, each statement runs outside "
    "Manticore's transactions.",
)
_ADVICE = {
    # https://www.postgresql.org/docs/current/sql-altertype.html
    "55P04": _Advice(
        Mode.STEPWISE,
        "A new enum value can be used only after the transaction that added it. With '-- manticore: "
        "mode=stepwise' as the file's first line, each schema statement has its own transaction.",
    ),
    "25001": _OUTSIDE,
    "2D000": _OUTSIDE,
}


def _makes_temporary(statement: Statement) -> bool:
    words = head(statement.text, 3)
    return words[:1] == ("CREATE",) and not {"TEMP", "TEMPORARY"}.isdisjoint(words)


#: What CockroachDB takes at most in one statement, by default.
#: https://www.cockroachlabs.com/docs/stable/cluster-settings
_LARGEST = 16 * 1024 * 1024
_TOO_LARGE = (
    "It is larger than CockroachDB accepts by default (16 MiB). {script} is not recorded as "
    "finished. Split the statement, or raise the cluster setting "
    "sql.conn.max_read_buffer_message_size, and {again} again."
)
_ENDS_SESSIONS = (
    "It is not sent a third time: a statement can end its own session, or the server by using up its "
    "memory. {script} is not recorded as finished. See the server's log, fix the statement or the "
    "server, and {again} again."
)
_CANCELED = (
    "It is not sent a third time. {script} is not recorded as finished. Raise the limit "
    "(statement_timeout, STATEMENT_TIMEOUT), or find out who cancels the statement, and {again} again: a "
    "schema change that continues in the server is waited for."
)


def connection_lost_twice(
    step: Step, statement: Statement | None, error: ManticoreError, server: Server
) -> MigrationFailed:
    """The error for a script that lost its connection twice at the same statement."""
    reason, happened = _ENDS_SESSIONS, "the connection was lost twice while the server worked on"
    if isinstance(error, DatabaseError) and error.sqlstate == QUERY_CANCELED:
        reason, happened = _CANCELED, "the server twice canceled"
    if (
        server.has_jobs
    ):  # CockroachDB v21.1 closes the connection over a large statement without a word
        sent = (statement,) if statement is not None else step.statements()
        large = next((each for each in sent if len(each.text.encode()) >= _LARGEST), None)
        if large is not None:
            statement, reason = large, _TOO_LARGE
    what = "the script" if statement is None else summary(statement)
    return MigrationFailed(
        f"{step.where(statement)}: {happened} {what}: {error}\n"
        f"  {reason.format(script=capitalized(step.called), again=_again(step))}",
        version=step.version,
        path=step.path,
        line=statement.line if statement else None,
        sqlstate=error.sqlstate if isinstance(error, DatabaseError) else None,
    )


_CHECK_CONNECTION = (
    "Check the server's log, the network, and any connection pooler in between, and {again}: the run "
    "continues at the first statement that is not recorded."
)


def connection_lost_for_good(
    step: Step, statement: Statement | None, error: ManticoreError, times: int
) -> MigrationFailed:
    """The error for a script around which the connection was lost too often.

    Args:
        step: The script.
        statement: The statement that was sent last; None where it was a transaction of several.
        error: What was reported of the last loss.
        times: How often the connection was lost in a row.
    """
    what = "its transaction" if statement is None else summary(statement)
    again = f"{_again(step)} again"
    return MigrationFailed(
        f"{step.where(statement)}: the connection was lost {times} times in a row around {what}: {error}\n"
        f"  {_CHECK_CONNECTION.format(again=again)}",
        version=step.version,
        path=step.path,
        line=statement.line if statement else None,
        sqlstate=error.sqlstate if isinstance(error, DatabaseError) else None,
    )


def connection_lost_before_any(
    error: DatabaseError | ConnectionFailed, times: int
) -> ConnectionLost | ConnectionFailed:
    """The error for a run that lost its connection too often before a statement of a script was sent.

    Args:
        error: What was reported of the last loss.
        times: How often the connection was lost in a row.
    """
    message = (
        f"The connection was lost {times} times in a row before any statement of a script was sent: "
        f"{error}\n"
        f"  {_CHECK_CONNECTION.format(again='run the same command again')}"
    )
    if isinstance(error, ConnectionFailed):
        return ConnectionFailed(message)
    return ConnectionLost(message, sqlstate=error.sqlstate)


def partially_committed(step: Step, reason: str, sqlstate: str | None) -> MigrationFailed:
    """The error for a whole script that was committed while a schema change in it was not."""
    lost = what_may_be_lost(dropped_columns(step.statements()))
    damage = f"\n  {lost}" if lost else ""
    return MigrationFailed(
        f"{step.path.name}: the transaction committed, but a schema change in "
        f"it failed: {reason}{damage}\n  Part of {step.called} exists and part does not, and it is "
        "not recorded as applied. Compare the schema with the file, fix one of them by hand, "
        "then record what "
        f"is true with manticore_resolve --applied {step.key} or --not-applied {step.key}. "
        "Without mode=atomic in the "
        "file, each schema statement is recorded separately and this cannot happen.",
        version=step.version,
        path=step.path,
        sqlstate=sqlstate,
    )


def windows_done(windows: int) -> str:
    """`3 windows are done`"""
    return "1 window is done" if windows == 1 else f"{windows} windows are done"


def windows_stay(windows: int) -> str:
    """`3 windows of it are done and stay done.`"""
    if windows == 1:
        return "1 window of it is done and stays done."
    return f"{windows} windows of it are done and stay done."


_LOCK_WAY_ON = (
    "See who holds the lock now with manticore_migrate --show-blockers, wait for that session or end it, "
    "and {again} again; or allow more attempts (LOCK_RETRIES)."
)


def _blocked(wait: LockWait, *, partly: bool) -> list[str]:
    times = "once" if wait.attempts == 1 else f"{wait.attempts} times in {wait.waited:.0f} s"
    effect = "" if partly else ", and nothing of it took effect"
    lines = [f"  It was tried {times}{effect}."]
    if wait.blockers:
        lines.append("  In front of it were:")
        lines += (f"    {each}" for each in wait.blockers)
    return lines


def _again(step: Step) -> str:
    return "migrate" if step.direction is Direction.UP else "roll back"


def _state(step: Step, done: int, total: int) -> str:
    verb = step.direction.participle
    if not done:
        return f"Nothing of {step.called} was {verb}."
    which = "Its first statement is" if done == 1 else f"Its first {done} of {total} statements are"
    return f"{which} done and recorded; {step.called} is partially {verb}."


def _way_on(step: Step, number: int, done: int, total: int, *, partly: bool = False) -> str:
    again = _again(step)
    verb = step.direction.participle
    if not done and partly:
        return (
            f"{capitalized(step.called)} is not recorded as {verb}. Fix the file (or the rows) and "
            f"{again} again."
        )
    if not done:
        return f"Nothing of {step.called} was {verb}. Fix the file (or the rows) and {again} again."
    which = "Its first statement is" if done == 1 else f"Its first {done} of {total} statements are"
    if 0 < number <= done:
        return (
            f"{which} done and recorded; {step.called} is partially {verb}. This one is a "
            "setting, which every run that continues after it sends again: make the server accept it, and "
            f"{again} again."
        )
    return (
        f"{which} done and recorded; {step.called} is partially {verb}. Fix statement "
        f"{number or done + 1} in the file (or the rows) and {again} again: the run continues there. Do "
        "not edit the statements before it."
    )
