"""One statement on its way through the proxy: what shall be done to it, decided at once.

A value that `proxy_connection` acts upon; knows no sockets.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .protocol import ServerError
from .rules import Drop, Fail, Hold, Notice, Rule, When

_COMMIT = re.compile(r"\A\s*(?:COMMIT|END)\b", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Interception:
    """What happens to one statement.

    Attributes:
        sql: Its text, as the client sent it.
        failed: Whether the server refused it.
        flushed: Whether the client asked for its answer by a Flush, before any Sync.
        copying: Whether the server waits for the client's COPY data.
        tag: If given, its rows are withheld, and it is answered by this tag.
        rows: How many rows were withheld so.
        done: Set when the server has answered.
    """

    sql: str
    drop: Drop | None = None
    error: ServerError | None = None
    error_after: ServerError | None = None
    holds: list[tuple[Rule, Hold]] = field(default_factory=list)
    answer_holds: list[tuple[Rule, Hold]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    failed: bool = False
    flushed: bool = False
    copying: bool = False
    tag: str | None = None
    rows: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, rule: Rule) -> None:
        """Add what a rule that fired wants."""
        for action in rule.actions:
            match action:
                case Drop():
                    self.drop = action
                case Fail(error=error, after=True):
                    self.error_after = error
                case Fail(error=error):
                    self.error = error
                case Hold(answer=True):
                    self.answer_holds.append((rule, action))
                case Hold():
                    self.holds.append((rule, action))
                case Notice(text=text):
                    self.notices.append(text)

    @property
    def is_commit(self) -> bool:
        """Whether it ends a transaction well."""
        return _COMMIT.match(self.sql) is not None

    @property
    def withholds(self) -> bool:
        """Whether its answer is not just passed on."""
        return bool(self.answer_holds or self.error_after)

    def drops(self, *when: When) -> bool:
        """Whether the connection ends at one of these moments."""
        return self.drop is not None and self.drop.when in when

    def start(self) -> None:
        """It is about to reach the server."""

    def fail(self, reason: str) -> None:
        """The server refused it."""
        del reason
        self.failed = True

    def gates(self) -> Iterable[Callable[[], bool]]:
        """What must be true, in this order, before its answer may go."""
        for rule, hold in self.answer_holds:
            rule.reach()
            yield hold.event.is_set

    def verdict(self) -> ServerError | None:
        """The error its client receives although the server did it."""
        return None if self.failed else self.error_after
