"""What a section of a script must not contain: other tools' markers, psql's commands, transactions, COPY.

Pure. Every problem is reported, each with its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from .._sql.lexer import RawStatement, SplitText, TokenKind, tokens
from .._sql.statement import Kind, classify
from .._sql.tokens import head, upper
from ..errors import Problem
from .markers import reads_like_down


def check(path: Path | None, found: SplitText, *, whole_section: bool = False) -> list[Problem]:
    """What a script must not contain, in the order of its lines.

    Args:
        path: Its file, for the problems.
        found: What the lexer found in it.
        whole_section: The file is a down section as a whole, so no marker in it can be missed.
    """
    problems = [] if whole_section else list(_markers(path, found))
    for raw in (*found.up, *(found.down or ())):
        if "\\" in raw.text:
            commands = list(_psql_commands(path, raw))
            problems += commands
            if commands:
                continue
        statement = classify(raw)
        words = head(raw.text, 2) if statement.kind is Kind.TRANSACTION else ()
        if words:
            shown = words[0] if words[0] not in ("START", "PREPARE", "SET") else " ".join(words)
            message = f"{shown}: Manticore opens and closes the transactions"
            hint = "remove it (a header line '-- manticore: mode=atomic' asks for a single one)"
            problems.append(Problem(message, path, raw.line, hint=hint))
        elif raw.text[:4].upper() == "COPY" and _copies_from_client(raw.text):
            message = (
                "COPY with STDIN or STDOUT moves rows through psql's connection, which a script "
                "does not have"
            )
            hint = "write the rows as INSERT statements"
            problems.append(Problem(message, path, raw.line, hint=hint))
            if "STDIN" in raw.text.upper():
                break  # rows follow, not SQL
    else:
        if found.fault is not None:
            fault = found.fault
            problems.append(Problem(fault.message, path, fault.line, hint=fault.hint))
    return sorted(problems, key=lambda problem: problem.line or 0)


def _markers(path: Path | None, found: SplitText) -> Iterator[Problem]:
    for comment in found.comments:
        in_up = found.down is None or comment.line < found.down_line
        if in_up and comment.apart and reads_like_down(comment.text):
            yield Problem(
                f"{comment.text.strip()!r} reads like the start of a down section, but only a line "
                "'-- DOWN' starts one, so the statements after it would run as part of the up "
                "section",
                path,
                comment.line,
                hint="write '-- DOWN', alone on its line, or put a comment that is only a comment in "
                "quotes",
            )


def _psql_commands(path: Path | None, raw: RawStatement) -> Iterator[Problem]:
    r"""Each `\command` of psql in a statement: no server's SQL has a backslash outside quotes."""
    line, counted = raw.line, 0
    for token in tokens(raw.text):
        if token.text != "\\" or token.kind is not TokenKind.SYMBOL:
            continue
        line += raw.text.count("\n", counted, token.start)
        counted = token.start
        command = raw.text[token.start :].split(maxsplit=1)[0]
        message = f"{command} is a command of psql, which no server knows"
        yield Problem(message, path, line, hint="remove it")


def _copies_from_client(text: str) -> bool:
    words = [upper(token) if token.kind is TokenKind.WORD else "" for token in tokens(text)]
    return words[0] == "COPY" and any(
        pair in (("FROM", "STDIN"), ("TO", "STDOUT")) for pair in pairwise(words)
    )
