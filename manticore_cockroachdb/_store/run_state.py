"""The run state: one row that says who may run (the lease) and what is unfinished. Sends nothing.

Every statement here that writes proves the lease in the same breath: its UPDATE finds the row only while
owner and epoch are still ours, and where it finds none a division by zero turns that into an error
(`LOST`). A runner that lost its lease can therefore write nothing, neither here nor in the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .._backend.protocol import Command, Result
from .._scripts.direction import Direction
from .._scripts.script import MigrationScript, ScriptKey, called
from .ledger import LedgerRow, Tables
from .repeatables import RepeatableRow

#: The SQLSTATE (division by zero) that a fenced statement answers once the lease is lost.
LOST = "22012"

#: Servers' clocks differ; a lease counts as expired only this many seconds after its time.
#: CockroachDB stops a node whose clock is off by more than 0.5 s.
#: https://www.cockroachlabs.com/docs/stable/cockroach-start#flags-max-offset
MARGIN = 1.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run, as we hold it.

    Attributes:
        owner: Our name: host, pid and a random part.
        epoch: The lease's number; each taking adds one.
        seconds: For how long each write extends it.
    """

    owner: str
    epoch: int
    seconds: float


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
        """Whether somebody other than `owner` holds the lease and it has not run out."""
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


#: Columns that came later: an older table gets them in place.
_ADDED = {
    "statements_done": "INT8",
    "session_id": "TEXT",
    "sent_session": "TEXT",
    "traces": "TEXT",
    "home": "TEXT",
    "batch_position": "TEXT",
    "batch_rows": "INT8",
    "batch_windows": "INT8",
    "checkpoint": "BOOL",
    "schema_hash": "TEXT",
    "schema_server": "TEXT",
    "schema_epoch": "INT8",
    "batch_hash": "TEXT",
    "batch_scanned": "INT8",
    "batch_total": "INT8",
    "batch_ms": "INT8",
    "script": "TEXT",
    "repeatables": "BOOL",
}


def create_state(tables: Tables) -> Command:
    """The run state's table, unless it is there."""
    added = ", ".join(f"{name} {kind}" for name, kind in _ADDED.items())
    return Command(
        f"CREATE TABLE IF NOT EXISTS {tables.state} ("
        "id INT8 PRIMARY KEY, owner TEXT, epoch INT8 NOT NULL, "
        "acquired_at TIMESTAMPTZ, expires_at TIMESTAMPTZ, "
        "version INT8, direction TEXT, in_flight BOOL NOT NULL DEFAULT false, "
        f"sent_at TIMESTAMPTZ, done_hash TEXT, error TEXT, sent_by TEXT, {added})"
    )


def take_over_state(tables: Tables, missing: Iterable[str]) -> list[Command]:
    """Add the columns that an older table lacks, one schema change each."""
    return [
        Command(f"ALTER TABLE {tables.state} ADD COLUMN IF NOT EXISTS {name} {_ADDED[name]}")
        for name in missing
    ]


def read_state(tables: Tables) -> Command:
    """The row, if there is one, whichever of our columns the table has."""
    return Command(
        "SELECT *, extract(epoch FROM expires_at - clock_timestamp())::FLOAT8 AS _expires_in, "
        f"extract(epoch FROM sent_at)::FLOAT8 AS _sent_at FROM {tables.state} WHERE id = 1"
    )


#: What there is before anybody ever ran.
NOBODY = RunState(None, 0, None, None, None)


def missing_columns(result: Result) -> tuple[str, ...]:
    """The columns that the table lacks, from what `read_state` answered."""
    return tuple(name for name in _ADDED if name not in result.columns)


def read(result: Result) -> RunState:
    """What `read_state` answered; a free lease where there is no row."""
    if not result.rows:
        return NOBODY
    return _read_row(dict(zip(result.columns, result.rows[0], strict=True)))


def _read_row(row: dict[str, Any]) -> RunState:
    progress = None
    script = row.get("script")
    if row["version"] is not None or script is not None:
        progress = Progress(
            version=row["version"] or 0,
            direction=Direction(row["direction"]),
            done=_statements_done(row),
            in_flight=row["in_flight"],
            done_hash=row["done_hash"],
            sent_by=row["sent_by"],
            evidence=row.get("traces"),
            error=row["error"],
            sent_at=row["_sent_at"],
            sent_session=row.get("sent_session"),
            batch=_read_batch(row),
            script=script,
            checkpoint=row.get("checkpoint") or False,
        )
    return RunState(
        row["owner"],
        row["epoch"],
        row["_expires_in"],
        progress,
        row["error"],
        row.get("session_id"),
        _recorded_schema(row),
        bool(row.get("repeatables")),
    )


def _read_batch(row: dict[str, Any]) -> BatchState | None:
    if row.get("batch_position") is None:
        return None
    return BatchState(
        position=row["batch_position"],
        fingerprint=row.get("batch_hash") or "",
        windows=row["batch_windows"] or 0,
        rows=row["batch_rows"] or 0,
        scanned=row.get("batch_scanned") or 0,
        total=row.get("batch_total"),
        seconds=(row.get("batch_ms") or 0) / 1000,
    )


def _recorded_schema(row: dict[str, Any]) -> RecordedSchema | None:
    if row.get("schema_hash") is None:
        return None
    return RecordedSchema(row["schema_hash"], row["schema_server"], row["schema_epoch"])


def _statements_done(row: dict[str, Any]) -> int:
    """How many statements are done; the first tables called the column `segment`."""
    done = row.get("statements_done")
    return (row.get("segment") if done is None else done) or 0


def read_home(tables: Tables) -> Command:
    """The schema that the tables were in when the lease was last taken."""
    return Command(f"SELECT home FROM {tables.state} WHERE id = 1")


def acquire(tables: Tables, owner: str, seconds: float, session_id: str) -> Command:
    """Take the lease if it is free, has expired or is ours; answers the new epoch, or no row.

    One upsert, so that of any number of runners one gets it. Taking our own again after a lost connection
    fences off what that connection may still be doing.
    """
    return Command(
        f"INSERT INTO {tables.state} AS held "
        "(id, owner, epoch, acquired_at, expires_at, session_id, home) "
        "VALUES (1, $1, 1, clock_timestamp(), clock_timestamp() + $2::INTERVAL, $3, $4) "
        "ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, epoch = held.epoch + 1, "
        "acquired_at = excluded.acquired_at, expires_at = excluded.expires_at, "
        "session_id = excluded.session_id, home = excluded.home "
        "WHERE held.owner IS NULL OR held.owner = excluded.owner "
        f"OR held.expires_at < clock_timestamp() - INTERVAL '{MARGIN} seconds' "
        "RETURNING epoch",
        (owner, f"{seconds} seconds", session_id, tables.schema),
    )


def release(tables: Tables, owner: str) -> Command:
    """Give the lease back, if it is this runner's; what is unfinished stays recorded.

    By the owner alone, which is a runner's own: it may have been taken although the answer was never read.
    """
    return Command(
        f"UPDATE {tables.state} SET owner = NULL, expires_at = NULL, session_id = NULL "
        "WHERE id = 1 AND owner = $1",
        (owner,),
    )


def record_schema(tables: Tables, schema: RecordedSchema) -> Command:
    """Record the schema of a database at rest; answers a row if it was recorded.

    It proves no lease, because none is held: it proves that none has been taken since the schema was read.
    """
    return Command(
        f"UPDATE {tables.state} SET schema_hash = $1, schema_server = $2, schema_epoch = $3::INT8 "
        "WHERE id = 1 AND owner IS NULL AND epoch = $3::INT8 RETURNING epoch",
        (schema.fingerprint, schema.server, str(schema.epoch)),
    )


def break_lease(tables: Tables, owner: str, epoch: int) -> Command:
    """Take the lease away from a runner that is gone: its epoch is used up, so it is fenced off."""
    return Command(
        f"UPDATE {tables.state} SET owner = NULL, expires_at = NULL, session_id = NULL, "
        "epoch = epoch + 1 "
        "WHERE id = 1 AND owner = $1 AND epoch = $2::INT8",
        (owner, str(epoch)),
    )


_KEPT = "in_flight = in_flight"
_NO_BATCH = (
    "batch_position = NULL, batch_rows = NULL, batch_windows = NULL, batch_hash = NULL, "
    "batch_scanned = NULL, batch_total = NULL, batch_ms = NULL"
)
_CLEARED = (
    "version = NULL, script = NULL, direction = NULL, statements_done = NULL, in_flight = false, "
    "sent_at = NULL, "
    "done_hash = NULL, sent_by = NULL, traces = NULL, sent_session = NULL, "
    f"{_NO_BATCH}, checkpoint = NULL"
)
_STILL_SENT = (
    "version = $4::INT8, direction = $5, statements_done = $6::INT8, in_flight = $7::BOOL, "
    "done_hash = $8, sent_by = $9, traces = $10, error = $11, sent_session = $12, "
    "batch_position = $13, batch_hash = $14, batch_total = $15::INT8, script = $16, "
    "checkpoint = $17::BOOL, batch_rows = 0, batch_windows = 0, batch_scanned = 0, batch_ms = 0"
)
_PROGRESS = f"{_STILL_SENT}, sent_at = CASE WHEN $7::BOOL THEN clock_timestamp() END"


_SINCE_BEGIN = "(extract(epoch FROM clock_timestamp() - now()) * 1000)::INT8"


def renew_lease(tables: Tables, lease: Lease) -> Command:
    """Prove and extend the lease, and change nothing else. In a transaction, also keep others out."""
    return _fenced(tables, lease, _KEPT)


def note_repeatables(tables: Tables, lease: Lease) -> Command:
    """Write that the table of repeatable scripts was made, for runners who looked before."""
    return _fenced(tables, lease, "repeatables = true")


def note_session(tables: Tables, lease: Lease, session_id: str) -> Command:
    """Write that the runner goes on over another connection."""
    return _fenced(tables, lease, "session_id = $4", (session_id,))


def save_progress(tables: Tables, lease: Lease, progress: Progress) -> Command:
    """Write how far a script has come.

    What is being reverted is no longer applied: its row leaves the ledger with the first record. A
    repeatable script's row loses its checksum then.
    """
    leaving = (progress.version,) if progress.direction is Direction.DOWN else ()
    also = _begun(tables, progress)
    return _fenced(tables, lease, _PROGRESS, _values(progress), leaving=leaving, also=also)


def save_committed(tables: Tables, lease: Lease, progress: Progress) -> Command:
    """Write, in a script's own transaction, that it is committed; its schema changes may go on.

    When it was sent stays as it was recorded before: its jobs carry the time at which the transaction
    began, not that of their statements.
    """
    return _fenced(tables, lease, _STILL_SENT, _values(progress))


def save_window(
    tables: Tables,
    lease: Lease,
    position: str,
    *,
    scanned: int,
    seconds: float,
    rows: int | None = None,
) -> Command:
    """Write that one more window of a batch is done, and how far it has come.

    Args:
        tables: The tables.
        lease: Our lease.
        position: The last row of the window.
        scanned: How many rows of the table the window covers.
        seconds: How long runs have worked on the batch.
        rows: How many rows the windows before have changed; None where `count_rows` counts them.
    """
    changes = (
        "batch_position = $4, batch_windows = coalesce(batch_windows, 0) + 1, "
        "batch_scanned = coalesce(batch_scanned, 0) + $5::INT8, batch_ms = $6::INT8, error = NULL"
    )
    params: tuple[str, ...] = (position, str(scanned), str(int(seconds * 1000)))
    if rows is not None:
        changes += ", batch_rows = $7::INT8"
        params = (*params, str(rows))
    return _fenced(tables, lease, changes, params)


def forget_batch(tables: Tables, lease: Lease) -> Command:
    """Write that the statement which runs in batches has not begun; the statements before it stay done."""
    return _fenced(tables, lease, f"{_NO_BATCH}, error = NULL")


def count_rows(tables: Tables, statement: Command) -> Command:
    """A window's statement, with the rows it changes added to the run state; answers the new count."""
    return Command(
        f"WITH changed AS ({statement.sql} RETURNING 1) UPDATE {tables.state} "
        "SET batch_rows = coalesce(batch_rows, 0) + (SELECT count(*) FROM changed) WHERE id = 1 "
        "RETURNING batch_rows",
        statement.params,
    )


def save_error(tables: Tables, lease: Lease, error: str) -> Command:
    """Write what went wrong, and leave what is done as it is."""
    return _fenced(tables, lease, "in_flight = false, error = $4", (error,))


def clear_progress(
    tables: Tables, lease: Lease, error: str | None = None, *, still: LedgerRow | None = None
) -> Command:
    """Write that nothing is unfinished.

    Args:
        tables: The tables.
        lease: Our lease, proved in the same statement.
        error: What went wrong, in words.
        still: A row to put back: its migration was to be reverted, and nothing of that was done.
    """
    changes = f"{_CLEARED}, error = $4"
    if still is None:
        return _fenced(tables, lease, changes, (error,))
    values = (
        str(still.version),
        still.description,
        still.applied_at.isoformat() if still.applied_at else None,
        still.checksum,
        None if still.execution_ms is None else str(still.execution_ms),
        still.applied_by,
    )
    entry = "VALUES ($5::INT8, $6, coalesce($7::TIMESTAMPTZ, now()), $8, $9::INT8, $10)"
    return _fenced(tables, lease, changes, (error, *values), entry=entry, unless_there=True)


def hold_lease(tables: Tables, lease: Lease) -> Command:
    """Prove and extend the lease, and write that nothing is unfinished and nothing went wrong.

    The written row keeps other runners out until the transaction ends, so that `complete_held` need not
    prove the lease again.
    """
    return _fenced(tables, lease, f"{_CLEARED}, error = NULL")


def complete_held(
    tables: Tables, lease: Lease, script: MigrationScript, direction: Direction
) -> Command:
    """Move the ledger as `complete` does, in a transaction in which `hold_lease` was sent before.

    Args:
        tables: The tables.
        lease: Our lease.
        script: The script.
        direction: Up inserts the ledger's row, down deletes it.
    """
    if direction is Direction.DOWN:
        again = f"WITH stale AS ({_run_again(tables)}) " if tables.has_repeatables else ""
        return Command(f"{again}DELETE FROM {tables.ledger} WHERE version = {script.version:d}")
    if script.is_repeatable:
        return Command(
            _apply_again(tables, f"$1, $2, now(), {_SINCE_BEGIN}, $3"),
            (str(script.key), script.checksum, lease.owner),
        )
    entry, values = _entry(script, lease, _SINCE_BEGIN, first=1)
    return Command(
        f"INSERT INTO {tables.ledger} (version, description, applied_at, checksum, execution_ms, "
        f"applied_by) {entry}",
        values,
    )


def complete(
    tables: Tables,
    lease: Lease,
    script: MigrationScript,
    direction: Direction,
    *,
    milliseconds: int = 0,
    in_transaction: bool = False,
    following: Progress | None = None,
    keep: bool = False,
) -> Command:
    """Move the ledger: the script is applied (or reverted), and nothing of it is unfinished.

    Args:
        tables: The tables.
        lease: Our lease, proved in the same statement.
        script: The script.
        direction: Up inserts the ledger's row, down deletes it.
        milliseconds: How long it took.
        in_transaction: Add the time since the start of the transaction that this is part of.
        following: The next script's first intent, written in the same statement; not of one repeatable
            script after another: CockroachDB changes a table once in a statement.
        keep: The unfinished script is another one, and stays so.
    """
    changes = _KEPT if keep else f"{_CLEARED}, error = NULL"
    params: tuple[str | None, ...] = ()
    leaving: tuple[int, ...] = ()
    also = ""
    if following is not None:
        changes, params = _PROGRESS, _values(following)
        leaving = (following.version,) if following.direction is Direction.DOWN else ()
        also = _begun(tables, following)
    if direction is Direction.DOWN:
        return _fenced(
            tables, lease, changes, params, leaving=(script.version, *leaving), also=also
        )
    took = f"{milliseconds:d}" + (f" + {_SINCE_BEGIN}" if in_transaction else "")
    if script.is_repeatable:
        n = len(params) + 3
        row = _apply_again(tables, f"${n + 1}, ${n + 2}, now(), {took}, ${n + 3}")
        params = (*params, str(script.key), script.checksum, lease.owner)
        return _fenced(tables, lease, changes, params, also=f", again AS ({row} RETURNING 1)")
    entry, values = _entry(script, lease, took, first=len(params) + 4)
    params = (*params, *values)
    return _fenced(tables, lease, changes, params, leaving=leaving, entry=entry, also=also)


def _entry(
    script: MigrationScript, lease: Lease, took: str, *, first: int
) -> tuple[str, tuple[str, ...]]:
    """The ledger's row for a script, or the rows of all versions that a checkpoint stands for.

    Args:
        script: The script.
        lease: Our lease: its owner applied the script.
        took: How long that took, in milliseconds; an expression. Of a checkpoint's rows only the last
            one has it.
        first: The number of the first parameter.
    """
    n = first
    if script.checkpoint is None:
        values = (str(script.version), script.description, script.checksum, lease.owner)
        return f"VALUES (${n}::INT8, ${n + 1}, now(), ${n + 2}, {took}, ${n + 3})", values
    listed = [
        {"version": str(each.version), "description": each.description, "checksum": each.checksum}
        for each in script.stands_for
    ]
    rows = (
        "SELECT (one->>'version')::INT8, one->>'description', now(), one->>'checksum', "
        f"CASE WHEN (one->>'version')::INT8 = {script.version:d} THEN {took} END, ${n + 1} "
        f"FROM jsonb_array_elements(${n}::JSONB) AS listed (one)"
    )
    return rows, (json.dumps(listed), f"{lease.owner} (checkpoint {script.version})")


def remove(tables: Tables, lease: Lease, key: ScriptKey, *, keep: bool = False) -> Command:
    """Take a script out of its table, whatever became of its file; nothing of it is unfinished.

    Args:
        tables: The tables.
        lease: Our lease.
        key: The version, or a repeatable script's name.
        keep: The unfinished script is another one, and stays so.
    """
    changes = _KEPT if keep else f"{_CLEARED}, error = NULL"
    if isinstance(key, str):
        gone = f", gone AS (DELETE FROM {tables.repeatable} WHERE name = $4 RETURNING 1)"
        return _fenced(tables, lease, changes, (key,), also=gone)
    return _fenced(tables, lease, changes, leaving=(key,))


def accept_checksum(tables: Tables, lease: Lease, script: MigrationScript) -> Command:
    """Write a changed file's checksum into its ledger row."""
    also = (
        f", accepted AS (UPDATE {tables.ledger} SET checksum = $4 "
        f"WHERE version = {script.version:d} RETURNING 1)"
    )
    return _fenced(tables, lease, _KEPT, (script.checksum,), also=also)


def _fenced(
    tables: Tables,
    lease: Lease,
    changes: str,
    params: tuple[str | None, ...] = (),
    *,
    leaving: tuple[int, ...] = (),
    entry: str | None = None,
    unless_there: bool = False,
    also: str = "",
) -> Command:
    """One statement that proves the lease and writes; `changes` and `entry` count from `$4` on.

    Whatever it writes is undone with it when the last line divides by zero: the lease is not ours.
    """
    fence = (
        f"WITH fence AS (UPDATE {tables.state} "
        f"SET expires_at = clock_timestamp() + $3::INTERVAL, {changes} "
        "WHERE id = 1 AND owner = $1 AND epoch = $2::INT8 RETURNING id)"
    )
    parts = [fence]
    if leaving:
        versions = ", ".join(f"{version:d}" for version in leaving)
        parts.append(
            f", leaving AS (DELETE FROM {tables.ledger} WHERE version IN ({versions}) RETURNING 1)"
        )
        if tables.has_repeatables:
            parts.append(f", stale AS ({_run_again(tables)} RETURNING 1)")
    if entry is not None:
        conflict = " ON CONFLICT (version) DO NOTHING" if unless_there else ""
        parts.append(
            f", entry AS (INSERT INTO {tables.ledger} (version, description, applied_at, checksum, "
            f"execution_ms, applied_by) {entry}{conflict} RETURNING 1)"
        )
    parts.append(f"{also} SELECT 1 / count(*) FROM fence")
    owned = (lease.owner, str(lease.epoch), f"{lease.seconds} seconds")
    return Command("".join(parts), (*owned, *params))


def _begun(tables: Tables, progress: Progress) -> str:
    """What stops being true when a repeatable script begins: the database has no text of it as a whole."""
    if progress.script is None:
        return ""
    return (
        f", begun AS (UPDATE {tables.repeatable} SET checksum = NULL WHERE name = $16 RETURNING 1)"
    )


def _run_again(tables: Tables) -> str:
    """Have every repeatable script run again: a version goes, and with it what they may have made of it."""
    return f"UPDATE {tables.repeatable} SET checksum = NULL WHERE checksum IS NOT NULL"


def _apply_again(tables: Tables, values: str) -> str:
    """Write that a repeatable script is applied, whether or not it was before."""
    columns = ("checksum", "applied_at", "execution_ms", "applied_by")
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns)
    return (
        f"INSERT INTO {tables.repeatable} (name, {', '.join(columns)}) VALUES ({values}) "
        f"ON CONFLICT (name) DO UPDATE SET {changes}"
    )


def _values(progress: Progress) -> tuple[str | None, ...]:
    return (
        None if progress.script is not None else str(progress.version),
        progress.direction.value,
        str(progress.done),
        "true" if progress.in_flight else "false",
        progress.done_hash,
        progress.sent_by,
        progress.evidence,
        progress.error,
        progress.sent_session,
        progress.batch.position if progress.batch else None,
        progress.batch.fingerprint if progress.batch else None,
        str(progress.batch.total) if progress.batch and progress.batch.total is not None else None,
        progress.script,
        "true" if progress.checkpoint else None,
    )
