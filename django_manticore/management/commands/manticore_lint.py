"""`manage.py manticore_lint`: what scripts would do, before they run."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore import conf, linting, messages
from django_manticore.management import exit_codes
from django_manticore.management.base import ManticoreCommand
from django_manticore.migrators import get_migration
from manticore_cockroachdb import Migration
from manticore_cockroachdb.errors import ConnectionFailed, SettingsError
from manticore_cockroachdb.lint import Report, Severity
from manticore_cockroachdb.lint.configuration import configure
from manticore_cockroachdb.lint.engine import lint_configured
from manticore_cockroachdb.lint.git import changed_files, top_of
from manticore_cockroachdb.lint.probes import weighed
from manticore_cockroachdb.lint.reporting import FORMATS, OF_REPOSITORY, text
from manticore_cockroachdb.lint.rules import RULES
from manticore_cockroachdb.lint.scope import keys_of
from manticore_cockroachdb.types import MigrationScript, ScriptKey, Server, State


class Command(ManticoreCommand):
    """Judges scripts, and changes nothing."""

    help = (
        "Checks SQL scripts before they run: reports what would lock, fail, lose data or take long, and "
        "shows safer SQL. By default it checks the scripts that are pending in the ledger or, without a "
        "server, those that are new in git."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        self.add_database(parser)
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--all", action="store_true", help="Check every script.")
        which.add_argument(
            "--since",
            metavar="REF",
            help="Check the scripts that are new or changed since this git revision, such as origin/main.",
        )
        parser.add_argument(
            "--server",
            metavar="SERVER",
            type=_servers,
            help="Check for this server, such as cockroachdb:25.4 or postgresql:17, or for several with "
            "commas between them. Defaults to the setting's LINT, then to the database's own.",
        )
        parser.add_argument(
            "--live",
            action="store_true",
            help="Ask the database, read-only, whether its rows would make a script fail.",
        )
        parser.add_argument(
            "--format",
            choices=list(FORMATS),
            default="text",
            help="Print the report in this format. Default: text.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Choose the scripts, judge them, print the report."""
        entry = conf.entry(self.known_database(options["database"]))
        scripts = linting.scripts_of(entry)
        migration = get_migration(entry.alias)
        only, server = self._scope(migration, scripts, options)
        configuration = linting.configuration_of(entry, options["server"], server)
        report = lint_configured(scripts, configuration, only)
        if options["live"]:
            answers = linting.ask(migration, scripts, only)
            report = weighed(report, answers, lambda rule: configuration.severity(RULES[rule]))
        self._print(report, options["format"])
        if not report.ok:
            errors = report.count(Severity.ERROR)
            raise CommandError(
                f"{messages.counted(errors, 'error')} found.", returncode=exit_codes.ERROR
            )

    def _scope(
        self,
        migration: Migration,
        scripts: tuple[MigrationScript, ...],
        options: dict[str, Any],
    ) -> tuple[frozenset[ScriptKey], Server | None]:
        """The scripts to judge, and the server if it was connected to.

        Raises:
            ConnectionFailed: The database is to be asked, and there is no connection.
            GitFailed: git cannot say what is new.
        """
        server = linting.server_of(migration) if options["live"] else None
        if options["all"]:
            return frozenset(script.key for script in scripts), server
        if options["since"] is not None:
            files = changed_files(migration.folders, options["since"])
            return keys_of(scripts, files), server
        try:
            statuses = migration.status()
            server = server or linting.server_of(migration)
        except ConnectionFailed as error:
            self.stderr.write(f"{error}\nChecking the scripts that git says are new instead.")
            return keys_of(scripts, changed_files(migration.folders)), None
        waiting = (State.PENDING, State.PARTIALLY_APPLIED)
        return frozenset(one.key for one in statuses if one.state in waiting), server

    def _print(self, report: Report, form: str) -> None:
        base = Path.cwd()
        if form in OF_REPOSITORY:
            base = top_of(base) or base
        if form != "text":
            printed = FORMATS[form](report, base)
        else:
            colors = {
                Severity.ERROR: self.style.ERROR,
                Severity.WARNING: self.style.WARNING,
                Severity.NOTE: self.style.NOTICE,
            }
            printed = text(report, base, lambda severity, words: str(colors[severity](words)))
        if printed:
            self.stdout.write(printed)


def _servers(text: str) -> str:
    """The value of --server, as it was written.

    Raises:
        ArgumentTypeError: A server is not known.
    """
    try:
        configure(text)
    except SettingsError as error:
        raise ArgumentTypeError(str(error)) from error
    return text
