"""The text of a new script, to be filled in, and how to tell that it was not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .._sql.lexer import SplitText
from ..errors import Problem
from .markers import reads_like_down

_UP: Final = "-- Write the SQL that applies this migration."
_DOWN: Final = "-- Write the SQL that reverts this migration."

#: Matches a line of the template that asks to be replaced.
UNFILLED: Final = r"-- Write the SQL that (?:applies|reverts) this migration\."


def template(description: str) -> tuple[str, str]:
    """The up and the down section of a new script."""
    title = f"-- {' '.join(description.split())}"
    if reads_like_down(title):
        title = f'-- "{title[3:]}"'
    up = f"{title}\n{_UP}\n"
    down = (
        f"{_DOWN}\n"
        "-- Nothing to revert: leave this section empty. Not revertible: delete it and the line above.\n"
    )
    return up, down


def unfilled(path: Path, found: SplitText) -> Iterator[Problem]:
    """Sections that are still the template's text: no statement, and the line that asks for one."""
    for comment in found.comments:
        text = comment.text.rstrip()
        if text == _UP and not found.up:
            yield Problem(
                "the up section is still the template",
                path,
                comment.line,
                hint="write the SQL that applies this migration, or delete this comment if there is "
                "nothing to do",
            )
        elif text == _DOWN and found.down == ():
            yield Problem(
                "the down section is still the template",
                path,
                comment.line,
                hint="write the SQL that reverts this migration; delete this comment if there is nothing "
                "to revert, or the section with its line '-- DOWN' if the migration cannot be reverted",
            )
