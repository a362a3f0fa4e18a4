"""One run from its first connection to the release of its lease, whatever happens in between.

Set up, take the lease, plan, run step by step, report what was done. A connection lost on the way is
treated like a crash: connect again, take the lease again (which fences off the old connection), read what
is true, and go on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..._backend import introspection
from ..._backend.dialect import Server
from ..._backend.protocol import Command
from ..._backend.retry import RECONNECT
from ..._backend.settings import ConnectionSettings
from ..._planner.decisions import outcome_unknown
from ..._planner.losses import losing_problems
from ..._planner.plan import Step
from ..._planner.segments import forced_atomic_problems, prepare
from ..._scripts.direction import Direction
from ..._store import run_state
from ..._store.ledger import Tables
from ..._store.run_state import Lease, Snapshot
from ...errors import (
    ConnectionFailed,
    ConnectionLost,
    DatabaseError,
    DatabaseMissing,
    ManticoreError,
    PlanRefused,
    Problem,
)
from ...events import (
    Connected,
    Event,
    Interrupted,
    Planned,
    Reconnecting,
    StepFinished,
    StepStarted,
    Warned,
)
from .. import concurrency
from ..options import Options, new_owner
from .atomic import AsyncAtomic
from .bootstrap import AsyncBootstrap
from .lease import async_take_lease
from .recovery import async_await_session
from .run import AsyncRun
from .session import AsyncSession
from .stepwise import AsyncStepwise
from .store import AsyncStore

#: The steps that the tables, as they are, call for; raises what speaks against them.
Goal = Callable[[Snapshot], tuple[Step, ...]]


class AsyncExecutor:
    """Runs one goal on one database.

    Args:
        settings: Where.
        options: How.
        emit: Told what happens.
    """

    def __init__(
        self, settings: ConnectionSettings, options: Options, emit: Callable[[Event], None]
    ) -> None:
        self._settings = settings
        self._options = options
        self._emit = emit
        self._owner = new_owner()
        self._connections = 0
        self._session: AsyncSession | None = None
        self._lease: Lease | None = None
        self._tables: Tables | None = None
        self._run: AsyncRun | None = None
        self._done: list[Step] = []
        self._planned: tuple[Step, ...] | None = None
        self._begun: list[Step] = []
        self._lost = False
        self._found_empty = False
        self._interrupted = False

    async def run(self, goal: Goal, *, fake: bool = False, bootstrap: bool = False) -> int:
        """Run until the goal is reached.

        Args:
            goal: What is to be done.
            fake: Move the ledger only; send none of the scripts' statements.
            bootstrap: Build an empty database as fast as the server allows; refused on any other.

        Returns:
            How many steps were done.
        """
        attempt, progress = 0, 0
        try:
            while True:
                try:
                    await self._once(goal, fake, bootstrap)
                except (DatabaseError, ConnectionFailed) as error:
                    if not self._worth_another_try(error):
                        raise
                    if len(self._done) > progress:
                        attempt, progress = 0, len(self._done)
                    attempt += 1
                    pause = RECONNECT.pause(attempt)
                    if pause is None:
                        raise
                    self._lost = True
                    self._emit(Reconnecting(str(error), attempt, pause))
                    await self._close_connections()
                    await concurrency.async_sleep(pause)
                else:
                    return len(self._done)
        except BaseException as error:
            self._interrupted = not isinstance(error, Exception)
            raise
        finally:
            await concurrency.async_shield(self._shut_down)

    def _worth_another_try(self, error: DatabaseError | ConnectionFailed) -> bool:
        """Whether the answer was lost, not given: then what is true can be read again."""
        if isinstance(error, DatabaseError):
            return outcome_unknown(error.sqlstate)
        return self._connections > 0 and not isinstance(error, DatabaseMissing)

    async def settle(self, change: Callable[[Snapshot, Tables, Lease], list[Command]]) -> None:
        """Take the lease and write what a person says is true.

        Args:
            change: The writes, from the tables as they are under the lease; raises to refuse.
        """
        try:
            started = await self._start(lambda _book, _server: True)
            if started is None:
                return
            run, book = started
            if book.record.progress is not None:
                await async_await_session(run, book.record.progress)
            for command in change(book, run.store.tables, run.lease):
                await run.write(command)
        finally:
            await concurrency.async_shield(self._shut_down)

    async def _once(self, goal: Goal, fake: bool, bootstrap: bool) -> None:
        started = await self._start(
            lambda book, server: bool(self._plan(goal, book, server, fake=fake))
        )
        if started is None:
            return
        run, book = started
        if bootstrap and not self._found_empty:
            await self._check_empty(run, book)
        steps = self._plan(goal, book, run.server, fake=fake)
        await self._steps(run, steps, book, fake)

    async def _start(
        self, wanted: Callable[[Snapshot, Server], bool]
    ) -> tuple[AsyncRun, Snapshot] | None:
        """Connect and take the lease; None when nothing is wanted any more."""
        session = await self._connect()
        self._tables = Tables.named(
            self._options.table, database=session.server.database, schema=session.server.schema
        )
        store = AsyncStore(session, self._tables, self._emit)
        taken = await async_take_lease(
            store,
            owner=self._owner,
            seconds=self._options.lease,
            lock_timeout=self._options.lock_timeout,
            emit=self._emit,
            wanted=lambda book: wanted(book, session.server),
        )
        if taken is None:
            return None
        self._lease, book = taken
        self._run = AsyncRun(self._settings, self._options, store, self._lease, self._emit)
        return self._run, book

    async def _connect(self) -> AsyncSession:
        name = f"{self._owner}/{self._connections + 1}"
        session = await AsyncSession.open(self._settings, name, self._options.pinned)
        self._connections += 1
        self._session = session
        if self._connections == 1:
            self._emit(Connected(session.server))
        return session

    def _plan(self, goal: Goal, book: Snapshot, server: Server, *, fake: bool) -> tuple[Step, ...]:
        """The steps left, as the tables are now; credits us with what a lost connection hid."""
        steps = goal(book)
        if self._lost:
            self._lost = False
            self._count_unacknowledged(steps, book)
        problems = [p for step in steps for p in forced_atomic_problems(step, server)]
        for step in () if fake else steps:
            begun = _statements_begun(step, book)
            problems += losing_problems(step, server, self._options.mode, start=begun)
        if problems:
            raise PlanRefused("Nothing was run", problems)
        if steps != self._planned:
            self._planned = steps
            self._emit(Planned(steps))
        return steps

    def _count_unacknowledged(self, steps: tuple[Step, ...], book: Snapshot) -> None:
        """Count what was committed although its answer was lost, if nobody else ran in between."""
        begun, self._begun = self._begun, []
        if book.record.owner != self._owner:
            return
        left = {(step.version, step.direction) for step in steps}
        total = len(self._done) + len(begun)
        for step in begun:
            if (step.version, step.direction) not in left:
                self._count(step)
                self._emit(StepFinished(step, len(self._done), total, 0.0))

    async def _steps(
        self, run: AsyncRun, steps: tuple[Step, ...], book: Snapshot, fake: bool
    ) -> None:
        self._begun = list(steps)
        rows = {row.version: row for row in book.rows}
        resume = book.record.progress
        atomic = AsyncAtomic(run, steps)
        batches = AsyncBootstrap(run, steps)
        intended = dirty = False
        place = 0
        while place < len(steps):
            step = steps[place]
            if fake:
                await self._fake(run, step, place, len(steps))
                place += 1
                continue
            if dirty:
                await run.reset_session()
                dirty = False
            if self._found_empty and run.server.has_jobs and not (resume or intended):
                reached = await batches.go(place, self._count)
                if reached > place:
                    place, dirty = reached, True
                    continue
            prepared = prepare(step, run.server, self._options.mode)
            dirty = prepared.changes_session
            if prepared.one_transaction and resume is None:
                place = await atomic.go(place, self._count)
                dirty = prepare(steps[place - 1], run.server, self._options.mode).changes_session
                continue
            behind = steps[place + 1] if place + 1 < len(steps) and not dirty else None
            done = resume.done if resume else 0
            self._emit(StepStarted(step, place + 1, len(steps), prepared.mode, done))
            started = time.monotonic()
            stepwise = AsyncStepwise(run, prepared, behind=behind, row=rows.get(step.version))
            intended = await stepwise.go(resume, intended=intended)
            resume = None
            self._count(step)
            self._emit(StepFinished(step, place + 1, len(steps), time.monotonic() - started))
            place += 1

    async def _fake(self, run: AsyncRun, step: Step, place: int, total: int) -> None:
        tables = run.store.tables
        await run.write(run_state.complete(tables, run.lease, step.script, step.direction))
        self._count(step)
        self._emit(StepFinished(step, place + 1, total, 0.0, faked=True))

    async def _check_empty(self, run: AsyncRun, book: Snapshot) -> None:
        """The fast way is for fresh databases: nothing in them can be lost or half changed."""
        tables = run.store.tables
        found = await run.session.send(
            introspection.objects_besides(tables.name, tables.state_name)
        )
        there = [".".join(row) for row in found[0].rows]
        if book.rows or book.record.progress or there:
            what = ", ".join(there) if there else "the ledger has rows"
            problem = Problem(
                f"the database {run.server.database} is not empty ({what}), and bootstrap is for empty "
                "ones only. Migrate it without bootstrap."
            )
            raise PlanRefused("Nothing was run", [problem])
        self._found_empty = True

    def _count(self, step: Step) -> None:
        self._done.append(step)
        self._begun = [other for other in self._begun if other is not step]

    async def _shut_down(self) -> None:
        """Give the lease back and end every connection, on every path out."""
        under_way = self._run.under_way if self._run else None
        jobs = self._run.jobs_seen if self._run and under_way and under_way[1] else ()
        try:
            if self._lease is not None:
                await self._release(self._lease)
        except ManticoreError as error:
            self._emit(
                Warned(
                    f"The lease could not be given back ({error}); it runs out by itself in "
                    f"{self._options.lease:.0f} s."
                )
            )
        finally:
            await self._close_connections()
            if self._interrupted:
                step, statement = under_way or (None, None)
                if step in self._done:
                    step = statement = None
                self._emit(Interrupted(len(self._done), step, statement, jobs))

    async def _release(self, lease: Lease) -> None:
        run, tables = self._run, self._tables
        if tables is None:
            return
        session = run.session if run else self._session
        if session is not None and session.usable:
            try:
                await self._give_back(AsyncStore(session, tables, self._emit), lease)
            except ConnectionLost:
                pass
            else:
                return
        fresh = await AsyncSession.open(self._settings, f"{self._owner}/leave")
        try:
            await self._give_back(AsyncStore(fresh, tables, self._emit), lease)
        finally:
            await fresh.close()

    async def _give_back(self, store: AsyncStore, lease: Lease) -> None:
        """Give the lease back; when interrupted, first see what was done although no answer was read."""
        if self._interrupted and self._begun:
            book = await store.look()
            if book is not None and book.record.owner == lease.owner:
                ours = {row.version for row in book.rows}
                half = book.unfinished.version if book.unfinished else None
                for step in self._begun:
                    there = step.version in ours
                    if step.version != half and there == (step.direction is Direction.UP):
                        self._count(step)
        await store.release(lease)

    async def _close_connections(self) -> None:
        run, self._run = self._run, None
        session, self._session = self._session, None
        if run is not None:
            await run.close()
            await run.session.close()
        if session is not None:
            await session.close()


def _statements_begun(step: Step, book: Snapshot) -> int:
    """How many statements of a step an earlier run has done or sent."""
    progress = book.record.progress
    if progress is None or (progress.version, progress.direction) != (step.version, step.direction):
        return 0
    return progress.done + progress.in_flight
