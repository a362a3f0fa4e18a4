# Generated from _async/run.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""What all parts of one run share: session, tables and lease, and the pauses before another attempt."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from ..._backend import introspection
from ..._backend.dialect import IN_TRANSACTION_DDL, UNDEFINED_OBJECT, Server
from ..._backend.job_match import match_jobs
from ..._backend.jobs import Job
from ..._backend.protocol import Command, Result
from ..._backend.retry import IN_TRANSITION, RETRY, TRANSACTION, TRANSITION, Attempts
from ..._backend.settings import ConnectionSettings
from ..._planner.lock_limits import (
    local_settings,
    lock_limits,
)
from ..._planner.step import Step
from ..._sql.likeness import NameContext
from ..._sql.statement import Statement
from ..._store import fenced
from ..._store.fenced import Lease
from ...errors import DatabaseError, ManticoreError
from ...events import Event, Retrying
from .. import concurrency
from ..options import Options
from ..under_way import Limits, TracesAhead, UnderWay
from .heartbeat import Heartbeat
from .lock_wait import Locks
from .refused import why_refused
from .session import Session
from .store import Store

#: Seconds between two looks at a running statement, at most.
TICK = 1.0


class Run:
    """One run that holds the lease.

    Attributes:
        session: The connection that runs scripts and writes the tables.
        store: The tables, seen through it.
        lease: The lease.
        options: How to run.
        emit: Called with each event.
        attempts: Counts what failed and is tried again.
        jobs_seen: The jobs of the running statement, or of the last one.
        name_context: What the session takes unqualified names for.
        under_way: What was sent last; its answer may have come.
        sending: Whether the answer to that has not come yet.
        locks: Waits for locks.
        session_touched: Whether a script may have left the session other than it was: another role,
            settings. Our own writes are then made as ourselves.
        traces_ahead: What the catalogs showed for the statement that comes next, where that was read
            together with the last write.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        options: Options,
        store: Store,
        lease: Lease,
        emit: Callable[[Event], None],
        attempts: Attempts,
    ) -> None:
        self.session: Session = store.session
        self.store = store
        self.lease = lease
        self.options = options
        self.emit = emit
        self.attempts = attempts
        self.jobs_seen: tuple[Job, ...] = ()
        self.name_context = _name_context(self.server)
        self.under_way: UnderWay | None = None
        self.sending = False
        self.session_touched = False
        self.traces_ahead: TracesAhead | None = None
        self._settings = settings
        self._watch = Heartbeat(settings, f"{lease.owner}/watch", store.tables, lease, emit)
        self.locks = Locks(self._watch, emit, options.lock_retries, self.renew_lease)
        self.interval = min(TICK, lease.seconds / 5)
        self._renamed = 0

    @property
    def server(self) -> Server:
        """The server scripts run on."""
        return self.session.server

    def write(self, *commands: Command) -> None:
        """Send fenced statements; each extends the lease.

        Raises:
            LeaseLost: They wrote nothing.
        """
        try:
            self.store.write(*commands, as_ourselves=self.session_touched)
        except DatabaseError as error:
            raise self._why_not_written(error) from error
        self._watch.touch()

    def write_and_ask(self, write: Command, questions: Sequence[Command]) -> list[Result]:
        """Send a fenced statement, and questions that are asked once it is committed.

        Args:
            write: The statement; it extends the lease.
            questions: The questions.

        Raises:
            LeaseLost: Nothing was written.
        """
        try:
            answers = self.store.write_and_ask(
                write, questions, as_ourselves=self.session_touched
            )
        except DatabaseError as error:
            raise self._why_not_written(error) from error
        self._watch.touch()
        return answers

    def _why_not_written(self, error: DatabaseError) -> ManticoreError:
        step = self.under_way.step if self.under_way else None
        return why_refused(
            self.store, self.lease, error, step, committed=True, in_transaction=False
        )

    def why_refused(
        self, error: DatabaseError, step: Step | None, *, committed: bool
    ) -> ManticoreError:
        """The error for one of our statements that was refused; see `why_refused`."""
        return why_refused(self.store, self.lease, error, step, committed=committed)

    def reset_session(self, *, objects: bool = False) -> None:
        """Bring the session back to its start, so that nothing of one script reaches the next.

        Args:
            objects: Whether there may be temporary tables, which CockroachDB keeps until the session ends.
        """
        state = self.session.state
        self.session_touched = False
        if state.resets and not (objects and self.server.has_jobs):
            self.session.send(*state.clean())
            return
        self._renamed += 1
        # Servers keep 63 bytes of a name: it must not grow from script to script.
        name = f"{self.session.name.partition('+')[0]}+{self._renamed}"
        fresh = Session.open(self._settings, name, self.options.pinned)
        self.session.close()
        self.session = fresh
        self.store = Store(fresh, self.store.tables, self.emit)
        self.name_context = _name_context(self.server)
        self.write(fenced.note_session(self.store.tables, self.lease, fresh.session_id))

    def read_name_context(self) -> None:
        """Ask what names mean now: a script has set its search_path or its role, or may have."""
        if self.server.has_jobs:
            results = self.session.send(introspection.NAME_CONTEXT)
            self.name_context = introspection.name_context(results[0])

    def lock_limits(
        self, step: Step, statements: Sequence[Statement], start: int, end: int
    ) -> Limits:
        """How long some statements of a script wait for locks at most, and what sets that in a transaction.

        Args:
            step: The script.
            statements: All its statements.
            start: Number of the first of them, from 0.
            end: Number of the statement after the last of them.
        """
        if self.server.has_jobs:
            return Limits((None,) * (end - start), (None,) * (end - start))
        limits = lock_limits(
            statements,
            start,
            end,
            script=step.script.lock_timeout,
            default=self.options.ddl_lock_timeout,
        )
        return Limits(limits, local_settings(statements, start, limits))

    def tries_again(self, error: DatabaseError, place: Hashable, what: str) -> bool:
        """Pause, if the error says that nothing happened and trying again is the cure.

        Args:
            error: What the server said.
            place: What failed; progress to another place starts the count of attempts again.
            what: What is tried again, for people.

        Returns:
            Whether to try again; False also when it was tried often enough.
        """
        if error.sqlstate in RETRY:
            backoff = TRANSACTION
        elif error.sqlstate == IN_TRANSITION and self.server.has_jobs:
            backoff = TRANSITION
        else:
            return False
        pause = self.attempts.failed(backoff, place)
        if pause is None:
            return False
        self.emit(Retrying(what, error.sqlstate or "", self.attempts.count(backoff), pause))
        concurrency.sleep(pause)
        return True

    def waits_for_lock(
        self, error: DatabaseError, step: Step, statement: Statement | None, place: Hashable
    ) -> bool:
        """Pause, if the error says that a lock was not granted in time; see `Locks.tries_again`.

        On CockroachDB schema changes do not wait for locks that readers wait for.
        """
        if self.server.has_jobs:
            return False
        return self.locks.tries_again(error, step, statement, place)

    def allow_schema_changes_in_transactions(self) -> None:
        """Set what newer servers need for that; older ones do not know the settings."""
        for text in IN_TRANSACTION_DDL:
            try:
                self.session.run(text)
            except DatabaseError as error:
                if error.sqlstate != UNDEFINED_OBJECT:
                    raise

    def renew_lease(self) -> None:
        """Extend the lease while waiting without a running statement."""
        self.write(fenced.renew_lease(self.store.tables, self.lease))

    def lease_renewed(self) -> None:
        """Note that a transaction of the stream has just extended the lease."""
        self._watch.touch()

    def look(self, *, renew: bool = True) -> tuple[float | None, tuple[Job, ...]]:
        """When the segment in flight was sent, by the server's clock, and the jobs there are."""
        record, jobs = self._watch.look(renew=renew)
        sent_at = record.progress.sent_at if record and record.progress else None
        return sent_at, jobs

    def own_jobs(
        self, statements: Sequence[Statement], found: tuple[Job, ...], sent_at: float | None
    ) -> tuple[Job, ...]:
        """Those of the jobs there are that carry out the statements that were sent last."""
        noticed = set(self.session.noticed_jobs)
        own = [job for job in found if job.job_id in noticed]
        if statements and sent_at is not None:
            matching = match_jobs(found, statements, self.name_context, since=sent_at).own
            own += (job for job in matching if job not in own)
        return tuple(own)

    def ended_jobs(self, statement: Statement) -> tuple[Job, ...]:
        """The jobs of a statement that was just refused, as they are now."""
        if self.server.has_jobs:
            sent_at, found = self.look()
            self.jobs_seen = self.own_jobs((statement,), found, sent_at) or self.jobs_seen
        return self.jobs_seen

    def close(self) -> None:
        """End the watcher's connection."""
        self._watch.close()


def _name_context(server: Server) -> NameContext:
    return NameContext(server.database, server.schemas, server.user)
