"""Reads the text of a script file: header options, the `-- DOWN` line, and what may not stand in a script.

Touches no disk and no server.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final

from .._sql.lexer import LineComment, SplitText, TokenKind, split, tokens
from .._sql.statement import Kind, classify
from .._sql.tokens import head, upper
from ..errors import Problem
from .filenames import FORM, read_name
from .script import MigrationScript, Mode, checksum
from .text import trim, universal_newlines

# Comments worth a look: our options, and what is nearly a `-- DOWN` line, or another tool's.
WANTED_COMMENTS = re.compile(
    r"--[ \t]*manticore\b"
    r"|--[- \t]*(?:[+@/]*(?:goose|migrate|migrations?)[ \t:]*)?down[ \t:;.-]*+\Z",
    re.IGNORECASE,
)
OPTIONS = re.compile(r"--[ \t]*manticore[ \t]*:(.*)", re.IGNORECASE | re.DOTALL)
_OURS = re.compile(r"--[ \t]*manticore\b", re.IGNORECASE)
_KNOWN_OPTIONS: Final = "known: mode=atomic, mode=stepwise"


def parse_script(
    path: Path, raw: bytes, down: tuple[Path, bytes] | None = None
) -> tuple[MigrationScript | None, list[Problem]]:
    """Read one script; `path.name` must fit the form.

    Args:
        path: Its file.
        raw: The bytes in it.
        down: File and bytes of a down part of its own, if there is one.

    Returns:
        The script, or None and everything that is wrong with it.
    """
    name = read_name(path.name)
    if name is None:
        return None, [Problem(f"fits no rule: a script is named {FORM}", path)]
    problems: list[Problem] = []
    text = _decode(path, raw, problems)
    down_text = _decode(*down, problems) if down else None
    found = split(text, wanted=WANTED_COMMENTS)
    mode = read_options(path, found.comments, problems)
    problems += check(path, found)
    up_end = found.up_end
    down_sql: str | None = None
    down_line = 1
    if down and down_text is not None:
        own = split(down_text, wanted=WANTED_COMMENTS)
        problems += _check_down_file(path, found, down[0], own)
        down_sql, down_line = trim(down_text, 1)
    elif found.down is not None:
        down_sql, down_line = trim(text, found.down_line, found.down_start)
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
            mode=mode,
            up_line=up_line,
            down_line=down_line,
            down_path=down[0] if down else None,
        ),
        [],
    )


def _decode(path: Path, raw: bytes, problems: list[Problem]) -> str:
    r"""The text of a file, line ends as `\n`; "" where it is none, with the problem noted."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        problems.append(Problem("is UTF-16, not UTF-8; save it as UTF-8", path, 1))
        return ""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = universal_newlines(raw[: error.start].decode()).count("\n") + 1
        problems.append(
            Problem(
                f"is not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8", path, line
            )
        )
        return ""
    text = universal_newlines(text).lstrip("\ufeff")
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        problems.append(
            Problem("a NUL character, which no server takes in SQL; remove it", path, line)
        )
    return text


def read_options(
    path: Path, comments: Iterable[LineComment], problems: list[Problem]
) -> Mode | None:
    mode: Mode | None = None
    for comment in comments:
        if _OURS.match(comment.text) is None:
            continue
        match = OPTIONS.fullmatch(comment.text)
        if match is None:
            if comment.leading and "=" in comment.text:
                problems.append(
                    Problem(
                        "options are written '-- manticore: mode=atomic', with a colon",
                        path,
                        comment.line,
                    )
                )
            continue
        if not comment.leading:
            problems.append(
                Problem(
                    "options stand before the first statement of the up part; move this line there",
                    path,
                    comment.line,
                )
            )
            continue
        for option in match[1].replace(",", " ").split() or [""]:
            value = _mode(option)
            if value is None:
                said = f"unknown option {option!r}" if option else "no option is given"
                problems.append(Problem(f"{said}; {_KNOWN_OPTIONS}", path, comment.line))
            elif mode not in (None, value):
                problems.append(
                    Problem("two different modes; remove one of them", path, comment.line)
                )
            else:
                mode = value
    return mode


def _mode(option: str) -> Mode | None:
    key, _, value = option.partition("=")
    if key.lower() != "mode" or value.lower() not in ("atomic", "stepwise"):
        return None
    return Mode(value.lower())


def check(path: Path | None, found: SplitText) -> list[Problem]:
    """What may not stand in a script, in the order of its lines."""
    problems = [
        Problem(
            f"{comment.text.strip()!r} is not the line that begins a down part, so what follows "
            "would run as part of the up part; write '-- DOWN', alone on its line, or remove it",
            path,
            comment.line,
        )
        for comment in found.comments
        if not _OURS.match(comment.text)
        if found.down is None or comment.line < found.down_line
    ]
    for raw in (*found.up, *(found.down or ())):
        if raw.text.startswith("\\"):
            command = raw.text.split(maxsplit=1)[0]
            message = f"{command} is a command of psql, which no server knows; remove it"
            problems.append(Problem(message, path, raw.line))
            continue
        statement = classify(raw)
        words = head(raw.text, 2) if statement.kind is Kind.TRANSACTION else ()
        if words:
            shown = words[0] if words[0] not in ("START", "PREPARE", "SET") else " ".join(words)
            message = (
                f"{shown}: each script runs in transactions of Manticore's own; remove it "
                "(a header line '-- manticore: mode=atomic' asks for a single one)"
            )
            problems.append(Problem(message, path, raw.line))
        elif raw.text[:4].upper() == "COPY" and _copies_from_client(raw.text):
            message = (
                "COPY with STDIN or STDOUT moves rows through psql's connection, which a script "
                "does not have; write the rows as INSERT statements"
            )
            problems.append(Problem(message, path, raw.line))
            if "STDIN" in raw.text.upper():
                break  # rows follow, not SQL
    else:
        if found.fault is not None:
            problems.append(Problem(found.fault.message, path, found.fault.line))
    return sorted(problems, key=lambda problem: problem.line or 0)


def _copies_from_client(text: str) -> bool:
    words = [upper(token) if token.kind is TokenKind.WORD else "" for token in tokens(text)]
    return words[0] == "COPY" and any(
        pair in (("FROM", "STDIN"), ("TO", "STDOUT")) for pair in pairwise(words)
    )


def _check_down_file(
    path: Path, found: SplitText, down_path: Path, own: SplitText
) -> list[Problem]:
    problems: list[Problem] = []
    if found.down is not None:
        message = f"has a down part, and {down_path.name} is one too; remove one of the two"
        problems.append(Problem(message, path, found.down_line - 1))
    if own.down is not None:
        message = f"a '-- DOWN' line, but the whole file is the down part of {path.name}; remove it"
        problems.append(Problem(message, down_path, own.down_line - 1))
    problems += [
        Problem(f"options stand in {path.name}; move this line there", down_path, comment.line)
        for comment in own.comments
        if OPTIONS.fullmatch(comment.text)
    ]
    return problems + check(down_path, own)
