"""`manage.py manticore_rollback`: revert the highest applied scripts."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.management import exit_codes, tasks
from django_manticore.management.base import count, target
from django_manticore.management.run_command import RunCommand


class Command(RunCommand):
    """Reverts, and asks before it does."""

    help = (
        "Reverts the highest applied SQL scripts with their down sections, one by default. Asks for "
        "confirmation first, unless --noinput is given."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--count", type=count, metavar="N", help="Revert this many scripts. Defaults to 1."
        )
        which.add_argument(
            "--to",
            type=target,
            metavar="VERSION",
            help='Revert every script above this version. Use "zero" to revert all.',
        )
        which.add_argument("--all", action="store_true", help="Revert every applied script.")
        self.add_running(parser, recorded_as="reverted")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Revert or plan, database by database."""
        chosen = [name for name in ("count", "to", "all") if options[name] not in (None, False)]
        if len(chosen) > 1:
            raise CommandError(
                "Only one of --count, --to and --all can be given.", returncode=exit_codes.USAGE
            )
        aliases = self.databases(options)
        task = tasks.roll_back(
            options["count"] or 1,
            to_version=0 if options["all"] else options["to"],
            fake=options["fake"],
        )
        if options["plan"]:
            self.show_plans(aliases, task, options)
            return
        self.run_each(aliases, task, options)
