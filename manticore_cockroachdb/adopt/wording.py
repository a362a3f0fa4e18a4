"""The statements of a text, with their places; and whether two texts are the same statements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .._scripts.direction import Direction
from .._scripts.script import ScriptKey, called
from .._sql.lexer import RawStatement, Token, split, tokens
from .._wording import capitalized


@dataclass(frozen=True, slots=True)
class Located:
    """A statement and where it is.

    Attributes:
        raw: The statement.
        start: Offset of its first character.
        end: Offset after its last character, its semicolon included where it has one.
    """

    raw: RawStatement
    start: int
    end: int


def located(text: str) -> list[Located]:
    """Every statement of a text that can be split, with its offsets."""
    found = split(text)
    stream = tokens(text)
    return [_locate(text, raw, stream) for raw in (*found.up, *(found.down or ()))]


def _locate(text: str, raw: RawStatement, stream: Iterator[Token]) -> Located:
    """Walk over the tokens of one statement; comments are no tokens, so nothing in them can mislead."""
    first = next(token for token in stream if token.text != ";")
    end = first.start + len(raw.text)
    last = first
    while last.end < end:
        last = next(stream)
    following = next(tokens(text, end), None)
    closed = following is not None and following.text == ";"
    return Located(raw, first.start, following.end if closed and following else end)


def without(text: str, unwanted: Sequence[Located]) -> str:
    """A text without some of its statements; the others stay on their lines."""
    kept, last = [], 0
    for statement in unwanted:
        lines = text.count("\n", statement.start, statement.end)
        kept += [text[last : statement.start], "\n" * lines]
        last = statement.end
    return "".join((*kept, text[last:]))


Words = tuple[str, ...]


def words(statement: str) -> Words:
    """The tokens of a statement, without whitespace and comments."""
    return tuple(token.text for token in tokens(statement))


def statements(text: str) -> list[Words] | None:
    """The tokens of each statement of a text; None if it cannot be split."""
    found = split(text)
    if found.fault is not None:
        return None
    return [words(statement.text) for statement in (*found.up, *(found.down or ()))]


def fingerprint(text: str) -> str:
    """The same for texts of the same statements, different for others."""
    found = statements(text)
    digest = hashlib.sha256(repr(text if found is None else found).encode(errors="surrogatepass"))
    return digest.hexdigest()


def versions_called(versions: Sequence[int], shown: int = 6) -> str:
    """Versions in a sentence; of a long list only the first."""
    listed = ", ".join(map(str, versions[:shown]))
    more = f" and {len(versions) - shown} more" if len(versions) > shown else ""
    return f"version{'s' if len(versions) > 1 else ''} {listed}{more}"


def unfinished(key: ScriptKey, direction: Direction) -> str:
    """What to do with a script that is partially applied or reverted here."""
    command = "manticore_migrate" if direction is Direction.UP else "manticore_rollback"
    state = f"{capitalized(called(key))} is partially {direction.participle} here."
    return f"{state} Finish it with {command} first."
