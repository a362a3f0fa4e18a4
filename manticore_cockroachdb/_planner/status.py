"""What the files and the tables together say of each script. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from .._scripts.checkpoint import Replaced
from .._scripts.direction import Direction
from .._scripts.script import MigrationScript, ScriptKey, called
from .._store.ledger import LedgerRow
from .._store.repeatables import RepeatableRow
from .._store.snapshot import Blank, Progress
from .batch_progress import BatchStatus, batch_status
from .checkpoints import (
    replaced_versions,
    starting_point,
    unavailable,
)
from .plan import begun, drifted, numbers
from .step import Step


class State(Enum):
    """What the tables and the folder together say of one script."""

    APPLIED = "applied"
    PENDING = "pending"
    """Not applied; or repeatable, and to be run again."""
    DRIFTED = "drifted"
    """Applied, but the file's up section is no longer what was applied."""
    MISSING = "missing"
    """Applied, but its file is not in the folder."""
    PARTIALLY_APPLIED = "partially_applied"
    """Some statements of its up section are done; migrating finishes it."""
    PARTIALLY_REVERTED = "partially_reverted"
    """Some statements of its down section are done; rolling back finishes it."""
    UNAVAILABLE = "unavailable"
    """Not applied, and its file is gone: a checkpoint stands for it, from which only empty databases
    start."""


@dataclass(frozen=True, slots=True)
class ScriptStatus:
    """One script, as `status()` reports it.

    Attributes:
        version: The version; 0 for a repeatable script.
        description: From the file, or from the ledger where the file is missing.
        state: Where it stands.
        applied_at: When it was applied, if it is.
        applied_by: By whom, where recorded.
        execution_ms: How long it took, in milliseconds, where recorded.
        script: Its script, unless the file is missing.
        batch: How far its statement in batches has come, where one has begun and is not done.
        repeatable: A repeatable script's name, such as `R__active_users`; None for a version. Pending with
            a time in `applied_at`, it was applied and is to run again.
    """

    version: int
    description: str
    state: State
    applied_at: datetime | None = None
    applied_by: str | None = None
    execution_ms: int | None = None
    script: MigrationScript | None = None
    batch: BatchStatus | None = None
    repeatable: str | None = None

    @property
    def key(self) -> ScriptKey:
        """What the commands call it: its version, or a repeatable script's name."""
        return self.repeatable or self.version

    @property
    def called(self) -> str:
        """The script in messages: "version 7", or "R__active_users"."""
        return called(self.key)


def statuses(
    scripts: Sequence[MigrationScript],
    rows: Sequence[LedgerRow],
    progress: Progress | None = None,
    repeatables: Sequence[RepeatableRow] = (),
    *,
    checkpoints: Sequence[MigrationScript] = (),
    blank: Blank | None = None,
) -> list[ScriptStatus]:
    """Every script that the folder or a table knows, and where it stands.

    Versions come in their order, then repeatable scripts in theirs, those without a file last.

    Args:
        scripts: The folder.
        rows: The ledger.
        progress: What is unfinished.
        repeatables: The rows of repeatable scripts.
        checkpoints: Every checkpoint, by version.
        blank: What else the database holds, where nothing has run in it.
    """
    unfinished = progress.unfinished if progress else None
    applied = {row.version: row for row in rows}
    known = {script.version: script for script in scripts if not script.is_repeatable}
    covered = replaced_versions(checkpoints)
    partial = unfinished.version if unfinished and unfinished.script is None else None
    start = begun(checkpoints, unfinished, None) or starting_point(checkpoints, blank, None)
    lost = {*unavailable(checkpoints, known, {*applied, *numbers(start)}, None)}
    if unfinished is not None and unfinished.checkpoint and start is not None:
        known[start.version] = start
    found = [
        _status(
            version,
            known.get(version),
            applied.get(version),
            progress if version == partial else None,
            covered.get(version),
            lost=version in lost,
        )
        for version in sorted({*applied, *known, *covered, *([partial] if partial else [])})
    ]
    again = progress if progress is not None and progress.script is not None else None
    return found + _repeatable_statuses(scripts, repeatables, again)


def _repeatable_statuses(
    scripts: Iterable[MigrationScript],
    repeatables: Iterable[RepeatableRow],
    progress: Progress | None,
) -> list[ScriptStatus]:
    rows = {row.name: row for row in repeatables}
    known = {str(script.key): script for script in scripts if script.is_repeatable}
    partial = progress.script if progress else None
    names = dict.fromkeys([*known, *rows, *([partial] if partial else [])])
    found = []
    for name in names:
        script, row = known.get(name), rows.get(name)
        if name == partial:
            state = State.PARTIALLY_APPLIED
        elif script is None:
            state = State.MISSING
        else:
            state = State.APPLIED if row is not None and row.holds(script) else State.PENDING
        found.append(
            ScriptStatus(
                version=0,
                description=script.description if script else _description(name),
                state=state,
                applied_at=row.applied_at if row else None,
                applied_by=row.applied_by if row else None,
                execution_ms=row.execution_ms if row else None,
                script=script,
                batch=_batch(script, progress if name == partial else None),
                repeatable=name,
            )
        )
    return found


def _description(name: str) -> str:
    """What a repeatable script's name says, where its file is missing."""
    return " ".join(name.removeprefix("R__").replace("_", " ").split())


_UNFINISHED = {
    Direction.UP: State.PARTIALLY_APPLIED,
    Direction.DOWN: State.PARTIALLY_REVERTED,
}


def _status(
    version: int,
    script: MigrationScript | None,
    row: LedgerRow | None,
    progress: Progress | None,
    covered: Replaced | None,
    *,
    lost: bool,
) -> ScriptStatus:
    if progress is not None:
        state = _UNFINISHED[progress.direction]
    elif row is None:
        state = State.UNAVAILABLE if lost else State.PENDING
    elif script is None:
        state = State.APPLIED if covered else State.MISSING
    else:
        state = State.DRIFTED if drifted(script, row) else State.APPLIED
    named = script or row or covered
    description = named.description if named else ""
    return ScriptStatus(
        version=version,
        description=description,
        state=state,
        applied_at=row.applied_at if row else None,
        applied_by=row.applied_by if row else None,
        execution_ms=row.execution_ms if row else None,
        script=script,
        batch=_batch(script, progress),
    )


def _batch(script: MigrationScript | None, progress: Progress | None) -> BatchStatus | None:
    if progress is None or progress.batch is None:
        return None
    statements = Step(script, progress.direction).statements() if script else ()
    return batch_status(
        progress.batch, statements[progress.done] if progress.done < len(statements) else None
    )
