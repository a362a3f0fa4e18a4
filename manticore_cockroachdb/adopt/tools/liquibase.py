"""Liquibase's formatted SQL: `--liquibase formatted sql`, `--changeset author:id`, `--rollback`.

https://docs.liquibase.com ("SQL" under changelog formats) and liquibase-standard,
`AbstractFormattedChangeLogParser`. A changeset is identified by author, id and file. XML and YAML
changelogs are read for the order of the files they include; changesets written in them are not SQL and
cannot be converted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .. import checksums
from ..text import Line, decode, described, joined, lines, number
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
    Sure,
    TheirLedger,
    TheirMigration,
    TheirRow,
    TheirTable,
    Trouble,
)

NAME: Final = "liquibase"
_TABLE: Final = "databasechangelog"
_LOCK: Final = "databasechangeloglock"
_FIRST_LINE: Final = re.compile(r"\s*--\s*liquibase\s*formatted.*", re.IGNORECASE)
_MARKED: Final = re.compile(rb"^\s*--\s*liquibase\s+formatted", re.IGNORECASE | re.MULTILINE)
_CHANGESET: Final = re.compile(
    r"\s*--\s*changeset\s+(\"[^\"]+\"|[^:]+):\s*(\"[^\"]+\"|\S+)(.*)", re.IGNORECASE
)
_ROLLBACK: Final = re.compile(r"\s*--\s*rollback (.*)", re.IGNORECASE)
_ROLLBACK_BEGIN: Final = re.compile(r"\s*/\*\s*liquibase\s*rollback\s*", re.IGNORECASE)
_ROLLBACK_END: Final = re.compile(r"(.*?)\s*\*/\s*")
_NOTED: Final = re.compile(
    r"\s*--\s*(preconditions|precondition-[\w-]+|comment:?|validchecksum:?|property|ignorelines:\w+)"
    r"(?:\s+(.*)|$)",
    re.IGNORECASE,
)
_OPTION: Final = re.compile(r"(\w+):(\"[^\"]*\"|\S+)")
_INCLUDE: Final = re.compile(
    r"<include(All)?\s[^>]*?(?:file|path)\s*=\s*\"([^\"]+)\"|"
    r"^\s*-?\s*include(All)?:(?:\s*\{?\s*|\s*\n\s+(?:\w+:.*\n\s+)*?)(?:file|path):\s*[\"']?([^\s\"'},]+)",
    re.MULTILINE,
)
_OTHER_CHANGESET: Final = re.compile(
    r"<changeSet\b(?=[^>]*?\bid\s*=\s*\"(?P<id>[^\"]+)\")(?=[^>]*?\bauthor\s*=\s*\"(?P<author>[^\"]+)\")|"
    r"^\s*-\s*changeSet:\s*\n(?=(?:\s+\w+:.*\n)*?\s+id:\s*[\"']?(?P<yid>[^\s\"']+))"
    r"(?=(?:\s+\w+:.*\n)*?\s+author:\s*[\"']?(?P<yauthor>[^\n\"']+))",
    re.MULTILINE,
)
_OURS: Final = frozenset({"postgresql", "postgres", "cockroachdb", "all"})
#: What its ledger writes for a changeset that counts as run.
_RUN: Final = frozenset({"EXECUTED", "RERAN", "MARK_RAN"})


def recognize(folder: Folder) -> Recognition | None:
    """By the first line of its files."""
    for name in sorted(folder.files):
        if name.endswith(".sql") and _MARKED.search(folder.files[name][:4096]):
            return Recognition(NAME, Sure.CERTAIN, f"{name} begins '--liquibase formatted sql'")
    for name in sorted(folder.files):
        if name.endswith((".xml", ".yaml", ".yml")) and b"databaseChangeLog" in folder.files[name]:
            return Recognition(NAME, Sure.CERTAIN, f"{name} is a changelog")
    return None


@dataclass(slots=True)
class _Changeset:
    """One changeset as it is being read."""

    author: str
    ident: str
    options: dict[str, str]
    line: int
    comments: list[Line] = field(default_factory=list)
    up: list[Line] = field(default_factory=list)
    down: list[Line] = field(default_factory=list)
    rollback_given: bool = False
    preconditions: int | None = None
    accepted: list[str] = field(default_factory=list)


def read(folder: Folder) -> Reading:
    """Read the changesets of all files, in the order of the root changelog or of the names."""
    reader = _Reader(folder)
    for item in _in_order(folder):
        if isinstance(item, str):
            reader.file(item)
        else:
            reader.migrations.append(item)
    return Reading(
        tuple(reader.migrations), tuple(reader.problems), tuple(reader.left), tuple(reader.notes)
    )


class _Reader:
    """Reads file after file."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.migrations: list[TheirMigration] = []
        self.problems: list[Remark] = []
        self.left: list[Remark] = []
        self.notes: list[Remark] = []

    def file(self, name: str) -> None:
        path = self.folder.path(name)
        text = decode(path, self.folder.files[name])
        if isinstance(text, Remark):
            self.problems.append(text)
            return
        first = next((line for line in text.split("\n") if line.strip()), "")
        if _FIRST_LINE.fullmatch(first) is None:
            self.left.append(Remark("does not begin '--liquibase formatted sql'.", path))
            return
        for changeset in self._changesets(path, text):
            self._take(name, path, changeset)

    def _changesets(self, path: Path, text: str) -> Iterator[_Changeset]:
        current: _Changeset | None = None
        in_rollback = ignoring = False
        for line in lines(text):
            match = _CHANGESET.fullmatch(line.text)
            noted = _NOTED.fullmatch(line.text)
            rollback = _ROLLBACK.fullmatch(line.text)
            if match is not None and not in_rollback:
                if current is not None:
                    yield current
                options = {
                    key.lower(): value.strip('"') for key, value in _OPTION.findall(match[3])
                }
                author, ident = match[1].strip().strip('"'), match[2].strip('"')
                current = _Changeset(author, ident, options, line.number)
            elif noted is not None and noted[1].lower().startswith("ignorelines"):
                ignoring = noted[1].lower().endswith("start")
            elif ignoring:
                continue
            elif noted is not None and noted[1].lower() == "property":
                message = "Liquibase fills in this property. Write its value into the files."
                self.notes.append(Remark(message, path, line.number))
            elif current is None:
                continue
            elif in_rollback:
                end = _ROLLBACK_END.fullmatch(line.text)
                in_rollback = end is None
                current.down.append(Line(line.number, end[1] if end else line.text))
            elif _ROLLBACK_BEGIN.fullmatch(line.text):
                in_rollback = current.rollback_given = True
            elif rollback is not None:
                current.rollback_given = True
                current.down.append(Line(line.number, rollback[1]))
            elif noted is not None:
                self._note(current, noted, line)
            else:
                current.up.append(line)
        if current is not None:
            yield current

    def _note(self, current: _Changeset, noted: re.Match[str], line: Line) -> None:
        word = noted[1].lower()
        if word.startswith("precondition") and current.preconditions is None:
            current.preconditions = line.number
        elif word.startswith("validchecksum") and noted[2]:
            current.accepted.append(noted[2].strip())
        elif word.startswith("comment") and noted[2]:
            current.comments.append(Line(line.number, f"-- {noted[2].strip()}"))

    def _take(self, name: str, path: Path, found: _Changeset) -> None:
        label = f"{found.author}:{found.ident}"
        servers = {server.strip().lower() for server in found.options.get("dbms", "").split(",")}
        excluded = {server[1:] for server in servers if server.startswith("!")}
        wanted = {server for server in servers if server and not server.startswith("!")}
        if excluded & _OURS or (wanted and not wanted & _OURS):
            message = f"changeset {label} is for {found.options['dbms']} only."
            self.left.append(Remark(message, path, found.line))
            return
        if found.preconditions is not None:
            message = f"changeset {label} has preconditions; here it always runs."
            self.notes.append(Remark(message, path, found.preconditions))
        for option in ("context", "contextfilter", "labels"):
            if option in found.options:
                message = f"changeset {label} is limited by {option}; here it always runs."
                self.notes.append(Remark(message, path, found.line))
        if found.options.get("runalways") == "true":
            message = f"changeset {label} runs at every update; here it runs once."
            self.notes.append(Remark(message, path, found.line))
        filed = found.options.get("logicalfilepath", name)
        self.migrations.append(
            TheirMigration(
                key=key(found.author, found.ident, filed),
                name=f"{name}:{found.line} ({label})",
                description=_description(found, name),
                number=None,
                up=joined(
                    path, found.comments + _whole(found.up, found.options.get("enddelimiter"))
                ),
                down=joined(path, found.down) if found.rollback_given else None,
                checksums=(*_checksums(found), *found.accepted),
                transactional=found.options.get("runintransaction", "true").lower() != "false",
                repeatable=found.options.get("runonchange") == "true",
            )
        )


def _whole(part: list[Line], delimiter: str | None) -> list[Line]:
    """Lines whose statements end in semicolons, whatever they ended in."""
    if not delimiter or delimiter == ";":
        return part
    ends = re.compile(rf"(.*?)\s*{re.escape(delimiter)}\s*")
    found: list[Line] = []
    for line in part:
        match = ends.fullmatch(line.text)
        found.append(Line(line.number, f"{match[1]};") if match else line)
    return found


def _description(found: _Changeset, name: str) -> str:
    words = described(found.ident)
    if number(found.ident) is None and words:
        return words
    stem = name.rpartition("/")[2].rpartition(".")[0]
    return f"{described(stem)} {words}".strip()


def _checksums(found: _Changeset) -> tuple[str, ...]:
    sql = "\n".join(line.text for line in found.up)
    options = found.options
    return checksums.liquibase(
        sql,
        split=options.get("splitstatements", "true").lower() == "true",
        strip=options.get("stripcomments", "true").lower() == "true",
        delimiter=options.get("enddelimiter"),
    )


def key(author: str, ident: str, filed: str) -> str:
    """What identifies a changeset."""
    return f"{author}:{ident}:{filed.removeprefix('classpath:').strip('/')}"


def _known(ident: str, keys: Sequence[str]) -> str:
    """The key of the changeset that a row is about: paths are relative to where Liquibase searches."""
    author, changeset, filed = ident.split(":", 2)
    same = [each for each in keys if each.startswith(f"{author}:{changeset}:")]
    paths = {each: each.split(":", 2)[2] for each in same}
    fitting = [
        each
        for each, path in paths.items()
        if path == filed or path.endswith(f"/{filed}") or filed.endswith(f"/{path}")
    ]
    return max(fitting, key=lambda each: len(paths[each]), default=ident)


def _in_order(folder: Folder) -> list[str | TheirMigration]:
    """The SQL files in the order in which the changelogs include them, then the others by name.

    A changeset in the changelog itself is a migration that is not SQL.
    """
    files = [name for name in sorted(folder.files) if name.endswith(".sql")]
    ordered: list[str | TheirMigration] = []
    for name in sorted(folder.files):
        if not name.endswith((".xml", ".yaml", ".yml")):
            continue
        text = folder.files[name].decode(errors="replace")
        if "databaseChangeLog" not in text:
            continue
        places: list[tuple[int, list[str] | TheirMigration]] = [
            (match.start(), _other(name, match)) for match in _OTHER_CHANGESET.finditer(text)
        ]
        places += [
            (match.start(), [file for file in files if _is_included(file, match)])
            for match in _INCLUDE.finditer(text)
        ]
        for _, place in sorted(places, key=lambda each: each[0]):
            found = [place] if isinstance(place, TheirMigration) else place
            ordered += [item for item in found if item not in ordered]
    return ordered + [file for file in files if file not in ordered]


def _other(name: str, match: re.Match[str]) -> TheirMigration:
    ident = match["id"] or match["yid"]
    author = (match["author"] or match["yauthor"]).strip()
    return TheirMigration(
        key=key(author, ident, name),
        name=f"{name} ({author}:{ident})",
        description=described(ident) if number(ident) is None else f"changeset {ident}",
        number=None,
        up=None,
        why_not="it is not SQL but a changeset of the changelog",
    )


def _is_included(file: str, match: re.Match[str]) -> bool:
    target = (match[2] or match[4]).removeprefix("classpath:").strip("/")
    folder = bool(match[1] or match[3])
    place = file.rpartition("/")[0] if folder else file
    if folder and not place:
        return True
    return place == target or target.endswith(f"/{place}") or place.endswith(f"/{target}")


def read_ledger(found: Found, reading: Reading) -> TheirLedger:
    """A row for each changeset, in the order in which they ran."""
    keys = [migration.key for migration in reading.migrations]
    findings: list[Finding] = []
    for row in found.rows.get(_LOCK, ()):
        if row["locked"] and row["lockedby"] != MARK:
            message = f"{row['lockedby']} holds Liquibase's lock since {row['lockgranted']}."
            findings.append(Finding(Trouble.LOCKED, message, TOOL.remedy(Trouble.LOCKED)))
    applied = []
    for row in found.rows.get(_TABLE, ()):
        ident = _known(key(row["author"], row["id"], row["filename"]), keys)
        if row["exectype"] == "FAILED":
            message = f"Changeset {row['author']}:{row['id']} failed."
            findings.append(
                Finding(
                    Trouble.PARTIALLY_APPLIED,
                    message,
                    TOOL.remedy(Trouble.PARTIALLY_APPLIED, str(row["id"])),
                )
            )
        elif row["exectype"] in _RUN:
            known = str(row["md5sum"] or "").startswith(checksums.LIQUIBASE_VERSIONS)
            md5sum = row["md5sum"] if known else None
            applied.append(TheirRow(ident, row["dateexecuted"], checksum=md5sum))
    return TheirLedger(tuple(applied), tuple(findings))


def guard(found: Found) -> Guard | None:
    """Its own lock, held by nobody who would release it."""
    table = found.names.get(_LOCK)
    if table is None:
        return None
    return Guard(
        says=f"Could not acquire change log lock. Currently locked by {MARK}",
        set=(
            f"UPDATE {table} SET locked = true, lockgranted = now(), lockedby = '{MARK}' WHERE id = 1"
        ),
        lift=(
            f"UPDATE {table} SET locked = false, lockgranted = NULL, lockedby = NULL "
            f"WHERE lockedby = '{MARK}'"
        ),
        is_set=any(row["lockedby"] == MARK for row in found.rows[_LOCK]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="Liquibase",
    recognize=recognize,
    read=read,
    tables=(
        TheirTable(
            _TABLE, frozenset({"id", "author", "filename", "exectype"}), order="orderexecuted"
        ),
        TheirTable(_LOCK, frozenset({"id", "locked", "lockedby"}), required=False),
    ),
    read_ledger=read_ledger,
    guard=guard,
    remedies={
        Trouble.LOCKED: "Wait for that run to end. If it is dead, run `liquibase release-locks`.",
        Trouble.CHANGED: "Restore {name}, or accept it as it is with `liquibase clear-checksums` and "
        "an update.",
        Trouble.OUT_OF_ORDER: "Apply {name} with `liquibase update`, or remove it.",
        Trouble.MISSING_FILE: "Restore the changeset {name}, or name the folder that has it.",
    },
)
