# Generated from _async/run.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""What all parts of one run share: sessions, tables, lease, and looking after a statement under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from ..._backend import introspection
from ..._backend.dialect import IN_TRANSACTION_DDL, UNDEFINED_OBJECT, Server
from ..._backend.job_match import match_jobs
from ..._backend.jobs import Job, JobState, described
from ..._backend.protocol import Command, Refusal, Result
from ..._backend.retry import IN_TRANSITION, RETRY, TRANSACTION, TRANSITION, Attempts
from ..._backend.settings import ConnectionSettings
from ..._planner.lock_limits import (
    local_settings,
    lock_limits,
    session_restored,
    session_setting,
)
from ..._planner.step import Step
from ..._sql.likeness import NameContext
from ..._sql.session_effects import session_wide
from ..._sql.statement import Statement, rows_changed
from ..._store import fenced
from ..._store.fenced import Lease
from ...errors import DatabaseError, ManticoreError
from ...events import Event, Noticed, Retrying, StillRunning, Warned
from .. import concurrency
from ..job_messages import job_failed, what_to_do
from ..options import Options
from ..under_way import Limits, TracesAhead, UnderWay
from .heartbeat import Heartbeat
from .lock_wait import Locks
from .refused import why_refused
from .session import Session
from .store import Store

R = TypeVar("R")
T = TypeVar("T")

#: Seconds between two looks at a statement under way, at most.
TICK = 1.0
#: How long a paused job is waited for before the run gives up, in seconds: somebody may resume it.
PAUSED_GRACE = 30.0
#: How often a waiting statement is looked at before its limit is reached, and how quickly at most.
_LOOKS = 4
_QUICKEST_TICK = 0.05
#: Ticks are never exact.
_NEARLY = 0.9


def _not_located(_text: str) -> UnderWay | None:
    """What the server shows as running is not looked for."""
    return None


def _keeps_others_out(_answered: int) -> bool:
    """An open transaction that has written the run state's row needs no renewing of the lease."""
    return False


class Run:
    """One run that holds the lease.

    Attributes:
        session: The connection that runs scripts and writes the tables.
        store: The tables, seen through it.
        lease: The lease.
        options: How to run.
        emit: Called with each event.
        attempts: Counts what failed and is tried again.
        jobs_seen: The jobs of the statement under way, or of the last one.
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
        """The error for a statement of our own that was refused; see `why_refused`."""
        return why_refused(self.store, self.lease, error, step, committed=committed)

    def supervise(
        self,
        work: Callable[[Callable[[T], None]], R],
        *,
        under_way: Callable[[], UnderWay],
        on_item: Callable[[T], None],
        renew: Callable[[], bool],
        locate: Callable[[str], UnderWay | None] = _not_located,
        limits: Iterable[float | None] = (),
    ) -> R:
        """Let `work` use the session while this side renews the lease, follows jobs and emits events.

        Args:
            work: What to do; see `concurrency.supervise`.
            under_way: What the server is working on, asked at each sign of life and at the end.
            on_item: Called for each item that `work` reports.
            renew: Whether the lease needs renewing meanwhile, asked at each sign of life.
            locate: What a statement belongs to that the server shows as running, by its text.
            limits: Seconds that the statements wait for a lock at most: who holds it is seen before that.
        """
        monitor = _ProgressMonitor(self, under_way, renew, locate)

        def heard(report: Callable[[T | Noticed], None]) -> R:
            def notice(severity: str, message: str) -> None:
                now = under_way()
                report(Noticed(now.step, now.statement, severity, message))

            self.session.on_notice = notice
            try:
                return work(report)
            finally:
                self.session.on_notice = None

        def item(reported: T | Noticed) -> None:
            if isinstance(reported, Noticed):
                self.emit(reported)
            else:
                on_item(reported)

        shortest = min((limit for limit in limits if limit), default=self.interval * _LOOKS)
        self.jobs_seen = ()
        self.session.noticed_jobs.clear()
        self.under_way, self.sending = under_way(), True
        try:
            outcome = concurrency.supervise(
                heard,
                on_item=item,
                on_tick=monitor.tick,
                interval=max(_QUICKEST_TICK, min(self.interval, shortest / _LOOKS)),
                abandon=self.session.abandon,
            )
        except BaseException:
            self.under_way = under_way()
            raise
        self.sending = False
        return outcome

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

    def run_statement(
        self, step: Step, statements: Sequence[Statement], done: int
    ) -> int | None:
        """Send one statement by itself, supervised.

        Args:
            step: Its script.
            statements: The script's statements.
            done: How many of them are done: the next one is sent.

        Returns:
            How many rows it changed; None for what changes none.
        """
        statement = statements[done]
        (limit,) = self.lock_limits(step, statements, done, done + 1).seconds

        def work(_report: Callable[[None], None]) -> str:
            return self.session.run(session_wide(statement))

        if limit is not None:
            self.session.run(session_setting(limit))
        under_way = UnderWay(step, done, statement, by_itself=True)
        try:
            tag = self.supervise(
                work,
                under_way=lambda: under_way,
                on_item=_ignore,
                renew=lambda: True,
                limits=(limit,),
            )
        finally:
            if limit is not None and self.session.usable:
                self.session.run(session_restored(statements[:done]))
        return rows_changed(statement, tag)

    def run_transaction(
        self,
        commands: Sequence[Command],
        under_way: Callable[[int], UnderWay],
        on_answer: Callable[[int, Result], None] | None = None,
        *,
        renew: Callable[[int], bool] = _keeps_others_out,
        locate: Callable[[str], UnderWay | None] = _not_located,
        limits: Iterable[float | None] = (),
    ) -> Refusal | None:
        """Send a transaction that keeps other runners out itself, supervised.

        Args:
            commands: The whole transaction.
            under_way: What it is working on when so many of the commands have been answered.
            on_answer: Called with the number of each command, from 0, and its answer.
            renew: Whether the lease needs renewing when so many of the commands have been answered.
            locate: As for `supervise`.
            limits: As for `supervise`.
        """
        answered = 0

        def answer(number: int, result: Result) -> None:
            nonlocal answered
            answered = number + 1
            if on_answer is not None:
                on_answer(number, result)

        def work(_report: Callable[[None], None]) -> Refusal | None:
            return self.session.stream(commands, answer)

        return self.supervise(
            work,
            under_way=lambda: under_way(answered),
            on_item=_ignore,
            renew=lambda: renew(answered),
            locate=locate,
            limits=limits,
        )

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
        """Extend the lease while waiting without a statement under way."""
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


def _ignore(item: None) -> None:
    """Nothing is reported while one thing is under way."""


class _ProgressMonitor:
    """The signs of life of one statement."""

    def __init__(
        self,
        run: Run,
        under_way: Callable[[], UnderWay],
        renew: Callable[[], bool],
        locate: Callable[[str], UnderWay | None],
    ) -> None:
        self._run = run
        self._under_way = under_way
        self._renew = renew
        self._locate = locate
        self._started = self._told = time.monotonic()
        self._moved: tuple[float, float] | None = None
        self._paused_since: float | None = None

    def tick(self) -> None:
        moment = time.monotonic()
        if moment - self._told >= self._run.interval * _NEARLY:
            self._told = moment
            self._tell(moment - self._started)
        if not self._run.server.has_jobs:
            session_id = self._run.session.session_id
            self._run.locks.look(session_id, self._under_way(), self._locate)

    def _tell(self, elapsed: float) -> None:
        sent_at, found = self._run.look(renew=self._renew())
        now = self._under_way()
        statement = now.statement if now.by_itself else None
        jobs = self._run.own_jobs(now.changes, found, sent_at)
        if jobs:
            self._run.jobs_seen = jobs
        self._run.emit(StillRunning(now.step, statement, elapsed, jobs, self._remaining(jobs)))
        self._check_paused(now.step, statement, jobs)

    def _remaining(self, jobs: tuple[Job, ...]) -> float | None:
        """Seconds left at the pace seen so far, once the server's fraction moves."""
        fraction = max((job.fraction for job in jobs if job.state is JobState.RUNNING), default=0.0)
        now = time.monotonic()
        if not 0 < fraction < 1:
            return None
        if self._moved is None or fraction < self._moved[1]:
            self._moved = (now, fraction)
            return None
        since, first = self._moved
        pace = (fraction - first) / (now - since) if now > since else 0.0
        return (1 - fraction) / pace if pace > 0 else None

    def _check_paused(self, step: Step, statement: Statement | None, jobs: tuple[Job, ...]) -> None:
        """A paused job never ends by itself, and older servers let its client wait for ever."""
        stuck = [job for job in jobs if job.state is JobState.BLOCKED]
        if not stuck:
            self._paused_since = None
            return
        now = time.monotonic()
        if self._paused_since is None:
            self._paused_since = now
            self._run.emit(Warned(f"{described(stuck[0])}. {what_to_do(stuck[0])}"))
        elif now - self._paused_since > PAUSED_GRACE:
            raise job_failed(step, statement, stuck[0])
