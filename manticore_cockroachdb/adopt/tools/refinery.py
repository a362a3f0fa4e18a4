"""refinery: `V1__initial.sql` and `U2__late.sql`; U is an *up* migration that may come late.

https://github.com/rust-db/refinery: `refinery_core/src/runner.rs`. The checksum is SipHash-1-3 over name,
version and text.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from .. import checksums
from ..text import decode, described, number
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

NAME: Final = "refinery"
_FILE: Final = re.compile(r"(?:.*/)?([VU])([0-9]+)__(\w+)\.(sql|rs)")
_TABLE: Final = "refinery_schema_history"
_LAST: Final = 2**31 - 1


def recognize(folder: Folder) -> Recognition | None:
    """By names that Flyway uses too; a Rust project or a Rust migration tells them apart."""
    found = [match for match in map(_FILE.fullmatch, sorted(folder.files)) if match]
    if not found:
        return None
    rust = [match[0] for match in found if match[4] == "rs"]
    if rust:
        return Recognition(NAME, Sure.CERTAIN, f"{rust[0]} is a migration in Rust")
    sure = Sure.LIKELY if "Cargo.toml" in folder.around else Sure.POSSIBLE
    return Recognition(NAME, sure, f"{found[0][0]} is named as its files are")


def read(folder: Folder) -> Reading:
    """Read the files by version; those in Rust cannot be converted."""
    migrations: dict[int, TheirMigration] = {}
    problems: list[Remark] = []
    notes: list[Remark] = []
    for name in sorted(folder.files):
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        version, path = number(match[2]), folder.path(name)
        if version is None or version in migrations:
            problems.append(Remark(f"has version {match[2]} again, or one too large.", path))
            continue
        up: Sql | None = None
        sums: tuple[str, ...] = ()
        if match[4] == "sql":
            text = decode(path, folder.files[name])
            if isinstance(text, Remark):
                problems.append(text)
                continue
            up = Sql(text, path)
            sums = _checksums(match[3], version, folder.files[name])
        if match[1] == "U":
            message = (
                "U means 'may come late' in refinery, not 'down': it becomes an ordinary script."
            )
            notes.append(Remark(message, path))
        migrations[version] = TheirMigration(
            key=str(version),
            name=name,
            description=described(match[3]),
            number=version,
            up=up,
            why_not="" if up else "it is Rust",
            checksums=sums,
        )
    ordered = tuple(migrations[version] for version in sorted(migrations))
    return Reading(ordered, tuple(problems), (), tuple(notes))


def _checksums(name: str, version: int, raw: bytes) -> tuple[str, ...]:
    sql = raw.decode()
    narrow = (checksums.refinery(name, version, sql),) if version < 2**31 else ()
    return (*narrow, checksums.refinery(name, version, sql, wide=True))


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """A row for each version."""
    rows = sorted(found.rows.get(_TABLE, ()), key=lambda row: int(row["version"]))
    return TheirLedger(
        tuple(
            TheirRow(str(row["version"]), _time(row["applied_on"]), checksum=row["checksum"])
            for row in rows
            if row["name"] != MARK
        )
    )


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def guard(found: Found) -> Guard:
    """A row without a file."""
    table = found.names[_TABLE]
    return Guard(
        says=f"migration V{_LAST}__{MARK} is missing from the filesystem",
        set=(
            f"INSERT INTO {table} (version, name, applied_on, checksum) "
            f"VALUES ({_LAST}, '{MARK}', '1970-01-01T00:00:00Z', '0')"
        ),
        lift=f"DELETE FROM {table} WHERE version = {_LAST} AND name = '{MARK}'",
        is_set=any(row["name"] == MARK for row in found.rows[_TABLE]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="refinery",
    recognize=recognize,
    read=read,
    tables=(TheirTable(_TABLE, frozenset({"version", "name", "applied_on", "checksum"})),),
    read_ledger=read_ledger,
    guard=guard,
    remedies={Trouble.OUT_OF_ORDER: "Apply {name} with `refinery migrate`, or remove its file."},
)
