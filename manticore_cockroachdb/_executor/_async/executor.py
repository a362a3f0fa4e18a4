"""One run from its first connection to the release of its lease, whatever happens in between.

Set up, take the lease, plan, run step by step, report what was done. A connection lost on the way is
treated like a crash: connect again, take the lease again (which fences off the old connection), read what
is true, and go on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ..._backend import introspection
from ..._backend.dialect import Server
from ..._backend.protocol import Command
from ..._backend.retry import LOST_CONNECTIONS, RECONNECT, Attempts
from ..._backend.settings import ConnectionSettings
from ..._planner.cursor import RunCursor, StepList
from ..._planner.decisions import outcome_unknown
from ..._planner.losses import losing_problems
from ..._planner.segments import header_problems, session_problems
from ..._planner.step import Step
from ..._scripts.direction import Direction
from ..._scripts.script import Mode
from ..._sql.session_effects import Leaves
from ..._store import fenced
from ..._store.fenced import Lease
from ..._store.ledger import Tables
from ..._store.repeatables import RepeatableRow
from ..._store.snapshot import Snapshot
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
    RunEnded,
    StepFinished,
    Warned,
)
from .. import concurrency
from ..messages import (
    connection_lost_before_any,
    connection_lost_for_good,
    connection_lost_twice,
)
from ..options import Options, new_owner
from ..under_way import UnderWay
from .atomic import AsyncAtomic
from .bootstrap import AsyncBootstrap
from .fake import AsyncFake
from .lease import async_alive, async_take_lease
from .recovery import async_await_session
from .run import AsyncRun
from .session import AsyncSession
from .stepwise import AsyncStepwise
from .store import AsyncStore, async_open_store
from .strategy import AsyncStrategy

#: How long the release of the lease waits for this run's own sessions to end, in seconds.
_SESSION_ENDS = 5.0

_POOLED = (
    "The connection goes through a connection pooler. Migrations need their own session. With "
    "pool_mode = transaction or statement, settings, roles and temporary tables of a script do not hold. "
    "Connect migrations to the server itself, or use pool_mode = session."
)

#: The steps that the tables, as they are, call for; raises what speaks against them.
Goal = Callable[[Snapshot], tuple[Step, ...]]


class AsyncExecutor:
    """Runs one goal on one database.

    Args:
        settings: Where.
        options: How.
        emit: Told what happens.
        surveys: Whether goals need to know what else is in a database in which nothing has run.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        options: Options,
        emit: Callable[[Event], None],
        *,
        surveys: bool = False,
    ) -> None:
        self._settings = settings
        self._options = options
        self._emit = emit
        self._surveys = surveys
        self._owner = new_owner()
        self._connections = 0
        self._session: AsyncSession | None = None
        self._lease: Lease | None = None
        self._lease_asked_for = False
        self._earlier: list[str] = []
        self._tables: Tables | None = None
        self._run: AsyncRun | None = None
        self._done: list[Step] = []
        self._planned: tuple[Step, ...] | None = None
        self._begun: list[Step] = []
        self._attempts = Attempts()
        self._reconnects = Attempts()
        self._lost_by = Attempts()
        self._reached: UnderWay | None = None
        self._lost = False
        self._found_empty = False
        self._interrupted = False
        self._failure: BaseException | None = None

    async def run(self, goal: Goal, *, fake: bool = False, bootstrap: bool = False) -> int:
        """Run until the goal is reached.

        Args:
            goal: What is to be done.
            fake: Move the ledger only; send none of the scripts' statements.
            bootstrap: Build an empty database as fast as the server allows; refused on any other.

        Returns:
            How many steps were done.
        """
        try:
            while True:
                try:
                    await self._once(goal, fake, bootstrap)
                except (DatabaseError, ConnectionFailed) as error:
                    if not self._worth_another_try(error):
                        raise
                    await self._await_reconnect(error)
                else:
                    return len(self._done)
        except BaseException as error:
            self._interrupted = not isinstance(error, Exception)
            self._failure = error
            raise
        finally:
            await concurrency.async_shield(self._shut_down)
            self._emit(RunEnded(len(self._done), self._failure))

    def _worth_another_try(self, error: DatabaseError | ConnectionFailed) -> bool:
        """Whether the answer was lost, not given: then what is true can be read again."""
        if isinstance(error, DatabaseError):
            return outcome_unknown(error.sqlstate)
        return self._connections > 0 and not isinstance(error, DatabaseMissing)

    async def _await_reconnect(self, error: DatabaseError | ConnectionFailed) -> None:
        """Pause before the next connection, unless that has been tried often enough.

        Raises:
            MigrationFailed: A statement has lost its connection twice, or the connection was lost around
                it too often.
            ConnectionLost: It was lost too often before any statement was sent.
            ConnectionFailed: It could not be made again.
        """
        run = self._run
        if run is not None and run.under_way is not None:
            self._reached = run.under_way
            if run.sending and self._lost_by.failed(LOST_CONNECTIONS, run.under_way.place) is None:
                raise connection_lost_twice(
                    run.under_way.step, run.under_way.statement, error, run.server
                ) from error
        place = (len(self._done), self._reached.place if self._reached else None)
        pause = self._reconnects.failed(RECONNECT, place)
        if pause is None:
            times = self._reconnects.count(RECONNECT)
            if self._reached is None:
                raise connection_lost_before_any(error, times) from error
            at = self._reached
            raise connection_lost_for_good(at.step, at.statement, error, times) from error
        self._lost = True
        self._emit(Reconnecting(str(error), self._reconnects.count(RECONNECT), pause))
        await self._close_connections()
        await concurrency.async_sleep(pause)

    async def settle(
        self,
        change: Callable[[Snapshot, Tables, Lease], list[Command]],
        *,
        repeatable: bool = False,
    ) -> None:
        """Take the lease and write what a person says is true.

        Args:
            change: The writes, from the tables as they are under the lease; raises to refuse.
            repeatable: Whether it writes to the table of repeatable scripts.
        """
        try:
            started = await self._start(lambda _snapshot, _server: True)
            if started is None:
                return
            run, snapshot = started
            if snapshot.record.progress is not None:
                await async_await_session(run, snapshot.record.progress)
            commands = change(snapshot, run.store.tables, run.lease)
            if commands and repeatable and not run.store.tables.has_repeatables:
                await self._make_repeatables(run)
            for command in commands:
                await run.write(command)
        except BaseException as error:
            self._failure = error
            raise
        finally:
            await concurrency.async_shield(self._shut_down)
            self._emit(RunEnded(len(self._done), self._failure))

    async def _once(self, goal: Goal, fake: bool, bootstrap: bool) -> None:
        started = await self._start(
            lambda snapshot, server: bool(self._plan(goal, snapshot, server, fake=fake))
        )
        if started is None:
            return
        run, snapshot = started
        if bootstrap and not self._found_empty:
            await self._check_empty(run, snapshot)
        steps = self._plan(goal, snapshot, run.server, fake=fake)
        if (
            any(step.script.is_repeatable for step in steps)
            and not run.store.tables.has_repeatables
        ):
            snapshot = replace(snapshot, repeatables=await self._make_repeatables(run))
            steps = self._plan(goal, snapshot, run.server, fake=fake)
        self._begun = list(steps)
        strategies = self._strategies(run, steps, snapshot, fake=fake)
        cursor = RunCursor(resume=snapshot.record.progress)
        while cursor.place < len(steps):
            if cursor.left:
                await run.reset_session(objects=cursor.left is Leaves.OBJECTS)
                cursor = replace(cursor, left=Leaves.NOTHING)
            chosen = next(each for each in strategies if each.accepts(cursor))
            cursor = await chosen.run(cursor)

    async def _start(
        self, wanted: Callable[[Snapshot, Server], bool]
    ) -> tuple[AsyncRun, Snapshot] | None:
        """Connect and take the lease; None when nothing is wanted any more."""
        store = await self._connect()
        session = store.session
        self._lease_asked_for = True
        try:
            taken = await async_take_lease(
                store,
                owner=self._owner,
                seconds=self._options.lease,
                lock_timeout=self._options.lock_timeout,
                emit=self._emit,
                wanted=lambda snapshot: wanted(snapshot, session.server),
                earlier=self._earlier,
            )
        except ManticoreError as error:
            # Without an answer, it may be ours.
            self._lease_asked_for = isinstance(error, ConnectionLost)
            raise
        self._lease_asked_for = False
        if taken is None:
            return None
        self._lease, snapshot = taken
        self._run = AsyncRun(
            self._settings, self._options, store, self._lease, self._emit, self._attempts
        )
        return self._run, snapshot

    async def _connect(self) -> AsyncStore:
        """Connect; the tables stay where the first connection found them, whatever a script does."""
        store = await async_open_store(
            self._settings,
            f"{self._owner}/{self._connections + 1}",
            self._options.table,
            self._emit,
            pinned=self._options.pinned,
            tables=self._tables,
            surveys=self._surveys,
        )
        self._connections += 1
        self._session, self._tables = store.session, store.tables
        if self._connections == 1:
            self._emit(Connected(store.session.server))
            if store.session.is_pooled:
                self._emit(Warned(_POOLED))
        return store

    def _plan(
        self, goal: Goal, snapshot: Snapshot, server: Server, *, fake: bool
    ) -> tuple[Step, ...]:
        """The steps left, as the tables are now; credits us with what a lost connection hid."""
        steps = goal(snapshot)
        if self._lost:
            self._lost = False
            self._count_unacknowledged(steps, snapshot)
        mode = self._options.mode
        problems = [
            problem
            for step in steps
            for problem in (
                *header_problems(step, server),
                *session_problems(step, server, mode),
                *([] if fake else _losing_problems(step, server, mode, snapshot)),
            )
        ]
        if problems:
            raise PlanRefused("Nothing was run", problems)
        if steps != self._planned:
            self._planned = steps
            self._emit(Planned(steps))
        return steps

    def _count_unacknowledged(self, steps: tuple[Step, ...], snapshot: Snapshot) -> None:
        """Count what was committed although its answer was lost, if nobody else ran in between."""
        begun, self._begun = self._begun, []
        if snapshot.record.owner != self._owner:
            return
        left = {(step.key, step.direction) for step in steps}
        total = len(self._done) + len(begun)
        for step in begun:
            if (step.key, step.direction) not in left:
                self._count(step)
                self._emit(StepFinished(step, len(self._done), total, 0.0))

    def _strategies(
        self, run: AsyncRun, steps: tuple[Step, ...], snapshot: Snapshot, *, fake: bool
    ) -> list[AsyncStrategy]:
        """The ways to run these steps; the first that accepts a step runs it."""
        listed = StepList(steps, run.server, self._options.mode)
        if fake:
            return [AsyncFake(run, listed, self._count)]
        found: list[AsyncStrategy] = []
        begins_empty = self._found_empty or (steps and steps[0].script.checkpoint is not None)
        if begins_empty and run.server.has_jobs:
            found.append(AsyncBootstrap(run, listed, self._count, whole=self._found_empty))
        found.append(AsyncAtomic(run, listed, self._count))
        rows = {row.version: row for row in snapshot.rows}
        return [*found, AsyncStepwise(run, listed, rows, found, self._count)]

    async def _check_empty(self, run: AsyncRun, snapshot: Snapshot) -> None:
        """The fast way is for fresh databases: nothing in them can be lost or half changed."""
        tables = run.store.tables
        found = await run.session.send(introspection.objects_besides(tables.names))
        there = [".".join(row) for row in found[0].rows]
        if snapshot.rows or snapshot.repeatables or snapshot.record.progress or there:
            what = ", ".join(there) if there else "the ledger has rows"
            problem = Problem(
                f"The database {run.server.database} is not empty ({what}), and bootstrap is for empty "
                "ones only.",
                hint="Migrate it without bootstrap.",
            )
            raise PlanRefused("Nothing was run", [problem])
        self._found_empty = True

    async def _make_repeatables(self, run: AsyncRun) -> tuple[RepeatableRow, ...]:
        """Make the table of repeatable scripts for the first of them."""
        rows = await run.store.make_repeatables()
        await run.write(fenced.note_repeatables(run.store.tables, run.lease))
        self._tables = run.store.tables
        return rows

    def _count(self, step: Step) -> None:
        self._done.append(step)
        self._begun = [other for other in self._begun if other is not step]

    async def _shut_down(self) -> None:
        """Give the lease back and end every connection, on every path out."""
        run = self._run
        try:
            if self._lease is not None or self._lease_asked_for:
                await self._release()
        except ManticoreError as error:
            self._emit(
                Warned(
                    f"The lease could not be released ({error}); it expires in "
                    f"{self._options.lease:.0f} s."
                )
            )
        finally:
            await self._close_connections()
            if self._interrupted:
                self._emit(self._stopped(run))

    def _stopped(self, run: AsyncRun | None) -> Interrupted:
        """What an interrupted run had done, and what was under way."""
        done = len(self._done)
        under_way = run.under_way if run else None
        if run is None or under_way is None or under_way.step in self._done:
            return Interrupted(done, None, None, ())
        if not (run.sending and under_way.changes):
            return Interrupted(done, under_way.step, None, (), under_way.done)
        statement = under_way.statement if under_way.by_itself else None
        return Interrupted(done, under_way.step, statement, run.jobs_seen, under_way.done)

    async def _release(self) -> None:
        run, tables = self._run, self._tables
        if tables is None:
            return
        session = run.session if run else self._session
        if session is not None and session.usable:
            try:
                await self._give_back(AsyncStore(session, tables, self._emit))
            except ManticoreError:
                pass  # it is lost, or the script has taken a role that may not read our tables
            else:
                return
        await self._close_connections()
        fresh = await async_open_store(
            self._settings, f"{self._owner}/leave", self._options.table, self._emit, tables=tables
        )
        try:
            await self._await_earlier(fresh.session)
            await self._give_back(fresh)
        finally:
            await fresh.session.close()

    async def _await_earlier(self, session: AsyncSession) -> None:
        """Wait a moment for our own sessions to end: one of them may be taking the lease just now."""
        started = time.monotonic()
        while time.monotonic() - started < _SESSION_ENDS:
            if not await async_alive(session, self._earlier):
                return
            await concurrency.async_sleep(_SESSION_ENDS / 50)

    async def _give_back(self, store: AsyncStore) -> None:
        """Give the lease back; when interrupted, first see what was done although no answer was read."""
        if self._interrupted and self._begun:
            snapshot = await store.look()
            if snapshot is not None and snapshot.record.owner == self._owner:
                half = snapshot.unfinished.key if snapshot.unfinished else None
                for step in self._begun:
                    there = snapshot.applied(step.script)
                    if step.key != half and there == (step.direction is Direction.UP):
                        self._count(step)
        await store.release(self._owner)

    async def _close_connections(self) -> None:
        run, self._run = self._run, None
        session, self._session = self._session, None
        lost = (session, run.session if run else None)
        self._earlier += (each.session_id for each in lost if each is not None)
        if run is not None:
            await run.close()
            await run.session.close()
        if session is not None:
            await session.close()


def _losing_problems(
    step: Step, server: Server, mode: Mode | None, snapshot: Snapshot
) -> list[Problem]:
    """What could lose a column's values, among the statements that no earlier run has done or sent."""
    progress = snapshot.record.progress
    begun = progress is not None and (progress.key, progress.direction) == (
        step.key,
        step.direction,
    )
    start = progress.done + progress.in_flight if progress is not None and begun else 0
    return losing_problems(step, server, mode, start=start)
