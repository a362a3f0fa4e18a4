"""A runner in a separate process, to be killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import psycopg

from manticore_cockroachdb import AsyncDatabase, AsyncMigrator, Database, Migration, State
from manticore_cockroachdb.types import ScriptStatus

#: Its server is started once with the library loaded, so that a runner_process is there in milliseconds.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload([__name__])

#: Short, so that a dead runner's work is taken over soon. A living one that a busy machine keeps from
#: renewing it loses nothing as long as nobody else takes it: only one runner of a database lives at a time.
LEASE = 2.0
#: Seconds; more than any run of these scripts takes, on a busy machine too.
PATIENCE = 240.0


@dataclass(frozen=True)
class Order:
    """What a runner is to do.

    Attributes:
        url: Where.
        folder: The scripts.
        flavour: "sync" or "async".
        verb: "migrate", "rollback", or "bootstrap": as fast as can be if the database is empty.
        mode: "atomic", "stepwise" or None.
        lease: For how many seconds its lease lasts.
    """

    url: str
    folder: Path
    flavour: str
    verb: str
    mode: str | None = None
    lease: float = LEASE


def run(order: Order) -> int:
    """Do it in this process."""
    options = {"mode": order.mode, "lease": order.lease, "lock_timeout": PATIENCE / 2}
    if order.flavour == "sync":
        migration = Migration(Database.from_url(order.url), order.folder, **options)
        if order.verb == "bootstrap" and not _is_begun(migration.status()):
            return migration.bootstrap()
        return migration.rollback(100) if order.verb == "rollback" else migration.migrate()

    async def main() -> int:
        migrator = AsyncMigrator(AsyncDatabase.from_url(order.url), order.folder, **options)
        if order.verb == "bootstrap" and not _is_begun(await migrator.status()):
            return await migrator.bootstrap()
        if order.verb == "rollback":
            return await migrator.rollback(100)
        return await migrator.migrate()

    return asyncio.run(main())


def _is_begun(status: Sequence[ScriptStatus]) -> bool:
    return any(each.state is not State.PENDING for each in status)


def start(order: Order, counts: SimpleQueue[int] | None = None) -> BaseProcess:
    """Do it in another process, which puts the count into the queue if there is one."""
    process = context.Process(target=_work, args=(order, counts), daemon=True)
    process.start()
    return process


def kill(process: BaseProcess) -> bool:
    """As the kernel does it when memory is exhausted: nothing of the process runs any more.

    Returns:
        Whether there was anything to kill. A run may end at any moment before this one, so a
        look at it first would not tell.
    """
    assert process.pid is not None
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        process.join()
    return True


def let_the_lease_run_out(url: str) -> None:
    """What time would do; the tests need not wait for it.

    The server may still be at work for a runner that is dead: its transaction holds the row until then.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = '60s'")
        with suppress(psycopg.errors.UndefinedTable, psycopg.errors.QueryCanceled):
            connection.execute(
                "UPDATE public._migrations_state SET expires_at = now() - INTERVAL '1 hour' "
                "WHERE owner IS NOT NULL"
            )


def _work(order: Order, counts: SimpleQueue[int] | None) -> None:
    count = run(order)
    if counts is not None:
        counts.put(count)
