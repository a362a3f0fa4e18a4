"""`manage.py manticore_resolve`: a person says what is true, where no program can know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from django_manticore.management.base import ManticoreCommand, version
from django_manticore.migrators import get_migration
from manticore_cockroachdb._backend.jobs import described

from ... import messages

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration
    from manticore_cockroachdb.types import Known


class Command(ManticoreCommand):
    """Shows what is known, asks, and writes what the person says."""

    help = (
        "The way out by hand: shows what is known of a half-done script and of the lease, and records "
        "what you say is true. Without one of its options it only shows. Runs none of the "
        "scripts' statements; refuses while a runner is alive."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--applied", type=version, metavar="V", help="This version is wholly applied."
        )
        which.add_argument(
            "--not-applied", type=version, metavar="V", help="This version is not applied at all."
        )
        which.add_argument(
            "--unlock", action="store_true", help="Break the lease of a runner that is gone."
        )
        which.add_argument(
            "--accept-checksum",
            type=version,
            metavar="V",
            help="The change in this applied script's file is harmless.",
        )
        self.add_database(parser)
        self.add_noinput(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Show; if something is said, ask and record it."""
        alias = self.known_database(options["database"])
        migration = get_migration(alias)
        said = _said(options)
        if said is None or options["verbosity"] or options["interactive"]:
            for line in known_lines(migration.resolve.known()):
                self.stdout.write(line)
        if said is None:
            return
        if options["interactive"] and not self.confirmed(
            f"You are about to say, for the database {alias!r}: {said}.\n"
            "The ledger will say so, true or not. Are you sure?"
        ):
            self.stdout.write("Nothing was changed.")
            return
        outcome = _record(migration, options)
        if options["verbosity"]:
            self.stdout.write(self.style.SUCCESS(outcome))


def _said(options: dict[str, Any]) -> str | None:
    """What a person says is true, in words; None: nothing, they only look."""
    if options["unlock"]:
        return "the runner that holds the lease is gone"
    if options["applied"] is not None:
        return f"version {options['applied']} is wholly applied"
    if options["not_applied"] is not None:
        return f"version {options['not_applied']} is not applied at all"
    if options["accept_checksum"] is not None:
        return f"the change in the file of version {options['accept_checksum']} is harmless"
    return None


def _record(migration: Migration, options: dict[str, Any]) -> str:
    resolve = migration.resolve
    if options["unlock"]:
        owner = resolve.unlock()
        return f"Broke the lease of {owner}." if owner else "Nobody holds the lease."
    if options["applied"] is not None:
        resolve.applied(options["applied"])
        return f"Recorded: version {options['applied']} is applied."
    if options["not_applied"] is not None:
        resolve.not_applied(options["not_applied"])
        return f"Recorded: version {options['not_applied']} is not applied."
    resolve.accept_checksum(options["accept_checksum"])
    return f"Recorded the new checksum of version {options['accept_checksum']}."


def known_lines(known: Known) -> Iterator[str]:
    """What is known, for a person who must decide."""
    record = known.record
    if record.owner is None:
        yield "Lease: nobody holds it."
    else:
        left = record.expires_in or 0.0
        until = f"runs out in {messages.duration(left)}" if left > 0 else "has run out"
        alive = (
            f"connected as session {', '.join(known.sessions)}" if known.sessions else "no session"
        )
        yield f"Lease: {record.owner} ({until}; {alive})."
    progress = record.progress
    if progress is None:
        yield "Half done: nothing."
    else:
        name = known.script.path.name if known.script else f"version {progress.version}"
        yield (
            f"Half done: {name} ({progress.direction.value}), {progress.done} of its statements done."
        )
        if known.statement is not None:
            state = "was sent, its answer never came" if progress.in_flight else "comes next"
            yield f"  Then {state}: {messages.statement_line(known.statement)}"
        for job in known.jobs:
            yield f"  {described(job)}"
    if record.error:
        yield f"Last error: {record.error}"
