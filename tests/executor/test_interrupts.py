"""Cancelled, or stopped by a signal, in mid-statement: the lease is free at once, and a run continues."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from manticore_cockroachdb.events import Interrupted, LeaseAwaited
from tests.harness import Harness, eventually
from tests.programs import started
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]

#: Tasks are cancelled; a thread is not, its process gets a signal.
cancellable = pytest.mark.parametrize("flavour", ["async"], indirect=True)
interruptible = pytest.mark.parametrize("flavour", ["sync"], indirect=True)

RUNNER = """
import json, sys
from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb.events import Interrupted

url, folder, mode = sys.argv[1:]
told = []
database = Database.from_url(url)
migration = Migration(database, migrations_dir=folder, mode=mode or None, listener=told.append)
try:
    migration.migrate()
except KeyboardInterrupt:
    (event,) = [event for event in told if isinstance(event, Interrupted)]
    line = event.statement.line if event.statement else None
    print(json.dumps([event.done, event.step.version, line, event.statements_done]))
"""


def script_that_waits(harness: Harness) -> None:
    harness.make_lockable_table()
    harness.write("V1__first", "CREATE TABLE first (i INT8)")
    harness.write(
        "V2__gate",
        f"CREATE TABLE a (i INT8);\nCREATE TABLE b AS SELECT * FROM {harness.gate};\nSELECT 1;",
    )


async def check_stopped(harness: Harness) -> None:
    """Nobody has the lease, and what is recorded is what is true."""
    record = harness.record()
    assert (record["owner"], record["expires_at"]) == (None, None)
    assert harness.ledger() == [1]
    if harness.on_cockroachdb:
        assert (record["version"], record["statements_done"], record["in_flight"]) == (2, 1, True)
    elif harness.defaults:
        assert (record["version"], record["statements_done"], record["in_flight"]) == (2, 1, False)
    else:
        assert harness.free()


def statements_done(harness: Harness) -> int:
    """How many statements of the second script stay done when it is stopped at its gate."""
    return 1 if harness.on_cockroachdb or harness.defaults else 0


async def check_goes_on(harness: Harness) -> None:
    assert await harness.engine().migrate() == 1
    assert harness.ledger() == [1, 2]
    assert harness.ask("SELECT * FROM b") == [(1,)]
    assert harness.free()
    ours = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%:%/%' "
        "AND datname = current_database()"
    )
    await eventually(lambda: harness.one(ours) == 0)


@cancellable
@pytest.mark.parametrize("by", ["asyncio", "anyio"])
async def test_a_task_that_is_cancelled_releases_the_lease_at_once(
    any_mode: Harness, by: str
) -> None:
    script_that_waits(any_mode)
    async with any_mode.locked_table():
        if by == "anyio":  # cancels again and again
            async with anyio.create_task_group() as group:
                group.start_soon(any_mode.engine().migrate)
                await eventually(any_mode.waits_for_lock)
                group.cancel_scope.cancel()
        else:
            task = asyncio.create_task(any_mode.engine().migrate())
            await eventually(any_mode.waits_for_lock)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await check_stopped(any_mode)
    (event,) = any_mode.told(Interrupted)
    assert event.step is not None
    assert (event.done, event.step.version) == (1, 2)
    assert event.statements_done == (1 if any_mode.is_stepwise else 0)
    assert (event.statement.line if event.statement else None) == (
        2 if any_mode.on_cockroachdb else None
    )
    await check_goes_on(any_mode)


@interruptible
async def test_a_process_that_gets_ctrl_c_releases_the_lease_at_once(any_mode: Harness) -> None:
    script_that_waits(any_mode)
    mode = any_mode.defaults.get("mode", "")
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        RUNNER,
        any_mode.url,
        str(any_mode.folder),
        mode,
    ]
    async with any_mode.locked_table():
        with started(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            await eventually(any_mode.waits_for_lock)
            process.send_signal(signal.SIGINT)
            out, error = await anyio.to_thread.run_sync(
                lambda: process.communicate(timeout=PATIENCE)
            )
        assert (error, process.returncode) == ("", 0)
        line = 2 if any_mode.on_cockroachdb else None
        assert json.loads(out) == [1, 2, line, statements_done(any_mode)]
        await check_stopped(any_mode)
    await check_goes_on(any_mode)


@cancellable
async def test_a_task_that_is_cancelled_while_it_waits_for_the_lease_leaves_nothing(
    any_mode: Harness,
) -> None:
    script_that_waits(any_mode)
    await any_mode.engine().initialize()
    any_mode.ask(
        "INSERT INTO _migrations_state (id, owner, epoch, acquired_at, expires_at) "
        "VALUES (1, 'ghost:1:aa', 7, now(), now() + INTERVAL '1 hour')"
    )
    before = any_mode.record()
    async with anyio.create_task_group() as group:
        group.start_soon(any_mode.engine().migrate)
        await eventually(lambda: any_mode.told(LeaseAwaited))
        group.cancel_scope.cancel()
    assert any_mode.record() == before
