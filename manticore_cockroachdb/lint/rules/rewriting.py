"""PostgreSQL: statements that write a whole table again under an ACCESS EXCLUSIVE lock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..._model.actions import AddColumn, OtherAction, SetType
from ..._model.commands import AlterTable, Rebuild
from ..._model.values import Column, Expression, Name, Type, TypeKind, UserType, quoted
from ..finding import Severity
from ..rule import ON_PG, Example, Remark, Step, rule
from ..sql import filled, scripts

_RIDES = (
    "CREATE TABLE rides (id BIGINT PRIMARY KEY, city VARCHAR(20), price NUMERIC(10, 2), seats INT);"
)
_ALTER_TABLE = "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"

#: Functions whose result differs from row to row (provolatile = 'v'). now() and the like are stable: as a
#: default they are computed once, and nothing is rewritten.
_VOLATILE: Final = frozenset(
    (
        "random",
        "random_normal",
        "clock_timestamp",
        "timeofday",
        "nextval",
        "setval",
        "currval",
        "lastval",
        "gen_random_uuid",
        "uuid_generate_v1",
        "uuid_generate_v1mc",
        "uuid_generate_v4",
        "uuidv4",
        "uuidv7",
        "pg_sleep",
        "txid_current",
        "gen_random_bytes",
        "gen_salt",
    )
)
_TEXTS: Final = frozenset(("text", "character varying"))


@rule(
    "change-column-type",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE,
    Example("ALTER TABLE rides ALTER COLUMN seats TYPE BIGINT;", _RIDES),
    on=(AlterTable,),
)
def change_column_type(step: Step) -> Iterator[Remark]:
    """Changing a column's type writes the whole table again, and its indexes, under an
    exclusive lock.

    It does not where the stored form stays: a longer VARCHAR, VARCHAR to TEXT, a NUMERIC with
    more digits and the same scale, a TIMESTAMP with more precision, and a TIMESTAMP that gets or
    loses its time zone while the session's TimeZone is UTC. Otherwise add a column, keep both
    filled, and switch.
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
        plain = _is_plain(action)
        if old is not None and plain and keeps_storage(old, action.type):
            continue
        if old is None and plain and action.type == Type("text"):
            continue  # nearly always from a VARCHAR
        gets_zone = old is not None and plain and changes_zone(old, action.type)
        if gets_zone and _is_in_utc(step):
            continue
        shown = f" from {old}" if old is not None else ""
        unless = "unless the session's TimeZone is UTC, " if gets_zone else ""
        yield Remark(
            f"The type of {command.name}.{quoted(action.column)} changes{shown} to {action.type}: "
            f"{unless}the whole table is written again, and nobody can read or write it meanwhile.",
            f"-- where the values are in UTC:\nSET timezone = 'UTC';\n{step.text};"
            if gets_zone
            else switch_column(command.name, action),
        )


def _is_plain(action: SetType) -> bool:
    """Whether the value is the column's own; USING may name it and do nothing else."""
    return action.using is None or action.using.text in (action.column, quoted(action.column))


def changes_zone(old: Type, new: Type) -> bool:
    """Whether a timestamp gets or loses its time zone, with no less precision."""
    names = {"timestamp with time zone", "timestamp without time zone"}
    return not (old.array or new.array) and {old.name, new.name} == names and _longer(old, new)


def _is_in_utc(step: Step) -> bool:
    """Whether the script has set the session's time zone to UTC."""
    values = step.script.variables.get("timezone", ())
    return len(values) == 1 and values[0].strip("'").lower() in _UTC


#: Zones without an offset: PostgreSQL 12 and later keep a timestamp as it is stored.
_UTC: Final = frozenset(("utc", "gmt", "etc/utc", "etc/gmt", "zulu", "universal", "0"))


def keeps_storage(old: Type, new: Type) -> bool:
    """Whether PostgreSQL changes one type to the other without writing the table again.

    Tested against the server by tests/lint/test_rewrites.py.
    """
    if old.array != new.array or old.schema != new.schema:
        return False
    if old == new:
        return True
    if old.array:
        return False
    if old.name == "xml" and new.name in _TEXTS:
        return not new.modifier
    if old.name in _TEXTS and new.name in _TEXTS:
        return _longer(old, new)
    if old.name == new.name == "numeric":
        if not new.modifier:
            return True
        same = len(old.modifier) == len(new.modifier) == 2 and old.modifier[1] == new.modifier[1]
        return same and int(new.modifier[0]) >= int(old.modifier[0])
    if old.name == new.name and old.name.startswith(("timestamp", "time ", "interval")):
        return _longer(old, new)
    if old.name == new.name == "bit varying":
        return _longer(old, new)
    return (old.name, new.name) == ("cidr", "inet")


def _longer(old: Type, new: Type) -> bool:
    """Whether the new length or precision, if any, is not below the old one."""
    if not new.modifier:
        return True
    return bool(old.modifier) and int(new.modifier[0]) >= int(old.modifier[0])


def switch_column(name: Name, action: SetType) -> str:
    """A new column beside the old one, to be filled and to take its place."""
    new = quoted(f"{action.column}_new")
    old = quoted(action.column)
    value = action.using.text if action.using is not None else old
    return scripts(
        f"ALTER TABLE {name} ADD COLUMN {new} {action.type};",
        f"-- every release writes both columns from here on; then:\n{filled(name, new, value)}",
        f"-- when nothing uses {old} any more:\n"
        f"-- ALTER TABLE {name} DROP COLUMN {old};\n"
        f"-- ALTER TABLE {name} RENAME COLUMN {new} TO {old};",
    )


@rule(
    "volatile-default",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE,
    Example("ALTER TABLE rides ADD COLUMN token UUID DEFAULT gen_random_uuid();", _RIDES),
    on=(AlterTable,),
)
def volatile_default(step: Step) -> Iterator[Remark]:
    """A new column whose default differs from row to row writes the whole table again.

    A constant default, and a stable one such as now(), is stored once for all rows that are
    there. Add the column without the default, set the default for new rows, and fill the old
    rows in batches.
    """
    for table, column, volatile in _new_columns(step):
        if column.default is not None and volatile:
            name = quoted(column.name)
            yield Remark(
                f"The default of {name} differs from row to row, so the whole table is written "
                "again, and nobody can read or write it meanwhile.",
                scripts(
                    f"ALTER TABLE {table} ADD COLUMN {name} {column.type};\n"
                    f"ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {column.default.text};",
                    filled(table, name, column.default.text),
                ),
            )


def _new_columns(step: Step) -> Iterator[tuple[str, Column, bool]]:
    """The columns a statement adds to a table that was there, and whether their default is
    volatile.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if isinstance(action, AddColumn):
            column = action.definition.column
            yield str(command.name), column, is_volatile(column.default)


def is_volatile(default: Expression | None) -> bool:
    """Whether a default calls a function that is known to be volatile."""
    return default is not None and bool(default.calls & _VOLATILE)


@rule(
    "add-numbered-column",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE,
    Example("ALTER TABLE rides ADD COLUMN number BIGSERIAL;", _RIDES),
    on=(AlterTable,),
)
def add_numbered_column(step: Step) -> Iterator[Remark]:
    """A new SERIAL or identity column numbers every row at once: the whole table is written
    again.
    """
    for table, column, _ in _new_columns(step):
        if column.serial or column.identity:
            name = quoted(column.name)
            sequence = quoted(f"{table.rpartition('.')[2]}_{column.name}_seq".replace('"', ""))
            yield Remark(
                f"The column {name} is numbered by the server: every row of {table} is written "
                "again, and nobody can read or write it meanwhile.",
                scripts(
                    f"CREATE SEQUENCE {sequence};\n"
                    f"ALTER TABLE {table} ADD COLUMN {name} {column.type};\n"
                    f"ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT nextval('{sequence}');\n"
                    f"ALTER SEQUENCE {sequence} OWNED BY {table}.{name};",
                    filled(table, name, f"nextval('{sequence}')"),
                ),
            )


@rule(
    "add-stored-column",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE,
    Example(
        "ALTER TABLE rides ADD COLUMN cents BIGINT GENERATED ALWAYS AS (price * 100) STORED;",
        _RIDES,
    ),
    on=(AlterTable,),
)
def add_stored_column(step: Step) -> Iterator[Remark]:
    """A new stored generated column is computed for every row at once: the whole table is
    written again.

    From PostgreSQL 18 a VIRTUAL column is computed when it is read. Or fill a plain column by a
    trigger.
    """
    for table, column, _ in _new_columns(step):
        if column.generated is not None and column.stored:
            name, formula = quoted(column.name), column.generated.text
            plain = f"ALTER TABLE {table} ADD COLUMN {name} {column.type}"
            yield Remark(
                f"The column {name} is computed for every row of {table}, which is written again; "
                "nobody can read or write it meanwhile.",
                f"{plain} GENERATED ALWAYS AS ({formula}) VIRTUAL;"
                if step.target.version >= (18,)
                else f"{plain};\n"
                f"-- then a trigger that sets {name} = {formula}, and the old rows in batches",
            )


@rule(
    "add-domain-column",
    Severity.WARNING,
    ON_PG,
    _ALTER_TABLE,
    Example(
        "ALTER TABLE rides ADD COLUMN rating stars;",
        _RIDES + "\nCREATE DOMAIN stars AS INT CHECK (VALUE BETWEEN 1 AND 5);",
    ),
    on=(AlterTable,),
)
def add_domain_column(step: Step) -> Iterator[Remark]:
    """A new column of a domain with a constraint is checked row by row: the whole table is
    written again.
    """
    for table, column, _ in _new_columns(step):
        kind = step.before.type(column.type.of_name) if column.type is not None else None
        if kind is not None and kind.kind is TypeKind.DOMAIN and kind.checked:
            name = quoted(column.name)
            yield Remark(
                f"The type of {name} is a domain with a constraint: every row of {table} is "
                "written again, and nobody can read or write it meanwhile.",
                scripts(
                    f"ALTER TABLE {table} ADD COLUMN {name} {kind.base};\n"
                    f"ALTER TABLE {table} ADD CONSTRAINT {quoted(f'{column.name}_check')} "
                    f"CHECK ({_condition(kind, name)}) NOT VALID;",
                    f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted(f'{column.name}_check')};",
                ),
            )


def _condition(domain: UserType, column: str) -> str:
    """What a domain demands, of a column."""
    if domain.condition is None:
        return f"{column} IS NOT NULL"
    return re.sub(r"\bVALUE\b", column, domain.condition.text, flags=re.IGNORECASE)


@rule(
    "rewrite-table",
    Severity.ERROR,
    ON_PG,
    "https://www.postgresql.org/docs/current/sql-vacuum.html",
    Example("VACUUM FULL rides;", _RIDES, fixed="VACUUM rides;"),
    on=(Rebuild, AlterTable),
)
def rewrite_table(step: Step) -> Iterator[Remark]:
    """VACUUM FULL, CLUSTER, SET LOGGED, SET ACCESS METHOD and SET TABLESPACE copy the whole table.

    Nobody can read or write it meanwhile. Plain VACUUM makes the space usable again without that.
    """
    command = step.read.command
    if isinstance(command, Rebuild):
        shown = str(command.table) if command.table is not None else "every table"
        safer = (
            f"VACUUM {command.table};" if command.verb == "VACUUM FULL" and command.table else None
        )
        yield Remark(
            f"{command.verb} copies {shown}, and nobody can read or write it meanwhile.", safer
        )
    if isinstance(command, AlterTable) and not step.is_new(command.name):
        for action in command.actions:
            if isinstance(action, OtherAction) and action.words[:2] in _COPYING:
                yield Remark(
                    f"{' '.join(action.words[:2])} copies {command.name}, and nobody can read or "
                    "write it meanwhile.",
                )


_COPYING: Final = frozenset(
    (("SET", "LOGGED"), ("SET", "UNLOGGED"), ("SET", "ACCESS"), ("SET", "TABLESPACE"))
)
