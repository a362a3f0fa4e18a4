"""Prisma Migrate: `20260301120000_add_users/migration.sql`, beside `migration_lock.toml`; no down files.

https://github.com/prisma/prisma-engines: `schema-engine`. The ledger's checksum is SHA-256 of the file. A
row with neither `finished_at` nor `rolled_back_at` is a failed or running migration.
"""

from __future__ import annotations

import re
from typing import Final

from .. import checksums
from ..text import decode, described, number
from ..tool import Tool
from ..values import (
    MARK,
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

NAME: Final = "prisma"
_FILE: Final = re.compile(r"((?:([0-9]+)[_-])?([^/]*))/migration\.sql")
_LOCK_FILE: Final = "migration_lock.toml"
_TABLE: Final = "_prisma_migrations"
#: `schema-engine`, `sql-schema-connector`, `flavour/postgres`.
_LOCK_ID: Final = 72707369


def recognize(folder: Folder) -> Recognition | None:
    """By a `migration.sql` in a folder for each migration."""
    found = [name for name in sorted(folder.files) if _FILE.fullmatch(name)]
    if not found:
        return None
    if _LOCK_FILE in folder.files:
        return Recognition(NAME, Sure.CERTAIN, f"{_LOCK_FILE} is there")
    return Recognition(NAME, Sure.LIKELY, f"{found[0]} is named as its files are")


def read(folder: Folder) -> Reading:
    """Read the folders by name."""
    migrations: list[TheirMigration] = []
    problems: list[Remark] = []
    lock = folder.files.get(_LOCK_FILE, b"").decode(errors="replace")
    provider = re.search(r'^\s*provider\s*=\s*"(\w+)"', lock, re.MULTILINE)
    if provider and provider[1] not in ("postgresql", "postgres", "cockroachdb"):
        message = f"is for {provider[1]}, which Manticore does not run on."
        problems.append(Remark(message, folder.path(_LOCK_FILE)))
    for name in sorted(folder.files):
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        path, raw = folder.path(name), folder.files[name]
        text = decode(path, raw)
        if isinstance(text, Remark):
            problems.append(text)
            continue
        migrations.append(
            TheirMigration(
                key=match[1],
                name=match[1],
                description=described(match[3]),
                number=number(match[2]) if match[2] else None,
                up=Sql(text, path),
                checksums=_checksums(raw),
            )
        )
    return Reading(tuple(migrations), tuple(problems))


def _checksums(raw: bytes) -> tuple[str, ...]:
    """Line ends may be either: Prisma accepts both."""
    unix = raw.replace(b"\r\n", b"\n")
    texts = dict.fromkeys((raw, unix, unix.replace(b"\n", b"\r\n")))
    return tuple(checksums.sha256(text) for text in texts)


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """A row for each try; those that were rolled back do not count."""
    applied, findings = [], []
    for row in found.rows.get(_TABLE, ()):
        name = str(row["migration_name"])
        if name == MARK or row["rolled_back_at"] is not None:
            continue
        if row["finished_at"] is None:
            message = f"{name} was started and not finished."
            findings.append(
                Finding(
                    Trouble.PARTIALLY_APPLIED, message, TOOL.remedy(Trouble.PARTIALLY_APPLIED, name)
                )
            )
            continue
        took = (row["finished_at"] - row["started_at"]).total_seconds()
        applied.append(
            TheirRow(
                name,
                row["finished_at"],
                execution_ms=max(0, round(took * 1000)),
                checksum=row["checksum"],
            )
        )
    return TheirLedger(tuple(applied), tuple(findings))


def guard(found: Found) -> Guard:
    """A row that was started and not finished."""
    table = found.names[_TABLE]
    return Guard(
        says="Error: P3009 migrate found failed migrations in the target database, new migrations will "
        "not be applied.",
        set=(
            f"INSERT INTO {table} (id, checksum, migration_name, logs) "
            f"VALUES ('{MARK}', '', '{MARK}', 'adopted by Manticore')"
        ),
        lift=f"DELETE FROM {table} WHERE id = '{MARK}'",
        is_set=any(row["id"] == MARK for row in found.rows[_TABLE]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="Prisma",
    recognize=recognize,
    read=read,
    tables=(
        TheirTable(
            _TABLE,
            frozenset({"migration_name", "checksum", "finished_at", "rolled_back_at"}),
            order="started_at",
        ),
    ),
    read_ledger=read_ledger,
    guard=guard,
    lock_ids=lambda _database, _schema: (_LOCK_ID,),
    remedies={
        Trouble.PARTIALLY_APPLIED: "See what of {name} took effect, finish or revert it by hand, "
        "and record that with `prisma migrate resolve --applied {name}` or `--rolled-back {name}`.",
        Trouble.OUT_OF_ORDER: "Apply {name} with `prisma migrate deploy`, or remove its folder.",
    },
)
