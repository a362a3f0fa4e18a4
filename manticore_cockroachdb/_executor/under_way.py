"""What the server is working on, and how its statements wait for locks. Values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .._backend.protocol import Command
from .._planner.evidence import Trace
from .._planner.step import Step
from .._scripts.script import ScriptKey
from .._sql.statement import Statement


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What the server is working on.

    Attributes:
        step: The script.
        done: How many of its statements are done and recorded.
        statement: The statement; None where it is not known which one of a transaction it is.
        by_itself: Whether the statement was sent alone, not as a part of a transaction.
        windows: How many windows of the statement are done, where it runs in batches.
        committed: The statements of a whole script whose COMMIT waits for their schema changes.
    """

    step: Step
    done: int = 0
    statement: Statement | None = None
    by_itself: bool = False
    windows: int = 0
    committed: tuple[Statement, ...] = ()

    @property
    def changes(self) -> tuple[Statement, ...]:
        """The statements whose jobs are waited for."""
        return (self.statement,) if self.by_itself and self.statement else self.committed

    @property
    def place(self) -> tuple[ScriptKey, str, int, int]:
        """How far the run has come, for counting attempts."""
        return (self.step.key, self.step.direction.value, self.done, self.windows)


@dataclass(frozen=True, slots=True)
class TracesAhead:
    """What the catalogs showed of what a statement is about to change.

    Attributes:
        statement: The statement.
        traces: The objects.
    """

    statement: Statement
    traces: list[Trace]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long statements wait for locks.

    Attributes:
        seconds: Of each statement: at most so long; None as the session has it, 0 without a limit.
        settings: What is sent before each of them in their transaction.
    """

    seconds: tuple[float | None, ...]
    settings: tuple[Command | None, ...]


def located(text: str, candidates: Iterable[UnderWay]) -> UnderWay | None:
    """The one whose statement begins as the server shows it: it shows the first thousand bytes or so."""
    return next(
        (each for each in candidates if each.statement and each.statement.text.startswith(text)),
        None,
    )
