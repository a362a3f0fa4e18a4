"""How far a statement in batches has come: how fast it is, and how long it still takes. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .._sql.statement import Statement
from .._store.snapshot import BatchState
from . import window
from .batch_key import BatchKey


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A statement in batches, as `status()` reports it.

    Attributes:
        line: The statement's line in its file; None where the file does not have it any more.
        position: The key of the last row of the last window, as text; empty before the first window.
        windows: How many windows are done.
        rows: How many rows they changed.
        scanned: How many rows of the table they covered.
        total: How many rows the table had when the batch began, about; None where nothing tells.
        seconds: How long runs worked on it, pauses included.
    """

    line: int | None
    position: tuple[str, ...]
    windows: int
    rows: int
    scanned: int
    total: int | None
    seconds: float

    @property
    def rate(self) -> float | None:
        """Rows changed in a second; None before the first window."""
        return rate(self.rows, self.seconds)

    @property
    def remaining(self) -> float | None:
        """Seconds of work left, about; None where nothing tells."""
        return remaining(self.scanned, self.total, self.seconds)


def batch_status(state: BatchState, statement: Statement | None) -> BatchStatus:
    """What the run state says of a batch.

    Args:
        state: The run state's part about it.
        statement: Its statement; None where the file does not have it any more.
    """
    return BatchStatus(
        line=statement.line if statement else None,
        position=window.read(state.position),
        windows=state.windows,
        rows=state.rows,
        scanned=state.scanned,
        total=state.total,
        seconds=state.seconds,
    )


def rate(rows: int, seconds: float) -> float | None:
    """Rows in a second; None where no time has passed."""
    return rows / seconds if seconds > 0 else None


def remaining(scanned: int, total: int | None, seconds: float) -> float | None:
    """Seconds left at the pace so far; None where nothing tells.

    Args:
        scanned: How many rows of the table are done.
        total: How many it has, about.
        seconds: How long that took.
    """
    if total is None or not scanned or seconds <= 0:
        return None
    return max(0, total - scanned) * seconds / scanned


def fingerprint(statement: Statement, key: BatchKey) -> str:
    """What a statement and the key that it follows are: the statement first, in 64 characters."""
    return f"{statement_fingerprint(statement)}:{_hash(*key.columns, *key.types)}"


def statement_fingerprint(statement: Statement) -> str:
    """The first part of `fingerprint`."""
    return _hash(statement.text.replace("\r\n", "\n"))


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
