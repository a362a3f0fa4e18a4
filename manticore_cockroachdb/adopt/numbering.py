"""Which version each migration gets: its own number wherever that is possible."""

from __future__ import annotations

from collections.abc import Sequence

from .._scripts.filenames import read_name
from .values import TheirMigration


def is_repeatable(migration: TheirMigration) -> bool:
    """Whether a migration becomes a repeatable script: one whose file is named as ours are."""
    name = read_name(migration.name)
    return migration.repeatable and name is not None and name.is_repeatable


def numbered(migrations: Sequence[TheirMigration]) -> list[int]:
    """The versions for migrations in the order in which they run.

    A whole number from 1 is kept, timestamps too. One that is repeated, dotted, missing or out of order
    gets the next number after the one before it, so that the order stays and most numbers do too. Where
    nothing is numbered the versions are 1, 2, 3. A repeatable script has none, which is 0 here.
    """
    found: list[int] = []
    last = 0
    for migration in migrations:
        if is_repeatable(migration):
            found.append(0)
            continue
        own = migration.number or 0
        last = own if own > last else last + 1
        found.append(last)
    return found
