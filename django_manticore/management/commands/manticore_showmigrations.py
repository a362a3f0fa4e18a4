"""`manage.py manticore_showmigrations`: every script, and where it stands."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from django_manticore import messages
from django_manticore.management import json_output
from django_manticore.management.base import ManticoreCommand
from django_manticore.migrators import get_migration
from django_manticore.removal import advice
from manticore_cockroachdb.types import ScriptStatus, State


class Command(ManticoreCommand):
    """Lists, and changes nothing."""

    help = (
        "Lists every SQL script: [X] applied, [ ] pending, [!] changed after it was applied, "
        "[?] applied but its file is missing, [~] partially applied or reverted, [-] not applied and its "
        "file was removed. Also says which files a checkpoint makes superfluous."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        self.add_databases(parser)
        parser.add_argument("--json", action="store_true", help="Print a JSON report.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """List, database by database."""
        parts: list[dict[str, Any]] = []
        found: dict[str, list[ScriptStatus]] = {}

        def show(alias: str) -> None:
            statuses = found[alias] = get_migration(alias).status()
            if options["json"]:
                parts.append(json_output.listed(alias, statuses))
            else:
                self._show(alias, statuses, options["verbosity"])

        try:
            self.each(self.databases(options), show)
        finally:
            if parts:
                self.stdout.write(json_output.text(json_output.databases(parts)))
        if not options["json"]:
            for line in advice(found):
                self.stdout.write(line)

    def _show(self, alias: str, statuses: list[ScriptStatus], verbosity: int) -> None:
        self.stdout.write(self.style.MIGRATE_LABEL(alias))
        if not statuses:
            self.stdout.write(self.style.ERROR(" (no scripts)"))
        for status in statuses:
            remark = messages.list_remark(status)
            line = f" {messages.MARKS[status.state]} {messages.name_of(status)}"
            if verbosity >= 2:
                line += _history(status)
            if remark:
                line += f" ({remark})"
            calm = status.state in (State.APPLIED, State.PENDING)
            self.stdout.write(line if calm else self.style.WARNING(line))
            if status.batch is not None:
                self.stdout.write(f"       {messages.batch_line(status.batch)}")


def _history(status: ScriptStatus) -> str:
    """When it was applied, by whom, and how long it took, as far as that was recorded."""
    if status.applied_at is None:
        return ""
    at = status.applied_at
    if timezone.is_aware(at):
        at = timezone.localtime(at)
    history = f"applied at {at:%Y-%m-%d %H:%M:%S}"
    if status.applied_by:
        history += f" by {status.applied_by}"
    if status.execution_ms is not None:
        history += f" in {messages.duration(status.execution_ms / 1000)}"
    return f" ({history})"
