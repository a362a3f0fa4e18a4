"""What the rows of a table can hold, as far as the scripts tell: keys that hold, columns of NULLs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from .._model.actions import AddColumn
from .._model.commands import AlterTable, Write
from .._model.cursor import Cursor
from .._model.schema import Space
from .._model.values import Column, Constraint, ConstraintKind, Expression, Name, Table
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


def never_null(step: Step, name: Name, column: str) -> bool:
    """Whether the script itself filled a column in every row, with what cannot be NULL."""
    added = _added(step, name, column)
    if added is not None and (added.serial or added.identity or _is_value(added.default)):
        return True
    key = step.before.key(Space.RELATION, name)
    return any(
        isinstance(read.command, Write)
        and read.command.verb == "UPDATE"
        and step.before.key(Space.RELATION, read.command.table) == key
        and _is_of_every_null(read.command.where, column)
        and column in _filled(read.text)
        for read in step.script.statements[: step.index]
    )


def _is_of_every_null(where: Expression | None, column: str) -> bool:
    """Whether an UPDATE meets every row that has no value: there is no WHERE, or `column IS NULL`."""
    return where is None or (
        where.names == {column, "is", "null"} and len(where.text.split()) == len(where.names)
    )


def _filled(update: str) -> frozenset[str]:
    """The columns that an UPDATE sets to what is never NULL."""
    cursor = Cursor(update)
    if not cursor.seek("SET"):
        return frozenset()
    found = set()
    for part in cursor.until(frozenset(("FROM", "WHERE", "RETURNING"))).split():
        if part.at_name() and part.peek(1) == "=":
            column = part.identifier()
            part.word()
            if _is_value(part.expression()):
                found.add(column)
    return frozenset(found)


def _is_value(value: Expression | None) -> bool:
    """Whether an expression is a constant, or calls nothing but what is never NULL."""
    return value is not None and _VALUE.fullmatch(value.text) is not None


#: A string, a number, TRUE, FALSE or a function that is never NULL, perhaps with a cast.
_VALUE: Final = re.compile(
    r"""(?ix) \s* (?: '(?:[^']|'')*' | -?\d+(?:\.\d+)? | true | false | current_timestamp
        | (?:now|gen_random_uuid|uuid_generate_v4|unique_rowid) \s* \( \s* \) )
        (?: \s* :: \s* [\w". ]+ (?: \( [\d, ]+ \) )? )? \s*"""
)


def has_reference(step: Step, name: Name, key: Constraint) -> bool:
    """Whether a foreign key that was proved before the script says the same.

    It counts as long as the script has written rows to neither table.
    """
    table = step.script.before.table(name)
    if table is None or key.target is None:
        return False
    if _is_written(step, name) or _is_written(step, key.target):
        return False
    pairs = dict(zip(key.columns, _referred(step, key), strict=False))
    return any(
        one.kind is ConstraintKind.FOREIGN_KEY
        and one.validated
        and one.target is not None
        and step.before.key(Space.RELATION, one.target)
        == step.before.key(Space.RELATION, key.target)
        and dict(zip(one.columns, _referred(step, one), strict=False)) == pairs
        for one in table.constraints
    )


def _referred(step: Step, key: Constraint) -> tuple[str, ...]:
    """The columns that a foreign key refers to."""
    target = step.script.before.table(key.target) if key.target is not None else None
    return key.target_columns or (target.key_columns() if target is not None else ())


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
