# Generated from _async/store.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Reads and writes the two tables over a session, and nothing else.

Turns the fence's error into `LeaseLost`. What the rows mean and how statements look is decided in the
pure modules `ledger` and `run_state`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..._backend.protocol import Command, Result
from ..._backend.retry import CREATED_MEANWHILE, RETRY
from ..._store import run_state
from ..._store.ledger import NO_TABLE, Tables, create_ledger, ledger_rows, read_ledger, take_over
from ..._store.run_state import Lease, Snapshot
from ...errors import DatabaseError, LeaseLost
from ...events import Event, Retrying
from .session import Session

#: A look at rows that another runner's open transaction holds is given up after this time, and tried
#: again: CockroachDB lets readers wait for writers.
_LOOK_SECONDS = 2
_BOUNDED = Command(f"SET statement_timeout = '{_LOOK_SECONDS}s'")
_UNBOUNDED = Command("SET statement_timeout = 0")
#: Timed out, or told to try again.
_BUSY = RETRY | {"57014"}


class Store:
    """The ledger and the run record, seen through one session.

    Attributes:
        session: The session.
        tables: The tables' names.
    """

    def __init__(
        self, session: Session, tables: Tables, emit: Callable[[Event], None]
    ) -> None:
        self.session = session
        self.tables = tables
        self._emit = emit

    def look(self) -> Snapshot | None:
        """Both tables as they are now, or None while somebody's transaction keeps them from us.

        Raises:
            LedgerRefused: The ledger's table is someone else's.
        """
        ledger, state = read_ledger(self.tables), run_state.read_state(self.tables)
        results, error = self._bounded(ledger, state)
        if error is None:
            rows, missing = ledger_rows(self.tables, results[0])
            return Snapshot(rows, run_state.read(results[1]), missing=missing)
        if error.sqlstate in _BUSY:
            return None
        if error.sqlstate not in NO_TABLE:
            raise error
        rows, missing, has_ledger = (), (), bool(results)
        if has_ledger:
            rows, missing = ledger_rows(self.tables, results[0])
        else:
            results, error = self._bounded(state)
            if error is not None and error.sqlstate in _BUSY:
                return None
            if error is not None and error.sqlstate not in NO_TABLE:
                raise error
        has_state = error is None
        record = run_state.read(results[-1]) if has_state else run_state.NOBODY
        return Snapshot(rows, record, has_ledger, has_state, missing)

    def prepare(self, book: Snapshot) -> None:
        """Create what is not there. Any number of runners may do so at once."""
        if not book.has_state:
            self._create(run_state.create_state(self.tables))
        if not book.has_ledger:
            self._create(create_ledger(self.tables))
        for command in take_over(self.tables, book.missing):
            self._create(command)

    def acquire(self, owner: str, seconds: float) -> tuple[Lease, Snapshot] | None:
        """Take the lease if it can be had now, and read both tables under it."""
        results, error = self._bounded(
            run_state.acquire(self.tables, owner, seconds),
            read_ledger(self.tables),
            run_state.read_state(self.tables),
        )
        if error is not None:
            if error.sqlstate in _BUSY:
                return None
            raise error
        if not results[0].rows:
            return None
        rows, missing = ledger_rows(self.tables, results[1])
        lease = Lease(owner, results[0].rows[0][0], seconds)
        return lease, Snapshot(rows, run_state.read(results[2]), missing=missing)

    def write(self, *commands: Command) -> list[Result]:
        """Send fenced statements.

        Raises:
            LeaseLost: The lease is another runner's, or was broken; nothing was written.
        """
        try:
            return self.session.send(*commands, retried=self._retried)
        except DatabaseError as error:
            if error.sqlstate == run_state.LOST:
                raise lease_lost() from error
            raise

    def release(self, lease: Lease) -> None:
        """Give the lease back, if it is still ours."""
        self.session.send(run_state.release(self.tables, lease), retried=self._retried)

    def _create(self, command: Command) -> None:
        self.session.send(command, retry=RETRY | CREATED_MEANWHILE, retried=self._retried)

    def _bounded(self, *commands: Command) -> tuple[list[Result], DatabaseError | None]:
        """Send commands that may wait for another runner's row locks, but not for long."""
        results, refusal = self.session.ask(_BOUNDED, *commands, _UNBOUNDED)
        if refusal is None:
            return results[1:-1], None
        self.session.send(_UNBOUNDED)
        return results[1:], refusal.error

    def _retried(self, error: DatabaseError, attempt: int, pause: float) -> None:
        self._emit(Retrying("a write to the ledger", error.sqlstate or "", attempt, pause))


def lease_lost() -> LeaseLost:
    """The error for a fence that did not hold."""
    return LeaseLost(
        "The lease was lost: it ran out while this runner stood still, or was broken by hand, and "
        "another runner may have it now. This runner has written nothing since and stops here; run "
        "again to finish whatever is left."
    )
