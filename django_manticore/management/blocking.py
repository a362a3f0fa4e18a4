"""Shows who holds locks that pending scripts need: `manticore_migrate --show-blockers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_manticore import messages
from django_manticore.migrators import get_migration
from manticore_cockroachdb.event_json import blocker_values

from . import json_output

if TYPE_CHECKING:
    from .base import ManticoreCommand


def show(
    command: ManticoreCommand, aliases: list[str], target: int | None, *, as_json: bool
) -> None:
    """List them for each database, as text or as one JSON report."""
    reports: list[dict[str, Any]] = []

    def one(alias: str) -> None:
        found = get_migration(alias).blockers(target)
        if as_json:
            values = [blocker_values(each) for each in found]
            reports.append({"database": alias, "blockers": values})
            return
        command.stdout.write(command.style.MIGRATE_LABEL(alias))
        for each in found:
            command.stdout.write(f"  {messages.blocker_line(each)}")
        if not found:
            command.stdout.write("  Nobody holds a lock that a schema change would wait for.")

    try:
        command.each(aliases, one)
    finally:
        if reports:
            command.stdout.write(json_output.text(json_output.databases(reports)))
