"""Which version each migration gets: its own number wherever that is possible."""

from __future__ import annotations

from collections.abc import Sequence

from .values import TheirMigration


def numbered(migrations: Sequence[TheirMigration]) -> list[int]:
    """The versions for migrations in the order in which they run.

    A whole number from 1 is kept, timestamps too. One that is repeated, dotted, missing or out of order
    gets the next number after the one before it, so that the order stays and most numbers do too. Where
    nothing is numbered the versions are 1, 2, 3.
    """
    found: list[int] = []
    last = 0
    for migration in migrations:
        own = migration.number or 0
        last = own if own > last else last + 1
        found.append(last)
    return found
