"""sql-migrate: any file with `-- +migrate Up` and `-- +migrate Down`; its ledger holds file names.

https://github.com/rubenv/sql-migrate: `sqlparse/sqlparse.go`, `migrate.go`. Files run by their leading
number, those without one by name.
"""

from __future__ import annotations

import re
from typing import Final

from ..text import Line, decode, described, first_statement, has_line, joined, lines, number
from ..tool import Tool
from ..values import (
    MARK,
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

NAME: Final = "sql-migrate"
_TABLE: Final = "gorp_migrations"
_FILE: Final = re.compile(r"([0-9]*)[-_]?(.*)\.sql")
_DIRECTIVE: Final = re.compile(r"\s*--\s*\+migrate\s+(\w+)(.*)", re.IGNORECASE)
_MARKED: Final = re.compile(rb"^\s*--\s*\+migrate\s", re.IGNORECASE | re.MULTILINE)
_GUARD: Final = f"99999999999999_{MARK}.sql"


def recognize(folder: Folder) -> Recognition | None:
    """By its directives."""
    marked = has_line(folder, _MARKED)
    if marked is None:
        return None
    return Recognition(NAME, Sure.CERTAIN, f"{marked} has '-- +migrate' directives")


def read(folder: Folder) -> Reading:
    """Split each file at its directives."""
    migrations: list[TheirMigration] = []
    problems: list[Remark] = []
    found = [name for name in folder.files if name.endswith(".sql") and "/" not in name]
    for name in sorted(found, key=_order):
        path = folder.path(name)
        text = decode(path, folder.files[name])
        if isinstance(text, Remark):
            problems.append(text)
            continue
        head, up, down, transactional = _split(text)
        if up is None:
            problems.append(
                Remark("has no '-- +migrate Up' line, so sql-migrate refuses it too.", path)
            )
        elif (line := first_statement(head)) is not None:
            message = "a statement above '-- +migrate Up', which sql-migrate leaves out. Remove it."
            problems.append(Remark(message, path, line))
        else:
            match = _FILE.fullmatch(name)
            migrations.append(
                TheirMigration(
                    key=name,
                    name=name,
                    description=described(match[2] if match else name),
                    number=number(match[1]) if match else None,
                    up=joined(path, [*head, *up]),
                    down=joined(path, down) if down is not None else None,
                    transactional=transactional,
                )
            )
    return Reading(tuple(migrations), tuple(problems))


def _order(name: str) -> tuple[bool, int, str]:
    digits = re.match(r"[0-9]+", name)
    return (digits is None, int(digits[0]) if digits else 0, name)


def _split(text: str) -> tuple[list[Line], list[Line] | None, list[Line] | None, bool]:
    """What is above the first part, the up section, the down section, and whether in a transaction."""
    head: list[Line] = []
    parts: dict[str, list[Line]] = {}
    current = head
    transactional = True
    for line in lines(text):
        match = _DIRECTIVE.fullmatch(line.text)
        if match is None:
            current.append(line)
            continue
        word = match[1].upper()
        if word in ("UP", "DOWN"):
            current = parts.setdefault(word, [])
            if "notransaction" in match[2].lower().split():
                transactional = False
        current.append(Line(line.number, ""))
    return head, parts.get("UP"), parts.get("DOWN"), transactional


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """A row for each file."""
    rows = [row for row in found.rows.get(_TABLE, ()) if row["id"] != _GUARD]
    return TheirLedger(tuple(TheirRow(row["id"], row["applied_at"]) for row in rows))


def guard(found: Found) -> Guard:
    """A row without a file."""
    table = found.names[_TABLE]
    return Guard(
        says=f"Unable to create migration plan because of {_GUARD}: unknown migration in database",
        set=f"INSERT INTO {table} (id, applied_at) VALUES ('{_GUARD}', now())",
        lift=f"DELETE FROM {table} WHERE id = '{_GUARD}'",
        is_set=any(row["id"] == _GUARD for row in found.rows[_TABLE]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="sql-migrate",
    recognize=recognize,
    read=read,
    tables=(TheirTable(_TABLE, frozenset({"id", "applied_at"}), order="applied_at"),),
    read_ledger=read_ledger,
    guard=guard,
    remedies={
        Trouble.OUT_OF_ORDER: "Apply {name} with `sql-migrate up`, or remove its file.",
        Trouble.MISSING_FILE: "Restore {name}; `sql-migrate status` lists what sql-migrate knows.",
    },
)
