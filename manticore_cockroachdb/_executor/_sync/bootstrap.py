# Generated from _async/bootstrap.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Builds a fresh CockroachDB database in few transactions of many scripts each.

What cannot be part of such a transaction is left to the caller, script by script, as on any other day.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..._backend.dialect import PARTIALLY_COMMITTED
from ..._backend.protocol import BEGIN, COMMIT, Command
from ..._backend.retry import RETRY
from ..._planner.batching import MOST_SCRIPTS, joins
from ..._planner.decisions import outcome_unknown
from ..._planner.plan import Step
from ..._planner.segments import Prepared, prepare
from ..._scripts.direction import Direction
from ..._scripts.script import Mode
from ..._store import run_state
from ...errors import ConnectionLost, DatabaseError, MigrationFailed
from ...events import StepFinished, StepStarted
from .run import Run
from .store import lease_lost


class Bootstrap:
    """The steps of one run, in as few transactions as the server allows.

    Args:
        run: The run.
        steps: Every step of it.
    """

    def __init__(self, run: Run, steps: tuple[Step, ...]) -> None:
        self._run = run
        self._steps = steps
        self._alone: set[int] = set()

    def go(self, start: int, count: Callable[[Step], None]) -> int:
        """Run as many steps as can share a transaction.

        Args:
            start: The first, from 0.
            count: Told of each step that is done.

        Returns:
            The number of the first step that was not run; `start` itself if it must run by itself.
        """
        batch = self._batch(start)
        while batch:
            failed = self._try(batch)
            if failed is None:
                self._done(start, batch, count)
                return start + len(batch)
            if failed == 0:
                self._alone.add(start)
                return start
            batch = batch[:failed]
        return start

    def _batch(self, start: int) -> list[Prepared]:
        batch: list[Prepared] = []
        made: frozenset[str] = frozenset()
        for place in range(start, min(len(self._steps), start + MOST_SCRIPTS)):
            step = self._steps[place]
            if place in self._alone or step.direction is not Direction.UP:
                break
            prepared = prepare(step, self._run.server, self._run.options.mode)
            grown = joins(prepared, made)
            if grown is None:
                break
            made = grown
            batch.append(prepared)
        return batch

    def _try(self, batch: list[Prepared]) -> int | None:
        """Run a batch; None if it is committed, else which of its scripts the server would not have.

        A refusal need not mean that the script is wrong: some things work only in a transaction of their
        own. If it is, running it by itself will tell.
        """
        run = self._run
        run.allow_schema_changes_in_transactions()
        commands, owners = self._commands(batch)
        attempt = 0
        while True:
            attempt += 1
            refusal = run.run_transaction(batch[0].step, commands)
            if refusal is None:
                return None
            error = refusal.error
            owner = owners[refusal.index] if refusal.index < len(owners) else len(batch) - 1
            if owner is None and error.sqlstate == run_state.LOST:
                raise lease_lost()
            if outcome_unknown(error.sqlstate):
                raise ConnectionLost(str(error), sqlstate=error.sqlstate)
            if error.sqlstate == PARTIALLY_COMMITTED:
                raise self._partially_committed(batch, error)
            if error.sqlstate in RETRY and run.tries_again(
                error, attempt, "a batch of scripts"
            ):
                continue
            return owner if owner is not None else len(batch) - 1

    def _commands(self, batch: list[Prepared]) -> tuple[list[Command], list[int | None]]:
        """A batch's commands, and which of its scripts each belongs to (None: ours)."""
        run = self._run
        tables, lease = run.store.tables, run.lease
        commands: list[Command] = [BEGIN, run_state.renew_lease(tables, lease)]
        owners: list[int | None] = [None, None]
        for number, prepared in enumerate(batch):
            commands += (Command(statement.text) for statement in prepared.statements)
            owners += [number] * len(prepared.statements)
            step = prepared.step
            commands.append(run_state.complete(tables, lease, step.script, step.direction))
            owners.append(None)
        return [*commands, COMMIT], [*owners, len(batch) - 1]

    def _done(self, start: int, batch: list[Prepared], count: Callable[[Step], None]) -> None:
        total, began = len(self._steps), time.monotonic()
        for number, prepared in enumerate(batch, start + 1):
            self._run.emit(StepStarted(prepared.step, number, total, Mode.ATOMIC))
            count(prepared.step)
            self._run.emit(StepFinished(prepared.step, number, total, time.monotonic() - began))

    def _partially_committed(
        self, batch: list[Prepared], error: DatabaseError
    ) -> MigrationFailed:
        """The server committed the batch and then gave up a schema change in it: take the rows back."""
        run = self._run
        for prepared in batch:
            step = prepared.step
            run.write(run_state.remove(run.store.tables, run.lease, step.version))
        first, last = batch[0].step, batch[-1].step
        return MigrationFailed(
            f"{first.path.name} to {last.path.name}: the server committed their transaction and then gave "
            f"up a schema change in it: {error}\n  None of them is in the ledger, but parts of them are "
            "there. Drop the database, create it anew, and migrate it without bootstrap.",
            version=last.version,
            path=last.path,
            sqlstate=error.sqlstate,
        )
