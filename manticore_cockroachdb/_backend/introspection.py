"""Questions to a server's catalogs: whose session still works, and how many of something there are.

Statements only; both servers know the catalogs asked here.
"""

from __future__ import annotations

from .._sql.schema_change import Repeat
from .._sql.server_kind import ServerKind
from .._sql.statement import Statement, object_names, repeatable, target_name
from .._sql.tokens import head
from .dialect import Server
from .protocol import Command

#: The server's clock, in seconds since 1970.
NOW = Command("SELECT extract(epoch FROM clock_timestamp())::FLOAT8")

_IN_SCHEMA = (
    "($2::TEXT IS NULL AND n.nspname = ANY (current_schemas(false)) OR n.nspname = $2::TEXT)"
)
_COUNT_INDEXES = (
    "SELECT count(*) FROM pg_catalog.pg_index i "
    "JOIN pg_catalog.pg_class c ON c.oid = i.indrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relname = $1::TEXT AND {_IN_SCHEMA} AND i.indisvalid"
)
_COUNT_CONSTRAINTS = (
    "SELECT count(*) FROM pg_catalog.pg_constraint o "
    "JOIN pg_catalog.pg_class c ON c.oid = o.conrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relname = $1::TEXT AND {_IN_SCHEMA}"
)
_INVALID_INDEX = (
    "SELECT n.nspname, c.relname FROM pg_catalog.pg_index i "
    "JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relname = $1::TEXT AND {_IN_SCHEMA} AND NOT i.indisvalid"
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


def count_before(statement: Statement) -> Command | None:
    """How to count what an unnamed CREATE INDEX or ADD CONSTRAINT makes one more of."""
    target = target_name(statement)
    if repeatable(statement) is not Repeat.UNNAMED or target is None:
        return None
    schema, table = target
    counts_constraints = head(statement.text, 1) == ("ALTER",)
    return Command(_COUNT_CONSTRAINTS if counts_constraints else _COUNT_INDEXES, (table, schema))


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
