"""Safer forms of constraints and columns, for each server, as written by the user. Pure.

What a statement says of a constraint (ON DELETE, INCLUDE, DEFERRABLE) and of a column (COLLATE,
NOT NULL) is kept: a safer form that leaves it out would be another change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from .._model import naming
from .._model.actions import ColumnDefinition
from .._model.cursor import Cursor, NotUnderstoodError
from .._model.fold_table import chosen_name, free_names
from .._model.naming import choose
from .._model.schema import Space
from .._model.values import Column, Constraint, ConstraintKind, Name, Table, quoted
from .._sql.tokens import word_set
from .rule import CRDB, Step
from .sql import filled, scripts

#: The parts of a column that say what its values are.
VALUES: Final = word_set("DEFAULT GENERATED AS STORED VIRTUAL ON")
#: The parts of a column that are constraints, and may have a name.
CONSTRAINTS: Final = word_set("PRIMARY UNIQUE CHECK REFERENCES DEFERRABLE INITIALLY")
#: The parts of a column that demand something of its values.
DEMANDS: Final = CONSTRAINTS | {"NOT", "NULL"}


def name_of(step: Step, table: Name, one: Constraint, beside: str = "") -> str:
    """The name of a constraint that is added: its own, or the one that the server would choose.

    Args:
        step: The statement that adds it.
        table: The table.
        one: The constraint.
        beside: The new column that it was written beside.
    """
    if one.name is not None:
        return quoted(one.name)
    known = step.before.table(table) or Table(table)
    if beside:
        known = replace(known, columns=(*known.columns, Column(beside, None)))
    return quoted(chosen_name(step.before, step.before.key(Space.RELATION, table), known, one))


def name_there(step: Step, table: Name, one: Constraint) -> str:
    """The name that a constraint of the model has on the server, without quotes.

    CockroachDB before v22.1 names keys in its own way where nobody does: `primary`, `fk_a_ref_b`.
    https://www.cockroachlabs.com/docs/releases/v22.1
    """
    usual = naming.for_constraint(table.name, (), one, lambda _: True)
    if step.target.kind is CRDB and step.target.version < (22, 1) and one.name == usual:
        if one.kind is ConstraintKind.PRIMARY_KEY:
            return "primary"
        if one.kind is ConstraintKind.FOREIGN_KEY and one.target is not None:
            return f"fk_{'_'.join(one.columns)}_ref_{one.target.name}"
    return one.name or usual


def new_name(step: Step, table: Name, columns: Collection[str], label: str) -> str:
    """A name for an index or a constraint that its table does not have yet."""
    key = step.before.key(Space.RELATION, table)
    known = step.before.table(table) or Table(table)
    is_free = free_names(step.before, key, known)
    return quoted(choose(table.name, "_".join(columns), label, is_free))


def column(
    definition: ColumnDefinition, without: Collection[str] = (), *, kind: object = None
) -> str:
    """A column as ADD COLUMN takes it.

    Args:
        definition: The column as it is written.
        without: The parts to leave out, by the word they begin with.
        kind: Its type, where another is to be written than what it has.
    """
    parts = [
        str(kind) if word == "TYPE" and kind is not None else text
        for word, text in definition.parts
        if word not in without
    ]
    return " ".join((quoted(definition.column.name), *parts))


def bare(definition: ColumnDefinition) -> str:
    """A column with nothing but its name, its type and how that is kept."""
    made = definition.column
    kind = made.type if made.serial else None  # SERIAL stands for a type
    return column(definition, VALUES | DEMANDS, kind=kind)


def filled_later(
    step: Step, table: Name, definition: ColumnDefinition, value: str, *, then: str = ""
) -> str:
    """The scripts that add a column, give new rows a value, fill the old ones, and then demand the rest.

    Args:
        step: The statement that adds it at once.
        table: The table.
        definition: The column.
        value: The value for new rows and for old ones.
        then: A statement for the end of the first script.
    """
    name = quoted(definition.column.name)
    return scripts(
        f"ALTER TABLE {table} ADD COLUMN {bare(definition)};\n"
        f"ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {value};"
        + (f"\n{then}" if then else ""),
        filled(table, name, value),
        *demands(step, table, definition),
    )


def constrained_later(step: Step, table: Name, definition: ColumnDefinition) -> str:
    """The scripts that add a column with its default, and then what it demands."""
    made = definition.column
    filled_at_once = made.default is not None or made.generated is not None
    without = CONSTRAINTS if filled_at_once else DEMANDS
    wanted = (
        [part for one in definition.constraints for part in added(step, table, one, made.name)]
        if filled_at_once
        else demands(step, table, definition)
    )
    return scripts(f"ALTER TABLE {table} ADD COLUMN {column(definition, without)};", *wanted)


def demands(step: Step, table: Name, definition: ColumnDefinition) -> Iterator[str]:
    """The scripts that bring NOT NULL, UNIQUE, CHECK and REFERENCES to a column that is filled."""
    name = definition.column.name
    kinds = [one.kind for one in definition.constraints]
    numbered = definition.column.serial or definition.column.identity
    if ConstraintKind.PRIMARY_KEY not in kinds and (definition.column.not_null or numbered):
        yield from made_not_null(step, table, name)
    for one in definition.constraints:
        yield from added(step, table, one, name)


def added(step: Step, table: Name, one: Constraint, beside: str = "") -> tuple[str, ...]:
    """The scripts that add a constraint while others read and write; none where there is no way.

    Args:
        step: The statement that adds it at once.
        table: The table.
        one: The constraint.
        beside: The new column that it was written beside.
    """
    name = name_of(step, table, one, beside)
    start = f"ALTER TABLE {table} ADD CONSTRAINT {name}"
    if one.kind in (ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY):
        return (
            (f"{start} {one.written};",) if step.target.kind is CRDB else _built(step, table, one)
        )
    if step.target.kind is CRDB:
        return (f"{start} {one.written};",)
    return (
        f"{start} {one.written} NOT VALID;",
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
    )


def _built(step: Step, table: Name, one: Constraint) -> tuple[str, ...]:
    """UNIQUE or PRIMARY KEY over an index that was built with CONCURRENTLY (PostgreSQL).

    https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX
    """
    known = step.before.table(table)
    if known is not None and known.partitioned:
        return ()  # neither CONCURRENTLY nor USING INDEX is accepted there
    cursor = Cursor(one.written)
    cursor.word()
    cursor.take("KEY")
    nulls = cursor.take("NULLS", "NOT", "DISTINCT")
    cursor.take("NULLS", "DISTINCT")
    try:
        keys = cursor.group().on_one_line
    except NotUnderstoodError:
        return ()
    if Cursor(keys).has("OVERLAPS"):
        return ()  # only ADD CONSTRAINT has it
    index = constraint = ""
    while not cursor.done:
        start = cursor.at
        word = cursor.word()
        if word in ("INCLUDE", "WITH"):
            cursor.group()
            index += f" {cursor.since(start).on_one_line}"
        elif word == "USING" and cursor.take("INDEX", "TABLESPACE"):
            index += f" TABLESPACE {quoted(cursor.identifier())}"
        else:
            constraint += f" {cursor.since(start).on_one_line}"
    if nulls:  # CREATE INDEX has it after INCLUDE, and before WITH and TABLESPACE
        include, with_, rest = index.partition(" WITH")
        include, space, place = include.partition(" TABLESPACE") if not with_ else (include, "", "")
        index = f"{include} NULLS NOT DISTINCT{with_}{rest}{space}{place}"
    name = name_of(step, table, one)
    not_null = (
        [part for each in one.columns for part in made_not_null(step, table, each)]
        if one.kind is ConstraintKind.PRIMARY_KEY
        else []
    )
    return (
        *not_null,
        f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({keys}){index};",
        f"ALTER TABLE {table} ADD CONSTRAINT {name} {one.kind.value} USING INDEX {name}{constraint};",
    )


def known_not_null(table: Table | None, name: str) -> bool:
    """Whether a column is NOT NULL already, or a validated CHECK says so."""
    if table is None:
        return False
    found = table.column(name)
    if found is not None and found.not_null:
        return True
    return any(
        one.kind is ConstraintKind.CHECK
        and one.validated
        and one.expression is not None
        and one.expression.names >= {name, "is", "not", "null"}
        and not one.expression.names & {"or"}
        for one in table.constraints
    )


def made_not_null(step: Step, table: Name, name: str) -> tuple[str, ...]:
    """The scripts that make a column NOT NULL, on PostgreSQL without a long lock; none where it is."""
    column_name = quoted(name)
    if known_not_null(step.before.table(table), name):
        return ()
    if step.target.kind is CRDB:
        return (f"ALTER TABLE {table} ALTER COLUMN {column_name} SET NOT NULL;",)
    label = new_name(step, table, (name,), "not_null")
    if step.target.version >= (18,):
        return (
            f"ALTER TABLE {table} ADD CONSTRAINT {label} NOT NULL {column_name} NOT VALID;",
            f"ALTER TABLE {table} VALIDATE CONSTRAINT {label};",
        )
    return (
        f"ALTER TABLE {table} ADD CONSTRAINT {label} CHECK ({column_name} IS NOT NULL) NOT VALID;",
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {label};",
        (
            f"ALTER TABLE {table} ALTER COLUMN {column_name} SET NOT NULL;\n"
            f"ALTER TABLE {table} DROP CONSTRAINT {label};"
        ),
    )
