"""`manage.py manticore_makemigration "description"`: write a new script, or give one another number."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.management import exit_codes
from django_manticore.management.base import ManticoreCommand
from django_manticore.migrators import get_migration
from manticore_cockroachdb import Migration
from manticore_cockroachdb.errors import ConnectionFailed
from manticore_cockroachdb.scripts import create_script, repeatable_template, template


class Command(ManticoreCommand):
    """Writes the file; the person writes the SQL."""

    help = (
        "Writes a new SQL script, V<next version>__<description>.sql, for you to fill in. With "
        "--repeatable, writes R__<description>.sql. With --renumber, gives a script the next free version."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        parser.add_argument(
            "description",
            nargs="?",
            help='Describe the script in a few words: "create users table".',
        )
        parser.add_argument(
            "--renumber",
            metavar="SCRIPT",
            help="Give this script (7, or V7__name.sql where two have that version) the next free "
            "version, if another script took its number or it was merged late.",
        )
        parser.add_argument(
            "--repeatable",
            action="store_true",
            help="Write a repeatable script, which runs again whenever its file has changed.",
        )
        parser.add_argument(
            "--folder", type=Path, help="The migrations folder to write to. Default: the first one."
        )
        self.add_database(parser)
        parser.add_argument(
            "--timestamp",
            action=argparse.BooleanOptionalAction,
            help="Use the time (UTC) as the version. Default: as the folder's newest script does.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write or rename the file and say where it is."""
        alias = self.known_database(options["database"])
        if (options["description"] is None) == (options["renumber"] is None):
            raise CommandError(
                "Give a description for a new script, or --renumber SCRIPT.",
                returncode=exit_codes.USAGE,
            )
        if options["repeatable"] and options["renumber"] is not None:
            raise CommandError(
                "--repeatable writes a new script; it cannot be combined with --renumber.",
                returncode=exit_codes.USAGE,
            )
        migration = get_migration(alias)
        if options["renumber"] is not None:
            script: str = options["renumber"]
            number = script.removeprefix("V")
            path = migration.renumber_migration(
                int(number) if number.isdecimal() else script, timestamp=options["timestamp"]
            )
            heading = f"{script} for {alias!r} is now:"
        else:
            path = self._create(migration, options)
            heading = f"Migration for {alias!r}:"
        if options["verbosity"]:
            self.stdout.write(self.style.MIGRATE_HEADING(heading))
            self.stdout.write(self.style.MIGRATE_LABEL(f"  {path}"))

    def _create(self, migration: Migration, options: dict[str, Any]) -> Path:
        description, folder = options["description"], options["folder"]
        timestamp = options["timestamp"]
        if options["repeatable"]:
            return migration.create_repeatable(
                description, repeatable_template(description), folder=folder
            )
        up, down = template(description)
        try:
            return migration.create_migration(
                description, up, down, timestamp=timestamp, folder=folder
            )
        except ConnectionFailed as error:
            chosen = migration.folder(folder)
            path = create_script(
                migration.folders, description, up, down, folder=chosen, timestamp=timestamp
            )
            self.stderr.write(
                self.style.WARNING(
                    f"Could not read the ledger, so the version is based on the files only: {error}"
                )
            )
            return path
