"""CockroachDB: changes of columns that it refuses, or does otherwise than PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..._model.actions import AddColumn, DropColumn, RenameColumn, SetDefault, SetType
from ..._model.commands import AlterTable
from ..._model.schema import Space
from ..._model.values import ConstraintKind, Function, Name, Table, Type, View, quoted
from ..._scripts.script import Mode
from ..finding import Severity
from ..rule import CRDB, ON_CRDB, Example, Remark, Step, rule
from ..safer import column as column_of
from ..safer import filled_later
from ..sql import allowed, literal
from .rewriting import keeps_storage, switch_column

_RIDES = (
    "CREATE TABLE rides (id INT8 PRIMARY KEY, city STRING, price DECIMAL(10,2), seats INT4);\n"
    "CREATE INDEX rides_by_city ON rides (city);"
)
_ALTER_TABLE = "https://www.cockroachlabs.com/docs/stable/alter-table"
_ALTER_COLUMN = "https://www.cockroachlabs.com/docs/stable/alter-table#alter-column"
_LIMITS = "https://www.cockroachlabs.com/docs/stable/known-limitations"
#: Widths of the integer types, in bytes.
_INTEGERS: Final = {"smallint": 2, "integer": 4, "bigint": 8}


@rule(
    "alter-type-refused",
    Severity.ERROR,
    ON_CRDB,
    _ALTER_COLUMN,
    Example("ALTER TABLE rides ALTER COLUMN city TYPE INT8 USING city::INT8;", _RIDES),
    on=(AlterTable,),
)
def alter_type_refused(step: Step) -> Iterator[Remark]:
    """CockroachDB changes a column's type only where nothing else depends on the column.

    It refuses a column in an index, a CHECK, a computed column, a foreign key, a view or the body
    of a function; it refuses beside other changes in one statement, and in an explicit
    transaction; before v25.1 it wants a session variable. A change that keeps the stored form (a
    longer STRING, INT4 to INT8) is always allowed.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if not isinstance(action, SetType):
            continue
        column = table.column(action.column) if table is not None else None
        old = column.type if column is not None else None
        if old is not None and is_trivial(old, action.type):
            continue
        reason = _refused(step, command, table, action.column)
        if reason:
            yield Remark(
                "CockroachDB refuses to change the type of "
                f"{command.name}.{quoted(action.column)}: {reason}.",
                switch_column(command.name, action),
            )


def is_trivial(old: Type, new: Type) -> bool:
    """Whether CockroachDB changes only its description of the column."""
    if old.name in _INTEGERS and new.name in _INTEGERS and not (old.array or new.array):
        return _INTEGERS[new.name] >= _INTEGERS[old.name]
    return keeps_storage(old, new)


def _refused(step: Step, command: AlterTable, table: Table | None, column: str) -> str:
    """Why CockroachDB refuses to change the type of a column; "" where it does not."""
    if len(command.actions) > 1:
        return "it is one of several changes in one statement"
    if step.script.script.mode is Mode.ATOMIC:
        return "the script is one transaction"
    used = _use_of(step, command, table, column)
    if used:
        return used
    flag = "enable_experimental_alter_column_type_general"
    if step.target.version < (25, 1) and flag not in step.script.variables:
        return f"before v25.1 it wants SET {flag} = true first"
    return ""


def _use_of(step: Step, command: AlterTable, table: Table | None, column: str) -> str:
    """What uses a column, in words."""
    if table is None:
        return ""
    for one in table.constraints:
        if one.kind is ConstraintKind.CHECK:
            if one.expression is not None and column in one.expression.names:
                return f"the CHECK {one.name} uses it"
        elif column in (*one.columns, *one.storing):
            return f"it is part of {one.kind.value} {one.name}"
    for index in table.indexes:
        if index.uses(column) or column in index.storing:
            return f"the index {index.name} uses it"
    for other in table.columns:
        if other.generated is not None and column in other.generated.names:
            return f"the computed column {other.name} uses it"
    if any("ttl_expiration_expression" in option and column in option for option in table.options):
        return "the row-level TTL uses it"
    for key in sorted(step.before.referrers(step.before.key(Space.RELATION, command.name))):
        value = step.before.get(key)
        if isinstance(value, View) and column in value.query.names:
            return f"the view {key.name} uses it"
    return _function_that_names(step, table.name.name, column)


def _function_that_names(step: Step, table: str, column: str) -> str:
    """The function whose body names a table and a column of it, in words; "" where there is none."""
    for key, value in sorted(step.before.objects(), key=lambda one: one[0].name):
        for _, body in value.bodies if isinstance(value, Function) else ():
            names = set(_NAMES.findall(body.lower()))
            if {table.lower(), column.lower()} <= names:
                return f"the function {key.name} uses it"
    return ""


_NAMES: Final = re.compile(r"\w+")


@rule(
    "narrow-column",
    Severity.WARNING,
    {CRDB: (None, (26, 2))},
    "https://www.cockroachlabs.com/docs/releases/v26.2",
    Example(
        "ALTER TABLE rides ALTER COLUMN note TYPE VARCHAR(100);",
        "CREATE TABLE rides (id INT8 PRIMARY KEY, note STRING);",
        server="cockroachdb:25.4",
    ),
    on=(AlterTable,),
)
def narrow_column(step: Step) -> Iterator[Remark]:
    """Before v26.2, a STRING that gets a limit of 64 or more is not checked against the rows
    that are there.

    Longer values stay, and the next UPDATE of their row fails. Ask the data first.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if not isinstance(action, SetType) or not action.type.modifier:
            continue
        column = table.column(action.column) if table is not None else None
        if column is None or column.type is None or column.type.name not in _TEXTS:
            continue
        limit = int(action.type.modifier[0])
        before = int(column.type.modifier[0]) if column.type.modifier else None
        if (
            action.type.name in _TEXTS
            and limit >= _UNCHECKED
            and (before is None or before > limit)
        ):
            name = quoted(action.column)
            yield Remark(
                f"CockroachDB before v26.2 does not check that the values of {name} fit {limit} "
                "characters.",
                f"-- must find nothing: SELECT 1 FROM {command.name} WHERE length({name}) > "
                f"{limit} LIMIT 1;\n"
                + allowed("narrow-column", "the query above found nothing", step.text),
                subject=action.column,
            )


_TEXTS: Final = frozenset(("text", "character varying"))
_UNCHECKED: Final = 64


@rule(
    "add-sequence-column",
    Severity.ERROR,
    ON_CRDB,
    _LIMITS,
    Example(
        "ALTER TABLE rides ADD COLUMN number INT8 DEFAULT nextval('numbers');",
        _RIDES + "\nCREATE SEQUENCE numbers;",
    ),
    on=(AlterTable,),
)
def add_sequence_column(step: Step) -> Iterator[Remark]:
    """CockroachDB refuses a new column with nextval() as its default, or an identity column, beside rows.

    Add the column without a default, set the default, and fill the old rows in batches.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if not isinstance(action, AddColumn):
            continue
        column = action.definition.column
        calls = column.default.calls if column.default is not None else frozenset()
        if "nextval" not in calls and not column.identity:
            continue
        sequence = Name(command.name.schema, f"{command.name.name}_{column.name}_seq")
        default = (
            column.default.text
            if column.default is not None
            else f"nextval({literal(str(sequence))})"
        )
        made = f"CREATE SEQUENCE {sequence};\n" if column.identity else ""
        what = "an identity column" if column.identity else "a column with nextval() as its default"
        yield Remark(
            f"CockroachDB refuses to add {what} to {command.name} if it has rows.",
            made + filled_later(step, command.name, action.definition, default),
        )


#: What these say depends on the session, which a schema-change job does not have.
_OF_SESSION: Final = frozenset(
    ("current_schema", "current_schemas", "current_database", "localtime", "localtimestamp")
)


@rule(
    "add-session-default",
    Severity.WARNING,
    ON_CRDB,
    _LIMITS,
    Example("ALTER TABLE rides ADD COLUMN tenant STRING DEFAULT current_schema();", _RIDES),
    on=(AlterTable,),
)
def add_session_default(step: Step) -> Iterator[Remark]:
    """The default of a new column is computed by a job, which does not have your session's settings.

    CockroachDB refuses some of these (22C01); for others, search_path, time zone and database are
    the server's. Qualify names, name the time zone; or add the column first, and set the default
    in the next statement.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if not isinstance(action, AddColumn):
            continue
        column = action.definition.column
        used = column.default.mentions & _OF_SESSION if column.default is not None else frozenset()
        if used and column.default is not None:
            yield Remark(
                f"CockroachDB refuses this default, or gives the rows that are there the server's "
                f"{', '.join(sorted(used))} instead of your session's.",
                filled_later(step, command.name, action.definition, column.default.text),
            )


@rule(
    "drop-and-add-column",
    Severity.ERROR,
    ON_CRDB,
    _ALTER_TABLE,
    Example(
        "-- manticore: allow=drop-column no release uses it any more\n"
        "ALTER TABLE rides DROP COLUMN seats, ADD COLUMN seats INT8;",
        _RIDES,
    ),
    on=(AlterTable,),
)
def drop_and_add_column(step: Step) -> Iterator[Remark]:
    """A column cannot be dropped and added again in one transaction: "being dropped, try again
    later".

    Without mode=atomic each statement is a separate transaction, and that works. Or take
    another name.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    commands = [command]
    if step.script.script.mode is Mode.ATOMIC:
        earlier = [one for one in step.earlier if isinstance(one, AlterTable)]
        commands = [*(one for one in earlier if one.name == command.name), command]
    dropped: set[str] = set()
    for one in commands:
        for action in one.actions:
            if isinstance(action, DropColumn):
                dropped.add(action.column)
            elif isinstance(action, AddColumn) and one is command:
                column = action.definition.column
                if column.name in dropped:
                    name = quoted(column.name)
                    yield Remark(
                        f"CockroachDB refuses to add {name} to {command.name} in the transaction "
                        "that drops it.",
                        allowed(
                            "drop-column",
                            "no release uses it any more",
                            f"ALTER TABLE {command.name} DROP COLUMN {name}",
                        )
                        + f"\nALTER TABLE {command.name} ADD COLUMN {column_of(action.definition)};",
                    )


@rule(
    "drop-column-combined",
    Severity.ERROR,
    ON_CRDB,
    _ALTER_TABLE,
    Example(
        "-- manticore: allow=drop-column no release uses it any more\n"
        "ALTER TABLE rides DROP COLUMN seats, ADD CONSTRAINT one_price UNIQUE (price);",
        _RIDES,
    ),
    on=(AlterTable,),
)
def drop_column_combined(step: Step) -> Iterator[Remark]:
    """If a change fails in the transaction that drops a column, the column comes back without
    its data.

    CockroachDB brings the column back when the other change fails, but every value in it is
    NULL. Drop the column in a separate statement.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    dropped = [one for one in command.actions if isinstance(one, DropColumn)]
    others = [
        one
        for one in command.actions
        if not isinstance(one, DropColumn | SetDefault | RenameColumn)
    ]
    if not dropped or not others:
        return
    statements = [
        allowed(
            "drop-column",
            "no release uses it any more",
            f"ALTER TABLE {command.name} DROP COLUMN {quoted(one.column)}",
        )
        for one in dropped
    ]
    yield Remark(
        f"If the other change fails, CockroachDB brings {quoted(dropped[0].column)} back with "
        "every value NULL.",
        "\n".join(("-- the other changes in a separate statement, then:", *statements)),
    )


@rule(
    "drop-column-indexes",
    Severity.WARNING,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/alter-table#drop-column",
    Example(
        "-- manticore: allow=drop-column no release uses it any more\n"
        "ALTER TABLE rides DROP COLUMN city;",
        _RIDES,
    ),
    on=(AlterTable,),
)
def drop_column_indexes(step: Step) -> Iterator[Remark]:
    """DROP COLUMN also drops every index that has the column, even one that only stores it.

    A query may lose its index that way. Where the column is part of the condition of a partial
    index, newer versions refuse the statement. Drop or replace the indexes first.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    table = step.before.table(command.name)
    if table is None:
        return
    for action in command.actions:
        if not isinstance(action, DropColumn):
            continue
        name = action.column
        names = [one for one in table.indexes if one.uses(name) or name in one.storing]
        if not names:
            continue
        partial = [
            one
            for one in names
            if one.predicate and name in one.predicate.names and step.target.version >= (23, 1)
        ]
        shown = ", ".join(str(one.name) for one in names)
        drops = "\n".join(f"DROP INDEX {command.name}@{quoted(str(one.name))};" for one in names)
        statement = f"ALTER TABLE {command.name} DROP COLUMN {quoted(name)}"
        yield Remark(
            f"CockroachDB refuses it while the partial index {partial[0].name} has {quoted(name)} "
            "in its condition."
            if partial
            else f"DROP COLUMN {quoted(name)} also drops: {shown}.",
            f"{drops}\n" + allowed("drop-column", "no release uses it any more", statement),
        )
