"""The options before statements that change what these do to others: batches, limits on waiting. Pure.

What an option means is decided where scripts are run; here is only read whether it is there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .._scripts.statements import is_statement_option
from .._sql.duration import read_duration
from .._sql.lexer import Comment

#: Every comment that may hold options, allowances included.
OPTIONS: Final = re.compile(r"--[ \t]*manticore[ \t]*:", re.IGNORECASE)
_OPTION: Final = re.compile(
    r"--[ \t]*manticore[ \t]*:[ \t]*(?P<name>batch|lock_timeout)[ \t]*=[ \t]*(?P<value>\S*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the statements of one section.

    Attributes:
        lock_timeouts: Seconds that a statement waits for a lock at most, 0 for no limit, by its index; of
            those that a comment is about.
        batched: The indexes of the statements that run in batches.
    """

    lock_timeouts: Mapping[int, float] = field(default_factory=dict)
    batched: frozenset[int] = frozenset()


def read_options(comments: Iterable[Comment], lines: Sequence[int]) -> Options:
    """The options of an up section.

    Args:
        comments: Its comments that match `OPTIONS`.
        lines: The first line of each statement, in their order.
    """
    lock_timeouts: dict[int, float] = {}
    batched: set[int] = set()
    for comment in comments:
        match = _OPTION.match(comment.text)
        if match is None or not is_statement_option(comment, after_header=True):
            continue
        following = bisect_right(lines, comment.line)
        if match["name"].lower() == "batch":
            batched.add(following)
        elif (seconds := read_duration(match["value"])) is not None:
            lock_timeouts[following] = seconds
    return Options(lock_timeouts, frozenset(batched))
