"""PostgreSQL: statements that write a whole table again under an ACCESS EXCLUSIVE lock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ..._model.actions import AddColumn, ColumnDefinition, OtherAction, SetType
from ..._model.commands import AlterTable, CreateIndex, Rebuild
from ..._model.naming import choose
from ..._model.schema import Space
from ..._model.types import BUILT_IN
from ..._model.values import Expression, Function, Name, Type, TypeKind, UserType, quoted
from ..._sql.lexer import TokenKind, tokens
from ..._sql.tokens import upper
from ..finding import Severity
from ..rule import ON_PG, Example, Remark, Step, rule
from ..safer import bare, demands, filled_later, new_name
from ..safer import column as column_of
from ..sql import filled, literal, scripts

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

    Tested against the server by tests/lint/test_measured_rewrites.py.
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
    kind = f"{action.type} {action.collation}".rstrip()
    return scripts(
        f"ALTER TABLE {name} ADD COLUMN {new} {kind};",
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
    for table, definition in _new_columns(step):
        default = definition.column.default
        if default is not None and is_volatile(step, default):
            yield Remark(
                f"The default of {quoted(definition.column.name)} differs from row to row, so the "
                "whole table is written again, and nobody can read or write it meanwhile.",
                filled_later(step, table, definition, default.text),
            )


def _new_columns(step: Step) -> Iterator[tuple[Name, ColumnDefinition]]:
    """The columns a statement adds to a table that was there."""
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if isinstance(action, AddColumn):
            yield command.name, action.definition


def is_volatile(step: Step, default: Expression | None) -> bool:
    """Whether a default calls a function that is known to be volatile.

    A function of the scripts is volatile unless it says otherwise:
    https://www.postgresql.org/docs/current/xfunc-volatility.html
    """
    if default is None:
        return False
    if default.calls & _VOLATILE:
        return True
    found = (
        step.before.get(step.before.key(Space.FUNCTION, Name(None, call))) for call in default.calls
    )
    return any(
        isinstance(one, Function) and all(map(_changes, (body for _, body in one.bodies)))
        for one in found
    )


def _changes(body: str) -> bool:
    """Whether a function's definition says neither IMMUTABLE nor STABLE."""
    words = {upper(token) for token in tokens(body) if token.kind is TokenKind.WORD}
    return not words & {"IMMUTABLE", "STABLE"}


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
    for table, definition in _new_columns(step):
        column = definition.column
        if column.serial or column.identity:
            name = quoted(column.name)
            label = choose(table.name, column.name, "seq", lambda _: True)
            sequence = Name(table.schema, label)
            value = f"nextval({literal(str(sequence))})"
            yield Remark(
                f"The column {name} is numbered by the server: every row of {table} is written "
                "again, and nobody can read or write it meanwhile.",
                f"CREATE SEQUENCE {sequence};\n"
                + filled_later(
                    step,
                    table,
                    definition,
                    value,
                    then=f"ALTER SEQUENCE {sequence} OWNED BY {table}.{name};",
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

    From PostgreSQL 18 a VIRTUAL column is computed when it is read. It cannot have an index, and it
    can only use the server's types and functions. Otherwise fill a plain column by a trigger.
    """
    for table, definition in _new_columns(step):
        column = definition.column
        if column.generated is not None and column.stored:
            name, formula = quoted(column.name), column.generated
            plain = f"ALTER TABLE {table} ADD COLUMN {bare(definition)}"
            virtual = step.target.version >= (18,) and _can_be_virtual(step, table, definition)
            yield Remark(
                f"The column {name} is computed for every row of {table}, which is written again; "
                "nobody can read or write it meanwhile.",
                f"{plain} GENERATED ALWAYS AS ({formula.text}) VIRTUAL;"
                if virtual
                else _by_trigger(step, table, definition, formula),
            )


def _can_be_virtual(step: Step, table: Name, definition: ColumnDefinition) -> bool:
    """Whether PostgreSQL takes the column as a virtual one, as far as the scripts tell.

    https://www.postgresql.org/docs/current/ddl-generated-columns.html
    """
    column = definition.column
    if definition.constraints or column.generated is None:
        return False
    if column.type is None or column.type.name not in BUILT_IN - _OF_EXTENSIONS:
        return False
    own = (step.before.key(Space.FUNCTION, Name(None, one)) for one in column.generated.calls)
    if any(step.before.get(key) is not None for key in own):
        return False
    return not any(
        isinstance(read.command, CreateIndex)
        and read.command.table.name == table.name
        and read.command.index.uses(column.name)
        for read in step.script.statements[step.index :]
    )


_OF_EXTENSIONS: Final = frozenset(("citext", "geography", "geometry", "hstore", "ltree", "vector"))


def _by_trigger(step: Step, table: Name, definition: ColumnDefinition, formula: Expression) -> str:
    """A plain column that a trigger fills."""
    column = quoted(definition.column.name)
    label = f"{table.name}_{definition.column.name}"
    function = Name(table.schema, label)
    return scripts(
        f"ALTER TABLE {table} ADD COLUMN {bare(definition)};\n"
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n"
        f"NEW.{column} := (SELECT {formula.text} FROM (SELECT NEW.*) AS {quoted(table.name)});\n"
        "RETURN NEW;\n"
        "END $$;\n"
        f"CREATE TRIGGER {quoted(label)} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION {function}();",
        filled(table, column, formula.text),
        *demands(step, table, definition),
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
    for table, definition in _new_columns(step):
        column = definition.column
        domain = _domain(step, column.type)
        if domain is None or not domain.checked:
            continue
        name = quoted(column.name)
        yield Remark(
            f"The type of {name} is a domain with a constraint: every row of {table} is "
            "written again, and nobody can read or write it meanwhile.",
            _of_base(step, table, definition, domain),
        )


def _domain(step: Step, kind: Type | None) -> UserType | None:
    """A domain with everything that the domains under it demand; None for another type."""
    found = step.before.type(kind.of_name) if kind is not None and not kind.array else None
    if found is None or found.kind is not TypeKind.DOMAIN:
        return None
    under = _domain(step, found.base)
    if under is None:
        return found
    both = [one.condition for one in (under, found) if one.condition is not None]
    text = " AND ".join(f"({one.text})" for one in both)
    return replace(
        found,
        checked=found.checked or under.checked,
        base=under.base,
        condition=both[0] if len(both) == 1 else Expression(text) if both else None,
        not_null=found.not_null or under.not_null,
    )


def _of_base(step: Step, table: Name, definition: ColumnDefinition, domain: UserType) -> str | None:
    """A column of the type under a domain, with what the domain demands as a CHECK."""
    if domain.base is None or (domain.condition is None and not domain.not_null):
        return None
    name = quoted(definition.column.name)
    found = _condition(domain, name)
    label = new_name(step, table, (definition.column.name,), "check")
    return scripts(
        f"ALTER TABLE {table} ADD COLUMN {column_of(definition, kind=domain.base)};\n"
        f"ALTER TABLE {table} ADD CONSTRAINT {label} CHECK ({found}) NOT VALID;",
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {label};",
    )


def _condition(domain: UserType, column: str) -> str:
    """What a domain demands, of a column."""
    parts = [f"{column} IS NOT NULL"] if domain.not_null else []
    if domain.condition is not None:
        parts.append(
            re.sub(r"\bVALUE\b", lambda _: column, domain.condition.text, flags=re.IGNORECASE)
        )
    return parts[0] if len(parts) == 1 else " AND ".join(f"({one})" for one in parts)


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
