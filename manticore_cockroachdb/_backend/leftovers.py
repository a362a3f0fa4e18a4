"""What a statement that failed in the middle leaves in a PostgreSQL database, and how to remove it. Pure.

Three kinds of statements commit a part of their work before the rest can fail:

| statement                       | leaves behind                 | what is done before the next try |
|---------------------------------|-------------------------------|----------------------------------|
| CREATE INDEX CONCURRENTLY       | the index, invalid            | it is dropped                    |
| REINDEX … CONCURRENTLY          | `…_ccnew`, `…_ccold`, invalid | they are dropped                 |
| DROP INDEX CONCURRENTLY         | the index, invalid            | nothing: the next try drops it   |
| DETACH PARTITION … CONCURRENTLY | the partition, pending detach | … FINALIZE completes it          |

No query uses an invalid index. With IF NOT EXISTS it would be taken for the finished one; without, the
server would refuse the statement each time.
https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY
https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from psycopg import sql

from .._sql.lexer import TokenKind, tokens
from .._sql.server_kind import ServerKind
from .._sql.statement import Statement
from .._sql.tokens import Name, Reader, head, top_level, upper
from .dialect import Server
from .protocol import Command, Result


class Kind(Enum):
    """What may be left behind."""

    INVALID_INDEX = "invalid index"
    """By CREATE INDEX CONCURRENTLY: it is in the way of the next attempt."""
    REINDEX_COPY = "reindex copy"
    """By REINDEX CONCURRENTLY: a copy that was not finished, or an original that was not removed."""
    DROPPED_INDEX = "dropped index"
    """By DROP INDEX CONCURRENTLY: the next attempt drops it."""
    PENDING_DETACH = "pending detach"
    """By DETACH PARTITION CONCURRENTLY."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A statement that may leave something behind.

    Attributes:
        kind: What.
        question: Asks the catalogs for it: schema, name, and whether a session is working on it now.
        parent: For a partition: the table it belongs to, as the script writes it.
        named: Whether the statement names what it makes. What the server names is what was not there
            before by its kind only.
    """

    kind: Kind
    question: Command
    parent: str | None = None
    named: bool = True


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that was left behind.

    Attributes:
        kind: What it is.
        name: Its schema and name, for people.
        busy: Whether another session is working on it now.
        removal: The statement that removes or completes it; None where the statement itself does.
    """

    kind: Kind
    name: str
    busy: bool
    removal: str | None


#: `$1` and `$2` name a relation: its bare name, and its schema or NULL for the search path.
_IS_NAMED = (
    "{0}.relname = $1::TEXT AND CASE WHEN $2::TEXT IS NULL THEN pg_catalog.pg_table_is_visible({0}.oid) "
    "ELSE {0}.relnamespace = (SELECT s.oid FROM pg_catalog.pg_namespace s WHERE s.nspname = $2::TEXT) END"
)
#: Whose pid is shown to every user.
_BUSY = (
    "EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index p "
    "JOIN pg_catalog.pg_locks l ON l.pid = p.pid WHERE l.relation = i.indrelid AND l.granted "
    "AND p.pid <> pg_catalog.pg_backend_pid())"
)
_INVALID = (
    f"SELECT n.nspname::TEXT, c.relname::TEXT, {_BUSY} FROM pg_catalog.pg_index i "
    "JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_catalog.pg_class t ON t.oid = i.indrelid "
    "WHERE NOT i.indisvalid AND c.relkind = 'i' AND "
)
_COPY = "c.relname ~ '_cc(new|old)[0-9]*$' AND "
_ORDER = " ORDER BY 1, 2"
_TABLE_AND_PARTS = (
    "SELECT x.oid FROM pg_catalog.pg_class x WHERE x.oid IN (SELECT r.oid FROM pg_catalog.pg_class r WHERE "
    f"{_IS_NAMED.format('r')} UNION SELECT q.relid FROM pg_catalog.pg_class r, "
    f"LATERAL pg_catalog.pg_partition_tree(r.oid) q WHERE {_IS_NAMED.format('r')})"
)
_PENDING = (
    "SELECT n.nspname::TEXT, r.relname::TEXT, false FROM pg_catalog.pg_inherits h "
    "JOIN pg_catalog.pg_class r ON r.oid = h.inhrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace "
    # PostgreSQL 13 has no such column, and no such statement.
    "WHERE (to_jsonb(h) ->> 'inhdetachpending')::BOOL AND "
)


def suspect(server: Server, statement: Statement) -> Suspect | None:
    """What the statement may leave behind on this server; None: nothing, or everything with its error."""
    if server.kind is not ServerKind.POSTGRESQL:
        return None
    words = head(statement.text, 1)
    verb = words[0] if words else ""
    if verb not in ("CREATE", "DROP", "REINDEX", "ALTER") or not _is_concurrent(statement):
        return None
    reader = Reader(top_level(statement.text))
    reader.word()
    match verb:
        case "CREATE":
            return _created(reader)
        case "DROP":
            return _dropped(reader)
        case "REINDEX":
            return _reindexed(reader)
        case _:
            return _detached(reader)


def _is_concurrent(statement: Statement) -> bool:
    return any(
        token.kind is TokenKind.WORD and upper(token) == "CONCURRENTLY"
        for token in tokens(statement.text)
    )


def _created(reader: Reader) -> Suspect | None:
    unique = reader.take("UNIQUE")
    if not reader.take("INDEX", "CONCURRENTLY"):
        return None
    reader.skip_condition()
    index = None if reader.peek() == "ON" else reader.name()
    reader.take("ON")
    reader.take("ONLY")
    table = reader.name()
    if table is None:
        return None
    schema, name = _parts(table)
    question = f"{_INVALID}{_IS_NAMED.format('t')}"
    params: tuple[str | None, ...] = (name, schema)
    if index is not None:
        question += " AND c.relname = $3::TEXT"
        params += (index.parts[-1],)
    else:
        # The server names it after the table and the columns.
        question += f" AND c.relname ~ '_idx[0-9]*$' AND i.indisunique = {str(unique).lower()}"
    return Suspect(Kind.INVALID_INDEX, Command(question + _ORDER, params), named=index is not None)


def _dropped(reader: Reader) -> Suspect | None:
    if not reader.take("INDEX", "CONCURRENTLY"):
        return None
    reader.skip_condition()
    index = reader.name()
    if index is None:
        return None
    schema, name = _parts(index)
    question = f"{_INVALID}{_IS_NAMED.format('c')}{_ORDER}"
    return Suspect(Kind.DROPPED_INDEX, Command(question, (name, schema)))


def _reindexed(reader: Reader) -> Suspect | None:
    what = reader.word()
    reader.take("CONCURRENTLY")
    target = reader.name()
    question = _INVALID + _COPY
    params: tuple[str | None, ...] = ()
    if what in ("INDEX", "TABLE") and target is not None:
        schema, name = _parts(target)
        params = (name, schema)
        tables = _TABLE_AND_PARTS
        if what == "INDEX":
            tables = (
                f"SELECT b.indrelid FROM pg_catalog.pg_index b WHERE b.indexrelid IN ({tables})"
            )
        question += (
            f"(t.oid IN ({tables}) OR t.oid IN (SELECT o.reltoastrelid FROM pg_catalog.pg_class o "
            f"WHERE o.oid IN ({tables})))"
        )
    elif what == "SCHEMA" and target is not None:
        params = (target.parts[-1],)
        question += "n.nspname = $1::TEXT"
    else:
        question += "n.nspname NOT LIKE 'pg\\_temp%'"
    return Suspect(Kind.REINDEX_COPY, Command(question + _ORDER, params))


def _detached(reader: Reader) -> Suspect | None:
    if not reader.take("TABLE"):
        return None
    reader.skip_condition()
    reader.take("ONLY")
    parent = reader.name()
    if parent is None or not reader.seek("DETACH") or not reader.take("PARTITION"):
        return None
    partition = reader.name()
    if partition is None:
        return None
    schema, name = _parts(partition)
    question = f"{_PENDING}{_IS_NAMED.format('r')}{_ORDER}"
    return Suspect(Kind.PENDING_DETACH, Command(question, (name, schema)), parent.written)


def _parts(name: Name) -> tuple[str | None, str]:
    """Schema and bare name."""
    return (name.parts[-2] if len(name.parts) > 1 else None), name.parts[-1]


def found(asked: Suspect, result: Result) -> tuple[Leftover, ...]:
    """What the catalogs answered."""
    return tuple(
        Leftover(asked.kind, f"{schema}.{name}", busy, _removal(asked, schema, name))
        for schema, name, busy in result.rows
    )


def _removal(asked: Suspect, schema: str, name: str) -> str | None:
    full = sql.Identifier(schema, name).as_string(None)
    match asked.kind:
        case Kind.INVALID_INDEX | Kind.REINDEX_COPY:
            return f"DROP INDEX CONCURRENTLY IF EXISTS {full}"
        case Kind.PENDING_DETACH:
            return f"ALTER TABLE {asked.parent} DETACH PARTITION {full} FINALIZE"
        case _:
            return None


def described(left: Sequence[Leftover]) -> str:
    """What is left behind, and what happens to it, in a sentence."""
    names = ", ".join(each.name for each in left)
    several = len(left) > 1
    match left[0].kind:
        case Kind.PENDING_DETACH:
            return (
                f"The partition {names} is pending detach: queries no longer read it through its table. "
                "The next run completes that with DETACH PARTITION … FINALIZE."
            )
        case Kind.DROPPED_INDEX:
            return f"The index {names} is invalid now: queries no longer use it. The next run drops it."
        case _:
            what, it = ("indexes", "them") if several else ("index", "it")
            return (
                f"It left the invalid {what} {names}. The next run drops {it} before it sends the "
                "statement again."
            )


def runs_code(statement: Statement) -> bool:
    """Whether a statement outside a transaction may commit a part that is not to be repeated."""
    return head(statement.text, 1) in (("CALL",), ("DO",))


def may_commit_parts(statement: Statement) -> bool:
    """Whether a statement outside a transaction may commit a part of its work and then fail."""
    return head(statement.text, 1) in (
        ("CALL",),
        ("CLUSTER",),
        ("DO",),
        ("REINDEX",),
        ("VACUUM",),
    )
