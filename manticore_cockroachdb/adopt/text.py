"""Text of another tool's files: decoding, lines, names, and where a comment is a directive.

The tools named here read their directives line by line, quotes or not, so this does too: what counts is
what that tool runs.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._sql.lexer import split
from .values import Folder, Remark, Sql


def decode(path: Path, raw: bytes) -> str | Remark:
    r"""The text of a file, line ends as `\n` and without a byte-order mark; or why it has none."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Remark("is UTF-16, not UTF-8. Save it as UTF-8.", path, 1)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8: byte 0x{raw[error.start]:02x}. Save it as UTF-8."
        return Remark(message, path, line)
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")


def described(slug: str) -> str:
    """A file name's slug in words."""
    return " ".join(re.split(r"[\s_\-.]+", slug)).strip()


def number(text: str) -> int | None:
    """A version that may be kept: a whole number that fits a ledger, from 0."""
    if not (text.isascii() and text.isdigit()):
        return None
    value = int(text)
    return value if value < 2**63 else None


def names(folder: Folder, pattern: re.Pattern[str]) -> list[tuple[str, re.Match[str]]]:
    """The files at the top of a folder whose name fits a pattern, by name."""
    found = ((name, pattern.fullmatch(name)) for name in sorted(folder.files) if "/" not in name)
    return [(name, match) for name, match in found if match is not None]


def has_line(folder: Folder, pattern: re.Pattern[bytes], ending: str = ".sql") -> str | None:
    """The first file in which a pattern is found, or None."""
    for name in sorted(folder.files):
        if name.lower().endswith(ending) and pattern.search(folder.files[name]):
            return name
    return None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file.

    Attributes:
        number: From 1.
        text: Without its end.
    """

    number: int
    text: str


def lines(text: str) -> list[Line]:
    """The lines of a text."""
    return [Line(place, line) for place, line in enumerate(text.split("\n"), 1)]


def joined(path: Path, part: Sequence[Line]) -> Sql:
    """Lines of a file as one text; its line number is that of the first of them."""
    return Sql("\n".join(line.text for line in part), path, part[0].number if part else 1)


def without(part: Iterable[Line], directive: Callable[[str], bool]) -> list[Line]:
    """The lines that are no directives; a directive leaves an empty line, so that numbers stay right."""
    return [Line(line.number, "") if directive(line.text) else line for line in part]


def first_statement(part: Sequence[Line]) -> int | None:
    """The line of the first statement among these lines, comments passed over; None where there is none."""
    if not part:
        return None
    found = split("\n".join(line.text for line in part), part[0].number).up
    return found[0].line if found else None


def programs(folder: Folder, *endings: str) -> list[str]:
    """Files that are programs, by their endings."""
    return [name for name in sorted(folder.files) if name.lower().endswith(endings)]
