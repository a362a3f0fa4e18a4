"""Pieces of SQL for safer forms, with the user's own names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .._model.naming import choose
from .._model.values import Expression, Index, Name, Table, quoted
from .._sql.lexer import TokenKind, tokens
from .._sql.tokens import upper
from .rule import NEXT

#: Before a statement that writes many rows: it runs in windows over the primary key.
BATCHED: Final = "-- manticore: batch=5000"


def listed(columns: Iterable[str]) -> str:
    """Columns as a list in parentheses has them."""
    return ", ".join(map(quoted, columns))


def keys(index: Index) -> str:
    """What an index compares, as its parentheses have it, without the order."""
    return ", ".join(each_key(index))


def each_key(index: Index) -> list[str]:
    """What an index compares, key by key, without the order."""
    shown = []
    for one in index.keys:
        text = quoted(one.column) if one.column is not None else _shown(one.expression)
        shown.append(f"{text} {one.collation}".rstrip())
    return shown


def _shown(expression: Expression | None) -> str:
    return f"({expression.text})" if expression is not None else ""


def name_for(table: Name, columns: Iterable[str], label: str) -> str:
    """A name for an index or a constraint, quoted where it needs to be."""
    return quoted(choose(table.name, "_".join(columns), label, lambda _: True))


def scripts(*parts: str) -> str:
    """Scripts to run in this order."""
    return f"\n{NEXT}\n".join(parts)


def filled(table: object, column: str, value: str) -> str:
    """The statement that fills a column in the rows that are there, in batches.

    Args:
        table: The table, as SQL takes it.
        column: The column, as SQL takes it.
        value: What it is set to.
    """
    return f"{BATCHED}\nUPDATE {table} SET {column} = {value} WHERE {column} IS NULL;"


def allowed(rule: str, reason: str, statement: str) -> str:
    """A statement with the allowance that accepts it."""
    return f"-- manticore: allow={rule} {reason}\n{statement};"


def literal(text: str) -> str:
    """A text as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def put_in(statement: str, after: str, added: str) -> str | None:
    """A statement with something added after one of its words; None where it has no such word."""
    for token in tokens(statement):
        if token.kind is TokenKind.WORD and upper(token) == after:
            return f"{statement[: token.end]} {added}{statement[token.end :]};"
    return None


def described(table: Table | None, name: Name) -> str:
    """A table in a message."""
    return str(table.name if table is not None else name)
