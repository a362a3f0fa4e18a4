"""Where a run is: the steps it has, and how far it has come. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._backend.dialect import Server
from .._scripts.script import Mode
from .._sql.session_effects import Leaves
from .._store.snapshot import Progress
from .segments import Prepared, prepare
from .step import Step


@dataclass(frozen=True, slots=True)
class RunCursor:
    """How far a run has come, between two scripts.

    Attributes:
        place: Number of the step that comes next, from 0.
        resume: What an earlier run, or an earlier connection, left unfinished of that step; None where
            nothing of it was sent.
        intended: Whether the intent of that step's first statement is recorded, by this run.
        left: What the step before may have left in the session.
    """

    place: int = 0
    resume: Progress | None = None
    intended: bool = False
    left: Leaves = Leaves.NOTHING

    def moved_to(
        self, place: int, *, left: Leaves = Leaves.NOTHING, intended: bool = False
    ) -> RunCursor:
        """The cursor at the beginning of another step."""
        return RunCursor(place, None, intended, left)


class StepList:
    """The steps of a run, each read once while it is near.

    Args:
        steps: The steps, in order.
        server: The server they run on.
        mode: The mode of scripts whose file names none; None means the server's default.
    """

    def __init__(self, steps: Sequence[Step], server: Server, mode: Mode | None) -> None:
        self._steps = tuple(steps)
        self._server = server
        self._mode = mode
        self._prepared: dict[int, Prepared] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, place: int) -> Step:
        return self._steps[place]

    def prepared(self, place: int) -> Prepared:
        """The step with its statements, and how it runs. It is kept until `forget` is called."""
        if place not in self._prepared:
            self._prepared[place] = prepare(self._steps[place], self._server, self._mode)
        return self._prepared[place]

    def forget(self, place: int) -> None:
        """Drop what was read of a step that is done: scripts may be large."""
        self._prepared.pop(place, None)
