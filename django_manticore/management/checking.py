"""Checks databases for `--check` and prints what was found. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from django_manticore.migrators import get_migration
from manticore_cockroachdb.errors import ConnectionFailed, DatabaseError, SettingsError

from . import exit_codes, json_output
from .findings import Findings, findings, in_words

if TYPE_CHECKING:
    from .base import Failure, ManticoreCommand


def check(
    command: ManticoreCommand, aliases: list[str], target: int | None, *, as_json: bool
) -> None:
    """Check each database, report what was found, and end with the exit code that says so.

    Args:
        command: The command that was asked to check.
        aliases: The databases.
        target: The version they should be at; None: the highest.
        as_json: Print a JSON report, too.

    Raises:
        CommandError: Something was found: exit code 1. Or a database could not be checked: exit code 2,
            or that of the error.
    """
    found: list[Findings] = []
    failures: dict[str, Failure] = {}

    def look(alias: str) -> None:
        found.append(checked(alias, target))

    try:
        if len(aliases) == 1:
            look(aliases[0])
        else:
            failures = command.failures_of(aliases, look)
    finally:
        if as_json:
            command.stdout.write(json_output.text(_report(found, len(aliases))))
    lines = [line for each in found for line in in_words(each)]
    if failures:
        for line in lines:
            command.stderr.write(line)
        command.end_of_each(len(aliases), failures)
    if lines:
        raise CommandError("\n".join(lines), returncode=exit_codes.ERROR)


def checked(alias: str, target: int | None = None) -> Findings:
    """Check one database.

    Raises:
        CommandError: It could not be reached: with exit code 2.
        ManticoreError: Its files or its ledger were refused.
    """
    try:
        migration = get_migration(alias)
        statuses = migration.status()
    except (ConnectionFailed, DatabaseError, SettingsError) as error:
        raise CommandError(
            f"{alias} could not be checked: {error}", returncode=exit_codes.CANNOT_CHECK
        ) from error
    return findings(
        alias, statuses, target, allow_out_of_order=migration.options.allow_out_of_order
    )


def _report(found: Sequence[Findings], asked: int) -> dict[str, Any]:
    return json_output.checked(found, ok=len(found) == asked and all(each.ok for each in found))
