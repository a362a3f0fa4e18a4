"""The library's linter with a project's settings: which scripts, which server, which rules."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from django.db import connections

from manticore_cockroachdb.lint import Report, Target
from manticore_cockroachdb.lint.configuration import Configuration, configure
from manticore_cockroachdb.lint.engine import lint_configured
from manticore_cockroachdb.lint.probes import Answer, probes
from manticore_cockroachdb.lint.probing import ask_data
from manticore_cockroachdb.scripts import load_history
from manticore_cockroachdb.types import MigrationScript, ScriptKey, Server, ServerKind

from .conf import Entry
from .connections import is_supported
from .setting_values import LintChoices

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration


def scripts_of(entry: Entry) -> tuple[MigrationScript, ...]:
    """Every script of an entry, placeholders filled, after a checkpoint for those that were removed.

    Raises:
        FilesRefused: With every problem of every file.
    """
    return tuple(
        load_history(entry.migrations_dir, placeholders=entry.placeholders, table=entry.ledger)
    )


def configuration_of(
    entry: Entry, server: str | None = None, found: Server | None = None
) -> Configuration:
    """What to judge by.

    Args:
        entry: The entry.
        server: The servers that were named; None: the entry's.
        found: The server that was connected to: its kind and version where no other is named.

    Raises:
        SettingsError: A server is not known.
    """
    choices = entry.lint or LintChoices()
    chosen = server or choices.server
    if chosen is None:
        if found is not None:
            number = found.version.removeprefix("v")
            chosen = f"{found.kind.name.lower()}:{number}"
        else:
            chosen = _kind(entry).name.lower()
    return configure(chosen, choices.rules, choices.severity, entry.ddl_lock_timeout)


def _kind(entry: Entry) -> ServerKind:
    """The server an entry is for, by what the settings say of it."""
    if entry.alias in connections and is_supported(entry.alias):
        vendor = connections[entry.alias].vendor
        return ServerKind.POSTGRESQL if vendor == "postgresql" else ServerKind.COCKROACHDB
    # A URL alone: CockroachDB, unless it says PostgreSQL by its port.
    return ServerKind.POSTGRESQL if ":5432" in (entry.url or "") else ServerKind.COCKROACHDB


def server_of(migration: Migration) -> Server:
    """The server of a database.

    Raises:
        ConnectionFailed: No connection.
    """
    with migration.db as db:
        if db.server is None:  # pragma: no cover - `with` connects, or raises
            raise RuntimeError("the database is not connected")
        return db.server


def ask(
    migration: Migration, scripts: Sequence[MigrationScript], only: Container[ScriptKey]
) -> tuple[Answer, ...]:
    """Ask the database whether its rows would make scripts fail.

    Args:
        migration: The engine of the database.
        scripts: Every script.
        only: The scripts that are about to run.

    Raises:
        ConnectionFailed: No connection, or it was lost.
    """
    found = server_of(migration)
    with migration.db as db:
        return ask_data(db, probes(scripts, only, Target.of(found.kind, found.version)))


def lint_versions(entry: Entry, only: Container[ScriptKey] | None) -> Report:
    """Judge some scripts of an entry by its own settings.

    Raises:
        FilesRefused: With every problem of every file.
    """
    return lint_configured(scripts_of(entry), configuration_of(entry), only)
