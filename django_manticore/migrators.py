"""The library's migrators for the databases of a project: settings in, migrator out."""

# ruff: noqa: PLC0415 - each flavor is loaded when it is asked for
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .conf import Entry, entry
from .connections import connection_settings

if TYPE_CHECKING:
    from manticore_cockroachdb import AsyncMigrator, Migration
    from manticore_cockroachdb.events import Event
    from manticore_cockroachdb.types import ConnectionSettings


def get_migration(
    alias: str = "default",
    *,
    listener: Callable[[Event], None] | None = None,
    lock_timeout: float | None = None,
) -> Migration:
    """The `Migration` for an alias: for views, scripts, tests.

    Args:
        alias: A key of the `MANTICORE` setting.
        listener: Called with each event of a run.
        lock_timeout: Seconds to wait for another runner, instead of the setting's LOCK_TIMEOUT.

    Raises:
        SettingsError: There is no such entry, or something in it is invalid.
    """
    from manticore_cockroachdb import Database, Migration

    settings, arguments = _arguments(alias, listener, lock_timeout)
    return Migration(Database.from_settings(settings), **arguments)


def get_async_migrator(
    alias: str = "default",
    *,
    listener: Callable[[Event], None] | None = None,
    lock_timeout: float | None = None,
) -> AsyncMigrator:
    """The `AsyncMigrator` for an alias: for ASGI start-up and async views. See `get_migration`.

    Args:
        alias: A key of the `MANTICORE` setting.
        listener: Called with each event of a run.
        lock_timeout: Seconds to wait for another runner, instead of the setting's LOCK_TIMEOUT.

    Raises:
        SettingsError: There is no such entry, or something in it is invalid.
    """
    from manticore_cockroachdb import AsyncDatabase, AsyncMigrator

    settings, arguments = _arguments(alias, listener, lock_timeout)
    return AsyncMigrator(AsyncDatabase.from_settings(settings), **arguments)


def _combined(
    configured: Entry, listener: Callable[[Event], None] | None
) -> Callable[[Event], None] | None:
    """The listener of a run, and those of the setting LISTENERS."""
    if not configured.listeners:
        return listener
    from manticore_cockroachdb.telemetry import combine

    own = () if listener is None else (listener,)
    return combine(*own, *(make() for make in configured.listeners))


def _arguments(
    alias: str, listener: Callable[[Event], None] | None, lock_timeout: float | None
) -> tuple[ConnectionSettings, dict[str, Any]]:
    """Where the database is, and what both flavors are given."""
    configured = entry(alias)
    return connection_settings(configured), {
        "migrations_dir": configured.migrations_dir,
        "listener": _combined(configured, listener),
        "table": configured.ledger,
        "lock_timeout": configured.lock_timeout if lock_timeout is None else lock_timeout,
        "lease": configured.lease,
        "statement_timeout": configured.statement_timeout,
        "ddl_lock_timeout": configured.ddl_lock_timeout,
        "lock_retries": configured.lock_retries,
        "mode": configured.mode,
        "allow_out_of_order": configured.allow_out_of_order,
        "record_schema": configured.record_schema,
        "placeholders": configured.placeholders,
    }
