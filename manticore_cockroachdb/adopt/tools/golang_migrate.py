"""golang-migrate: `7_add_users.up.sql` and `….down.sql`; a ledger of one row, `version` and `dirty`.

https://github.com/golang-migrate/migrate: `source/parse.go`, `database/postgres`, `database/cockroachdb`.
The ledger holds only the last version, so every file up to it counts as applied. The CockroachDB driver
locks with a row in `schema_lock`; the PostgreSQL one with an advisory lock.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from ..templates import is_template
from ..text import decode, described, names, number
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

NAME: Final = "golang-migrate"
_FILE: Final = re.compile(r"([0-9]+)_(.*)\.(up|down)\.(.+)")
_TABLE: Final = "schema_migrations"
_LOCK: Final = "schema_lock"
#: golang-migrate has -1 for no version.
_STOPPED: Final = -2


def recognize(folder: Folder) -> Recognition | None:
    """By the names `….up.sql` and `….down.sql`, which sqlx uses too, and pop for its templates."""
    found = [name for name, match in names(folder, _FILE) if match[4] == "sql"]
    if not found:
        return None
    template = any(
        b"{{" in folder.files[name] and is_template(folder.files[name].decode(errors="replace"))
        for name in found
    )
    elsewhere = template or "atlas.sum" in folder.files or "Cargo.toml" in folder.around
    sure = Sure.POSSIBLE if elsewhere else Sure.LIKELY
    return Recognition(NAME, sure, f"{found[0]} is named as its files are")


def read(folder: Folder) -> Reading:
    """Pair the files; one that is not SQL is a migration that cannot be converted."""
    ups: dict[int, tuple[str, re.Match[str]]] = {}
    downs: dict[int, str] = {}
    problems: list[Remark] = []
    left: list[Remark] = []
    for name, match in names(folder, _FILE):
        version = number(match[1])
        path = folder.path(name)
        if version is None:
            problems.append(Remark("its version is beyond what a ledger can hold.", path))
        elif match[3] == "up" and version in ups:
            message = f"is version {version}, and so is {ups[version][0]}. Renumber one of them."
            problems.append(Remark(message, path))
        elif match[3] == "up":
            ups[version] = (name, match)
        elif version in downs:
            message = f"is the down file of version {version}, and so is {downs[version]}."
            problems.append(Remark(message, path))
        else:
            downs[version] = name
    migrations = []
    for version in sorted(ups):
        name, match = ups[version]
        up = _sql(folder, name, problems)
        if up is None and name.endswith(".sql"):
            continue  # it cannot be decoded, which is among the problems
        down = _sql(folder, downs[version], problems) if version in downs else None
        migrations.append(
            TheirMigration(
                key=str(version),
                name=name,
                description=described(match[2]),
                number=version,
                up=up,
                down=down,
                why_not="" if up else f"it is {match[4]}, not SQL",
            )
        )
    left += [
        Remark("is a down file without an up file.", folder.path(name))
        for version, name in downs.items()
        if version not in ups
    ]
    return Reading(tuple(migrations), tuple(problems), tuple(left))


def _sql(folder: Folder, name: str, problems: list[Remark]) -> Sql | None:
    if not name.endswith(".sql"):
        return None
    path = folder.path(name)
    text = decode(path, folder.files[name])
    if isinstance(text, Remark):
        problems.append(text)
        return None
    return Sql(text, path)


def read_ledger(found: Found, reading: Reading) -> TheirLedger:
    """Every file up to the one version in the table."""
    findings = []
    if found.rows.get(_LOCK):
        message = f"{found.labels[_LOCK]} holds a lock."
        findings.append(Finding(Trouble.LOCKED, message, TOOL.remedy(Trouble.LOCKED)))
    rows = found.rows.get(_TABLE, ())
    if not rows:
        return TheirLedger(findings=tuple(findings))
    if len(rows) > 1:
        message = f"{found.labels[_TABLE]} has {len(rows)} rows, and golang-migrate keeps one."
        remedy = TOOL.remedy(Trouble.UNREADABLE)
        return TheirLedger(findings=(*findings, Finding(Trouble.UNREADABLE, message, remedy)))
    version = int(rows[0]["version"])
    if version == _STOPPED:
        return TheirLedger(findings=tuple(findings))
    if rows[0]["dirty"]:
        message = f"Version {version} is dirty: its run failed in the middle."
        remedy = TOOL.remedy(Trouble.PARTIALLY_APPLIED, str(version))
        findings.append(Finding(Trouble.PARTIALLY_APPLIED, message, remedy))
    applied = [m.key for m in reading.migrations if m.number is not None and m.number <= version]
    if version >= 0 and str(version) not in applied:
        applied.append(str(version))
    return TheirLedger(tuple(TheirRow(key) for key in applied), tuple(findings))


def guard(found: Found) -> Guard:
    """Its own dirty flag; an empty table gets a row for it, of a version that it never writes."""
    table, rows = found.names[_TABLE], found.rows[_TABLE]
    is_empty = all(int(row["version"]) == _STOPPED for row in rows)
    return Guard(
        says="Dirty database version N. Fix and force version.",
        set=(
            f"INSERT INTO {table} (version, dirty) VALUES ({_STOPPED}, true)"
            if is_empty
            else f"UPDATE {table} SET dirty = true"
        ),
        lift=(
            f"DELETE FROM {table} WHERE version = {_STOPPED}"
            if is_empty
            else f"UPDATE {table} SET dirty = false"
        ),
        is_set=any(row["dirty"] for row in rows),
        unmistakable=is_empty,
    )


def lock_ids(database: str, schema: str) -> tuple[int, ...]:
    """`database.GenerateAdvisoryLockId`: CRC-32 of the names times a salt, as 32 bits."""
    names_ = (f"{schema}\0{_TABLE}\0{database}", f"{schema}\0{database}", database)
    salt = 1486364155
    return tuple(zlib.crc32(name.encode()) * salt & 0xFFFFFFFF for name in names_)


TOOL: Final = Tool(
    name=NAME,
    title="golang-migrate",
    recognize=recognize,
    read=read,
    tables=(
        TheirTable(_TABLE, frozenset({"version", "dirty"})),
        TheirTable(_LOCK, frozenset({"lock_id"}), required=False),
    ),
    read_ledger=read_ledger,
    guard=guard,
    lock_ids=lock_ids,
    remedies={
        Trouble.PARTIALLY_APPLIED: "See what of {name} took effect, finish or revert it by hand, "
        "and record that with `migrate force {name}` (done) or `migrate force` with the version "
        "before it (reverted).",
        Trouble.LOCKED: "Wait for the run that holds it. If none is alive, delete the row.",
    },
)
