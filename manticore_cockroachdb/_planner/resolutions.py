"""What changes in the tables when a person says what is true of a script. Pure.

| a person says             | the tables change                                                     |
|---------------------------|-----------------------------------------------------------------------|
| it is applied             | its row is written, unless it is there; nothing of it is unfinished   |
| it is not applied         | its row is removed, if it is there; nothing of it is unfinished       |
| its batch starts again    | the position of its statement in batches is forgotten                 |
| its change is harmless    | its row gets the checksum of its file                                 |

What is recorded of another unfinished script stays.
"""

from __future__ import annotations

from .._backend.protocol import Command
from .._scripts.direction import Direction
from .._scripts.loader import Loaded
from .._scripts.script import MigrationScript, ScriptKey, called
from .._sql.statement import Statement
from .._store import fenced
from .._store.fenced import Lease
from .._store.ledger import Tables
from .._store.snapshot import Progress, Snapshot
from ..errors import PlanRefused, Problem
from .checkpoints import replaced_versions, standing_for
from .plan import replaced
from .step import Step

_REFUSED = "Nothing was changed"


def applied(
    loaded: Loaded, script: MigrationScript, snapshot: Snapshot, tables: Tables, lease: Lease
) -> list[Command]:
    """The writes for a script that is applied.

    Args:
        loaded: Every script and checkpoint.
        script: The script, as `script_of` finds it.
        snapshot: The tables, as they are under the lease.
        tables: Their names.
        lease: The lease.
    """
    if snapshot.applied(script):
        return _forget(snapshot, script.key, tables, lease)
    keep = _another(snapshot, script.key)
    progress = snapshot.record.progress
    begun = begun_script(loaded, progress) if progress is not None and not keep else None
    return [fenced.complete(tables, lease, begun or script, Direction.UP, keep=keep)]


def not_applied(
    loaded: Loaded, key: ScriptKey, snapshot: Snapshot, tables: Tables, lease: Lease
) -> list[Command]:
    """The writes for a script that is not applied.

    Args:
        loaded: Every script and checkpoint.
        key: The script's version or name.
        snapshot: The tables, as they are under the lease.
        tables: Their names.
        lease: The lease.

    Raises:
        PlanRefused: Neither the folder nor the tables know that script.
    """
    on_disk = {*(each.key for each in loaded.scripts), *standing_for(loaded.checkpoints)}
    half = snapshot.record.progress is not None and snapshot.record.progress.key == key
    if not (snapshot.known(key) or half or key in on_disk):
        raise unknown(key)
    if not snapshot.known(key):
        return _forget(snapshot, key, tables, lease)
    return [fenced.remove(tables, lease, key, keep=_another(snapshot, key))]


def batch_restarted(
    key: ScriptKey, snapshot: Snapshot, tables: Tables, lease: Lease
) -> list[Command]:
    """The writes for a statement in batches that starts again from its first row.

    Args:
        key: The script's version or name.
        snapshot: The tables, as they are under the lease.
        tables: Their names.
        lease: The lease.

    Raises:
        PlanRefused: No batch of that script is unfinished.
    """
    progress = snapshot.record.progress
    if progress is None or progress.key != key or progress.batch is None:
        problem = Problem(
            f"no statement of {called(key)} has begun in batches",
            version=key if isinstance(key, int) else None,
            hint="see status (manticore_showmigrations).",
        )
        raise PlanRefused(_REFUSED, [problem])
    return [fenced.forget_batch(tables, lease)]


def checksum_accepted(
    script: MigrationScript, snapshot: Snapshot, tables: Tables, lease: Lease
) -> list[Command]:
    """The writes for an applied script whose file was changed harmlessly.

    Args:
        script: The script, as its file is now.
        snapshot: The tables, as they are under the lease.
        tables: Their names.
        lease: The lease.

    Raises:
        PlanRefused: It is not applied, or another script is applied as that version.
    """
    version = script.version
    row = next((row for row in snapshot.rows if row.version == version), None)
    if row is None:
        problem = Problem(
            f"version {version} is not applied, so there is no checksum to accept.",
            path=script.path,
            version=version,
        )
        raise PlanRefused(_REFUSED, [problem])
    if replaced(script, row):
        problem = Problem(
            f"version {version} is applied as another script ({row.description!r}), and this one "
            "would never run.",
            path=script.path,
            version=version,
            hint=f"Give it the next free number with manticore_makemigration --renumber {version}.",
        )
        raise PlanRefused(_REFUSED, [problem])
    return [fenced.accept_checksum(tables, lease, script)]


def script_on_disk(loaded: Loaded, key: ScriptKey) -> MigrationScript:
    """The script of the folder.

    Raises:
        PlanRefused: There is none.
    """
    for script in loaded.scripts:
        if script.key == key:
            return script
    raise unknown(key)


def script_of(loaded: Loaded, key: ScriptKey) -> MigrationScript:
    """What is recorded for a script, also where only a checkpoint has it.

    Raises:
        PlanRefused: Neither a script nor a checkpoint has it.
    """
    script = next((script for script in loaded.scripts if script.key == key), None)
    if script is not None:
        return script
    checkpoint = standing_for(loaded.checkpoints).get(key) if isinstance(key, int) else None
    if checkpoint is None:
        raise unknown(key)
    each = replaced_versions(loaded.checkpoints)[int(key)]
    return MigrationScript(
        version=each.version,
        description=each.description,
        up_sql="",
        down_sql=None,
        path=checkpoint.path,
        checksum=each.checksum,
    )


def begun_script(loaded: Loaded, progress: Progress) -> MigrationScript | None:
    """The script, or the checkpoint, that is partially run."""
    scripts = loaded.checkpoints if progress.checkpoint else loaded.scripts
    return next((script for script in scripts if script.key == progress.key), None)


def statement_at(script: MigrationScript, progress: Progress) -> Statement | None:
    """The statement in flight, or the one that the script stopped at, if the file still has it."""
    statements = Step(script, progress.direction).statements()
    return statements[progress.done] if progress.done < len(statements) else None


def _another(snapshot: Snapshot, key: ScriptKey) -> bool:
    """Whether the unfinished script is another one."""
    progress = snapshot.record.progress
    return progress is not None and progress.key != key


def _forget(snapshot: Snapshot, key: ScriptKey, tables: Tables, lease: Lease) -> list[Command]:
    """Nothing of that script is unfinished; another one's record is left alone."""
    progress = snapshot.record.progress
    if progress is not None and progress.key == key:
        return [fenced.clear_progress(tables, lease)]
    return []


def unknown(key: ScriptKey) -> PlanRefused:
    """The error for a script that nothing knows."""
    problem = Problem(
        f"There is no {called(key)} in the folder or the tables",
        version=key if isinstance(key, int) else None,
        hint="see status (manticore_showmigrations).",
    )
    return PlanRefused(_REFUSED, [problem])
