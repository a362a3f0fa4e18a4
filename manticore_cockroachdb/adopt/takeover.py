"""The statements of moving in: finding and reading another tool's tables, filling ours. Sends nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from .._backend.dialect import Server
from .._backend.protocol import Command, Result
from .._scripts.script import ScriptKey
from .._sql.server_kind import ServerKind
from .._store.ledger import LedgerRow, Tables
from .._store.repeatables import RepeatableRow
from .tool import Tool
from .values import MARK, Finding, Found, Row, TheirTable, Trouble

#: PostgreSQL keeps both halves of a 64-bit advisory lock apart.
_ADVISORY: Final = (
    "SELECT l.pid::TEXT, coalesce(a.application_name, '') FROM pg_catalog.pg_locks l "
    "LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = "
    "(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) "
    "AND (l.classid::BIGINT << 32 | l.objid::BIGINT) = ANY ($1::BIGINT[])"
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that has the name of some tool's.

    Attributes:
        schema: Its schema.
        name: Its name.
        place: Its schema's place in the search path, from 1; None: not on it.
        columns: Its columns.
    """

    schema: str
    name: str
    place: int | None
    columns: frozenset[str]

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        """Its name for statements."""
        return sql.Identifier(self.schema, self.name).as_string(None)


@dataclass(frozen=True, slots=True)
class Seen:
    """The other tool's tables, as one look found them.

    Attributes:
        tool: The tool.
        tables: Its tables that are there, by their usual name, the ledger first.
        found: Their rows.
        digests: A fingerprint of each table, by the same name, to know its rows by.
        findings: What is wrong with them.
    """

    tool: Tool
    tables: Mapping[str, Table]
    found: Found
    digests: Mapping[str, str | None]
    findings: tuple[Finding, ...] = ()

    @property
    def main(self) -> Table | None:
        """The table that is the ledger."""
        return next(iter(self.tables.values()), None)


def find_tables(names: Iterable[str]) -> Command:
    """Every table of these names in the database, with its columns."""
    array = "{" + ",".join(f'"{name}"' for name in sorted(set(names))) + "}"
    return Command(
        "SELECT n.nspname::TEXT, c.relname::TEXT, "
        "array_position(current_schemas(false), n.nspname)::INT8, a.attname::TEXT "
        "FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped "
        "AND c.relname = ANY ($1::TEXT[])",
        (array,),
    )


def tables(result: Result) -> tuple[Table, ...]:
    """What `find_tables` answered."""
    columns: dict[tuple[str, str, int | None], set[str]] = defaultdict(set)
    for schema, name, place, column in result.rows:
        columns[schema, name, place].add(column)
    return tuple(
        Table(*table, frozenset(found)) for table, found in sorted(columns.items(), key=str)
    )


def owned(tool: Tool, there: Sequence[Table], named: str | None = None) -> dict[str, list[Table]]:
    """The tables that have the shape of a tool's, by their usual name, those to be used first.

    Args:
        tool: The tool.
        there: The tables in the database.
        named: The ledger's name where it is not the usual one, `name` or `schema.name`.
    """
    schema, _, name = (named or "").rpartition(".")
    found: dict[str, list[Table]] = {}
    main = next((table for table in tool.tables if table.required), None)
    for wanted in tool.tables:
        is_main = wanted is main
        own_name = name if named and is_main else wanted.name
        fitting = [
            table
            for table in there
            if table.name == own_name
            and _fits(table, wanted)
            and (not (schema and is_main) or table.schema == schema)
        ]
        found[wanted.name] = sorted(fitting, key=lambda table: _rank(table, wanted))
    return found


def _fits(table: Table, wanted: TheirTable) -> bool:
    """A column may have been renamed by the guard."""
    missing = wanted.columns - table.columns
    return (not missing or (MARK in table.columns and len(missing) == 1)) and not (
        wanted.without & table.columns
    )


def _rank(table: Table, wanted: TheirTable) -> tuple[bool, int]:
    in_reach = table.place is not None or table.schema in wanted.schemas
    return (not in_reach, table.place or 0)


def choose(
    tool: Tool, there: Sequence[Table], named: str | None = None
) -> tuple[dict[str, Table], tuple[Finding, ...]]:
    """The tables to read, and why no ledger could be chosen."""
    found = owned(tool, there, named)
    main = next((table for table in tool.tables if table.required), None)
    if main is None or not found[main.name]:
        findings: tuple[Finding, ...] = ()
        if named:
            message = f"There is no table {named} that has the columns of {tool.title}'s ledger."
            findings = (
                Finding(
                    Trouble.UNREADABLE, message, "Check the name, the database and the schema."
                ),
            )
        return {}, findings
    candidates = found[main.name]
    first = candidates[0]
    reachable = [table for table in candidates if not _rank(table, main)[0]]
    if not named and not reachable:
        labels = " and ".join(table.label for table in candidates)
        message = (
            f"{tool.title}'s ledger is {labels}, where this connection's search_path does not lead."
        )
        remedy = (
            "Name it (`--ledger`), and see that the search_path is the one the migrations ran with."
        )
        return {}, (Finding(Trouble.FOREIGN, message, remedy),)
    if not named and len(reachable) > 1:
        labels = " and ".join(table.label for table in reachable)
        message = f"{tool.title} has several ledgers here: {labels}."
        return {}, (Finding(Trouble.FOREIGN, message, "Name the one to take over (`--ledger`)."),)
    chosen = {main.name: first}
    for wanted in tool.tables:
        beside = [table for table in found[wanted.name] if table.schema == first.schema]
        if wanted is not main and beside:
            chosen[wanted.name] = beside[0]
    return chosen, ()


def read_rows(tool: Tool, chosen: Mapping[str, Table]) -> list[Command]:
    """All rows of the chosen tables, in the order of `chosen`."""
    commands = []
    for wanted in tool.tables:
        table = chosen.get(wanted.name)
        if table is not None:
            order = f" ORDER BY {wanted.order}" if wanted.order else ""
            commands.append(Command(f"SELECT * FROM {table.quoted}{order}"))
    return commands


def found(tool: Tool, chosen: Mapping[str, Table], results: Sequence[Result]) -> Found:
    """What `read_rows` answered."""
    names = [wanted.name for wanted in tool.tables if wanted.name in chosen]
    rows: dict[str, list[Row]] = {}
    for name, result in zip(names, results, strict=True):
        rows[name] = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    return Found(
        rows=rows,
        columns={name: chosen[name].columns for name in names},
        names={name: chosen[name].quoted for name in names},
        labels={name: chosen[name].label for name in names},
    )


def count(table: Table) -> Command:
    """How many rows a table has."""
    return Command(f"SELECT count(*) FROM {table.quoted}")


def lock_ids(server: Server, tool: Tool) -> tuple[int, ...]:
    """The advisory locks that a run of the tool holds."""
    if server.kind is not ServerKind.POSTGRESQL:
        return ()
    return tool.lock_ids(server.database, server.schema)


def advisory_locks(numbers: Sequence[int]) -> Command:
    """Who holds one of these advisory locks (PostgreSQL)."""
    signed = (number - (1 << 64) if number >= 1 << 63 else number for number in numbers)
    return Command(_ADVISORY, ("{" + ",".join(map(str, signed)) + "}",))


def digest(table: Table) -> Command:
    """A fingerprint of a table's rows, to see whether they changed between two looks."""
    return Command(f"SELECT {_digest(table)}")


def unchanged(table: Table, seen: str | None) -> Command:
    """Divides by zero unless the table's rows are still those of an earlier look."""
    return Command(
        f"SELECT 1 / (CASE WHEN {_digest(table)} IS NOT DISTINCT FROM $1::TEXT THEN 1 ELSE 0 END)",
        (seen,),
    )


def _digest(table: Table) -> str:
    """Column by column: CockroachDB before v22 has no whole rows as values."""
    columns = (sql.Identifier(column).as_string(None) for column in sorted(table.columns))
    row = " || '|' || ".join(f"coalesce({column}::TEXT, '-')" for column in columns)
    return (
        "(SELECT md5(string_agg(each, ',' ORDER BY each)) "
        f"FROM (SELECT {row} AS each FROM {table.quoted}) AS every)"
    )


def lock_table(table: Table) -> Command:
    """Keep other writers out until the transaction ends (PostgreSQL)."""
    return Command(f"LOCK TABLE {table.quoted} IN SHARE ROW EXCLUSIVE MODE")


def not_running(number: int) -> Command:
    """Divides by zero if a run of the tool holds its advisory lock; else takes it (PostgreSQL)."""
    signed = number - (1 << 64) if number >= 1 << 63 else number
    return Command(f"SELECT 1 / pg_try_advisory_xact_lock({signed})::INT")


def insert(ledger: Tables, row: LedgerRow | RepeatableRow) -> Command:
    """Add one row; to be sent in a transaction that has proved the lease."""
    if isinstance(row, RepeatableRow):
        return Command(
            f"INSERT INTO {ledger.repeatable} (name, checksum, applied_at, execution_ms, applied_by) "
            "VALUES ($1, $2, coalesce($3::TIMESTAMPTZ, now()), $4::INT8, $5)",
            (
                row.name,
                row.checksum,
                row.applied_at.isoformat() if row.applied_at else None,
                None if row.execution_ms is None else str(row.execution_ms),
                row.applied_by,
            ),
        )
    return Command(
        f"INSERT INTO {ledger.ledger} (version, description, applied_at, checksum, execution_ms, "
        "applied_by) VALUES ($1::INT8, $2, coalesce($3::TIMESTAMPTZ, now()), $4, $5::INT8, $6)",
        (
            str(row.version),
            row.description,
            row.applied_at.isoformat() if row.applied_at else None,
            row.checksum,
            None if row.execution_ms is None else str(row.execution_ms),
            row.applied_by,
        ),
    )


def delete(ledger: Tables, key: ScriptKey) -> Command:
    """Take one row out again; to be sent in a transaction that has proved the lease."""
    if isinstance(key, str):
        return Command(f"DELETE FROM {ledger.repeatable} WHERE name = $1", (key,))
    return Command(f"DELETE FROM {ledger.ledger} WHERE version = {key:d}")
