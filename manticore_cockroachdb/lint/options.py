"""The options in comments that change what a statement does to others: batches, limits on waiting. Pure.

What an option means is decided where scripts are run; here is only read whether it is there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .._scripts.statements import ALLOWANCE
from .._sql.lexer import Comment

#: Every comment that may hold options, allowances included.
OPTIONS: Final = re.compile(r"--[ \t]*manticore[ \t]*:", re.IGNORECASE)
_BATCH: Final = re.compile(r"--[ \t]*manticore[ \t]*:[ \t]*batch[ \t]*=", re.IGNORECASE)
_LOCK_TIMEOUT: Final = re.compile(
    r"[:,\s]lock_timeout[ \t]*=[ \t]*(\d+(?:\.\d+)?)(?:ms|s|min)(?=[\s,]|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one section.

    Attributes:
        limited: Whether the script's header limits how long statements wait for a lock; None where it
            does not say.
        limits: The same for single statements, by their index; those that a comment is about.
        batched: The indexes of the statements that run in batches.
    """

    limited: bool | None = None
    limits: Mapping[int, bool] = field(default_factory=dict)
    batched: frozenset[int] = frozenset()


def read_options(comments: Iterable[Comment], lines: Sequence[int]) -> Options:
    """The options of an up section.

    Args:
        comments: Its comments that match `OPTIONS`.
        lines: The first line of each statement, in their order.
    """
    limited: bool | None = None
    limits: dict[int, bool] = {}
    batched: set[int] = set()
    for comment in comments:
        following = bisect_right(lines, comment.line)
        if _BATCH.match(comment.text):
            batched.add(following)
        match = None if ALLOWANCE.match(comment.text) else _LOCK_TIMEOUT.search(comment.text)
        if match is None:
            continue
        if comment.leading:
            limited = float(match[1]) > 0
        else:
            limits[following] = float(match[1]) > 0
    return Options(limited, limits, frozenset(batched))
