"""Atlas: `20260301120000_add_users.sql` beside `atlas.sum`; no down files.

https://github.com/ariga/atlas: `sql/migrate`. The ledger counts the statements of each file that are
applied: `applied < total` is partially applied. The hash of a file is in `atlas.sum` and in the ledger.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from .. import checksums
from ..text import decode, described, has_line, lines, names, number, without
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

NAME: Final = "atlas"
_FILE: Final = re.compile(r"([^_]+?)(?:_(.*))?\.sql")
_SUM: Final = "atlas.sum"
_TABLE: Final = "atlas_schema_revisions"
_DIRECTIVE: Final = re.compile(r"--\s*atlas:(txmode|checkpoint|delimiter|txtar)\b[ \t]*(.*)")
#: Atlas also writes files for other tools, which then run them.
_OTHERS: Final = re.compile(
    rb"^\s*--\s*(?:\+goose|\+migrate|migrate:|liquibase formatted)", re.IGNORECASE | re.MULTILINE
)
_SECTION: Final = re.compile(r"-- (\S+) --")
_BASELINE: Final = 1
_GUARD: Final = f"99999999999999_{MARK}"


def recognize(folder: Folder) -> Recognition | None:
    """By its sum file."""
    if _SUM not in folder.files:
        return None
    if any(re.fullmatch(r"[0-9]+_.*\.(up|down)\.sql", name) for name in folder.files):
        return Recognition(NAME, Sure.POSSIBLE, "atlas.sum is there, but the files come in pairs")
    other = has_line(folder, _OTHERS)
    if other is not None:
        why = f"atlas.sum is there, but {other} has another tool's directives"
        return Recognition(NAME, Sure.POSSIBLE, why)
    return Recognition(NAME, Sure.CERTAIN, "atlas.sum is there")


def read(folder: Folder) -> Reading:
    """Read the files by name and compare them with the sum file."""
    migrations: list[TheirMigration] = []
    problems: list[Remark] = []
    left: list[Remark] = []
    found = [(name, match) for name, match in names(folder, _FILE)]
    sums = checksums.atlas((name, folder.files[name]) for name, _ in found)
    recorded = _recorded(folder.files.get(_SUM, b"").decode(errors="replace"))
    for name, match in found:
        path = folder.path(name)
        text = decode(path, folder.files[name])
        if isinstance(text, Remark):
            problems.append(text)
            continue
        if recorded and recorded.get(name) != sums[name]:
            message = (
                f"does not fit {_SUM}: it, or a file before it, was changed. Restore it, or accept it "
                "with `atlas migrate hash`."
            )
            problems.append(Remark(message, path))
            recorded = {}  # the sums of all later files follow from this one
        options = _options(text)
        if "checkpoint" in options:
            left.append(Remark("is a checkpoint for empty databases.", path))
            continue
        up, down = _parts(path, text, options)
        migrations.append(
            TheirMigration(
                key=match[1],
                name=name,
                description=described(match[2] or ""),
                number=number(match[1]),
                up=up,
                down=down,
                checksums=(sums[name],),
                transactional=options.get("txmode") != "none",
            )
        )
    return Reading(tuple(migrations), tuple(problems), tuple(left))


def _recorded(text: str) -> dict[str, str]:
    """The lines of the sum file but the first: names and hashes."""
    found = {}
    for line in text.splitlines()[1:]:
        name, _, value = line.rpartition(" h1:")
        found[name] = value
    return found


def _options(text: str) -> dict[str, str]:
    """The directives above the first statement."""
    found: dict[str, str] = {}
    for line in lines(text):
        if line.text.strip() and not line.text.lstrip().startswith("--"):
            break
        match = _DIRECTIVE.fullmatch(line.text.strip())
        if match:
            found[match[1]] = match[2].strip()
    return found


def _parts(place: Path, text: str, options: dict[str, str]) -> tuple[Sql, Sql | None]:
    if "txtar" in options:
        sections = _sections(text)
        down = sections.get("down.sql")
        start, up = sections.get("migration.sql", (1, ""))
        return Sql(up, place, start), Sql(down[1], place, down[0]) if down else None
    kept = without(lines(text), lambda line: _DIRECTIVE.fullmatch(line.strip()) is not None)
    whole = "\n".join(line.text for line in kept)
    delimiter = options.get("delimiter", "")
    if delimiter:
        delimiter = delimiter.strip("\"'").replace("\\n", "\n").replace("\\t", "\t")
        pieces = [piece.strip() for piece in whole.split(delimiter)]
        whole = "\n".join(
            piece if piece.endswith(";") else f"{piece};" for piece in pieces if piece
        )
    return Sql(whole, place), None


def _sections(text: str) -> dict[str, tuple[int, str]]:
    """The files of a txtar archive: the line on which each begins, and its text."""
    found: dict[str, tuple[int, list[str]]] = {}
    current: list[str] | None = None
    for line in lines(text):
        match = _SECTION.fullmatch(line.text.strip())
        if match:
            current = []
            found[match[1]] = (line.number + 1, current)
        elif current is not None:
            current.append(line.text)
    return {name: (start, "\n".join(part)) for name, (start, part) in found.items()}


def read_ledger(found: Found, reading: Reading) -> TheirLedger:
    """A row for each version, with how many of its statements are applied."""
    applied, findings = [], []
    floor: int | None = None
    files = {migration.key for migration in reading.migrations}
    for row in found.rows.get(_TABLE, ()):
        version = str(row["version"])
        if version.startswith(".") or version == _GUARD:
            continue
        if row["applied"] < row["total"]:
            done = f"{row['applied']} of {row['total']} statements are applied"
            error = f" {str(row['error']).rstrip('.')}." if row["error"] else ""
            message = f"Version {version} is partially applied: {done}.{error}"
            remedy = TOOL.remedy(Trouble.PARTIALLY_APPLIED, version)
            findings.append(Finding(Trouble.PARTIALLY_APPLIED, message, remedy))
            continue
        if row["type"] == _BASELINE and version not in files and number(version) is not None:
            floor = max(floor or 0, int(version))
            continue
        applied.append(
            TheirRow(
                version,
                row["executed_at"],
                execution_ms=int(row["execution_time"]) // 1_000_000,
                checksum=row["hash"] or None,
            )
        )
        if row["type"] == _BASELINE and number(version) is not None:
            floor = max(floor or 0, int(version) - 1)
    return TheirLedger(tuple(applied), tuple(findings), floor)


def guard(found: Found) -> Guard:
    """A row that is partially applied."""
    table = found.names[_TABLE]
    return Guard(
        says=f'Error: migration "{_GUARD}" was not found in the migration directory',
        set=(
            f"INSERT INTO {table} (version, description, type, applied, total, executed_at, "
            "execution_time, error, error_stmt, hash, partial_hashes, operator_version) "
            f"VALUES ('{_GUARD}', '{MARK}', 2, 0, 1, now(), 0, 'adopted by Manticore', '', '', NULL, "
            "'')"
        ),
        lift=f"DELETE FROM {table} WHERE version = '{_GUARD}'",
        is_set=any(row["version"] == _GUARD for row in found.rows[_TABLE]),
    )


TOOL: Final = Tool(
    name=NAME,
    title="Atlas",
    recognize=recognize,
    read=read,
    tables=(
        TheirTable(
            _TABLE,
            frozenset({"version", "type", "applied", "total", "hash"}),
            schemas=(_TABLE,),
            order="version",
        ),
    ),
    read_ledger=read_ledger,
    guard=guard,
    remedies={
        # https://github.com/ariga/atlas/issues/2455: a file with fewer statements stays partially applied.
        Trouble.PARTIALLY_APPLIED: "Fix the failed statement in its file, run `atlas migrate hash`, and "
        "then `atlas migrate apply`, which resumes there. If you finish it by hand, or it still counts "
        "as partially applied, run `atlas migrate set {name}`.",
        Trouble.CHANGED: "Restore the file of {name} as it was when it was applied.",
        Trouble.OUT_OF_ORDER: "Apply {name} with `atlas migrate apply --exec-order non-linear`, or "
        "remove its file.",
    },
)
