"""`${name}` in scripts, filled with values from the settings. Off unless values are given. Pure.

A version's checksum is of the raw text, so that a value may differ between databases without drift; a
repeatable script's is of the filled text, so that it runs again when a value has changed. A value may
hold quotes and semicolons, so a filled script is checked again before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .._sql.lexer import split
from ..errors import FilesRefused, Problem
from .parser import WANTED_COMMENTS
from .rules import check
from .script import MigrationScript, checksum

#: What a placeholder's name consists of.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\$\{(?P<name>[^}\n]*)(?P<end>\}?)")


def filled(
    scripts: Sequence[MigrationScript], values: Mapping[str, str]
) -> tuple[MigrationScript, ...]:
    """The scripts with every placeholder replaced.

    Args:
        scripts: The scripts.
        values: What each name stands for.

    Raises:
        FilesRefused: A placeholder has no value or no valid name, or a filled script is not a valid script
            any more. Every problem is named, with file and line.
    """
    problems: list[Problem] = []
    found = tuple(_fill(script, values, problems) for script in scripts)
    if problems:
        raise FilesRefused("Nothing was run", problems)
    return found


def _fill(
    script: MigrationScript, values: Mapping[str, str], problems: list[Problem]
) -> MigrationScript:
    up = _text(script.up_sql, script.path, script.up_line, values, problems)
    down = script.down_sql
    if down is not None:
        path = script.down_path or script.path
        down = _text(down, path, script.down_line, values, problems, is_down=True)
    if up is script.up_sql and down is script.down_sql:
        return script
    if script.is_repeatable:
        return replace(script, up_sql=up, checksum=checksum(up))
    return replace(script, up_sql=up, down_sql=down)


def _text(
    text: str,
    path: Path,
    line: int,
    values: Mapping[str, str],
    problems: list[Problem],
    *,
    is_down: bool = False,
) -> str:
    if "${" not in text:
        return text
    wrong: list[Problem] = []

    def value(found: re.Match[str]) -> str:
        name = found["name"]
        if found["end"] and name in values:
            return values[name]
        at = line + text.count("\n", 0, found.start())
        message, hint = _missing(found, values)
        wrong.append(Problem(message, path=path, line=at, hint=hint))
        return found.group()

    result = _PLACEHOLDER.sub(value, text)
    problems += wrong or _spoiled(result, path, line, is_down=is_down)
    return result


def _missing(found: re.Match[str], values: Mapping[str, str]) -> tuple[str, str]:
    """What is wrong with a placeholder, and what to do."""
    shown, name = found.group(), found["name"]
    if not found["end"] or NAME.fullmatch(name) is None:
        return (
            (
                f"{shown!r} is not a placeholder: a name has letters, digits and underscores only, such "
                "as ${owner}."
            ),
            "For a literal '${', define a placeholder whose value is '${'.",
        )
    known = ", ".join(sorted(values)) or "none"
    return (
        f"the placeholder {shown} has no value",
        f"give it one in PLACEHOLDERS (known: {known}).",
    )


def _spoiled(text: str, path: Path, line: int, *, is_down: bool) -> Iterator[Problem]:
    """What a section with its values filled in may not hold."""
    found = split(text, line, wanted=WANTED_COMMENTS)
    if found.down is not None:
        yield Problem("a placeholder's value has a line '-- DOWN'", path, found.down_line - 1)
    for problem in check(path, found, whole_section=is_down):
        yield replace(problem, message=f"with its placeholders filled in: {problem.message}")
