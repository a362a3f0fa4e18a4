"""What the commands that run scripts share: options, plans, confirmation, one by one or in parallel."""

# ruff: noqa: PLC0415 - asyncio is loaded when several databases are worked on at once
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError, CommandParser

from django_manticore import messages
from django_manticore.migrators import get_migration

from . import exit_codes, json_output, plan_output
from .base import ManticoreCommand
from .runner import Output, Run

if TYPE_CHECKING:
    from manticore_cockroachdb.types import Plan

    from .tasks import Task


class RunCommand(ManticoreCommand):
    """The base of `manticore_migrate` and `manticore_rollback`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runs: list[Run] = []

    def add_running(self, parser: CommandParser, *, recorded_as: str) -> None:
        """What migrating and rolling back share."""
        self.add_databases(parser)
        parser.add_argument(
            "--plan",
            action="store_true",
            help="Show the plan and change nothing; verbosity 2 adds the statements.",
        )
        parser.add_argument(
            "--fake",
            action="store_true",
            help=f"Record the scripts as {recorded_as} without running them.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="Print a JSON report of a plan or a check; of a run, one line of JSON for each event.",
        )
        self.add_noinput(parser)
        self.add_lock_timeout(parser)

    def output(self, options: dict[str, Any]) -> Output:
        """Where to write, and how."""
        return Output(
            self.stdout,
            self.style,
            options["verbosity"],
            options["interactive"],
            as_json=options["json"],
        )

    def show_plans(self, aliases: list[str], task: Task, options: dict[str, Any]) -> None:
        """Show the plan of each database, as text or as one JSON report."""
        reports: list[dict[str, Any]] = []
        output = self.output(options)

        def show(alias: str) -> None:
            plan = task.plan(get_migration(alias))
            if options["json"]:
                reports.append(json_output.planned(alias, plan))
            else:
                plan_output.show(output, alias, plan)

        try:
            self.each(aliases, show)
        finally:
            if reports:
                self.stdout.write(json_output.text(json_output.databases(reports)))

    def run_each(self, aliases: list[str], task: Task, options: dict[str, Any]) -> None:
        """Run the task on each database, one by one."""

        def run(alias: str) -> None:
            agreed, confirmed = self._agreed(alias, task, options)
            if not agreed:
                return
            run = Run(alias, task, self.output(options), confirmed=confirmed)
            self._runs = [run]
            run.run(lock_timeout=options["lock_timeout"])

        self.each(aliases, run)

    def run_parallel(
        self, aliases: list[str], task: Task, options: dict[str, Any], *, jobs: int
    ) -> None:
        """Run the task on several databases at the same time, after all questions were answered."""
        from .parallel import ParallelRuns

        wanted: dict[str, Plan | None] = {}

        def ask(alias: str) -> None:
            agreed, confirmed = self._agreed(alias, task, options)
            if agreed:
                wanted[alias] = confirmed

        failures = self.failures_of(aliases, ask)
        if wanted:
            runs = ParallelRuns(
                task, self.output(options), jobs=jobs, lock_timeout=options["lock_timeout"]
            )
            self._runs = runs.runs
            found = runs.run(wanted, self.interrupts)
            for alias, error in found.items():
                self.stderr.write(f"{alias}: {error}")
            failures |= found
        self.end_of_each(len(aliases), {a: failures[a] for a in aliases if a in failures})

    def stopped_message(self) -> str:
        """What the runs had done when a signal stopped them."""
        events = {run.alias: run.renderer.interrupted for run in self._runs}
        if len(events) > 1:
            return messages.stopped_in_parallel(events)
        return messages.stopped(next(iter(events.values()), None))

    def _agreed(self, alias: str, task: Task, options: dict[str, Any]) -> tuple[bool, Plan | None]:
        """Whether the task may run; and the plan that it is held to, where a person could be asked."""
        if not (options["interactive"] and task.may_revert):
            return True, None
        plan: Plan = task.plan(get_migration(alias))
        if options["json"] and plan.reverts:
            raise CommandError(
                f"--json asks no questions, and this reverts {messages.scripts(len(plan.reverts))}. Add "
                "--noinput to revert.",
                returncode=exit_codes.USAGE,
            )
        if not plan.reverts or self.confirmed(_question(alias, plan, fake=task.fake)):
            return True, plan
        self.stdout.write("Canceled: nothing was changed.")
        return False, None


def _question(alias: str, plan: Plan, *, fake: bool) -> str:
    steps = plan.reverts
    listed = "".join(f"\n    {step.name}" for step in steps)
    number = messages.scripts(len(steps))
    if fake:
        return (
            f"This records {number} as reverted on the database {alias!r}, and runs none of their "
            f"statements:{listed}\nAre you sure?"
        )
    return (
        f"This reverts {number} on the database {alias!r}:{listed}\n"
        "What their down sections drop or delete cannot be recovered.\nAre you sure?"
    )
