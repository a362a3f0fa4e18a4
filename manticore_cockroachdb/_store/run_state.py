"""The run state: one row that says who may run (the lease) and what is unfinished.

Its table, how its row is read, and how the lease is taken and released. What a runner writes while it
holds the lease is in `fenced`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._backend.protocol import Command, Result
from .._scripts.direction import Direction
from .ledger import Tables
from .snapshot import MARGIN, BatchState, Progress, RecordedSchema, RunState

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
    "sent_user": "TEXT",
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
            sent_user=row.get("sent_user"),
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
    """Release the lease, if it is this runner's; what is unfinished stays recorded.

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
