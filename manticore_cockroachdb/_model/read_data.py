"""Reads statements that write rows: INSERT, UPDATE, DELETE, MERGE, TRUNCATE, IMPORT."""

# ruff: noqa: ARG001 - the functions of a table are all called alike
from __future__ import annotations

from .._sql.lexer import tokens
from .._sql.server_kind import ServerKind
from .._sql.tokens import bare, top_level, upper
from .commands import (
    Command,
    ImportInto,
    Opaque,
    Truncate,
    Write,
)
from .cursor import NotUnderstoodError, cursor_for
from .values import Name


def read_insert(text: str, server: ServerKind) -> Command:
    """INSERT INTO t [AS a] [(columns)] followed by rows or a query; rows are not read."""
    names: list[str] = []
    verb = ""
    depth = 0
    for token in tokens(text):
        word = upper(token)
        if not verb:
            verb = word
        elif token.text == "(":
            depth += 1
            names.append("(")
        elif token.text == ")":
            depth -= 1
        elif depth:
            if depth == 1 and word in ("SELECT", "WITH"):
                return Write(verb, _first_name(names), from_query=True)
        elif word in ("VALUES", "DEFAULT"):
            return Write(verb, _first_name(names))
        elif word in ("SELECT", "WITH", "TABLE"):
            # SELECT 'a', 'b' WHERE NOT EXISTS (…) is one row at most.
            rows = word != "SELECT" or any(
                upper(one) == "FROM" for one in top_level(text[token.end :])
            )
            return Write(verb, _first_name(names), from_query=rows)
        elif token.text == ".":
            names.append(".")
        elif word != "INTO":
            names.append(bare(token))
    raise NotUnderstoodError


def _first_name(names: list[str]) -> Name:
    """The name that the tokens before the columns spell."""
    parts: list[str] = []
    for name in names:
        if name == "(" or (parts and name != "." and names[len(parts) * 2 - 1] != "."):
            break
        if name != ".":
            parts.append(name)
    if not parts:
        raise NotUnderstoodError
    return Name(parts[-2] if len(parts) > 1 else None, parts[-1])


def read_update(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    verb = cursor.word()
    if verb == "DELETE":
        cursor.expect("FROM")
    elif verb == "MERGE":
        cursor.expect("INTO")
    cursor.take("ONLY")
    table = cursor.name()
    where = None
    limited = False
    if cursor.seek("WHERE"):
        where = cursor.until(frozenset(("RETURNING", "ORDER", "LIMIT"))).expression()
    limited = cursor.seek("LIMIT")
    return Write(verb, table, where, limited=limited)


def read_truncate(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    cursor.word()
    cursor.take("TABLE")
    tables: list[Name] = []
    while True:
        cursor.take("ONLY")
        tables.append(cursor.name())
        cursor.take("*")
        if not cursor.take(","):
            break
    return Truncate(tuple(tables), cursor.has("CASCADE"))


def read_import(text: str, server: ServerKind) -> Command:
    cursor = cursor_for(text, server)
    cursor.word()
    if cursor.take("INTO"):
        return ImportInto(cursor.name())
    return Opaque("IMPORT")
