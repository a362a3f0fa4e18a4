"""The statements of one section of a script, with the options that stand before them. Pure.

A comment's place says whose option it is: options of scripts stand before the first statement, options of
statements directly before theirs; before the first statement both may stand, and the name decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from .._sql.batch import BadBatch, read_batch
from .._sql.lexer import Comment, RawStatement, split, split_script
from .._sql.statement import Kind, Statement, classify
from .._sql.windowed import NotWindowed, windowed
from ..errors import Problem

#: Options that stand before a statement: the linter's allowances, and how the statement runs.
STATEMENT_OPTION: Final = re.compile(
    r"--[ \t]*manticore[ \t]*:[ \t]*(?P<name>allow|batch)[ \t]*=", re.IGNORECASE
)
#: The linter's allowances alone.
ALLOWANCE: Final = re.compile(r"--[ \t]*manticore[ \t]*:[ \t]*allow[ \t]*=", re.IGNORECASE)
_BATCH: Final = re.compile(
    r"--[ \t]*manticore[ \t]*:[ \t]*(?P<options>batch[ \t]*=.*)", re.IGNORECASE
)


def read_statements(text: str, first_line: int) -> tuple[Statement, ...]:
    """The statements of a section that was checked.

    Args:
        text: The section.
        first_line: The line of the file on which it begins.
    """
    if _BATCH.search(text) is None:  # nearly every script
        return tuple(map(classify, split_script(text, first_line)))
    found = split(text, first_line, wanted=_BATCH)
    batches = dict(_batches(found.up, found.comments))
    return tuple(_with_batch(classify(raw), batches.get(raw.line)) for raw in found.up)


def _with_batch(statement: Statement, options: str | None) -> Statement:
    return statement if options is None else replace(statement, batch=read_batch(options))


def _batches(
    statements: Sequence[RawStatement], comments: Iterable[Comment]
) -> Iterator[tuple[int, str]]:
    """The line of each statement that has a batch's options before it, and the options."""
    for comment in comments:
        match = _BATCH.match(comment.text)
        if match is not None:
            raw = next((raw for raw in statements if raw.line > comment.line), None)
            if raw is not None:
                yield raw.line, match["options"]


def batch_problems(
    path: Path | None, sections: Iterable[Sequence[RawStatement]], comments: Sequence[Comment]
) -> Iterator[Problem]:
    """What is wrong with the options of batches, and with the statements they are for."""
    statements = sorted((raw for section in sections for raw in section), key=lambda raw: raw.line)
    for comment in comments:
        match = _BATCH.match(comment.text)
        if match is None:
            continue
        raw = next((raw for raw in statements if raw.line > comment.line), None)
        try:
            read_batch(match["options"])
            if raw is None or not comment.apart:
                raise BadBatch(
                    "batch= must come directly before its statement; move this line there"
                )
            _check(raw)
        except (BadBatch, NotWindowed) as error:
            yield Problem(str(error), path, comment.line)


def _check(raw: RawStatement) -> None:
    if classify(raw).kind is not Kind.DATA:
        raise BadBatch("batch= is for UPDATE, DELETE and INSERT … SELECT only")
    windowed(raw.text)
