"""The text of a script as people see it: line ends, and the blank lines around it."""

from __future__ import annotations

import re

from .._sql.lexer import BLANKS

_SOLID = re.compile(rf"[^{BLANKS}]")


def universal_newlines(text: str) -> str:
    r"""`text` with every line end as `\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def trim(text: str, line: int, start: int = 0, end: int | None = None) -> tuple[str, int]:
    """A piece of a text without blank lines around it, and the line on which that begins.

    Args:
        text: The text.
        line: The line at `start`.
        start: Where the piece begins.
        end: Where it ends; None: with the text.
    """
    end = len(text) if end is None else end
    solid = _SOLID.search(text, start, end)
    begin = end if solid is None else max(start, text.rfind("\n", start, solid.start()) + 1)
    lines = text.count("\n", start, begin)
    while end > begin and text[end - 1] in BLANKS:
        end -= 1
    return text[begin:end], line + lines
