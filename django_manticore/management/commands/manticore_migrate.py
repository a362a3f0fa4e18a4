"""`manage.py manticore_migrate`: bring databases to a version."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.management import blocking, checking, exit_codes, tasks
from django_manticore.management.base import jobs, target
from django_manticore.management.run_command import RunCommand
from django_manticore.migrators import get_migration
from manticore_cockroachdb import Direction


class Command(RunCommand):
    """Applies what is pending, or goes to a version."""

    help = (
        "Applies the pending SQL scripts. With a target, it also reverts the scripts above it, after "
        "asking for confirmation."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        parser.add_argument(
            "target",
            nargs="?",
            type=target,
            help="Migrate to this version: apply the scripts up to it, revert those above "
            'it. Use "zero" to revert all.',
        )
        self.add_running(parser, recorded_as="applied (or reverted)")
        parser.add_argument(
            "--check",
            action="store_true",
            dest="check_unapplied",
            help="Exit with 1 if a script is pending, partially applied or reverted, or was changed "
            "after it was applied; with 2 if the check cannot be made. Change nothing.",
        )
        parser.add_argument(
            "--probe",
            action="store_true",
            help="Ask the database first, read-only, whether its rows would make a pending script fail; "
            "if so, run nothing.",
        )
        parser.add_argument(
            "--show-blockers",
            action="store_true",
            help="Show which sessions hold locks that the pending scripts need, or that a runner waits for "
            "now (PostgreSQL). Change nothing.",
        )
        parser.add_argument(
            "--bootstrap",
            action="store_true",
            help="Build an empty database, and refuse any other: on CockroachDB many scripts share a "
            "transaction, which is many times faster.",
        )
        parser.add_argument(
            "--jobs",
            type=jobs,
            default=1,
            metavar="N",
            help="Work on this many databases at the same time. Defaults to 1: one by one.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run, plan or check, database by database."""
        goal: int | None = options["target"]
        aliases = self.databases(options)
        _refuse_beside_bootstrap(options)
        task = (
            tasks.bootstrap() if options["bootstrap"] else tasks.migrate(goal, fake=options["fake"])
        )
        plan, check = options["plan"], options["check_unapplied"]
        if plan:
            self.show_plans(aliases, task, options)
        if check:
            checking.check(self, aliases, goal, as_json=options["json"] and not plan)
        if options["show_blockers"]:
            blocking.show(self, aliases, goal, as_json=options["json"])
        if plan or check or options["show_blockers"]:
            return
        if options["probe"]:
            self.each(aliases, lambda alias: _probe(alias, goal))
        if options["jobs"] > 1 and len(aliases) > 1:
            self.run_parallel(aliases, task, options, jobs=options["jobs"])
        else:
            self.run_each(aliases, task, options)


def _probe(alias: str, goal: int | None) -> None:
    """Ask the data before anything runs.

    Raises:
        CommandError: A row that is there would make a script fail: with exit code 1.
    """
    from django_manticore import conf, linting  # noqa: PLC0415 - the rules are loaded where needed

    migration = get_migration(alias)
    coming = frozenset(step.key for step in migration.plan(goal) if step.direction is Direction.UP)
    answers = linting.ask(migration, linting.scripts_of(conf.entry(alias)), coming)
    in_the_way = [one for one in answers if one.in_the_way]
    if in_the_way:
        lines = "".join(
            f"\n  - {one.probe.path.name}:{one.probe.line}: {one}" for one in in_the_way
        )
        raise CommandError(
            f"{alias}: the data would make a script fail, so nothing was run:{lines}",
            returncode=exit_codes.ERROR,
        )


def _refuse_beside_bootstrap(options: dict[str, Any]) -> None:
    """Refuse what cannot be combined with building an empty database at once."""
    given = {
        "a target": options["target"] is not None,
        "--fake": options["fake"],
        "--plan": options["plan"],
        "--check": options["check_unapplied"],
        "--show-blockers": options["show_blockers"],
    }
    beside = [name for name, is_given in given.items() if is_given]
    if options["bootstrap"] and beside:
        raise CommandError(
            "--bootstrap applies every script to an empty database; it cannot be combined with "
            f"{' or '.join(beside)}.",
            returncode=exit_codes.USAGE,
        )
