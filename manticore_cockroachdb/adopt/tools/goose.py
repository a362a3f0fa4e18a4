"""goose: `20260301120000_add_users.sql` with `-- +goose Up` and `-- +goose Down`.

https://github.com/pressly/goose: `internal/sqlparser`, `database/dialect`. In its ledger the last row of a
version says whether it is applied; the row for version 0 stands for the empty database.
"""

from __future__ import annotations

import re
from typing import Final

from ..text import Line, decode, described, first_statement, has_line, joined, lines, names, number
from ..tool import Tool, column_renamed
from ..values import (
    MARK,
    Folder,
    Found,
    Guard,
    Reading,
    Recognition,
    Remark,
    Row,
    Sure,
    TheirLedger,
    TheirMigration,
    TheirRow,
    TheirTable,
    Trouble,
)

NAME: Final = "goose"
_FILE: Final = re.compile(r"([0-9]+)_(.*)\.(sql|go)")
_TABLE: Final = "goose_db_version"
_DIRECTIVE: Final = re.compile(r"\s*--\s*\+goose\s+(.*?)\s*", re.IGNORECASE)
_MARKED: Final = re.compile(rb"^\s*--\s*\+goose\s", re.IGNORECASE | re.MULTILINE)
#: An environment variable without braces, where goose replaces them. `$$` begins a quoted text.
_VARIABLE: Final = re.compile(r"(?<!\$)\$[A-Za-z_]\w*(?!\w*\$)")
#: goose's `lock.DefaultLockID`.
_LOCK_ID: Final = 4097083626


def recognize(folder: Folder) -> Recognition | None:
    """By its directives."""
    marked = has_line(folder, _MARKED)
    if marked is None:
        return None
    return Recognition(NAME, Sure.CERTAIN, f"{marked} has '-- +goose' directives")


def read(folder: Folder) -> Reading:
    """Split each file at its directives. Go files cannot be converted."""
    migrations: list[TheirMigration] = []
    problems: list[Remark] = []
    for name, match in sorted(names(folder, _FILE), key=lambda found: (int(found[1][1]), found[0])):
        version, path = number(match[1]), folder.path(name)
        if version is None or version < 1:
            problems.append(Remark("its version must be 1 or more and fit 64 bits.", path))
            continue
        if name.endswith("_test.go"):
            continue
        if migrations and migrations[-1].number == version:
            message = (
                f"is version {version}, and so is {migrations[-1].name}. Renumber one of them."
            )
            problems.append(Remark(message, path))
            continue
        if match[3] == "go":
            migrations.append(
                TheirMigration(
                    str(version), name, described(match[2]), version, None, why_not="it is Go"
                )
            )
            continue
        text = decode(path, folder.files[name])
        if isinstance(text, Remark):
            problems.append(text)
            continue
        parts = _Parts()
        for line in lines(text):
            parts.take(line)
        if not parts.begun:
            problems.append(Remark("has no '-- +goose Up' line, so goose refuses it too.", path))
            continue
        before = first_statement(parts.head)
        if before is not None:
            message = "a statement before '-- +goose Up', which goose refuses too."
            problems.append(Remark(message, path, before))
            continue
        migrations.append(
            TheirMigration(
                key=str(version),
                name=name,
                description=described(match[2]),
                number=version,
                up=joined(path, [*parts.head, *parts.up]) if not parts.variable else None,
                down=joined(path, parts.down) if parts.has_down else None,
                why_not=parts.variable,
                transactional=parts.transactional,
                fills=parts.substitutes,
            )
        )
    return Reading(tuple(migrations), tuple(problems))


class _Parts:
    """The two parts of a file, filled line by line."""

    def __init__(self) -> None:
        self.head: list[Line] = []  # comments above the first directive say what the file is for
        self.up: list[Line] = []
        self.down: list[Line] = []
        self.begun = self.has_down = False
        self.transactional = True
        self.substitutes = False
        self.variable = ""
        self._substituting = False

    def take(self, line: Line) -> None:
        match = _DIRECTIVE.fullmatch(line.text)
        if match is not None:
            self._directive(" ".join(match[1].upper().split()))
            line = Line(line.number, "")
        elif self._substituting and not self.variable:
            variable = _VARIABLE.search(line.text)
            if variable is not None:
                self.variable = f"line {line.number}: only goose replaces '{variable[0]}'"
        (self.down if self.has_down else self.up if self.begun else self.head).append(line)

    def _directive(self, words: str) -> None:
        if words == "UP":
            self.begun = True
        elif words == "DOWN":
            self.has_down = True
        elif words == "NO TRANSACTION":
            self.transactional = False
        elif words in ("ENVSUB ON", "ENVSUB OFF"):
            self._substituting = words.endswith("ON")
            self.substitutes |= self._substituting


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """The last row of each version counts; versions in the order of those rows."""
    last: dict[int, Row] = {}
    for row in found.rows.get(_TABLE, ()):
        version = int(row.get("version_id", row.get(MARK, 0)))
        last.pop(version, None)
        last[version] = row
    return TheirLedger(
        tuple(
            TheirRow(str(version), row["tstamp"])
            for version, row in last.items()
            if row["is_applied"] and version > 0
        )
    )


def guard(found: Found) -> Guard:
    """A column is renamed: with `-allow-missing` no row stops goose."""
    # Not able to read its table, it takes it for missing and creates it.
    name = found.labels[_TABLE].rpartition(".")[2]
    return column_renamed(found, _TABLE, "version_id", f'ERROR: relation "{name}" already exists')


TOOL: Final = Tool(
    name=NAME,
    title="goose",
    recognize=recognize,
    read=read,
    tables=(
        TheirTable(_TABLE, frozenset({"id", "version_id", "is_applied", "tstamp"}), order="id"),
    ),
    read_ledger=read_ledger,
    guard=guard,
    lock_ids=lambda _database, _schema: (_LOCK_ID,),
    remedies={
        Trouble.OUT_OF_ORDER: "Apply {name} with `goose up -allow-missing`, or remove its file.",
        Trouble.MISSING_FILE: "Restore the file of {name}; `goose status` lists what goose knows.",
    },
)
