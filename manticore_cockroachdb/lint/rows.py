"""What the rows of a table can hold, as far as the scripts tell: keys that hold, columns of NULLs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from .._model.actions import AddColumn
from .._model.commands import AlterTable, Write
from .._model.schema import Space
from .._model.values import Column, ConstraintKind, Name, Table
from .._sql.tokens import word_set
from .rule import Step

#: Defaults that differ from row to row.
_DIFFERENT: Final = word_set(
    "nextval gen_random_uuid uuid_generate_v1 uuid_generate_v4 uuidv4 uuidv7 gen_random_ulid "
    "unique_rowid unordered_unique_rowid"
)


def has_unique(step: Step, name: Name, columns: Iterable[str]) -> bool:
    """Whether no two rows have the same values in these columns: a key of fewer columns says so.

    A key that the script has dropped counts as long as the script has not written rows.
    """
    asked = frozenset(columns)
    tables = [step.before.table(name)]
    if not _is_written(step, name):
        tables.append(step.script.before.table(name))
    return any(key <= asked for table in tables if table is not None for key in unique_keys(table))


def unique_keys(table: Table) -> Iterator[frozenset[str]]:
    """The columns of each key of a table that holds for all of its rows."""
    for one in table.constraints:
        if one.kind in (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE) and one.columns:
            yield frozenset(one.columns)
    for index in table.indexes:
        if index.unique and index.predicate is None and len(index.columns) == len(index.keys):
            yield frozenset(index.columns)


def all_null(step: Step, name: Name, column: str) -> bool:
    """Whether a column is NULL in every row: the script added it, and has written no rows since."""
    added = _added(step, name, column)
    return added is not None and not (
        added.default or added.generated or added.identity or added.serial
    )


def all_different(step: Step, name: Name, column: str) -> bool:
    """Whether the server gave each row a value of its own: the script added the column so."""
    added = _added(step, name, column)
    if added is None:
        return False
    calls = added.default.calls if added.default is not None else frozenset()
    return added.serial or added.identity or bool(calls & _DIFFERENT)


def _added(step: Step, name: Name, column: str) -> Column | None:
    """The column as this script added it, if it has not written to the table since."""
    found: Column | None = None
    key = step.before.key(Space.RELATION, name)
    for command in (*step.earlier, step.read.command):
        if isinstance(command, AlterTable) and step.before.key(Space.RELATION, command.name) == key:
            for action in command.actions:
                if isinstance(action, AddColumn) and action.definition.column.name == column:
                    found = action.definition.column
        elif isinstance(command, Write) and step.before.key(Space.RELATION, command.table) == key:
            found = None
    return found


def _is_written(step: Step, name: Name) -> bool:
    key = step.before.key(Space.RELATION, name)
    return any(
        isinstance(command, Write) and step.before.key(Space.RELATION, command.table) == key
        for command in step.earlier
    )
