"""The table `_migrations_repeatable`: one row for each repeatable script that was applied. Sends nothing.

A row's checksum is that of the text the database has. It is NULL where the script must run again whatever
its text is: it was begun and not finished, or a version that it may need was reverted since. To make a
script run again, people may delete its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from .._backend.protocol import Command, Result
from .._scripts.script import MigrationScript, ScriptKey
from ..errors import LedgerRefused
from .ledger import Tables

_COLUMNS = frozenset({"name", "checksum", "applied_at", "execution_ms", "applied_by"})


@dataclass(frozen=True, slots=True)
class RepeatableRow:
    """One repeatable script that was applied.

    Attributes:
        name: Its name, such as `R__active_users`.
        checksum: The checksum of its text when it was applied last; None: it must run again.
        applied_at: When that was, by the server's clock.
        execution_ms: How long it took, in milliseconds, where that was recorded.
        applied_by: Who applied it: host, pid and a random part, where that was recorded.
    """

    name: str
    checksum: str | None
    applied_at: datetime | None
    execution_ms: int | None = None
    applied_by: str | None = None

    @property
    def key(self) -> ScriptKey:
        """What the script is called: its name."""
        return self.name

    def holds(self, script: MigrationScript) -> bool:
        """Whether the script is applied as it is now."""
        return self.checksum == script.checksum


def by_name(rows: tuple[RepeatableRow, ...]) -> Mapping[ScriptKey, RepeatableRow]:
    """The rows by what their scripts are called."""
    return {row.name: row for row in rows}


def create_repeatables(tables: Tables) -> Command:
    """The table, unless it is there."""
    return Command(
        f"CREATE TABLE IF NOT EXISTS {tables.repeatable} ("
        "name TEXT PRIMARY KEY, checksum TEXT, applied_at TIMESTAMPTZ NOT NULL DEFAULT now(), "
        "execution_ms INT8, applied_by TEXT)"
    )


def read_repeatables(tables: Tables) -> Command:
    """Every row."""
    return Command(f"SELECT * FROM {tables.repeatable}")


def repeatable_rows(tables: Tables, result: Result) -> tuple[RepeatableRow, ...]:
    """What `read_repeatables` answered, by name.

    Raises:
        LedgerRefused: The table has other columns.
    """
    if set(result.columns) != _COLUMNS:
        odd = ", ".join(map(repr, sorted(_COLUMNS ^ set(result.columns))))
        raise LedgerRefused(
            f"The table {tables.repeatable_place} is not Manticore's table of repeatable scripts: its "
            f"columns differ ({odd}). Give this project its own tables (the `table` argument, or TABLE "
            "in the MANTICORE setting), or rename that one."
        )
    rows = (RepeatableRow(**dict(zip(result.columns, row, strict=True))) for row in result.rows)
    return tuple(sorted(rows, key=lambda row: row.name))
