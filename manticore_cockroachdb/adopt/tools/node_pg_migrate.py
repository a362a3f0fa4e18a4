"""node-pg-migrate: `1700000000000_add-users.sql` with `-- Up Migration` and `-- Down Migration`.

https://github.com/salsita/node-pg-migrate: `src/migration.ts`, `src/sqlMigration.ts`, `src/runner.ts`. Its
ledger holds names without their ending. Migrations in JavaScript cannot be converted.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..text import Line, decode, described, has_line, joined, lines, number
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

NAME: Final = "node-pg-migrate"
_FILE: Final = re.compile(r"(([0-9]+)[_-](.*?))(\.up|\.down)?\.(sql|js|ts|cjs|mjs|cts|mts)")
_PAIRED: Final = re.compile(r"\.(?:up|down)\.sql$")
_UP: Final = re.compile(r"\s*--[\s-]*up\s+migration.*", re.IGNORECASE)
_DOWN: Final = re.compile(r"\s*--[\s-]*down\s+migration.*", re.IGNORECASE)
_MARKED: Final = re.compile(rb"^\s*--[\s-]*(?:up|down)\s+migration", re.IGNORECASE | re.MULTILINE)
_TABLE: Final = "pgmigrations"
#: `PG_MIGRATE_LOCK_ID` in `src/runner.ts`.
_LOCK_ID: Final = 7241865325823964


def recognize(folder: Folder) -> Recognition | None:
    """By its comments. In one of a pair of files they are of no use to it, and may be anybody's."""
    listed = {name: raw for name, raw in folder.files.items() if _FILE.fullmatch(name)}
    whole = {name: raw for name, raw in listed.items() if not _PAIRED.search(name)}
    for files, sure in ((whole, Sure.CERTAIN), (listed, Sure.POSSIBLE)):
        marked = has_line(replace(folder, files=files), _MARKED)
        if marked is not None:
            return Recognition(NAME, sure, f"{marked} has '-- Up Migration' comments")
    return None


def read(folder: Folder) -> Reading:
    """Split each file at its comments; pairs of files are read as pairs."""
    migrations: list[TheirMigration] = []
    problems: list[Remark] = []
    found = [
        match
        for match in map(_FILE.fullmatch, sorted(folder.files))
        if match and not match[0].endswith(".d.ts")
    ]
    downs = {match[1]: match[0] for match in found if match[4] == ".down"}
    for match in sorted(found, key=lambda match: (int(match[2]), match[1])):
        name, path = match[0], folder.path(match[0])
        if match[4] == ".down":
            continue
        up = down = None
        if match[5] == "sql":
            text = decode(path, folder.files[name])
            if isinstance(text, Remark):
                problems.append(text)
                continue
            up, down = _split(path, text)
        if match[1] in downs:
            other = folder.path(downs[match[1]])
            down_text = decode(other, folder.files[downs[match[1]]])
            if isinstance(down_text, Remark):
                problems.append(down_text)
                continue
            down = Sql(down_text, other)
        migrations.append(
            TheirMigration(
                key=match[1],
                name=name,
                description=described(match[3]),
                number=number(match[2]),
                up=up,
                down=down,
                why_not="" if up else "it is JavaScript or TypeScript",
            )
        )
    return Reading(tuple(migrations), tuple(problems))


def _split(place: Path, text: str) -> tuple[Sql, Sql | None]:
    parts: dict[str, list[Line]] = {"head": []}
    current = parts["head"]
    for line in lines(text):
        word = "up" if _UP.fullmatch(line.text) else "down" if _DOWN.fullmatch(line.text) else ""
        if word and word not in parts:
            current = parts[word] = [Line(line.number, "")]
        elif not word:
            current.append(line)
    up = parts.get("up")
    if up is None:
        up = parts["head"]
    elif all(
        line.text.lstrip().startswith("--") or not line.text.strip() for line in parts["head"]
    ):
        up = [*parts["head"], *up]
    down = parts.get("down")
    return joined(place, up), joined(place, down) if down is not None else None


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """A row for each migration."""
    rows = [row for row in found.rows.get(_TABLE, ()) if row["name"] != _GUARD]
    return TheirLedger(tuple(TheirRow(row["name"], row["run_on"]) for row in rows))


_GUARD: Final = f"99999999999999_{MARK}"


def guard(found: Found) -> Guard:
    """A row without a file: the order of the names no longer fits."""
    table = found.names[_TABLE]
    return Guard(
        says=f"Error: Not run migration N is preceding already run migration {_GUARD}",
        set=f"INSERT INTO {table} (name, run_on) VALUES ('{_GUARD}', now())",
        lift=f"DELETE FROM {table} WHERE name = '{_GUARD}'",
        is_set=any(row["name"] == _GUARD for row in found.rows[_TABLE]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="node-pg-migrate",
    recognize=recognize,
    read=read,
    tables=(TheirTable(_TABLE, frozenset({"id", "name", "run_on"}), order="id"),),
    read_ledger=read_ledger,
    guard=guard,
    lock_ids=lambda _database, _schema: (_LOCK_ID,),
    remedies={
        Trouble.OUT_OF_ORDER: "Apply {name} with `node-pg-migrate up --no-check-order`, or remove its "
        "file.",
    },
)
