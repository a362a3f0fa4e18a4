"""Writes two sections as the text of a script file, so that the parser returns them. Touches no disk."""

from __future__ import annotations

from pathlib import Path

from .._sql.lexer import BLANKS, SplitText, TokenKind, split, tokens
from ..errors import FilesRefused, Problem
from .header import OPTIONS, read_options
from .parser import WANTED_COMMENTS
from .rules import check
from .statements import is_statement_option, option_problems
from .text import trim, universal_newlines


def render(up: str, down: str | None, *, repeatable: bool = False) -> str:
    """The text of a file for two parts; `parse_script` returns them from it.

    The margin that all lines have in common is taken away, but never inside a quote.

    Args:
        up: The up section, or the whole of a repeatable script.
        down: The down section, if there is one.
        repeatable: Whether it is a repeatable script.

    Raises:
        FilesRefused: A part could not be read back, or holds what a script must not contain.
    """
    problems: list[Problem] = []
    parts: list[str] = []
    for name, sql in (("up", up), ("down", down)):
        if sql is None:
            continue
        found, text = _readable(sql)
        mine: list[Problem] = []
        if found.down is not None:
            hint = (
                "a repeatable script has no down section"
                if repeatable
                else "pass the down section separately"
            )
            mine.append(Problem("a '-- DOWN' line", None, 0, hint=hint))
        if name == "up":
            read_options(Path(), found.comments, mine, repeatable=repeatable)
        elif any(
            OPTIONS.fullmatch(comment.text) and not is_statement_option(comment)
            for comment in found.comments
        ):
            mine.append(Problem("options must be in the up section", None, 0))
        mine += option_problems(None, found, after_header=name == "up")
        mine += check(None, found, whole_section=name == "down")
        if "\0" in text:
            mine.append(
                Problem("a NUL character, which no server accepts in SQL", hint="remove it")
            )
        if any("\ud800" <= char <= "\udfff" for char in text) if not text.isascii() else False:
            mine.append(Problem("a lone surrogate, which is not a character", hint="remove it"))
        problems += [
            Problem(
                f"{name} section{f', line {problem.line}' if problem.line else ''}: {problem.message}",
                hint=problem.hint,
            )
            for problem in mine
        ]
        parts.append(text)
    if problems:
        raise FilesRefused("No file was written", problems)
    up_text = f"{parts[0]}\n" if parts[0] else ""
    if down is None:
        return up_text
    down_text = f"{parts[1]}\n" if parts[1] else ""
    return f"{up_text}\n-- DOWN\n{down_text}"


def _readable(sql: str) -> tuple[SplitText, str]:
    """What the lexer finds in a part, and the part as it is written into a file."""
    text = universal_newlines(sql)
    while True:  # blank lines and byte-order marks before the text, in any order
        trimmed = _dedent(trim(text, 1)[0].lstrip("\ufeff"))
        if trimmed == text:
            break
        text = trimmed
    return split(text, wanted=WANTED_COMMENTS), text


def _dedent(text: str) -> str:
    """Take away the margin of all lines; one that begins inside a quote keeps all of it."""
    inside = set()
    for token in tokens(text):
        if token.kind in (TokenKind.STRING, TokenKind.NAME):
            at = text.find("\n", token.start, token.end)
            while at >= 0:
                inside.add(at + 1)
                at = text.find("\n", at + 1, token.end)
    margin: int | None = None
    offset = 0
    starts: list[tuple[int, str]] = []
    for line in text.split("\n"):
        starts.append((offset, line))
        if offset not in inside and line.strip(BLANKS):
            blank = len(line) - len(line.lstrip(" \t"))
            margin = blank if margin is None else min(margin, blank)
        offset += len(line) + 1
    if not margin:
        return text
    return "\n".join(
        line if start in inside else line[margin:] if line.strip(BLANKS) else ""
        for start, line in starts
    )
