"""The options in a script's header: `-- manticore: mode=stepwise, lock_timeout=2s`.

A repeatable script's header may also say which ones it runs after: `-- manticore: after=R__other.sql`.

Reads comments that the lexer found; touches no disk and no server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from .._sql.duration import read_duration
from .._sql.lexer import Comment
from ..errors import Problem
from .filenames import read_name
from .script import IRREVERSIBLE, After, Isolation, Mode
from .statements import is_statement_option

OPTIONS = re.compile(r"--[ \t]*manticore[ \t]*:(.*)", re.IGNORECASE | re.DOTALL)
HEADER_COMMENT = re.compile(r"--[ \t]*manticore\b", re.IGNORECASE)
# The values of most options are those of an enum; a value of two words has one space between them.
_OPTION_VALUES: Final[dict[str, type[Enum]]] = {"mode": Mode, "isolation": Isolation}
_KNOWN_OPTIONS: Final = (
    "known: "
    + ", ".join(
        f"{name}={'|'.join(each.value for each in values)}"
        for name, values in _OPTION_VALUES.items()
    )
    + ", lock_timeout=2s"
)
_OPTION: Final = re.compile(
    r"isolation=(?:read[ \t]+committed|repeatable[ \t]+read)(?![^\s,])"
    r"|after=[^,\n]*?\.sql(?![^\s,])|[^\s,]+",
    re.IGNORECASE,
)
_AFTER: Final = re.compile(r"after=(?P<file>.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a script asks for.

    Attributes:
        mode: How the script runs; None where the header does not say.
        isolation: The isolation level of its transactions; None where the header does not say.
        after: The repeatable scripts that it runs after.
        lock_timeout: Seconds that its statements wait for a lock at most, 0 for no limit; None where the
            header does not say.
    """

    mode: Mode | None = None
    isolation: Isolation | None = None
    after: tuple[After, ...] = ()
    lock_timeout: float | None = None


def read_options(
    path: Path,
    comments: Iterable[Comment],
    problems: list[Problem],
    *,
    repeatable: bool = False,
) -> Header:
    """Read the header's options.

    Args:
        path: The script's file, for the problems.
        comments: The comments of the file that may hold options.
        problems: Whatever is wrong with them is appended here.
        repeatable: Whether the script is a repeatable one.
    """
    found: dict[str, Enum | float] = {}
    after: list[After] = []
    line = 1
    for comment in comments:
        options = _options_of(comment, path, problems)
        if options is None:
            continue
        line = comment.line
        for option in _OPTION.findall(options) or [""]:
            if _AFTER.fullmatch(option):
                after += _read_after(path, line, option, problems, repeatable=repeatable)
                continue
            name, value = _read_option(option)
            if value is None:
                message = f"unknown option {option!r}" if option else "no option is given"
                known = f"{_KNOWN_OPTIONS}, after=R__name.sql" if repeatable else _KNOWN_OPTIONS
                problems.append(Problem(message, path, line, hint=known))
            elif found.setdefault(name, value) != value:
                plural = f"{name}s" if name == "mode" else f"values of {name}"
                message = f"two different {plural}"
                problems.append(Problem(message, path, line, hint="remove one of them"))
    header = Header(**found, after=tuple(after))  # type: ignore[arg-type]
    if header.mode is Mode.AUTOCOMMIT and header.isolation is not None:
        message = (
            "isolation= sets the level of Manticore's transactions, and mode=autocommit has none"
        )
        hint = "remove one of the two, or write SET default_transaction_isolation as the first statement"
        problems.append(Problem(message, path, line, hint=hint))
    return header


def _options_of(comment: Comment, path: Path, problems: list[Problem]) -> str | None:
    """The options that a comment of the header holds; None where it holds none, or in the wrong place."""
    if HEADER_COMMENT.match(comment.text) is None:
        return None
    if is_statement_option(comment, after_header=True):
        return None
    if comment.leading and IRREVERSIBLE.fullmatch(comment.text):
        return None
    match = OPTIONS.fullmatch(comment.text)
    if match is not None and comment.leading:
        return match[1]
    if match is not None:
        message = "options must come before the first statement of the up section"
        problems.append(Problem(message, path, comment.line, hint="move this line there"))
    elif comment.leading and "=" in comment.text:
        message = "options are written '-- manticore: mode=atomic', with a colon"
        problems.append(Problem(message, path, comment.line))
    return None


def _read_after(
    path: Path, line: int, option: str, problems: list[Problem], *, repeatable: bool
) -> Iterator[After]:
    """The script that an option `after=` names; what is wrong with it is a problem."""
    file = option.partition("=")[2]
    name = read_name(file)
    if not repeatable:
        message = f"{option} is for repeatable scripts (R__….sql): versions run in their own order"
        problems.append(Problem(message, path, line, hint="remove it"))
    elif name is None or not name.is_repeatable:
        message = f"after= names the file of a repeatable script, and {file!r} is none"
        problems.append(Problem(message, path, line, hint="write it as in after=R__other.sql"))
    else:
        yield After(file, line)


def _read_option(option: str) -> tuple[str, Enum | float | None]:
    """An option's name in lower case, and its value; None where there is no such option or value."""
    name, _, written = option.partition("=")
    value = " ".join(written.lower().split())
    if name.lower() == "lock_timeout":
        return "lock_timeout", read_duration(value)
    known = _OPTION_VALUES.get(name.lower(), ())
    return name.lower(), next((each for each in known if each.value == value), None)
