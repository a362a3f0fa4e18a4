"""`manage.py manticore_squash 40`: one file for everything that the scripts up to version 40 make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from django_manticore import messages
from django_manticore.management.base import ManticoreCommand, scratch_database, version
from django_manticore.management.console import Renderer
from django_manticore.migrators import get_migration
from django_manticore.surroundings import surroundings
from manticore_cockroachdb.events import Event, SquashAdvanced
from manticore_cockroachdb.rehearsal import Squash


class Command(ManticoreCommand):
    """Writes one file, after it was proved."""

    help = (
        "Writes a checkpoint such as B40__schema.sql: what the scripts up to a version create, with the "
        "rows that they insert. Empty databases start from it. It is built on a scratch database, "
        "proved on another one, and written only if both are equal."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        parser.add_argument("version", type=version, help="Which version to squash to: 40 or V40.")
        self.add_database(parser)
        self.add_scratch(parser)
        parser.add_argument(
            "--description",
            default="schema",
            metavar="TEXT",
            help="What the file is called after its number. Defaults to 'schema'.",
        )
        parser.add_argument(
            "--max-rows",
            type=int,
            default=10_000,
            metavar="N",
            help="Refuse to write more rows than this. Defaults to 10000.",
        )
        parser.add_argument(
            "--leave-out-server",
            action="store_true",
            help="Leave out statements that change the server and not the database, such as CREATE ROLE, "
            "instead of refusing the scripts that have them.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the file."""
        alias = self.known_database(options["database"])
        verbosity: int = options["verbosity"]
        if verbosity:
            heading = f"Squashing the scripts of {alias} up to version {options['version']}:"
            self.stdout.write(self.style.MIGRATE_HEADING(heading))
        squash = get_migration(alias, listener=self._listener(alias, verbosity)).squash(
            options["version"],
            description=options["description"],
            max_rows=options["max_rows"],
            leave_out_server=options["leave_out_server"],
            scratch=scratch_database(options["scratch"]),
            surroundings=surroundings(alias),
        )
        if verbosity:
            for line in _in_words(squash):
                self.stdout.write(line)

    def _listener(self, alias: str, verbosity: int) -> Callable[[Event], None]:
        watch = Renderer(
            self.stdout,
            self.style,
            verbosity if verbosity > 1 else 0,
            alias=alias,
            operation=("Build", "a scratch database"),
            nothing="There are no scripts.",
        )

        def listen(event: Event) -> None:
            if isinstance(event, SquashAdvanced) and verbosity:
                self.stdout.write(f"  [{event.number}/{event.total}] {event.stage}")
            watch(event)

        return listen


def _in_words(squash: Squash) -> list[str]:
    done = "Wrote" if squash.is_new else "Nothing has changed:"
    rows = messages.counted(squash.rows, "row")
    objects = messages.counted(squash.objects, "object")
    what = f"stands for versions {squash.span}; {objects}, {rows}; proved on {squash.server}"
    lines = [f"{done} {squash.path} ({what})."]
    if squash.left_out:
        number = messages.statements(len(squash.left_out))
        lines.append(f"Left out {number} that change the server:")
        lines += (f"  {each}" for each in squash.left_out)
    return lines
