"""What every command shares: options, databases to work on, errors to exit codes, stopping.

Domain errors become `CommandError` here and nowhere else; `--traceback` shows the chain.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, router

from django_manticore import conf
from django_manticore.connections import connection_settings
from django_manticore.versions import repeatable_in, version_in
from manticore_cockroachdb import Database
from manticore_cockroachdb.errors import ManticoreError
from manticore_cockroachdb.types import ScriptKey

from . import exit_codes
from .interrupts import Interrupts, Stopped

#: What ends the work on one database and leaves the others alone.
Failure = ManticoreError | CommandError


class ManticoreCommand(BaseCommand):
    """The base of this app's commands."""

    #: The library reports what is wrong with the settings and the files, and so does `check`.
    requires_system_checks: Any = ()
    _called_from_command_line: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.interrupts = Interrupts()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """The parser, whose help ends with the exit codes."""
        return super().create_parser(prog_name, subcommand, epilog=exit_codes.SUMMARY, **kwargs)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run `handle`, and give every error its exit code.

        Raises:
            CommandError: With `returncode` as documented in `exit_codes`.
        """
        from_shell = self._called_from_command_line
        if from_shell:
            for stream in (sys.stdout, sys.stderr):
                # A name that the terminal's encoding lacks is shown escaped, and stops nothing.
                if isinstance(stream, io.TextIOWrapper):
                    stream.reconfigure(errors="backslashreplace")
        try:
            with self.interrupts.installed() if from_shell else nullcontext():
                return super().execute(*args, **options)
        except ManticoreError as error:
            raise CommandError(str(error), returncode=exit_codes.exit_code(error)) from error
        except Stopped as stop:
            raise CommandError(self.stopped_message(), returncode=stop.code) from stop

    def stopped_message(self) -> str:
        """What to say when a signal has stopped the command."""
        return "Stopped."

    # -- options -----------------------------------------------------------------------------------

    def add_database(self, parser: CommandParser) -> None:
        """`--database`, once."""
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            metavar="ALIAS",
            help='Use this key of the MANTICORE setting. Default: "default".',
        )

    def add_databases(self, parser: CommandParser) -> None:
        """`--database`, repeatable, and `--all-databases`."""
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "--database",
            action="append",
            metavar="ALIAS",
            help='Use this key of the MANTICORE setting; may be repeated. Default: "default".',
        )
        group.add_argument(
            "--all-databases",
            action="store_true",
            help="Use every key of the MANTICORE setting, except those on which a database router "
            "disallows SQL scripts.",
        )

    def add_scratch(self, parser: CommandParser) -> None:
        """`--scratch`."""
        parser.add_argument(
            "--scratch",
            metavar="URL",
            help="Create the scratch database on the server of this database, which must have "
            "the same version and a user who may create databases. Default: the database itself.",
        )

    def add_noinput(self, parser: CommandParser) -> None:
        """`--noinput`, as Django has it."""
        parser.add_argument(
            "--noinput",
            "--no-input",
            action="store_false",
            dest="interactive",
            help="Do not ask for confirmation.",
        )

    def add_lock_timeout(self, parser: CommandParser) -> None:
        """`--lock-timeout`."""
        parser.add_argument(
            "--lock-timeout",
            type=seconds,
            metavar="SECONDS",
            help="Wait this long for another runner, instead of the setting's LOCK_TIMEOUT. Use 0 to "
            "fail immediately.",
        )

    # -- databases ---------------------------------------------------------------------------------

    def databases(self, options: dict[str, Any]) -> list[str]:
        """The aliases to work on, each once, in the order given.

        Raises:
            CommandError: One of them cannot be: with exit code 2.
        """
        known = conf.aliases()
        if options.get("all_databases"):
            chosen = [alias for alias in known if allowed(alias)]
            if not chosen:
                raise CommandError(
                    "Your database routers disallow SQL scripts on every database in MANTICORE.",
                    returncode=exit_codes.USAGE,
                )
            return chosen
        given = options.get("database") or [DEFAULT_DB_ALIAS]
        chosen = list(dict.fromkeys([given] if isinstance(given, str) else given))
        for alias in chosen:
            self.known_database(alias, known)
        return chosen

    def known_database(self, alias: str, known: Iterable[str] | None = None) -> str:
        """`alias`, if the setting has it.

        Raises:
            CommandError: It has not: with exit code 2.
        """
        listed = tuple(known if known is not None else conf.aliases())
        if alias not in listed:
            names = ", ".join(map(repr, listed)) or "none"
            raise CommandError(
                f"MANTICORE has no entry {alias!r} (it has: {names}). Name one with --database.",
                returncode=exit_codes.USAGE,
            )
        return alias

    def each(self, aliases: list[str], work: Callable[[str], None]) -> None:
        """Do `work` for each database; one that fails leaves the others alone.

        Raises:
            CommandError: At least one failed; the exit code is the worst one's.
        """
        if len(aliases) == 1:
            work(aliases[0])
            return
        self.end_of_each(len(aliases), self.failures_of(aliases, work))

    def failures_of(self, aliases: list[str], work: Callable[[str], None]) -> dict[str, Failure]:
        """Do `work` for each database; what failed, by alias, each written to stderr at once."""
        failures: dict[str, Failure] = {}
        for alias in aliases:
            try:
                work(alias)
            except (ManticoreError, CommandError) as error:
                failures[alias] = error
                self.stderr.write(f"{alias}: {error}")
        return failures

    def end_of_each(self, number: int, failures: Mapping[str, Failure]) -> None:
        """End a command that worked on a number of databases.

        Raises:
            CommandError: At least one failed; the exit code is the worst one's.
        """
        if failures:
            code = exit_codes.worst(
                error.returncode if isinstance(error, CommandError) else exit_codes.exit_code(error)
                for error in failures.values()
            )
            raise CommandError(
                f"{len(failures)} of {number} databases failed: {', '.join(failures)}.",
                returncode=code,
            ) from next(iter(failures.values()))

    # -- asking ------------------------------------------------------------------------------------

    def confirmed(self, question: str) -> bool:
        """Whether a person types "yes".

        Raises:
            CommandError: Nobody is there to ask: with exit code 2.
        """
        try:
            answer = input(f"{question}\n\n    Type 'yes' to continue, or 'no' to cancel: ")
        except EOFError:
            self.stdout.write("")  # the line of the question ends here
            raise CommandError(
                "Nobody answered, so nothing was done. Use --noinput to run without confirmation.",
                returncode=exit_codes.USAGE,
            ) from None
        return answer.strip().lower() == "yes"


def allowed(alias: str) -> bool:
    """Whether the project's database routers let SQL scripts run on an alias."""
    return bool(router.allow_migrate(alias, "django_manticore"))


def place_of(alias: str) -> str:
    """Where the database of an alias is, for headings: never a password."""
    return connection_settings(conf.entry(alias)).place


def scratch_database(url: str | None) -> Database | None:
    """The database of `--scratch`, if one is given.

    Raises:
        SettingsError: The URL cannot be read.
    """
    return None if url is None else Database.from_url(url)


def seconds(text: str) -> float:
    """An argument that is a number of seconds, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds, at least 0; got {text!r}")
    return value


def version(text: str) -> int:
    """An argument that is a version: `7`, `V7` or `V0007__name.sql`."""
    number = version_in(text)
    if number is None:
        raise argparse.ArgumentTypeError(f"must be a version, such as 7 or V7; got {text!r}")
    return number


def script_key(text: str) -> ScriptKey:
    """An argument that is a script: `7`, `V7`, `R__name` or a file's name."""
    found = repeatable_in(text) or version_in(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"must be a script, such as 7, V7 or R__name; got {text!r}"
        )
    return found


def target(text: str) -> int:
    """An argument that is a version to end at: also `zero`."""
    return 0 if text.strip().lower() in ("zero", "0") else version(text)


def count(text: str) -> int:
    """An argument that is a number of scripts, 1 or more."""
    return _one_or_more(text, "scripts")


def jobs(text: str) -> int:
    """An argument that is a number of databases, 1 or more."""
    return _one_or_more(text, "databases")


def _one_or_more(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number of {what}, at least 1; got {text!r}")
    return int(text)
