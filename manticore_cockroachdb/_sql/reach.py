"""What a statement reaches beyond the database that it runs in, read from its text. Pure.

A scratch database does not keep such statements to itself: roles and settings belong to the whole server,
and on CockroachDB a name may begin with another database's.
https://www.cockroachlabs.com/docs/stable/sql-name-resolution
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import Final

from .lexer import Token, TokenKind, tokens
from .statement import Statement
from .tokens import Reader, bare, head, upper, word_set

_SERVER_OBJECTS: Final = word_set("ROLE USER GROUP DATABASE TABLESPACE SUBSCRIPTION TENANT RANGE")
_ANYWHERE: Final = re.compile(
    r"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER|DATABASE|TABLESPACE|SUBSCRIPTION)\b|\bALTER\s+SYSTEM\b",
    re.IGNORECASE,
)
#: Words that an object's name follows.
_BEFORE_OBJECT: Final = word_set(
    "TABLE VIEW SEQUENCE TYPE SCHEMA INDEX FUNCTION PROCEDURE EXISTS INTO UPDATE FROM JOIN ONLY REFERENCES "
    "TRUNCATE CONCURRENTLY LIKE"
)
#: Statements in which objects are all that has a name of two parts.
_ONLY_OBJECTS: Final = word_set("DROP TRUNCATE GRANT REVOKE")
#: Functions that change the sequence in their string.
_OF_SEQUENCE: Final = word_set("NEXTVAL SETVAL")
_SHORTEST_WITH_DATABASE: Final = 3


def changes_server(statement: Statement) -> bool:
    """Whether it changes the server and not the database: roles, settings, databases."""
    words = (*head(statement.text, 40), "", "", "")
    if words[:1] == ("DO",):
        return _ANYWHERE.search(statement.text) is not None
    if words[:1] in (("CREATE",), ("ALTER",), ("DROP",)):
        return words[1] == "SYSTEM" or (words[1] in _SERVER_OBJECTS and words[2] != "MAPPING")
    if words[:3] == ("SET", "CLUSTER", "SETTING"):
        return True
    if words[:1] in (("GRANT",), ("REVOKE",)):
        return "ON" not in words or ("ON", "DATABASE") in pairwise(words)
    return words[:2] == ("COMMENT", "ON") and words[2] in _SERVER_OBJECTS


def schemas_made(statements: Iterable[Statement]) -> Iterator[str]:
    """The bare names of schemas that statements create, or give another name to."""
    for statement in statements:
        verb, what, *_ = (*head(statement.text, 2), "", "")
        if what != "SCHEMA" or verb not in ("CREATE", "ALTER"):
            continue
        reader = Reader(tokens(statement.text))
        reader.seek("SCHEMA" if verb == "CREATE" else "TO")
        reader.skip_condition()
        name = reader.name()
        if name is not None:
            yield name.last


def other_database(text: str, databases: Collection[str], schemas: Collection[str]) -> str | None:
    """The database that a statement of CockroachDB names, so that it works there; None if none.

    Args:
        text: The statement.
        databases: The databases of the server.
        schemas: Schemas that the scripts make: a name that begins with one means that schema.
    """
    found = list(tokens(text))
    chosen = _chosen(found)
    if chosen is not None:
        return chosen
    verb = upper(found[0]) if found else ""
    for before, parts in _chains(found):
        is_object = verb in _ONLY_OBJECTS or before in _BEFORE_OBJECT
        is_object = is_object or (before == "ON" and "INDEX" in head(text, 4))
        if _leads_away(parts, databases, schemas, is_object=is_object):
            return parts[0]
    for number, token in enumerate(found[2:], start=2):
        if token.kind is TokenKind.STRING and upper(found[number - 2]) in _OF_SEQUENCE:
            chains = list(_chains(list(tokens(token.text[1:-1]))))
            for _, parts in chains:
                if _leads_away(parts, databases, schemas, is_object=True):
                    return parts[0]
    return None


def _chosen(found: list[Token]) -> str | None:
    """The database of `USE` or `SET database`."""
    words = [upper(token) for token in found[:6]]
    if words[:1] == ["USE"] and len(found) > 1:
        return _value(found[1])
    if words[:1] == ["SET"]:
        at = 2 if words[1:2] in (["SESSION"], ["LOCAL"]) else 1
        if (
            words[at : at + 1] == ["DATABASE"]
            and len(found) > at + 2
            and words[at + 2] != "DEFAULT"
        ):
            return _value(found[at + 2])
    for number, word in enumerate(upper(token) for token in found[:-4]):
        if word == "SET_CONFIG" and _value(found[number + 2]) == "database":
            return _value(found[number + 4])
    return None


def _value(token: Token) -> str:
    return token.text.strip("'") if token.kind is TokenKind.STRING else bare(token)


def _chains(found: list[Token]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each name of several parts, and the word before it."""
    at = 0
    while at < len(found):
        parts = list[str]()
        end = at
        while end < len(found) and found[end].kind in (TokenKind.WORD, TokenKind.NAME):
            parts.append(bare(found[end]))
            if end + 1 >= len(found) or found[end + 1].text != ".":
                break
            end += 2
        if len(parts) > 1:
            yield (upper(found[at - 1]) if at else ""), tuple(parts)
        at = end + 1


def _leads_away(
    parts: tuple[str, ...],
    databases: Collection[str],
    schemas: Collection[str],
    *,
    is_object: bool,
) -> bool:
    first, second, *_ = parts
    if first not in databases:
        return False
    if len(parts) < _SHORTEST_WITH_DATABASE:
        return is_object and first not in schemas
    # A schema of the same name: then it is a column of one of its tables, unless a schema is next.
    return first not in schemas or second == "public" or second in schemas
