"""Which scripts may share one transaction with each other on a fresh CockroachDB database. Pure.

Schema changes of tables that a transaction itself made are carried out before its COMMIT, with no job
behind it: they are as atomic as rows, and many times faster than one transaction each. A change of
anything older would go on as a job after COMMIT, and may fail when the ledger has its row already: such a
script is run by itself.
https://www.cockroachlabs.com/docs/stable/online-schema-changes
"""

from __future__ import annotations

from .._sql.lexer import TokenKind, tokens
from .._sql.server_kind import ServerKind
from .._sql.statement import Kind, Statement, object_names, refuses_transaction, target_name
from .._sql.tokens import head
from .segments import Prepared

#: Scripts in one transaction at most: a lost one is run again from its start.
MOST_SCRIPTS = 128

_MODIFIERS = frozenset({"UNIQUE", "INVERTED", "TEMP", "TEMPORARY", "OR", "REPLACE"})
_JOBLESS = frozenset({"TYPE", "SCHEMA", "SEQUENCE", "VIEW"})


def joins(prepared: Prepared, made: frozenset[str]) -> frozenset[str] | None:
    """Whether a script may be part of a transaction that has made these tables.

    Args:
        prepared: The script.
        made: Bare names of the tables made so far in the transaction.

    Returns:
        The tables made with the script's own; None if it must run by itself.
    """
    for statement in prepared.statements:
        if statement.kind is Kind.DATA:
            continue
        if statement.kind is not Kind.SCHEMA:
            return None
        grown = _joins(statement, made)
        if grown is None:
            return None
        made = grown
    return made


def _joins(statement: Statement, made: frozenset[str]) -> frozenset[str] | None:
    if refuses_transaction(statement, ServerKind.COCKROACHDB):
        return None
    verb, *rest = head(statement.text, 5)
    what = next((word for word in rest if word not in _MODIFIERS), "")
    if verb == "COMMENT":
        return made
    if verb == "CREATE" and what == "TABLE":
        return None if _from_query(statement) else made | set(object_names(statement)[:1])
    if verb == "CREATE" and what in _JOBLESS:
        return made
    if (verb, what) in (("CREATE", "INDEX"), ("ALTER", "TABLE")):
        target = target_name(statement)
        return made if target is not None and target[1] in made else None
    return None


def _from_query(statement: Statement) -> bool:
    """CREATE TABLE … AS fills its table by a job."""
    depth = 0
    for token in tokens(statement.text):
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif not depth and token.kind is TokenKind.WORD and token.text.upper() == "AS":
            return True
    return False
