"""What a statement does to the session that runs it, read from its text.

Two questions: what it may leave behind for the next script, and which of its settings would end with a
transaction. Sends nothing. In doubt it answers for the worse: cleaning too often costs little.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from .lexer import Token, TokenKind, tokens
from .server_kind import ServerKind
from .statement import Kind, Statement
from .tokens import bare, head, upper, word_set


class Leaves(IntEnum):
    """What a statement may leave in its session."""

    NOTHING = 0
    STATE = 1
    """Settings, a role, prepared statements, cursors, locks, subscriptions, a sequence's last value."""
    OBJECTS = 2
    """Temporary tables, which not every server drops before the session ends."""


_TEMPORARY: Final = re.compile(r"\b(?:temp|temporary|pg_temp\w*)\b", re.IGNORECASE)
_SET_CONFIG: Final = re.compile("set_config", re.IGNORECASE)

# Statements that run no code of the user's. Event triggers, which could, are left out of account; so are
# functions of an index that are wrongly declared immutable.
_RUNS_NOTHING: Final = word_set("COMMENT DROP GRANT REVOKE")
_MADE_FROM_TEXT: Final = word_set(
    "AGGREGATE COLLATION DOMAIN FUNCTION INDEX PROCEDURE SCHEMA SEQUENCE TRIGGER TYPE VIEW"
)
_MODIFIERS: Final = word_set("OR REPLACE UNIQUE INVERTED UNLOGGED RECURSIVE CONSTRAINT")
_EVALUATES: Final = word_set("AS CHECK DEFAULT EXECUTE GENERATED SELECT USING VALIDATE")
_COCKROACHDB_ROWS: Final = word_set(
    "DELETE EXPLAIN INSERT SHOW TABLE TRUNCATE UPDATE UPSERT VALUES"
)


def leaves(statement: Statement, server: ServerKind) -> Leaves:
    """What the statement may leave in its session on this server."""
    text = statement.text
    if statement.kind is Kind.SESSION:
        return Leaves.STATE
    if statement.kind is Kind.SCHEMA and _TEMPORARY.search(text):
        return Leaves.OBJECTS
    if server is ServerKind.COCKROACHDB:
        return Leaves.STATE if _may_set_there(statement) else Leaves.NOTHING
    if statement.kind is Kind.SCHEMA and _runs_nothing(text):
        return Leaves.NOTHING
    # Any function or trigger may set anything, and a serial column moves a sequence.
    return Leaves.STATE


def _may_set_there(statement: Statement) -> bool:
    """CockroachDB has no session locks and no LISTEN, and what it runs on its own initiative cannot SET."""
    if _SET_CONFIG.search(statement.text):
        return True
    return statement.kind is Kind.DATA and _COCKROACHDB_ROWS.isdisjoint(head(statement.text, 1))


def _runs_nothing(text: str) -> bool:
    verb, *rest = head(text, 6) or ("",)
    if verb in _RUNS_NOTHING:
        return True
    what = next((word for word in rest if word not in _MODIFIERS), "")
    if verb == "CREATE" and what in _MADE_FROM_TEXT:
        return True
    if verb == "CREATE" and what == "TABLE":
        # A default or a check is evaluated when rows come, not when the table is made.
        return not any(upper(token) in ("AS", "EXECUTE") for token in _outside(text))
    if verb == "ALTER" and what in ("TABLE", "INDEX", "SEQUENCE", "SCHEMA", "VIEW", "TYPE"):
        return _EVALUATES.isdisjoint(upper(token) for token in tokens(text))
    return False


def _outside(text: str) -> list[Token]:
    depth, found = 0, []
    for token in tokens(text):
        depth += (token.text == "(") - (token.text == ")")
        if not depth:
            found.append(token)
    return found


# Settings that end with a transaction.


def session_wide(statement: Statement) -> str:
    """The statement's text, with its settings made to hold beyond their transaction.

    For a script that runs in several transactions, and whose session is cleaned after it: `SET LOCAL`
    becomes `SET`, and `set_config(…, true)` becomes `set_config(…, false)`. Lines stay as they are.
    """
    text = statement.text
    edits: list[tuple[Token, str]] = []
    if head(text, 2) == ("SET", "LOCAL"):
        local = next(token for token in tokens(text) if upper(token) == "LOCAL")
        edits.append((local, " " * len(local.text)))
    edits += ((token, "false") for token, is_true in _third_arguments(text) if is_true and token)
    for token, new in reversed(edits):
        text = text[: token.start] + new + text[token.end :]
    return text


def unclear_setting(statement: Statement) -> bool:
    """Whether a call of set_config does not say plainly if its setting ends with the transaction."""
    return any(is_true is None for _token, is_true in _third_arguments(statement.text))


def sets_inside_block(statement: Statement) -> bool:
    """Whether a DO block makes a setting that ends with its transaction."""
    if head(statement.text, 1) != ("DO",):
        return False
    return any(
        _LOCAL_INSIDE.search(token.text)
        for token in tokens(statement.text)
        if token.kind is TokenKind.STRING
    )


def defers_constraints(statement: Statement) -> bool:
    """Whether it is SET CONSTRAINTS, which holds for one transaction."""
    return head(statement.text, 2) == ("SET", "CONSTRAINTS")


_LOCAL_INSIDE: Final = re.compile(
    r"\bset\s+local\b|\bset_config\s*\([^;]*,\s*'*t(?:rue)?\b", re.IGNORECASE
)
_TRUE: Final = word_set("TRUE 'T' 'TRUE' 'Y' 'YES' 'ON' '1'")
_FALSE: Final = word_set("FALSE 'F' 'FALSE' 'N' 'NO' 'OFF' '0'")


def _third_arguments(text: str) -> list[tuple[Token | None, bool | None]]:
    """The third argument of each call of set_config, and whether it is true; None: unknown."""
    if _SET_CONFIG.search(text) is None:
        return []
    found: list[tuple[Token | None, bool | None]] = []
    every = list(tokens(text))
    for at, token in enumerate(every[:-1]):
        named = token.kind in (TokenKind.WORD, TokenKind.NAME) and bare(token) == "set_config"
        if named and every[at + 1].text == "(":
            found.append(_third(every[at + 2 :]))
    return found


def _third(rest: list[Token]) -> tuple[Token | None, bool | None]:
    depth, argument = 0, 0
    third: list[Token] = []
    for token in rest:
        if token.text == ")" and not depth:
            break
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "," and not depth:
            argument += 1
        elif argument == 2:
            third.append(token)
    if len(third) == 1 and third[0].text.upper() in _TRUE | _FALSE:
        return third[0], third[0].text.upper() in _TRUE
    return None, None


# What the connection speaks.


def other_encoding(statement: Statement) -> str | None:
    """The client encoding other than UTF-8 that a statement sets, if it does."""
    if statement.kind is not Kind.SESSION or _ENCODING.search(statement.text) is None:
        return None
    found = [token for token in tokens(statement.text) if token.text not in ("=", "(", ")", ",")]
    words = [upper(token) for token in found]
    for at, word in enumerate(words[:-1]):
        if words[at + 1] != "." and word.strip("'\"").upper() in ("CLIENT_ENCODING", "NAMES"):
            value = found[at + 2 if words[at + 1] == "TO" else at + 1].text.strip("'\"")
            utf8 = value.upper().replace("-", "").replace("_", "")
            return None if utf8 in ("UTF8", "UNICODE", "DEFAULT", "SQLASCII") else value
    return None


_ENCODING: Final = re.compile(r"client_encoding|\bnames\b", re.IGNORECASE)
