"""Comments before a statement that accept a finding: `-- manticore: allow=rule-id reason`."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .._sql.lexer import Comment

_FORM: Final = re.compile(
    r"--[ \t]*manticore[ \t]*:[ \t]*allow[ \t]*=[ \t]*(\S*)[ \t]*(.*)", re.IGNORECASE | re.DOTALL
)


@dataclass(slots=True)
class Allowance:
    """One allowance.

    Attributes:
        rule: The id of the rule.
        reason: Why its finding is accepted; "" where none is given.
        line: Its line in the file.
        statement: The index of the statement it is about; past the last one where none follows.
        used: Whether a finding was accepted by it.
    """

    rule: str
    reason: str
    line: int
    statement: int
    used: bool = False


def read_allowances(
    comments: Iterable[Comment], statements: Sequence[tuple[int, int]]
) -> list[Allowance]:
    """The allowances of a section.

    Args:
        comments: Its comments that may be allowances.
        statements: The first and the last line of each statement, in their order.
    """
    firsts = [first for first, _ in statements]
    lasts = [last for _, last in statements]
    found = []
    for comment in comments:
        match = _FORM.fullmatch(comment.text)
        if match is None:
            continue
        # On a line of a statement it is about that one, else about the next.
        at = bisect_right(firsts, comment.line) - 1
        if at < 0 or lasts[at] < comment.line:
            at += 1
        found.append(Allowance(match[1], match[2].strip(), comment.line, at))
    return found
