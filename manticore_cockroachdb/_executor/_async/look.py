"""A look at the two tables without a lease, waiting a while for somebody's open transaction."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..._backend.settings import ConnectionSettings
from ..._store.snapshot import Snapshot
from ...errors import LeaseTimeout
from ...events import Event
from ..options import Options, new_owner
from .store import AsyncStore, async_open_store

R = TypeVar("R")

#: How long a look that changes nothing waits for another runner's open transaction, in seconds.
PATIENCE = 60.0


async def async_with_snapshot(
    settings: ConnectionSettings,
    options: Options,
    emit: Callable[[Event], None],
    use: Callable[[AsyncStore, Snapshot], Awaitable[R]],
    patience: float = PATIENCE,
    *,
    surveys: bool = False,
) -> R:
    """Open a session, read both tables, and use them.

    Args:
        settings: Where.
        options: Which tables.
        emit: Called with each event.
        use: Called with the store, whose session is open meanwhile, and what the tables hold.
        patience: Seconds to wait while a runner's open transaction holds the tables.
        surveys: Whether to read what else is in a database in which nothing has run.

    Raises:
        LeaseTimeout: A runner's transaction held the tables for longer than `patience`.
    """
    store = await async_open_store(
        settings, f"{new_owner()}/look", options.table, emit, surveys=surveys
    )
    try:
        started = time.monotonic()
        while (snapshot := await store.look()) is None:
            waited = time.monotonic() - started
            if waited > patience:
                raise LeaseTimeout(
                    f"The table {store.tables.label} could not be read for {waited:.0f} s: a runner's "
                    "transaction holds it. Wait for that runner to end and try again.",
                    owner=None,
                    waited=waited,
                )
        return await use(store, snapshot)
    finally:
        await store.session.close()
