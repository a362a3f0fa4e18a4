# Generated from _async/staircase.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Runs scripts up, down and up again on a scratch database, and compares each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..._backend.protocol import Command
from ..._backend.settings import ConnectionSettings
from ..._executor import concurrency
from ..._executor._sync.executor import Executor
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
from .building import apply, read, scratch_options
from .crashes import cut
from .rows import count_rows, failed_assertions, read_rows, sow
from .scratch import Scratches

#: Seconds a lease lasts on a crash tour.
_CRASH_LEASE = 5.0


class Staircase:
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
        scratches: Scratches,
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

    def run(
        self, base: Sequence[MigrationScript], pending: Sequence[MigrationScript]
    ) -> tuple[Rehearsed, ...]:
        """Rehearse scripts in order, until one fails when it is applied.

        Args:
            base: The scripts that are applied already.
            pending: The scripts to rehearse.
        """
        self._base = list(base)
        self._build()
        found: list[Rehearsed] = []
        for script in pending:
            started = time.monotonic()
            result = self._rehearse(script)
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

    def _build(self) -> None:
        """A scratch database with everything that is done so far."""
        self._scratch = self._scratches.make()
        before = self._surroundings.before
        if before is not None:
            scratch = self._scratch
            concurrency.in_thread(lambda: before(scratch))
        apply(self._scratch, self._options, self._emit, self._base)
        for number, script in enumerate(self._done, start=1):
            self._sow(script)
            self._up((*self._base, *self._done[:number]))

    def _rebuild(self) -> None:
        self._scratches.drop(self._scratch)
        self._build()

    def _rehearse(self, script: MigrationScript) -> Rehearsed:
        self._sow(script)
        before = self._print()
        rows = self._rows(before)
        try:
            self._up((*self._base, *self._done, script))
        except ManticoreError as error:
            return Rehearsed(script, Outcome.UP_FAILED, error=str(error))
        self._done.append(script)
        failed = self._failed_assertions(script)
        if failed:
            return Rehearsed(script, Outcome.ASSERTION_FAILED, failed_assertions=failed)
        if script.is_repeatable:
            return self._repeat(script, before)
        if script.down_sql is None:
            missing = Outcome.IRREVERSIBLE if script.is_irreversible else Outcome.NO_DOWN
            crashes = self._tour(script, before, self._print(), comes_back=False)
            return Rehearsed(script, missing, crashes=crashes)
        return self._come_back(script, before, rows)

    def _come_back(
        self, script: MigrationScript, before: Printing, rows_before: Rows
    ) -> Rehearsed:
        """Run a script down, and up again."""
        first = self._print()
        try:
            self._down(script)
        except ManticoreError as error:
            self._rebuild()
            return Rehearsed(script, Outcome.DOWN_FAILED, error=str(error))
        below = self._print()
        after_down, _ = compare(before, below)
        lost = lost_rows(rows_before, self._rows(below))
        try:
            self._up((*self._base, *self._done))
        except ManticoreError as error:
            self._rebuild()
            return Rehearsed(
                script,
                Outcome.AGAIN_FAILED,
                error=str(error),
                after_down=after_down,
                lost_rows=lost,
            )
        after_again, _ = compare(first, self._print())
        if not (after_down or after_again or lost):
            crashes = self._tour(script, before, first, comes_back=True)
            return Rehearsed(script, Outcome.COMES_BACK, crashes=crashes)
        if after_down or after_again:
            self._rebuild()
        return Rehearsed(
            script,
            Outcome.DIFFERS,
            after_down=after_down,
            after_up_again=after_again,
            lost_rows=lost,
        )

    def _repeat(self, script: MigrationScript, before: Printing) -> Rehearsed:
        """Run a repeatable script once more, over what it has just made."""
        first = self._print()
        rows = self._rows(first)
        try:
            self._forget(script)
            self._up((*self._base, *self._done))
        except ManticoreError as error:
            self._rebuild()
            return Rehearsed(script, Outcome.AGAIN_FAILED, error=str(error))
        again = self._print()
        differences, _ = compare(first, again)
        others = lost_rows(rows, self._rows(again))
        if not (differences or others):
            crashes = self._tour(script, before, first, comes_back=False)
            return Rehearsed(script, Outcome.REPEATS, crashes=crashes)
        self._rebuild()
        return Rehearsed(script, Outcome.NOT_THE_SAME, after_up_again=differences, lost_rows=others)

    def _forget(self, script: MigrationScript) -> None:
        """Have a repeatable script run again."""

        def forgotten(_snapshot: Snapshot, tables: Tables, lease: Lease) -> list[Command]:
            return [fenced.remove(tables, lease, script.key)]

        Executor(self._scratch, self._options, self._emit).settle(forgotten)

    def _tour(
        self, script: MigrationScript, below: Printing, above: Printing, *, comes_back: bool
    ) -> tuple[Crash, ...]:
        """Cut each statement of both sections in turn; the scratch database ends as it is now."""
        if not self._crash:
            return ()
        counts = count_rows(self._scratch, above)
        found = []
        for statement, nth in _numbered(script.up_statements()):
            for when in ("before", "after"):
                self._step_down(script, comes_back=comes_back)
                crash = cut(
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
                    self._rebuild()
        for statement, nth in _numbered(script.down_statements() if comes_back else ()):
            for when in ("before", "after"):
                crash = cut(
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
                    self._up((*self._base, *self._done))
                else:
                    self._rebuild()
        return tuple(found)

    def _step_down(self, script: MigrationScript, *, comes_back: bool) -> None:
        """To the state before a script: by its down section, or built again."""
        if comes_back:
            self._down(script)
            return
        self._done.remove(script)
        self._rebuild()
        self._sow(script)
        self._done.append(script)

    def _differs(self, wanted: Printing, counts: dict[str, int] | None) -> str | None:
        found = self._print()
        differences, _ = compare(wanted, found)
        words = [str(each) for each in differences]
        if counts is not None:
            now = count_rows(self._scratch, found)
            words += [
                f"table {name} has {now.get(name)} rows instead of {count}"
                for name, count in counts.items()
                if now.get(name) != count
            ]
        return "; ".join(words) or None

    def _up(
        self, scripts: Sequence[MigrationScript], settings: ConnectionSettings | None = None
    ) -> None:
        apply(settings or self._scratch, self._options, self._emit, scripts)

    def _down(
        self, script: MigrationScript, settings: ConnectionSettings | None = None
    ) -> None:
        step = Step(script, Direction.DOWN)

        def goal(snapshot: Snapshot) -> tuple[Step, ...]:
            begun = snapshot.unfinished is not None
            return (step,) if begun or snapshot.applied(script) else ()

        executor = Executor(settings or self._scratch, self._options, self._emit)
        executor.run(goal)

    def _print(self) -> Printing:
        return read(self._scratch, self._options.table, self._emit)

    def _sow(self, script: MigrationScript) -> None:
        seed = self._seeds.get(script.version)
        if seed is not None:
            sow(self._scratch, seed, script.version)

    def _failed_assertions(self, script: MigrationScript) -> tuple[str, ...]:
        seed = self._seeds.get(script.version)
        return () if seed is None else failed_assertions(self._scratch, seed)

    def _rows(self, printing: Printing) -> Rows:
        """What the tables hold; nothing without seeds, since then they are empty."""
        return read_rows(self._scratch, printing) if self._seeds else {}


def _numbered(statements: Sequence[Statement]) -> list[tuple[Statement, int]]:
    """Each statement, and which of those with its text it is."""
    seen: dict[str, int] = {}
    found = []
    for statement in statements:
        seen[statement.text] = seen.get(statement.text, 0) + 1
        found.append((statement, seen[statement.text]))
    return found
