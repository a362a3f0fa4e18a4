"""dbmate: `20260301120000_add_users.sql` with `-- migrate:up` and `-- migrate:down`.

https://github.com/amacneil/dbmate: `pkg/dbmate/migration.go`. One text column in its ledger. A file may
hold several pairs; their down sections run in the opposite order.
"""

from __future__ import annotations

import re
from pathlib import Path
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
    Sql,
    Sure,
    TheirLedger,
    TheirMigration,
    TheirRow,
    TheirTable,
    Trouble,
)

NAME: Final = "dbmate"
_FILE: Final = re.compile(r"([0-9]+)(.*)\.sql")
_TABLE: Final = "schema_migrations"
_DIRECTIVE: Final = re.compile(r"--\s*migrate:(up|down)(?:\s+(.*?))?\s*")
_MARKED: Final = re.compile(rb"^--\s*migrate:(?:up|down)\b", re.MULTILINE)


def recognize(folder: Folder) -> Recognition | None:
    """By its directives."""
    marked = has_line(folder, _MARKED)
    if marked is None:
        return None
    return Recognition(NAME, Sure.CERTAIN, f"{marked} has '-- migrate:up' directives")


def read(folder: Folder) -> Reading:
    """Split each file at its directives."""
    migrations: list[TheirMigration] = []
    problems: list[Remark] = []
    for name, match in names(folder, _FILE):
        path = folder.path(name)
        text = decode(path, folder.files[name])
        if isinstance(text, Remark):
            problems.append(text)
            continue
        head, ups, downs, transactional = _split(text)
        if not ups:
            problems.append(Remark("has no '-- migrate:up' line, so dbmate refuses it too.", path))
        elif (line := first_statement(head)) is not None:
            message = "a statement before '-- migrate:up', which dbmate refuses too."
            problems.append(Remark(message, path, line))
        else:
            migrations.append(
                TheirMigration(
                    key=match[1],
                    name=name,
                    description=described(match[2]),
                    number=number(match[1]),
                    up=_together(path, ups),
                    down=_together(path, downs[::-1]) if downs else None,
                    transactional=transactional,
                )
            )
    return Reading(tuple(migrations), tuple(problems))


def _split(text: str) -> tuple[list[Line], list[list[Line]], list[list[Line]], bool]:
    """What is above the first part, the up sections, the down sections, and whether in a transaction."""
    ups: list[list[Line]] = []
    downs: list[list[Line]] = []
    head: list[Line] = []
    current = head
    transactional = True
    for line in lines(text):
        match = _DIRECTIVE.fullmatch(line.text)
        if match is None:
            current.append(line)
            continue
        current = [Line(line.number, "")]
        (ups if match[1] == "up" else downs).append(current)
        if "transaction:false" in (match[2] or "").split():
            transactional = False
    if ups:
        ups[0][:0] = head
    return head, ups, downs, transactional


def _together(path: Path, parts: list[list[Line]]) -> Sql:
    """Several parts as one, with a semicolon between them: the last one of a part is optional."""
    texts = [joined(path, part) for part in parts]
    return Sql("\n;\n".join(sql.text for sql in texts), path, texts[0].line)


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """A row for each version; when they were applied is not recorded."""
    rows = found.rows.get(_TABLE, ())
    versions = sorted((str(row.get("version", row.get(MARK))) for row in rows), key=_order)
    return TheirLedger(tuple(TheirRow(version) for version in versions))


def _order(version: str) -> tuple[int, str]:
    return (number(version) or 0, version)


def guard(found: Found) -> Guard:
    """Its one column is renamed: dbmate applies whatever has no row, so no row can stop it."""
    return column_renamed(found, _TABLE, "version", 'Error: pq: column "version" does not exist')


TOOL: Final = Tool(
    name=NAME,
    title="dbmate",
    recognize=recognize,
    read=read,
    tables=(TheirTable(_TABLE, frozenset({"version"}), without=frozenset({"dirty", "name"})),),
    read_ledger=read_ledger,
    guard=guard,
    remedies={
        Trouble.OUT_OF_ORDER: "Apply {name} with `dbmate up`, or remove its file.",
        Trouble.MISSING_FILE: "Restore the file of {name}; `dbmate status` lists what dbmate knows.",
    },
)
