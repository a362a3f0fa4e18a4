"""Cancelled, or stopped by a signal, in mid-statement: the lease is free at once, and a run goes on."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from manticore_cockroachdb.events import Interrupted
from tests.engine.bench import Bench, eventually
from tests.programs import started

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


def gated(bench: Bench) -> None:
    bench.make_gate()
    bench.write("V1__first", "CREATE TABLE first (i INT8)")
    bench.write(
        "V2__gate",
        f"CREATE TABLE a (i INT8);\nCREATE TABLE b AS SELECT * FROM {bench.gate};\nSELECT 1;",
    )


async def check_stopped(bench: Bench) -> None:
    """Nobody has the lease, and what is recorded is what is true."""
    record = bench.record()
    assert (record["owner"], record["expires_at"]) == (None, None)
    assert bench.ledger() == [1]
    if bench.on_cockroachdb:
        assert (record["version"], record["segment"], record["in_flight"]) == (2, 1, True)
    elif bench.defaults:
        assert (record["version"], record["segment"], record["in_flight"]) == (2, 1, False)
    else:
        assert bench.free()


def statements_done(bench: Bench) -> int:
    """How many statements of the second script stay done when it is stopped at its gate."""
    return 1 if bench.on_cockroachdb or bench.defaults else 0


async def check_goes_on(bench: Bench) -> None:
    assert await bench.engine().migrate() == 1
    assert bench.ledger() == [1, 2]
    assert bench.ask("SELECT * FROM b") == [(1,)]
    assert bench.free()
    ours = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%:%/%' "
        "AND datname = current_database()"
    )
    await eventually(lambda: bench.one(ours) == 0)


@cancellable
@pytest.mark.parametrize("by", ["asyncio", "anyio"])
async def test_a_task_that_is_cancelled_gives_the_lease_back_at_once(
    anywhere: Bench, by: str
) -> None:
    gated(anywhere)
    async with anywhere.shut_gate():
        if by == "anyio":  # cancels again and again
            async with anyio.create_task_group() as group:
                group.start_soon(anywhere.engine().migrate)
                await eventually(anywhere.waits_at_gate)
                group.cancel_scope.cancel()
        else:
            task = asyncio.create_task(anywhere.engine().migrate())
            await eventually(anywhere.waits_at_gate)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await check_stopped(anywhere)
    (event,) = anywhere.told(Interrupted)
    assert event.step is not None
    assert (event.done, event.step.version) == (1, 2)
    assert event.statements_done == (1 if anywhere.is_stepwise else 0)
    assert (event.statement.line if event.statement else None) == (
        2 if anywhere.on_cockroachdb else None
    )
    await check_goes_on(anywhere)


@interruptible
async def test_a_process_that_gets_ctrl_c_gives_the_lease_back_at_once(anywhere: Bench) -> None:
    gated(anywhere)
    mode = anywhere.defaults.get("mode", "")
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        RUNNER,
        anywhere.url,
        str(anywhere.folder),
        mode,
    ]
    async with anywhere.shut_gate():
        with started(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            await eventually(anywhere.waits_at_gate)
            process.send_signal(signal.SIGINT)
            out, error = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=60))
        assert (error, process.returncode) == ("", 0)
        line = 2 if anywhere.on_cockroachdb else None
        assert json.loads(out) == [1, 2, line, statements_done(anywhere)]
        await check_stopped(anywhere)
    await check_goes_on(anywhere)


@cancellable
async def test_a_task_that_is_cancelled_while_it_waits_for_the_lease_leaves_nothing(
    anywhere: Bench,
) -> None:
    gated(anywhere)
    await anywhere.engine().initialize()
    anywhere.ask(
        "INSERT INTO _migrations_state (id, owner, epoch, acquired_at, expires_at) "
        "VALUES (1, 'ghost:1:aa', 7, now(), now() + INTERVAL '1 hour')"
    )
    before = anywhere.record()
    with anyio.move_on_after(0.5) as scope:
        await anywhere.engine().migrate()
    assert scope.cancelled_caught
    assert anywhere.record() == before
