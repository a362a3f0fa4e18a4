"""Scratch databases: their names, their mark, and the statements that make and drop them. Pure.

A scratch database is known by two things: its name, which is made of its owner's, and a comment on it. One
whose owner has no session any more was left by a process that was killed, and may be dropped by anybody who
has the right to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from psycopg import sql

from .._backend.dialect import Server
from .._backend.protocol import Command
from .._sql.server_kind import ServerKind

PREFIX = "manticore_scratch_"
MARK = "Scratch database of Manticore. It may be dropped when nobody uses it."

#: CREATE DATABASE on PostgreSQL while somebody is connected to the template.
TEMPLATE_BUSY = "55006"

_NAME = re.compile(PREFIX + r"(?P<pid>\d+)_(?P<random>[0-9a-f]+)_\d+")
#: Settings whose value is a list of names, as the server keeps it.
_LISTS = frozenset({"search_path", "temp_tablespaces", "session_preload_libraries"})


def scratch_name(owner: str, number: int) -> str:
    """The name of an owner's scratch database.

    Args:
        owner: A name of `options.new_owner()`: host, process and a random part.
        number: From 1; an owner may have several.
    """
    _, pid, random = owner.rsplit(":", 2)
    return f"{PREFIX}{pid}_{random}_{number}"


def is_scratch_name(name: str) -> bool:
    """Whether a database is called as scratch databases are."""
    return _NAME.fullmatch(name) is not None


def keeper_name(owner: str) -> str:
    """The application name of the session that shows that an owner is alive."""
    return f"{owner}/scratch"


def keepers_of(server: Server, name: str) -> Command:
    """The sessions of the owner of a scratch database."""
    found = _NAME.fullmatch(name)
    pattern = f"%:{found['pid']}:{found['random']}/scratch" if found else ""
    source = (
        "[SHOW SESSIONS]"
        if server.kind is ServerKind.COCKROACHDB
        else "pg_catalog.pg_stat_activity"
    )
    return Command(f"SELECT 1 FROM {source} WHERE application_name LIKE $1::TEXT", (pattern,))


def existing(server: Server) -> Command:
    """Databases called as scratch databases are, and their comments."""
    if server.kind is ServerKind.COCKROACHDB:
        return Command(
            "SELECT database_name, comment FROM [SHOW DATABASES WITH COMMENT] "
            "WHERE database_name LIKE $1::TEXT",
            (f"{PREFIX}%",),
        )
    return Command(
        "SELECT d.datname::TEXT, shobj_description(d.oid, 'pg_database') FROM pg_catalog.pg_database d "
        "WHERE d.datname LIKE $1::TEXT AND pg_catalog.pg_has_role(d.datdba, 'USAGE')",
        (PREFIX.replace("_", "\\_") + "%",),
    )


def holds_anything(server: Server) -> Command:
    """Whether a database holds any relation that is not the server's."""
    system = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
    if server.kind is ServerKind.COCKROACHDB:
        system += " AND n.nspname <> 'crdb_internal'"
    return Command(
        "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE {system} LIMIT 1"
    )


#: The databases of a CockroachDB server.
DATABASES = Command("SELECT database_name FROM [SHOW DATABASES]")
#: How the target was made, as far as a scratch on PostgreSQL must be made alike.
TARGET_FORM = Command(
    "SELECT pg_catalog.pg_encoding_to_char(d.encoding)::TEXT, d.datcollate::TEXT, d.datctype::TEXT, "
    "d.encoding = t.encoding AND d.datcollate = t.datcollate AND d.datctype = t.datctype "
    "FROM pg_catalog.pg_database d, pg_catalog.pg_database t "
    "WHERE d.datname = current_database() AND t.datname = 'template1'"
)
#: Settings that every session of the target begins with.
TARGET_SETTINGS = Command(
    "SELECT unnest(s.setconfig)::TEXT FROM pg_catalog.pg_db_role_setting s "
    "JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase "
    "WHERE s.setrole = 0 AND d.datname = current_database()"
)


def target_grants(database: str) -> Command:
    """Privileges on the target itself: on CockroachDB before v22.1, new tables begin with them."""
    quoted = sql.Identifier(database).as_string(None)
    return Command(
        f"SELECT grantee, privilege_type FROM [SHOW GRANTS ON DATABASE {quoted}] "
        "WHERE grantee NOT IN ('admin', 'root', 'public')"
    )


def create(server: Server, name: str, form: Sequence[object] | None, *, plain: bool) -> Command:
    """CREATE DATABASE.

    Args:
        server: The server.
        name: The scratch database's name.
        form: The row of `TARGET_FORM`, on PostgreSQL.
        plain: Make it from `template1`, as databases are by default; else from `template0`.
    """
    quoted = sql.Identifier(name).as_string(None)
    if server.kind is ServerKind.COCKROACHDB or form is None or (plain and form[3]):
        return Command(f"CREATE DATABASE {quoted}")
    encoding, collate, ctype = (sql.Literal(value).as_string(None) for value in form[:3])
    return Command(
        f"CREATE DATABASE {quoted} TEMPLATE template0 ENCODING {encoding} "
        f"LC_COLLATE {collate} LC_CTYPE {ctype}"
    )


def mark(name: str) -> Command:
    """The comment by which a scratch database is known."""
    quoted, text = sql.Identifier(name).as_string(None), sql.Literal(MARK).as_string(None)
    return Command(f"COMMENT ON DATABASE {quoted} IS {text}")


def same_setting(name: str, setting: str) -> Command:
    """ALTER DATABASE for one setting of the target's, `name=value`."""
    variable, _, value = setting.partition("=")
    is_list = variable in _LISTS and value
    shown = value if is_list else sql.Literal(value).as_string(None)
    quoted = sql.Identifier(name).as_string(None)
    return Command(f"ALTER DATABASE {quoted} SET {variable} = {shown}")


def same_grant(name: str, grantee: str, privilege: str) -> Command:
    """GRANT for one privilege on the target."""
    database, role = (sql.Identifier(each).as_string(None) for each in (name, grantee))
    return Command(f"GRANT {privilege} ON DATABASE {database} TO {role}")


def drop(server: Server, name: str) -> Command:
    """DROP DATABASE, also while others are connected; it may be gone already."""
    even_if = "CASCADE" if server.kind is ServerKind.COCKROACHDB else "WITH (FORCE)"
    return Command(f"DROP DATABASE IF EXISTS {sql.Identifier(name).as_string(None)} {even_if}")


def read_only(server: Server, place: str, reason: str) -> str:
    """What to say when the sessions beside which a database is to be made can write nothing."""
    return (
        f"The database {server.database} at {place} is read-only ({reason}), so no scratch database can be "
        "made beside it. Name another database or server with --scratch URL (scratch=… in the library). "
        "Nothing was changed."
    )


def no_right(server: Server, place: str) -> str:
    """What to say when no database can be made."""
    user = sql.Identifier(server.user).as_string(None)
    grant = (
        f"ALTER USER {user} CREATEDB"
        if server.kind is ServerKind.COCKROACHDB
        else f"ALTER ROLE {user} CREATEDB"
    )
    return (
        f"User {server.user} may not create databases at {place}, so no scratch database can be made. "
        f"Run `{grant}` as an administrator, or name a server where it may with --scratch URL "
        "(scratch=… in the library). Nothing was changed."
    )
