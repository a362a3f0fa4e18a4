"""The library's engines for the databases of a project: settings in, engine out."""

# ruff: noqa: PLC0415 - each flavour is loaded when it is asked for
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .conf import Entry, entry
from .connections import connection_settings

if TYPE_CHECKING:
    from manticore_cockroachdb import AsyncMigrator, Migration
    from manticore_cockroachdb.events import Event


def get_migration(
    alias: str = "default",
    *,
    listener: Callable[[Event], None] | None = None,
    lock_timeout: float | None = None,
) -> Migration:
    """The engine for an alias: for views, scripts, tests.

    Args:
        alias: A key of the `MANTICORE` setting.
        listener: Called with each event of a run.
        lock_timeout: Seconds to wait for another runner, instead of the setting's LOCK_TIMEOUT.

    Raises:
        SettingsError: There is no such entry, or something in it makes no sense.
    """
    from manticore_cockroachdb import Database, Migration

    said = entry(alias)
    return Migration(
        Database.from_settings(connection_settings(said)),
        said.migrations_dir,
        listener=listener,
        **_options(said, lock_timeout),
    )


def get_async_migrator(
    alias: str = "default",
    *,
    listener: Callable[[Event], None] | None = None,
    lock_timeout: float | None = None,
) -> AsyncMigrator:
    """The async engine for an alias: for ASGI start-up and async views.

    Args:
        alias: A key of the `MANTICORE` setting.
        listener: Called with each event of a run.
        lock_timeout: Seconds to wait for another runner, instead of the setting's LOCK_TIMEOUT.

    Raises:
        SettingsError: There is no such entry, or something in it makes no sense.
    """
    from manticore_cockroachdb import AsyncDatabase, AsyncMigrator

    said = entry(alias)
    return AsyncMigrator(
        AsyncDatabase.from_settings(connection_settings(said)),
        said.migrations_dir,
        listener=listener,
        **_options(said, lock_timeout),
    )


def _options(said: Entry, lock_timeout: float | None) -> dict[str, Any]:
    return {
        "table": said.ledger,
        "lock_timeout": said.lock_timeout if lock_timeout is None else lock_timeout,
        "lease": said.lease,
        "statement_timeout": said.statement_timeout,
        "mode": said.mode,
        "allow_out_of_order": said.allow_out_of_order,
        "placeholders": said.placeholders,
    }
