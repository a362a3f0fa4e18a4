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
_AGAIN: Final = "-- Write the SQL that runs again whenever this file changes."

#: Matches a line of the template that asks to be replaced.
UNFILLED: Final = (
    r"-- Write the SQL that (?:(?:applies|reverts) this migration"
    r"|runs again whenever this file changes)\."
)


def template(description: str) -> tuple[str, str]:
    """The up and the down section of a new script."""
    up = f"{_title(description)}\n{_UP}\n"
    down = (
        f"{_DOWN}\n"
        "-- If there is nothing to revert, leave this section empty.\n"
        "-- If it cannot be reverted, delete this section and the line above it.\n"
    )
    return up, down


def repeatable_template(description: str) -> str:
    """The text of a new repeatable script."""
    return f"{_title(description)}\n{_AGAIN}\n"


def _title(description: str) -> str:
    title = f"-- {' '.join(description.split())}"
    return f'-- "{title[3:]}"' if reads_like_down(title) else title


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
        elif text == _AGAIN and not found.up:
            yield Problem(
                "the script is still the template",
                path,
                comment.line,
                hint="write the SQL that runs again whenever this file changes, such as CREATE OR REPLACE "
                "VIEW, or delete this comment if there is nothing to do",
            )
        elif text == _DOWN and found.down == ():
            yield Problem(
                "the down section is still the template",
                path,
                comment.line,
                hint="write the SQL that reverts this migration; delete this comment if there is nothing "
                "to revert, or the section with its line '-- DOWN' if the migration cannot be reverted",
            )
