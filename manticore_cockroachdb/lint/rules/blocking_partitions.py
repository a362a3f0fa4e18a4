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
from ..._model.values import ConstraintKind, Name, quoted
from ..finding import Severity
from ..rule import ON_PG, PG, Example, Remark, Step, rule
from ..sql import name_for, scripts

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
    """DETACH PARTITION blocks reads and writes of the whole table while it waits for its lock."""
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if isinstance(action, DetachPartition) and not action.concurrently:
            yield Remark(
                f"DETACH PARTITION blocks reads and writes of {command.name} while it waits for "
                "its lock.",
                f"ALTER TABLE {command.name} DETACH PARTITION {action.partition} CONCURRENTLY;",
            )


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

    A CHECK constraint that says what the partition's bounds say, validated before, avoids the scan.
    """
    command = step.read.command
    if not isinstance(command, AlterTable):
        return
    for action in command.actions:
        if not isinstance(action, AttachPartition) or step.is_new(action.partition):
            continue
        table = step.before.table(action.partition)
        checked = table is not None and any(
            one.kind is ConstraintKind.CHECK and one.validated for one in table.constraints
        )
        if checked:
            continue
        name = name_for(action.partition, ("bounds",), "check")
        yield Remark(
            f"ATTACH PARTITION reads every row of {action.partition}, which nobody can use "
            "meanwhile.",
            scripts(
                f"ALTER TABLE {action.partition} ADD CONSTRAINT {name} CHECK "
                f"({_bounds(step, command.name)}) NOT VALID;",
                f"ALTER TABLE {action.partition} VALIDATE CONSTRAINT {name};",
                f"{step.text};",
            ),
        )


def _bounds(step: Step, name: Name) -> str:
    """What FOR VALUES says, as a condition; "…" where that is not plain."""
    table = step.before.table(name)
    key = table.partition_key if table is not None else ()
    match = _FOR_VALUES.search(step.text)
    if match is None or len(key) != 1:
        return "…"
    column = quoted(key[0])
    if match["values"]:
        return f"{column} IN ({match['values']})"
    return f"{column} >= {match['first']} AND {column} < {match['end']}"


_FOR_VALUES: Final = re.compile(
    r"FOR\s+VALUES\s+(?:IN\s*\((?P<values>[^()]*)\)"
    r"|FROM\s*\((?P<first>[^(),]*)\)\s*TO\s*\((?P<end>[^(),]*)\))",
    re.IGNORECASE,
)
