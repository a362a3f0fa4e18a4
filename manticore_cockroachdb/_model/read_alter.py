"""Reads ALTER and DROP, for both servers' words.

The actions of ALTER TABLE are read by `read_action`.
"""

from __future__ import annotations

from typing import Final

from .._sql.server_kind import ServerKind
from .commands import (
    AddEnumValue,
    AlterTable,
    Command,
    Drop,
    DropEnumValue,
    DropIndex,
    Opaque,
    OwnSequence,
    Rename,
    RenameEnumValue,
    SetSchema,
    Understood,
)
from .cursor import Cursor, NotUnderstoodError, cursor_for
from .kinds import ROUTINES, UNMODELLED
from .read_action import read_actions
from .values import Name


def read_alter(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    cursor.word()
    what = cursor.word()
    if what == "MATERIALIZED":
        cursor.expect("VIEW")
        what = "MATERIALIZED VIEW"
    elif what == "FOREIGN" and cursor.take("TABLE"):
        what = "TABLE"
    match what:
        case "TABLE" | "VIEW" | "MATERIALIZED VIEW":
            return _alter_table(cursor, server, what)
        case "INDEX":
            return _alter_index(cursor)
        case "TYPE":
            return _alter_type(cursor)
        case "SEQUENCE" | "DOMAIN" | "SCHEMA" | "EXTENSION":
            return _alter_named(cursor, what)
        case _ if what in ROUTINES:
            name = cursor.name()
            cursor.skip_group()
            return _renamed(cursor, what, name) or Understood(f"ALTER {what}", name)
        case "TRIGGER":
            return Understood("ALTER TRIGGER")
        case "DATABASE" if cursor.seek("RENAME"):
            return Understood("ALTER DATABASE RENAME")
        case _ if what in UNMODELLED:
            return Understood(f"ALTER {what}")
        case _:
            raise NotUnderstoodError


def _alter_table(cursor: Cursor, server: ServerKind, what: str) -> Command:
    if cursor.take("ALL", "IN"):
        return Understood(f"ALTER {what} ALL IN TABLESPACE")
    exists = cursor.condition()
    cursor.take("ONLY")
    name = cursor.name()
    cursor.take("*")
    found = _renamed(cursor, what, name, exists=exists)
    if found is not None:
        return found
    actions = read_actions(cursor, server)
    if not actions:
        raise NotUnderstoodError
    return AlterTable(name, actions, exists, what)


def _renamed(
    cursor: Cursor,
    what: str,
    name: Name,
    *,
    table: Name | None = None,
    exists: bool = False,
) -> Command | None:
    """RENAME TO and SET SCHEMA, which every kind of object shares."""
    if cursor.take("RENAME", "TO"):
        return Rename(what, name, cursor.name().name, table, exists)
    if cursor.take("SET", "SCHEMA"):
        return SetSchema(what, name, cursor.identifier(), exists)
    return None


def _alter_index(cursor: Cursor) -> Command:
    if cursor.take("ALL", "IN"):
        return Understood("ALTER INDEX ALL IN TABLESPACE")
    exists = cursor.condition()
    name = cursor.name()
    table = None
    if cursor.take("@"):
        table, name = name, Name(None, cursor.identifier())
    found = _renamed(cursor, "INDEX", name, table=table, exists=exists)
    return found or Understood("ALTER INDEX", name)


def _alter_type(cursor: Cursor) -> Command:
    name = cursor.name()
    if cursor.take("ADD", "VALUE"):
        exists = cursor.condition()
        return AddEnumValue(name, cursor.string(), exists)
    if cursor.take("DROP", "VALUE"):
        return DropEnumValue(name, cursor.string())
    if cursor.take("RENAME", "VALUE"):
        old = cursor.string()
        cursor.expect("TO")
        return RenameEnumValue(name, old, cursor.string())
    return _renamed(cursor, "TYPE", name) or Understood("ALTER TYPE", name)


def _alter_named(cursor: Cursor, what: str) -> Command:
    exists = cursor.condition()
    name = cursor.name()
    if cursor.take("OWNED", "BY"):
        return _owned_by(cursor, name)
    return _renamed(cursor, what, name, exists=exists) or Understood(f"ALTER {what}", name)


def _owned_by(cursor: Cursor, sequence: Name) -> OwnSequence:
    """NONE, or a column with its table in front."""
    parts = [cursor.identifier()]
    while cursor.take("."):
        parts.append(cursor.identifier())
    if len(parts) == 1:
        return OwnSequence(sequence, None, None)
    *schema, table, column = parts
    return OwnSequence(sequence, Name(schema[-1] if schema else None, table), column)


def read_drop(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    cursor.word()
    what = cursor.word()
    if what == "INDEX":
        return _drop_index(cursor)
    if what == "MATERIALIZED":
        cursor.expect("VIEW")
        what = "MATERIALIZED VIEW"
    elif what == "FOREIGN" and cursor.take("TABLE"):
        what = "TABLE"
    elif what in UNMODELLED and what not in ("EXTENSION", "AGGREGATE"):
        return Understood(f"DROP {what}")
    elif what == "OWNED":
        return Opaque("DROP OWNED")
    elif what not in _DROPPED:
        raise NotUnderstoodError
    exists = cursor.condition()
    names = [cursor.name()]
    if what == "TRIGGER":
        return Understood("DROP TRIGGER", names[0])
    cursor.skip_group()
    while cursor.take(","):
        names.append(cursor.name())
        cursor.skip_group()
    return Drop(what, tuple(names), exists, cursor.has("CASCADE"))


_DROPPED: Final = ROUTINES | frozenset(
    ("TABLE", "VIEW", "SEQUENCE", "TYPE", "DOMAIN", "SCHEMA", "TRIGGER", "EXTENSION")
)


def _drop_index(cursor: Cursor) -> DropIndex:
    concurrently = cursor.take("CONCURRENTLY")
    exists = cursor.condition()
    names: list[tuple[Name | None, Name]] = []
    while True:
        name = cursor.name()
        if cursor.take("@"):
            names.append((name, Name(None, cursor.identifier())))
        else:
            names.append((None, name))
        if not cursor.take(","):
            break
    return DropIndex(tuple(names), concurrently, exists, cursor.has("CASCADE"))
