"""The options in comments that change what a statement does to others: batches, limits on waiting. Pure.

What an option means is decided where scripts are run; here is only read whether it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .._sql.lexer import Comment

#: Every comment that may hold options, allowances included.
OPTIONS: Final = re.compile(r"--[ \t]*manticore[ \t]*:", re.IGNORECASE)
_BATCH: Final = re.compile(r"--[ \t]*manticore[ \t]*:[ \t]*batch[ \t]*=", re.IGNORECASE)
_ALLOWANCE: Final = re.compile(r"--[ \t]*manticore[ \t]*:[ \t]*allow[ \t]*=", re.IGNORECASE)
_LOCK_TIMEOUT: Final = re.compile(
    r"[:,\s]lock_timeout[ \t]*=[ \t]*(\d+(?:\.\d+)?)(?:ms|s|min)(?=[\s,]|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one section.

    Attributes:
        limited: Whether the script's header limits how long statements wait for a lock; None where it
            does not say.
        limits: The same for single statements, by their index.
        batched: The indexes of the statements that run in batches.
    """

    limited: bool | None = None
    limits: tuple[tuple[int, bool], ...] = ()
    batched: frozenset[int] = frozenset()

    def limit(self, statement: int) -> bool | None:
        """Whether a comment before a statement limits its wait; None where it does not say."""
        return dict(self.limits).get(statement)


def read_options(comments: Iterable[Comment], lines: Sequence[int]) -> Options:
    """The options of an up section.

    Args:
        comments: Its comments that match `OPTIONS`.
        lines: The first line of each statement, in their order.
    """
    limited: bool | None = None
    limits: list[tuple[int, bool]] = []
    batched: set[int] = set()
    for comment in comments:
        if _BATCH.match(comment.text):
            batched.update(_next(comment, lines))
        match = None if _ALLOWANCE.match(comment.text) else _LOCK_TIMEOUT.search(comment.text)
        if match is None:
            continue
        if comment.leading:
            limited = float(match[1]) > 0
        else:
            limits += [(at, float(match[1]) > 0) for at in _next(comment, lines)]
    return Options(limited, tuple(limits), frozenset(batched))


def _next(comment: Comment, lines: Sequence[int]) -> Iterator[int]:
    """The index of the statement after a comment, if one follows."""
    at = next((at for at, line in enumerate(lines) if line > comment.line), None)
    if at is not None:
        yield at
