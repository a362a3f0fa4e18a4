"""What `--json` prints: plans, checks and lists as plain values, in a shape that stays.

Every report is one JSON object with `format` (1; a higher number may change or remove keys, new keys may
come at any time) and `databases`, a list with one object per database, in the order they were named.
Times are ISO 8601 with their zone; whatever is not known is null.

`manticore_showmigrations --json`, each database:
    `database` (the alias), `scripts`: a list by version, repeatable scripts last, of
    `version` (null for a repeatable script), `name`, `description`, `state`
    ("applied", "pending", "drifted", "missing", "partially_applied", "partially_reverted",
    "unavailable"), `applied_at`, `applied_by`, `execution_ms`, `path`, `batch` (null, or of the statement
    in batches that has begun: `line`, `position` (a list of texts), `windows`, `rows`, `scanned`, `total`,
    `seconds`, `rate`, `remaining`).

`manticore_migrate --plan --json`, `manticore_rollback --plan --json`, each database:
    `database`, `server` (its name and version), `steps`: a list in the order of the run of
    `version` (null for a repeatable script), `name`, `description`, `direction` ("up",
    "down"), `mode` ("atomic", "stepwise"), `path`,
    `statements_done` (how many an earlier run has finished), `statements`: those that are left, a list of
    `line`, `kind` ("schema", "data", "session"), `sql`.

`manticore_migrate --show-blockers --json`, each database:
    `database`, `blockers`: a list of `pid`, `user`, `application`, `state`, `since`, `statement`, `lock`.

`manticore_migrate --check --json`, besides `ok` (true if nothing was found), each database that could be
checked:
    `database`, `ok`, and lists of versions: `pending`, `out_of_order` (those of them that
    manticore_migrate refuses), `to_revert`, `drifted`, `partially_applied`, `partially_reverted`,
    `missing`, `unavailable` (not applied, and the file was removed). A missing file alone is not a finding:
    the code may be older than the database on purpose.
    `repeatable` has lists of names: `pending`, `partially_applied`, `missing`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django_manticore import messages

if TYPE_CHECKING:
    from manticore_cockroachdb.types import BatchStatus, Plan, ScriptStatus

    from .findings import Findings

FORMAT = 1


def checked(found: Iterable[Findings], *, ok: bool) -> dict[str, Any]:
    """The report of `--check`."""
    return {
        "format": FORMAT,
        "ok": ok,
        "databases": [
            {
                "database": each.alias,
                "ok": each.ok,
                "pending": list(each.pending),
                "out_of_order": list(each.out_of_order),
                "to_revert": list(each.to_revert),
                "drifted": list(each.drifted),
                "partially_applied": list(each.partially_applied),
                "partially_reverted": list(each.partially_reverted),
                "missing": list(each.missing),
                "unavailable": list(each.unavailable),
                "repeatable": {
                    "pending": list(each.repeatable_pending),
                    "partially_applied": list(each.repeatable_unfinished),
                    "missing": list(each.repeatable_missing),
                },
            }
            for each in found
        ],
    }


def planned(alias: str, plan: Plan) -> dict[str, Any]:
    """One database's part in the report of `--plan`."""
    return {
        "database": alias,
        "server": plan.server.name,
        "steps": [
            {
                "version": planned.step.version or None,
                "name": planned.step.name,
                "description": planned.step.script.description,
                "direction": planned.step.direction.value,
                "mode": planned.mode.value,
                "path": str(planned.step.path),
                "statements_done": planned.done,
                "statements": [
                    {"line": statement.line, "kind": statement.kind.value, "sql": statement.text}
                    for statement in planned.statements
                ],
            }
            for planned in plan.detailed()
        ],
    }


def listed(alias: str, statuses: Iterable[ScriptStatus]) -> dict[str, Any]:
    """One database's part in the report of `manticore_showmigrations`."""
    return {
        "database": alias,
        "scripts": [
            {
                "version": status.version or None,
                "name": messages.name_of(status),
                "description": status.description,
                "state": status.state.value,
                "applied_at": status.applied_at.isoformat() if status.applied_at else None,
                "applied_by": status.applied_by,
                "execution_ms": status.execution_ms,
                "path": str(status.script.path) if status.script else None,
                "batch": None if status.batch is None else _batch(status.batch),
            }
            for status in statuses
        ],
    }


def _batch(batch: BatchStatus) -> dict[str, Any]:
    return {
        "line": batch.line,
        "position": list(batch.position),
        "windows": batch.windows,
        "rows": batch.rows,
        "scanned": batch.scanned,
        "total": batch.total,
        "seconds": batch.seconds,
        "rate": batch.rate,
        "remaining": batch.remaining,
    }


def databases(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A report of several databases' parts."""
    return {"format": FORMAT, "databases": list(parts)}


def text(report: dict[str, Any]) -> str:
    """The report as it is printed."""
    return json.dumps(report, indent=2, ensure_ascii=False)
