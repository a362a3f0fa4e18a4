"""`manage.py manticore_migrate`: bring databases to a version."""

# ruff: noqa: PLC0415 - asyncio is loaded when several databases are worked on at once
from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.management import exit_codes, json_output, plan_output
from django_manticore.management.base import ManticoreCommand, jobs, target
from django_manticore.management.console import operation
from django_manticore.management.runner import Running, Screen, folders
from django_manticore.migrators import get_migration

from ... import messages


class Command(ManticoreCommand):
    """Applies what is pending, or goes to a version."""

    help = "Applies SQL scripts that are pending; with a target, also reverts those above it."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._running: list[Running] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        parser.add_argument(
            "target",
            nargs="?",
            type=target,
            help='Version to end at: lower scripts are applied, higher ones reverted. Use "zero" to '
            "revert all.",
        )
        self.add_running(parser, verb="applied (or reverted)")
        parser.add_argument(
            "--check",
            action="store_true",
            dest="check_unapplied",
            help="Exit with 1 if a script is pending, changed after it was applied, or half done; "
            "change nothing.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="With --plan or --check: print a JSON report.",
        )
        parser.add_argument(
            "--bootstrap",
            action="store_true",
            help="For an empty database, and refused on any other: on CockroachDB many scripts share a "
            "transaction, which is many times faster.",
        )
        parser.add_argument(
            "--jobs",
            type=jobs,
            default=1,
            metavar="N",
            help="How many databases to work on at the same time. Defaults to 1: one by one.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run, plan or check, database by database."""
        goal: int | None = options["target"]
        aliases = self.databases(options)
        as_json = options["json"]
        self._refuse_beside_bootstrap(options)
        if options["plan"]:
            self._plan(aliases, goal, options["verbosity"], as_json=as_json)
        if options["check_unapplied"]:
            self._check(aliases, goal, as_json=as_json and not options["plan"])
        if options["plan"] or options["check_unapplied"]:
            return
        if as_json:
            raise CommandError("--json goes with --plan or --check.", returncode=exit_codes.USAGE)
        screen = Screen(self.stdout, self.style, options["verbosity"], options["interactive"])
        if options["jobs"] > 1 and len(aliases) > 1:
            self._side_by_side(aliases, screen, options)
        else:
            self.each(aliases, lambda alias: self._migrate(alias, screen, options))

    def farewell(self) -> str:
        """What the run had done when it was told to stop."""
        told = {each.alias: each.renderer.interrupted for each in self._running}
        if len(told) > 1:
            return messages.stopped_side_by_side(told)
        return messages.stopped(next(iter(told.values()), None))

    def _migrate(self, alias: str, screen: Screen, options: dict[str, Any]) -> None:
        goal, fake = options["target"], options["fake"]
        running = Running(
            alias,
            screen,
            operation=operation(goal, folders(alias)),
            nothing="No migrations to apply.",
        )
        self._running = [running]
        running.run(
            lambda migration: (
                migration.bootstrap()
                if options["bootstrap"]
                else migration.migrate(goal, fake=fake)
            ),
            lock_timeout=options["lock_timeout"],
        )

    def _side_by_side(self, aliases: list[str], screen: Screen, options: dict[str, Any]) -> None:
        from django_manticore.management.parallel import SideBySide

        goal, fake = options["target"], options["fake"]
        runs = SideBySide(aliases, screen, options["jobs"], options["lock_timeout"])
        self._running = runs.running
        failures = runs.run(
            goal,
            lambda migrator: (
                migrator.bootstrap() if options["bootstrap"] else migrator.migrate(goal, fake=fake)
            ),
        )
        for alias, error in failures.items():
            self.stderr.write(f"{alias}: {error}")
        self.end_of_each(len(aliases), failures)

    def _refuse_beside_bootstrap(self, options: dict[str, Any]) -> None:
        """Refuse what makes no sense of an empty database, or of building one at once."""
        given = {
            "a target": options["target"] is not None,
            "--fake": options["fake"],
            "--plan": options["plan"],
            "--check": options["check_unapplied"],
        }
        beside = [name for name, is_given in given.items() if is_given]
        if options["bootstrap"] and beside:
            raise CommandError(
                f"--bootstrap applies every script to an empty database; it does not go with "
                f"{' or '.join(beside)}.",
                returncode=exit_codes.USAGE,
            )

    def _plan(self, aliases: list[str], goal: int | None, verbosity: int, *, as_json: bool) -> None:
        parts: list[dict[str, Any]] = []

        def plan(alias: str) -> None:
            migration = get_migration(alias)
            steps = migration.plan(goal)
            server = plan_output.server_of(migration)
            prepared = plan_output.prepared(migration, steps, server)
            if as_json:
                parts.append(json_output.planned(alias, server.name, prepared))
            else:
                plan_output.show(self.stdout, self.style, verbosity, alias, server.name, prepared)

        try:
            self.each(aliases, plan)
        finally:
            if as_json and parts:
                self.stdout.write(json_output.text(json_output.databases(parts)))

    def _check(self, aliases: list[str], goal: int | None, *, as_json: bool) -> None:
        found: list[json_output.Findings] = []
        self.each(
            aliases,
            lambda alias: found.append(
                json_output.findings(alias, get_migration(alias).status(), goal)
            ),
        )
        if as_json:
            self.stdout.write(json_output.text(json_output.checked(found)))
        if all(each.ok for each in found):
            return
        raise CommandError(
            "\n".join(line for each in found for line in json_output.in_words(each)),
            returncode=exit_codes.ERROR,
        )
