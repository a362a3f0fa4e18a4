"""Questions to a server's catalogs: whose session still works, and what there is of an object.

Statements only; both servers know the catalogs asked here.
"""

from __future__ import annotations

import json

from .._sql.likeness import NameContext
from .._sql.schema_change import Effect, Repeat, Verb
from .._sql.server_kind import ServerKind
from .._sql.statement import Statement, effects, object_names, repeatable, target_name
from .._sql.tokens import head
from .dialect import Server
from .protocol import Command, Result

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
_INVALID_INDEX = (
    "SELECT n.nspname, c.relname FROM pg_catalog.pg_index i "
    "JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relname = $1::TEXT AND ($2::TEXT IS NULL AND "
    "n.nspname = ANY (current_schemas(false)) OR n.nspname = $2::TEXT) AND NOT i.indisvalid"
)

#: What the session takes unqualified names for; `name_context` reads it.
NAME_CONTEXT = Command(
    "SELECT current_database()::TEXT, current_user::TEXT, "
    "to_json(current_schemas(false)::TEXT[])::TEXT"
)


def objects_besides(ledger: str, state: str) -> Command:
    """Schema and name of a few tables, views and sequences other than these two."""
    return Command(
        "SELECT n.nspname::TEXT, c.relname::TEXT FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') "
        "AND n.nspname NOT IN ('information_schema', 'crdb_internal') "
        "AND n.nspname NOT LIKE 'pg\\_%' AND c.relname NOT IN ($1::TEXT, $2::TEXT) "
        "ORDER BY 1, 2 LIMIT 3",
        (ledger, state),
    )


def sessions_named(server: Server, name: str) -> Command:
    """Sessions by application name: their ids, as the server writes them.

    A user without further rights sees its own sessions, and the runner before us was most likely us.
    """
    if server.kind is ServerKind.COCKROACHDB:
        return Command(
            "SELECT session_id::TEXT FROM [SHOW SESSIONS] WHERE application_name = $1::TEXT",
            (name,),
        )
    return Command(
        "SELECT pid::TEXT FROM pg_catalog.pg_stat_activity "
        "WHERE application_name = $1::TEXT AND pid <> pg_backend_pid()",
        (name,),
    )


def sessions_of(server: Server, owner: str) -> Command:
    """Sessions of one runner, whatever their number behind its name."""
    pattern = owner.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "/%"
    if server.kind is ServerKind.COCKROACHDB:
        return Command(
            "SELECT session_id::TEXT FROM [SHOW SESSIONS] WHERE application_name LIKE $1::TEXT",
            (pattern,),
        )
    return Command(
        "SELECT pid::TEXT FROM pg_catalog.pg_stat_activity WHERE application_name LIKE $1::TEXT",
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


def invalid_index(server: Server, statement: Statement) -> Command | None:
    """How to find what a CREATE INDEX CONCURRENTLY that died leaves behind on PostgreSQL.

    https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
    """
    words = head(statement.text, 4)
    target = target_name(statement)
    if (
        server.kind is not ServerKind.POSTGRESQL
        or words[:1] != ("CREATE",)
        or "CONCURRENTLY" not in words
        or target is None
    ):
        return None
    return Command(_INVALID_INDEX, (object_names(statement)[0], target[0]))
