"""CockroachDB: schema changes that write a table or an index again, beside what is there."""

from __future__ import annotations

from collections.abc import Iterator

from ..._model.actions import (
    Action,
    AddColumn,
    AddConstraint,
    AlterPrimaryKey,
    SetLocality,
    SetType,
)
from ..._model.commands import AlterTable, Command, CreateIndex
from ..._model.schema import Schema
from ..._model.values import ConstraintKind, Name
from ..finding import Severity
from ..rule import ON_CRDB, Example, Remark, Step, rule
from ..sql import allowed
from .cockroachdb_columns import is_trivial

#: SHOW RANGES has sizes without WITH DETAILS before this version.
_WITH_DETAILS = (23, 1)


@rule(
    "needs-space",
    Severity.NOTE,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/online-schema-changes#estimate-your-storage-capacity-before-performing-online-schema-changes",
    Example(
        "CREATE INDEX rides_by_city ON rides (city);",
        "CREATE TABLE rides (id UUID PRIMARY KEY, city STRING);",
    ),
    on=(CreateIndex, AlterTable),
)
def needs_space(step: Step) -> Iterator[Remark]:
    """A change that writes an index or a table again needs up to three times its size in free space.

    The new data is written beside the old, which is deleted later. When a node runs low, the job
    is paused. Look at the size first.
    """
    command = step.read.command
    name = written_again(command, step.before)
    if name is None or step.is_empty(name):
        return
    details = " WITH DETAILS" if step.target.version >= _WITH_DETAILS else ""
    yield Remark(
        f"It needs free space of up to three times what it writes again of {name}.",
        f"-- SELECT sum(range_size_mb) FROM [SHOW RANGES FROM TABLE {name}{details}];\n"
        + allowed("needs-space", "the nodes have room for it", step.text),
    )


def written_again(command: Command, schema: Schema) -> Name | None:
    """The table that a statement writes again, whole or as an index."""
    if isinstance(command, CreateIndex):
        return command.table
    if isinstance(command, AlterTable):
        for action in command.actions:
            if _writes_rows(schema, command.name, action):
                return command.name
    return None


def _writes_rows(schema: Schema, name: Name, action: Action) -> bool:
    match action:
        case AddConstraint(constraint=one):
            keys = (ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY)
            return one.kind in keys and one.index is None
        case AlterPrimaryKey() | SetLocality():
            return True
        case AddColumn(definition=definition):
            column = definition.column
            unique = any(one.kind is ConstraintKind.UNIQUE for one in definition.constraints)
            stored = column.generated is not None and column.stored
            return unique or stored or column.serial or column.default is not None
        case SetType():
            return not _keeps_rows(schema, name, action)
        case _:
            return False


def _keeps_rows(schema: Schema, name: Name, action: SetType) -> bool:
    """Whether a change of type is one of the description alone."""
    table = schema.table(name)
    column = table.column(action.column) if table is not None else None
    return column is not None and column.type is not None and is_trivial(column.type, action.type)
