"""CockroachDB's answers into a printing. Pure: rows in, objects and ordered statements out.

How it works: `SHOW CREATE` of a table is cut into its elements (columns, constraints, indexes, families).
Foreign keys, and constraints that are not validated, become separate statements, so that any order of
tables will do; indexes are sorted, because the server prints them in the order of their ids. Names are
freed of the database they were read in. What a view or a routine needs is found by the qualified names in
its text: those the server always writes out.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..names import Row
from ..objects import Printing
from .assembly import Assembly, Rows
from .texts import qualified

__all__ = ["assemble", "qualified"]


def assemble(
    rows: Rows,
    created: Iterable[tuple[str, Row, str | None]],
    *,
    server: str,
    own: Iterable[tuple[str, str]] = (),
    ourselves: str | None = None,
) -> Printing:
    """A printing from what the server answered.

    Args:
        rows: The answers, by the names of `catalog.QUESTIONS` and `OPTIONAL`.
        created: For each of `catalog.creations`: where it stands, its row, and what SHOW
            CREATE printed; None where the server does not know how to.
        server: The server's kind and version.
        own: Schema and name of tables that are left out, with all that belongs to them.
        ourselves: The role that owns what has no OWNER statement; None: the session's user.
    """
    return Assembly(rows, frozenset(own), ourselves).printing(created, server)
