"""Text that a program fills in before it reaches a server: `{{ … }}`, and `${name}`. Pure.

Outside quotes and comments neither server knows a brace, so a file that has one there is a template.
Inside quotes it may be one, or just text: only the tool that ran it can tell.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from textwrap import shorten
from typing import Final

from .._scripts.placeholders import NAME
from .._sql.lexer import TokenKind, split, tokens

_PLACEHOLDER: Final = re.compile(r"\$\{([^}\n]*)\}?")
_RENDER: Final = (
    "Render the files as that program does, and name the folder with the result (--from)."
)


@dataclass(frozen=True, slots=True)
class Unfilled:
    """Something that is not what the server got.

    Attributes:
        line: Its line in the text, from 1.
        reason: What it is.
        remedy: What to do; "" where only a person can write what was run.
    """

    line: int
    reason: str
    remedy: str = ""


def unfilled(
    text: str, values: Mapping[str, str] | None = None, *, fills: bool = False
) -> Unfilled | None:
    """The first thing in a text that would not be what the other tool ran.

    Args:
        text: SQL that can be split.
        values: What `${name}` stands for here; None: nothing is replaced here.
        fills: Whether the other tool replaces `${name}`.
    """
    if "{" not in text:
        return None
    spans = [(each.start, each.end, each.kind is TokenKind.SYMBOL) for each in tokens(text)]
    starts = [start for start, _, _ in spans]

    def is_code(place: int) -> bool | None:
        """Whether it is outside quotes; None in a comment."""
        start, end, symbol = spans[bisect_right(starts, place) - 1] if spans else (0, 0, False)
        return symbol if start <= place < end else None

    known: set[int] = set()
    for match in _PLACEHOLDER.finditer(text):
        known.add(match.start() + 1)
        wrong = _wrong(match, is_code(match.start()), values, fills=fills)
        if wrong is not None:
            reason, remedy = wrong
            return Unfilled(_line(text, match.start()), reason, remedy)
    for start, _, symbol in spans:
        if symbol and text[start] == "{" and start not in known:
            shown = shorten(text[start:].split("\n", 1)[0], 40, placeholder=" …")
            reason = f"'{shown}' is not SQL but a template, which some program fills in"
            return Unfilled(_line(text, start), reason, _RENDER)
    return None


def is_template(text: str) -> bool:
    """Whether a text has `{{ … }}` outside quotes and comments."""
    if "{{" not in text or split(text).fault is not None:
        return False
    braces = [each for each in tokens(text) if each.kind is TokenKind.SYMBOL and each.text == "{"]
    return any(second.start == first.end for first, second in pairwise(braces))


def _wrong(
    match: re.Match[str], code: bool | None, values: Mapping[str, str] | None, *, fills: bool
) -> tuple[str, str] | None:
    """Why a `${name}` does not say here what it said there, and what to do."""
    shown, name = match.group(), match[1]
    replaced_there = fills or bool(code)
    if values is None:
        if code is None or not replaced_there:
            return None
    elif name in values:
        if replaced_there or code is None:
            return None
        return f"'{shown}' is text there, and PLACEHOLDERS replaces it here", ""
    elif not replaced_there:
        return f"'{shown}' is text there, and PLACEHOLDERS has no value for it", ""
    if NAME.fullmatch(name) is None:
        return f"only that tool replaces '{shown}'", ""
    return f"'{shown}' has no value", f"Give it one in PLACEHOLDERS, as {{'{name}': …}}."


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
