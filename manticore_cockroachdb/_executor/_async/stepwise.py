"""Runs scripts, in order, whose statements are recorded as they get done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from ..._planner.cursor import RunCursor, StepList
from ..._planner.segments import Prepared
from ..._planner.step import Step
from ..._store.ledger import LedgerRow
from ...events import StepFinished, StepStarted
from .run import AsyncRun
from .script import AsyncScript
from .script_record import AsyncScriptRecord, Recorded
from .strategy import AsyncStrategy


class AsyncStepwise:
    """Scripts in stepwise or autocommit mode, and whatever an earlier run left unfinished.

    Args:
        run: The run.
        steps: Every step of it.
        rows: The ledger as the run found it, by version.
        others: The strategies that are preferred to this one.
        count: Called with each step that is done.
    """

    def __init__(
        self,
        run: AsyncRun,
        steps: StepList,
        rows: Mapping[int, LedgerRow],
        others: Sequence[AsyncStrategy],
        count: Callable[[Step], None],
    ) -> None:
        self._run = run
        self._steps = steps
        self._rows = rows
        self._others = others
        self._count = count

    def accepts(self, cursor: RunCursor) -> bool:  # noqa: ARG002 - every place will do
        """Every step can be run so."""
        return True

    async def run(self, cursor: RunCursor) -> RunCursor:
        """Run the next step."""
        run, place, total = self._run, cursor.place, len(self._steps)
        prepared = self._steps.prepared(place)
        step = prepared.step
        done = cursor.resume.done if cursor.resume else 0
        run.emit(StepStarted(step, place + 1, total, prepared.mode, done))
        started = time.monotonic()
        record = AsyncScriptRecord(
            run,
            prepared,
            recorded=Recorded.INTENT if cursor.intended else Recorded.DONE,
            following=self._following(place, prepared),
            row=self._rows.get(step.version),
        )
        await AsyncScript(run, prepared, record).run(cursor)
        self._steps.forget(place)
        self._count(step)
        run.emit(StepFinished(step, place + 1, total, time.monotonic() - started))
        return cursor.moved_to(
            place + 1,
            left=prepared.leaves,
            intended=record.recorded is Recorded.INTENT,
        )

    def _following(self, place: int, prepared: Prepared) -> Prepared | None:
        """The script whose first intent may be recorded with this one's end: the next one, run likewise."""
        after = RunCursor(place + 1)
        if prepared.leaves or after.place >= len(self._steps):
            return None
        if prepared.step.script.is_repeatable:
            return None  # one statement changes their table once
        if any(other.accepts(after) for other in self._others):
            return None
        return self._steps.prepared(after.place)
