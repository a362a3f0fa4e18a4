"""Asks the data: each question in a separate read-only transaction, bounded by time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..async_database import AsyncDatabase
from ..errors import ConnectionFailed, ConnectionLost, DatabaseError
from .probes import Answer, Probe

#: Seconds a question may take.
DEFAULT_SECONDS: Final = 30.0
#: The table is not there.
_NO_TABLE: Final = "42P01"
#: The class of errors that name a value: invalid text for a number, division by zero.
_DATA: Final = "22"


async def ask_data(
    db: AsyncDatabase, questions: Iterable[Probe], *, seconds: float = DEFAULT_SECONDS
) -> tuple[Answer, ...]:
    """Ask every question, one at a time.

    Needs SELECT on the tables that are asked, and nothing else.

    Args:
        db: The database.
        questions: What `probes` returned.
        seconds: How long each may take; one that takes longer is answered with the server's error.

    Raises:
        ConnectionFailed: No connection, or it was lost.
    """
    return tuple([await _ask(db, one, seconds) for one in questions])


async def _ask(db: AsyncDatabase, question: Probe, seconds: float) -> Answer:
    # One text without parameters goes as one message: whatever fails, the server ends it all.
    text = (
        f"BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = {int(seconds * 1000)}; "
        f"{question.query}; COMMIT"
    )
    try:
        rows = await db.execute(text)
    except ConnectionLost as error:
        raise ConnectionFailed(str(error)) from error
    except DatabaseError as error:
        return Answer(question, error=_said(error), is_gone=error.sqlstate == _NO_TABLE)
    return Answer(question, tuple(rows))


def _said(error: DatabaseError) -> str:
    """The server's words; of an error about a value, which they would show, only the code."""
    code = error.sqlstate or ""
    if code.startswith(_DATA):
        return f"the server cannot compute it for a row that is there (SQLSTATE {code})."
    return str(error)
