"""The explicit transaction of a connection: when it began, and what CockroachDB before v22.1 refuses in it.

Facts: a job carries the time at which its transaction began, not that of its statement. Seen on v21.1 and
on a v22.1 build of February 2022.

Facts: "the first schema change must precede any write, a SELECT … FOR UPDATE included: else 0A000.
Once the first was a schema change, the order is free." Seen on v21.1 and on a v22.1 build of
February 2022; gone in v22.1's release (cockroachdb/cockroach#69938). Knows text, and no sockets.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from manticore_cockroachdb.testing.proxy.protocol import ServerError

REFUSAL = ServerError(
    "0A000",
    "unimplemented: the first schema change statement in a transaction must precede any writes",
    hint="You have attempted to use a feature that is not yet implemented.",
)

_BLANKS = r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_FLAGS = re.IGNORECASE | re.DOTALL
_BEGIN = re.compile(rf"{_BLANKS}(?:BEGIN|START\s+TRANSACTION)\b", _FLAGS)
_END = re.compile(rf"{_BLANKS}(?:COMMIT|END|ABORT|ROLLBACK(?!\s+TO\b))\b", _FLAGS)
_SCHEMA = re.compile(rf"{_BLANKS}(?:CREATE|ALTER|DROP|TRUNCATE|GRANT|REVOKE|COMMENT)\b", _FLAGS)
_WRITE = re.compile(
    rf"{_BLANKS}(?:INSERT|UPDATE|UPSERT|DELETE|WITH\b.*\b(?:INSERT|UPDATE|DELETE)|SELECT\b.*\bFOR\s+UPDATE)\b",
    _FLAGS,
)


class Transaction:
    """The explicit transaction of one connection.

    Attributes:
        began: When it began, in UTC; None where none is open.
    """

    def __init__(self) -> None:
        self.began: datetime | None = None
        self._open = False
        self._wrote = False
        self._changed = False

    def end(self) -> None:
        """Note that a statement was refused: a transaction ends by it, and a BEGIN opens none."""
        self.began = None
        self._open = self._wrote = self._changed = False

    def refusal(self, sql: str) -> ServerError | None:
        """Take the connection's next statement; the error it gets, if it gets one for its place."""
        if _BEGIN.match(sql) or _END.match(sql):
            self._open = _BEGIN.match(sql) is not None
            self.began = datetime.now(UTC).replace(tzinfo=None) if self._open else None
            self._wrote = self._changed = False
        elif self._open and _SCHEMA.match(sql):
            if self._wrote and not self._changed:
                return REFUSAL
            self._changed = True
        elif self._open and _WRITE.match(sql):
            self._wrote = True
        return None
