"""`manage.py manticore_rehearse`: each pending script up, down and up again, before production sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.management import exit_codes, json_output, rehearsing
from django_manticore.management.base import ManticoreCommand, scratch_database
from django_manticore.migrators import get_migration
from django_manticore.surroundings import surroundings
from manticore_cockroachdb.events import Event, ScriptRehearsed
from manticore_cockroachdb.rehearsal import Rehearsal


class Command(ManticoreCommand):
    """Runs scripts on a scratch database only."""

    help = (
        "Runs each pending script up, down and up again on a scratch database, and compares the schema "
        "each time. Exits with 1 if a script does not return to the same schema. Changes nothing else."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        self.add_databases(parser)
        self.add_scratch(parser)
        parser.add_argument(
            "--all",
            action="store_true",
            dest="all_scripts",
            help="Rehearse applied scripts, too, starting with an empty database.",
        )
        parser.add_argument(
            "--crash",
            action="store_true",
            help="Cut the connection before and after each statement in turn, too, and compare what the "
            "run ends in. Needs a server that is reached without TLS.",
        )
        parser.add_argument(
            "--seed",
            type=Path,
            metavar="FOLDER",
            help="Use the files of this folder, such as V7__rows.sql: rows that are there "
            "before script 7, and "
            "SELECT statements whose values must be true after it.",
        )
        parser.add_argument("--json", action="store_true", help="Print a JSON report.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Rehearse, database by database."""
        found: list[tuple[str, Rehearsal]] = []
        quiet = options["json"] or not options["verbosity"]

        def rehearse(alias: str) -> None:
            if not quiet:
                self.stdout.write(self.style.MIGRATE_HEADING(f"Rehearsing the scripts of {alias}:"))
            result = get_migration(alias, listener=self._listener(quiet=quiet)).rehearse(
                all_scripts=options["all_scripts"],
                crash=options["crash"],
                seeds=options["seed"],
                scratch=scratch_database(options["scratch"]),
                surroundings=surroundings(alias),
            )
            found.append((alias, result))
            if not options["json"]:
                self._show(alias, result, quiet=quiet)

        try:
            self.each(self.databases(options), rehearse)
        finally:
            if options["json"] and found:
                self.stdout.write(json_output.text(rehearsing.report(found)))
        if not all(result.ok for _, result in found):
            raise CommandError(
                "Not every script can be applied, reverted and applied again.",
                returncode=exit_codes.ERROR,
            )

    def _listener(self, *, quiet: bool) -> Callable[[Event], None]:
        def listen(event: Event) -> None:
            if isinstance(event, ScriptRehearsed) and not quiet:
                name = event.script.path.stem
                text = rehearsing.line(
                    event.number, event.total, name, event.outcome, event.seconds
                )
                self.stdout.write(text)

        return listen

    def _show(self, alias: str, result: Rehearsal, *, quiet: bool) -> None:
        for each in result.scripts:
            if each.crashes and not quiet:
                self.stdout.write(f"  {each.script.path.name}: {rehearsing.recoveries(each)}")
            if not each.ok:
                self.stdout.write(
                    self.style.WARNING(f"  {each.script.path.name} {each.outcome.value}:")
                )
                for line in rehearsing.in_words(each):
                    self.stdout.write(line)
        for line in rehearsing.left_out(result):
            self.stdout.write(self.style.WARNING(line))
        if not quiet:
            style = self.style.SUCCESS if result.ok else self.style.WARNING
            self.stdout.write(style(rehearsing.summary(alias, result)))
