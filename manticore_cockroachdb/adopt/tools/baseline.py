"""Tools whose migrations are programs: the schema as it is becomes one script.

Django and knex have their own ledgers, which are looked at for locks; `baseline` is for any other tool.
What the migrations did cannot be read from programs, so the live schema is printed, and the script that is
made of it is recorded as applied.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ..tool import Tool
from ..values import (
    Finding,
    Folder,
    Found,
    Guard,
    Reading,
    Recognition,
    Remark,
    Sql,
    Sure,
    TheirLedger,
    TheirMigration,
    TheirRow,
    TheirTable,
    Trouble,
)

_KEY: Final = "baseline"
_KNEX: Final = "knex_migrations"
_KNEX_LOCK: Final = "knex_migrations_lock"
_DJANGO: Final = "django_migrations"
_DJANGO_FILE: Final = re.compile(r"(?:.*/)?[0-9]{4}_\w+\.py")
_KNEX_FILE: Final = re.compile(r"[0-9]{8,}_\w+\.(?:js|ts|cjs|mjs)")


def reading(text: str, source: Path) -> Reading:
    """One migration from a printed schema."""
    printed = TheirMigration(
        key=_KEY,
        name="the schema as it is",
        description="baseline",
        number=1,
        up=Sql(text, source),
    )
    return Reading((printed,))


def _no_files(folder: Folder) -> Reading:
    message = "its migrations are programs: they are read from the database, not from files."
    return Reading(problems=(Remark(message, folder.root),))


def _recognize_django(folder: Folder) -> Recognition | None:
    found = [name for name in sorted(folder.files) if _DJANGO_FILE.fullmatch(name)]
    if not found or "__init__.py" not in folder.files:
        return None
    return Recognition("django", Sure.CERTAIN, f"{found[0]} is a migration in Python")


def _recognize_knex(folder: Folder) -> Recognition | None:
    found = [name for name in sorted(folder.files) if _KNEX_FILE.fullmatch(name)]
    beside = [name for name in sorted(folder.around) if name.startswith("knexfile.")]
    if not found or not beside:
        return None
    return Recognition("knex", Sure.CERTAIN, f"{beside[0]} is beside it")


def _read_ledger(_found: Found, _reading: Reading) -> TheirLedger:
    """What was printed is there."""
    return TheirLedger((TheirRow(_KEY),))


def _read_knex(found: Found, read: Reading) -> TheirLedger:
    """The same; the lock's row says whether a run is active."""
    locked = [row for row in found.rows.get(_KNEX_LOCK, ()) if row["is_locked"]]
    findings: tuple[Finding, ...] = ()
    if locked:
        message = f"{found.labels[_KNEX_LOCK]} says that a run is active."
        findings = (Finding(Trouble.LOCKED, message, KNEX.remedy(Trouble.LOCKED)),)
    return TheirLedger(_read_ledger(found, read).applied, findings)


def _guard_knex(found: Found) -> Guard | None:
    """Its own lock."""
    table = found.names.get(_KNEX_LOCK)
    if table is None:
        return None
    return Guard(
        says="MigrationLocked: Migration table is already locked",
        set=f"UPDATE {table} SET is_locked = 1",
        lift=f"UPDATE {table} SET is_locked = 0",
        is_set=any(row["is_locked"] for row in found.rows[_KNEX_LOCK]),
        unmistakable=False,
    )


KNEX: Final = Tool(
    name="knex",
    title="knex",
    recognize=_recognize_knex,
    read=_no_files,
    tables=(
        TheirTable(_KNEX, frozenset({"id", "name", "batch", "migration_time"})),
        TheirTable(_KNEX_LOCK, frozenset({"is_locked"}), required=False),
    ),
    read_ledger=_read_knex,
    guard=_guard_knex,
    prints=True,
    remedies={
        Trouble.LOCKED: "Wait for that run to end. If it is dead, run `knex migrate:unlock`.",
    },
)
DJANGO: Final = Tool(
    name="django",
    title="Django",
    recognize=_recognize_django,
    read=_no_files,
    tables=(TheirTable(_DJANGO, frozenset({"app", "name", "applied"})),),
    read_ledger=_read_ledger,
    prints=True,
    # The tables of Django's own apps stay with Django's migrations.
    ignore=("* *.auth_*", "* *.django_*"),
)
BASELINE: Final = Tool(
    name="baseline",
    title="the tool before",
    recognize=lambda _folder: None,
    read=_no_files,
    read_ledger=_read_ledger,
    prints=True,
)
