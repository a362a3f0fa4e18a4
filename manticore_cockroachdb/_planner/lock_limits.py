"""How long each statement of a script waits for a lock at most, on PostgreSQL. Pure.

A statement that waits for a strong lock lets everybody after it wait, too: readers as well. So it gives up
after a time and is tried again later. Who says how long, the first that does:

1. the option `lock_timeout` before the statement;
2. a `SET lock_timeout` of the script before it, which is left as it is;
3. the option in the script's header;
4. the setting `DDL_LOCK_TIMEOUT`: for statements that change the schema or lock tables, and for those after
   them in the same transaction.

CONCURRENTLY waits for other transactions with a lock that readers and writers do not wait for. Only the
option before such a statement limits it.
https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .._backend.protocol import Command
from .._sql.lexer import TokenKind, tokens
from .._sql.session_effects import session_wide
from .._sql.statement import Kind, Statement
from .._sql.tokens import head, upper

#: No limit of ours: what the session has is in force.
_SESSION: Final = Command("SET LOCAL lock_timeout TO DEFAULT")
#: What may change the schema or lock a table, although it is called data.
_LOCKING: Final = (("LOCK",), ("DO",), ("CALL",))


def lock_limits(
    statements: Sequence[Statement],
    start: int,
    end: int,
    *,
    script: float | None,
    default: float | None,
) -> tuple[float | None, ...]:
    """Seconds that each statement of a transaction waits for a lock at most.

    Args:
        statements: The whole script.
        start: Number of the transaction's first statement, from 0.
        end: Number of the statement after its last one.
        script: What the script's header says; 0 means no limit.
        default: What the setting says.

    Returns:
        For each of them a limit, 0 for none; None where the session's own is left as it is.
    """
    is_set = _own_setting(statements[:start]) is not None
    locks = False
    found: list[float | None] = []
    for statement in statements[start:end]:
        locks = locks or statement.kind is Kind.SCHEMA or head(statement.text, 1) in _LOCKING
        if statement.lock_timeout is not None:
            found.append(statement.lock_timeout)
        elif is_set or _is_concurrent(statement):
            found.append(None)
        elif script is not None:
            found.append(script)
        else:
            found.append(default if locks else None)
        is_set = is_set or _sets_lock_timeout(statement)
    return tuple(found)


def local_settings(
    statements: Sequence[Statement], start: int, limits: Sequence[float | None]
) -> tuple[Command | None, ...]:
    """What to send before each statement of a transaction, so that its limit is in force.

    SET does not fix what the transaction sees, as a query would.

    Args:
        statements: The whole script.
        start: Number of the transaction's first statement, from 0.
        limits: Their limits; see `lock_limits`.
    """
    found: list[Command | None] = []
    ours: float | None = None
    for number, limit in enumerate(limits, start):
        if limit == ours:
            found.append(None)
        elif limit is not None:
            found.append(Command(f"SET LOCAL lock_timeout = {_milliseconds(limit)}"))
        else:
            found.append(_restored(statements[:number]))
        ours = None if _sets_lock_timeout(statements[number]) else limit
    return tuple(found)


def session_setting(limit: float) -> str:
    """The statement that sets a limit for a statement that is sent outside a transaction."""
    return f"SET lock_timeout = {_milliseconds(limit)}"


def session_restored(statements: Sequence[Statement]) -> str:
    """The statement that ends such a limit again.

    Args:
        statements: The statements of the script before it.
    """
    own = _own_setting(statements)
    return "SET lock_timeout TO DEFAULT" if own is None else session_wide(own)


def asks_at_once(statement: Statement | None) -> bool:
    """Whether a statement says that it does not want to wait for locks at all."""
    return statement is not None and any(
        token.kind is TokenKind.WORD and upper(token) == "NOWAIT"
        for token in tokens(statement.text)
    )


def _restored(before: Sequence[Statement]) -> Command:
    own = _own_setting(before)
    return _SESSION if own is None else Command(session_wide(own))


def _own_setting(statements: Sequence[Statement]) -> Statement | None:
    """The script's last own setting of the limit."""
    return next((each for each in reversed(statements) if _sets_lock_timeout(each)), None)


def _sets_lock_timeout(statement: Statement) -> bool:
    return statement.kind is Kind.SESSION and "lock_timeout" in statement.text.lower()


def _is_concurrent(statement: Statement) -> bool:
    return statement.kind is Kind.SCHEMA and any(
        token.kind is TokenKind.WORD and upper(token) == "CONCURRENTLY"
        for token in tokens(statement.text)
    )


def _milliseconds(seconds: float) -> int:
    """At least one where it is not zero, which means no limit."""
    return max(1, round(seconds * 1000)) if seconds else 0
