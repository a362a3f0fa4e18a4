"""Supabase: `supabase/migrations/20260301120000_add_users.sql`; no down files.

https://github.com/supabase/cli: `pkg/migration`. The ledger keeps the statements that ran, so a file can be
compared with them.
"""

from __future__ import annotations

import re
from typing import Final

from ..text import decode, described, names, number
from ..tool import Tool
from ..values import (
    MARK,
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
from ..wording import fingerprint

NAME: Final = "supabase"
_FILE: Final = re.compile(r"([0-9]{14})_(.*)\.sql")
_TABLE: Final = "schema_migrations"
_GUARD: Final = "99991231235959"


def recognize(folder: Folder) -> Recognition | None:
    """By where the folder is."""
    found = [
        name for name, _ in names(folder, _FILE) if not name.endswith((".up.sql", ".down.sql"))
    ]
    if not found:
        return None
    if folder.root.resolve().parts[-2:] == ("supabase", "migrations"):
        return Recognition(NAME, Sure.CERTAIN, "the folder is supabase/migrations")
    if "config.toml" in folder.around and "seed.sql" in folder.around:
        return Recognition(NAME, Sure.LIKELY, "config.toml and seed.sql are beside it")
    if "atlas.sum" in folder.files:
        return None
    return Recognition(NAME, Sure.POSSIBLE, f"{found[0]} is named as its files are")


def read(folder: Folder) -> Reading:
    """Read the files by name."""
    migrations: list[TheirMigration] = []
    problems: list[Remark] = []
    for name, match in names(folder, _FILE):
        path = folder.path(name)
        text = decode(path, folder.files[name])
        if isinstance(text, Remark):
            problems.append(text)
            continue
        migrations.append(
            TheirMigration(
                key=match[1],
                name=name,
                description=described(match[2]),
                number=number(match[1]),
                up=Sql(text, path),
                checksums=(fingerprint(text),),
            )
        )
    return Reading(tuple(migrations), tuple(problems))


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """A row for each version, with the statements that ran."""
    applied = []
    for row in found.rows.get(_TABLE, ()):
        if row["version"] == _GUARD:
            continue
        statements = row["statements"]
        ran = fingerprint("\n;\n".join(statements)) if statements else None
        applied.append(TheirRow(str(row["version"]), checksum=ran))
    return TheirLedger(tuple(applied))


def guard(found: Found) -> Guard:
    """A row without a file."""
    table = found.names[_TABLE]
    return Guard(
        says="Remote migration versions not found in local migrations directory.",
        set=f"INSERT INTO {table} (version, name) VALUES ('{_GUARD}', '{MARK}')",
        lift=f"DELETE FROM {table} WHERE version = '{_GUARD}'",
        is_set=any(row["version"] == _GUARD for row in found.rows[_TABLE]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="Supabase",
    recognize=recognize,
    read=read,
    tables=(
        TheirTable(
            _TABLE,
            frozenset({"version", "statements", "name"}),
            schemas=("supabase_migrations",),
            order="version",
        ),
    ),
    read_ledger=read_ledger,
    guard=guard,
    remedies={
        Trouble.CHANGED: "Restore the file of {name}: its statements differ from those that ran.",
        Trouble.MISSING_FILE: "Restore the file of {name} with `supabase migration fetch`.",
        Trouble.OUT_OF_ORDER: "Apply {name} with `supabase db push --include-all`, or remove its file.",
    },
)
