"""What `--json` prints: plans, checks and lists as plain values, in a shape that stays.

Every report is one JSON object with `format` (1; a higher number may change or remove keys, new keys may
come at any time) and `databases`, a list with one object per database, in the order they were named.
Times are ISO 8601 with their zone; whatever is not known is null.

`manticore_showmigrations --json`, each database:
    `database` (the alias), `scripts`: a list by version of
    `version`, `name`, `description`, `state` ("applied", "pending", "drifted", "missing", "half done"),
    `applied_at`, `applied_by`, `execution_ms`, `path`.

`manticore_migrate --plan --json`, `manticore_rollback --plan --json`, each database:
    `database`, `server` (its name and version), `steps`: a list in the order of the run of
    `version`, `name`, `description`, `direction` ("up", "down"), `mode` ("atomic", "stepwise"), `path`,
    `statements`: a list of `line`, `kind` ("schema", "data", "session"), `sql`.

`manticore_migrate --check --json`, besides `ok` (true if nothing was found), each database:
    `database`, `ok`, and four lists of versions: `pending`, `drifted`, `half_done`, `missing`.
    A missing file alone is no finding: the code may be older than the database on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from manticore_cockroachdb._planner.plan import ScriptStatus, State
from manticore_cockroachdb._planner.segments import Prepared

from .. import messages

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Findings:
    """What `--check` found on one database.

    Attributes:
        alias: The database.
        pending: Versions that would be applied or reverted.
        drifted: Applied versions whose files were changed.
        half_done: Versions that an earlier run left half done.
        missing: Applied versions without a file.
    """

    alias: str
    pending: tuple[int, ...]
    drifted: tuple[int, ...]
    half_done: tuple[int, ...]
    missing: tuple[int, ...]

    @property
    def ok(self) -> bool:
        """Whether there is nothing to do and nothing to repair."""
        return not (self.pending or self.drifted or self.half_done)


def findings(alias: str, statuses: Iterable[ScriptStatus], target: int | None) -> Findings:
    """What the statuses mean for `--check`.

    Args:
        alias: The database.
        statuses: Every version.
        target: The version the database should be at; None: the highest.
    """
    by_state: dict[State, list[int]] = {state: [] for state in State}
    pending = []
    for status in statuses:
        by_state[status.state].append(status.version)
        applied = status.state in (State.APPLIED, State.DRIFTED, State.MISSING)
        wanted = target is None or status.version <= target
        surplus = target is not None and status.version > target and applied
        if surplus or (wanted and status.state is State.PENDING):
            pending.append(status.version)
    return Findings(
        alias,
        tuple(pending),
        tuple(by_state[State.DRIFTED]),
        tuple(by_state[State.HALF_DONE]),
        tuple(by_state[State.MISSING]),
    )


def in_words(found: Findings) -> list[str]:
    """What `--check` found, for people; nothing where all is well."""
    accept = "manticore_resolve --accept-checksum"
    said = {
        "pending: manticore_migrate applies them": found.pending,
        f"changed after they were applied: restore the files, or accept the change with {accept}": (
            found.drifted
        ),
        "half done: run the command again that was stopped": found.half_done,
    }
    return [
        f"{found.alias}: {messages.scripts(len(versions))} {remark} "
        f"({', '.join(f'V{version}' for version in versions)})."
        for remark, versions in said.items()
        if versions
    ]


def checked(found: Sequence[Findings]) -> dict[str, Any]:
    """The report of `--check`."""
    return {
        "format": FORMAT,
        "ok": all(each.ok for each in found),
        "databases": [
            {
                "database": each.alias,
                "ok": each.ok,
                "pending": list(each.pending),
                "drifted": list(each.drifted),
                "half_done": list(each.half_done),
                "missing": list(each.missing),
            }
            for each in found
        ],
    }


def planned(alias: str, server: str, steps: Iterable[Prepared]) -> dict[str, Any]:
    """One database's part in the report of `--plan`."""
    return {
        "database": alias,
        "server": server,
        "steps": [
            {
                "version": prepared.step.version,
                "name": prepared.step.name,
                "description": prepared.step.script.description,
                "direction": prepared.step.direction.value,
                "mode": prepared.mode.value,
                "path": str(prepared.step.path),
                "statements": [
                    {"line": statement.line, "kind": statement.kind.value, "sql": statement.text}
                    for statement in prepared.statements
                ],
            }
            for prepared in steps
        ],
    }


def listed(alias: str, statuses: Iterable[ScriptStatus]) -> dict[str, Any]:
    """One database's part in the report of `manticore_showmigrations`."""
    return {
        "database": alias,
        "scripts": [
            {
                "version": status.version,
                "name": messages.name_of(status),
                "description": status.description,
                "state": status.state.value,
                "applied_at": status.applied_at.isoformat() if status.applied_at else None,
                "applied_by": status.applied_by,
                "execution_ms": status.execution_ms,
                "path": str(status.script.path) if status.script else None,
            }
            for status in statuses
        ],
    }


def databases(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A report of several databases' parts."""
    return {"format": FORMAT, "databases": list(parts)}


def text(report: dict[str, Any]) -> str:
    """The report as it is printed."""
    return json.dumps(report, indent=2, ensure_ascii=False)
