"""`manage.py manticore_rollback`: revert the highest applied scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.management import exit_codes, json_output, plan_output
from django_manticore.management.base import ManticoreCommand, count, target
from django_manticore.management.runner import Running, Screen, folders
from django_manticore.migrators import get_migration

from ... import messages

if TYPE_CHECKING:
    from manticore_cockroachdb._planner.plan import Step


class Command(ManticoreCommand):
    """Reverts, and asks before it does."""

    help = (
        "Reverts the highest applied SQL scripts by their down parts: one, unless told otherwise. "
        "Asks before it does; --noinput asks nothing."
    )
    _running: Running | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--count", type=count, metavar="N", help="How many scripts to revert. Defaults to 1."
        )
        which.add_argument(
            "--to",
            type=target,
            metavar="VERSION",
            help='Revert every script above this version; "zero" reverts all.',
        )
        which.add_argument("--all", action="store_true", help="Revert every applied script.")
        self.add_running(parser, verb="reverted")
        parser.add_argument("--json", action="store_true", help="With --plan: print a JSON report.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Revert or plan, database by database."""
        chosen = [name for name in ("count", "to", "all") if options[name] not in (None, False)]
        if len(chosen) > 1:
            raise CommandError(
                "Only one of --count, --to and --all can be given.", returncode=exit_codes.USAGE
            )
        aliases = self.databases(options)
        if options["json"] and not options["plan"]:
            raise CommandError("--json goes with --plan.", returncode=exit_codes.USAGE)
        if options["plan"]:
            self._plan(aliases, options)
        else:
            self.each(aliases, lambda alias: self._roll_back(alias, options))

    def farewell(self) -> str:
        """What the run had done when it was told to stop."""
        return messages.stopped(self._running.renderer.interrupted if self._running else None)

    def _roll_back(self, alias: str, options: dict[str, Any]) -> None:
        number, to = _goal(options)
        if options["interactive"]:
            steps = get_migration(alias).plan_rollback(number, to_version=to)
            if steps and not self.confirmed(_question(alias, steps)):
                self.stdout.write("Rollback cancelled.")
                return
        screen = Screen(self.stdout, self.style, options["verbosity"], options["interactive"])
        self._running = Running(
            alias,
            screen,
            operation=(_label(number, to), folders(alias)),
            nothing="No migrations to roll back.",
        )
        self._running.run(
            lambda migration: migration.rollback(number, to_version=to, fake=options["fake"]),
            lock_timeout=options["lock_timeout"],
        )

    def _plan(self, aliases: list[str], options: dict[str, Any]) -> None:
        number, to = _goal(options)
        parts: list[dict[str, Any]] = []

        def plan(alias: str) -> None:
            migration = get_migration(alias)
            steps = migration.plan_rollback(number, to_version=to)
            server = plan_output.server_of(migration)
            prepared = plan_output.prepared(migration, steps, server)
            if options["json"]:
                parts.append(json_output.planned(alias, server.name, prepared))
            else:
                plan_output.show(
                    self.stdout, self.style, options["verbosity"], alias, server.name, prepared
                )

        try:
            self.each(aliases, plan)
        finally:
            if parts:
                self.stdout.write(json_output.text(json_output.databases(parts)))


def _goal(options: dict[str, Any]) -> tuple[int, int | None]:
    """How many to revert, or else the version to end at."""
    return options["count"] or 1, 0 if options["all"] else options["to"]


def _label(number: int, to: int | None) -> str:
    if to is None:
        return f"Unapply the last {messages.scripts(number)}"
    return f"Unapply all scripts above version {to}" if to else "Unapply all scripts"


def _question(alias: str, steps: tuple[Step, ...]) -> str:
    listed = "".join(f"\n    {step.name}" for step in steps)
    return (
        f"You have requested a rollback of {messages.scripts(len(steps))} on the database {alias!r}:"
        f"{listed}\nWhat their down parts drop or delete is lost for good.\n"
        "Are you sure you want to do this?"
    )
