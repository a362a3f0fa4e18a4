"""One run from its first connection to the release of its lease, whatever happens in between.

Take the lease, plan, run step by step, report what was done. A connection lost on the way is treated like a
crash: take the lease again (`lease_holder`), read what is true, and continue from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..._backend import introspection
from ..._backend.dialect import Server
from ..._backend.protocol import Command
from ..._backend.retry import LOST_CONNECTIONS, RECONNECT, Attempts
from ..._backend.settings import ConnectionSettings
from ..._planner.cursor import RunCursor, StepList
from ..._planner.decisions import outcome_unknown
from ..._planner.problems import fake_problems, step_problems
from ..._planner.step import Step
from ..._planner.tally import Tally
from ..._sql.session_effects import Leaves
from ..._store.fenced import Lease
from ..._store.ledger import Tables
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
from ..options import Options
from ..under_way import UnderWay
from .atomic import AsyncAtomic
from .bootstrap import AsyncBootstrap
from .fake import AsyncFake
from .lease_holder import AsyncLeaseHolder
from .recovery import async_await_session
from .run import AsyncRun
from .stepwise import AsyncStepwise
from .strategy import AsyncStrategy

#: The steps that the tables, as they are, call for; raises the reasons against them.
Goal = Callable[[Snapshot], tuple[Step, ...]]


class AsyncExecutor:
    """Runs one goal on one database.

    Args:
        settings: Where.
        options: How.
        emit: Called with each event.
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
        self._options = options
        self._emit = emit
        self._holder = AsyncLeaseHolder(settings, options, emit, surveys=surveys)
        self._tally = Tally()
        self._planned: tuple[Step, ...] | None = None
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
                    return len(self._tally.done)
        except BaseException as error:
            self._interrupted = not isinstance(error, Exception)
            self._failure = error
            raise
        finally:
            await concurrency.async_shield(self._shut_down)
            self._emit(RunEnded(len(self._tally.done), self._failure))

    def _worth_another_try(self, error: DatabaseError | ConnectionFailed) -> bool:
        """Whether the answer was lost, not given: then what is true can be read again."""
        if isinstance(error, DatabaseError):
            # A canceled schema change may continue as its job: it is looked for as after a lost connection.
            return isinstance(error, ConnectionLost) or outcome_unknown(error.sqlstate)
        return self._holder.connections > 0 and not isinstance(error, DatabaseMissing)

    async def _await_reconnect(self, error: DatabaseError | ConnectionFailed) -> None:
        """Pause before the next connection, unless that has been tried often enough.

        Raises:
            MigrationFailed: A statement has lost its connection twice, or the connection was lost around
                it too often.
            ConnectionLost: It was lost too often before any statement was sent.
            ConnectionFailed: It could not be made again.
        """
        run = self._holder.run
        if run is not None and run.under_way is not None:
            self._reached = run.under_way
            if run.sending and self._lost_by.failed(LOST_CONNECTIONS, run.under_way.place) is None:
                raise connection_lost_twice(
                    run.under_way.step, run.under_way.statement, error, run.server
                ) from error
        place = (len(self._tally.done), self._reached.place if self._reached else None)
        pause = self._reconnects.failed(RECONNECT, place)
        if pause is None:
            times = self._reconnects.count(RECONNECT)
            if self._reached is None:
                raise connection_lost_before_any(error, times) from error
            at = self._reached
            raise connection_lost_for_good(at.step, at.statement, error, times) from error
        self._lost = True
        self._emit(Reconnecting(str(error), self._reconnects.count(RECONNECT), pause))
        await self._holder.close()
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
            started = await self._holder.take(lambda _snapshot, _server: True)
            if started is None:
                return
            run, snapshot = started
            if snapshot.record.progress is not None:
                await async_await_session(run, snapshot.record.progress)
            commands = change(snapshot, run.store.tables, run.lease)
            if commands and repeatable and not run.store.tables.has_repeatables:
                await self._holder.make_repeatables(run)
            for command in commands:
                await run.write(command)
        except BaseException as error:
            self._failure = error
            raise
        finally:
            await concurrency.async_shield(self._shut_down)
            self._emit(RunEnded(len(self._tally.done), self._failure))

    async def _once(self, goal: Goal, fake: bool, bootstrap: bool) -> None:
        started = await self._holder.take(
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
            snapshot = replace(snapshot, repeatables=await self._holder.make_repeatables(run))
            steps = self._plan(goal, snapshot, run.server, fake=fake)
        self._tally.begin(steps)
        strategies = self._strategies(run, steps, snapshot, fake=fake)
        cursor = RunCursor(resume=snapshot.record.progress)
        while cursor.place < len(steps):
            if cursor.left:
                await run.reset_session(objects=cursor.left is Leaves.OBJECTS)
                cursor = replace(cursor, left=Leaves.NOTHING)
            chosen = next(each for each in strategies if each.accepts(cursor))
            cursor = await chosen.run(cursor)

    def _plan(
        self, goal: Goal, snapshot: Snapshot, server: Server, *, fake: bool
    ) -> tuple[Step, ...]:
        """The steps left, as the tables are now; credits us with what a lost connection hid."""
        steps = goal(snapshot)
        if self._lost:
            self._lost = False
            self._count_unacknowledged(steps, snapshot)
        mode = self._options.mode
        if fake:
            problems = fake_problems(steps, server, mode)
        else:
            problems = step_problems(steps, server, mode, snapshot.record.progress)
        if problems:
            raise PlanRefused("Nothing was run", problems)
        if steps != self._planned:
            self._planned = steps
            self._emit(Planned(steps))
        return steps

    def _count_unacknowledged(self, steps: tuple[Step, ...], snapshot: Snapshot) -> None:
        """Count what was committed although its answer was lost, if nobody else ran in between."""
        tally = self._tally
        if snapshot.record.owner != self._holder.owner:
            tally.forget_begun()
            return
        total, first = tally.total, len(tally.done) + 1
        for number, step in enumerate(tally.count_unacknowledged(steps), first):
            self._emit(StepFinished(step, number, total, 0.0))

    def _strategies(
        self, run: AsyncRun, steps: tuple[Step, ...], snapshot: Snapshot, *, fake: bool
    ) -> list[AsyncStrategy]:
        """The ways to run these steps; the first that accepts a step runs it."""
        listed = StepList(steps, run.server, self._options.mode)
        if fake:
            return [AsyncFake(run, listed, self._tally.count)]
        found: list[AsyncStrategy] = []
        begins_empty = self._found_empty or (steps and steps[0].script.checkpoint is not None)
        if begins_empty and run.server.has_jobs:
            found.append(AsyncBootstrap(run, listed, self._tally.count, whole=self._found_empty))
        found.append(AsyncAtomic(run, listed, self._tally.count))
        rows = {row.version: row for row in snapshot.rows}
        return [*found, AsyncStepwise(run, listed, rows, found, self._tally.count)]

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

    async def _shut_down(self) -> None:
        """Release the lease and end every connection, on every path out."""
        run = self._holder.run
        try:
            await self._holder.release(self._tally if self._interrupted else None)
        except ManticoreError as error:
            self._emit(
                Warned(
                    f"The lease could not be released ({error}); it expires in "
                    f"{self._options.lease:.0f} s."
                )
            )
        finally:
            await self._holder.close()
            if self._interrupted:
                self._emit(self._stopped(run))

    def _stopped(self, run: AsyncRun | None) -> Interrupted:
        """What an interrupted run had done, and what was running."""
        done = len(self._tally.done)
        under_way = run.under_way if run else None
        if run is None or under_way is None or under_way.step in self._tally.done:
            return Interrupted(done, None, None, ())
        if not (run.sending and under_way.changes):
            return Interrupted(done, under_way.step, None, (), under_way.done)
        statement = under_way.statement if under_way.by_itself else None
        return Interrupted(done, under_way.step, statement, run.jobs_seen, under_way.done)
