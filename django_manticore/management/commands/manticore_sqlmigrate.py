"""`manage.py manticore_sqlmigrate SCRIPT`: the statements of one script, as they are sent."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.management import exit_codes
from django_manticore.management.base import ManticoreCommand, script_key
from django_manticore.migrators import get_migration
from manticore_cockroachdb.types import Direction, ScriptKey, Step, called


class Command(ManticoreCommand):
    """Prints, and asks no server."""

    help = "Prints the SQL statements of a script, with placeholders filled in."
    output_transaction = False

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        parser.add_argument(
            "version", type=script_key, help="Which script: 7, V7, or R__name of a repeatable one."
        )
        self.add_database(parser)
        parser.add_argument(
            "--backwards", action="store_true", help="Print the down section instead."
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print them."""
        alias = self.known_database(options["database"])
        wanted: ScriptKey = options["version"]
        migration = get_migration(alias)
        # A checkpoint where the script itself was removed.
        every = (*migration.load_checkpoints(), *migration.load_migrations())
        script = {script.key: script for script in every}.get(wanted)
        if script is None:
            raise CommandError(
                f"There is no {called(wanted)} in the migrations folder; see manticore_showmigrations.",
                returncode=exit_codes.USAGE,
            )
        if options["backwards"] and script.down_sql is None:
            raise CommandError(
                f"{script.path.name} is a repeatable script, which is never reverted."
                if script.is_repeatable
                else f"{script.path.name} has no down section, so it cannot be rolled back.",
                returncode=exit_codes.ERROR,
            )
        step = Step(script, Direction.DOWN if options["backwards"] else Direction.UP)
        for statement in step.statements():
            self.stdout.write(f"{statement.text};")
