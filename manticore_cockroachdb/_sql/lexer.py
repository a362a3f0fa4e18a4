"""SQL's lexical rules: where a statement ends, and what a token is.

Knows quotes, comments, dollar quotes, parentheses and `BEGIN ATOMIC` bodies as PostgreSQL and
CockroachDB read them, and the line `-- DOWN` that parts a script. Knows nothing of files, servers,
or what a statement means.

The scanner jumps: one possessive regular expression swallows whatever cannot end a statement, so
Python sees only the few characters that can. Nothing in it backtracks or recurses, so the time is
linear in the text, whatever the text is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

BLANKS: Final = " \t\n\r\f\v"
"""What SQL calls white space; Unicode's other spaces are letters to PostgreSQL."""

# Any character beyond ASCII may be part of an identifier; `$` may not begin one. The classes are
# written by the ASCII characters they leave out: the engine then needs one look into a bitmap.
_LETTER = r"[^\x00-@\[-^\x60{-\x7f]"
_LETTER_BUT_EB = r"[^\x00-@BEbe\[-^\x60{-\x7f]"
_REST = r"[^\x00-#%-/:-@\[-^\x60{-\x7f]*+"
_TAG_REST = r"[^\x00-/:-@\[-^\x60{-\x7f]*+"
# E'…' and b'…' take backslashes; an unterminated one must not be read again as a word and a '…'.
_WORD = rf"(?:{_LETTER_BUT_EB}|[BEbe](?!')){_REST}"
_TAG = rf"\$(?:{_LETTER}{_TAG_REST})?\$"
_QUOTED = r"'[^']*+(?:''[^']*+)*+'"
_NAME = r'"[^"]*+(?:""[^"]*+)*+"'
# A string joined to E'…' over a line end ('a'⏎'b') takes backslashes too.
_BODY = r"'(?:[^'\\]++|\\.|'')*+'"
_JOIN = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*+[\n\r])*+"
_ESCAPED = rf"[BEbe]{_BODY}(?:{_JOIN}{_BODY})*+"
# Spaces, digits and signs that begin nothing: all of ASCII but letters and "$'();-/
_DULL = r"[\x00-!#%&*-,.0-:<-@\[-^\x60{-\x7f]"

_ITEM = "|".join(
    (
        rf"{_LETTER_BUT_EB}{_REST}{_DULL}*+",
        rf"{_DULL}++",
        _QUOTED,
        rf"[BEbe](?!'){_REST}{_DULL}*+",
        _ESCAPED,
        _NAME,
        r"-(?!-)",
        r"/(?!\*)",
        rf"\$(?!(?:{_LETTER}{_TAG_REST})?\$)",
    )
)
# Parentheses at most two deep are swallowed whole, comments and all: rows of VALUES and columns of
# tables cost nothing more. Where one is deeper, its beginning is read a second and a third time,
# never more. A `-- DOWN` is never swallowed.
_INSIDE = (
    rf"{_ITEM}|--(?![ \t]*[dD][oO][wW][nN][ \t]*(?:[\n\r]|\Z))[^\n\r]*+"
    r"|/\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/"
)
_PAIR = rf"\((?:{_INSIDE})*+\)"
# Matches everywhere, if only nothing: spaces, what cannot end a statement, and what ends one.
_RUN = re.compile(rf"[{BLANKS}]*+((?:{_ITEM}|\((?:{_INSIDE}|{_PAIR})*+\))*+)(;?)", re.DOTALL)
_LINE_COMMENT = re.compile(r"--[^\n\r]*+")
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_DOLLAR = re.compile(_TAG)
_DOWN = re.compile(r"--[ \t]*down[ \t]*", re.IGNORECASE)
_BODY_WORD = re.compile(r"BEGIN|ATOMIC|CASE|END", re.IGNORECASE)
# Possessive: with several spaces the words after them are looked at, never one of the spaces.
_NO_ROUTINE = re.compile(rf"(?!CREATE)|CREATE[{BLANKS}]++(?!OR|FUNC|PROC|[-/])", re.IGNORECASE)
_TOKEN = re.compile(
    rf"[{BLANKS}]++|--[^\n\r]*+|(?P<block>/\*)|(?P<string>{_QUOTED}|{_ESCAPED})"
    rf"|(?P<word>{_WORD})|(?P<name>{_NAME})|(?P<dollar>{_TAG})|(?P<open>['\"]|[BEbe]')"
    r"|(?P<symbol>[0-9]++|.)",
    re.DOTALL,
)


class LexError(ValueError):
    """A text that cannot be split: something in it is never closed, or it has two down sections.

    Attributes:
        message: What is wrong.
        line: The line where it begins.
        hint: What to do about it, or "".
    """

    def __init__(self, message: str, line: int, hint: str = "") -> None:
        super().__init__(f"line {line}: {message}{'; ' if hint else ''}{hint}")
        self.message = message
        self.line = line
        self.hint = hint


class RawStatement(NamedTuple):
    """One statement as the text has it.

    Attributes:
        text: Without the closing `;` and without spaces and comments around it.
        line: The line of its first token, from 1.
    """

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that was asked for.

    Attributes:
        text: From the `--` to the end of the line, or from `/*` to `*/`.
        line: Its first line, from 1.
        leading: Whether it comes before the first statement of the up section.
        apart: Whether it begins its line or follows the end of a statement; not a note beside the
            words of one.
    """

    text: str
    line: int
    leading: bool
    apart: bool


@dataclass(frozen=True, slots=True)
class SplitText:
    """What one pass over a text found; with a `fault`, all that was found before it.

    Attributes:
        up: The statements before the `-- DOWN` line, or all of them where there is none.
        down: The statements after it, or None where there is none.
        up_end: Offset of the `-- DOWN` line, or the length of the text.
        down_start: Offset of the line after `-- DOWN`, or the length of the text.
        down_line: Line number at `down_start`.
        comments: The comments that were asked for.
        fault: Why the text could not be read to its end, if it could not.
    """

    up: tuple[RawStatement, ...]
    down: tuple[RawStatement, ...] | None
    up_end: int
    down_start: int
    down_line: int
    comments: tuple[Comment, ...]
    fault: LexError | None


class TokenKind(Enum):
    """What a token is, as far as anybody here asks."""

    WORD = auto()
    NAME = auto()
    STRING = auto()
    SYMBOL = auto()


class Token(NamedTuple):
    """One token; `text` is as written, quotes included."""

    kind: TokenKind
    text: str
    start: int
    end: int


def tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """Yield the tokens of `text`, lazily, without spaces and comments.

    A quote that is never closed is one string token to the end of the text.
    """
    pos = start
    size = len(text) if end is None else end
    # A token is made for every word of every script: as a plain tuple is, without a call into Python.
    new, word, symbol, name = tuple.__new__, TokenKind.WORD, TokenKind.SYMBOL, TokenKind.NAME
    while pos < size:
        match = _TOKEN.match(text, pos, size)
        if match is None:  # pragma: no cover - the last alternative matches any character
            return
        group, begin, pos = match.lastgroup, pos, match.end()
        if group is None:
            continue
        if group == "block":
            pos = _block_end(text, begin, size)
            if pos < 0:
                return
        elif group == "word":
            yield new(Token, (word, match.group(), begin, pos))
        elif group == "symbol":
            yield new(Token, (symbol, match.group(), begin, pos))
        elif group == "name":
            yield new(Token, (name, match.group(), begin, pos))
        else:
            if group == "dollar":
                close = text.find(match.group(), pos, size)
                pos = size if close < 0 else close + len(match.group())
            elif group == "open":
                pos = size
            yield Token(TokenKind.STRING, text[begin:pos], begin, pos)


def split_script(text: str, first_line: int = 1) -> tuple[RawStatement, ...]:
    """Split one part of a script into its statements.

    Args:
        text: The up section or the down section.
        first_line: The line of the file on which `text` begins.

    Raises:
        LexError: Something is never closed, or there is a `-- DOWN` line.
    """
    found = split(text, first_line)
    if found.fault is not None:
        raise found.fault
    if found.down is not None:
        raise LexError("a '-- DOWN' line inside one part of a script", found.down_line - 1)
    return found.up


def split(text: str, first_line: int = 1, wanted: re.Pattern[str] | None = None) -> SplitText:
    """Split a whole script: the statements before and after its `-- DOWN` line.

    Args:
        text: The script.
        first_line: The line number of its first line.
        wanted: Comments that match it at their `--` or `/*` are handed back too.
    """
    return _Splitter(text, first_line, wanted).run()


class _Splitter:
    """One pass over one text."""

    __slots__ = (
        "_counted",
        "_line",
        "body",
        "comments",
        "down_line",
        "down_start",
        "last",
        "parens",
        "start",
        "start_line",
        "statements",
        "text",
        "up",
        "up_end",
        "wanted",
    )

    def __init__(self, text: str, first_line: int, wanted: re.Pattern[str] | None) -> None:
        self.text = text
        self.wanted = wanted
        self._counted, self._line = 0, first_line
        self.statements: list[RawStatement] = []
        self.up: tuple[RawStatement, ...] | None = None
        self.comments: list[Comment] = []
        self.up_end = self.down_start = len(text)
        self.down_line = first_line
        self.start = -1  # where the current statement began, -1 between statements
        self.start_line = first_line
        self.last = 0  # where its last token ended
        self.parens = 0
        self.body: _RoutineBody | None = None

    def run(self) -> SplitText:
        fault = None
        try:
            self._scan()
            self._finish_statement()
        except LexError as error:
            fault = error
        statements = tuple(self.statements)
        return SplitText(
            up=statements if self.up is None else self.up,
            down=None if self.up is None else statements,
            up_end=self.up_end,
            down_start=self.down_start,
            down_line=self.down_line,
            comments=tuple(self.comments),
            fault=fault,
        )

    def _scan(self) -> None:
        text, size, pos, match = self.text, len(self.text), 0, _RUN.match
        while pos < size:
            run = match(text, pos)
            solid, pos = run.span(1)  # type: ignore[union-attr]
            if solid < pos:
                plain = text[solid] not in "cC" or _NO_ROUTINE.match(text, solid) is not None
                if plain and self.start < 0 and run[2]:  # type: ignore[index]
                    # Most statements of a large script: nothing in them to look at.
                    line = self._line = self._line + text.count("\n", self._counted, solid)
                    self._counted = solid
                    self.statements.append(RawStatement(text[solid:pos].rstrip(BLANKS), line))
                    pos += 1
                    continue
                self._token(solid, pos)
                if self.body is not None:
                    self.body.read(text, solid, pos, self.parens)
            if pos == size:
                return
            char = text[pos]
            if char == ";":
                pos += 1
                self._semicolon(pos)
            elif char in "()":
                pos += 1
                self._token(pos - 1, pos)
                self.parens = max(0, self.parens + (1 if char == "(" else -1))
            elif char == "-":
                pos = self._line_comment(pos)
            elif char == "/":
                pos = self._block_comment(pos)
            elif char == "$":
                pos = self._dollar_quote(pos)
            else:
                self._closed('quoted name (")' if char == '"' else "string (')", pos, -1)

    def _semicolon(self, after: int) -> None:
        if self.parens or (self.body is not None and self.body.depth):
            self.last = after
        else:
            self._finish_statement()

    def _dollar_quote(self, pos: int) -> int:
        tag = _DOLLAR.match(self.text, pos).group()  # type: ignore[union-attr]
        close = self.text.find(tag, pos + len(tag))
        end = self._closed(f"{tag} quote", pos, -1 if close < 0 else close + len(tag))
        self._token(pos, end)
        return end

    def _line_at(self, offset: int) -> int:
        """The line of an offset; offsets only ever grow, so each line end is counted once."""
        self._line += self.text.count("\n", self._counted, offset)
        self._counted = offset
        return self._line

    def _closed(self, what: str, opened: int, end: int) -> int:
        if end < 0:
            raise LexError(f"this {what} is never closed", self._line_at(opened), "close it")
        return end

    def _token(self, start: int, end: int) -> None:
        if self.start < 0:
            self.start = start
            self.start_line = self._line_at(start)
            self.body = _RoutineBody() if _makes_routine(self.text, start) else None
        self.last = end

    def _finish_statement(self) -> None:
        if self.start >= 0:
            text = self.text[self.start : self.last].rstrip(BLANKS)
            self.statements.append(RawStatement(text, self.start_line))
        self.start, self.parens, self.body = -1, 0, None

    def _line_comment(self, pos: int) -> int:
        end = _LINE_COMMENT.match(self.text, pos).end()  # type: ignore[union-attr]
        begin = self.text.rfind("\n", 0, pos) + 1
        if _DOWN.fullmatch(self.text, pos, end) and not self.text[begin:pos].strip(BLANKS):
            self._down(begin, pos, end)
            return end
        self._comment(begin, pos, end)
        return end

    def _block_comment(self, pos: int) -> int:
        end = self._closed("comment", pos, _block_end(self.text, pos, len(self.text)))
        self._comment(self.text.rfind("\n", 0, pos) + 1, pos, end)
        return end

    def _comment(self, begin: int, pos: int, end: int) -> None:
        if self.wanted is None or not self.wanted.match(self.text, pos, end):
            return
        leading = self.start < 0 and not self.statements and self.up is None
        apart = self.start < 0 or not self.text[begin:pos].strip(BLANKS)
        self.comments.append(Comment(self.text[pos:end], self._line_at(pos), leading, apart))

    def _down(self, begin: int, pos: int, end: int) -> None:
        line = self._line_at(pos)
        if self.up is not None:
            raise LexError(
                f"two down sections: line {self.down_line - 1} is '-- DOWN' already",
                line,
                "remove one of the two lines",
            )
        self._finish_statement()
        self.up, self.statements = tuple(self.statements), []
        self.up_end = begin
        self.down_start = min(end + 1, len(self.text))
        self.down_line = line + 1


class _RoutineBody:
    """Counts how deep inside `BEGIN ATOMIC … END` the text of a CREATE FUNCTION is."""

    __slots__ = ("before", "depth")

    def __init__(self) -> None:
        self.depth = 0
        self.before = ""

    def read(self, text: str, start: int, end: int, parens: int) -> None:
        if _BODY_WORD.search(text, start, end) is None:
            self.before = ""
            return
        for token in tokens(text, start, end):
            word = token.text.upper() if token.kind is not TokenKind.STRING else ""
            if word == "(":
                parens += 1
            elif word == ")":
                parens -= 1
            # After a dot, or after AS inside the body, it is a column's name.
            elif parens or self.before == "." or (self.depth and self.before == "AS"):
                pass
            elif (word == "ATOMIC" and self.before == "BEGIN") or (word == "CASE" and self.depth):
                self.depth += 1
            elif word == "END" and self.depth:
                self.depth -= 1
            self.before = word


def _makes_routine(text: str, start: int) -> bool:
    """Whether the statement begins CREATE [OR REPLACE] FUNCTION or PROCEDURE."""
    if _NO_ROUTINE.match(text, start) is not None:
        return False
    expected = ({"CREATE"}, {"OR", "FUNCTION", "PROCEDURE"}, {"REPLACE"}, {"FUNCTION", "PROCEDURE"})
    for token, words in zip(tokens(text, start), expected, strict=False):
        word = token.text.upper()
        if word not in words:
            return False
        if word in ("FUNCTION", "PROCEDURE"):
            return True
    return False


def _block_end(text: str, start: int, size: int) -> int:
    """Offset after the nested comment that begins at `start`, or -1 where it is never closed."""
    depth = 0
    for edge in _BLOCK_EDGE.finditer(text, start, size):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return -1
