# Generated from _async/rows.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Writes the rows of seeds to a scratch database, and reads what its tables hold."""

from __future__ import annotations

from ..._backend.protocol import Command
from ..._backend.settings import ConnectionSettings
from ..._executor._sync.session import Session
from ..._executor.options import new_owner
from ..._printing.objects import Kind, Printing
from ...errors import DatabaseError, RehearsalRefused
from ..rows import Rows, hash_of
from ..seeds import Seed


def sow(settings: ConnectionSettings, seed: Seed, version: int) -> None:
    """Insert the rows that are to be there before a script.

    Args:
        settings: The scratch database.
        seed: The rows.
        version: The script's version.

    Raises:
        RehearsalRefused: The server refused them.
    """
    session = Session.open(settings, f"{new_owner()}/seed")
    try:
        for statement in seed.rows:
            try:
                session.run(statement.text)
            except DatabaseError as error:
                raise RehearsalRefused(
                    f"{seed.path.name}:{statement.line}: the seed for version {version} "
                    f"failed: {error}. The database was not changed."
                ) from error
    finally:
        session.close()


def failed_assertions(settings: ConnectionSettings, seed: Seed) -> tuple[str, ...]:
    """The assertions that do not hold, in words.

    Args:
        settings: The scratch database.
        seed: The assertions.
    """
    if not seed.assertions:
        return ()
    found: list[str] = []
    session = Session.open(settings, f"{new_owner()}/assert")
    try:
        for statement in seed.assertions:
            results, refusal = session.ask(Command(statement.text))
            where = f"{seed.path.name}:{statement.line}"
            if refusal is not None:
                found.append(f"{where}: {refusal.error}")
            elif not results[0].rows:
                found.append(f"{where}: returned no row: {statement.text}")
            elif not all(row[0] is True for row in results[0].rows):
                found.append(f"{where}: returned {results[0].rows[0][0]!r}: {statement.text}")
    finally:
        session.close()
    return tuple(found)


def read_rows(settings: ConnectionSettings, printing: Printing) -> Rows:
    """Of each table: how many rows it has, and a hash of them.

    Args:
        settings: The scratch database.
        printing: Its schema.
    """
    names = _tables(printing)
    if not names:
        return {}
    session = Session.open(settings, f"{new_owner()}/rows")
    try:
        results = session.send(*(Command(f"SELECT * FROM {name}") for name in names))
    finally:
        session.close()
    return {
        name: (len(result.rows), hash_of(result.rows))
        for name, result in zip(names, results, strict=True)
    }


def count_rows(settings: ConnectionSettings, printing: Printing) -> dict[str, int]:
    """How many rows each table has.

    Args:
        settings: The scratch database.
        printing: Its schema.
    """
    names = _tables(printing)
    if not names:
        return {}
    session = Session.open(settings, f"{new_owner()}/rows")
    try:
        results = session.send(*(Command(f"SELECT count(*) FROM {name}") for name in names))
    finally:
        session.close()
    return {name: result.rows[0][0] for name, result in zip(names, results, strict=True)}


def _tables(printing: Printing) -> list[str]:
    return [name.name for name in printing.objects if name.kind == Kind.TABLE.value]
