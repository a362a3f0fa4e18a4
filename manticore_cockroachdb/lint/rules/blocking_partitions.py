"""PostgreSQL: partitions that are attached and detached while others wait."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..._model.actions import (
    AttachPartition,
    DetachPartition,
)
from ..._model.commands import (
    AlterTable,
)
from ..._model.schema import Space
from ..._model.values import ConstraintKind, Name, Table, quoted
from ..finding import Severity
from ..rule import ON_PG, PG, Example, Remark, Step, rule
from ..safer import known_not_null, new_name
from ..sql import scripts

_ALTER_TABLE = "https://www.postgresql.org/docs/current/sql-altertable.html"


@rule(
    "detach-partition-blocking",
    Severity.ERROR,
    {PG: ((14,), None)},
    _ALTER_TABLE + "#SQL-ALTERTABLE-DETACH-PARTITION",
    Example(
        "ALTER TABLE events DETACH PARTITION events_2020;",
        "CREATE TABLE events (at DATE) PARTITION BY RANGE (at);\n"
        "CREATE TABLE events_2020 PARTITION OF events "
        "FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');",
    ),
    on=(AlterTable,),
)
def detach_partition_blocking(step: Step) -> Iterator[Remark]:
    """DETACH PARTITION blocks reads and writes of the whole table while it waits for its lock.

    CONCURRENTLY does not; PostgreSQL refuses it where the table has a DEFAULT partition.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if isinstance(action, DetachPartition) and not action.concurrently:
            yield Remark(
                f"DETACH PARTITION blocks reads and writes of {command.name} while it waits for "
                "its lock.",
                None
                if _has_default(step, command.name)
                else f"ALTER TABLE {command.name} DETACH PARTITION {action.partition} CONCURRENTLY;",
            )


def _has_default(step: Step, name: Name) -> bool:
    """Whether the table has a DEFAULT partition, with which CONCURRENTLY is refused."""
    children = (
        step.before.get(key) for key in step.before.referrers(step.before.key(Space.RELATION, name))
    )
    return any(isinstance(one, Table) and one.takes_rest for one in children)


@rule(
    "attach-partition-scan",
    Severity.WARNING,
    ON_PG,
    _ALTER_TABLE + "#SQL-ALTERTABLE-ATTACH-PARTITION",
    Example(
        "ALTER TABLE events ATTACH PARTITION events_2020 FOR VALUES FROM ('2020-01-01') TO "
        "('2021-01-01');",
        "CREATE TABLE events (at DATE NOT NULL) PARTITION BY RANGE (at);\n"
        "CREATE TABLE events_2020 (at DATE NOT NULL);",
    ),
    on=(AlterTable,),
)
def attach_partition_scan(step: Step) -> Iterator[Remark]:
    """ATTACH PARTITION reads every row of the partition under an ACCESS EXCLUSIVE lock on it.

    A CHECK constraint that says what the partition's bounds say, and that the key is NOT NULL,
    avoids the scan if it was validated before.
    """
    command = step.read.command
    if not isinstance(command, AlterTable):
        return
    for action in command.actions:
        if not isinstance(action, AttachPartition) or step.is_new(action.partition):
            continue
        parent = step.before.table(command.name)
        key = parent.partition_key if parent is not None else ()
        if _is_checked(step.before.table(action.partition), key):
            continue
        bounds = _bounds(step, key)
        name = new_name(step, action.partition, ("bounds",), "check")
        yield Remark(
            f"ATTACH PARTITION reads every row of {action.partition}, which nobody can use "
            "meanwhile.",
            scripts(
                f"ALTER TABLE {action.partition} ADD CONSTRAINT {name} CHECK ({bounds}) NOT VALID;",
                f"ALTER TABLE {action.partition} VALIDATE CONSTRAINT {name};",
                f"{step.text};",
            )
            if bounds
            else None,
        )


def _is_checked(table: Table | None, key: tuple[str, ...]) -> bool:
    """Whether a validated CHECK may say what the bounds say, and the key is known to be NOT NULL."""
    if table is None:
        return False
    checks = [
        one.expression.names
        for one in table.constraints
        if one.kind is ConstraintKind.CHECK and one.validated and one.expression is not None
    ]
    return bool(checks) and all(
        any(name in names for names in checks) and known_not_null(table, name) for name in key
    )


def _bounds(step: Step, key: tuple[str, ...]) -> str:
    """What FOR VALUES says, as a condition; "" where that is not plain."""
    match = _FOR_VALUES.search(step.text)
    if match is None or len(key) != 1:
        return ""
    column = quoted(key[0])
    parts = [f"{column} IS NOT NULL"]
    if match["values"]:
        if "NULL" in match["values"].upper():
            return ""
        parts.append(f"{column} IN ({match['values']})")
        return " AND ".join(parts)
    if match["first"].strip().upper() != "MINVALUE":
        parts.append(f"{column} >= {match['first']}")
    if match["end"].strip().upper() != "MAXVALUE":
        parts.append(f"{column} < {match['end']}")
    return " AND ".join(parts)


_FOR_VALUES: Final = re.compile(
    r"FOR\s+VALUES\s+(?:IN\s*\((?P<values>[^()]*)\)"
    r"|FROM\s*\((?P<first>[^(),]*)\)\s*TO\s*\((?P<end>[^(),]*)\))",
    re.IGNORECASE,
)
