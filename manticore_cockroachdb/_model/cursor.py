"""Walks over the tokens of one statement, with its parentheses matched.

Knows keywords, names, groups and lists; knows no statement's grammar.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Final

from .._sql.lexer import TokenKind, tokens
from .._sql.server_kind import ServerKind
from .._sql.tokens import bare, upper
from .naming import LONGEST
from .values import Expression, Name

_OPENING: Final = {"(": 1, "[": 1, ")": -1, "]": -1}


class NotUnderstoodError(Exception):
    """The statement does not have the form that its first words promise."""


class Cursor:
    """A place in a list of tokens, and where the list ends.

    Words are compared in capitals; a quoted name never equals a keyword.

    Args:
        source: The statement's text.
        longest: How many bytes of a name the server keeps.
    """

    __slots__ = ("_longest", "_tokens", "_words", "at", "end", "source")

    def __init__(self, source: str, longest: int = sys.maxsize) -> None:
        self.source = source
        self._longest = longest
        self._tokens = list(tokens(source))
        word = TokenKind.WORD
        self._words = [
            token.text.upper() if token.kind is word else token.text for token in self._tokens
        ]
        self.at = 0
        self.end = len(self._words)

    def part(self, at: int, end: int) -> Cursor:
        """Another cursor over some of the same tokens."""
        other = Cursor.__new__(Cursor)
        other.source, other._longest = self.source, self._longest
        other._tokens, other._words = self._tokens, self._words
        other.at, other.end = at, end
        return other

    # -- keywords ----------------------------------------------------------------------------------

    def peek(self, ahead: int = 0) -> str:
        """The next word without stepping over it; "" at the end."""
        at = self.at + ahead
        return self._words[at] if at < self.end else ""

    def take(self, *words: str) -> bool:
        """Step over these words if they come next."""
        at = self.at
        if at + len(words) > self.end:
            return False
        for word in words:
            if self._words[at] != word:
                return False
            at += 1
        self.at = at
        return True

    def since(self, start: int) -> Cursor:
        """Another cursor over what was stepped over since a place."""
        return self.part(start, self.at)

    def take_any(self, words: frozenset[str]) -> str:
        """Step over one of these words if it comes next, and return it; else ""."""
        word = self.peek()
        if word in words and word:
            self.at += 1
            return word
        return ""

    def expect(self, *words: str) -> None:
        """Step over these words.

        Raises:
            NotUnderstoodError: Something else comes next.
        """
        if not self.take(*words):
            raise NotUnderstoodError

    def word(self) -> str:
        """Step over the next word and return it; "" at the end."""
        word = self.peek()
        self.at += 1
        return word

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.at >= self.end

    def has(self, word: str) -> bool:
        """Whether the word stands anywhere in what is left, in parentheses too."""
        return word in self._words[self.at : self.end]

    def condition(self) -> bool:
        """Step over IF EXISTS or IF NOT EXISTS; whether one was there."""
        return self.take("IF", "NOT", "EXISTS") or self.take("IF", "EXISTS")

    # -- names -------------------------------------------------------------------------------------

    def at_name(self) -> bool:
        """Whether a name (or a word) comes next."""
        if self.at >= self.end:
            return False
        kind = self._tokens[self.at].kind
        return kind is TokenKind.WORD or kind is TokenKind.NAME

    def identifier(self) -> str:
        """Step over one name and return it as the server keeps it.

        Raises:
            NotUnderstoodError: No name comes next.
        """
        if not self.at_name():
            raise NotUnderstoodError
        token = self._tokens[self.at]
        self.at += 1
        name = bare(token)
        if len(name) * 4 > self._longest and len(name.encode()) > self._longest:
            return name.encode()[: self._longest].decode(errors="ignore")
        return name

    def name(self) -> Name:
        """Step over a name that may be qualified; a database in front is left out.

        Raises:
            NotUnderstoodError: No name comes next.
        """
        last = self.identifier()
        schema = None
        while self.peek() == "." and self.at + 1 < self.end:
            self.at += 1
            schema, last = last, self.identifier()
        return Name(schema, last)

    # -- groups and lists --------------------------------------------------------------------------

    def group(self) -> Cursor:
        """Step over a pair of parentheses and return what stands inside.

        Raises:
            NotUnderstoodError: None comes next, or it is not closed.
        """
        if self.peek() != "(":
            raise NotUnderstoodError
        start = self.at
        depth = 0
        for at in range(start, self.end):
            depth += _OPENING.get(self._words[at], 0)
            if depth == 0:
                self.at = at + 1
                return self.part(start + 1, at)
        raise NotUnderstoodError

    def skip_group(self) -> bool:
        """Step over a pair of parentheses if one comes next."""
        if self.peek() != "(":
            return False
        self.group()
        return True

    def split(self) -> Iterator[Cursor]:
        """The parts between the commas of this level; an empty list has none."""
        start = self.at
        depth = 0
        for at in range(self.at, self.end):
            word = self._words[at]
            if word == "," and depth == 0:
                yield self.part(start, at)
                start = at + 1
            elif word in _OPENING:
                depth += _OPENING[word]
        if start < self.end:
            yield self.part(start, self.end)
        self.at = self.end

    def until(self, stops: frozenset[str], *, least: int = 0) -> Cursor:
        """Step to the next of these words on this level (or the end), and return what was passed.

        Args:
            stops: Words to stop at; not inside parentheses or CASE … END.
            least: Tokens that are passed whatever they are.
        """
        start = self.at
        depth = cases = 0
        at = start
        while at < self.end:
            word = self._words[at]
            if not depth and not cases and word in stops and at - start >= least:
                break
            if word in _OPENING:
                depth += _OPENING[word]
            elif word == "CASE":
                cases += 1
            elif word == "END" and cases:
                cases -= 1
            at += 1
        self.at = at
        return self.part(start, at)

    def seek(self, word: str) -> bool:
        """Step over everything up to and including this word on this level, if it comes."""
        start = self.at
        self.until(frozenset((word,)))
        if self.at < self.end:
            self.at += 1
            return True
        self.at = start
        return False

    def names(self) -> tuple[str, ...]:
        """The names of a list such as `a, "B" DESC`: the first word of each part."""
        return tuple(part.identifier() for part in self.split())

    @property
    def start(self) -> int:
        """Where what is left begins in the source."""
        return self._tokens[self.at].start

    @property
    def stop(self) -> int:
        """Where what is left ends in the source."""
        return self._tokens[self.end - 1].end

    # -- text --------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What is left, as it is written."""
        if self.at >= self.end:
            return ""
        return self.source[self._tokens[self.at].start : self._tokens[self.end - 1].end]

    def words(self) -> list[str]:
        """What is left: words in capitals, all else as it is written."""
        return self._words[self.at : self.end]

    def string(self) -> str:
        """Step over a string and return its value, for plain '…' strings.

        Raises:
            NotUnderstoodError: No string comes next.
        """
        if self.at >= self.end or self._tokens[self.at].kind is not TokenKind.STRING:
            raise NotUnderstoodError
        text = self._tokens[self.at].text
        self.at += 1
        return text[1:-1].replace("''", "'")

    def expression(self) -> Expression:
        """What is left, as an expression: its text, the names in it, and what it calls."""
        names: set[str] = set()
        calls: set[str] = set()
        for at in range(self.at, self.end):
            token = self._tokens[at]
            if token.kind is TokenKind.WORD or token.kind is TokenKind.NAME:
                if at + 1 < self.end and self._words[at + 1] == "(":
                    calls.add(bare(token))
                else:
                    names.add(bare(token))
        return Expression(self.on_one_line, frozenset(names), frozenset(calls))

    @property
    def on_one_line(self) -> str:
        """What is left, without comments, and with one space for any number of them."""
        text = self.text
        if "\n" not in text and "--" not in text and "/*" not in text:
            return text
        parts: list[str] = []
        for at in range(self.at, self.end):
            if parts and self._tokens[at].start > self._tokens[at - 1].end:
                parts.append(" ")
            parts.append(self._tokens[at].text)
        return "".join(parts)


def cursor_for(text: str, server: ServerKind) -> Cursor:
    """A cursor at the start; PostgreSQL cuts names that are too long, CockroachDB keeps them."""
    return Cursor(text, LONGEST) if server is ServerKind.POSTGRESQL else Cursor(text)


def first_words(text: str) -> str:
    """The first three words of a statement, to name it by."""
    return " ".join(upper(token) for token in islice(tokens(text), 3))
