"""Schema changes that CockroachDB cannot revert without losing what a column held. Pure.

DROP COLUMN removes the values while the other changes of its statement (or transaction) still run. If
one of those then finds that the rows do not fit, the server takes everything back: the column is there
again, and every value in it is NULL. Seen on v21.1 and v22.1.
https://github.com/cockroachdb/cockroach/issues/46541
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .._backend.dialect import Server
from .._backend.jobs import Job, JobState
from .._scripts.direction import Direction
from .._scripts.script import Mode
from .._sql.schema_change import Effect, Verb
from .._sql.statement import Statement, effects
from ..errors import Problem
from .segments import prepare
from .step import Step

_DROPS = re.compile(r"\bdrop\b", re.IGNORECASE)
_ISSUE = "https://github.com/cockroachdb/cockroach/issues/46541"


def losing_problems(
    step: Step, server: Server, default: Mode | None, *, start: int = 0
) -> list[Problem]:
    """Statements that could lose a column's values on this server; refused before anything runs.

    Args:
        step: The step.
        server: The server it is going to run on.
        default: The mode of files that ask for none; None means the server's default.
        start: How many of its statements are done or in flight: those are left alone.
    """
    script = step.script
    text = script.up_sql if step.direction is Direction.UP else script.down_sql
    if not server.has_jobs or _DROPS.search(text or "") is None:
        return []
    prepared = prepare(step, server, default)
    together = prepared.mode is Mode.ATOMIC
    statements = prepared.statements[start:]
    units = [statements] if together else [(statement,) for statement in statements]
    found = (_problem(step, unit, together=together and len(unit) > 1) for unit in units)
    return [problem for problem in found if problem is not None]


def dropped_columns(statements: Iterable[Statement]) -> tuple[str, ...]:
    """The columns that statements drop, with their tables, for people."""
    columns = [".".join((*_table(one), _column(one))) for _, one in _drops(statements)]
    return tuple(dict.fromkeys(columns))


def loss(statements: Iterable[Statement], jobs: Iterable[Job]) -> str | None:
    """What may be lost after jobs of these statements failed, for people; None: nothing."""
    reverted = any(job.state is JobState.REVERTED for job in jobs)
    columns = dropped_columns(statements) if reverted else ()
    return what_may_be_lost(columns)


def what_may_be_lost(columns: Sequence[str]) -> str | None:
    """The same for columns."""
    if not columns:
        return None
    which = f"column {columns[0]}" if len(columns) == 1 else f"columns {', '.join(columns)}"
    return (
        f"What {which} held may be lost: when the server restores a dropped column, it leaves NULLs in it "
        f"({_ISSUE}). Look at the table before you run again."
    )


def _problem(step: Step, unit: Sequence[Statement], *, together: bool) -> Problem | None:
    for statement, dropped in _drops(unit):
        other = next((one for one in unit if _may_fail_beside(one, dropped)), None)
        if other is None:
            continue
        column = _column(dropped)
        lost = (
            f"If that fails, CockroachDB brings the column back with every value NULL ({_ISSUE}). "
        )
        if together and other is not statement:
            message = (
                f"this statement drops column {column} in one transaction with the one in line "
                f"{other.line}, which fails if the rows do not fit. {lost}Remove mode=atomic and drop the "
                "column after that statement, or in a later script."
            )
        else:
            message = (
                f"this statement drops column {column} and makes another change that fails if the rows do "
                f"not fit. {lost}Write two statements: first an ALTER TABLE with the other changes, then "
                f"ALTER TABLE … DROP COLUMN {column}."
            )
        return Problem(message, path=step.path, line=statement.line, version=step.version or None)
    return None


def _drops(statements: Iterable[Statement]) -> list[tuple[Statement, Effect]]:
    return [
        (statement, effect)
        for statement in statements
        for effect in effects(statement)
        if (effect.verb, effect.what) == (Verb.DROP, "COLUMN") and effect.on
    ]


def _may_fail_beside(statement: Statement, dropped: Effect) -> bool:
    """Whether a statement changes the same table in a way that its rows may not bear."""
    return any(
        effect.fails_late and effect.on is not None and effect.on[-1] == _table(dropped)[-1]
        for effect in effects(statement)
    )


def _table(effect: Effect) -> tuple[str, ...]:
    return effect.on or ()


def _column(effect: Effect) -> str:
    return effect.name[-1] if effect.name else ""
