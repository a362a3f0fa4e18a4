"""Reads a live schema: the questions of the pure package `_printing`, sent and answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..._backend.protocol import Command, Result
from ..._executor._async.session import AsyncSession
from ..._printing import cockroachdb, postgresql
from ..._printing.cockroachdb import catalog as cockroachdb_catalog
from ..._printing.objects import Printing
from ..._printing.postgresql import catalog as postgresql_catalog
from ..._sql.server_kind import ServerKind
from ...errors import DatabaseError

#: Between two questions an object may be dropped: what was there is asked again so often.
_TRIES = 5
_GONE = frozenset({"42P01", "42704", "42883"})


async def async_read_schema(
    session: AsyncSession, *, ledger: tuple[str, str], own: Iterable[tuple[str, str]]
) -> Printing:
    """Print the schema of the session's database.

    Args:
        session: A session on it.
        ledger: Schema and name of the ledger: its owner's objects are printed without an owner.
        own: Schema and name of the tables that are left out.

    Raises:
        DatabaseError: The server refused a question.
        ConnectionLost: The connection ended.
        Unprintable: Objects need each other in a circle.
    """
    if session.server.kind is ServerKind.POSTGRESQL:
        return await _read_postgresql(session, ledger, own)
    attempt = 0
    while True:
        attempt += 1
        try:
            return await _read_cockroachdb(session, ledger, own)
        except DatabaseError as error:
            if error.sqlstate not in _GONE or attempt == _TRIES:
                raise


async def _read_postgresql(
    session: AsyncSession, ledger: tuple[str, str], own: Iterable[tuple[str, str]]
) -> Printing:
    before = [Command(text) for text in postgresql_catalog.BEGIN_READING]
    questions = [Command(text) for text in postgresql_catalog.QUESTIONS.values()]
    owner = Command(postgresql_catalog.LEDGER_OWNER, ledger)
    results = await session.send(*before, *questions, owner, Command("COMMIT"))
    answers = results[len(before) :]
    rows = {
        name: _rows(result)
        for name, result in zip(postgresql_catalog.QUESTIONS, answers, strict=False)
    }
    (*_, owners, _) = results
    return postgresql.assemble(
        rows,
        server=session.server.name,
        own=own,
        ourselves=owners.rows[0][0] if owners.rows else None,
    )


async def _read_cockroachdb(
    session: AsyncSession, ledger: tuple[str, str], own: Iterable[tuple[str, str]]
) -> Printing:
    questions = cockroachdb_catalog.QUESTIONS
    results = await session.send(*map(Command, questions.values()))
    rows = {name: _rows(result) for name, result in zip(questions, results, strict=True)}
    for name, text in cockroachdb_catalog.OPTIONAL.items():
        results, refusal = await session.ask(Command(text, ledger if "$1" in text else ()))
        if refusal is not None and refusal.error.sqlstate not in cockroachdb_catalog.UNKNOWN:
            raise refusal.error
        rows[name] = [] if refusal else _rows(results[0])
    found = list(cockroachdb_catalog.creations(rows))
    certain = [text for answer, _, text in found if answer == "relations"]
    texts: dict[str, str | None] = {}
    if certain:
        printed = await session.send(*map(Command, certain))
        texts = {text: _created(result) for text, result in zip(certain, printed, strict=True)}
    for answer, _, text in found:
        if answer != "relations":
            results, refusal = await session.ask(Command(text))
            if refusal is not None and refusal.error.sqlstate not in cockroachdb_catalog.UNKNOWN:
                raise refusal.error
            texts[text] = None if refusal else _created(results[0])
    owners = rows["ledger_owner"]
    return cockroachdb.assemble(
        rows,
        [(answer, row, texts[text]) for answer, row, text in found],
        server=session.server.name,
        own=own,
        ourselves=owners[0]["role"] if owners else None,
    )


def _rows(result: Result) -> list[dict[str, Any]]:
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def _created(result: Result) -> str:
    """What SHOW CREATE printed; of a routine with several signatures, all of them."""
    column = result.columns.index("create_statement")
    return ";\n".join(row[column].rstrip().rstrip(";") for row in result.rows)
