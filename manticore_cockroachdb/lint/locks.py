"""Which lock a statement takes on a table that others use: PostgreSQL's table of lock modes. Pure.

https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES and the page of each
statement. Measured by tests/lint/test_measured_locks.py against pg_locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from .._model.actions import (
    Action,
    AddColumn,
    AddConstraint,
    AttachPartition,
    DetachPartition,
    OtherAction,
    SetOptions,
    ValidateConstraint,
)
from .._model.commands import (
    AlterTable,
    Command,
    CreateIndex,
    CreateTable,
    CreateTrigger,
    Drop,
    DropIndex,
    Rebuild,
    RefreshView,
    Reindex,
    Rename,
    SetSchema,
    Truncate,
)
from .._model.schema import Schema
from .._model.values import Constraint, ConstraintKind, Name

SHARE_UPDATE_EXCLUSIVE: Final = "SHARE UPDATE EXCLUSIVE"
SHARE: Final = "SHARE"
SHARE_ROW_EXCLUSIVE: Final = "SHARE ROW EXCLUSIVE"
ACCESS_EXCLUSIVE: Final = "ACCESS EXCLUSIVE"
#: From the weakest to the strongest.
_ORDER: Final = (SHARE_UPDATE_EXCLUSIVE, SHARE, SHARE_ROW_EXCLUSIVE, ACCESS_EXCLUSIVE)
#: What each keeps others from.
BLOCKS: Final = {
    SHARE: "writes",
    SHARE_ROW_EXCLUSIVE: "writes",
    ACCESS_EXCLUSIVE: "reads and writes",
}
_SHARED_OPTIONS: Final = ("fillfactor", "autovacuum", "toast.autovacuum", "parallel_workers")


class TableLock(NamedTuple):
    """A lock on a table.

    Attributes:
        table: The table.
        mode: The lock's mode.
    """

    table: Name
    mode: str


def table_lock(command: Command, schema: Schema) -> TableLock | None:
    """The strongest lock a statement takes on a table (or view) it works on; None where it
    takes none that keeps others waiting.

    Args:
        command: The statement.
        schema: The schema before it, where the table of an index is looked for.
    """
    found = _lock(command, schema)
    return None if found is None or found.mode == SHARE_UPDATE_EXCLUSIVE else found


def table_locks(command: Command, schema: Schema) -> tuple[TableLock, ...]:
    """The locks a statement takes: on the table it works on, and on those a new foreign key refers to.

    Args:
        command: The statement.
        schema: The schema before it.
    """
    own = table_lock(command, schema)
    mine = getattr(command, "name", None)
    targets = dict.fromkeys(
        one.target
        for one in _new_constraints(command)
        if one.target is not None and one.target != mine
    )
    found = [TableLock(target, SHARE_ROW_EXCLUSIVE) for target in targets]
    return tuple(found) if own is None else (own, *found)


def _new_constraints(command: Command) -> Iterator[Constraint]:
    if isinstance(command, CreateTable):
        yield from command.constraints
        for definition in command.columns:
            yield from definition.constraints
    elif isinstance(command, AlterTable):
        for action in command.actions:
            if isinstance(action, AddConstraint):
                yield action.constraint
            elif isinstance(action, AddColumn):
                yield from action.definition.constraints


def _lock(command: Command, schema: Schema) -> TableLock | None:
    match command:
        case AlterTable(what="TABLE"):
            modes = [_of_action(action) for action in command.actions]
            return TableLock(command.name, max(modes, key=_ORDER.index))
        case CreateIndex(concurrently=False):
            return TableLock(command.table, SHARE)
        case DropIndex(concurrently=False):
            on, name = command.names[0]
            table = schema.table_of_index(name, on)
            return TableLock(table.name, ACCESS_EXCLUSIVE) if table is not None else None
        case Drop(what="TABLE") | Rename(what="TABLE") | SetSchema(what="TABLE"):
            name = command.names[0] if isinstance(command, Drop) else command.name
            return TableLock(name, ACCESS_EXCLUSIVE)
        case Truncate():
            return TableLock(command.tables[0], ACCESS_EXCLUSIVE)
        case Rebuild(table=Name() as name):
            return TableLock(name, ACCESS_EXCLUSIVE)
        case Reindex(what="TABLE", concurrently=False, name=Name() as name):
            return TableLock(name, SHARE)
        case Reindex(what="INDEX", concurrently=False, name=Name() as name):
            table = schema.table_of_index(name)
            return TableLock(table.name, SHARE) if table is not None else None
        case RefreshView(concurrently=False):
            return TableLock(command.name, ACCESS_EXCLUSIVE)
        case CreateTrigger():
            return TableLock(command.table, SHARE_ROW_EXCLUSIVE)
        case _:
            return None


def _of_action(action: Action) -> str:
    match action:
        case ValidateConstraint() | AttachPartition() | DetachPartition(concurrently=True):
            return SHARE_UPDATE_EXCLUSIVE
        case AddConstraint() if action.constraint.kind is ConstraintKind.FOREIGN_KEY:
            return SHARE_ROW_EXCLUSIVE
        case SetOptions() if all(one.startswith(_SHARED_OPTIONS) for one in action.options):
            return SHARE_UPDATE_EXCLUSIVE
        case OtherAction(words=("ALTER", "COLUMN", _, "SET" | "RESET", "STATISTICS" | "(", *_)):
            return SHARE_UPDATE_EXCLUSIVE
        case OtherAction(words=("CLUSTER" | "SET", "ON" | "WITHOUT", *_)):
            return SHARE_UPDATE_EXCLUSIVE
        case OtherAction(words=("ENABLE" | "DISABLE", "TRIGGER", *_)):
            return SHARE_ROW_EXCLUSIVE
        case _:
            return ACCESS_EXCLUSIVE
