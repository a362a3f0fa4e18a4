"""PostgreSQL: constraints that are tried on every row, or built, while others wait."""

from __future__ import annotations

from collections.abc import Iterator

from ..._model.actions import (
    AddConstraint,
    SetNotNull,
    ValidateConstraint,
)
from ..._model.commands import (
    AlterTable,
)
from ..._model.values import Constraint, ConstraintKind, Name, Table, quoted
from ..finding import Severity
from ..locks import table_lock
from ..rule import ON_PG, PG, Example, Remark, Step, rule
from ..sql import listed, name_for, scripts

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, driver_id BIGINT, city TEXT, price NUMERIC);"
_ALTER_TABLE = "https://www.postgresql.org/docs/current/sql-altertable.html"


@rule(
    "constraint-scan",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE + "#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    Example("ALTER TABLE rides ADD CONSTRAINT price_positive CHECK (price > 0);", _RIDES),
    on=(AlterTable,),
)
def constraint_scan(step: Step) -> Iterator[Remark]:
    """A new CHECK or FOREIGN KEY is tried on every row while the table is locked.

    For a CHECK nobody reads or writes the table meanwhile, for a FOREIGN KEY nobody writes to
    it or to the table it refers to. NOT VALID skips the scan; VALIDATE CONSTRAINT makes up for
    it, in a later transaction, while reads and writes continue.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if not isinstance(action, AddConstraint) or not action.constraint.validated:
            continue
        one = action.constraint
        if one.kind is ConstraintKind.CHECK:
            name = quoted(one.name) if one.name else name_for(command.name, (), "check")
            what = f"CHECK ({one.expression.text if one.expression else ''})"
            blocked = f"reads and writes of {command.name}"
        elif one.kind is ConstraintKind.FOREIGN_KEY and not _is_partitioned(step, command.name):
            name = quoted(one.name) if one.name else name_for(command.name, one.columns, "fkey")
            what = foreign_key(one)
            blocked = f"writes to {command.name} and {one.target}"
        else:
            continue
        yield Remark(
            f"ADD {one.kind.value} reads every row of {command.name}, and blocks {blocked} "
            "meanwhile.",
            scripts(
                f"ALTER TABLE {command.name} ADD CONSTRAINT {name} {what} NOT VALID;",
                f"ALTER TABLE {command.name} VALIDATE CONSTRAINT {name};",
            ),
        )


def _is_partitioned(step: Step, name: Name) -> bool:
    """Whether NOT VALID is refused for a foreign key (before PostgreSQL 18)."""
    table = step.before.table(name)
    return table is not None and table.partitioned and step.target.version < (18,)


def foreign_key(one: Constraint) -> str:
    """A foreign key as SQL writes it."""
    target = f"({listed(one.target_columns)})" if one.target_columns else ""
    return f"FOREIGN KEY ({listed(one.columns)}) REFERENCES {one.target} {target}".rstrip()


@rule(
    "validate-same-transaction",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE + "#SQL-ALTERTABLE-DESC-VALIDATE-CONSTRAINT",
    Example(
        "ALTER TABLE rides ADD CONSTRAINT price_positive CHECK (price > 0) NOT VALID;\n"
        "ALTER TABLE rides VALIDATE CONSTRAINT price_positive;",
        _RIDES,
    ),
    on=(AlterTable,),
)
def validate_same_transaction(step: Step) -> Iterator[Remark]:
    """VALIDATE CONSTRAINT in the transaction of an earlier ALTER TABLE scans under that one's lock.

    The strong lock is kept until the transaction ends. Validate in the next script.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or not step.script.one_transaction:
        return
    names = [one.name for one in command.actions if isinstance(one, ValidateConstraint)]
    if not names or step.is_new(command.name):
        return
    before = [
        earlier
        for earlier in step.script.statements[: step.index]
        if isinstance(earlier.command, AlterTable)
        and earlier.command.name == command.name
        and table_lock(earlier.command, step.before) is not None
    ]
    if before:
        yield Remark(
            f"VALIDATE CONSTRAINT {quoted(names[0])} reads every row of {command.name} under the "
            f"lock that line {before[0].line} took and this transaction keeps.",
            scripts(*(f"{earlier.text};" for earlier in before), f"{step.text};"),
        )


@rule(
    "set-not-null-scan",
    Severity.ERROR,
    {PG: ((12,), None)},
    _ALTER_TABLE + "#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    Example("ALTER TABLE rides ALTER COLUMN city SET NOT NULL;", _RIDES),
    on=(AlterTable,),
)
def set_not_null_scan(step: Step) -> Iterator[Remark]:
    """SET NOT NULL reads every row while nobody can read or write the table.

    It skips the scan where a validated constraint says the same. From PostgreSQL 18 a NOT NULL
    constraint can be added NOT VALID; before, a CHECK is.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if isinstance(action, SetNotNull) and not known_not_null(table, action.column):
            yield Remark(
                f"SET NOT NULL reads every row of {command.name}, and blocks reads and writes "
                "meanwhile.",
                not_null_steps(step, command.name, action.column),
            )


def known_not_null(table: Table | None, column: str) -> bool:
    """Whether a column is NOT NULL already, or a validated CHECK says so."""
    if table is None:
        return False
    found = table.column(column)
    if found is not None and found.not_null:
        return True
    return any(
        one.kind is ConstraintKind.CHECK
        and one.validated
        and one.expression is not None
        and one.expression.names >= {column, "is", "not", "null"}
        and not one.expression.names & {"or"}
        for one in table.constraints
    )


def not_null_steps(step: Step, table: Name, column: str) -> str:
    """The scripts that make a column NOT NULL without a long lock, for the server's version."""
    name = name_for(table, (column,), "not_null")
    if step.target.version >= (18,):
        return scripts(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {quoted(column)} NOT VALID;",
            f"ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
        )
    return scripts(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({quoted(column)} IS NOT NULL) NOT "
        "VALID;",
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
        f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} SET NOT NULL;\n"
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )


@rule(
    "unique-constraint-blocking",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE + "#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    Example("ALTER TABLE rides ADD CONSTRAINT one_per_city UNIQUE (city, id);", _RIDES),
    on=(AlterTable,),
)
def unique_constraint_blocking(step: Step) -> Iterator[Remark]:
    """ADD UNIQUE and ADD PRIMARY KEY build their index while nobody can read or write the table.

    An index that was built with CONCURRENTLY before becomes the constraint in no time.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if not isinstance(action, AddConstraint) or action.constraint.index is not None:
            continue
        one = action.constraint
        if one.kind not in (ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY):
            continue
        label = "key" if one.kind is ConstraintKind.UNIQUE else "pkey"
        columns = one.columns if one.kind is ConstraintKind.UNIQUE else ()
        name = quoted(one.name) if one.name else name_for(command.name, columns, label)
        yield Remark(
            f"ADD {one.kind.value} builds an index, and blocks reads and writes of {command.name} "
            "meanwhile.",
            scripts(
                f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {command.name} "
                f"({listed(one.columns)});",
                f"ALTER TABLE {command.name} ADD CONSTRAINT {name} {one.kind.value} USING INDEX "
                f"{name};",
            ),
        )


@rule(
    "exclusion-constraint-blocking",
    Severity.WARNING,
    ON_PG,
    _ALTER_TABLE,
    Example(
        "ALTER TABLE bookings ADD CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&);",
        "CREATE TABLE bookings (id BIGINT PRIMARY KEY, during TSRANGE);",
        fixed="SELECT 1;",
    ),
    on=(AlterTable,),
)
def exclusion_constraint_blocking(step: Step) -> Iterator[Remark]:
    """ADD EXCLUDE builds its index while nobody can read or write the table.

    There is no way to build it beside the table's use. Run it when the table is small, or quiet.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if isinstance(action, AddConstraint) and action.constraint.kind is ConstraintKind.EXCLUDE:
            yield Remark(
                f"ADD EXCLUDE builds an index, and blocks reads and writes of {command.name} "
                "meanwhile.",
            )
