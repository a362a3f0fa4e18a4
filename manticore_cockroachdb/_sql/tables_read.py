"""The tables that a data statement reads, at any depth: what FROM, JOIN, USING and TABLE name. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .lexer import Token, TokenKind
from .tokens import Name, bare, upper, word_set

#: Words after which no table is named until the next FROM.
_ENDS_LIST = word_set(
    "WHERE SELECT VALUES SET RETURNING GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH FOR UNION INTERSECT "
    "EXCEPT"
)
#: Words that may be between FROM and a table's name.
_BETWEEN = word_set("ONLY LATERAL")
#: How a query in parentheses begins; a FROM in other parentheses belongs to a function: EXTRACT(… FROM …).
_QUERY = word_set("SELECT WITH VALUES TABLE (")


@dataclass(slots=True)
class _Level:
    """What is in one pair of parentheses.

    Attributes:
        is_query: Whether tables can be named there.
        lists: Whether a list of tables continues there: another one follows a comma.
        expects: Whether a table is named next.
    """

    is_query: bool
    lists: bool = False
    expects: bool = False


def tables_read(found: Sequence[Token], start: int) -> Iterator[Name]:
    """The tables that a statement reads.

    Args:
        found: All its tokens.
        start: The number of the token to begin with, outside parentheses.
    """
    levels = [_Level(is_query=True)]
    at = start
    while at < len(found):
        token, level = found[at], levels[-1]
        word = upper(token)
        if word == "(":
            after = upper(found[at + 1]) if at + 1 < len(found) else ""
            levels.append(_Level(level.expects or after in _QUERY, level.expects, level.expects))
            level.expects = False
        elif word == ")":
            if len(levels) > 1:
                levels.pop()
        elif level.is_query and level.expects and _is_name(token) and word not in _BETWEEN:
            if word in _QUERY or word in _ENDS_LIST:
                level.lists = level.expects = False
            else:
                name, at = _name(found, at)
                level.expects = False
                if at >= len(found) or found[at].text != "(":
                    yield name
                continue
        elif level.is_query:
            _step(level, word, found[at - 1] if at else None)
        at += 1


def _step(level: _Level, word: str, before: Token | None) -> None:
    if before is not None and before.text == ".":
        return
    match word:
        case "FROM" | "USING" if before is None or upper(before) != "DISTINCT":
            level.lists = level.expects = True
        case "JOIN" | "TABLE":
            level.expects = True
        case ",":
            level.expects = level.lists
        case _ if word in _ENDS_LIST:
            level.lists = level.expects = False


def _is_name(token: Token) -> bool:
    return token.kind in (TokenKind.WORD, TokenKind.NAME)


def _name(found: Sequence[Token], at: int) -> tuple[Name, int]:
    """The name that begins at a token, and the number of the token after it."""
    parts = [found[at]]
    at += 1
    while at + 1 < len(found) and found[at].text == "." and _is_name(found[at + 1]):
        parts.append(found[at + 1])
        at += 2
    return Name(".".join(each.text for each in parts), tuple(bare(each) for each in parts)), at


def may_be_same(one: Name, other: Name) -> bool:
    """Whether two names can mean one table: as far as both are qualified, they agree."""
    return all(a == b for a, b in zip(reversed(one.parts), reversed(other.parts), strict=False))
