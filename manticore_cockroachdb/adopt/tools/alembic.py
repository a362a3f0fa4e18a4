"""Alembic: what `alembic upgrade base:head --sql` and `alembic downgrade head:base --sql` print.

https://alembic.sqlalchemy.org ("Generating SQL Scripts"). The revisions themselves are Python and form a
graph; the printed SQL is a line. Each revision begins at a comment `-- Running upgrade a -> b`, and the
statements about `alembic_version` are Alembic's own. The ledger holds the heads only.
"""

from __future__ import annotations

import re
from typing import Final

from ..._sql.lexer import tokens
from ..text import Line, decode, described, joined, lines
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
    Sql,
    Sure,
    TheirLedger,
    TheirMigration,
    TheirRow,
    TheirTable,
    Trouble,
)
from ..wording import located, without

NAME: Final = "alembic"
_TABLE: Final = "alembic_version"
_STEP: Final = re.compile(r"--\s*Running (upgrade|downgrade) (.*?) ?-> ?(.*)")
_MARKED: Final = re.compile(rb"^--\s*Running (?:upgrade|downgrade) ", re.MULTILINE)
#: What it prints about its table, without spaces; `version_table` may give that another name.
_OWN: Final = re.compile(
    r"INSERTINTO[\w.\" ]+\(version_num\)VALUES\('|"
    r"UPDATE([\w.\" ]+)SETversion_num='[^']*'WHERE\1\.version_num='|"
    r"DELETEFROM([\w.\" ]+)WHERE\2\.version_num='",
    re.IGNORECASE,
)
_REVISION: Final = re.compile(r"(?:.*/)?(\w+?)_(\w+)\.py")


def recognize(folder: Folder) -> Recognition | None:
    """By the comments in what it prints; its own folder is recognized to say what to print."""
    marked = has_steps(folder)
    if marked is not None:
        return Recognition(NAME, Sure.CERTAIN, f"{marked} has '-- Running …' comments")
    if "alembic.ini" in folder.around or "env.py" in folder.files:
        return Recognition(NAME, Sure.CERTAIN, "alembic.ini or env.py is there")
    return None


def has_steps(folder: Folder) -> str | None:
    """The first file that Alembic printed, or None."""
    for name in sorted(folder.files):
        if name.endswith(".sql") and _MARKED.search(folder.files[name]):
            return name
    return None


def read(folder: Folder) -> Reading:
    """Cut the printed SQL at its comments."""
    if has_steps(folder) is None:
        message = (
            "Alembic's revisions are Python. Print them with `alembic upgrade base:head --sql > "
            "upgrade.sql` and `alembic downgrade head:base --sql > downgrade.sql`, and name the folder "
            "of these two files."
        )
        return Reading(problems=(Remark(message, folder.root),))
    ups: dict[str, tuple[str, Sql]] = {}
    downs: dict[str, Sql] = {}
    problems: list[Remark] = []
    titles = {
        match[1]: described(match[2]) for match in map(_REVISION.fullmatch, folder.files) if match
    }
    for name in sorted(folder.files):
        if not name.endswith(".sql"):
            continue
        path = folder.path(name)
        text = decode(path, folder.files[name])
        if isinstance(text, Remark):
            problems.append(text)
            continue
        for way, before, after, part in _steps(text):
            sql = _own(joined(path, part))
            if way == "downgrade":
                downs[before] = sql
            elif after in ups:
                problems.append(Remark(f"has revision {after} twice.", path, part[0].number))
            else:
                ups[after] = (before, sql)
    migrations = tuple(
        TheirMigration(
            key=revision,
            name=revision,
            description=titles.get(revision) or revision,
            number=None,
            up=sql,
            down=downs.get(revision),
            parents=tuple(part.strip() for part in before.split(",") if part.strip()),
        )
        for revision, (before, sql) in ups.items()
    )
    return Reading(migrations, tuple(problems))


def _steps(text: str) -> list[tuple[str, str, str, list[Line]]]:
    found: list[tuple[str, str, str, list[Line]]] = []
    for line in lines(text):
        match = _STEP.fullmatch(line.text.strip())
        if match:
            found.append((match[1], match[2].strip(), match[3].strip(), []))
        elif found:
            found[-1][3].append(line)
    return [step for step in found if step[3]]


def _own(sql: Sql) -> Sql:
    """Without the statements about Alembic's own table, which may have another name (`version_table`)."""
    own = [each for each in located(sql.text) if _is_own(each.raw.text)]
    return Sql(without(sql.text, own), sql.path, sql.line)


def _is_own(statement: str) -> bool:
    """A statement that it prints beside those of a revision."""
    words = [token.text.strip('"').lower() for token in tokens(statement)]
    if words[:2] in (["create", "table"], ["drop", "table"]):
        return _TABLE in words[2:7]
    return _OWN.match("".join(token.text for token in tokens(statement))) is not None


def read_ledger(found: Found, reading: Reading) -> TheirLedger:
    """All ancestors of the one head."""
    heads = [row["version_num"] for row in found.rows.get(_TABLE, ()) if row["version_num"] != MARK]
    if len(heads) > 1:
        message = f"The database has several heads: {', '.join(heads)}."
        finding = Finding(Trouble.HEADS, message, TOOL.remedy(Trouble.HEADS))
        return TheirLedger(findings=(finding,))
    parents = {migration.key: migration.parents for migration in reading.migrations}
    applied: set[str] = set()
    waiting = list(heads)
    while waiting:
        revision = waiting.pop()
        if revision not in applied:
            applied.add(revision)
            waiting += parents.get(revision, ())
    ordered = [migration.key for migration in reading.migrations if migration.key in applied]
    unknown = [revision for revision in heads if revision not in parents]
    return TheirLedger(tuple(TheirRow(revision) for revision in (*ordered, *unknown)))


def guard(found: Found) -> Guard:
    """A head that no file knows."""
    table = found.names[_TABLE]
    return Guard(
        says=f"ERROR: Can't locate revision identified by '{MARK}'",
        set=f"INSERT INTO {table} (version_num) VALUES ('{MARK}')",
        lift=f"DELETE FROM {table} WHERE version_num = '{MARK}'",
        is_set=any(row["version_num"] == MARK for row in found.rows[_TABLE]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="Alembic",
    recognize=recognize,
    read=read,
    tables=(TheirTable(_TABLE, frozenset({"version_num"}), order="version_num"),),
    read_ledger=read_ledger,
    guard=guard,
    remedies={
        Trouble.HEADS: "Merge them (`alembic merge heads`), upgrade, and print the SQL again.",
        Trouble.MISSING_FILE: "Print the SQL again, from base to {name}.",
        Trouble.OUT_OF_ORDER: "Apply {name} with `alembic upgrade head`, or print the SQL without it.",
    },
)
