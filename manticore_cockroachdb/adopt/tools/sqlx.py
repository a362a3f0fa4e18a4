"""sqlx: `20260301120000_add_users.sql`, or a pair of `.up.sql` and `.down.sql`.

https://github.com/launchbadge/sqlx: `sqlx-core/src/migrate/source.rs`, `sqlx-postgres/src/migrate.rs`. The
ledger's checksum is SHA-384 of the file; `success = false` marks a run that ended in the middle.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from .. import checksums
from ..text import decode, described, names, number
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

NAME: Final = "sqlx"
_FILE: Final = re.compile(r"([0-9]+)_(.*?)(\.up|\.down)?\.sql")
_TABLE: Final = "_sqlx_migrations"
_LAST: Final = 2**63 - 1
_NO_TRANSACTION: Final = "-- no-transaction"


def recognize(folder: Folder) -> Recognition | None:
    """By names that several tools share; certain only beside a Rust project that says sqlx."""
    found = [name for name, _ in names(folder, _FILE)]
    if not found or "atlas.sum" in folder.files:
        return None
    if ".sqlx" in folder.around:
        return Recognition(NAME, Sure.CERTAIN, "the folder .sqlx is beside it")
    sure = Sure.LIKELY if "Cargo.toml" in folder.around else Sure.POSSIBLE
    return Recognition(NAME, sure, f"{found[0]} is named as its files are")


def read(folder: Folder) -> Reading:
    """Pair the files."""
    ups: dict[int, tuple[str, re.Match[str]]] = {}
    downs: dict[int, str] = {}
    problems: list[Remark] = []
    for name, match in names(folder, _FILE):
        version, path = number(match[1]), folder.path(name)
        if version is None:
            problems.append(Remark("its version is beyond what a ledger can hold.", path))
        elif match[3] == ".down":
            downs[version] = name
        elif version in ups:
            message = f"is version {version}, and so is {ups[version][0]}. Renumber one of them."
            problems.append(Remark(message, path))
        else:
            ups[version] = (name, match)
    migrations = []
    for version in sorted(ups):
        name, match = ups[version]
        up = _sql(folder, name, problems)
        if up is None:
            continue
        raw = folder.files[name]
        migrations.append(
            TheirMigration(
                key=str(version),
                name=name,
                description=described(match[2]),
                number=version,
                up=up,
                down=_sql(folder, downs[version], problems) if version in downs else None,
                checksums=(checksums.sha384(raw),),
                transactional=not up.text.startswith(_NO_TRANSACTION),
            )
        )
    left = [
        Remark("is a down file without an up file.", folder.path(name))
        for version, name in downs.items()
        if version not in ups
    ]
    return Reading(tuple(migrations), tuple(problems), tuple(left))


def _sql(folder: Folder, name: str, problems: list[Remark]) -> Sql | None:
    path = folder.path(name)
    text = decode(path, folder.files[name])
    if isinstance(text, Remark):
        problems.append(text)
        return None
    return Sql(text, path)


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """A row for each version."""
    applied, findings = [], []
    for row in found.rows.get(_TABLE, ()):
        version = str(row["version"])
        if row["version"] == _LAST:
            continue
        if not row["success"]:
            message = f"Version {version} ({row['description']}) ended in the middle."
            remedy = TOOL.remedy(Trouble.PARTIALLY_APPLIED, version)
            findings.append(Finding(Trouble.PARTIALLY_APPLIED, message, remedy))
            continue
        applied.append(
            TheirRow(
                version,
                row["installed_on"],
                execution_ms=max(0, row["execution_time"]) // 1_000_000,
                checksum=bytes(row["checksum"]).hex(),
            )
        )
    return TheirLedger(tuple(applied), tuple(findings))


def guard(found: Found) -> Guard:
    """A row that says it ended in the middle."""
    table = found.names[_TABLE]
    return Guard(
        says=f"migration {_LAST} is partially applied; fix and remove row from `_sqlx_migrations` "
        f"table",
        set=(
            f"INSERT INTO {table} (version, description, success, checksum, execution_time) "
            f"VALUES ({_LAST}, '{MARK}', false, '', 0)"
        ),
        lift=f"DELETE FROM {table} WHERE version = {_LAST}",
        is_set=any(row["version"] == _LAST for row in found.rows[_TABLE]),
    )


def lock_ids(database: str, _schema: str) -> tuple[int, ...]:
    """`generate_lock_id`: a constant times the CRC-32 of the database's name."""
    return (0x3D32AD9E * zlib.crc32(database.encode()),)


TOOL: Final = Tool(
    name=NAME,
    title="sqlx",
    recognize=recognize,
    read=read,
    tables=(
        TheirTable(
            _TABLE, frozenset({"version", "success", "checksum", "execution_time"}), order="version"
        ),
    ),
    read_ledger=read_ledger,
    guard=guard,
    lock_ids=lock_ids,
    remedies={
        Trouble.PARTIALLY_APPLIED: "See what of {name} took effect, finish or revert it by hand, "
        "and set success to true, or delete its row from _sqlx_migrations.",
        Trouble.OUT_OF_ORDER: "Apply {name} with `sqlx migrate run`, or remove its file.",
    },
)
