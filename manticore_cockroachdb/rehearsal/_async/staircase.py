"""Runs scripts up, down and up again on a scratch database, and compares each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..._backend.protocol import Command
from ..._backend.settings import ConnectionSettings
from ..._executor import concurrency
from ..._executor._async.executor import AsyncExecutor
from ..._executor.options import Options
from ..._planner.step import Step
from ..._printing.compare import compare
from ..._printing.objects import Printing
from ..._scripts.direction import Direction
from ..._scripts.script import MigrationScript
from ..._sql.statement import Statement
from ..._store import fenced
from ..._store.fenced import Lease
from ..._store.ledger import Tables
from ..._store.snapshot import Snapshot
from ...errors import ManticoreError
from ...events import Event, ScriptRehearsed
from ..results import Crash, Outcome, Rehearsed
from ..rows import Rows, lost_rows
from ..seeds import Seed
from ..surroundings import Surroundings
from .building import async_apply, async_read, scratch_options
from .crashes import async_cut
from .rows import async_count_rows, async_failed_assertions, async_read_rows, async_sow
from .scratch import AsyncScratches

#: Seconds a lease lasts on a crash tour.
_CRASH_LEASE = 5.0


class AsyncStaircase:
    """One rehearsal.

    Args:
        scratches: Where it is made.
        options: How runs are made.
        emit: Called with each event.
        surroundings: What else the target holds.
        seeds: Rows and assertions, by version.
        crash: Cut the connection before and after each statement in turn, too.
    """

    def __init__(
        self,
        scratches: AsyncScratches,
        options: Options,
        emit: Callable[[Event], None],
        surroundings: Surroundings,
        seeds: Mapping[int, Seed],
        *,
        crash: bool,
    ) -> None:
        self._scratches = scratches
        self._options = scratch_options(options)
        if crash:
            # A lease that a cut run leaves behind ends soon.
            self._options = replace(self._options, lease=_CRASH_LEASE)
        self._emit = emit
        self._surroundings = surroundings
        self._seeds = seeds
        self._crash = crash
        self._base: list[MigrationScript] = []
        self._done: list[MigrationScript] = []
        self._scratch: ConnectionSettings

    async def run(
        self, base: Sequence[MigrationScript], pending: Sequence[MigrationScript]
    ) -> tuple[Rehearsed, ...]:
        """Rehearse scripts in order, until one fails when it is applied.

        Args:
            base: The scripts that are applied already.
            pending: The scripts to rehearse.
        """
        self._base = list(base)
        await self._build()
        found: list[Rehearsed] = []
        for script in pending:
            started = time.monotonic()
            result = await self._rehearse(script)
            result = replace(result, seconds=time.monotonic() - started)
            found.append(result)
            self._emit(
                ScriptRehearsed(
                    script, result.outcome.value, result.seconds, len(found), len(pending)
                )
            )
            if result.outcome is Outcome.UP_FAILED:
                break
        return tuple(found)

    async def _build(self) -> None:
        """A scratch database with everything that is done so far."""
        self._scratch = await self._scratches.make()
        before = self._surroundings.before
        if before is not None:
            scratch = self._scratch
            await concurrency.async_in_thread(lambda: before(scratch))
        await async_apply(self._scratch, self._options, self._emit, self._base)
        for number, script in enumerate(self._done, start=1):
            await self._sow(script)
            await self._up((*self._base, *self._done[:number]))

    async def _rebuild(self) -> None:
        await self._scratches.drop(self._scratch)
        await self._build()

    async def _rehearse(self, script: MigrationScript) -> Rehearsed:
        await self._sow(script)
        before = await self._print()
        rows = await self._rows(before)
        try:
            await self._up((*self._base, *self._done, script))
        except ManticoreError as error:
            return Rehearsed(script, Outcome.UP_FAILED, error=str(error))
        self._done.append(script)
        failed = await self._failed_assertions(script)
        if failed:
            return Rehearsed(script, Outcome.ASSERTION_FAILED, failed_assertions=failed)
        if script.is_repeatable:
            return await self._repeat(script, before)
        if script.down_sql is None:
            missing = Outcome.IRREVERSIBLE if script.is_irreversible else Outcome.NO_DOWN
            crashes = await self._tour(script, before, await self._print(), comes_back=False)
            return Rehearsed(script, missing, crashes=crashes)
        return await self._come_back(script, before, rows)

    async def _come_back(
        self, script: MigrationScript, before: Printing, rows_before: Rows
    ) -> Rehearsed:
        """Run a script down, and up again."""
        first = await self._print()
        try:
            await self._down(script)
        except ManticoreError as error:
            await self._rebuild()
            return Rehearsed(script, Outcome.DOWN_FAILED, error=str(error))
        below = await self._print()
        after_down, _ = compare(before, below)
        lost = lost_rows(rows_before, await self._rows(below))
        try:
            await self._up((*self._base, *self._done))
        except ManticoreError as error:
            await self._rebuild()
            return Rehearsed(
                script,
                Outcome.AGAIN_FAILED,
                error=str(error),
                after_down=after_down,
                lost_rows=lost,
            )
        after_again, _ = compare(first, await self._print())
        if not (after_down or after_again or lost):
            crashes = await self._tour(script, before, first, comes_back=True)
            return Rehearsed(script, Outcome.COMES_BACK, crashes=crashes)
        if after_down or after_again:
            await self._rebuild()
        return Rehearsed(
            script,
            Outcome.DIFFERS,
            after_down=after_down,
            after_up_again=after_again,
            lost_rows=lost,
        )

    async def _repeat(self, script: MigrationScript, before: Printing) -> Rehearsed:
        """Run a repeatable script once more, over what it has just made."""
        first = await self._print()
        rows = await self._rows(first)
        try:
            await self._forget(script)
            await self._up((*self._base, *self._done))
        except ManticoreError as error:
            await self._rebuild()
            return Rehearsed(script, Outcome.AGAIN_FAILED, error=str(error))
        again = await self._print()
        differences, _ = compare(first, again)
        others = lost_rows(rows, await self._rows(again))
        if not (differences or others):
            crashes = await self._tour(script, before, first, comes_back=False)
            return Rehearsed(script, Outcome.REPEATS, crashes=crashes)
        await self._rebuild()
        return Rehearsed(script, Outcome.NOT_THE_SAME, after_up_again=differences, lost_rows=others)

    async def _forget(self, script: MigrationScript) -> None:
        """Have a repeatable script run again."""

        def forgotten(_snapshot: Snapshot, tables: Tables, lease: Lease) -> list[Command]:
            return [fenced.remove(tables, lease, script.key)]

        await AsyncExecutor(self._scratch, self._options, self._emit).settle(forgotten)

    async def _tour(
        self, script: MigrationScript, below: Printing, above: Printing, *, comes_back: bool
    ) -> tuple[Crash, ...]:
        """Cut each statement of both sections in turn; the scratch database ends as it is now."""
        if not self._crash:
            return ()
        counts = await async_count_rows(self._scratch, above)
        found = []
        for statement, nth in _numbered(script.up_statements()):
            for when in ("before", "after"):
                await self._step_down(script, comes_back=comes_back)
                crash = await async_cut(
                    self._scratch,
                    Direction.UP,
                    statement,
                    nth,
                    when,
                    lambda settings: self._up((*self._base, *self._done), settings),
                    lambda: self._differs(above, counts),
                )
                found.append(crash)
                if not crash.ok:
                    await self._rebuild()
        for statement, nth in _numbered(script.down_statements() if comes_back else ()):
            for when in ("before", "after"):
                crash = await async_cut(
                    self._scratch,
                    Direction.DOWN,
                    statement,
                    nth,
                    when,
                    lambda settings: self._down(script, settings),
                    lambda: self._differs(below, None),
                )
                found.append(crash)
                if crash.ok:
                    await self._up((*self._base, *self._done))
                else:
                    await self._rebuild()
        return tuple(found)

    async def _step_down(self, script: MigrationScript, *, comes_back: bool) -> None:
        """To the state before a script: by its down section, or built again."""
        if comes_back:
            await self._down(script)
            return
        self._done.remove(script)
        await self._rebuild()
        await self._sow(script)
        self._done.append(script)

    async def _differs(self, wanted: Printing, counts: dict[str, int] | None) -> str | None:
        found = await self._print()
        differences, _ = compare(wanted, found)
        words = [str(each) for each in differences]
        if counts is not None:
            now = await async_count_rows(self._scratch, found)
            words += [
                f"table {name} has {now.get(name)} rows instead of {count}"
                for name, count in counts.items()
                if now.get(name) != count
            ]
        return "; ".join(words) or None

    async def _up(
        self, scripts: Sequence[MigrationScript], settings: ConnectionSettings | None = None
    ) -> None:
        await async_apply(settings or self._scratch, self._options, self._emit, scripts)

    async def _down(
        self, script: MigrationScript, settings: ConnectionSettings | None = None
    ) -> None:
        step = Step(script, Direction.DOWN)

        def goal(snapshot: Snapshot) -> tuple[Step, ...]:
            begun = snapshot.unfinished is not None
            return (step,) if begun or snapshot.applied(script) else ()

        executor = AsyncExecutor(settings or self._scratch, self._options, self._emit)
        await executor.run(goal)

    async def _print(self) -> Printing:
        return await async_read(self._scratch, self._options.table, self._emit)

    async def _sow(self, script: MigrationScript) -> None:
        seed = self._seeds.get(script.version)
        if seed is not None:
            await async_sow(self._scratch, seed, script.version)

    async def _failed_assertions(self, script: MigrationScript) -> tuple[str, ...]:
        seed = self._seeds.get(script.version)
        return () if seed is None else await async_failed_assertions(self._scratch, seed)

    async def _rows(self, printing: Printing) -> Rows:
        """What the tables hold; nothing without seeds, since then they are empty."""
        return await async_read_rows(self._scratch, printing) if self._seeds else {}


def _numbered(statements: Sequence[Statement]) -> list[tuple[Statement, int]]:
    """Each statement, and which of those with its text it is."""
    seen: dict[str, int] = {}
    found = []
    for statement in statements:
        seen[statement.text] = seen.get(statement.text, 0) + 1
        found.append((statement, seen[statement.text]))
    return found
