"""The error for a statement of a script that failed: its words. Pure."""

from __future__ import annotations

from .._backend.jobs import Job
from .._planner.losses import dropped_columns, loss, what_may_be_lost
from .._planner.plan import Step
from .._scripts.direction import Direction
from .._sql.statement import Statement, summary
from .._sql.tokens import head
from ..errors import DatabaseError, MigrationFailed


def migration_failed(
    step: Step,
    statement: Statement | None,
    error: DatabaseError,
    *,
    number: int = 0,
    done: int = 0,
    total: int = 0,
    jobs: tuple[Job, ...] = (),
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
    """
    path = step.path
    if statement is None:
        what = f"{path.name}: its transaction could not be committed"
    else:
        what = f"{path.name}:{statement.line}: {summary(statement)} failed"
        if error.position:
            before = statement.text[: error.position - 1]
            at = statement.line + before.count("\n")
            what += f" (at line {at})" if at != statement.line else ""
    lines = [f"{what}: {error}"]
    if error.hint:
        lines.append(f"  Hint: {error.hint}")
    lines += (f"  Job {job.job_id} carried it out: {job.status}." for job in jobs)
    lost = loss((statement,) if statement else step.statements(), jobs)
    if lost is not None:
        lines.append(f"  {lost}")
    lines.append("  " + _way_on(step, number, done, total))
    if any(_makes_temporary(done_before) for done_before in step.statements()[:done]):
        lines.append(
            "  A statement that is done made a temporary table; it went with the connection that made it. "
            "If that is what is missing, use an ordinary table, or mode=atomic where the server allows it."
        )
    return MigrationFailed(
        "\n".join(lines),
        version=step.version,
        path=path,
        line=statement.line if statement else None,
        sqlstate=error.sqlstate,
    )


def _makes_temporary(statement: Statement) -> bool:
    words = head(statement.text, 3)
    return words[:1] == ("CREATE",) and not {"TEMP", "TEMPORARY"}.isdisjoint(words)


def partially_committed(step: Step, reason: str, sqlstate: str | None) -> MigrationFailed:
    """The error for a whole script that was committed while a schema change in it was not."""
    version = step.version
    lost = what_may_be_lost(dropped_columns(step.statements()))
    told = f"\n  {lost}" if lost else ""
    return MigrationFailed(
        f"{step.path.name}: the server committed its transaction and then gave up a schema change "
        f"in it: {reason}{told}\n  Part of version {version} is there and part is not, and it is not in "
        "the ledger. Compare the schema with the file, mend one of them by hand, then say what is true "
        f"with resolve (--applied {version} or --not-applied {version}). Without mode=atomic in the file, "
        "each schema statement is recorded by itself and this cannot happen.",
        version=version,
        path=step.path,
        sqlstate=sqlstate,
    )


def _way_on(step: Step, number: int, done: int, total: int) -> str:
    again = "migrate" if step.direction is Direction.UP else "roll back"
    verb = "applied" if step.direction is Direction.UP else "reverted"
    if not done:
        return (
            f"Nothing of version {step.version} was {verb}. Repair the file (or the rows) and "
            f"{again} again."
        )
    which = "Its first statement is" if done == 1 else f"Its first {done} of {total} statements are"
    if 0 < number <= done:
        return (
            f"{which} done and recorded; version {step.version} is half {verb}. This one is a setting, "
            "which is sent again whenever a run goes on behind it: see that the server takes it, and "
            f"{again} again."
        )
    return (
        f"{which} done and recorded; version {step.version} is half {verb}. Repair statement "
        f"{number or done + 1} in the file (or the rows) and {again} again: the run goes on there. Leave "
        "the statements before it as they are."
    )
