"""Indexes that are missing, or that another one makes useless."""

from __future__ import annotations

from collections.abc import Iterator

from ..._model.actions import AddColumn, AddConstraint
from ..._model.commands import AlterTable, CreateTable
from ..._model.schema import Space
from ..._model.values import Constraint, ConstraintKind, Index, Name, Table, quoted
from ..finding import Severity
from ..rule import BOTH, CRDB, Example, Remark, Script, rule
from ..sql import listed, name_for

_DRIVERS = "CREATE TABLE drivers (id BIGINT PRIMARY KEY);"
_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT, price NUMERIC);"


@rule(
    "foreign-key-without-index",
    Severity.WARNING,
    BOTH,
    "https://www.cockroachlabs.com/docs/stable/foreign-key",
    Example(
        "CREATE TABLE rides (id BIGINT PRIMARY KEY, driver_id BIGINT REFERENCES drivers (id));",
        _DRIVERS,
        fixed="CREATE TABLE rides (id BIGINT PRIMARY KEY, driver_id BIGINT REFERENCES drivers (id));\n"
        "CREATE INDEX rides_driver_id_idx ON rides (driver_id);",
    ),
)
def foreign_key_without_index(script: Script) -> Iterator[Remark]:
    """Deleting a row, or changing its key, looks for the rows that refer to it: in all rows, where
    no index begins with a column of the foreign key.

    On CockroachDB that scan also meets every other transaction on the table.
    """
    if script.after is None:
        return
    for line, name, one in _new_foreign_keys(script):
        table = script.after.table(name)
        if table is None or not table.known or _begins_with(table, set(one.columns)):
            continue
        index = name_for(table.name, one.columns, "idx")
        is_new = script.before.key(Space.RELATION, name) in script.made
        kind = "" if script.target.kind is CRDB or is_new else " CONCURRENTLY"
        yield Remark(
            f"No index of {table.name} begins with {_any_of(one.columns)}, so deleting from "
            f"{one.target} reads every row of {table.name}.",
            f"CREATE INDEX{kind} {index} ON {table.name} ({listed(one.columns)});",
            line,
        )


def _any_of(columns: tuple[str, ...]) -> str:
    return " or ".join(map(quoted, columns))


def _new_foreign_keys(script: Script) -> Iterator[tuple[int, Name, Constraint]]:
    """The foreign keys a script adds: line, table, constraint."""
    for read in script.statements:
        command = read.command
        found: list[Constraint] = []
        if isinstance(command, CreateTable):
            found = [c for column in command.columns for c in column.constraints]
            found += command.constraints
        elif isinstance(command, AlterTable):
            for action in command.actions:
                if isinstance(action, AddConstraint):
                    found.append(action.constraint)
                elif isinstance(action, AddColumn):
                    found += action.definition.constraints
        else:
            continue
        for one in found:
            if one.kind is ConstraintKind.FOREIGN_KEY:
                yield read.line, command.name, one


def _changed_tables(script: Script) -> Iterator[tuple[Table | None, Table]]:
    """Each table the script made or changed, before and after."""
    if script.after is None:
        return
    for key, (before, after) in script.after.changes(script.before).items():
        if key.space is Space.RELATION and isinstance(after, Table):
            yield before if isinstance(before, Table) else None, after


def _begins_with(table: Table, columns: set[str]) -> bool:
    """Whether an index of the table begins with one of these columns: then not all rows are read."""
    keys = [one.columns for one in table.constraints if _is_key(one)]
    keys += [index.columns for index in table.indexes if index.predicate is None]
    keys += [
        index.columns
        for index in table.indexes
        if index.predicate is not None
        and index.predicate.names <= {*columns, "is", "not", "null"}  # WHERE column IS NOT NULL
    ]
    return any(set(key[:1]) & columns for key in keys)


def _line(script: Script, word: str) -> int | None:
    """The line of the last statement that has a word: the one that made what a remark is about."""
    found = [read.line for read in script.statements if word in read.text]
    return found[-1] if found else None


@rule(
    "redundant-index",
    Severity.NOTE,
    BOTH,
    "https://www.cockroachlabs.com/docs/stable/schema-design-indexes",
    Example(
        "CREATE INDEX CONCURRENTLY rides_by_city ON rides (city);",
        _RIDES + "\nCREATE INDEX rides_by_city_and_price ON rides (city, price);",
        fixed="SELECT 1;",
    ),
)
def redundant_index(script: Script) -> Iterator[Remark]:
    """An index whose columns another one begins with answers no query faster, and costs every
    write.
    """
    for before, table in _changed_tables(script):
        for index in table.indexes:
            if not _is_plain(index) or (before is not None and index in before.indexes):
                continue
            wider = _wider(table, index)
            if wider is not None:
                yield Remark(
                    f"The index {index.name} is on the columns that {wider} begins with.",
                    None,
                    _line(script, index.columns[0]),
                )


def _is_plain(index: Index) -> bool:
    return (
        not index.unique
        and index.predicate is None
        and index.method == "btree"
        and bool(index.columns)
        and len(index.columns) == len(index.keys)
        and not index.sharded
    )


def _wider(table: Table, index: Index) -> str | None:
    """The key or index that begins with the columns of an index."""
    count = len(index.columns)
    stored = set(index.storing)
    for one in table.constraints:
        if _is_key(one) and one.columns[:count] == index.columns and not stored:
            return one.name
    for other in table.indexes:
        if other is index or other.predicate is not None or other.method != "btree":
            continue
        same_way = [key.descending for key in other.keys][:count] == [
            key.descending for key in index.keys
        ]
        later = len(other.keys) > count or table.indexes.index(other) < table.indexes.index(index)
        if (
            other.columns[:count] == index.columns
            and same_way
            and later
            and stored <= set(other.storing) | set(other.columns)
        ):
            return other.name
    return None


def _is_key(one: Constraint) -> bool:
    kinds = (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE)
    return one.kind in kinds and one.expression is None
