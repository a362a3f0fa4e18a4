"""Flyway: `V1.2__x.sql`, `U1.2__x.sql`, `R__x.sql`, `B7__x.sql`, each perhaps with a `.conf` beside it.

Flyway's documentation ("Migrations", "Schema history table", "Script config files") and
flyway-core. The ledger is folded by rank: BASELINE, DELETE, UNDO_…, success = false; on CockroachDB a row
of rank -100 is the lock. The checksum is CRC-32 over the lines.
"""

from __future__ import annotations

import re
from dataclasses import replace
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
    Row,
    Sql,
    Sure,
    TheirLedger,
    TheirMigration,
    TheirRow,
    TheirTable,
    Trouble,
)

NAME: Final = "flyway"
_FILE: Final = re.compile(r"(?:.*/)?([VUB])([0-9][0-9._]*?)__(.*)\.sql")
_REPEATABLE: Final = re.compile(r"(?:.*/)?R__(.*)\.sql")
_PROGRAM: Final = re.compile(r"(?:.*/)?([VUR])([0-9][0-9_]*)?__(.*)\.(java|kt|groovy|py|sh|ps1)")
_CALLBACK: Final = re.compile(
    r"(?:.*/)?((?:before|after)(?:Each|Migrate|Clean|Validate|Baseline|Repair|Undo|Info|Versioned|"
    r"Repeatables|Connect|Version)\w*|createSchema)(?:__.*)?\.sql"
)
_TABLE: Final = "flyway_schema_history"
_LOCK_RANK: Final = -100
_BASELINE: Final = "BASELINE"
_REPEATED: Final = "R "


def recognize(folder: Folder) -> Recognition | None:
    """By `R__`, dotted versions or a `.conf` for certain; by `V1__x.sql` probably."""
    listed = sorted(folder.files)
    only = [
        name
        for name in listed
        if _REPEATABLE.fullmatch(name) or name.endswith(".sql.conf") or _CALLBACK.fullmatch(name)
    ]
    versioned = [match for match in map(_FILE.fullmatch, listed) if match]
    if versioned and (only or any(number(match[2]) is None for match in versioned)):
        why = only[0] if only else next(m[0] for m in versioned if number(m[2]) is None)
        return Recognition(NAME, Sure.CERTAIN, f"{why} is a kind of file that only it has")
    if only and not versioned and _REPEATABLE.fullmatch(only[0]):
        return Recognition(NAME, Sure.LIKELY, f"{only[0]} is named as its repeatable files are")
    if not any(match[1] == "V" for match in versioned):
        return None
    rust = "Cargo.toml" in folder.around
    sure = Sure.POSSIBLE if rust else Sure.LIKELY
    return Recognition(NAME, sure, f"{versioned[0][0]} is named as its files are")


def read(folder: Folder) -> Reading:
    """Read versioned files by version, then the repeatable ones by name."""
    reader = _Reader(folder)
    for name in sorted(folder.files):
        reader.take(name)
    return reader.reading()


class _Reader:
    """Sorts the files of a folder into what they are."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.ups: dict[tuple[int, ...], TheirMigration] = {}
        self.bases: dict[tuple[int, ...], TheirMigration] = {}
        self.downs: dict[tuple[int, ...], Sql] = {}
        self.repeatables: list[TheirMigration] = []
        self.problems: list[Remark] = []
        self.left: list[Remark] = []
        self.notes: list[Remark] = []

    def take(self, name: str) -> None:
        versioned, repeatable = _FILE.fullmatch(name), _REPEATABLE.fullmatch(name)
        program, callback = _PROGRAM.fullmatch(name), _CALLBACK.fullmatch(name)
        path = self.folder.path(name)
        if versioned is not None:
            self._versioned(name, versioned)
        elif repeatable is not None:
            sql = self._sql(name)
            if sql is not None:
                self.repeatables.append(self._migration(name, repeatable[1], None, sql))
        elif program is not None and program[2] and program[1] == "V":
            version = _version(program[2])
            self.ups[version] = TheirMigration(
                key=_key(version),
                name=name,
                description=described(program[3]),
                number=_number(version),
                up=None,
                why_not=f"it is a program (.{program[4]}), not SQL",
            )
        elif program is not None:
            self.left.append(Remark("is a program, not SQL.", path))
        elif callback is not None:
            message = f"is Flyway's callback {callback[1]}; Manticore has none."
            self.left.append(Remark(message, path))

    def _versioned(self, name: str, match: re.Match[str]) -> None:
        path, version, sql = self.folder.path(name), _version(match[2]), self._sql(name)
        if sql is None:
            return
        if match[1] == "U":
            self.downs[version] = sql
            return
        place = self.ups if match[1] == "V" else self.bases
        if version in place:
            message = f"is version {_key(version)}, and so is {place[version].name}."
            self.problems.append(Remark(message, path))
            return
        place[version] = self._migration(name, match[3], version, sql)

    def _sql(self, name: str) -> Sql | None:
        text = decode(self.folder.path(name), self.folder.files[name])
        if isinstance(text, Remark):
            self.problems.append(text)
            return None
        return Sql(text, self.folder.path(name))

    def _migration(
        self, name: str, slug: str, version: tuple[int, ...] | None, sql: Sql
    ) -> TheirMigration:
        conf = self.folder.files.get(f"{name}.conf", b"").decode(errors="replace")
        options = {
            name.strip(): value.strip()
            for name, separator, value in (line.partition("=") for line in conf.splitlines())
            if separator and not name.lstrip().startswith("#")
        }
        if "shouldExecute" in options:
            message = f"runs only if {options['shouldExecute']} (its .conf); here it always runs."
            self.notes.append(Remark(message, sql.path))
        return TheirMigration(
            key=_key(version) if version is not None else _REPEATED + slug.replace("_", " "),
            name=name.rpartition("/")[2],
            description=described(slug),
            number=_number(version) if version is not None else None,
            up=sql,
            checksums=(checksums.flyway(self.folder.files[name]),),
            transactional=options.get("executeInTransaction", "true") != "false",
            repeatable=version is None,
            fills=options.get("placeholderReplacement", "true") != "false",
        )

    def reading(self) -> Reading:
        ordered: list[TheirMigration] = []
        first = min(self.ups, default=())
        newest = max(self.bases, default=None)
        for version, base in sorted(self.bases.items()):
            path = self.folder.path(base.name)
            if version == newest and (not self.ups or version < first) and version not in self.ups:
                ordered.append(base)
            else:
                message = "is a baseline for empty databases; the V files before it say the same."
                self.left.append(Remark(message, path))
        for version in sorted(self.ups):
            down = self.downs.pop(version, None)
            migration = self.ups[version]
            ordered.append(replace(migration, down=down) if down else migration)
        self.left += [
            Remark("is an undo file without its V file.", sql.path) for sql in self.downs.values()
        ]
        return Reading(
            (*ordered, *sorted(self.repeatables, key=lambda found: found.description)),
            tuple(self.problems),
            tuple(self.left),
            tuple(self.notes),
        )


def _version(text: str) -> tuple[int, ...]:
    parts = [int(part) for part in re.split(r"[._]", text.strip("._")) if part]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _key(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _number(version: tuple[int, ...]) -> int | None:
    return number(str(version[0])) if len(version) == 1 else None


def read_ledger(found: Found, reading: Reading) -> TheirLedger:
    """Fold the rows by rank. Every file up to a baseline counts as applied: Flyway never runs it."""
    applied: dict[str, TheirRow] = {}
    findings: list[Finding] = []
    files = {each.key: each.name for each in reading.migrations if not each.repeatable}
    baseline: tuple[int, ...] = ()
    for row in found.rows.get(_TABLE, ()):
        if row["description"] == MARK:
            continue
        if row["installed_rank"] == _LOCK_RANK:
            message = f"{found.labels[_TABLE]} holds Flyway's lock row for CockroachDB."
            findings.append(Finding(Trouble.LOCKED, message, TOOL.remedy(Trouble.LOCKED)))
            continue
        kind = str(row["type"])
        key = _row_key(row)
        if kind == "DELETE" or (kind.startswith("UNDO_") and row["success"]):
            applied.pop(key, None)
        elif not row["success"]:
            applied.pop(key, None)
            message = f"{row['script']} (version {row['version'] or 'repeatable'}) failed."
            remedy = TOOL.remedy(Trouble.PARTIALLY_APPLIED, str(row["script"]))
            findings.append(Finding(Trouble.PARTIALLY_APPLIED, message, remedy))
        elif kind == "SCHEMA":
            continue
        elif kind.endswith(_BASELINE):
            baseline = max(baseline, _version(str(row["version"])))
            if key in files:
                # Of a B file the checksum is recorded; a V file of that version never ran here.
                ran = kind != _BASELINE and files[key].startswith("B")
                applied[key] = _row(key, row, with_checksum=ran)
        else:
            applied.pop(key, None)
            applied[key] = _row(key, row)
    below = (key for key in files if _version(key) <= baseline and key not in applied)
    return TheirLedger((*map(TheirRow, below), *applied.values()), tuple(findings))


def _row(key: str, row: Row, *, with_checksum: bool = True) -> TheirRow:
    return TheirRow(
        key,
        row["installed_on"],
        row["installed_by"],
        row["execution_time"],
        str(row["checksum"]) if with_checksum and row["checksum"] is not None else None,
    )


def _row_key(row: Row) -> str:
    if row["version"] is None:
        return _REPEATED + str(row["description"])
    return _key(_version(str(row["version"])))


def guard(found: Found) -> Guard:
    """A row that failed, of a version below those of the files.

    A single failed row above them is only warned of (`DbMigrate`: a failed future migration).
    """
    table = found.names[_TABLE]
    return Guard(
        says=f"Detected failed migration to version 0.9223372036854775807 ({MARK})",
        set=(
            f"INSERT INTO {table} (installed_rank, version, description, type, script, checksum, "
            "installed_by, execution_time, success) "
            f"SELECT coalesce(max(installed_rank), 0) + 1, '0.9223372036854775807', '{MARK}', 'SQL', "
            f"'{MARK}', 0, current_user, 0, false FROM {table}"
        ),
        lift=f"DELETE FROM {table} WHERE description = '{MARK}'",
        is_set=any(row["description"] == MARK for row in found.rows[_TABLE]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="Flyway",
    recognize=recognize,
    read=read,
    tables=(
        TheirTable(
            _TABLE,
            frozenset({"installed_rank", "version", "script", "checksum", "success"}),
            order="installed_rank",
        ),
    ),
    read_ledger=read_ledger,
    guard=guard,
    remedies={
        Trouble.PARTIALLY_APPLIED: "Revert by hand what {name} did, and remove its row with `flyway "
        "repair`.",
        Trouble.LOCKED: "Wait for the run that holds it. If none is alive, delete the row.",
        Trouble.CHANGED: "Restore the file of {name}, or accept it as it is with `flyway repair`.",
        Trouble.MISSING_FILE: "Restore {name}, or mark it as deleted with `flyway repair`.",
        Trouble.OUT_OF_ORDER: "Apply {name} with `flyway migrate -outOfOrder=true`, or remove its "
        "file.",
    },
)
