"""What the rows of a table can hold, as far as the scripts tell: keys that hold, columns of NULLs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from .._model.actions import AddColumn
from .._model.commands import AlterTable, CreateTable, Rename, Write
from .._model.cursor import Cursor
from .._model.schema import Space
from .._model.values import (
    Column,
    Constraint,
    ConstraintKind,
    Expression,
    Index,
    Name,
    Table,
    quoted,
)
from .._sql.tokens import word_set
from .rule import Step

#: Defaults that differ from row to row.
_DIFFERENT: Final = word_set(
    "nextval gen_random_uuid uuid_generate_v1 uuid_generate_v4 uuidv4 uuidv7 gen_random_ulid "
    "unique_rowid unordered_unique_rowid"
)


def has_unique(step: Step, name: Name, keys: Iterable[str]) -> bool:
    """Whether no two rows have the same values in these columns: a key of fewer columns says so.

    A key that the script has dropped counts as long as the script has not written what it is about.

    Args:
        step: The statement.
        name: The table.
        keys: Columns, or expressions as they are written.
    """
    asked = frozenset(keys)
    tables = [step.before.table(name)]
    if not _is_written(step, name, asked):
        tables.append(_as_it_was(step, name))
    return any(key <= asked for table in tables if table is not None for key in unique_keys(table))


def unique_keys(table: Table) -> Iterator[frozenset[str]]:
    """The columns of each key of a table that holds for all of its rows."""
    for one in table.constraints:
        kinds = (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE)
        if one.kind in kinds and one.columns and one.expression is None:
            yield frozenset(one.columns)
    for index in table.indexes:
        if index.unique and index.predicate is None:
            yield keys_of(index)


def keys_of(index: Index) -> frozenset[str]:
    """The keys of an index: columns, and expressions as they are written."""
    texts = (key.column if key.expression is None else key.expression.text for key in index.keys)
    return frozenset(text for text in texts if text is not None)


def all_null(step: Step, name: Name, column: str) -> bool:
    """Whether a column is NULL in every row: the script added it, and has written no rows since."""
    added = _added(step, name, column)
    return added is not None and not (
        added.default or added.generated or added.identity or added.serial
    )


def all_different(step: Step, name: Name, column: str) -> bool:
    """Whether the server gave each row a different value: the script added the column so."""
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
    for read in step.script.statements[: step.index]:
        command = read.command
        if not isinstance(command, Write):
            continue
        if step.before.key(Space.RELATION, command.table) != key:
            continue
        if command.limited or not _is_of_every_null(command.where, column):
            continue
        if command.verb == "DELETE" or (
            command.verb == "UPDATE" and column in _filled(read.text, step.before.table(name))
        ):
            return True
    return False


def is_null_for_all(step: Step, name: Name, condition: Expression) -> bool:
    """Whether a condition is NULL in every row, and so refuses none: its columns are, and nothing in
    it gives NULL a value.
    """
    table = step.before.table(name)
    if table is None or not condition.calls <= _STRICT or condition.names & _OF_NULL:
        return False
    used = [one.name for one in table.columns if one.name in condition.names]
    return bool(used) and all(all_null(step, name, one) for one in used)


#: Functions that are NULL where their argument is.
_STRICT: Final = word_set(
    "abs array_length btrim char_length character_length jsonb_typeof length lower ltrim "
    "octet_length rtrim trim upper"
)
#: Words that may make something else of NULL.
_OF_NULL: Final = word_set("and case distinct is not or")


def _is_of_every_null(where: Expression | None, column: str) -> bool:
    """Whether a statement meets every row that has no value: no WHERE, or `column IS NULL`."""
    return where is None or (
        where.names == {column, "is", "null"} and len(where.text.split()) == len(where.names)
    )


def _filled(update: str, table: Table | None) -> frozenset[str]:
    """The columns that an UPDATE of every row it may meet sets to what is never NULL."""
    if Cursor(update).seek("FROM"):  # only the rows that it joins
        return frozenset()
    return frozenset(
        column
        for column, value in _assignments(update)
        if _is_value(value) or _is_choice(value) or _is_filled_column(value, table)
    )


def _is_choice(value: Expression | None) -> bool:
    """Whether an expression is a CASE that has an ELSE, and nothing but constants to choose from."""
    if value is None or not _CASE.fullmatch(value.text):
        return False
    chosen = _CHOSEN.findall(value.text)
    return bool(chosen) and all(_VALUE.fullmatch(one) for one in chosen)


_CASE: Final = re.compile(r"(?is)\s*CASE\b.*\bELSE\b.*\bEND\s*")
_CHOSEN: Final = re.compile(r"(?is)\b(?:THEN|ELSE)\b(.+?)(?=\b(?:WHEN|ELSE|END)\b)")


def _is_filled_column(value: Expression | None, table: Table | None) -> bool:
    """Whether an expression is a column of the table that is never NULL."""
    if value is None or table is None or value.calls or len(value.names) != 1:
        return False
    column = table.column(next(iter(value.names)))
    return (
        column is not None and column.not_null and value.text in (column.name, quoted(column.name))
    )


def _assignments(update: str) -> Iterator[tuple[str, Expression | None]]:
    """The columns that an UPDATE sets, each with its value; None for one of several in parentheses."""
    cursor = Cursor(update)
    if not cursor.seek("SET"):
        return
    for part in cursor.until(frozenset(("FROM", "WHERE", "RETURNING"))).split():
        if part.at_name() and part.peek(1) == "=":
            column = part.identifier()
            part.word()
            yield column, part.expression()
        elif part.peek() == "(":
            columns = [one.identifier() for one in part.group().split() if one.at_name()]
            yield from ((column, None) for column in columns)


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

    It counts as long as the script has written what it is about to neither table.
    """
    table = _as_it_was(step, name)
    if table is None or key.target is None:
        return False
    referred = frozenset(_referred(step, key))
    if _is_written(step, name, frozenset(key.columns)):
        return False
    if _is_written(step, key.target, referred, deleted=True):
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


def _as_it_was(step: Step, name: Name) -> Table | None:
    """The table before the script; None where the script has given its name to another table."""
    key = step.before.key(Space.RELATION, name)
    for command in step.earlier:
        match command:
            case CreateTable(name=made):
                found = step.before.key(Space.RELATION, made)
            case Rename(what="TABLE", name=old, new=new):
                found = step.before.key(Space.RELATION, Name(old.schema, new))
            case _:
                continue
        if found == key:
            return None
    return step.script.before.table(name)


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


def _is_written(step: Step, name: Name, columns: frozenset[str], *, deleted: bool = False) -> bool:
    """Whether the script has given rows of a table other values in these columns.

    Args:
        step: The statement.
        name: The table.
        columns: The columns, or expressions over them.
        deleted: Whether rows that went count, too.
    """
    key = step.before.key(Space.RELATION, name)
    for read in step.script.statements[: step.index]:
        command = read.command
        if not isinstance(command, Write):
            continue
        if step.before.key(Space.RELATION, command.table) != key:
            continue
        if command.verb == "DELETE" and not deleted:
            continue
        if command.verb != "UPDATE":
            return True
        if any(column in text for column, _ in _assignments(read.text) for text in columns):
            return True
    return False
