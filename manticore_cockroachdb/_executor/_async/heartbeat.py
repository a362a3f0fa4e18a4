"""The watcher beside a running statement: a second connection that renews the lease and follows jobs.

It opens when a statement takes longer than a moment, and reconnects when it breaks. It never decides:
it reports a lease that it finds lost, and the runner's next write proves it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from ..._backend import blockers
from ..._backend.blockers import Waiting
from ..._backend.jobs import Job
from ..._backend.protocol import Command, Result
from ..._backend.settings import ConnectionSettings
from ..._store import fenced, run_state
from ..._store.fenced import Lease
from ..._store.ledger import Tables
from ..._store.snapshot import RunState
from ...errors import ConnectionFailed, DatabaseError
from ...events import Event, Warned
from .job_list import async_list_jobs
from .session import AsyncSession

#: Warn when the lease could not be renewed for this part of its time.
_WORRY = 0.6


class AsyncHeartbeat:
    """Looks after one run.

    Attributes:
        lease: The lease to renew.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        name: str,
        tables: Tables,
        lease: Lease,
        emit: Callable[[Event], None],
    ) -> None:
        self.lease = lease
        self._settings = settings
        self._name = name
        self._tables = tables
        self._emit = emit
        self._session: AsyncSession | None = None
        self._renewed = time.monotonic()
        self._worried = False
        self._descriptions: dict[int, str] = {}

    def touch(self) -> None:
        """The run has just extended the lease itself."""
        self._renewed = time.monotonic()
        self._worried = False

    @property
    def is_due(self) -> bool:
        """Whether the lease is to be renewed."""
        return time.monotonic() - self._renewed > self.lease.seconds / 3

    async def waiting(self, session_id: str) -> Waiting | None:
        """Who keeps a session of ours from a lock, while it waits for one (PostgreSQL).

        Args:
            session_id: The session, by the server's own id.
        """
        result = await self._ask(blockers.blocking(int(session_id.partition("@")[0])))
        return None if result is None else blockers.read_waiting(result)

    async def any_in_transaction(self, sessions: Iterable[tuple[int, str]]) -> bool:
        """Whether one of some sessions is still in the transaction in which it was seen."""
        result = await self._ask(blockers.still_there(sessions))
        return result is None or result.rows[0][0] > 0

    async def _ask(self, question: Command) -> Result | None:
        """What the server answers; None where it cannot be asked."""
        try:
            if self._session is None:
                self._session = await AsyncSession.open(self._settings, self._name)
            return (await self._session.send(question))[0]
        except (ConnectionFailed, DatabaseError):
            await self.close()  # the next look opens another connection
            return None

    async def look(self, *, renew: bool) -> tuple[RunState | None, tuple[Job, ...]]:
        """Renew the lease if that is due, and see what the server is doing.

        Args:
            renew: False while the run's own transaction holds the row: then nobody can take it.

        Returns:
            The run state as it is now (None if unknown), and the schema-change jobs it shows.
        """
        try:
            return await self._look(renew)
        except (ConnectionFailed, DatabaseError) as error:
            await self.close()
            self._worry(renew, error)
            return None, ()

    async def _look(self, renew: bool) -> tuple[RunState | None, tuple[Job, ...]]:
        if self._session is None:
            self._session = await AsyncSession.open(self._settings, self._name)
        session = self._session
        record: RunState | None = None
        if renew:
            results = await session.send(run_state.read_state(self._tables))
            record = run_state.read(results[0])
            if (record.owner, record.epoch) != (self.lease.owner, self.lease.epoch):
                self._tell_lost()
            elif self.is_due:
                await session.send(fenced.renew_lease(self._tables, self.lease))
                self.touch()
        sent_at = record.progress.sent_at if record and record.progress else None
        since = math.inf if sent_at is None else sent_at
        return record, await async_list_jobs(session, since, self._descriptions)

    def _tell_lost(self) -> None:
        if not self._worried:
            self._worried = True
            self._emit(
                Warned(
                    "This runner no longer holds the lease: it expired or was broken. "
                    "The running statement cannot be stopped; nothing will be sent after it."
                )
            )

    def _worry(self, renew: bool, error: Exception) -> None:
        age = time.monotonic() - self._renewed
        if renew and not self._worried and age > self.lease.seconds * _WORRY:
            self._worried = True
            self._emit(
                Warned(
                    f"The lease could not be renewed for {age:.0f} s ({error}); it is being "
                    "retried. If it expires, another runner may take over once this one's session is "
                    "gone."
                )
            )

    async def close(self) -> None:
        """End the second connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
