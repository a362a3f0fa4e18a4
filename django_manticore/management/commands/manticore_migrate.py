"""`manage.py manticore_migrate`: bring databases to a version."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.engines import get_migration
from django_manticore.management import exits, plans, report, words
from django_manticore.management.base import ManticoreCommand, target
from django_manticore.management.render import operation
from django_manticore.management.running import Running, Screen, folders


class Command(ManticoreCommand):
    """Applies what is pending, or goes to a version."""

    help = "Applies SQL scripts that are pending; with a target, also reverts those above it."
    _running: Running | None = None

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

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run, plan or check, database by database."""
        goal: int | None = options["target"]
        aliases = self.databases(options)
        as_json = options["json"]
        if options["plan"]:
            self._plan(aliases, goal, options["verbosity"], as_json=as_json)
        if options["check_unapplied"]:
            self._check(aliases, goal, as_json=as_json and not options["plan"])
        if options["plan"] or options["check_unapplied"]:
            return
        if as_json:
            raise CommandError("--json goes with --plan or --check.", returncode=exits.USAGE)
        self.each(aliases, lambda alias: self._migrate(alias, goal, options))

    def farewell(self) -> str:
        """What the run had done when it was told to stop."""
        return words.stopped(self._running.renderer.interrupted if self._running else None)

    def _migrate(self, alias: str, goal: int | None, options: dict[str, Any]) -> None:
        screen = Screen(self.stdout, self.style, options["verbosity"], options["interactive"])
        self._running = Running(
            alias,
            screen,
            operation=operation(goal, folders(alias)),
            nothing="No migrations to apply.",
        )
        self._running.run(
            lambda migration: migration.migrate(goal, fake=options["fake"]),
            lock_timeout=options["lock_timeout"],
        )

    def _plan(self, aliases: list[str], goal: int | None, verbosity: int, *, as_json: bool) -> None:
        parts: list[dict[str, Any]] = []

        def plan(alias: str) -> None:
            migration = get_migration(alias)
            steps = migration.plan(goal)
            server = plans.server_of(migration)
            prepared = plans.prepared(migration, steps, server)
            if as_json:
                parts.append(report.planned(alias, server.name, prepared))
            else:
                plans.show(self.stdout, self.style, verbosity, alias, server.name, prepared)

        try:
            self.each(aliases, plan)
        finally:
            if as_json and parts:
                self.stdout.write(report.text(report.databases(parts)))

    def _check(self, aliases: list[str], goal: int | None, *, as_json: bool) -> None:
        found: list[report.Findings] = []
        self.each(
            aliases,
            lambda alias: found.append(report.findings(alias, get_migration(alias).status(), goal)),
        )
        if as_json:
            self.stdout.write(report.text(report.checked(found)))
        if all(each.ok for each in found):
            return
        raise CommandError(
            "\n".join(line for each in found for line in report.in_words(each)),
            returncode=exits.ERROR,
        )
