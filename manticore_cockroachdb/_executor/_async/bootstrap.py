"""Builds a fresh CockroachDB database in few transactions of many scripts each.

What cannot be part of such a transaction is left to the other strategies, script by script.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..._backend.dialect import PARTIALLY_COMMITTED
from ..._backend.protocol import COMMIT, Command
from ..._backend.retry import RETRY
from ..._planner.batching import MOST_SCRIPTS, Batch
from ..._planner.cursor import RunCursor, StepList
from ..._planner.decisions import outcome_unknown
from ..._planner.segments import Prepared
from ..._planner.step import Step
from ..._scripts.direction import Direction
from ..._scripts.script import Mode
from ..._sql.session_effects import Leaves
from ..._store import fenced
from ..._store.transactions import Placed, begin, with_write
from ...errors import ConnectionLost, DatabaseError, MigrationFailed
from ...events import StepFinished, StepStarted
from ..under_way import UnderWay
from .run import AsyncRun
from .supervision import async_run_transaction


class AsyncBootstrap:
    """The steps of one run, in as few transactions as the server allows.

    Args:
        run: The run.
        steps: Every step of it.
        count: Called with each step that is done.
        whole: Whether every step is run so; else only the checkpoint that an empty database starts from.
    """

    def __init__(
        self,
        run: AsyncRun,
        steps: StepList,
        count: Callable[[Step], None],
        *,
        whole: bool = True,
    ) -> None:
        self._run = run
        self._steps = steps
        self._count = count
        self._most = MOST_SCRIPTS if whole else 1
        self._whole = whole
        self._refused: set[int] = set()

    def accepts(self, cursor: RunCursor) -> bool:
        """Whether the next step can share a transaction, and nothing of it was sent another way."""
        return cursor.resume is None and not cursor.intended and bool(self._batch(cursor.place))

    async def run(self, cursor: RunCursor) -> RunCursor:
        """Run as many steps as can share a transaction."""
        start, began = cursor.place, time.monotonic()
        batch = self._batch(start)
        while batch:
            failed = await self._try(batch)
            if failed is None:
                self._done(start, batch, time.monotonic() - began)
                return cursor.moved_to(start + len(batch), left=Leaves.STATE)
            if failed == 0:
                self._refused.add(start)
            batch = batch[:failed]
        return cursor.moved_to(start, left=Leaves.STATE)

    def _batch(self, start: int) -> list[Prepared]:
        found: list[Prepared] = []
        batch = Batch()
        for place in range(start, min(len(self._steps), start + self._most)):
            if place in self._refused or self._steps[place].direction is not Direction.UP:
                break
            if not (self._whole or self._steps[place].script.checkpoint is not None):
                break
            prepared = self._steps.prepared(place)
            grown = batch.joined_by(prepared)
            if grown is None or prepared.leaves:
                break
            batch = grown
            found.append(prepared)
        return found

    async def _try(self, batch: list[Prepared]) -> int | None:
        """Run a batch; None if it is committed, else which of its scripts the server refused.

        A refusal need not mean that the script is wrong: some things work only in their own
        transaction. If it is, running it alone will show that.
        """
        run = self._run
        await run.allow_schema_changes_in_transactions()
        commands, owners = self._commands(batch)

        def under_way(answered: int) -> UnderWay:
            owner = next((each for each in owners[answered:] if each is not None), len(batch) - 1)
            return UnderWay(batch[owner].step)

        while True:
            refusal = await async_run_transaction(run, commands, under_way)
            if refusal is None:
                return None
            error = refusal.error
            owner = owners[refusal.index] if refusal.index < len(owners) else len(batch) - 1
            if owner is None and error.sqlstate == fenced.LOST:
                raise await run.why_refused(error, batch[0].step, committed=False) from error
            if outcome_unknown(error.sqlstate):
                raise ConnectionLost(str(error), sqlstate=error.sqlstate)
            if error.sqlstate == PARTIALLY_COMMITTED:
                raise await self._partially_committed(batch, error)
            if error.sqlstate in RETRY and await run.tries_again(
                error, (batch[0].step.key, len(batch)), "a batch of scripts"
            ):
                continue
            return owner if owner is not None else len(batch) - 1

    def _commands(self, batch: list[Prepared]) -> tuple[list[Command], list[int | None]]:
        """A batch's commands, and which of its scripts each belongs to (None: ours).

        The lease is written after the first schema change, where servers before v22.1 accept a write; see
        `_store.transactions`.
        """
        run = self._run
        tables, lease = run.store.tables, run.lease
        sent: list[tuple[Command, int | None]] = [(begin(run.server), None)]
        for number, prepared in enumerate(batch):
            statements = [Placed(Command(each.text, discards=True)) for each in prepared.statements]
            if number == 0:
                statements = with_write(prepared.statements, fenced.hold_lease(tables, lease))
            step = prepared.step
            sent += ((each.command, None if each.ours else number) for each in statements)
            done = fenced.complete_held(tables, lease, step.script, step.direction)
            sent.append((done, None))
        sent.append((COMMIT, len(batch) - 1))
        return [command for command, _ in sent], [owner for _, owner in sent]

    def _done(self, start: int, batch: list[Prepared], seconds: float) -> None:
        total = len(self._steps)
        self._run.lease_renewed()
        for number, prepared in enumerate(batch, start + 1):
            self._steps.forget(number - 1)
            self._run.emit(StepStarted(prepared.step, number, total, Mode.ATOMIC))
            self._count(prepared.step)
            self._run.emit(StepFinished(prepared.step, number, total, seconds / len(batch)))

    async def _partially_committed(
        self, batch: list[Prepared], error: DatabaseError
    ) -> MigrationFailed:
        """The server committed the batch and then a schema change in it failed: remove the ledger rows."""
        run = self._run
        for prepared in batch:
            step = prepared.step
            await run.write(fenced.remove(run.store.tables, run.lease, step.key))
        first, last = batch[0].step, batch[-1].step
        return MigrationFailed(
            f"{first.path.name} to {last.path.name}: the server committed their transaction, but a schema "
            f"change in it failed: {error}\n  None of them is in the ledger, but parts of them are in the "
            "database. Drop the database, create it again, and migrate it without bootstrap.",
            version=last.version,
            path=last.path,
            sqlstate=error.sqlstate,
        )
