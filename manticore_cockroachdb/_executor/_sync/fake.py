# Generated from _async/fake.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Moves the ledger only: none of the scripts' statements is sent."""

from __future__ import annotations

from collections.abc import Callable

from ..._planner.cursor import RunCursor, StepList
from ..._planner.step import Step
from ..._store import fenced
from ...events import StepFinished
from .run import Run


class Fake:
    """Records steps as done.

    Args:
        run: The run.
        steps: Every step of it.
        count: Called with each step that is done.
    """

    def __init__(self, run: Run, steps: StepList, count: Callable[[Step], None]) -> None:
        self._run = run
        self._steps = steps
        self._count = count

    def accepts(self, cursor: RunCursor) -> bool:  # noqa: ARG002 - every place will do
        """Every step can be recorded."""
        return True

    def run(self, cursor: RunCursor) -> RunCursor:
        """Record the next step as done."""
        run, step = self._run, self._steps[cursor.place]
        run.write(fenced.complete(run.store.tables, run.lease, step.script, step.direction))
        self._count(step)
        run.emit(StepFinished(step, cursor.place + 1, len(self._steps), 0.0, faked=True))
        return cursor.moved_to(cursor.place + 1)
