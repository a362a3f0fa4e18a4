"""Resolving by hand: a person says what is true."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from manticore_cockroachdb import State
from manticore_cockroachdb.errors import LeaseTimeout, MigrationFailed, PlanRefused
from manticore_cockroachdb.events import LeaseTaken
from tests.harness import Cockroach, Harness, eventually

NO_VERSION_9 = (
    "There is no version 9 in the folder or the tables; see status "
    "(manticore_showmigrations). Nothing was changed."
)


async def partially_applied(harness: Harness) -> Any:
    """Version 1 is applied, version 2 stopped at its second statement; the engine."""
    harness.write("V1__t", "CREATE TABLE t (i INT8);\n-- DOWN\nDROP TABLE t;")
    harness.write(
        "V2__half", "CREATE TABLE u (i INT8);\n\nCREATE TABLE t (i INT8);\n-- DOWN\nDROP TABLE u;"
    )
    engine = harness.engine()
    with pytest.raises(MigrationFailed):
        await engine.migrate()
    return engine


async def refused(verb: Any, version: int) -> str:
    with pytest.raises(PlanRefused) as caught:
        await verb(version)
    return str(caught.value)


async def test_what_is_known_of_a_partially_applied_script(cockroach: Cockroach) -> None:
    known = await (await partially_applied(cockroach)).resolve.known()
    assert known.record.owner is None
    assert known.record.progress is not None
    assert (known.record.progress.version, known.record.progress.done) == (2, 1)
    assert known.record.error == 'relation "t" already exists (42P07)'
    assert known.script is not None
    assert known.script.version == 2
    assert known.statement is not None
    assert (known.statement.line, known.statement.text) == (3, "CREATE TABLE t (i INT8)")
    assert (known.jobs, known.sessions) == ((), ())


async def test_on_an_empty_database_nothing_is_known_and_nothing_made(harness: Harness) -> None:
    resolve = harness.engine().resolve
    known = await resolve.known()
    assert (known.record.owner, known.record.progress, known.script) == (None, None, None)
    assert await resolve.unlock() is None
    assert harness.tables() == []


async def test_a_partially_applied_version_is_recorded_as_applied(cockroach: Cockroach) -> None:
    engine = await partially_applied(cockroach)
    await engine.resolve.applied(2)
    assert cockroach.ledger() == [1, 2]
    assert cockroach.free()
    assert [s.state for s in await engine.status()] == [State.APPLIED] * 2
    assert await engine.rollback() == 1


async def test_a_partially_applied_version_is_recorded_as_not_applied(cockroach: Cockroach) -> None:
    engine = await partially_applied(cockroach)
    cockroach.ask("DROP TABLE u")
    await engine.resolve.not_applied(2)
    assert cockroach.ledger() == [1]
    assert cockroach.free()
    assert [s.state for s in await engine.status()] == [State.APPLIED, State.PENDING]
    assert await engine.rollback() == 1


async def test_what_is_recorded_of_another_version_leaves_the_unfinished_one_alone(
    cockroach: Cockroach,
) -> None:
    engine = await partially_applied(cockroach)
    before = cockroach.record()
    await engine.resolve.applied(1)
    await engine.resolve.not_applied(1)
    assert cockroach.ledger() == []
    await engine.resolve.applied(1)
    assert cockroach.ledger() == [1]
    after = cockroach.record()
    assert (after["version"], after["statements_done"]) == (
        before["version"],
        before["statements_done"],
    )


async def test_a_version_is_put_into_the_ledger_and_taken_out_of_it_by_hand(
    any_mode: Harness,
) -> None:
    any_mode.write("V1__t", "CREATE TABLE t (i INT8)")
    engine = any_mode.engine()
    await engine.resolve.applied(1)
    assert any_mode.ledger() == [1]
    assert (await engine.status())[0].state is State.APPLIED
    assert "t" not in any_mode.tables()
    await engine.resolve.applied(1)
    await engine.resolve.not_applied(1)
    await engine.resolve.not_applied(1)
    assert any_mode.ledger() == []
    (any_mode.folder / "V1__t.sql").unlink()
    assert await refused(engine.resolve.applied, 9) == NO_VERSION_9
    assert await refused(engine.resolve.not_applied, 9) == NO_VERSION_9
    assert await refused(engine.resolve.accept_checksum, 9) == NO_VERSION_9
    assert any_mode.free()


async def test_a_version_whose_file_is_gone_leaves_the_ledger(harness: Harness) -> None:
    path = harness.write("V1__t", "CREATE TABLE t (i INT8)")
    engine = harness.engine()
    await engine.migrate()
    path.unlink()
    await engine.resolve.not_applied(1)
    assert harness.ledger() == []


async def test_a_changed_checksum_is_accepted(any_mode: Harness) -> None:
    any_mode.write("V1__t", "CREATE TABLE t (i INT8)")
    engine = any_mode.engine()
    assert await refused(engine.resolve.accept_checksum, 1) == (
        "V1__t.sql: version 1 is not applied, so there is no checksum to accept. Nothing was changed."
    )
    await engine.migrate()
    any_mode.write("V1__t", "CREATE TABLE t (i INT8) -- a comment")
    assert (await engine.status())[0].state is State.DRIFTED
    await engine.resolve.accept_checksum(1)
    assert (await engine.status())[0].state is State.APPLIED
    assert await engine.migrate() == 0


async def test_the_lease_of_a_runner_that_is_gone_is_broken(any_mode: Harness) -> None:
    any_mode.write("V1__t", "CREATE TABLE t (i INT8)")
    engine = any_mode.engine()
    await engine.initialize()
    any_mode.ask(
        "INSERT INTO _migrations_state (id, owner, epoch, acquired_at, expires_at) "
        "VALUES (1, 'ghost:1:aa', 7, now(), now() + INTERVAL '1 hour')"
    )
    assert await engine.resolve.unlock() == "ghost:1:aa"
    record = any_mode.record()
    assert (record["owner"], record["epoch"]) == (None, 8)
    assert await engine.resolve.unlock() is None
    assert await engine.migrate() == 1


@asynccontextmanager
async def alive(harness: Harness) -> AsyncIterator[str]:
    """While a runner waits at the gate; its name."""
    harness.make_lockable_table()
    harness.write(
        "V1__t", f"CREATE TABLE t (i INT8);\nCREATE TABLE u AS SELECT * FROM {harness.gate}"
    )
    async with anyio.create_task_group() as group, harness.locked_table():
        group.start_soon(harness.engine().migrate)
        await eventually(harness.waits_for_lock)
        (taken,) = harness.told(LeaseTaken)
        yield taken.owner


async def test_nothing_is_recorded_while_a_runner_is_alive(any_mode: Harness) -> None:
    async with alive(any_mode) as owner:
        resolve = any_mode.engine().resolve
        for verb in (resolve.applied, resolve.not_applied, resolve.accept_checksum):
            with pytest.raises(LeaseTimeout) as caught:
                await verb(1)
            assert caught.value.owner == owner
        with pytest.raises(LeaseTimeout) as caught:
            await resolve.unlock()
        end = r"SELECT pg_terminate_backend\(\1\)"
        if any_mode.on_cockroachdb:
            end = r"CANCEL SESSION '\1'"
        assert re.fullmatch(
            rf"{re.escape(owner)} holds the lease and is alive: its session (\w+) is connected "
            r"\((running scripts|applying version 1, statement 2)\)\. Stop that runner; or, if its host "
            rf"is gone, end the session with {end} and unlock again\.",
            str(caught.value),
        )
        assert owner in (await resolve.known()).record.owner
        assert len((await resolve.known()).sessions) >= 1
    assert any_mode.ledger() == [1]
