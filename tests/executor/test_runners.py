"""Several runners at once: each script runs once, the others wait and report for whom."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from manticore_cockroachdb.errors import LeaseTimeout
from manticore_cockroachdb.events import Event, LeaseAwaited, LeaseTaken
from tests.fake_cockroach import hold
from tests.harness import Cockroach, Harness, eventually
from tests.recovery import runner_process
from tests.recovery.runner_process import Order


def counted(harness: Harness) -> None:
    """Scripts that cannot run twice without it showing in the log."""
    harness.write("V1__log", "CREATE TABLE log (v INT8); INSERT INTO log VALUES (1)")
    harness.write("V2__rows", "INSERT INTO log VALUES (2); INSERT INTO log VALUES (2)")
    harness.write(
        "V3__both",
        "INSERT INTO log VALUES (3); CREATE INDEX ON log (v); INSERT INTO log VALUES (3)",
    )
    harness.write("V4__rows", "INSERT INTO log VALUES (4)")


def check_counted(harness: Harness) -> None:
    counts = harness.ask("SELECT v, count(*) FROM log GROUP BY v ORDER BY v")
    assert counts == [(1, 1), (2, 2), (3, 2), (4, 1)]
    assert harness.indexes("log") == ["log_v_idx"]
    assert harness.ledger() == [1, 2, 3, 4]
    assert harness.free()


def script_that_waits(harness: Harness) -> None:
    """A script whose second statement waits while the table is locked."""
    harness.make_lockable_table()
    harness.write(
        "V1__gate", f"CREATE TABLE t (i INT8);\nCREATE TABLE u AS SELECT * FROM {harness.gate}"
    )


async def side_by_side(*verbs: Any) -> list[Any]:
    """Await them all at once; what each gave."""
    given: list[Any] = [None] * len(verbs)

    async def one(place: int, verb: Any) -> None:
        given[place] = await verb()

    async with anyio.create_task_group() as group:
        for place, verb in enumerate(verbs):
            group.start_soon(one, place, verb)
    return given


@pytest.mark.parametrize("runners", [2, 8])
async def test_runners_at_once_on_an_empty_database_run_each_script_once(
    any_mode: Harness, runners: int
) -> None:
    counted(any_mode)
    engines = [any_mode.engine() for _ in range(runners)]
    counts = await side_by_side(*(engine.migrate for engine in engines))
    assert sum(counts) == 4
    check_counted(any_mode)


@pytest.mark.parametrize("mode", ["", "stepwise"])
def test_twenty_processes_at_once_on_an_empty_database(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    harness = Harness(None, database_url, database_url, tmp_path)  # type: ignore[arg-type]
    counted(harness)
    order = Order(database_url, tmp_path, "sync", "migrate", mode or None, lease=30)
    counts = runner_process.context.SimpleQueue()
    processes = [runner_process.start(order, counts) for _ in range(20)]
    for process in processes:
        process.join(runner_process.PATIENCE)
    assert {process.exitcode for process in processes} == {0}
    assert sum(counts.get() for _ in processes) == 4
    check_counted(harness)


async def test_twenty_tasks_at_once_wait_for_the_one_that_runs(any_mode: Harness) -> None:
    counted(any_mode)
    any_mode.make_lockable_table()
    any_mode.write(
        "V2__rows", f"INSERT INTO log VALUES (2); INSERT INTO log SELECT 2 FROM {any_mode.gate}"
    )
    told: list[list[Event]] = [[] for _ in range(19)]
    others = [any_mode.engine(listener=events.append) for events in told]
    counts: list[int] = []

    async def one(engine: Any) -> None:
        counts.append(await engine.migrate())

    async with anyio.create_task_group() as group, any_mode.locked_table():
        group.start_soon(one, any_mode.engine())
        await eventually(any_mode.waits_for_lock)
        (taken,) = any_mode.told(LeaseTaken)
        for engine in others:
            group.start_soon(one, engine)

        def all_told() -> bool:
            return all(any(isinstance(e, LeaseAwaited) for e in events) for events in told)

        await eventually(all_told)
    assert sorted(counts) == [0] * 19 + [4]
    for events in told:
        awaited = [event for event in events if isinstance(event, LeaseAwaited)]
        assert {event.owner for event in awaited} <= {taken.owner, None}
        assert taken.owner in {event.owner for event in awaited}
        assert not any(isinstance(event, LeaseTaken) for event in events)
    check_counted(any_mode)


async def test_the_error_of_a_wait_that_took_too_long_says_for_whom_and_what_to_do(
    any_mode: Harness,
) -> None:
    script_that_waits(any_mode)
    async with anyio.create_task_group() as group, any_mode.locked_table():
        group.start_soon(any_mode.engine().migrate)
        await eventually(any_mode.waits_for_lock)
        (taken,) = any_mode.told(LeaseTaken)
        for timeout in (0, 0.3):
            with pytest.raises(LeaseTimeout) as caught:
                await any_mode.engine(lock_timeout=timeout).migrate()
            assert caught.value.owner == taken.owner
            doing = "applying version 1, statement 2"
            if not any_mode.is_stepwise:
                doing = "running scripts"  # in one transaction, which others cannot look into
            # How long it waited is reported as it was measured.
            message = (
                f"Timed out after NN s waiting for the lease, which {taken.owner} holds ({doing}; its "
                "lease expires in NN s unless it is renewed). If that runner is alive, wait for it to "
                "end, or allow more time (lock_timeout, --lock-timeout). If it is dead, wait for its "
                "lease to expire, or run manticore_resolve --unlock."
            )
            shown = re.sub(r"(after|expires in) \d+ s", r"\1 NN s", str(caught.value))
            assert shown == message
    assert any_mode.ledger() == [1]


async def test_the_lease_of_a_runner_that_died_is_taken_over_when_it_has_expired(
    any_mode: Harness,
) -> None:
    counted(any_mode)
    await any_mode.engine().initialize()
    any_mode.ask(
        "INSERT INTO _migrations_state (id, owner, epoch, acquired_at, expires_at) "
        "VALUES (1, 'ghost:1:aa', 7, now(), now() + INTERVAL '1 hour')"
    )
    done: list[int] = []

    async def migrate() -> None:
        done.append(await any_mode.engine().migrate())

    async with anyio.create_task_group() as group:
        group.start_soon(migrate)
        await eventually(lambda: any_mode.told(LeaseAwaited))
        any_mode.ask("UPDATE _migrations_state SET expires_at = now()")
    assert done == [4]
    assert {event.owner for event in any_mode.told(LeaseAwaited)} == {"ghost:1:aa"}
    (taken,) = any_mode.told(LeaseTaken)
    assert taken.epoch == 8
    check_counted(any_mode)


async def test_a_living_runner_keeps_its_lease_however_short_it_is(any_mode: Harness) -> None:
    """It is renewed every 3 of its 6 seconds: only a machine that stalls for the rest of them loses it."""
    script_that_waits(any_mode)
    async with anyio.create_task_group() as group, any_mode.locked_table():
        group.start_soon(any_mode.engine(lease=6).migrate)
        await eventually(any_mode.waits_for_lock)
        with pytest.raises(LeaseTimeout):
            await any_mode.engine(lease=6, lock_timeout=7, listener=None).migrate()
    assert len(any_mode.told(LeaseTaken)) == 1
    assert any_mode.ledger() == [1]
    assert any_mode.free()


async def test_migrating_and_rolling_back_at_once_leave_what_the_ledger_says(
    any_mode: Harness,
) -> None:
    for version in range(1, 5):
        any_mode.write(
            f"V{version}__t", f"CREATE TABLE t{version} (i INT8);\n-- DOWN\nDROP TABLE t{version};"
        )
    await any_mode.engine().migrate(3)
    up, down = await side_by_side(any_mode.engine().migrate, any_mode.engine().rollback)
    assert (up, down) in {(1, 1), (2, 1)}
    assert any_mode.ledger() == list(range(1, 3 + up))
    assert {f"t{version}" for version in any_mode.ledger()} == {
        name for name in any_mode.tables() if name.startswith("t")
    }
    assert any_mode.free()


async def test_what_a_living_runner_is_in_the_middle_of_is_waited_for(cockroach: Cockroach) -> None:
    cockroach.write("V1__t", "CREATE TABLE t (i INT8);\n-- DOWN\nDROP TABLE t;")
    gate = threading.Event()
    rule = cockroach.fake.rule("CREATE TABLE t", then=hold(gate))
    async with anyio.create_task_group() as group:
        group.start_soon(cockroach.engine().migrate)
        await anyio.to_thread.run_sync(rule.wait)
        with pytest.raises(LeaseTimeout) as refused:
            await cockroach.engine(lock_timeout=0).rollback()
        gate.set()
    assert "(applying version 1, statement 1" in str(refused.value)
    assert await cockroach.engine().rollback() == 1
