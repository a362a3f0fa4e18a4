"""Statements that fail if the rows that are there do not fit: only the data can tell.

`manticore_lint --live` asks the data: see `probes`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from ..._model.actions import AddColumn, AddConstraint, SetNotNull, ValidateConstraint
from ..._model.commands import AlterTable, CreateIndex
from ..._model.values import ConstraintKind, Name, quoted
from ..finding import Severity
from ..rows import (
    all_different,
    all_null,
    has_reference,
    has_unique,
    is_null_for_all,
    keys_of,
    never_null,
)
from ..rule import BOTH, CRDB, Example, Remark, Step, rule
from ..safer import DEMANDS, demands, known_not_null
from ..safer import column as column_of
from ..sql import BATCHED, allowed, keys, listed, scripts

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, driver_id BIGINT, city TEXT, price NUMERIC);"
_DRIVERS = "CREATE TABLE drivers (id BIGINT PRIMARY KEY);\n" + _RIDES
_CONSTRAINTS = "https://www.postgresql.org/docs/current/ddl-constraints.html"
_SCHEMA_CHANGES = "https://www.cockroachlabs.com/docs/stable/online-schema-changes"


@rule(
    "required-column",
    Severity.ERROR,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-altertable.html",
    Example("ALTER TABLE rides ADD COLUMN note TEXT NOT NULL;", _RIDES),
    on=(AlterTable,),
)
def required_column(step: Step) -> Iterator[Remark]:
    """A new NOT NULL column without a default cannot be added to a table that has rows.

    Programs of the previous release, which do not know the column, also fail to insert. Add it
    nullable, write it from every program, fill the old rows, and then make it NOT NULL.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_empty(command.name):
        return
    for action in command.actions:
        if not isinstance(action, AddColumn):
            continue
        column = action.definition.column
        filled = column.default or column.generated or column.identity or column.serial
        if not column.not_null or filled:
            continue
        name = quoted(column.name)
        added = column_of(action.definition, DEMANDS)
        last = list(demands(step, command.name, action.definition))
        if step.target.kind is CRDB and last:
            last[0] = f"-- manticore: allow=not-null-on-data every row has it\n{last[0]}"
        yield Remark(
            f"ADD COLUMN {name} NOT NULL without a default fails if {command.name} has rows.",
            scripts(
                f"ALTER TABLE {command.name} ADD COLUMN {added};",
                f"-- fill the rows, with '{BATCHED}' before: UPDATE {command.name} SET {name} = … "
                f"WHERE {name} IS NULL",
                *last,
            ),
            subject=column.name,
        )


@rule(
    "unique-on-data",
    Severity.WARNING,
    BOTH,
    _SCHEMA_CHANGES,
    Example("CREATE UNIQUE INDEX CONCURRENTLY rides_city ON rides (city);", _RIDES),
    on=(CreateIndex, AlterTable),
)
def unique_on_data(step: Step) -> Iterator[Remark]:
    """A unique index fails if two rows that are there are equal.

    On CockroachDB it fails only after the whole back-fill, which may have taken hours. Ask the
    data first.
    """
    command = step.read.command
    if isinstance(command, CreateIndex):
        if command.index.unique and not _cannot_repeat(step, command.table, keys_of(command.index)):
            where = f" WHERE {command.index.predicate.text}" if command.index.predicate else ""
            yield _duplicates(step, command.table, keys(command.index), where)
    elif isinstance(command, AlterTable) and not step.is_empty(command.name):
        for action in command.actions:
            if isinstance(action, AddConstraint) and action.constraint.index is None:
                one = action.constraint
                kinds = (ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY)
                key = one.kind is ConstraintKind.PRIMARY_KEY
                if one.kind in kinds and not _cannot_repeat(
                    step, command.name, one.columns, nulls=not key
                ):
                    where = f" WHERE {one.expression.text}" if one.expression else ""
                    yield _duplicates(step, command.name, listed(one.columns), where)
            elif isinstance(action, AddColumn):
                yield from _unique_column(command, action)


def _cannot_repeat(
    step: Step, table: Name, columns: Collection[str], *, nulls: bool = True
) -> bool:
    """Whether no two rows can have the same values in these columns, by the scripts alone.

    Args:
        step: The statement.
        table: The table.
        columns: The columns, or expressions as they are written.
        nulls: Whether several rows without a value are allowed; not in a primary key.
    """
    return (
        step.is_empty(table)
        or has_unique(step, table, columns)
        or any(all_different(step, table, one) for one in columns)
        or (nulls and any(all_null(step, table, one) for one in columns))
    )


def _unique_column(command: AlterTable, action: AddColumn) -> Iterator[Remark]:
    """A new unique column is full of NULLs, which is fine, unless it has one default for all
    rows.
    """
    column = action.definition.column
    unique = any(one.kind is ConstraintKind.UNIQUE for one in action.definition.constraints)
    if unique and column.default is not None and column.default.calls <= _SAME_FOR_ALL:
        yield Remark(
            f"Every row of {command.name} gets the same {quoted(column.name)}, and the column is "
            "UNIQUE: it fails if there is more than one row.",
            f"ALTER TABLE {command.name} ADD COLUMN {quoted(column.name)} {column.type} UNIQUE;",
        )


#: Functions that give every row of one statement the same value. Others are not known.
_SAME_FOR_ALL: Final = frozenset(
    ("now", "transaction_timestamp", "statement_timestamp", "current_schema", "current_database")
)


def _duplicates(step: Step, table: Name, columns: str, where: str) -> Remark:
    query = f"SELECT {columns} FROM {table}{where} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1;"
    return Remark(
        f"It fails if two rows of {table} have the same {columns}"
        + (", and says so only at the end of the back-fill." if step.target.kind is CRDB else "."),
        f"-- must find nothing: {query}\n"
        + allowed("unique-on-data", "the query above found nothing", step.text),
        subject=columns,
    )


@rule(
    "not-null-on-data",
    Severity.WARNING,
    BOTH,
    _CONSTRAINTS,
    Example("ALTER TABLE rides ALTER COLUMN city SET NOT NULL;", _RIDES),
    on=(AlterTable,),
)
def not_null_on_data(step: Step) -> Iterator[Remark]:
    """SET NOT NULL fails if a row that is there has no value. Ask the data first."""
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_empty(command.name):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if not isinstance(action, SetNotNull):
            continue
        filled = never_null(step, command.name, action.column)
        if filled or known_not_null(table, action.column):
            continue
        name = quoted(action.column)
        yield Remark(
            f"It fails if a row of {command.name} has no {name}.",
            f"-- must find nothing: SELECT 1 FROM {command.name} WHERE {name} IS NULL LIMIT 1;\n"
            + allowed("not-null-on-data", "the query above found nothing", step.text),
            subject=action.column,
        )


@rule(
    "check-on-data",
    Severity.WARNING,
    BOTH,
    _CONSTRAINTS,
    Example(
        "ALTER TABLE rides ADD CONSTRAINT price_positive CHECK (price > 0);",
        _RIDES,
        server="cockroachdb",
    ),
    on=(AlterTable,),
)
def check_on_data(step: Step) -> Iterator[Remark]:
    """A CHECK constraint fails if a row that is there does not obey it. Ask the data first."""
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_empty(command.name):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if isinstance(action, AddConstraint) and action.constraint.validated:
            one = action.constraint
        elif isinstance(action, ValidateConstraint) and table is not None:
            there = table.constraint(action.name)
            if there is None or there.validated:
                continue
            one = there
        else:
            continue
        if one.kind is ConstraintKind.CHECK and one.expression is not None:
            if is_null_for_all(step, command.name, one.expression):
                continue
            condition = one.expression.text
            yield Remark(
                f"It fails if a row of {command.name} does not obey CHECK ({condition}).",
                f"-- must find nothing: SELECT 1 FROM {command.name} WHERE NOT ({condition}) "
                "LIMIT 1;\n" + allowed("check-on-data", "the query above found nothing", step.text),
                subject=condition,
            )


@rule(
    "foreign-key-on-data",
    Severity.WARNING,
    BOTH,
    _CONSTRAINTS + "#DDL-CONSTRAINTS-FK",
    Example(
        "ALTER TABLE rides ADD CONSTRAINT rides_driver FOREIGN KEY (driver_id) REFERENCES "
        "drivers (id);",
        _DRIVERS,
        server="cockroachdb",
    ),
    on=(AlterTable,),
)
def foreign_key_on_data(step: Step) -> Iterator[Remark]:
    """A foreign key fails if a row that is there refers to a row that is not. Ask the data
    first.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_empty(command.name):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if isinstance(action, AddConstraint) and action.constraint.validated:
            one = action.constraint
        elif isinstance(action, ValidateConstraint) and table is not None:
            there = table.constraint(action.name)
            if there is None or there.validated:
                continue
            one = there
        else:
            continue
        if one.kind is not ConstraintKind.FOREIGN_KEY or one.target is None:
            continue
        if any(all_null(step, command.name, column) for column in one.columns):
            continue
        if has_reference(step, command.name, one):
            continue
        target = step.before.table(one.target)
        there_columns = one.target_columns or (target.key_columns() if target else ())
        if len(there_columns) != len(one.columns):
            there_columns = one.columns
        joined = " AND ".join(
            f"p.{quoted(b)} = c.{quoted(a)}"
            for a, b in zip(one.columns, there_columns, strict=True)
        )
        filled = " AND ".join(f"c.{quoted(a)} IS NOT NULL" for a in one.columns)
        yield Remark(
            f"It fails if a row of {command.name} refers to a row that is not in {one.target}.",
            f"-- must find nothing: SELECT 1 FROM {command.name} c WHERE {filled} AND NOT EXISTS "
            f"(SELECT 1 FROM {one.target} p WHERE {joined}) LIMIT 1;\n"
            + allowed("foreign-key-on-data", "the query above found nothing", step.text),
            subject=listed(one.columns),
        )
