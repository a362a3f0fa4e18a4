"""What one look at the tables finds: the ledger, who has the lease, and what is unfinished. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from .._scripts.direction import Direction
from .._scripts.script import MigrationScript, ScriptKey, called
from .ledger import LedgerRow
from .repeatables import RepeatableRow

#: Servers' clocks differ; a lease counts as expired only this many seconds after its time.
#: CockroachDB stops a node whose clock is off by more than 0.5 s.
#: https://www.cockroachlabs.com/docs/stable/cockroach-start#flags-max-offset
MARGIN = 1.0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A script that an earlier run left unfinished.

    Attributes:
        version: Its version; 0 for a repeatable script.
        direction: What was being done.
        script: A repeatable script's name; None for a version.
        checkpoint: Whether it is the checkpoint of that version, and not the script.
    """

    version: int
    direction: Direction
    script: str | None = None
    checkpoint: bool = False

    @property
    def key(self) -> ScriptKey:
        """What the script is called."""
        return self.script or self.version


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a statement that runs in batches has come.

    Attributes:
        position: The last row of the last window, as it was written; see `_planner.window`.
        fingerprint: What the statement and its key are, in characters: neither may change from now on.
        windows: How many windows are done.
        rows: How many rows they changed.
        scanned: How many rows of the table they covered.
        total: How many rows the table had when the batch began, about; None where nothing tells.
        seconds: How long runs worked on it, pauses included.
    """

    position: str
    fingerprint: str
    windows: int = 0
    rows: int = 0
    scanned: int = 0
    total: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a script has come.

    Attributes:
        version: Its version; 0 for a repeatable script.
        direction: Up or down.
        done: How many of its statements are done.
        in_flight: Whether the segment after those was sent and its end was not recorded.
        done_hash: Fingerprint of the statements that are done, and of those in flight.
        sent_by: The session that sent the segment in flight, by its application name.
        sent_session: The same session by the server's own id, which no script can change.
        sent_user: The user it was sent as, which is all that CockroachDB keeps with a job of who made it.
        batch: How far the statement after those that are done has come in batches; None where it runs as a
            whole or has not begun.
        checkpoint: Whether it is the checkpoint of that version, and not the script.
        evidence: Fingerprints of what the statement in flight is about to change, as it was before.
        error: What went wrong last, in words.
        sent_at: When it was sent, seconds since 1970 by the server's clock (filled by the server).
        script: A repeatable script's name; None for a version.
    """

    version: int
    direction: Direction
    done: int
    in_flight: bool
    done_hash: str | None = None
    sent_by: str | None = None
    evidence: str | None = None
    error: str | None = None
    sent_at: float | None = None
    sent_session: str | None = None
    sent_user: str | None = None
    batch: BatchState | None = None
    script: str | None = None
    checkpoint: bool = False

    @property
    def key(self) -> ScriptKey:
        """What the script is called."""
        return self.script or self.version

    @property
    def unfinished(self) -> Unfinished:
        """The same for the plan."""
        return Unfinished(self.version, self.direction, self.script, self.checkpoint)


@dataclass(frozen=True, slots=True)
class RecordedSchema:
    """The schema as it was at the end of a run.

    Attributes:
        fingerprint: A hash of its printing.
        server: The kind and version of the server that printed it: another one prints it differently.
        epoch: The number of the lease that the run had; a higher one has run since.
    """

    fingerprint: str
    server: str
    epoch: int


@dataclass(frozen=True, slots=True)
class RunState:
    """The row as it was read.

    Attributes:
        owner: Who holds the lease, or None: it is free.
        epoch: The lease's number.
        expires_in: Seconds until it expires by the server's clock; negative: it has expired.
        progress: What is unfinished, or None.
        error: What went wrong last, in words, even when nothing is unfinished.
        session_id: The owner's session, by the server's own id, where that was recorded.
        schema: The schema as it was at the end of a run, where that was recorded.
        has_repeatables: Whether the table of repeatable scripts was made.
    """

    owner: str | None
    epoch: int
    expires_in: float | None
    progress: Progress | None
    error: str | None
    session_id: str | None = None
    schema: RecordedSchema | None = None
    has_repeatables: bool = False

    def held_from(self, owner: str) -> bool:
        """Whether somebody other than `owner` holds the lease and it has not expired."""
        return self.owner not in (None, owner) and (self.expires_in or 0.0) > -MARGIN

    @property
    def doing(self) -> str:
        """What the runner is at, in words."""
        if self.progress is None:
            return "running scripts"
        at = self.progress
        verb = "applying" if at.direction is Direction.UP else "reverting"
        what = f"the checkpoint of version {at.version}" if at.checkpoint else called(at.key)
        return f"{verb} {what}, statement {at.done + 1}"


@dataclass(frozen=True, slots=True)
class Blank:
    """A database whose ledger has no rows and in which nothing is partially run.

    Attributes:
        server_kind: The kind of its server.
        relations: Schema and name of the tables, views and sequences in it, other than the ledger's.
    """

    server_kind: str
    relations: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tables as one look found them.

    Attributes:
        rows: The ledger, by version.
        repeatables: The repeatable scripts that were applied, by name.
        record: The run state.
        has_ledger: Whether the ledger's table is there.
        has_state: Whether the run state's table is there.
        missing: Columns that an older ledger lacks.
        missing_state: Columns that an older run state's table lacks.
        blank: What else is there, where the tables say that nothing has run; read only when it was asked
            for.
    """

    rows: tuple[LedgerRow, ...]
    record: RunState
    has_ledger: bool = True
    has_state: bool = True
    missing: tuple[str, ...] = ()
    missing_state: tuple[str, ...] = ()
    blank: Blank | None = None
    repeatables: tuple[RepeatableRow, ...] = ()

    @property
    def unfinished(self) -> Unfinished | None:
        """What an earlier run left unfinished."""
        return self.record.progress.unfinished if self.record.progress else None

    def applied(self, script: MigrationScript) -> bool:
        """Whether a script is applied: a repeatable one as it is now, a version in any form."""
        if script.is_repeatable:
            return any(
                row.name == script.repeatable and row.holds(script) for row in self.repeatables
            )
        return any(row.version == script.version for row in self.rows)

    def known(self, key: ScriptKey) -> bool:
        """Whether a table has a row of that version or of that repeatable script."""
        if isinstance(key, str):
            return any(row.name == key for row in self.repeatables)
        return any(row.version == key for row in self.rows)
