"""The words of one statement, for those who ask what it means: tools on top of the lexer.

Knows keywords from quoted names and steps over parentheses; knows no statement's grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from .lexer import Token, TokenKind, tokens


def word_set(words: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(words.split())


def head(text: str, count: int) -> tuple[str, ...]:
    """The first `count` tokens, words in capitals, opening parentheses before them left out."""
    found = tokens(text)
    first = next((token for token in found if token.text != "("), None)
    if first is None:
        return ()
    return tuple(upper(token) for token in (first, *islice(found, count - 1)))


def upper(token: Token) -> str:
    """A word in capitals; anything else as it is written (a quoted name is not a keyword)."""
    return token.text.upper() if token.kind is TokenKind.WORD else token.text


def top_level(text: str) -> Iterator[Token]:
    """The tokens that are not in parentheses."""
    depth = 0
    for token in tokens(text):
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth = max(0, depth - 1)
        elif not depth:
            yield token


class Name(NamedTuple):
    """A name in a statement.

    Attributes:
        written: As it is written, quoted and qualified.
        parts: Its parts as the server keeps them, the object's own name last.
    """

    written: str
    parts: tuple[str, ...]

    @property
    def last(self) -> str:
        """The object's own name."""
        return self.parts[-1]


class Reader:
    """Walks over the tokens of one statement."""

    __slots__ = ("at", "tokens")

    def __init__(self, found: Iterable[Token]) -> None:
        self.tokens = list(found)
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        """The next word without stepping over it; "" at the end."""
        at = self.at + ahead
        return upper(self.tokens[at]) if at < len(self.tokens) else ""

    def take(self, *words: str) -> bool:
        """Step over these words if they come next."""
        if all(self.peek(ahead) == word for ahead, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def word(self) -> str:
        """Step over the next word and return it; "" at the end."""
        word = self.peek()
        self.at += 1
        return word

    def seek(self, word: str) -> bool:
        """Step over everything up to and including this word, if it comes."""
        for at in range(self.at, len(self.tokens)):
            if upper(self.tokens[at]) == word:
                self.at = at + 1
                return True
        return False

    def skip_condition(self) -> bool:
        """Step over IF EXISTS or IF NOT EXISTS; whether one of them was there."""
        return self.take("IF", "NOT", "EXISTS") or self.take("IF", "EXISTS")

    def name(self) -> Name | None:
        """Step over a name, qualified or not, and return it; None where no name comes."""
        written, parts = "", list[str]()
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind not in (TokenKind.WORD, TokenKind.NAME):
                return None
            self.at += 1
            written += token.text
            parts.append(bare(token))
            if not self.take("."):
                return Name(written, tuple(parts))
            written += "."
        return None

    def rest(self) -> list[Token]:
        """The tokens not stepped over yet."""
        return self.tokens[self.at :]


def bare(token: Token) -> str:
    """The name as the server keeps it: without quotes, in small letters if it has none."""
    if token.kind is TokenKind.NAME:
        return token.text[1:-1].replace('""', '"')
    return token.text.lower()


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


_ESCAPE: Final = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL
)
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def string_value(literal: str) -> str:
    """What a literal stands for; bytes (b'…', x'…') and bit strings as they are written."""
    if literal.startswith("$"):
        tag = literal.index("$", 1) + 1
        return literal[tag:-tag]
    if literal[:1] in "eE":
        return unescaped(literal[2:-1].replace("''", "'"))
    return literal[1:-1].replace("''", "'") if literal.startswith("'") else literal


def unescaped(text: str) -> str:
    """A text without the backslashes of E'…', and of what CockroachDB's server quotes with "…"."""
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    octal, byte, four, eight, plain = found.groups()
    if plain is not None:
        return _ESCAPED.get(plain, plain)
    point = int(octal, 8) if octal else int(byte or four or eight, 16)
    return chr(point) if point <= 0x10FFFF else found.group()
