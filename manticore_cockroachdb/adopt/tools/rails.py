"""Rails: migrations in Ruby; `db/structure.sql`, if the project keeps one, is the baseline.

https://guides.rubyonrails.org ("Active Record Migrations"). `schema_migrations` holds a row for each
version. What the migrations did cannot be read from Ruby, so everything up to the highest version becomes
one script.
"""

from __future__ import annotations

import re
from typing import Final

from ..._sql.lexer import tokens
from ..text import decode, number
from ..tool import Tool, column_renamed
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

NAME: Final = "rails"
_FILE: Final = re.compile(r"(?:.*/)?([0-9]+)_(\w+)\.rb")
_STRUCTURE: Final = re.compile(r"(?:.*/)?structure\.sql")
_TABLE: Final = "schema_migrations"
_OWN: Final = frozenset({"schema_migrations", "ar_internal_metadata"})
_VERSION: Final = re.compile(r"\('([0-9]+)'\)")
_PSQL: Final = re.compile(r"^\\.*$", re.MULTILINE)


def recognize(folder: Folder) -> Recognition | None:
    """By migrations in Ruby or structure.sql."""
    for name in sorted(folder.files):
        if _FILE.fullmatch(name):
            return Recognition(NAME, Sure.CERTAIN, f"{name} is a migration in Ruby")
        if _STRUCTURE.fullmatch(name) and b"schema_migrations" in folder.files[name]:
            return Recognition(NAME, Sure.CERTAIN, f"{name} is there")
    return None


def read(folder: Folder) -> Reading:
    """One script from structure.sql, with the highest version it names."""
    structure = next((name for name in sorted(folder.files) if _STRUCTURE.fullmatch(name)), None)
    ruby = sorted({number(match[1]) or 0 for match in map(_FILE.fullmatch, folder.files) if match})
    if structure is None:
        message = (
            "Rails' migrations are Ruby. Set `config.active_record.schema_format = :sql`, run `rails "
            "db:schema:dump`, and name the folder db, which then has structure.sql."
        )
        return Reading(problems=(Remark(message, folder.root),))
    path = folder.path(structure)
    text = decode(path, folder.files[structure])
    if isinstance(text, Remark):
        return Reading(problems=(text,))
    versions = sorted({int(version) for version in _VERSION.findall(text)})
    if not versions:
        return Reading(problems=(Remark("names no version of schema_migrations.", path),))
    left = [
        Remark(f"version {version} is Ruby; structure.sql does not hold it yet.", folder.root)
        for version in ruby
        if version not in versions
    ]
    own = [statement for statement in located(_PSQL.sub("", text)) if _is_own(statement.raw.text)]
    baseline = TheirMigration(
        key=str(versions[-1]),
        name=structure,
        description="structure",
        number=versions[-1],
        up=Sql(without(_PSQL.sub("", text), own), path),
    )
    note = Remark(
        f"{len(versions)} versions become one script; psql's commands and the statements about "
        "Rails' own tables are left out.",
        path,
    )
    return Reading((baseline,), (), tuple(left), (note,))


def _is_own(statement: str) -> bool:
    """Whether a statement is about Rails' own tables."""
    words = [token.text.strip('"').lower() for token in tokens(statement)][:8]
    if words[:2] not in (["create", "table"], ["alter", "table"], ["insert", "into"]):
        return False
    return bool(_OWN & set(words))


def read_ledger(found: Found, reading: Reading) -> TheirLedger:
    """The baseline is applied if exactly its versions are."""
    rows = {
        number(str(row.get("version", row.get(MARK)))) or 0 for row in found.rows.get(_TABLE, ())
    }
    if not rows or not reading.migrations:
        return TheirLedger()
    baseline = reading.migrations[0]
    if max(rows) != baseline.number:
        message = (
            f"The database is at version {max(rows)}, and {baseline.name} at {baseline.number}."
        )
        remedy = "Run `rails db:migrate`, which writes structure.sql again."
        return TheirLedger(findings=(Finding(Trouble.CHANGED, message, remedy),))
    return TheirLedger((TheirRow(baseline.key),))


def guard(found: Found) -> Guard:
    """Its one column is renamed: Rails runs whatever has no row, so no row can stop it."""
    return column_renamed(
        found,
        _TABLE,
        "version",
        "PG::UndefinedColumn: column schema_migrations.version does not exist",
    )


TOOL: Final = Tool(
    name=NAME,
    title="Rails",
    recognize=recognize,
    read=read,
    tables=(TheirTable(_TABLE, frozenset({"version"}), without=frozenset({"dirty", "name"})),),
    read_ledger=read_ledger,
    guard=guard,
    also=("ar_internal_metadata",),
)
