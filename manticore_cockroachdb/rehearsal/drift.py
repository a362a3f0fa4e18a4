"""What a comparison of a database with its scripts found, and the reasons not to compare. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from .._planner.checkpoints import sources
from .._planner.plan import drifted, to_run_again
from .._printing.compare import Difference
from .._scripts.script import MigrationScript, ScriptKey, called
from .._store.ledger import LedgerRow
from .._store.snapshot import RecordedSchema, RunState, Snapshot
from ..errors import PlanRefused, Problem


@dataclass(frozen=True, slots=True)
class Drift:
    """A database, compared with what its scripts make.

    Attributes:
        server: The server's kind and version.
        version: The highest applied version.
        objects: How many objects were compared.
        differences: What differs, by name of the object.
        unused_ignores: Patterns of the ignore list that nothing needed.
        repair: The statements of all differences that bring the database to what the scripts say, in an
            order in which they can be run.
        adopt: The same, for a new script that brings the scripts to what the database has.
    """

    server: str
    version: int
    objects: int
    differences: tuple[Difference, ...]
    unused_ignores: tuple[str, ...] = ()
    repair: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.differences)


class SinceLastRun(Enum):
    """Whether a schema was changed after the last run."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class QuickDrift:
    """A schema, compared with what it was at the end of the last run.

    Attributes:
        answer: Whether it was changed.
        reason: Why that is not known, in a sentence; "" where it is.
    """

    answer: SinceLastRun
    reason: str = ""


def since_last_run(record: RunState) -> QuickDrift | None:
    """Why it cannot be known whether a schema was changed; None if its hash tells.

    Args:
        record: The run state.
    """
    if record.schema is None:
        reason = (
            "No run has recorded the schema. Set RECORD_SCHEMA (record_schema=True in the library): the "
            "next run that applies or reverts a script records it, and so does a full comparison that "
            "finds nothing."
        )
    elif record.owner is not None or record.schema.epoch != record.epoch:
        reason = (
            "A run has used the database since the schema was recorded, and has not recorded it: it "
            "failed, is still running, or was made without RECORD_SCHEMA."
        )
    else:
        return None
    return QuickDrift(SinceLastRun.UNKNOWN, reason)


def compared(recorded: RecordedSchema, fingerprint: str, server: str) -> QuickDrift:
    """The schema now, compared with what was recorded.

    Args:
        recorded: The schema at the end of the last run.
        fingerprint: The hash of the schema now.
        server: The kind and version of the server now.
    """
    if server != recorded.server:
        reason = (
            f"The schema was recorded on {recorded.server}, and this is {server}, which prints it "
            "differently."
        )
        return QuickDrift(SinceLastRun.UNKNOWN, reason)
    same = fingerprint == recorded.fingerprint
    return QuickDrift(SinceLastRun.UNCHANGED if same else SinceLastRun.CHANGED)


def applied_scripts(
    scripts: Sequence[MigrationScript],
    checkpoints: Sequence[MigrationScript],
    snapshot: Snapshot,
    server_kind: str,
    *,
    to_compare: bool = False,
) -> tuple[MigrationScript, ...]:
    """The scripts that the tables say are applied; a checkpoint in place of those whose files are gone.

    Args:
        scripts: Every script.
        checkpoints: Every checkpoint, by version.
        snapshot: The tables.
        server_kind: The kind of the server.
        to_compare: Whether the database must be just what they make: then no repeatable script that was
            applied may be waiting to run again.

    Raises:
        PlanRefused: A file is missing or was changed, or a script is partially applied: what the database
            should look like is then unknown.
    """
    applied = {row.version for row in snapshot.rows}
    found, missing = sources(scripts, checkpoints, applied, server_kind)
    problems = list(_problems({script.key: script for script in scripts}, snapshot, missing))
    if to_compare:
        problems += _waiting(scripts, snapshot)
    if problems:
        raise PlanRefused("The database cannot be compared with its scripts", problems)
    again = (script for script in scripts if script.is_repeatable and snapshot.applied(script))
    return (*found, *again)


def _waiting(scripts: Sequence[MigrationScript], snapshot: Snapshot) -> Iterator[Problem]:
    """Repeatable scripts of which the database has another text, which no file tells."""
    half = snapshot.unfinished.key if snapshot.unfinished else None
    for script in to_run_again(scripts, snapshot.repeatables):
        if snapshot.known(script.key) and script.key != half:
            yield Problem(
                f"{script.key} was applied and is to run again: its text was changed, or a version was "
                "reverted. Run manticore_migrate, then compare.",
                path=script.path,
            )


def _problems(
    known: Mapping[ScriptKey, MigrationScript], snapshot: Snapshot, missing: Sequence[int]
) -> Iterator[Problem]:
    unfinished = snapshot.unfinished
    if snapshot.record.held_from(""):
        yield Problem(
            f"a runner ({snapshot.record.owner}) is {snapshot.record.doing}. Wait for it to end, then "
            "compare."
        )
    elif unfinished is not None:
        script = known.get(unfinished.key)
        yield Problem(
            f"{called(unfinished.key)} is partially run. Finish it with manticore_migrate or "
            "manticore_rollback, then compare.",
            path=script.path if script else None,
            version=unfinished.version or None,
        )
    for row in snapshot.rows:
        script = known.get(row.version)
        if row.version in missing:
            yield Problem(
                f"version {row.version} ({row.description}) is applied, but its file is not in the "
                "folder. Restore the file.",
                version=row.version,
            )
        elif script is not None and drifted(script, row):
            yield _changed_file(script, row)
    for again in snapshot.repeatables:
        if again.name not in known:
            yield Problem(
                f"{again.name} was applied, but its file is not in the folder. Restore the file; or have a "
                "version drop what it made, and forget it: manticore_resolve --not-applied "
                f"{again.name}."
            )


def _changed_file(script: MigrationScript, row: LedgerRow) -> Problem:
    return Problem(
        f"version {script.version} was changed after it was applied: its up section's checksum is "
        f"{script.checksum[:12]}…, the ledger has {(row.checksum or '')[:12]}…. Restore the file; or, "
        f"if the change is harmless, run manticore_resolve --accept-checksum {script.version}.",
        path=script.path,
        version=script.version,
    )
