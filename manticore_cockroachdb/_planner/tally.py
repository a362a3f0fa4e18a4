"""Which steps of a run are done, and which may be although no answer said so. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .._scripts.direction import Direction
from .._store.snapshot import Snapshot
from .step import Step


class Tally:
    """The steps of one run.

    Attributes:
        done: The steps that are done, in order.
    """

    def __init__(self) -> None:
        self.done: list[Step] = []
        self._begun: list[Step] = []

    def begin(self, steps: Sequence[Step]) -> None:
        """Note the steps that are going to be run."""
        self._begun = list(steps)

    def count(self, step: Step) -> None:
        """Note that a step is done."""
        self.done.append(step)
        self._begun = [other for other in self._begun if other is not step]

    @property
    def is_open(self) -> bool:
        """Whether steps were begun that are not known to be done."""
        return bool(self._begun)

    @property
    def total(self) -> int:
        """How many steps are done or begun."""
        return len(self.done) + len(self._begun)

    def count_unacknowledged(self, left: Sequence[Step]) -> list[Step]:
        """Count the steps whose answer was lost with a connection, though they are done.

        Args:
            left: The steps that the tables call for now, if nobody else ran in between.

        Returns:
            The steps that were counted.
        """
        begun, self._begun = self._begun, []
        keys = {(step.key, step.direction) for step in left}
        found = [step for step in begun if (step.key, step.direction) not in keys]
        self.done += found
        return found

    def forget_begun(self) -> None:
        """Forget which steps were begun: somebody else has run in between."""
        self._begun = []

    def count_recorded(self, snapshot: Snapshot) -> None:
        """Count the steps that the tables have as done, at the end of a run that was interrupted.

        Args:
            snapshot: The tables, as this run has left them.
        """
        half = snapshot.unfinished.key if snapshot.unfinished else None
        for step in self._begun:
            there = snapshot.applied(step.script)
            if step.key != half and there == (step.direction is Direction.UP):
                self.count(step)
