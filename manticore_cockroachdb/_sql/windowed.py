"""Data statements that can be run window by window: where the window's condition goes. Pure.

An UPDATE, DELETE or INSERT … SELECT that reads one table can be cut along a key of that table: each window
is the statement with `AND key > lower AND key <= upper` in its WHERE. Statements whose result would then
differ from that of the whole statement (aggregates, LIMIT, DISTINCT, set operations, …) are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from .lexer import Token, TokenKind, tokens
from .tables_read import may_be_same, tables_read
from .tokens import Name, bare, upper, word_set

#: Clauses that make a part of the rows mean something else than the part of the result.
_WHOLE_ONLY = word_set("GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH FOR UNION INTERSECT EXCEPT")
#: Functions over all rows; each window would have its own result.
#: https://www.postgresql.org/docs/current/functions-aggregate.html
#: https://www.cockroachlabs.com/docs/stable/functions-and-operators#aggregate-functions
_AGGREGATES = word_set(
    "ANY_VALUE ARRAY_AGG ARRAY_CAT_AGG AVG BIT_AND BIT_OR BIT_XOR BOOL_AND BOOL_OR CONCAT_AGG CORR COUNT "
    "COUNT_ROWS COVAR_POP COVAR_SAMP EVERY JSONB_AGG JSON_AGG JSONB_AGG_STRICT JSON_AGG_STRICT "
    "JSONB_OBJECT_AGG JSON_OBJECT_AGG JSON_ARRAYAGG JSON_OBJECTAGG MAX MIN MODE PERCENTILE_CONT "
    "PERCENTILE_DISC RANGE_AGG RANGE_INTERSECT_AGG REGR_AVGX REGR_AVGY REGR_COUNT REGR_INTERCEPT REGR_R2 "
    "REGR_SLOPE REGR_SXX REGR_SXY REGR_SYY SQRDIFF STDDEV STDDEV_POP STDDEV_SAMP STRING_AGG SUM SUM_INT "
    "VARIANCE VAR_POP VAR_SAMP XMLAGG XOR_AGG"
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
        functions: Functions that the list of an INSERT … SELECT calls outside subqueries, qualified where
            they are written so. Which of them are aggregates that a user has defined, the server knows.
    """

    text: str
    table: str
    reference: str
    assigned: frozenset[str]
    where: tuple[int, int] | None
    end: int
    functions: frozenset[str] = frozenset()

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

    def name(self) -> tuple[Name, Token]:
        """A table's name, and its last part."""
        parts: list[Token] = []
        while not parts or self.take("."):
            token = self.top[self.at] if self.at < len(self.top) else None
            if token is None or token.kind not in (TokenKind.WORD, TokenKind.NAME):
                raise NotWindowed("a table's name is expected")
            self.at += 1
            parts.append(token)
        written = ".".join(each.text for each in parts)
        return Name(written, tuple(bare(each) for each in parts)), parts[-1]

    def table(self) -> tuple[Name, str]:
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
            if self.peek() in words and not self.continues():
                return self.peek()
            self.at += 1
        return ""

    def continues(self) -> bool:
        """Whether the next word is a column after a dot, or the FROM of IS DISTINCT FROM: no clause."""
        before = self.top[self.at - 1] if self.at else None
        if before is None:
            return False
        return before.text == "." or (self.peek() == "FROM" and upper(before) == "DISTINCT")

    def reads_besides(self) -> Iterator[Name]:
        """The tables that are named from here on."""
        start = self.top[self.at].start if self.at < len(self.top) else len(self.text)
        at = next((n for n, token in enumerate(self.all) if token.start >= start), len(self.all))
        return tables_read(self.all, at)


def _update(walk: _Walk) -> Windowed:
    table, reference = walk.table()
    if not walk.take("SET"):
        raise NotWindowed("only a plain UPDATE of one table can be split into windows")
    _check_reads(walk, table)
    assigned = _assigned(walk)
    return _finished(walk, table, reference, assigned)


def _delete(walk: _Walk) -> Windowed:
    walk.take("FROM")
    table, reference = walk.table()
    _check_reads(walk, table)
    return _finished(walk, table, reference, frozenset())


def _insert(walk: _Walk) -> Windowed:
    walk.take("INTO")
    target, _ = walk.table()
    reads = list(walk.reads_besides())
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
    functions = _functions(walk, walk.top[selected].start, walk.offset())
    walk.word()
    if walk.peek() == "(":
        raise NotWindowed(
            "the SELECT reads a subquery first; name the table to split into windows first"
        )
    table, reference = walk.table()
    read = next((each for each in reads if may_be_same(each, target)), None)
    if read is not None:
        raise NotWindowed(
            f"it reads the table it writes, {read.written}: later windows would read rows that earlier "
            "ones wrote. Use ON CONFLICT DO NOTHING to leave out rows that are there; if these are two "
            "tables, write both names with their schema"
        )
    return replace(_finished(walk, table, reference, frozenset()), functions=functions)


def _functions(walk: _Walk, start: int, end: int) -> frozenset[str]:
    """The functions that the selected list calls, except in its subqueries.

    Args:
        walk: The statement.
        start: Offset of the list.
        end: Offset of its end.

    Raises:
        NotWindowed: One is an aggregate or a window function.
    """
    found: set[str] = set()
    listed = [token for token in walk.all if start <= token.start < end]
    queries = 0
    depths: list[bool] = []
    for number, token in enumerate(listed):
        word = upper(token)
        next_word = upper(listed[number + 1]) if number + 1 < len(listed) else ""
        schema = bare(listed[number - 2]) if number > 1 and listed[number - 1].text == "." else None
        if word == "(":
            depths.append(next_word in ("SELECT", "WITH"))
            queries += depths[-1]
        elif word == ")" and depths:
            queries -= depths.pop()
        elif queries:
            continue
        elif schema is None and ((word in _AGGREGATES and next_word == "(") or word == "OVER"):
            raise NotWindowed(works_on_all(word))
        elif next_word == "(" and token.kind in (TokenKind.WORD, TokenKind.NAME):
            found.add(bare(token) if schema is None else f"{schema}.{bare(token)}")
    return frozenset(found)


def works_on_all(function: str) -> str:
    """Why a statement that calls an aggregate cannot be run window by window."""
    return f"{function} works on all rows at once: over windows it would give one result each"


def _assigned(walk: _Walk) -> frozenset[str]:
    """The columns of a SET list; the walk stops at the clause after it."""
    columns: set[str] = set()
    starts = True
    while walk.at < len(walk.top):
        token = walk.top[walk.at]
        word = upper(token)
        if word in ("FROM", "WHERE", "RETURNING") and not walk.continues():
            break
        if starts and token.text == "(":
            columns |= _in_parentheses(walk, token)
        elif starts and token.kind in (TokenKind.WORD, TokenKind.NAME):
            columns.add(bare(token))
        starts = token.text == ","
        walk.at += 1
    return frozenset(columns)


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


def _finished(walk: _Walk, table: Name, reference: str, assigned: frozenset[str]) -> Windowed:
    """Find WHERE and its end; refuse what comes after and does not fit."""
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
    return Windowed(walk.text, table.written, reference, assigned, where, end)


def _check_joins(walk: _Walk, start: int) -> None:
    """Refuse outer joins that keep rows without a partner in the table that is cut."""
    for token, after in pairwise(walk.top[start : walk.at]):
        if upper(token) in ("RIGHT", "FULL") and after.text != "(":  # RIGHT(…) is a function, too
            raise NotWindowed(
                f"a {upper(token)} JOIN keeps rows that belong to no window; write it as a LEFT JOIN of "
                "the table to split into windows"
            )


def _check_reads(walk: _Walk, table: Name) -> None:
    """Refuse a statement that also reads the table it writes: later windows would read changed rows."""
    read = next((each for each in walk.reads_besides() if may_be_same(each, table)), None)
    if read is not None:
        raise NotWindowed(
            f"it also reads {read.written}, the table it writes: later windows would read rows that "
            "earlier ones changed. Write what it reads there into another table first; if these are two "
            "tables, write both names with their schema"
        )


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
