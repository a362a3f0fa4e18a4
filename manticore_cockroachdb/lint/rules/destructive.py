"""What deletes data or objects for good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..._model.actions import DropColumn, DropConstraint
from ..._model.commands import AlterTable, Drop, Truncate, Understood
from ..._model.schema import Key, Space
from ..._model.values import Name, Sequence, Table, View, quoted
from ..ahead import column_returns, table_returns
from ..finding import Severity
from ..rule import BOTH, Example, Remark, Step, rule
from ..safer import name_there
from ..sql import allowed

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT, price NUMERIC);"
_DROP_TABLE = "https://www.postgresql.org/docs/current/sql-droptable.html"
_ALTER_TABLE = "https://www.postgresql.org/docs/current/sql-altertable.html"


@rule(
    "drop-table",
    Severity.ERROR,
    BOTH,
    _DROP_TABLE,
    Example("DROP TABLE rides;", _RIDES),
    on=(Drop,),
)
def drop_table(step: Step) -> Iterator[Remark]:
    """A dropped table is gone with its rows, and the down section cannot bring the rows back.

    While a new release starts, the old one still runs and still reads the table. Drop it in
    a separate script, one release after the last use of it, and say so in the allowance. IF EXISTS of a
    table that no script made is a warning: only the database knows whether it is there, and `--live`
    asks it.
    """
    command = step.read.command
    if not isinstance(command, Drop) or command.what != "TABLE":
        return
    for name in command.names:
        if step.is_new(name) or _never_was(step, command, name):
            continue
        is_sure = not command.if_exists or step.before.was(step.before.key(Space.RELATION, name))
        after = (
            "another takes its name"
            if table_returns(step, name)
            else "programs that still use it fail"
        )
        yield Remark(
            f"DROP TABLE {name} deletes the table and its rows; {after}."
            if is_sure
            else f"No script made the table {name}. Where it exists, DROP TABLE deletes it with its "
            "rows.",
            allowed("drop-table", f"no release uses {name} any more", _drop_one(command, name)),
            subject=str(name),
            most=None if is_sure else Severity.WARNING,
        )


def _drop_one(command: Drop, name: Name) -> str:
    condition = "IF EXISTS " if command.if_exists else ""
    return f"DROP {command.what} {condition}{name}"


def _never_was(step: Step, command: Drop, name: Name) -> bool:
    """Whether DROP … IF EXISTS names what the scripts dropped before: it does nothing."""
    if not command.if_exists or step.before.opaque:
        return False
    key = step.before.key(Space.RELATION, name)
    return step.before.was(key) and step.before.get(key) is None


@rule(
    "drop-column",
    Severity.ERROR,
    BOTH,
    _ALTER_TABLE,
    Example("ALTER TABLE rides DROP COLUMN city;", _RIDES),
    on=(AlterTable,),
)
def drop_column(step: Step) -> Iterator[Remark]:
    """A dropped column is gone with its data, and programs that select it or write it fail.

    Remove every use of the column, release that, and drop the column in a later script.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if isinstance(action, DropColumn):
            statement = f"ALTER TABLE {command.name} DROP COLUMN {quoted(action.column)}"
            after = (
                "another column takes its name"
                if column_returns(step, command.name, action.column)
                else "programs that still use it fail"
            )
            yield Remark(
                f"DROP COLUMN {quoted(action.column)} deletes the column of {command.name} with "
                f"its data; {after}.",
                allowed("drop-column", f"no release uses {action.column} any more", statement),
                subject=action.column,
            )


@rule(
    "drop-schema",
    Severity.ERROR,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-dropschema.html",
    Example("DROP SCHEMA billing;", "CREATE SCHEMA billing;"),
    on=(Drop,),
)
def drop_schema(step: Step) -> Iterator[Remark]:
    """A dropped schema is gone with everything in it if the statement says CASCADE.

    Drop its objects one by one, each when nothing uses it any more.
    """
    command = step.read.command
    if isinstance(command, Drop) and command.what == "SCHEMA":
        for name in command.names:
            tail = " with every object in it" if command.cascade else ""
            yield Remark(
                f"DROP SCHEMA {name} deletes the schema{tail}.",
                allowed("drop-schema", "nothing uses it any more", _drop_one(command, name)),
            )


@rule(
    "drop-type",
    Severity.WARNING,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-droptype.html",
    Example("DROP TYPE status;", "CREATE TYPE status AS ENUM ('open', 'done');"),
    on=(Drop,),
)
def drop_type(step: Step) -> Iterator[Remark]:
    """Programs that cast to a dropped type, or that look it up when they connect, fail.

    The server refuses the drop while a column has the type; CASCADE drops such columns with
    their data.
    """
    command = step.read.command
    if not isinstance(command, Drop) or command.what not in ("TYPE", "DOMAIN"):
        return
    for name in command.names:
        if _is_new_type(step, name) or (command.if_exists and step.before.type(name) is None):
            continue
        tail = " CASCADE also drops every column that has it, with its data." * command.cascade
        yield Remark(
            f"Programs that still use the type {name} fail.{tail}",
            allowed("drop-type", f"no release uses {name} any more", _drop_one(command, name)),
        )


def _is_new_type(step: Step, name: Name) -> bool:
    """Whether the script itself made the type, or renamed another to this name."""
    return step.before.type(name) is not None and step.script.before.type(name) is None


@rule(
    "drop-database",
    Severity.ERROR,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-dropdatabase.html",
    Example(
        "DROP DATABASE archive;",
        fixed="-- manticore: allow=drop-database its rows were exported\nDROP DATABASE archive;",
    ),
    on=(Understood,),
)
def drop_database(step: Step) -> Iterator[Remark]:
    """A dropped database is gone with everything in it, and no down section can bring it back."""
    command = step.read.command
    if isinstance(command, Understood) and command.words == "DROP DATABASE":
        yield Remark(
            "DROP DATABASE deletes a whole database.",
            allowed("drop-database", "nothing in it is needed any more", step.text),
        )


@rule(
    "drop-cascade",
    Severity.WARNING,
    BOTH,
    "https://www.postgresql.org/docs/current/ddl-depend.html",
    Example(
        "-- manticore: allow=drop-table no release uses rides any more\nDROP TABLE rides CASCADE;",
        _RIDES + "\nCREATE VIEW cheap AS SELECT id FROM rides WHERE price < 5;",
    ),
    on=(Drop, AlterTable),
)
def drop_cascade(step: Step) -> Iterator[Remark]:
    """CASCADE also drops what depends on the object: views, foreign keys, columns of a type.

    What that is differs between databases. Name the dependent objects, and drop them one by one.
    """
    command = step.read.command
    if isinstance(command, Drop) and command.cascade and command.what != "SCHEMA":
        names = [name for name in command.names if not step.is_new(name)]
        if names:
            shown = ", ".join(map(str, names))
            known = _dependents(step, command)
            also = f" The scripts know of: {', '.join(known)}." if known else ""
            yield Remark(
                f"DROP {command.what} {shown} CASCADE also drops everything that depends on "
                f"it.{also}",
                _without_cascade(step, command),
            )
    if isinstance(command, AlterTable) and not step.is_new(command.name):
        for action in command.actions:
            if isinstance(action, DropColumn | DropConstraint) and action.cascade:
                name = action.column if isinstance(action, DropColumn) else action.name
                yield Remark(
                    f"DROP {quoted(name)} CASCADE also drops everything that depends on it.",
                )


def _dependents(step: Step, command: Drop) -> list[str]:
    space = Space.RELATION if command.what in _RELATIONS else Space.TYPE
    keys = {
        key for name in command.names for key in step.before.referrers(step.before.key(space, name))
    }
    # A SERIAL's sequence goes with its table, also without CASCADE.
    return sorted(key.name for key in keys if not isinstance(step.before.get(key), Sequence))


_RELATIONS: Final = frozenset(("TABLE", "VIEW", "MATERIALIZED VIEW"))


def _without_cascade(step: Step, command: Drop) -> str | None:
    """What depends on an object is dropped first, then the object; None where that is not modeled."""
    if command.what not in _RELATIONS:
        return None
    keys = [step.before.key(Space.RELATION, name) for name in command.names]
    lines = [*_foreign_keys_first(step, keys), *_views_first(step, keys)]
    if command.what == "TABLE":
        lines.append("-- manticore: allow=drop-table no release uses it any more")
    condition = "IF EXISTS " if command.if_exists else ""
    lines.append(f"DROP {command.what} {condition}{', '.join(map(str, command.names))};")
    return "\n".join(lines)


def _foreign_keys_first(step: Step, keys: list[Key]) -> Iterator[str]:
    """The foreign keys of other tables that refer to these."""
    names = {Name(key.schema, key.name) for key in keys}
    for other in sorted({one for key in keys for one in step.before.referrers(key)}):
        value = step.before.get(other)
        if isinstance(value, Table) and other not in keys:
            for one in value.constraints:
                if one.target in names and one.name is not None:
                    name = quoted(name_there(step, value.name, one))
                    yield f"ALTER TABLE {value.name} DROP CONSTRAINT {name};"


def _views_first(step: Step, keys: list[Key]) -> list[str]:
    """The views over these, each after the views over itself."""
    found: list[str] = []

    def visit(key: Key) -> None:
        for other in sorted(step.before.referrers(key)):
            value = step.before.get(other)
            if isinstance(value, View) and other not in keys:
                visit(other)
                kind = "MATERIALIZED VIEW" if value.materialized else "VIEW"
                line = f"DROP {kind} {value.name};"
                if line not in found:
                    found.append(line)

    for key in keys:
        visit(key)
    return found


@rule(
    "truncate-table",
    Severity.ERROR,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-truncate.html",
    Example("TRUNCATE rides;", _RIDES),
    on=(Truncate,),
)
def truncate_table(step: Step) -> Iterator[Remark]:
    """TRUNCATE deletes every row at once, and no down section can bring them back."""
    command = step.read.command
    if not isinstance(command, Truncate):
        return
    names = [name for name in command.tables if not step.is_new(name)]
    if names:
        shown = ", ".join(map(str, names))
        yield Remark(
            f"TRUNCATE {shown} deletes every row.",
            allowed("truncate-table", "its rows are not needed any more", f"TRUNCATE {shown}"),
        )


@rule(
    "truncate-cascade",
    Severity.WARNING,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-truncate.html",
    Example(
        "-- manticore: allow=truncate-table its rows are not needed any more\nTRUNCATE rides "
        "CASCADE;",
        _RIDES,
    ),
    on=(Truncate,),
)
def truncate_cascade(step: Step) -> Iterator[Remark]:
    """TRUNCATE … CASCADE also empties every table with a foreign key to the one named, and theirs.

    The statement does not list them. Name each table that is to be emptied.
    """
    command = step.read.command
    if not isinstance(command, Truncate) or not command.cascade:
        return
    tables = list(dict.fromkeys((*command.tables, *_referring(step, command))))
    shown = ", ".join(map(str, tables))
    yield Remark(
        f"TRUNCATE {', '.join(map(str, command.tables))} CASCADE also empties every table that "
        "refers to it.",
        allowed("truncate-table", "their rows are not needed any more", f"TRUNCATE {shown}"),
    )


def _referring(step: Step, command: Truncate) -> list[Name]:
    """The tables with a foreign key to these, and those with one to them, and so on."""
    found: list[Name] = []
    waiting = [step.before.key(Space.RELATION, name) for name in command.tables]
    seen = set(waiting)
    while waiting:
        for other in sorted(step.before.referrers(waiting.pop())):
            value = step.before.get(other)
            if isinstance(value, Table) and other not in seen:
                seen.add(other)
                waiting.append(other)
                found.append(value.name)
    return found
