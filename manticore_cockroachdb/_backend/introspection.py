"""Questions to a server's catalogs: whose session still works, and what there is of an object.

Statements only; both servers know the catalogs asked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .._sql.likeness import NameContext
from .._sql.schema_change import Effect, Repeat, Verb
from .._sql.server_kind import ServerKind
from .._sql.statement import Statement, effects, repeatable
from .dialect import Server
from .protocol import Command, Result
from .session_state import ASKED

#: A PostgreSQL session's id: its process, and when that began, since numbers of processes come again.
_PG_SESSION = "pid::TEXT || '@' || ((extract(epoch FROM backend_start) * 1000000)::INT8)::TEXT"
#: A session's id as it is recorded: `pid@microseconds`, or CockroachDB's hexadecimal one.
_SESSION_ID = re.compile(r"\d+@\d+|[0-9a-f]+")
#: The last eight digits of CockroachDB's are the number of the node that the session is on.
_ON_NODE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who and where a new session is.

    Attributes:
        database: Its database.
        schema: The schema new tables go to; None where the search path names none that exists.
        user: Its user.
        session_id: The server's own id of it.
        read_only: Why it cannot write, or None.
        backend_pid: The process that serves it, where there is one for each session.
        schemas: The schemas of its search path that exist, in order.
    """

    database: str
    schema: str | None
    user: str
    session_id: str
    read_only: str | None
    backend_pid: int | None
    schemas: tuple[str, ...]


def identity(kind: ServerKind) -> Command:
    """Who and where a new session is."""
    where = "SELECT current_database()::TEXT, current_schema()::TEXT, current_user::TEXT, "
    if kind is ServerKind.COCKROACHDB:
        # `current_setting` answers on a database that does not exist, SHOW does not.
        return Command(
            f"{where}current_setting('session_id')::TEXT, false, "
            "current_setting('default_transaction_read_only')::TEXT, NULL::INT8, "
            "to_json(current_schemas(false)::TEXT[])::TEXT"
        )
    return Command(
        f"{where}(SELECT {_PG_SESSION} FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()), "
        "pg_is_in_recovery(), current_setting('default_transaction_read_only')::TEXT, "
        "pg_backend_pid()::INT8, to_json(current_schemas(false)::TEXT[])::TEXT"
    )


def session_questions(kind: ServerKind) -> tuple[Command, ...]:
    """What else a new session is asked for: its settings; whether it knows RESET ALL comes last."""
    names = ", ".join(f"'{name}'" for name in ASKED)
    settings = Command(
        "SELECT lower(name)::TEXT, setting::TEXT FROM pg_catalog.pg_settings "
        f"WHERE lower(name) IN ({names})"
    )
    if kind is ServerKind.COCKROACHDB:
        return (settings, Command("RESET ALL"))
    return (settings,)


def read_identity(result: Result) -> Identity:
    """What `identity` answered."""
    ((database, schema, user, session_id, standby, read_only, pid, path),) = result.rows
    reason = None
    if standby:
        reason = "the server is a standby, which accepts no writes"
    elif read_only == "on":
        reason = "default_transaction_read_only is on for this database, role or connection"
    return Identity(database, schema, user, session_id, reason, pid, tuple(json.loads(path)))


def homes(names: Sequence[str]) -> Command:
    """The schemas that hold a table of one of these names: schema, table, and whether it is on the path."""
    wanted = ", ".join(f"${number}::TEXT" for number in range(1, len(names) + 1))
    return Command(
        "SELECT n.nspname::TEXT, c.relname::TEXT, n.nspname = ANY (current_schemas(false)) "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relname IN ({wanted}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        tuple(names),
    )


def row_security(schema: str, table: str) -> Command:
    """Whether row-level security is in force on a table."""
    return Command(
        "SELECT c.relrowsecurity FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1::TEXT AND c.relname = $2::TEXT",
        (schema, table),
    )


_ROWS = re.compile(r"\brows=(\d+)|estimated row count: ([\d,]+)")

#: The server's clock, in seconds since 1970.
NOW = Command("SELECT extract(epoch FROM clock_timestamp())::FLOAT8")

# Where the session would find the table $1 (in schema $2, or along its search_path as it is now).
_TABLE = (
    "(SELECT c.oid FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relname = $1::TEXT AND ($2::TEXT IS NULL AND "
    "n.nspname::TEXT = ANY (current_schemas(true)::TEXT[]) OR n.nspname = $2::TEXT) "
    "ORDER BY array_position(current_schemas(true)::TEXT[], n.nspname::TEXT) LIMIT 1)"
)
_INDEXES = (
    "SELECT c.relname::TEXT, pg_get_indexdef(i.indexrelid)::TEXT FROM pg_catalog.pg_index i "
    "JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
    f"WHERE i.indrelid = {_TABLE} AND i.indisvalid"
)
_CONSTRAINTS = (
    "SELECT o.conname::TEXT, pg_get_constraintdef(o.oid)::TEXT FROM pg_catalog.pg_constraint o "
    f"WHERE o.conrelid = {_TABLE}"
)
# CockroachDB gives the primary index another id at each TRUNCATE, PostgreSQL the table another file.
_CONTENTS = (
    "SELECT c.relname::TEXT, concat_ws(' ', c.oid::TEXT, c.relfilenode::TEXT, i.indexrelid::TEXT) "
    "FROM pg_catalog.pg_class c "
    "LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary "
    f"WHERE c.oid = {_TABLE}"
)
_IDENTITY = f"SELECT c.relname::TEXT, c.oid::TEXT FROM pg_catalog.pg_class c WHERE c.oid = {_TABLE}"
_COLUMN = (
    "SELECT a.attname::TEXT, concat_ws(' ', a.attrelid::TEXT, a.attnum::TEXT) "
    f"FROM pg_catalog.pg_attribute a WHERE a.attrelid = {_TABLE} "
    "AND a.attname = $3::TEXT AND NOT a.attisdropped"
)

#: What the session takes unqualified names for; `name_context` reads it.
NAME_CONTEXT = Command(
    "SELECT current_database()::TEXT, current_user::TEXT, "
    "to_json(current_schemas(false)::TEXT[])::TEXT"
)


def relations_besides(names: Sequence[str]) -> Command:
    """Schema and name of the tables, views and sequences other than these."""
    ours = ", ".join(f"${number}::TEXT" for number in range(1, len(names) + 1))
    return Command(
        "SELECT n.nspname::TEXT, c.relname::TEXT FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') "
        "AND n.nspname NOT IN ('information_schema', 'crdb_internal') "
        f"AND n.nspname NOT LIKE 'pg\\_%' AND c.relname NOT IN ({ours})",
        tuple(names),
    )


def objects_besides(names: Sequence[str]) -> Command:
    """Schema and name of a few tables, views and sequences other than these."""
    every = relations_besides(names)
    return Command(f"{every.sql} ORDER BY 1, 2 LIMIT 3", every.params)


def sessions_alive(server: Server, session_ids: Iterable[str], name: str | None = None) -> Command:
    """Those of some sessions that are still there: their ids, as `how_to_end` takes them, and names.

    A session is known by the server's own id; by its application name only where no id was recorded, since
    a script may change the name. What a user may not see of another's session counts as alive. So does an
    id on a CockroachDB node that does not answer, whose row has NULL in place of everything else.

    Args:
        server: The server.
        session_ids: The server's own ids, as recorded.
        name: An application name, or the beginning of one, where it ends in `/`.
    """
    ids = [each for each in session_ids if _SESSION_ID.fullmatch(each)]
    pattern = None
    if name is not None:
        pattern = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        pattern += "%" if name.endswith("/") else ""
    if server.kind is ServerKind.COCKROACHDB:
        nodes = ", ".join(str(int(each[-8:], 16)) for each in ids if _ON_NODE.fullmatch(each))
        silent = f"session_id IS NULL AND node_id IN ({nodes})" if nodes else "session_id IS NULL"
        listed = ", ".join(f"'{each}'" for each in ids) or "NULL"
        return Command(
            "SELECT coalesce(session_id::TEXT, 'on node ' || node_id::TEXT), "
            "coalesce(application_name::TEXT, '') FROM [SHOW SESSIONS] "
            f"WHERE session_id::TEXT IN ({listed}) OR application_name LIKE $1::TEXT OR {silent}",
            (pattern,),
        )
    began = "((extract(epoch FROM backend_start) * 1000000)::INT8)::TEXT"
    known = [each.split("@") for each in ids if "@" in each]
    same = [f"(pid = {pid} AND coalesce({began}, '{at}') = '{at}')" for pid, at in known]
    return Command(
        "SELECT pid::TEXT, coalesce(application_name, '')::TEXT FROM pg_catalog.pg_stat_activity "
        f"WHERE pid <> pg_backend_pid() AND ({' OR '.join([*same, 'application_name LIKE $1::TEXT'])})",
        (pattern,),
    )


def how_to_end(server: Server, session_id: str) -> str:
    """The statement that ends a session, for people."""
    if server.kind is ServerKind.COCKROACHDB:
        return f"CANCEL SESSION '{session_id}'"
    return f"SELECT pg_terminate_backend({session_id})"


def name_context(result: Result) -> NameContext:
    """What `NAME_CONTEXT` answered."""
    ((database, user, schemas),) = result.rows
    return NameContext(database, tuple(json.loads(schemas)), user)


def traces(server: Server, statement: Statement) -> tuple[Command, ...]:
    """How to ask for what a statement changes: each row is an object's name and its definition.

    For statements whose second sending could do harm: what an unnamed CREATE INDEX or ADD CONSTRAINT adds
    to, and what a DROP or TRUNCATE takes away. None where the catalogs do not show it.

    Args:
        server: The server.
        statement: A statement, not sent yet or in flight.
    """
    kind = repeatable(statement)
    if kind not in (Repeat.UNNAMED, Repeat.DESTRUCTIVE):
        return ()
    asked = [_trace(server, effect, kind) for effect in effects(statement)]
    return tuple(dict.fromkeys(question for question in asked if question is not None))


def found_traces(results: Iterable[Result]) -> list[tuple[str, str]]:
    """What the questions of `traces` were answered: objects' names and definitions."""
    return [(name, definition) for result in results for name, definition in result.rows]


def _trace(server: Server, effect: Effect, kind: Repeat) -> Command | None:
    place = effect.on or effect.name
    if place is None or (len(place) > 2 and place[-3] != server.database):
        return None
    table: tuple[str | None, ...] = (place[-1], place[-2] if len(place) > 1 else None)
    match effect.verb, effect.what:
        case Verb.CREATE, "INDEX" if effect.name is None:
            return Command(_INDEXES, table)
        case Verb.CREATE, "CONSTRAINT" if effect.name is None:
            return Command(_CONSTRAINTS, table)
        case Verb.TRUNCATE, _:
            return Command(_CONTENTS, table)
        case Verb.DROP, "COLUMN" if kind is Repeat.DESTRUCTIVE and effect.name:
            return Command(_COLUMN, (*table, effect.name[-1]))
        case Verb.DROP, "TABLE" | "SEQUENCE" | "VIEW":
            return Command(_IDENTITY, table)
        case _:
            return None


def row_estimate(table: str) -> Command:
    """How many rows a table has, as the server's planner estimates it; `read_row_estimate` reads it.

    Args:
        table: The table, as a script writes it.
    """
    return Command(f"EXPLAIN SELECT 1 FROM {table}")


def read_row_estimate(result: Result) -> int | None:
    """What `row_estimate` answered; None where the planner does not know.

    PostgreSQL writes `rows=1000 width=4`, CockroachDB `estimated row count: 1,000 (…)`.
    """
    text = "\n".join(str(row[0]) for row in result.rows)
    found = _ROWS.search(text)
    return int((found[1] or found[2]).replace(",", "")) if found else None


def aggregates(functions: Iterable[str]) -> Command:
    """Which functions are aggregates that a user of this PostgreSQL server has defined.

    https://www.postgresql.org/docs/current/catalog-pg-proc.html

    Args:
        functions: Their names, qualified or not, without quotes.
    """
    return Command(
        "SELECT DISTINCT p.proname::TEXT FROM pg_catalog.pg_proc p "
        "JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
        "JOIN unnest(string_to_array($1, chr(10))) AS called (name) "
        "ON called.name = n.nspname || '.' || p.proname "
        "OR called.name = p.proname AND pg_catalog.pg_function_is_visible(p.oid) "
        "WHERE p.prokind = 'a' AND n.nspname <> 'pg_catalog' ORDER BY 1",
        ("\n".join(sorted(functions)),),
    )


def unique_indexes(kind: ServerKind, table: str) -> tuple[Command, Command]:
    """A table's kind and its valid unique indexes, and its columns; `_planner.batch_key` reads them.

    On CockroachDB a text with a collation has its own type, which cannot be compared with any other, and
    the name of an enum comes without its schema.
    https://www.cockroachlabs.com/docs/stable/collate

    Args:
        kind: The server.
        table: The table, as a script writes it.
    """
    indexes = Command(
        "SELECT i.*, i.indkey::TEXT AS key_columns, "
        "i.indpred IS NULL AND i.indexprs IS NULL AS whole, c.relkind::TEXT AS kind "
        "FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_index i "
        "ON i.indrelid = c.oid AND i.indisunique AND i.indisvalid "
        "WHERE c.oid = $1::TEXT::REGCLASS",
        (table,),
    )
    written, not_null = "format_type(atttypid, atttypmod)::TEXT", "attnotnull"
    if kind is ServerKind.POSTGRESQL:
        # From 18 on, a constraint that is not validated counts for attnotnull.
        # https://www.postgresql.org/docs/current/catalog-pg-attribute.html
        not_null += (
            " AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint o WHERE o.conrelid = attrelid "
            "AND o.contype = 'n' AND NOT o.convalidated AND attnum = ANY (o.conkey))"
        )
    else:
        written = (
            "CASE WHEN y.typname IS NOT NULL THEN quote_ident(s.nspname) || '.' || quote_ident(y.typname) "
            f"ELSE {written} END || CASE WHEN n.collname IS NULL OR n.collname = 'default' THEN '' "
            "ELSE ' COLLATE \"' || n.collname || '\"' END"
        )
    columns = Command(
        f"SELECT attnum, attname::TEXT, {written}, {not_null} FROM pg_catalog.pg_attribute a "
        "LEFT JOIN pg_catalog.pg_collation n ON n.oid = a.attcollation "
        "LEFT JOIN pg_catalog.pg_type y ON y.oid = a.atttypid AND y.typtype = 'e' "
        "LEFT JOIN pg_catalog.pg_namespace s ON s.oid = y.typnamespace "
        "WHERE attrelid = $1::TEXT::REGCLASS AND NOT attisdropped",
        (table,),
    )
    return indexes, columns
