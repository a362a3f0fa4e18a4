"""`manage.py manticore_drift`: whether somebody changed a database by hand, object by object."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.conf import entry
from django_manticore.management import comparison, exit_codes, json_output
from django_manticore.management.base import ManticoreCommand, scratch_database
from django_manticore.management.console import Renderer
from django_manticore.migrators import get_migration
from django_manticore.surroundings import surroundings
from manticore_cockroachdb.rehearsal import Drift, QuickDrift, SinceLastRun


class Command(ManticoreCommand):
    """Compares, and changes nothing."""

    help = (
        "Compares the database with what its applied scripts create, object by object. The scripts are run "
        "on a scratch database, which is dropped afterwards. Exits with 1 if something differs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        self.add_databases(parser)
        self.add_scratch(parser)
        parser.add_argument(
            "--ignore",
            action="append",
            default=[],
            metavar="PATTERN",
            help="Ignore these objects, such as 'table public.audit_*'; may be repeated. Added to "
            "the setting's DRIFT_IGNORE.",
        )
        parser.add_argument(
            "--quick",
            action="store_true",
            help="Only say whether the schema was changed after the last run. Needs RECORD_SCHEMA, and no "
            "scratch database. Exits with 1 if it was, and with 2 if that is not known.",
        )
        parser.add_argument("--json", action="store_true", help="Print a JSON report.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Compare, database by database."""
        if options["quick"]:
            self._quick(options)
            return
        found: list[tuple[str, Drift]] = []

        def compare(alias: str) -> None:
            said = entry(alias)
            watch = Renderer(
                self.stdout,
                self.style,
                0 if options["json"] or options["verbosity"] < 2 else options["verbosity"],
                alias=alias,
                operation=("Compare", "with a scratch database"),
                nothing="No scripts are applied.",
            )
            drift = get_migration(alias, listener=watch).drift(
                ignore=(*said.drift_ignore, *options["ignore"]),
                scratch=scratch_database(options["scratch"]),
                surroundings=surroundings(alias),
            )
            found.append((alias, drift))
            if not options["json"]:
                self._show(alias, drift, options["verbosity"])

        try:
            self.each(self.databases(options), compare)
        finally:
            if options["json"] and found:
                self.stdout.write(json_output.text(comparison.report(found)))
        if any(drift for _, drift in found):
            raise CommandError(
                "The database does not match its scripts."
                if len(found) == 1
                else "Some databases do not match their scripts.",
                returncode=exit_codes.ERROR,
            )

    def _quick(self, options: dict[str, Any]) -> None:
        found: dict[str, QuickDrift] = {}

        def look(alias: str) -> None:
            said = found[alias] = get_migration(alias).quick_drift()
            if options["verbosity"] and not options["json"]:
                self.stdout.write(comparison.quick(alias, said))

        if options["scratch"] or options["ignore"]:
            raise CommandError(
                "--quick compares hashes: it cannot be combined with --scratch or --ignore.",
                returncode=exit_codes.USAGE,
            )
        try:
            self.each(self.databases(options), look)
        finally:
            if options["json"] and found:
                self.stdout.write(json_output.text(comparison.quick_report(found)))
        answers = {each.answer for each in found.values()}
        if SinceLastRun.CHANGED in answers:
            raise CommandError(
                "The schema was changed after the last run; manticore_drift says what.",
                returncode=exit_codes.ERROR,
            )
        if SinceLastRun.UNKNOWN in answers:
            raise CommandError(
                "It is not known whether the schema was changed.",
                returncode=exit_codes.CANNOT_CHECK,
            )

    def _show(self, alias: str, drift: Drift, verbosity: int) -> None:
        if verbosity:
            style = self.style.WARNING if drift else self.style.SUCCESS
            self.stdout.write(style(comparison.summary(alias, drift)))
        for difference in drift.differences:
            for line in comparison.in_words(difference):
                self.stdout.write(line)
        for line in comparison.together(drift):
            self.stdout.write(line)
        for pattern in drift.unused_ignores if verbosity else ():
            self.stdout.write(f"  The ignored pattern {pattern!r} matches nothing that differs.")
