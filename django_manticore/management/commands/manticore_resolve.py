"""`manage.py manticore_resolve`: records what a person knows, where no program can find it out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from django_manticore import messages
from django_manticore.management.base import ManticoreCommand, script_key, version
from django_manticore.migrators import get_migration
from manticore_cockroachdb.types import batch_status, called

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration
    from manticore_cockroachdb.types import Known, Progress


class Command(ManticoreCommand):
    """Shows what is known, asks, and records the answer."""

    help = (
        "Records the outcome of a migration when Manticore cannot determine it, or breaks a lease. Without "
        "one of its options, only shows what is known. Runs no statement of a script, and refuses while a "
        "runner is alive."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--applied",
            type=script_key,
            metavar="V",
            help="Record this version, or repeatable script (R__name), as fully applied.",
        )
        which.add_argument(
            "--not-applied",
            type=script_key,
            metavar="V",
            help="Record this version as not applied; a repeatable script (R__name) then runs again, or "
            "is forgotten if its file is gone.",
        )
        which.add_argument(
            "--unlock", action="store_true", help="Break the lease of a runner that is gone."
        )
        which.add_argument(
            "--accept-checksum",
            type=version,
            metavar="V",
            help="Accept the change in the file of this applied version.",
        )
        which.add_argument(
            "--restart-batch",
            type=script_key,
            metavar="V",
            help="Start the statement in batches of this version, or repeatable script (R__name), again "
            "from its first row, as the file has it now.",
        )
        self.add_database(parser)
        self.add_noinput(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Show what is known; if there is something to record, ask, and record it."""
        alias = self.known_database(options["database"])
        migration = get_migration(alias)
        question = _question(alias, options)
        known = migration.resolve.known()
        if question is None or options["verbosity"] or options["interactive"]:
            for line in known_lines(known):
                self.stdout.write(line)
        if question is None:
            return
        if options["interactive"] and not self.confirmed(question):
            self.stdout.write("Nothing was changed.")
            return
        outcome = _record(migration, options, known)
        if options["verbosity"]:
            self.stdout.write(self.style.SUCCESS(outcome))


def _question(alias: str, options: dict[str, Any]) -> str | None:
    """What is about to be recorded, as a question; None when nothing is."""
    if options["unlock"]:
        what = f"Break the lease on {alias!r}?"
    elif options["applied"] is not None:
        what = f"Record {called(options['applied'])} as applied on {alias!r}?"
    elif options["not_applied"] is not None:
        what = f"Record {called(options['not_applied'])} as not applied on {alias!r}?"
    elif options["accept_checksum"] is not None:
        what = f"Accept the changed file of version {options['accept_checksum']} on {alias!r}?"
    elif options["restart_batch"] is not None:
        return (
            f"Start the batch of {called(options['restart_batch'])} on {alias!r} again from its first row? "
            "Rows of the windows that are done are then changed a second time."
        )
    else:
        return None
    return f"{what} Manticore cannot verify this."


def _record(migration: Migration, options: dict[str, Any], known: Known) -> str:
    """Record what was answered, unless a runner has run since it was asked."""
    resolve = migration.resolve
    if options["unlock"]:
        owner = resolve.unlock(known=known)
        return f"Broke the lease of {owner}." if owner else "Nobody holds the lease."
    if options["applied"] is not None:
        resolve.applied(options["applied"], known=known)
        return f"Recorded {called(options['applied'])} as applied."
    if options["not_applied"] is not None:
        resolve.not_applied(options["not_applied"], known=known)
        return f"Recorded {called(options['not_applied'])} as not applied."
    if options["restart_batch"] is not None:
        resolve.restart_batch(options["restart_batch"], known=known)
        return f"The next run starts the batch of {called(options['restart_batch'])} again."
    resolve.accept_checksum(options["accept_checksum"], known=known)
    return f"Recorded the new checksum of version {options['accept_checksum']}."


def known_lines(known: Known) -> Iterator[str]:
    """What is known, for a person who must decide."""
    record = known.record
    if record.owner is None:
        yield "Lease: nobody holds it."
    else:
        left = record.expires_in or 0.0
        until = f"expires in {messages.duration(left)}" if left > 0 else "has expired"
        alive = (
            f"connected as session {', '.join(known.sessions)}" if known.sessions else "no session"
        )
        yield f"Lease: {record.owner} ({until}; {alive})."
    if record.progress is None:
        yield "Unfinished: nothing."
        return
    yield from _unfinished(known, record.progress)
    if record.error:
        yield f"Last error: {record.error}"


def _unfinished(known: Known, progress: Progress) -> Iterator[str]:
    name = known.script.path.name if known.script else called(progress.key)
    yield (
        f"Unfinished: {name} ({progress.direction.value}), {messages.statements(progress.done)} done."
    )
    if known.statement is not None:
        state = "Sent, and never answered" if progress.in_flight else "Next"
        yield f"  {state}: {messages.statement_line(known.statement)}"
    if progress.batch is not None:
        yield f"  {messages.batch_line(batch_status(progress.batch, known.statement))}"
    for job in known.jobs:
        yield f"  {job}"
