"""yoyo: `0001.add-users.sql` with `0001.add-users.rollback.sql`, and `-- depends:` lines.

https://sr.ht/~olly/yoyo: `yoyo/migrations.py`, `yoyo/backends`. Migrations run in the order of their
dependencies. Its ledger holds names; the hash beside them is of the name, not of the contents. A row in
`yoyo_lock` is its lock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..text import decode, described, number
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

NAME: Final = "yoyo"
_ROLLBACK: Final = ".rollback.sql"
_LEADING: Final = re.compile(r"([0-9]+)(?:[._-]|$)(.*)")
_PARTS: Final = re.compile(r"([0-9]{8})_([0-9]{2})_(\w{5})-?(.*)")
_METADATA: Final = re.compile(
    r"\s*--\s*(depends|transactional|ignore_errors)\s*:\s*(.*)", re.IGNORECASE
)
_DEPENDS: Final = re.compile(rb"^\s*--\s*depends\s*:", re.MULTILINE)
_SPECIAL: Final = ("post-apply", "post_apply")
_TABLE: Final = "_yoyo_migration"
_LOCK: Final = "yoyo_lock"


def recognize(folder: Folder) -> Recognition | None:
    """By `.rollback.sql`, `-- depends:` lines, or yoyo.ini."""
    depends = ""
    for name in sorted(folder.files):
        if name.endswith(_ROLLBACK):
            return Recognition(NAME, Sure.CERTAIN, f"{name} is named as only its files are")
        if name.endswith(".sql") and _DEPENDS.search(folder.files[name]):
            depends = depends or name
    if "yoyo.ini" in folder.around or "yoyo.ini" in folder.files:
        return Recognition(NAME, Sure.CERTAIN, "yoyo.ini is there")
    if depends:
        return Recognition(NAME, Sure.LIKELY, f"{depends} has a '-- depends:' line")
    return None


def read(folder: Folder) -> Reading:
    """Read the files and put them in the order of their dependencies."""
    found: list[TheirMigration] = []
    problems: list[Remark] = []
    left: list[Remark] = []
    for name in sorted(folder.files):
        stem, _, ending = name.rpartition(".")
        path = folder.path(name)
        if "/" in name or ending not in ("sql", "py") or name.endswith(_ROLLBACK):
            continue
        if stem.startswith(_SPECIAL):
            left.append(Remark("runs after every apply in yoyo; Manticore has no such file.", path))
            continue
        if stem.startswith("_"):
            continue
        up, down, options = None, None, {}
        if ending == "sql":
            text = decode(path, folder.files[name])
            if isinstance(text, Remark):
                problems.append(text)
                continue
            up, options = Sql(text, path), _metadata(text)
            down = _rollback(folder, stem, problems)
        digits, slug = _described(stem)
        found.append(
            TheirMigration(
                key=stem,
                name=name,
                description=slug,
                number=digits,
                up=up,
                down=down,
                why_not="" if up else "it is Python",
                transactional=options.get("transactional", "true").lower() != "false",
                parents=tuple(options.get("depends", "").split()),
            )
        )
    return _ordered(found, problems, left)


def _rollback(folder: Folder, stem: str, problems: list[Remark]) -> Sql | None:
    name = stem + _ROLLBACK
    if name not in folder.files:
        return None
    text = decode(folder.path(name), folder.files[name])
    if isinstance(text, Remark):
        problems.append(text)
        return None
    return Sql(text, folder.path(name))


def _metadata(text: str) -> dict[str, str]:
    """The `-- key: value` lines at the top."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if line.strip() and not line.lstrip().startswith("--"):
            break
        match = _METADATA.fullmatch(line)
        if match:
            found[match[1].lower()] = match[2].strip()
    return found


def _described(stem: str) -> tuple[int | None, str]:
    parts = _PARTS.fullmatch(stem)
    if parts:  # what `yoyo new` writes: a date, a count of that day, five random characters
        return number(parts[1] + parts[2]), described(parts[4] or parts[3])
    match = _LEADING.fullmatch(stem)
    if match is None:
        return None, described(stem)
    return number(match[1]), described(match[2])


def _ordered(
    found: Sequence[TheirMigration], problems: list[Remark], left: list[Remark]
) -> Reading:
    """By name, each after those it depends on."""
    waiting = list(found)
    known = {migration.key for migration in found}
    for migration in found:
        missing = [parent for parent in migration.parents if parent not in known]
        if missing:
            path = migration.up.path if migration.up else None
            problems.append(Remark(f"depends on {missing[0]}, which does not exist.", path))
    done: dict[str, TheirMigration] = {}
    while waiting:
        ready = next(
            (m for m in waiting if all(p in done or p not in known for p in m.parents)), None
        )
        if ready is None:
            names = ", ".join(migration.key for migration in waiting)
            problems.append(Remark(f"the dependencies of {names} form a cycle."))
            break
        waiting.remove(ready)
        done[ready.key] = ready
    ordered = list(done.values())
    numbers = [migration.number for migration in ordered]
    if None in numbers or numbers != sorted(numbers, key=lambda value: value or 0):
        ordered = [replace(migration, number=None) for migration in ordered]
    return Reading(tuple(ordered), tuple(problems), tuple(left))


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """A row for each migration; times are UTC."""
    findings = []
    locks = [row for row in found.rows.get(_LOCK, ()) if row["pid"] != _GUARD_PID]
    if locks:
        message = f"Process {locks[0]['pid']} holds yoyo's lock since {locks[0]['ctime']} (UTC)."
        findings.append(Finding(Trouble.LOCKED, message, TOOL.remedy(Trouble.LOCKED)))
    rows = found.rows.get(_TABLE, ())
    applied = tuple(TheirRow(row["migration_id"], row["applied_at_utc"]) for row in rows)
    return TheirLedger(applied, tuple(findings))


#: No process has this number.
_GUARD_PID: Final = -1


def guard(found: Found) -> Guard | None:
    """Its own lock, held by nobody."""
    table = found.names.get(_LOCK)
    if table is None:
        return None
    return Guard(
        says=f"yoyo.exceptions.LockTimeout: Process {_GUARD_PID} has locked this database",
        set=f"INSERT INTO {table} (locked, ctime, pid) VALUES (1, now(), {_GUARD_PID})",
        lift=f"DELETE FROM {table} WHERE pid = {_GUARD_PID}",
        is_set=any(row["pid"] == _GUARD_PID for row in found.rows[_LOCK]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="yoyo",
    recognize=recognize,
    read=read,
    tables=(
        TheirTable(_TABLE, frozenset({"migration_id", "applied_at_utc"}), order="applied_at_utc"),
        TheirTable(_LOCK, frozenset({"locked", "ctime", "pid"}), required=False),
    ),
    read_ledger=read_ledger,
    guard=guard,
    also=("_yoyo_log", "_yoyo_version", _LOCK),
    remedies={
        Trouble.LOCKED: "Wait for that process to end. If it is dead, run `yoyo break-lock`.",
        Trouble.OUT_OF_ORDER: "Apply {name} with `yoyo apply`, or remove its file.",
        Trouble.MISSING_FILE: "Restore the file of {name}; `yoyo list` shows what yoyo knows.",
    },
)
