"""The statements of one section of a script, with the options before them. Pure.

A comment's place says whose option it is: options of scripts come before the first statement, options of
statements directly before theirs; before the first statement both may stand, and the name decides. There
`lock_timeout` is the script's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from .._sql.batch import BadBatch, read_batch
from .._sql.duration import read_duration
from .._sql.lexer import Comment, RawStatement, SplitText, split, split_script
from .._sql.statement import Kind, Statement, classify
from .._sql.windowed import NotWindowed, windowed
from ..errors import Problem

_OPTION_START: Final = r"--[ \t]*manticore[ \t]*:[ \t]*"
#: Options that always belong to a statement: the linter's allowances, and how the statement runs.
_OF_STATEMENTS: Final = re.compile(rf"{_OPTION_START}(?:allow|batch)[ \t]*=", re.IGNORECASE)
_LOCK_TIMEOUT: Final = re.compile(
    rf"{_OPTION_START}lock_timeout[ \t]*=[ \t]*(?P<value>.*?)[ \t]*$", re.IGNORECASE
)
_BATCH: Final = re.compile(rf"{_OPTION_START}(?P<options>batch[ \t]*=.*)", re.IGNORECASE)
#: The options read here.
_WANTED: Final = re.compile(rf"{_OPTION_START}(?:batch|lock_timeout)[ \t]*=", re.IGNORECASE)


class _Option(NamedTuple):
    """A comment with an option, and the statement after it in its section."""

    comment: Comment
    place: int | None


def is_statement_option(comment: Comment, *, after_header: bool = False) -> bool:
    """Whether a comment is an option of the statement after it.

    Args:
        comment: The comment.
        after_header: Whether the section begins with the script's header, as the up section does.
    """
    if _OF_STATEMENTS.match(comment.text):
        return True
    in_header = after_header and comment.leading
    return not in_header and _LOCK_TIMEOUT.match(comment.text) is not None


def read_statements(
    text: str, first_line: int, *, after_header: bool = False
) -> tuple[Statement, ...]:
    """The statements of a section that was checked.

    Args:
        text: The section.
        first_line: The line of the file on which it begins.
        after_header: Whether it begins with the script's header.
    """
    if _WANTED.search(text) is None:  # nearly every script
        return tuple(map(classify, split_script(text, first_line)))
    found = split(text, first_line, wanted=_WANTED)
    statements = [classify(raw) for raw in found.up]
    for comment, place in _options(found.up, found.comments, after_header=after_header):
        if place is None:
            continue
        batch = _BATCH.match(comment.text)
        if batch is not None:
            statements[place] = replace(statements[place], batch=read_batch(batch["options"]))
        else:
            limit = _lock_timeout(comment)
            statements[place] = replace(statements[place], lock_timeout=limit)
    return tuple(statements)


def option_problems(
    path: Path | None, found: SplitText, *, after_header: bool = True
) -> Iterator[Problem]:
    """What is wrong with the options of statements, and with the statements they are for.

    Args:
        path: The file, for the problems.
        found: What the lexer found in it.
        after_header: Whether it begins with the script's header, as a file with an up section does.
    """
    down_line = found.down_line if found.down is not None else None
    above = [each for each in found.comments if down_line is None or each.line < down_line]
    below = [each for each in found.comments if down_line is not None and each.line >= down_line]
    sections = ((found.up, above, after_header), (found.down or (), below, False))
    for statements, comments, is_up in sections:
        for comment, place in _options(statements, comments, after_header=is_up):
            try:
                _check(comment, None if place is None else statements[place])
            except (BadBatch, NotWindowed) as error:
                yield Problem(str(error), path, comment.line)


def _options(
    statements: Sequence[RawStatement], comments: Iterable[Comment], *, after_header: bool
) -> Iterator[_Option]:
    for comment in comments:
        if _WANTED.match(comment.text) and is_statement_option(comment, after_header=after_header):
            places = (n for n, raw in enumerate(statements) if raw.line > comment.line)
            yield _Option(comment, next(places, None))


def _check(comment: Comment, raw: RawStatement | None) -> None:
    batch = _BATCH.match(comment.text)
    name = "lock_timeout" if batch is None else "batch"
    if batch is None:
        _lock_timeout(comment)
    else:
        read_batch(batch["options"])
    if raw is None or not comment.apart:
        raise BadBatch(f"{name}= must come directly before its statement; move this line there")
    if batch is None:
        return
    if classify(raw).kind is not Kind.DATA:
        raise BadBatch("batch= is for UPDATE, DELETE and INSERT … SELECT only")
    windowed(raw.text)


def _lock_timeout(comment: Comment) -> float:
    match = _LOCK_TIMEOUT.match(comment.text)
    value = match["value"] if match else ""
    limit = read_duration(value)
    if limit is None:
        raise BadBatch(
            f"lock_timeout={value}: write a duration, such as 2s or 500ms; 0s means no limit"
        )
    return limit
