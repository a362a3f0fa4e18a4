"""The ledger: the table `_migrations`, one row for each migration that is applied in full.

Names of tables, the statements that make and read the ledger, and what its rows mean. Sends nothing.
The columns `version`, `description` and `applied_at` are a public contract: people read them, and
delete a row by hand to say that a migration is reverted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import sql

from .._backend.introspection import homes
from .._backend.protocol import Command, Result
from .._scripts.script import ScriptKey
from ..errors import LedgerRefused, SettingsError

DEFAULT_TABLE = "_migrations"

_CONTRACT = ("version", "description", "applied_at")
_OURS = {"checksum": "TEXT", "execution_ms": "INT8", "applied_by": "TEXT"}
_INTEGERS = frozenset({20, 21, 23})

#: Answers to a look at a table that is not there: the table, or the schema it would be in.
NO_TABLE = frozenset({"42P01", "3F000"})

#: Each is asked alone, on the first run of a schema only; one schema per tenant can be thousands.
_MOST_ELSEWHERE = 50


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row of the ledger: a migration that is applied in full.

    Attributes:
        version: Its version.
        description: Its description when it was applied.
        applied_at: When, by the server's clock.
        checksum: The up section's checksum when it was applied; None in a ledger older than that column.
        execution_ms: How long it took, in milliseconds, where that was recorded.
        applied_by: Who applied it: host, pid and a random part, where that was recorded.
    """

    version: int
    description: str
    applied_at: datetime | None
    checksum: str | None = None
    execution_ms: int | None = None
    applied_by: str | None = None

    @property
    def key(self) -> ScriptKey:
        """What the script is called: its version."""
        return self.version


@dataclass(frozen=True, slots=True)
class Tables:
    """Our tables, by their full names: a script may change the search path meanwhile.

    Attributes:
        ledger: The ledger's name, quoted, with database and schema.
        state: The run state's name, likewise.
        label: The ledger's name as people wrote it.
        name: The ledger's name alone, not quoted.
        state_name: The run state's name alone, not quoted.
        repeatable: The name of the table of repeatable scripts, quoted, with database and schema.
        schema: The schema all are in, not quoted.
        has_repeatables: Whether the table of repeatable scripts is there: it is made for the first of them.
    """

    ledger: str
    state: str
    label: str
    name: str
    state_name: str
    repeatable: str
    schema: str = ""
    has_repeatables: bool = False

    @classmethod
    def named(cls, table: str, *, database: str, schema: str) -> Tables:
        """Full names for the `table` argument (`name` or `schema.name`).

        Raises:
            SettingsError: The argument is neither.
        """
        given_schema, name = split_table(table)
        home = given_schema or schema
        prefix = (database, home)
        return cls(
            ledger=sql.Identifier(*prefix, name).as_string(None),
            state=sql.Identifier(*prefix, f"{name}_state").as_string(None),
            label=table,
            name=name,
            state_name=f"{name}_state",
            repeatable=sql.Identifier(*prefix, f"{name}_repeatable").as_string(None),
            schema=home,
        )

    @property
    def place(self) -> str:
        """The ledger's name with its schema, as people write it."""
        return f"{self.schema}.{self.name}"

    @property
    def state_place(self) -> str:
        """The run state's, likewise."""
        return f"{self.schema}.{self.state_name}"

    @property
    def repeatable_place(self) -> str:
        """That of the table of repeatable scripts, likewise."""
        return f"{self.place}_repeatable"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all, not quoted."""
        return own_names(self.name)


def own_names(name: str) -> tuple[str, ...]:
    """The names of our tables for a ledger's name, not quoted: the ledger's is the first."""
    return (name, f"{name}_state", f"{name}_repeatable")


def look_for(table: str) -> tuple[Command, ...]:
    """How to find the schemas of the search path that hold tables of these names, if any must be found."""
    given_schema, name = split_table(table)
    return () if given_schema else (homes(own_names(name)),)


def find_tables(table: str, answers: Sequence[Result], *, database: str, schema: str) -> Tables:
    """The tables where they are; where they are not there yet, as the session would create them.

    A ledger is looked for along the whole search path: the first schema of it may have been made since.

    Args:
        table: The `table` argument.
        answers: What the commands of `look_for` answered.
        database: The session's database.
        schema: The schema that the session creates tables in.

    Raises:
        LedgerRefused: More than one schema of the search path holds such tables.
    """
    _, name = split_table(table)
    there = [(home, each) for answer in answers for home, each, on_path in answer.rows if on_path]
    repeatable = own_names(name)[-1]
    found = {home for home, each in there if each != repeatable}
    if len(found) > 1:
        named = " and ".join(f"{home}.{table}" for home in sorted(found))
        raise LedgerRefused(
            f"There are several ledgers along the search_path: {named}. Name the right one "
            f"with its schema, such as '{min(found)}.{table}' (the `table` argument, or TABLE in the "
            "MANTICORE setting), or rename the one that is not in use."
        )
    home = found.pop() if found else schema
    tables = Tables.named(table, database=database, schema=home)
    return replace(tables, has_repeatables=(home, repeatable) in there)


def split_table(table: str) -> tuple[str | None, str]:
    """`schema.name` or `name` into its two parts.

    Raises:
        SettingsError: It is neither, or a part is empty or too long.
    """
    schema, _, name = table.rpartition(".")
    if not name or "." in schema or "\0" in table or (not schema and "." in table):
        raise SettingsError(
            f"The table {table!r} is not a name; write 'name' or 'schema.name', such as "
            f"{DEFAULT_TABLE!r} or 'ops.{DEFAULT_TABLE}'."
        )
    if max(len(each.encode()) for each in own_names(name)) > 63:
        raise SettingsError(
            f"The table name {name!r} is too long: with '_repeatable' added, it must not be "
            "longer than 63 bytes."
        )
    return schema or None, name


def tables_elsewhere(table: str, answers: Sequence[Result], *, database: str) -> tuple[Tables, ...]:
    """Tables of this name in other schemas, where the search path holds none.

    One of them may be the ledger that is looked for, in a schema that was renamed.

    Args:
        table: The `table` argument.
        answers: What the commands of `look_for` answered.
        database: The session's database.
    """
    rows = [row for answer in answers for row in answer.rows]
    if any(on_path for _home, _name, on_path in rows):
        return ()
    state = f"{split_table(table)[1]}_state"
    homes_of_state = sorted(home for home, name, _on_path in rows if name == state)
    some = homes_of_state[:_MOST_ELSEWHERE]
    return tuple(Tables.named(table, database=database, schema=home) for home in some)


def moved(tables: Tables, home: str) -> LedgerRefused:
    """The error for a ledger that is no longer in the schema where it was made."""
    return LedgerRefused(
        f"The ledger of schema {home} is in schema {tables.schema} now: its schema was renamed, or the "
        f"tables were moved. Name it with its schema, such as '{tables.place}' (the `table` argument, or "
        f"TABLE in the MANTICORE setting); or put {tables.schema} on the search_path."
    )


def create_ledger(tables: Tables) -> Command:
    """The ledger's table, unless it is there."""
    return Command(
        f"CREATE TABLE IF NOT EXISTS {tables.ledger} ("
        "version INT8 PRIMARY KEY, description TEXT NOT NULL, "
        "applied_at TIMESTAMPTZ NOT NULL DEFAULT now(), "
        "checksum TEXT, execution_ms INT8, applied_by TEXT)"
    )


def take_over(tables: Tables, missing: Iterable[str]) -> list[Command]:
    """Add the columns that an older ledger lacks, one schema change each."""
    return [
        Command(f"ALTER TABLE {tables.ledger} ADD COLUMN IF NOT EXISTS {name} {_OURS[name]}")
        for name in missing
    ]


def read_ledger(tables: Tables) -> Command:
    """Every row, whichever of our columns the table has."""
    return Command(f"SELECT * FROM {tables.ledger}")


def ledger_rows(tables: Tables, result: Result) -> tuple[tuple[LedgerRow, ...], tuple[str, ...]]:
    """What `read_ledger` answered: the rows by version, and which of our columns are missing.

    Raises:
        LedgerRefused: The table has other columns than a ledger.
    """
    names = result.columns
    absent = [name for name in _CONTRACT if name not in names]
    foreign = [name for name in names if name not in _CONTRACT and name not in _OURS]
    if absent or foreign or result.types[names.index("version")] not in _INTEGERS:
        if absent:
            reason = f"it has no column {', '.join(map(repr, absent))}"
        elif foreign:
            reason = f"it has other columns: {', '.join(map(repr, foreign))}"
        else:
            reason = "its column 'version' is not an integer"
        raise LedgerRefused(
            f"The table {tables.label} is not a Manticore ledger: {reason}. It seems to be another "
            "tool's. Give this project its own table (the `table` argument, or TABLE in the "
            "MANTICORE setting), or rename that one."
        )
    missing = tuple(name for name in _OURS if name not in names)
    rows = (_row(dict(zip(names, values, strict=True))) for values in result.rows)
    return tuple(sorted(rows, key=lambda row: row.version)), missing


def _row(values: dict[str, Any]) -> LedgerRow:
    return LedgerRow(
        version=values["version"],
        description=values["description"],
        applied_at=values["applied_at"],
        checksum=values.get("checksum"),
        execution_ms=values.get("execution_ms"),
        applied_by=values.get("applied_by"),
    )


def highest(rows: Sequence[LedgerRow]) -> int:
    """The highest applied version, or 0."""
    return max((row.version for row in rows), default=0)
