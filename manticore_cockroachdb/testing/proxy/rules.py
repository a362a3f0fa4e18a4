"""What shall happen to which statement: rules and their actions, as values.

Knows the text of statements and nothing of sockets; `proxy_connection` carries the actions out.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from .protocol import ServerError

Match = str | re.Pattern[str] | Callable[[str], bool]


class When(Enum):
    """Where on its way a statement's connection is cut."""

    BEFORE = "before"  # the server has done all that came earlier, and never sees this one
    DURING = "during"  # the client is cut off at once, the server continues to work for nobody
    AFTER = "after"  # the server has done it and answered, the client never hears of it


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection."""

    when: When
    farewell: ServerError | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an error, instead of running the statement or after it has run."""

    error: ServerError
    after: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """Freeze the statement on its way to the server, or its answer on its way to the client."""

    event: threading.Event
    answer: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """Send a notice while the statement runs."""

    text: str


Action = Drop | Fail | Hold | Notice


def drop_before() -> Drop:
    """The connection ends before the statement reached the server; all before it is done."""
    return Drop(When.BEFORE)


def drop_during() -> Drop:
    """The statement reaches the server; the client is cut off at once, the server works on."""
    return Drop(When.DURING)


def drop_after() -> Drop:
    """The server does it, and answers to nobody: what follows in the pipeline never reaches it."""
    return Drop(When.AFTER)


def error(sqlstate: str, message: str = "injected", *, detail: str | None = None) -> Fail:
    """The statement fails upstream in place of running; its transaction is aborted.

    A COMMIT that fails ends its transaction, rolled back, as it does on both servers.
    """
    return Fail(ServerError(sqlstate, message, detail), after=False)


def error_after(sqlstate: str, message: str = "injected", *, detail: str | None = None) -> Fail:
    """The statement takes effect upstream, yet the client receives an error.

    In an explicit transaction (other than at its COMMIT) the transaction is aborted then.
    """
    return Fail(ServerError(sqlstate, message, detail), after=True)


def fatal(
    sqlstate: str = "57P01",
    message: str = "terminating connection due to administrator command",
    *,
    when: When = When.BEFORE,
) -> Drop:
    """Like the drops, but the client receives the reason before the connection ends."""
    return Drop(when, ServerError(sqlstate, message, severity="FATAL"))


def hold(event: threading.Event) -> Hold:
    """Keep the statement from the server until `event` is set, even if its client dies meanwhile.

    `Rule.wait` returns as soon as it is frozen.
    """
    return Hold(event, answer=False)


def hold_answer(event: threading.Event) -> Hold:
    """The statement runs and its effect is there, but its answer waits until `event` is set.

    `Rule.wait` returns as soon as the server has answered.
    """
    return Hold(event, answer=True)


def notice(text: str) -> Notice:
    """The client gets this notice before the statement's result."""
    return Notice(text)


def matcher(match: Match) -> Callable[[str], bool]:
    """A predicate from a pattern (searched for, any case) or a predicate."""
    if isinstance(match, str):
        match = re.compile(match, re.IGNORECASE | re.DOTALL)
    if isinstance(match, re.Pattern):
        pattern = match
        return lambda sql: pattern.search(sql) is not None
    return match


class Rule:
    """One rule, and how it fared.

    Attributes:
        seen: How many statements matched.
        fired: How often the actions were taken.
    """

    def __init__(self, match: Match, nth: int | None, then: Action | Iterable[Action]) -> None:
        if nth is not None and nth < 1:
            raise ValueError(f"statements are counted from 1: nth={nth}")
        self._matches = matcher(match)
        self._nth = nth
        self._reached = threading.Event()
        self.actions = (then,) if isinstance(then, Action) else tuple(then)
        self.seen = 0
        self.fired = 0

    def considers(self, sql: str) -> bool:
        """Whether the rule fires for this statement, which is counted."""
        if not self._matches(sql):
            return False
        self.seen += 1
        if self._nth is not None and self.seen != self._nth:
            return False
        self.fired += 1
        if not any(isinstance(action, Hold) for action in self.actions):
            self._reached.set()
        return True

    def reach(self) -> None:
        """Let `wait` return: called when a statement or its answer is frozen."""
        self._reached.set()

    def wait(self, timeout: float = 60) -> None:
        """Wait until the rule has fired (a hold: until the statement or its answer is frozen)."""
        if not self._reached.wait(timeout):
            raise AssertionError(f"the rule did not fire in {timeout} s; {self.seen} matches seen")
