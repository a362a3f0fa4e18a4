"""Rows and assertions for rehearsals: files `V7__name.sql` in a separate folder.

Statements other than SELECT are run before script 7 goes up. Each SELECT is an assertion: after the script
it must return rows, and the first value of each must be true. Reads files; sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .._scripts.filenames import read_name
from .._scripts.script import MigrationScript
from .._sql.lexer import LexError, RawStatement, split_script
from .._sql.tokens import head
from ..errors import FilesRefused, Problem


@dataclass(frozen=True, slots=True)
class Seed:
    """What one file says about one script.

    Attributes:
        path: The file.
        rows: Statements to run before the script.
        assertions: Queries to ask after it.
    """

    path: Path
    rows: tuple[RawStatement, ...]
    assertions: tuple[RawStatement, ...]


def load_seeds(folder: Path, scripts: Iterable[MigrationScript]) -> Mapping[int, Seed]:
    """The seeds of a folder, by version.

    Raises:
        FilesRefused: With every problem of every file.
    """
    versions = {script.version for script in scripts}
    problems: list[Problem] = []
    found: dict[int, Seed] = {}
    if not folder.is_dir():
        raise FilesRefused("Seeds refused", [Problem("is not a folder", folder)])
    for path in sorted(folder.glob("*.sql")):
        name = read_name(path.name)
        if name is None or name.is_down:
            problems.append(Problem("must be named V<number>__<description>.sql", path))
        elif name.version not in versions:
            problems.append(Problem(f"There is no script of version {name.version}", path))
        elif name.version in found:
            other = found[name.version].path.name
            problems.append(Problem(f"is about version {name.version}, as is {other}", path))
        else:
            try:
                found[name.version] = _read(path)
            except (LexError, UnicodeDecodeError) as error:
                line = error.line if isinstance(error, LexError) else None
                problems.append(Problem(str(error), path, line))
    if problems:
        raise FilesRefused("Seeds refused", problems)
    return found


def _read(path: Path) -> Seed:
    statements = split_script(path.read_text(encoding="utf-8-sig"))
    asserted = [head(statement.text, 1) == ("SELECT",) for statement in statements]
    return Seed(
        path,
        tuple(each for each, asks in zip(statements, asserted, strict=True) if not asks),
        tuple(each for each, asks in zip(statements, asserted, strict=True) if asks),
    )
