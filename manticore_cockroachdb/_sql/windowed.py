"""Data statements that can be run window by window: where the window's condition goes. Pure.

An UPDATE, DELETE or INSERT … SELECT that reads one table can be cut along a key of that table: each window
is the statement with `AND key > lower AND key <= upper` in its WHERE. Statements whose result would then
differ from that of the whole statement (aggregates, LIMIT, DISTINCT, set operations, …) are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from .lexer import Token, TokenKind, tokens
from .tokens import bare, upper, word_set

#: Clauses that make a part of the rows mean something else than the part of the result.
_WHOLE_ONLY = word_set("GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH FOR UNION INTERSECT EXCEPT")
#: Functions over all rows; each window would have its own result.
_AGGREGATES = word_set(
    "ARRAY_AGG AVG BIT_AND BIT_OR BOOL_AND BOOL_OR CONCAT_AGG CORR COUNT EVERY JSONB_AGG JSON_AGG "
    "JSONB_OBJECT_AGG JSON_OBJECT_AGG MAX MIN STDDEV STDDEV_POP STDDEV_SAMP STRING_AGG SUM VARIANCE "
    "VAR_POP VAR_SAMP XMLAGG"
)
#: What may follow a table's name and is not an alias.
_AFTER_TABLE = word_set(
    "WHERE SET USING FROM RETURNING ON JOIN INNER LEFT RIGHT FULL CROSS NATURAL TABLESAMPLE AS "
    "DEFAULT VALUES SELECT OVERRIDING GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH FOR UNION "
    "INTERSECT EXCEPT"
)


class NotWindowed(ValueError):
    """A statement that cannot be run window by window; the message says why and what to write."""


@dataclass(frozen=True, slots=True)
class Windowed:
    """A statement that can be run window by window.

    Attributes:
        text: The statement.
        table: The table whose key is followed, as written.
        reference: How the statement refers to that table: its alias, or its name.
        assigned: Columns of the table that the statement writes, bare; empty for DELETE and INSERT.
        where: Offsets of the condition after WHERE, or None where there is no WHERE.
        end: Offset where a WHERE would be added.
    """

    text: str
    table: str
    reference: str
    assigned: frozenset[str]
    where: tuple[int, int] | None
    end: int

    def narrowed(self, condition: str) -> str:
        """The statement for the rows that meet a further condition.

        Args:
            condition: An SQL condition on columns of `reference`.
        """
        text = self.text
        if self.where is None:
            head, tail = text[: self.end].rstrip(), text[self.end :]
            return f"{head} WHERE {condition}{_apart(tail)}"
        start, stop = self.where
        # The line end closes a comment at the end of the author's condition.
        own = text[start:stop].strip()
        return f"{text[:start]} ({own}\n) AND {condition}{_apart(text[stop:])}"


def _apart(tail: str) -> str:
    return f" {tail}" if tail.strip() else ""


def windowed(text: str) -> Windowed:
    """Find the table and the condition of a data statement.

    Args:
        text: One statement, without its semicolon.

    Raises:
        NotWindowed: It cannot be run window by window.
    """
    walk = _Walk(text)
    match walk.word():
        case "UPDATE":
            return _update(walk)
        case "DELETE":
            return _delete(walk)
        case "INSERT":
            return _insert(walk)
        case "WITH":
            raise NotWindowed(
                "a statement with WITH cannot be split into windows: write the query of the WITH as a "
                "subquery in the UPDATE, DELETE or INSERT … SELECT"
            )
        case _:
            raise NotWindowed("only UPDATE, DELETE and INSERT … SELECT can be split into windows")


class _Walk:
    """Walks over a statement's tokens outside parentheses; a group in parentheses is one step."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.all = list(tokens(text))
        self.at = 0
        self.top: list[Token] = []
        depth = 0
        for token in self.all:
            if token.text in (")", "]"):
                depth -= 1
            if not depth:
                self.top.append(token)
            if token.text in ("(", "["):
                depth += 1

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return upper(self.top[at]) if at < len(self.top) else ""

    def word(self) -> str:
        word = self.peek()
        self.at += 1
        return word

    def take(self, word: str) -> bool:
        if self.peek() == word:
            self.at += 1
            return True
        return False

    def offset(self) -> int:
        """Where the next token begins, or the end of the text."""
        return self.top[self.at].start if self.at < len(self.top) else len(self.text)

    def after(self) -> int:
        """Where the token before ends."""
        return self.top[self.at - 1].end

    def name(self) -> tuple[str, Token]:
        """A table's name as written, and its last part."""
        written = ""
        while True:
            token = self.top[self.at] if self.at < len(self.top) else None
            if token is None or token.kind not in (TokenKind.WORD, TokenKind.NAME):
                raise NotWindowed("a table's name is expected")
            self.at += 1
            written += token.text
            if not self.take("."):
                return written, token
            written += "."

    def table(self) -> tuple[str, str]:
        """A table and how it is referred to: `[ONLY] name [*] [[AS] alias]`."""
        self.take("ONLY")
        written, last = self.name()
        self.take("*")
        if self.take("AS") or (
            self.at < len(self.top)
            and self.top[self.at].kind in (TokenKind.WORD, TokenKind.NAME)
            and self.peek() not in _AFTER_TABLE
        ):
            alias = self.top[self.at]
            self.at += 1
            return written, alias.text
        return written, last.text

    def seek(self, *words: str) -> str:
        """Go to the first of these words that comes; "" and the end where none does."""
        while self.at < len(self.top):
            if self.peek() in words and not self._is_a_column():
                return self.peek()
            self.at += 1
        return ""

    def _is_a_column(self) -> bool:
        return self.at > 0 and self.top[self.at - 1].text == "."


def _update(walk: _Walk) -> Windowed:
    table, reference = walk.table()
    if not walk.take("SET"):
        raise NotWindowed("only a plain UPDATE of one table can be split into windows")
    assigned = _assigned(walk)
    return _finished(walk, table, reference, assigned)


def _delete(walk: _Walk) -> Windowed:
    walk.take("FROM")
    table, reference = walk.table()
    return _finished(walk, table, reference, frozenset())


def _insert(walk: _Walk) -> Windowed:
    walk.take("INTO")
    target, _ = walk.table()
    if walk.seek("SELECT", "VALUES", "DEFAULT", "WITH", "TABLE") != "SELECT":
        raise NotWindowed(
            "only an INSERT with a SELECT outside parentheses can be split into windows"
        )
    walk.word()
    if walk.peek() in ("DISTINCT", "ALL"):
        raise NotWindowed(
            "SELECT DISTINCT cannot be split into windows: each would be distinct alone"
        )
    selected = walk.at
    if walk.seek("FROM", *_WHOLE_ONLY) != "FROM":
        raise NotWindowed("the SELECT has no FROM, so there is no table to split into windows")
    _check_selected(walk, selected)
    walk.word()
    if walk.peek() == "(":
        raise NotWindowed(
            "the SELECT reads a subquery first; name the table to split into windows first"
        )
    table, reference = walk.table()
    if _same(target, table):
        raise NotWindowed(
            f"it reads the table it writes, {table}: the rows of one window could be read by the next"
        )
    return _finished(walk, table, reference, frozenset())


def _same(one: str, other: str) -> bool:
    return _last(one) == _last(other)


def _last(name: str) -> str:
    return bare(list(tokens(name))[-1])


def _check_selected(walk: _Walk, start: int) -> None:
    """Refuse aggregates and window functions in the list that is selected."""
    for at in range(start, walk.at):
        word = upper(walk.top[at])
        called = at + 1 < len(walk.top) and walk.top[at + 1].text == "("
        if (word in _AGGREGATES and called) or word == "OVER":
            raise NotWindowed(
                f"{word} works on all rows at once: over windows it would give one result each"
            )


def _assigned(walk: _Walk) -> frozenset[str]:
    """The columns of a SET list; the walk stops at the clause after it."""
    columns: set[str] = set()
    starts = True
    while walk.at < len(walk.top):
        token = walk.top[walk.at]
        word = upper(token)
        if word in ("FROM", "WHERE", "RETURNING") and not _continues(walk):
            break
        if starts and token.text == "(":
            columns |= _in_parentheses(walk, token)
        elif starts and token.kind in (TokenKind.WORD, TokenKind.NAME):
            columns.add(bare(token))
        starts = token.text == ","
        walk.at += 1
    return frozenset(columns)


def _continues(walk: _Walk) -> bool:
    """Whether a FROM is that of IS DISTINCT FROM, or any of the words is a column after a dot."""
    before = walk.top[walk.at - 1]
    return before.text == "." or (walk.peek() == "FROM" and upper(before) == "DISTINCT")


def _in_parentheses(walk: _Walk, opening: Token) -> set[str]:
    names: set[str] = set()
    for token in walk.all:
        if token.start <= opening.start:
            continue
        if token.text == ")":
            break
        if token.kind in (TokenKind.WORD, TokenKind.NAME):
            names.add(bare(token))
    return names


def _finished(walk: _Walk, table: str, reference: str, assigned: frozenset[str]) -> Windowed:
    """Find WHERE and its end; refuse what comes after and does not fit."""
    if assigned or upper(walk.top[0]) == "DELETE":
        _check_subqueries(walk, table)
    joined = walk.at
    clauses = ("WHERE", "RETURNING", *sorted(_WHOLE_ONLY))
    where: tuple[int, int] | None = None
    found = _clause(walk, *clauses)
    _check_joins(walk, joined)
    end = walk.offset()
    if found == "WHERE":
        walk.word()
        start = walk.after()
        if (walk.peek(), walk.peek(1)) == ("CURRENT", "OF"):
            raise NotWindowed("WHERE CURRENT OF follows a cursor and cannot be split into windows")
        found = _clause(walk, *clauses)
        end = walk.offset()
        where = (start, end)
    if found == "RETURNING":
        raise NotWindowed("RETURNING has no effect in batches, which discard rows; remove it")
    if found in _WHOLE_ONLY:
        raise NotWindowed(f"{found} works on all rows at once and cannot be split into windows")
    return Windowed(walk.text, table, reference, assigned, where, end)


def _check_joins(walk: _Walk, start: int) -> None:
    """Refuse outer joins that keep rows without a partner in the table that is cut."""
    for token in walk.top[start : walk.at]:
        if upper(token) in ("RIGHT", "FULL"):
            raise NotWindowed(
                f"a {upper(token)} JOIN keeps rows that belong to no window; write it as a LEFT JOIN of "
                "the table to split into windows"
            )


def _check_subqueries(walk: _Walk, table: str) -> None:
    """Refuse subqueries on the table that is written: later windows would read changed rows."""
    written = _last(table)
    top = {token.start for token in walk.top}
    for before, token in pairwise(walk.all):
        if upper(before) not in ("FROM", "JOIN") or before.start in top:
            continue
        name = _named_at(walk, token)
        if name is not None and _last(name) == written:
            raise NotWindowed(
                f"a subquery reads {table}, the table that is written: later windows would read rows "
                "that earlier ones changed. Write what it finds into another table first"
            )


def _named_at(walk: _Walk, first: Token) -> str | None:
    """The name that begins at a token; None where none does."""
    start = walk.all.index(first)
    end = start
    while (
        end < len(walk.all)
        and walk.all[end].kind in (TokenKind.WORD, TokenKind.NAME)
        and end + 2 < len(walk.all)
        and walk.all[end + 1].text == "."
    ):
        end += 2
    last = walk.all[end]
    if last.kind not in (TokenKind.WORD, TokenKind.NAME):
        return None
    return "".join(token.text for token in walk.all[start : end + 1])


def _clause(walk: _Walk, *words: str) -> str:
    """Go to the next clause, or to ON CONFLICT, which ends the query of an INSERT."""
    while found := walk.seek(*words, "ON"):
        if found != "ON":
            return found
        if walk.peek(1) == "CONFLICT":
            conflict = walk.at
            returning = walk.seek("RETURNING")
            if returning:
                return returning
            walk.at = conflict
            return "ON CONFLICT"
        walk.word()
    return ""
