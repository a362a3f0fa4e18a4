"""Reads CREATE, for both servers' words.

The body of CREATE TABLE is read by `read_table`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from .._sql.server_kind import ServerKind
from .commands import (
    Command,
    CreateExtension,
    CreateFunction,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateTable,
    CreateTrigger,
    CreateType,
    CreateView,
    Understood,
)
from .cursor import Cursor, NotUnderstoodError, cursor_for
from .kinds import TEMPORARY, UNMODELLED
from .read_table import read_elements, read_index, read_options
from .types import read_type
from .values import Expression, TypeKind

_MODIFIERS: Final = frozenset(
    ("UNLOGGED", "MATERIALIZED", "RECURSIVE", "UNIQUE", "CONSTRAINT", "TRUSTED")
)


def read_create(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    cursor.word()
    replaces = cursor.take("OR", "REPLACE")
    temporary = bool(cursor.take_any(TEMPORARY))
    cursor.take_any(TEMPORARY)
    modifiers = set()
    while cursor.peek() in _MODIFIERS:
        modifiers.add(cursor.word())
    unique = "UNIQUE" in modifiers
    what = cursor.word()
    match what:
        case "TABLE":
            return _create_table(cursor, server, temporary=temporary)
        case "INDEX":
            return _create_index(cursor, unique=unique, method="btree")
        case "INVERTED" | "VECTOR" if cursor.take("INDEX"):
            return _create_index(cursor, unique=unique, method=what.lower())
        case "VIEW":
            return _create_view(
                cursor,
                materialized="MATERIALIZED" in modifiers,
                replaces=replaces,
                temporary=temporary,
            )
        case "SEQUENCE":
            exists = cursor.condition()
            return CreateSequence(cursor.name(), exists, temporary)
        case "TYPE":
            return _create_type(cursor)
        case "DOMAIN":
            return _create_domain(cursor, server)
        case "FUNCTION" | "PROCEDURE":
            name = cursor.name()
            arguments = cursor.group().text if cursor.peek() == "(" else ""
            return CreateFunction(name, arguments, cursor.text, replaces)
        case "SCHEMA":
            return _create_schema(cursor)
        case "TRIGGER":
            return _create_trigger(cursor)
        case "EXTENSION":
            cursor.condition()
            return CreateExtension(cursor.identifier())
        case "FOREIGN" if cursor.take("TABLE"):
            return replace(_create_table(cursor, server, temporary=temporary), complete=False)
        case _ if what in UNMODELLED:
            return Understood(f"CREATE {what}")
        case _:
            raise NotUnderstoodError


def _create_table(cursor: Cursor, server: ServerKind, *, temporary: bool) -> CreateTable:
    exists = cursor.condition()
    name = cursor.name()
    if cursor.take("PARTITION", "OF"):
        return CreateTable(
            name,
            if_not_exists=exists,
            temporary=temporary,
            complete=False,
            parent=cursor.name(),
            takes_rest=not cursor.has("FOR") and cursor.has("DEFAULT"),
            partitioned=cursor.has("PARTITION"),
        )
    made = CreateTable(name, if_not_exists=exists, temporary=temporary)
    if cursor.peek() == "(":
        body = cursor.group()
        if cursor.peek() == "AS" or (cursor.seek("AS") and _begins_query(cursor)):
            return replace(made, from_query=True, complete=False)
        columns, constraints, indexes, complete = read_elements(body, server)
        made = replace(
            made,
            columns=tuple(columns),
            constraints=tuple(constraints),
            indexes=tuple(indexes),
            complete=complete,
        )
    elif cursor.peek() == "OF":
        return replace(made, complete=False)
    while not cursor.done:
        word = cursor.word()
        if word == "AS":
            return replace(made, from_query=True, complete=False)
        if word == "INHERITS":
            made = replace(made, complete=False, parent=next(cursor.group().split()).name())
        elif word == "PARTITION":
            made = replace(made, partitioned=True, partition_key=_partition_key(cursor))
        elif word == "WITH" and cursor.peek() == "(":
            made = replace(made, options=read_options(cursor.group()))
    return made


def _partition_key(cursor: Cursor) -> tuple[str, ...]:
    """The columns of PARTITION BY RANGE (…); none where one of them is an expression."""
    cursor.take("BY")
    cursor.word()
    parts = list(cursor.group().split()) if cursor.peek() == "(" else []
    cursor.at = cursor.end
    plain = all(part.at_name() and part.peek(1) == "" for part in parts)
    return tuple(part.identifier() for part in parts) if plain else ()


def _begins_query(cursor: Cursor) -> bool:
    return cursor.peek() in ("SELECT", "WITH", "VALUES", "TABLE", "(", "EXECUTE")


def _create_index(cursor: Cursor, *, unique: bool, method: str) -> CreateIndex:
    concurrently = cursor.take("CONCURRENTLY")
    exists = cursor.condition()
    name = None if cursor.peek() == "ON" else cursor.identifier()
    cursor.expect("ON")
    only = cursor.take("ONLY")
    table = cursor.name()
    index = replace(read_index(cursor, name, method=method), unique=unique)
    return CreateIndex(table, index, concurrently, exists, only)


def _create_view(
    cursor: Cursor, *, materialized: bool, replaces: bool, temporary: bool
) -> CreateView:
    exists = cursor.condition()
    name = cursor.name()
    if not cursor.seek("AS"):
        raise NotUnderstoodError
    return CreateView(name, cursor.expression(), materialized, replaces, exists, temporary)


def _create_type(cursor: Cursor) -> CreateType:
    exists = cursor.condition()
    name = cursor.name()
    if not cursor.take("AS"):
        return CreateType(name, TypeKind.OTHER, if_not_exists=exists)
    if cursor.take("ENUM"):
        values = tuple(part.string() for part in cursor.group().split())
        return CreateType(name, TypeKind.ENUM, values, if_not_exists=exists)
    kind = TypeKind.COMPOSITE if cursor.peek() == "(" else TypeKind.OTHER
    return CreateType(name, kind, if_not_exists=exists)


def _create_domain(cursor: Cursor, server: ServerKind) -> CreateType:
    name = cursor.name()
    cursor.take("AS")
    base, _ = read_type(cursor, server)
    checks: list[Expression] = []
    not_null = False
    while not cursor.done:
        if cursor.take("CHECK"):
            checks.append(cursor.group().expression())
        elif cursor.take("NOT", "NULL"):
            not_null = True
        elif not cursor.skip_group():
            cursor.word()
    return CreateType(
        name,
        TypeKind.DOMAIN,
        checked=not_null or bool(checks),
        base=base,
        condition=_joined(checks),
        not_null=not_null,
    )


def _joined(checks: Sequence[Expression]) -> Expression | None:
    """Several conditions as one."""
    if len(checks) < 2:
        return checks[0] if checks else None
    return Expression(
        " AND ".join(f"({one.text})" for one in checks),
        frozenset().union(*(one.names for one in checks)),
        frozenset().union(*(one.calls for one in checks)),
    )


def _create_schema(cursor: Cursor) -> CreateSchema:
    exists = cursor.condition()
    if cursor.take("AUTHORIZATION"):
        return CreateSchema(cursor.identifier(), exists)
    name = cursor.name()
    cursor.take("AUTHORIZATION") and cursor.identifier()
    if not cursor.done:  # objects made inside
        raise NotUnderstoodError
    return CreateSchema(name.name, exists)


def _create_trigger(cursor: Cursor) -> CreateTrigger:
    words = tuple(cursor.words())
    name = cursor.identifier()
    timing = cursor.word()
    if timing == "INSTEAD":
        cursor.expect("OF")
        timing = "INSTEAD OF"
    if not cursor.seek("ON"):
        raise NotUnderstoodError
    return CreateTrigger(name, cursor.name(), timing, words)
