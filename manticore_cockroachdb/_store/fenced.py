"""Writes of a runner that holds the lease: to the run state, the ledger and the repeatable scripts' table.

Each proves the lease in the same statement: its UPDATE finds the row only while owner and epoch are still
ours, and where it finds none, a division by zero turns that into an error (`LOST`). A runner that lost
its lease can therefore write nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from .._backend.protocol import Command
from .._scripts.direction import Direction
from .._scripts.script import MigrationScript, ScriptKey
from .ledger import LedgerRow, Tables
from .snapshot import Progress

#: The SQLSTATE (division by zero) that a fenced statement answers once the lease is lost.
LOST = "22012"


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease, as we hold it.

    Attributes:
        owner: Our name: host, pid and a random part.
        epoch: The lease's number; each taking adds one.
        seconds: For how long each write extends it.
    """

    owner: str
    epoch: int
    seconds: float


_KEPT = "in_flight = in_flight"
_NO_BATCH = (
    "batch_position = NULL, batch_rows = NULL, batch_windows = NULL, batch_hash = NULL, "
    "batch_scanned = NULL, batch_total = NULL, batch_ms = NULL"
)
_CLEARED = (
    "version = NULL, script = NULL, direction = NULL, statements_done = NULL, in_flight = false, "
    "sent_at = NULL, "
    "done_hash = NULL, sent_by = NULL, traces = NULL, sent_session = NULL, "
    f"sent_user = NULL, {_NO_BATCH}, checkpoint = NULL"
)
_STILL_SENT = (
    "version = $4::INT8, direction = $5, statements_done = $6::INT8, in_flight = $7::BOOL, "
    "done_hash = $8, sent_by = $9, traces = $10, error = $11, sent_session = $12, "
    "batch_position = $13, batch_hash = $14, batch_total = $15::INT8, script = $16, "
    "checkpoint = $17::BOOL, sent_user = $18, "
    "batch_rows = 0, batch_windows = 0, batch_scanned = 0, batch_ms = 0"
)
_PROGRESS = f"{_STILL_SENT}, sent_at = CASE WHEN $7::BOOL THEN clock_timestamp() END"

_ADD_ROWS = (
    "batch_rows = coalesce(batch_rows, 0) + pg_catalog.current_setting('manticore.rows')::INT8"
)

_SINCE_BEGIN = "(extract(epoch FROM clock_timestamp() - now()) * 1000)::INT8"


def renew_lease(tables: Tables, lease: Lease) -> Command:
    """Prove and extend the lease, and change nothing else. In a transaction, also keep others out."""
    return _fenced(tables, lease, _KEPT)


def note_repeatables(tables: Tables, lease: Lease) -> Command:
    """Write that the table of repeatable scripts was made, for runners who looked before."""
    return _fenced(tables, lease, "repeatables = true")


def note_session(tables: Tables, lease: Lease, session_id: str) -> Command:
    """Write that the runner continues over another connection."""
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
    """Write, in a script's own transaction, that it is committed; its schema changes may continue.

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
    counts: bool,
) -> Command:
    """Write that one more window of a batch is done, and how far it has come.

    Args:
        tables: The tables.
        lease: Our lease.
        position: The last row of the window.
        scanned: How many rows of the table the window covers.
        seconds: How long runs have worked on the batch.
        counts: Whether `count_rows` was sent before it in the transaction: its count is added.
    """
    changes = (
        "batch_position = $4, batch_windows = coalesce(batch_windows, 0) + 1, "
        "batch_scanned = coalesce(batch_scanned, 0) + $5::INT8, batch_ms = $6::INT8, error = NULL"
    )
    if counts:
        changes += f", {_ADD_ROWS}"
    return _fenced(tables, lease, changes, (position, str(scanned), str(int(seconds * 1000))))


def forget_batch(tables: Tables, lease: Lease) -> Command:
    """Write that the statement which runs in batches has not begun; the statements before it stay done."""
    return _fenced(tables, lease, f"{_NO_BATCH}, error = NULL")


def count_rows(statement: Command) -> Command:
    """A window's statement, with the count of the rows it changes kept for the transaction; answers it.

    It touches no table of ours: the script may have taken a role that cannot write them.
    """
    return Command(
        f"WITH changed AS ({statement.sql} RETURNING 1) "
        "SELECT pg_catalog.set_config('manticore.rows', count(*)::TEXT, true) FROM changed",
        statement.params,
    )


def add_rows(tables: Tables) -> Command:
    """Add what `count_rows` counted; for a server whose lease is proved before the statement."""
    return Command(f"UPDATE {tables.state} SET {_ADD_ROWS} WHERE id = 1")


def add_rows_of(tables: Tables, statement: Command) -> Command:
    """A window's statement, with the rows it changes added at once; answers how many are changed by now.

    For servers where a transaction cannot keep values, nor take roles.
    """
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
    """Take a script out of its table, whatever happened to its file; nothing of it is unfinished.

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

    Whatever it writes is rolled back with it when the last line divides by zero: the lease is not ours.
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
        progress.sent_user,
    )
