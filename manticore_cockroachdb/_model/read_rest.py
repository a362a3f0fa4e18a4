"""Reads queries, blocks of code, settings, and what builds tables and indexes again."""

# ruff: noqa: ARG001 - the functions of a table are all called alike
from __future__ import annotations

import re
from typing import Final

from .._sql.lexer import TokenKind, tokens
from .._sql.server_kind import ServerKind
from .._sql.tokens import bare, word_set
from .commands import (
    Command,
    CreateTable,
    Opaque,
    Rebuild,
    RefreshView,
    Reindex,
    SetVariable,
    Understood,
)
from .cursor import Cursor, NotUnderstoodError, cursor_for, first_words
from .kinds import TEMPORARY

#: Queries that call one of these may change the schema (or what they say is not known).
_HARMLESS_CALLS: Final = word_set(
    "setval nextval currval count max min sum avg coalesce now lower upper length exists "
    "set_config pg_sleep pg_notify version current_setting cast in any all as"
)


def read_query(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    first = cursor.peek()
    if first == "SELECT" and cursor.peek(1) in ("SET_CONFIG", "PG_CATALOG"):
        return _set_config(cursor)
    words = cursor.words()
    if first == "SELECT" and "INTO" in words:
        cursor.word()
        if cursor.seek("INTO"):
            temporary = bool(cursor.take_any(TEMPORARY))
            cursor.take("UNLOGGED")
            cursor.take("TABLE")
            return CreateTable(cursor.name(), from_query=True, complete=False, temporary=temporary)
    expression = cursor.expression()
    if first == "WITH":
        verb = next((word for word in words if word in _WRITING), "")
        if verb:
            return Understood(f"WITH {verb}")
    if expression.calls - _HARMLESS_CALLS and "FROM" not in words:
        return Opaque("SELECT", expression.mentions)
    return Understood(first)


_WRITING: Final = frozenset(("INSERT", "UPDATE", "DELETE", "UPSERT", "MERGE"))


def _set_config(cursor: Cursor) -> Command:
    while not cursor.done and cursor.peek() != "(":
        cursor.word()
    parts = list(cursor.group().split())
    if len(parts) != 3:
        raise NotUnderstoodError
    name = parts[0].string()
    value = parts[1].string()
    values = tuple(part.strip().strip('"') for part in value.split(",") if part.strip())
    return SetVariable(name.lower(), values)


def read_code(text: str, server: ServerKind) -> Command:
    """DO, CALL, EXECUTE: what they run is in a body or not in the text at all."""
    names: set[str] = set()
    for token in tokens(text):
        if token.kind is TokenKind.STRING:
            names.update(re.findall(r"[a-z_][a-z0-9_$]*", token.text.lower()))
        elif token.kind is not TokenKind.SYMBOL:
            names.add(bare(token))
    return Opaque(first_words(text).split(" ")[0], frozenset(names))


def read_set(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    cursor.word()
    local = cursor.take("LOCAL")
    if not local:
        cursor.take("SESSION")
    if cursor.take("CLUSTER", "SETTING"):
        return Understood("SET CLUSTER SETTING")
    if cursor.take("TIME", "ZONE"):
        return SetVariable("timezone", (cursor.text,), local)
    if not cursor.at_name():
        return Understood("SET")
    name = cursor.name()
    if not (cursor.take("=") or cursor.take("TO")):
        return Understood("SET")
    values = tuple(part.text.strip("'").strip('"').replace('""', '"') for part in cursor.split())
    return SetVariable(name.name, values, local)


def read_reindex(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    cursor.word()
    options = cursor.group().words() if cursor.peek() == "(" else []
    what = cursor.word()
    concurrently = cursor.take("CONCURRENTLY") or "CONCURRENTLY" in options
    return Reindex(cursor.name() if cursor.at_name() else None, what, concurrently)


def read_rebuild(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    verb = cursor.word()
    options = cursor.group().words() if cursor.peek() == "(" else []
    if verb == "VACUUM":
        if "FULL" not in options and not cursor.take("FULL"):
            return Understood("VACUUM")
        verb = "VACUUM FULL"
    while cursor.peek() in ("FREEZE", "VERBOSE", "ANALYZE"):
        cursor.word()
    return Rebuild(verb, cursor.name() if cursor.at_name() else None)


def read_refresh(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    cursor.word()
    cursor.expect("MATERIALIZED", "VIEW")
    concurrently = cursor.take("CONCURRENTLY")
    return RefreshView(cursor.name(), concurrently, cursor.take("WITH", "NO", "DATA"))
