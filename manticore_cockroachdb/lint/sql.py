"""Pieces of SQL for safer forms, with the user's own names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .._model.naming import choose
from .._model.values import Expression, Index, Name, Table, quoted
from .rule import NEXT

#: Before a statement that writes many rows: it runs in windows over the primary key.
BATCHED: Final = "-- manticore: batch=5000"


def listed(columns: Iterable[str]) -> str:
    """Columns as a list in parentheses has them."""
    return ", ".join(map(quoted, columns))


def keys(index: Index) -> str:
    """The keys of an index as its parentheses have them."""
    shown = []
    for key in index.keys:
        text = quoted(key.column) if key.column is not None else _shown(key.expression)
        shown.append(f"{text} DESC" if key.descending else text)
    return ", ".join(shown)


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


def concurrently(statement: str, after: str) -> str:
    """A statement with CONCURRENTLY after one of its words."""
    at = statement.upper().find(after.upper())
    end = at + len(after)
    return f"{statement[:end]} CONCURRENTLY{statement[end:]};" if at >= 0 else f"{statement};"


def described(table: Table | None, name: Name) -> str:
    """A table in a message."""
    return str(table.name if table is not None else name)
