"""One script: the text of a file and the migration it means, both ways.

Knows the file's form: its name, the header options, the `-- DOWN` line, the checksum, and what may
not stand in a script. Touches no disk and no server.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Final

from .errors import FilesRefused, Problem, SettingsError
from .lexer import BLANKS, LineComment, SplitText, TokenKind, split, split_script, tokens
from .statement import Kind, Statement, classify
from .words import head, upper


class Mode(Enum):
    """How a script runs."""

    ATOMIC = "atomic"
    """All statements and the ledger row in one transaction."""
    STEPWISE = "stepwise"
    """Statement by statement, each recorded."""


@dataclass(frozen=True, slots=True)
class MigrationScript:
    """One version on disk.

    Attributes:
        version: Its number, from 1.
        description: What its file name says, with blanks.
        up_sql: The up part.
        down_sql: The down part; None where there is none, "" where it is empty.
        path: Its file.
        checksum: SHA-256 of the up part, see `checksum`.
        mode: What its header asks for; None leaves it to the server's default.
        up_line: The line of the file on which `up_sql` begins.
        down_line: The line of its file on which `down_sql` begins.
        down_path: The file of the down part, where it has one of its own.
    """

    version: int
    description: str
    up_sql: str
    down_sql: str | None
    path: Path
    checksum: str
    mode: Mode | None = None
    up_line: int = 1
    down_line: int = 1
    down_path: Path | None = None

    def up_statements(self) -> tuple[Statement, ...]:
        """The statements of the up part, read anew on each call."""
        return tuple(map(classify, split_script(self.up_sql, self.up_line)))

    def down_statements(self) -> tuple[Statement, ...]:
        """The statements of the down part, read anew on each call; none where there is no part."""
        return tuple(map(classify, split_script(self.down_sql or "", self.down_line)))


_PIECE: Final = 1024 * 1024
"""Characters of a checksum's text looked at together, about."""


def checksum(up_text: str) -> str:
    r"""SHA-256, in hexadecimal, of an up part as people see it.

    Line ends count as `\n`; a byte-order mark, blanks at the end of a line, and blank lines before
    and after the text do not count.
    """
    text = _trim(_universal(up_text).lstrip("\ufeff"), 1)[0]
    digest = hashlib.sha256()
    start = 0
    while start < len(text):  # in pieces of whole lines: a script may be large
        end = text.find("\n", start + _PIECE)
        end = len(text) if end < 0 else end + 1
        lines = [line.rstrip(BLANKS) for line in text[start:end].split("\n")]
        digest.update("\n".join(lines).encode(errors="surrogatepass"))
        start = end
    return digest.hexdigest()


# -- names ---------------------------------------------------------------------------------------

HIGHEST_VERSION: Final = 2**63 - 1
"""What fits the ledger's INT8."""

FORM: Final = "V<number>__<description>.sql"
"""What the name of a script looks like."""

_FILE_NAME = re.compile(r"([VU])([0-9]+)__(.+)\.sql", re.DOTALL)
_SLUG_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class ScriptName:
    """What a file's name says.

    Attributes:
        version: The number, whatever its leading zeros.
        description: The part after the two underscores, with blanks for underscores.
        is_down: Whether the file is a down part of its own (`U…`).
    """

    version: int
    description: str
    is_down: bool


def read_name(name: str) -> ScriptName | None:
    """Read a file name; None where it fits no form."""
    match = _FILE_NAME.fullmatch(name)
    if match is None:
        return None
    description = " ".join(match[3].replace("_", " ").split())
    if not description:
        return None
    return ScriptName(int(match[2]), description, match[1] == "U")


def file_name(version: int, description: str) -> str:
    """The name of the file for a description: "create users table" → `V1__create_users_table.sql`.

    Letters and digits of every language stay, all else becomes one underscore; a long description
    is cut.

    Raises:
        SettingsError: Nothing of the description can stand in a file name.
    """
    text = unicodedata.normalize("NFC", description)
    slug = "_".join("".join(char if _stays(char) else " " for char in text).split())
    if len(slug.encode()) > _SLUG_BYTES:
        cut = slug.encode()[: _SLUG_BYTES + 1].decode(errors="ignore")
        whole_words = cut.rpartition("_")[0]
        slug = whole_words or slug.encode()[:_SLUG_BYTES].decode(errors="ignore")
    if not slug:
        raise SettingsError(
            f"the description {description!r} leaves nothing for a file name; "
            'say in a few words what the script does, for example "create users table"'
        )
    return f"V{version}__{slug}.sql"


def _stays(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN"


# -- reading -------------------------------------------------------------------------------------

# Comments worth a look: our options, and what is nearly a `-- DOWN` line, or another tool's.
_WANTED = re.compile(
    r"--[ \t]*manticore\b"
    r"|--[- \t]*(?:[+@/]*(?:goose|migrate|migrations?)[ \t:]*)?down[ \t:;.-]*+\Z",
    re.IGNORECASE,
)
_OPTIONS = re.compile(r"--[ \t]*manticore[ \t]*:(.*)", re.IGNORECASE | re.DOTALL)
_OURS = re.compile(r"--[ \t]*manticore\b", re.IGNORECASE)
_SOLID = re.compile(rf"[^{BLANKS}]")
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
    found = split(text, wanted=_WANTED)
    mode = _read_options(path, found.comments, problems)
    problems += _check(path, found)
    up_end = found.up_end
    down_sql: str | None = None
    down_line = 1
    if down and down_text is not None:
        own = split(down_text, wanted=_WANTED)
        problems += _check_down_file(path, found, down[0], own)
        down_sql, down_line = _trim(down_text, 1)
    elif found.down is not None:
        down_sql, down_line = _trim(text, found.down_line, found.down_start)
    if problems:
        return None, problems
    del found  # A script may be large: no second copy of it stays while a third is made.
    up_sql, up_line = _trim(text, 1, 0, up_end)
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
        line = _universal(raw[: error.start].decode()).count("\n") + 1
        problems.append(
            Problem(
                f"is not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8", path, line
            )
        )
        return ""
    text = _universal(text).lstrip("\ufeff")
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        problems.append(
            Problem("a NUL character, which no server takes in SQL; remove it", path, line)
        )
    return text


def _universal(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _trim(text: str, line: int, start: int = 0, end: int | None = None) -> tuple[str, int]:
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


def _read_options(
    path: Path, comments: Iterable[LineComment], problems: list[Problem]
) -> Mode | None:
    mode: Mode | None = None
    for comment in comments:
        if _OURS.match(comment.text) is None:
            continue
        match = _OPTIONS.fullmatch(comment.text)
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


def _check(path: Path | None, found: SplitText) -> list[Problem]:
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
        if _OPTIONS.fullmatch(comment.text)
    ]
    return problems + _check(down_path, own)


# -- writing -------------------------------------------------------------------------------------


def render(up: str, down: str | None) -> str:
    """The text of a file for two parts; `parse_script` of it gives them back.

    The margin that all lines have in common is taken away, but never inside a quote.

    Raises:
        FilesRefused: A part could not be read back, or holds what may not stand in a script.
    """
    problems: list[Problem] = []
    parts: list[str] = []
    for name, sql in (("up", up), ("down", down)):
        if sql is None:
            continue
        found, text = _readable(sql)
        mine: list[Problem] = []
        if found.down is not None:
            mine.append(Problem("a '-- DOWN' line; give the down part by itself", None, 0))
        if name == "up":
            _read_options(Path(), found.comments, mine)
        elif any(_OPTIONS.fullmatch(comment.text) for comment in found.comments):
            mine.append(Problem("options stand in the up part", None, 0))
        mine += _check(None, found)
        if "\0" in text:
            mine.append(Problem("a NUL character, which no server takes in SQL; remove it"))
        if any("\ud800" <= char <= "\udfff" for char in text) if not text.isascii() else False:
            mine.append(Problem("a lone surrogate, which is no character; remove it"))
        problems += [
            Problem(
                f"{name} part{f', line {problem.line}' if problem.line else ''}: {problem.message}"
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
    text = _universal(sql)
    while True:  # blank lines and byte-order marks before the text, in any order
        trimmed = _dedent(_trim(text, 1)[0].lstrip("\ufeff"))
        if trimmed == text:
            break
        text = trimmed
    return split(text, wanted=_WANTED), text


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
