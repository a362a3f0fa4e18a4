"""`${name}` in scripts, filled with values from the settings. Off unless values are given. Pure.

The checksum is of the raw text, so that a value may differ between databases without drift.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import FilesRefused, Problem
from .script import MigrationScript

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def filled(
    scripts: Sequence[MigrationScript], values: Mapping[str, str]
) -> tuple[MigrationScript, ...]:
    """The scripts with every placeholder replaced.

    Raises:
        FilesRefused: A placeholder has no value; all of them are named, with file and line.
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
    if script.down_sql is None:
        return replace(script, up_sql=up)
    path = script.down_path or script.path
    down = _text(script.down_sql, path, script.down_line, values, problems)
    return replace(script, up_sql=up, down_sql=down)


def _text(
    text: str, path: Path, line: int, values: Mapping[str, str], problems: list[Problem]
) -> str:
    if "${" not in text:
        return text

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in values:
            at = line + text.count("\n", 0, found.start())
            known = ", ".join(sorted(values)) or "none"
            problems.append(
                Problem(
                    f"the placeholder ${{{name}}} has no value; give it one in PLACEHOLDERS "
                    f"(known: {known}).",
                    path=path,
                    line=at,
                )
            )
            return found.group()
        return values[name]

    return _PLACEHOLDER.sub(value, text)
