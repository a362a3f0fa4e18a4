"""Connects a run to its database, takes the lease for it, and releases it on every path.

A connection lost on the way is treated like a crash: it connects again and takes the lease again, which
fences off the old connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..._backend.dialect import Server
from ..._backend.retry import Attempts
from ..._backend.settings import ConnectionSettings
from ..._planner.tally import Tally
from ..._store import fenced
from ..._store.fenced import Lease
from ..._store.ledger import Tables
from ..._store.repeatables import RepeatableRow
from ..._store.snapshot import Snapshot
from ...errors import ConnectionLost, DatabaseError, ManticoreError
from ...events import Connected, Event, Warned
from .. import concurrency
from ..options import Options, new_owner
from .lease import async_alive, async_take_lease
from .run import AsyncRun
from .session import AsyncSession
from .store import AsyncStore, async_open_store

#: How long the release of the lease waits for this run's own sessions to end, in seconds.
_SESSION_ENDS = 5.0

_POOLED = (
    "The connection goes through a connection pooler. Migrations need their own session. With "
    "pool_mode = transaction or statement, settings, roles and temporary tables of a script do not hold. "
    "Connect migrations to the server itself, or use pool_mode = session."
)


class AsyncLeaseHolder:
    """The connections and the lease of one run.

    Args:
        settings: Where.
        options: How.
        emit: Called with each event.
        surveys: Whether to read what else is in a database in which nothing has run.

    Attributes:
        owner: The run's name in the lease.
        connections: How many connections were made for scripts, one at a time.
        run: What the parts of the run share, while the lease is held.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        options: Options,
        emit: Callable[[Event], None],
        *,
        surveys: bool,
    ) -> None:
        self.owner = new_owner()
        self.connections = 0
        self.run: AsyncRun | None = None
        self._settings = settings
        self._options = options
        self._emit = emit
        self._surveys = surveys
        self._session: AsyncSession | None = None
        self._lease: Lease | None = None
        self._asked_for = False
        self._earlier: list[str] = []
        self._tables: Tables | None = None
        self._attempts = Attempts()

    async def take(
        self, wanted: Callable[[Snapshot, Server], bool]
    ) -> tuple[AsyncRun, Snapshot] | None:
        """Connect and take the lease; None when nothing is wanted any more."""
        store = await self._connect()
        session = store.session
        self._asked_for = True
        try:
            taken = await async_take_lease(
                store,
                owner=self.owner,
                seconds=self._options.lease,
                lock_timeout=self._options.lock_timeout,
                emit=self._emit,
                wanted=lambda snapshot: wanted(snapshot, session.server),
                earlier=self._earlier,
            )
        except ManticoreError as error:
            # Without an answer, it may be ours.
            self._asked_for = isinstance(error, ConnectionLost)
            raise
        self._asked_for = False
        if taken is None:
            return None
        self._lease, snapshot = taken
        self.run = AsyncRun(
            self._settings, self._options, store, self._lease, self._emit, self._attempts
        )
        return self.run, snapshot

    async def _connect(self) -> AsyncStore:
        """Connect; the tables stay where the first connection found them, whatever a script does."""
        store = await async_open_store(
            self._settings,
            f"{self.owner}/{self.connections + 1}",
            self._options.table,
            self._emit,
            pinned=self._options.pinned,
            tables=self._tables,
            surveys=self._surveys,
        )
        self.connections += 1
        self._session, self._tables = store.session, store.tables
        if self.connections == 1:
            self._emit(Connected(store.session.server))
            if store.session.is_pooled:
                self._emit(Warned(_POOLED))
        return store

    async def make_repeatables(self, run: AsyncRun) -> tuple[RepeatableRow, ...]:
        """Make the table of repeatable scripts for the first of them."""
        rows = await run.store.make_repeatables()
        await run.write(fenced.note_repeatables(run.store.tables, run.lease))
        self._tables = run.store.tables
        return rows

    async def release(self, tally: Tally | None) -> None:
        """Release the lease, if it was taken or may have been.

        Args:
            tally: Counts the steps that the tables have as done; None where every answer was read.
        """
        run, tables = self.run, self._tables
        if tables is None or (self._lease is None and not self._asked_for):
            return
        session = run.session if run else self._session
        if session is not None and session.usable:
            try:
                await self._give_back(AsyncStore(session, tables, self._emit), tally)
            except DatabaseError:
                pass  # lost, or a script has left it so that it cannot write: another connection can
            else:
                return
        await self.close()
        fresh = await async_open_store(
            self._settings, f"{self.owner}/leave", self._options.table, self._emit, tables=tables
        )
        try:
            await self._await_earlier(fresh.session)
            await self._give_back(fresh, tally)
        finally:
            await fresh.session.close()

    async def _await_earlier(self, session: AsyncSession) -> None:
        """Wait a moment for our own sessions to end: one of them may be taking the lease now."""
        started = time.monotonic()
        while time.monotonic() - started < _SESSION_ENDS:
            if not await async_alive(session, self._earlier):
                return
            await concurrency.async_sleep(_SESSION_ENDS / 50)

    async def _give_back(self, store: AsyncStore, tally: Tally | None) -> None:
        """Release the lease; when interrupted, first see what was done although no answer was read."""
        if tally is not None and tally.is_open:
            snapshot = await store.look()
            if snapshot is not None and snapshot.record.owner == self.owner:
                tally.count_recorded(snapshot)
        await store.release(self.owner)

    async def close(self) -> None:
        """End every connection."""
        run, self.run = self.run, None
        session, self._session = self._session, None
        lost = (session, run.session if run else None)
        self._earlier += (each.session_id for each in lost if each is not None)
        if run is not None:
            await run.close()
            await run.session.close()
        if session is not None:
            await session.close()
