"""Statements about another tool's own tables: a new database will not have these tables. Pure."""

from __future__ import annotations

from collections.abc import Collection

from .._model.commands import AlterTable, CreateIndex, CreateTable, Drop, Rename, Truncate, Write
from .._model.reading import read
from .._model.values import Name
from .._sql.server_kind import ServerKind


def is_about(statement: str, own: Collection[str]) -> bool:
    """Whether a statement changes nothing but the tool's own tables.

    Args:
        statement: Without its semicolon.
        own: The names of those tables.
    """
    if not any(name in statement.lower() for name in own):  # nearly every statement
        return False
    changed = _changed(statement)
    return bool(changed) and all(name.name in own for name in changed)


def _changed(statement: str) -> tuple[Name, ...]:
    """The tables that a statement changes; none where it changes something else, or is not understood."""
    match read(statement, ServerKind.POSTGRESQL):
        case AlterTable(what="TABLE") | Rename(what="TABLE") | CreateTable() as found:
            return (found.name,)
        case CreateIndex() | Write() as found:
            return (found.table,)
        case Drop(what="TABLE", names=names):
            return names
        case Truncate(tables=tables):
            return tables
        case _:
            return ()
