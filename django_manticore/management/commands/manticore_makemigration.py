"""`manage.py manticore_makemigration "description"`: write a new, empty script."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import CommandParser

from django_manticore.management.base import ManticoreCommand
from django_manticore.migrators import get_migration
from manticore_cockroachdb._scripts import writer
from manticore_cockroachdb.errors import ConnectionFailed

UP: Final = (
    "-- {description}\n-- Write here what applies it; end each statement with a semicolon.\n"
)
DOWN: Final = (
    "-- Write here what reverts it. Nothing to do: leave it empty. Cannot be reverted: remove this\n"
    "-- part, with the line above it.\n"
)


class Command(ManticoreCommand):
    """Writes the file; the person writes the SQL."""

    help = "Writes a new SQL script, V<next version>__<description>.sql, to be filled in."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        parser.add_argument(
            "description", help='What it does, in a few words: "create users table".'
        )
        self.add_database(parser)
        parser.add_argument(
            "--timestamp",
            action="store_true",
            help="Use the time (UTC) as the version instead of the next number.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the file and say where it is."""
        alias = self.known_database(options["database"])
        description: str = options["description"]
        migration = get_migration(alias)
        up = UP.format(description=" ".join(description.split()))
        try:
            path = migration.create_migration(description, up, DOWN, timestamp=options["timestamp"])
        except ConnectionFailed as error:
            path = writer.create(
                migration.folders[0],
                description,
                up,
                DOWN,
                others=migration.folders[1:],
                timestamp=options["timestamp"],
            )
            self.stderr.write(
                self.style.WARNING(
                    f"The version is the next of the files alone; the ledger was not asked: {error}"
                )
            )
        if options["verbosity"]:
            self.stdout.write(self.style.MIGRATE_HEADING(f"Migration for {alias!r}:"))
            self.stdout.write(self.style.MIGRATE_LABEL(f"  {path}"))
