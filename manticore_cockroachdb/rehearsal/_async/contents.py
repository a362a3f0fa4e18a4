"""Reads the rows of tables: the questions of the pure module `contents`, sent and answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..._backend.protocol import Command
from ..._backend.settings import ConnectionSettings
from ..._executor._async.session import AsyncSession
from ..._executor.options import new_owner
from ..._sql.server_kind import ServerKind
from ...errors import RehearsalRefused
from .. import contents
from ..contents import Contents, TableRows


async def async_sequence_names(settings: ConnectionSettings) -> tuple[str, ...]:
    """The names of every sequence of a database, those of identity columns among them."""
    session = await AsyncSession.open(settings, f"{new_owner()}/rows")
    try:
        kind = session.server.kind
        (listed,) = await session.send(contents.sequences_question(kind))
        return tuple(contents.sequences_of(kind, listed.rows))
    finally:
        await session.close()


async def async_read_contents(
    settings: ConnectionSettings,
    tables: Sequence[str],
    own: Iterable[str],
    *,
    most_rows: int | None,
) -> Contents:
    """Read what tables and sequences hold.

    Args:
        settings: The database.
        tables: The tables, as a printing names them.
        own: Names of sequences that are left out.
        most_rows: How many rows there may be in all; None means no limit.

    Raises:
        RehearsalRefused: There are more.
        DatabaseError: The server refused a question.
    """
    session = await AsyncSession.open(settings, f"{new_owner()}/rows")
    try:
        kind = session.server.kind
        await session.send(*contents.settings(kind))
        described, listed = await session.send(
            contents.columns_question(kind), contents.sequences_question(kind)
        )
        columns = contents.columns_of(kind, described.rows, tables)
        left_out = set(own)
        sequences = {
            name: at
            for name, at in contents.sequences_of(kind, listed.rows).items()
            if name not in left_out
        }
        found = await _rows(session, kind, tables, columns, most_rows)
        positions = [contents.position_question(name) for name in sequences]
        answers = await session.send(*positions) if positions else []
        standing = (
            contents.position(name, *at, answer.rows[0])
            for (name, at), answer in zip(sequences.items(), answers, strict=True)
        )
        if kind is ServerKind.POSTGRESQL:
            await session.send(Command("COMMIT"))
        return Contents(tuple(found), tuple(each for each in standing if each is not None))
    finally:
        await session.close()


async def _rows(
    session: AsyncSession,
    kind: ServerKind,
    tables: Sequence[str],
    columns: dict[str, list[contents.Column]],
    most_rows: int | None,
) -> list[TableRows]:
    if not tables:
        return []
    counted = await session.send(*(contents.count_question(kind, name) for name in tables))
    counts = {
        name: answer.rows[0][0]
        for name, answer in zip(tables, counted, strict=True)
        if answer.rows[0][0]
    }
    problem = contents.unreadable(kind, counts, columns)
    if problem is not None:
        raise RehearsalRefused(
            f"A checkpoint cannot hold every row: {problem}. No file was written."
        )
    total = sum(counts.values())
    if most_rows is not None and total > most_rows:
        raise RehearsalRefused(
            f"The scripts insert {total} rows ({contents.most(counts)}). A checkpoint holds {most_rows} "
            "at most, because it is a file that people read. Allow more with --max-rows (max_rows=… in "
            "the library), or squash to a version before the script that inserts them. No file was "
            "written."
        )
    if not counts:
        return []
    answers = await session.send(
        *(contents.rows_question(kind, name, columns[name]) for name in counts)
    )
    return [
        TableRows(name, tuple(columns[name]), contents.in_order(answer.rows))
        for name, answer in zip(counts, answers, strict=True)
    ]
