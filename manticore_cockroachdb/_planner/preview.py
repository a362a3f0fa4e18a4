"""A plan as people look at it before it runs, and a run that is held to what was looked at. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .._backend.dialect import Server
from .._scripts.direction import Direction
from .._scripts.script import Mode
from .._sql.statement import Statement
from .._store.snapshot import Snapshot
from ..errors import PlanRefused, Problem
from .problems import header_problems
from .segments import prepare
from .step import Step

_VERBS = {Direction.UP: "applying", Direction.DOWN: "reverting"}


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a plan, with its statements.

    Attributes:
        step: The script and its direction.
        mode: The mode it will run in.
        done: How many of its statements an earlier run has finished.
        statements: The statements that are left, in order.
    """

    step: Step
    mode: Mode
    done: int
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do: its steps, in order. Iterating over it gives the steps.

    Attributes:
        server: The server that it was made for.
        steps: The steps; none when there is nothing to do.
        done: How many statements of the first step an earlier run has finished.
        default_mode: The mode of scripts that ask for none; `None` means the server's default.
    """

    server: Server
    steps: tuple[Step, ...]
    done: int = 0
    default_mode: Mode | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def detailed(self) -> Iterator[PlannedStep]:
        """Each step with its mode and the statements that are left; scripts are parsed one by one."""
        done = self.done
        for step in self.steps:
            prepared = prepare(step, self.server, self.default_mode)
            yield PlannedStep(step, prepared.mode, done, prepared.statements[done:])
            done = 0

    @property
    def reverts(self) -> tuple[Step, ...]:
        """The steps that revert a migration."""
        return tuple(step for step in self.steps if step.direction is Direction.DOWN)


def plan_for(
    server: Server, steps: tuple[Step, ...], snapshot: Snapshot, default_mode: Mode | None
) -> Plan:
    """The plan of these steps.

    Args:
        server: The server it would run on.
        steps: The steps, the unfinished one first.
        snapshot: The tables that the steps were planned for.
        default_mode: The mode of scripts that ask for none.

    Raises:
        PlanRefused: The server cannot run one of the scripts in the mode that its file asks for.
    """
    problems = [problem for step in steps for problem in header_problems(step, server)]
    if problems:
        raise PlanRefused("Nothing was run", problems)
    progress = snapshot.record.progress
    resumed = progress is not None and steps and steps[0].key == progress.key
    return Plan(server, steps, progress.done if progress and resumed else 0, default_mode)


class ConfirmedGoal:
    """A goal that runs the plan somebody has confirmed, or nothing.

    When the run first looks at the tables, its steps must be the confirmed ones. Later it looks again:
    after it has waited for another runner, and after a lost connection. Then some of the steps may be done;
    what is left must still be part of what was confirmed.

    Args:
        goal: The steps that the tables call for.
        confirmed: The plan that was confirmed.
    """

    def __init__(self, goal: Callable[[Snapshot], tuple[Step, ...]], confirmed: Plan) -> None:
        self._goal = goal
        self._confirmed = confirmed.steps
        self._started = False

    def __call__(self, snapshot: Snapshot) -> tuple[Step, ...]:
        """The steps that are left.

        Raises:
            PlanRefused: They are not what was confirmed.
        """
        steps = self._goal(snapshot)
        expected = self._confirmed
        if self._started:
            expected = tuple(step for step in expected if step in steps)
        if steps != expected:
            raise PlanRefused("Nothing was run", [self._problem(steps)])
        self._started = True
        return steps

    def _problem(self, steps: tuple[Step, ...]) -> Problem:
        was, now = _listed(self._confirmed), _listed(steps)
        if was == now:
            edited = ", ".join(
                step.name
                for step, before in zip(steps, self._confirmed, strict=True)
                if step != before
            )
            reason = f"the script {edited} was edited since."
        else:
            reason = f"{was}. Now it is: {now}."
        return Problem(
            f"The plan is not the one that was confirmed: {reason}",
            hint="Look at the new plan and confirm that one.",
        )


def _listed(steps: tuple[Step, ...]) -> str:
    return ", ".join(f"{_VERBS[step.direction]} {step.name}" for step in steps) or "nothing to do"
