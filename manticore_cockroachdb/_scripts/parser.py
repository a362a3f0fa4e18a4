"""Reads the text of a script file: header options, the `-- DOWN` line, and what a script must not contain.

Touches no disk and no server.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from .._sql.lexer import SplitText, split
from ..errors import Problem
from .filenames import FORM, REPEATABLE_FORM, read_name
from .header import OPTIONS, read_options
from .markers import MAYBE_MARKER
from .rules import check
from .script import IRREVERSIBLE, MigrationScript, checksum
from .statements import is_statement_option, option_problems
from .template import UNFILLED, unfilled
from .text import trim, universal_newlines

# Comments worth a look: our options, the template's, and what may read like the start of a down section.
WANTED_COMMENTS = re.compile(rf"--[ \t]*manticore\b|{UNFILLED}|{MAYBE_MARKER}", re.IGNORECASE)


def parse_script(
    path: Path, raw: bytes, down: tuple[Path, bytes] | None = None
) -> tuple[MigrationScript | None, list[Problem]]:
    """Read one script; `path.name` must fit the form.

    Args:
        path: Its file.
        raw: The bytes in it.
        down: File and bytes of a separate down section, if there is one.

    Returns:
        The script, or None and everything that is wrong with it.
    """
    name = read_name(path.name)
    if name is None:
        message = f"is not a valid script name: expected {FORM}, a repeatable one {REPEATABLE_FORM}"
        return None, [Problem(message, path)]
    problems: list[Problem] = []
    text = decode(path, raw, problems)
    down_text = decode(*down, problems) if down else None
    found = split(text, wanted=WANTED_COMMENTS)
    header = read_options(path, found.comments, problems, repeatable=name.is_repeatable)
    problems += check(path, found)
    problems += unfilled(path, found)
    problems += option_problems(path, found)
    if name.is_repeatable and found.down is not None:
        message = (
            "a '-- DOWN' line, but a repeatable script has no down section: it is never reverted, only "
            "run again"
        )
        hint = "remove the line and the statements after it"
        problems.append(Problem(message, path, found.down_line - 1, hint=hint))
    up_end = found.up_end
    down_sql: str | None = None
    down_line = 1
    if down and down_text is not None:
        own = split(down_text, wanted=WANTED_COMMENTS)
        problems += _check_down_file(path, found, down[0], own)
        down_sql, down_line = trim(down_text, 1)
    elif found.down is not None:
        down_sql, down_line = trim(text, found.down_line, found.down_start)
    marked = [each for each in found.comments if IRREVERSIBLE.fullmatch(each.text)]
    if marked and down_sql is not None:
        message = "is marked irreversible, but has a down section; remove one of the two"
        problems.append(Problem(message, path, marked[0].line))
    if problems:
        return None, problems
    del found  # A script may be large: no second copy of it stays while a third is made.
    up_sql, up_line = trim(text, 1, 0, up_end)
    return (
        MigrationScript(
            version=name.version,
            description=name.description,
            up_sql=up_sql,
            down_sql=down_sql,
            path=path,
            checksum=checksum(up_sql),
            mode=header.mode,
            isolation=header.isolation,
            after=header.after,
            lock_timeout=header.lock_timeout,
            up_line=up_line,
            down_line=down_line,
            down_path=down[0] if down else None,
        ),
        [],
    )


def decode(path: Path, raw: bytes, problems: list[Problem]) -> str:
    r"""The text of a file, line ends as `\n`; "" where it is none, with the problem noted."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        problems.append(Problem("is UTF-16, not UTF-8", path, 1, hint="save it as UTF-8"))
        return ""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = universal_newlines(raw[: error.start].decode()).count("\n") + 1
        problems.append(
            Problem(
                f"is not UTF-8: byte 0x{raw[error.start]:02x}",
                path,
                line,
                hint="save the file as UTF-8",
            )
        )
        return ""
    text = universal_newlines(text).lstrip("\ufeff")
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        problems.append(
            Problem("a NUL character, which no server accepts in SQL", path, line, hint="remove it")
        )
    return text


def _check_down_file(
    path: Path, found: SplitText, down_path: Path, own: SplitText
) -> list[Problem]:
    problems: list[Problem] = []
    if found.down is not None:
        message = f"has a down section, and {down_path.name} is one too"
        problems.append(Problem(message, path, found.down_line - 1, hint="remove one of the two"))
    if own.down is not None:
        message = f"a '-- DOWN' line, but the whole file is the down section of {path.name}"
        problems.append(Problem(message, down_path, own.down_line - 1, hint="remove it"))
    problems += [
        Problem(
            f"options belong in {path.name}", down_path, comment.line, hint="move this line there"
        )
        for comment in own.comments
        if OPTIONS.fullmatch(comment.text) and not is_statement_option(comment)
    ]
    problems += option_problems(down_path, own, after_header=False)
    return problems + check(down_path, own, whole_section=True)
