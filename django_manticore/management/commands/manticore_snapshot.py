"""`manage.py manticore_snapshot`: the schema that the scripts make, as a file for pull requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore.conf import entry
from django_manticore.management import exit_codes
from django_manticore.management.base import ManticoreCommand, scratch_database
from django_manticore.management.console import Renderer
from django_manticore.migrators import get_migration
from django_manticore.surroundings import surroundings
from manticore_cockroachdb.rehearsal import staleness
from manticore_cockroachdb.types import MigrationScript

_NAMES = ("schema.postgresql.sql", "schema.cockroachdb.sql")


class Command(ManticoreCommand):
    """Writes one file, or checks it."""

    help = (
        "Writes the schema that the scripts create to schema.postgresql.sql or schema.cockroachdb.sql. "
        "The scripts are run on a scratch database, which is dropped afterwards."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        self.add_database(parser)
        self.add_scratch(parser)
        parser.add_argument(
            "--output",
            type=Path,
            metavar="FILE",
            help="The file. Defaults to schema.SERVER.sql beside the (first) migrations folder, with "
            "the alias in its name for other databases than the default one.",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="Write nothing; exit with 1 if the file is not what the scripts create. Needs no server.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the file, or check it."""
        alias = self.known_database(options["database"])
        if options["check"]:
            self._check(alias, options)
            return
        watch = Renderer(
            self.stdout,
            self.style,
            options["verbosity"] if options["verbosity"] > 1 else 0,
            alias=alias,
            operation=("Print", "the schema of a scratch database"),
            nothing="There are no scripts.",
        )
        made = get_migration(alias, listener=watch).snapshot(
            scratch=scratch_database(options["scratch"]), surroundings=surroundings(alias)
        )
        path = options["output"] or _usual(alias, made.file_name)
        _write(path, made.text)
        if options["verbosity"]:
            self.stdout.write(f"Wrote {path}.")

    def _check(self, alias: str, options: dict[str, Any]) -> None:
        scripts = get_migration(alias).load_migrations()
        given = options["output"]
        paths = [given] if given else [_usual(alias, name) for name in _NAMES]
        present = [path for path in paths if path.exists()]
        if not present:
            named = " or ".join(str(path) for path in paths)
            raise CommandError(
                f"There is no snapshot: {named} is missing. Run manticore_snapshot.",
                returncode=exit_codes.ERROR,
            )
        stale = [line for path in present for line in _stale(path, scripts)]
        if stale:
            raise CommandError("\n".join(stale), returncode=exit_codes.ERROR)
        if options["verbosity"]:
            for path in present:
                self.stdout.write(f"{path} is what the scripts create.")


def _usual(alias: str, name: str) -> Path:
    """Where the file is unless asked otherwise."""
    folder = entry(alias).migrations_dir[0]
    head, _, tail = name.partition(".")
    return folder.parent / (name if alias == "default" else f"{head}.{alias}.{tail}")


def _stale(path: Path, scripts: list[MigrationScript]) -> list[str]:
    reason = staleness(path.read_text(encoding="utf-8"), scripts)
    return [f"{path} is stale: {reason}. Run manticore_snapshot."] if reason else []


def _write(path: Path, text: str) -> None:
    """Write the whole file or nothing: a reader never sees half of it."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CommandError(
            f"{path} could not be written: {error.strerror}. Nothing was changed.",
            returncode=exit_codes.ERROR,
        ) from error
