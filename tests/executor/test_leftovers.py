"""What a CONCURRENTLY that failed leaves on PostgreSQL is removed, and never counts as done."""

from __future__ import annotations

import anyio
import psycopg
import pytest

from manticore_cockroachdb.errors import LockNotGranted, MigrationFailed
from tests.harness import Harness, eventually

pytestmark = pytest.mark.needs_postgresql("only PostgreSQL leaves invalid indexes")

NOTHING = "  Nothing of version 1 was applied. Fix the file (or the rows) and migrate again."


def indexes(harness: Harness) -> list[tuple[str, bool]]:
    """Every index of the table t: its name, and whether it is valid."""
    return harness.ask(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = 't'::regclass ORDER BY 1"
    )


async def failure(harness: Harness) -> str:
    with pytest.raises(MigrationFailed) as failed:
        await harness.engine(lock_retries=0).migrate()
    return str(failed.value)


@pytest.mark.parametrize("name", ["i", "IF NOT EXISTS i", ""])
@pytest.mark.parametrize("mode", ["", "-- manticore: mode=autocommit\n"])
async def test_an_index_that_failed_over_duplicates_is_dropped_and_built_after_the_fix(
    harness: Harness, name: str, mode: str
) -> None:
    harness.ask("CREATE TABLE t (v INT8); INSERT INTO t VALUES (1), (1)")
    statement = f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON t (v)".replace("  ", " ")
    harness.write("V1__i", f"{mode}{statement}")
    index = "i" if name else "t_v_idx"
    line = 2 if mode else 1
    said = (
        f'V1__i.sql:{line}: {statement} failed: could not create unique index "{index}" (23505)\n'
        f"  Detail: Key (v)=(1) is duplicated.\n{NOTHING}"
    )
    for _ in range(2):
        assert await failure(harness) == said
        assert indexes(harness) == []
        assert harness.free()
        assert harness.ledger() == []
    harness.ask("DELETE FROM t")
    assert await harness.engine().migrate() == 1
    assert indexes(harness) == [(index, True)]
    dropped = (
        f"V1__i.sql:{line}: dropped the invalid index public.{index}, which a failed attempt "
        "had left."
    )
    assert harness.warnings() == [dropped] * 2


@pytest.mark.parametrize("name", ["i", "IF NOT EXISTS i"])
async def test_an_invalid_index_from_before_is_dropped_and_built_again(
    harness: Harness, name: str
) -> None:
    harness.ask("CREATE TABLE t (v INT8); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        harness.ask("CREATE UNIQUE INDEX CONCURRENTLY i ON t (v)")
    harness.ask("DELETE FROM t")
    harness.write("V1__i", f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON t (v)")
    assert await harness.engine().migrate() == 1
    assert indexes(harness) == [("i", True)]


async def test_an_index_that_waited_too_long_for_a_lock_is_dropped(harness: Harness) -> None:
    harness.ask("CREATE TABLE t (v INT8)")
    harness.write(
        "V1__i", "SET lock_timeout = '200ms';\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (v)"
    )
    async with await psycopg.AsyncConnection.connect(harness.direct) as other:
        await other.execute("INSERT INTO t VALUES (1)")
        said = await failure(harness)
    # The settings before it are done; the index is not, and its removal had to wait as well.
    assert "canceling statement due to lock timeout (55P03)" in said
    assert harness.ledger() == []
    assert await harness.engine().migrate() == 1
    assert indexes(harness) == [("i", True)]


@pytest.mark.parametrize("retries", [0, 1])
async def test_removing_an_index_waits_no_longer_than_its_statement_may(
    harness: Harness, retries: int
) -> None:
    harness.ask("CREATE TABLE t (v INT8)")
    script = "SELECT 1;\n-- manticore: lock_timeout=200ms\nCREATE INDEX CONCURRENTLY i ON t (v);"
    harness.write("V1__i", script)
    async with await psycopg.AsyncConnection.connect(harness.direct) as other:
        await other.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(LockNotGranted) as caught:
            await harness.engine(lock_retries=retries).migrate()
        assert "It left the invalid index public.i" in str(caught.value)
        assert indexes(harness) == [("i", False)]
    assert await harness.engine().migrate() == 1
    assert indexes(harness) == [("i", True)]


async def test_an_index_that_lost_a_deadlock_is_dropped_and_tried_again(harness: Harness) -> None:
    """A session looks for a deadlock once in each wait, a while after the wait began.

    So that the index finds it, however slow the machine is, it waits for two sessions in
    turn. The second one asks for what the index holds before the wait for it begins.
    """
    waiting = (
        "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query LIKE '{}%'"
    )
    blocks_the_index = f"SELECT unnest(pg_blocking_pids(pid)) {waiting.format('CREATE INDEX')}"
    lock = "LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE"
    harness.ask("CREATE TABLE t (v INT8); INSERT INTO t VALUES (1)")
    harness.write("V1__i", "CREATE INDEX CONCURRENTLY i ON t (v)")
    async with (
        await psycopg.AsyncConnection.connect(harness.direct) as one,
        await psycopg.AsyncConnection.connect(harness.direct) as other,
        anyio.create_task_group() as tasks,
    ):
        for session in (one, other):
            await session.execute("SET deadlock_timeout = '1h'")
            await session.execute("INSERT INTO t VALUES (2)")
        tasks.start_soon(harness.engine().migrate)
        ((pid,),) = await eventually(lambda: harness.ask(blocks_the_index))
        first, second = (one, other) if pid == one.info.backend_pid else (other, one)

        async def lock_and_commit() -> None:
            await second.execute(lock)
            await second.commit()

        tasks.start_soon(lock_and_commit)
        await eventually(lambda: harness.ask(f"SELECT 1 {waiting.format('LOCK TABLE')}"))
        await first.commit()
    assert indexes(harness) == [("i", True)]
    assert harness.ledger() == [1]
    assert harness.warnings() == [
        "V1__i.sql:1: dropped the invalid index public.i, which a failed attempt had left."
    ]


async def test_an_index_that_another_session_is_building_is_waited_for(harness: Harness) -> None:
    harness.ask("CREATE TABLE t (v INT8); INSERT INTO t VALUES (1)")
    harness.write("V1__i", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (v)")
    await harness.engine().initialize()
    async with (
        await psycopg.AsyncConnection.connect(harness.direct) as blocker,
        await psycopg.AsyncConnection.connect(harness.direct, autocommit=True) as builder,
        anyio.create_task_group() as tasks,
    ):
        # The two builds wait for each other in the end. This one never gives in: ours tries again.
        await builder.execute("SET deadlock_timeout = '1h'")
        await blocker.execute("INSERT INTO t VALUES (2)")
        tasks.start_soon(builder.execute, "CREATE INDEX CONCURRENTLY i ON t (v)")
        await eventually(lambda: indexes(harness) == [("i", False)])
        before = harness.one("SELECT 'i'::regclass::oid")
        tasks.start_soon(harness.engine(ddl_lock_timeout=2).migrate)
        await eventually(lambda: harness.one("SELECT bool_or(in_flight) FROM _migrations_state"))
        await blocker.commit()
    assert indexes(harness) == [("i", True)]
    assert harness.one("SELECT 'i'::regclass::oid") == before
    assert harness.ledger() == [1]


async def test_a_copy_that_a_failed_reindex_left_is_dropped(harness: Harness) -> None:
    harness.ask("CREATE TABLE t (v INT8); CREATE INDEX i ON t (v)")
    harness.write("V1__r", "SET lock_timeout = '200ms';\nREINDEX INDEX CONCURRENTLY i")
    async with await psycopg.AsyncConnection.connect(harness.direct) as other:
        await other.execute("INSERT INTO t VALUES (1)")
        said = await failure(harness)
        assert indexes(harness) == [("i", True), ("i_ccnew", False)]
    assert "It left the invalid index public.i_ccnew." in said
    assert "Nothing of version" not in said
    assert await harness.engine().migrate() == 1
    assert indexes(harness) == [("i", True)]


async def test_an_index_that_is_partially_dropped_is_reported_as_invalid(harness: Harness) -> None:
    harness.ask("CREATE TABLE t (v INT8); CREATE INDEX i ON t (v)")
    harness.write("V1__d", "SET lock_timeout = '200ms';\nDROP INDEX CONCURRENTLY i")
    async with await psycopg.AsyncConnection.connect(harness.direct) as other:
        await other.execute("SELECT * FROM t")
        said = await failure(harness)
    assert said == (
        "V1__d.sql:2: DROP INDEX CONCURRENTLY i failed: canceling statement due to lock timeout (55P03)\n"
        "  The index public.i is invalid now: queries no longer use it. The next run drops it.\n"
        "  It was tried once.\n"
        "  Its first statement is done and recorded; version 1 is partially applied. See who holds the "
        "lock now with manticore_migrate --show-blockers, wait for that session or end it, and migrate "
        "again; or allow more attempts (LOCK_RETRIES)."
    )
    assert await harness.engine().migrate() == 1
    assert indexes(harness) == []


@pytest.mark.needs_postgresql_since((14,), "DETACH PARTITION CONCURRENTLY came with 14")
async def test_a_partition_that_is_half_detached_is_detached_by_the_next_run(
    harness: Harness,
) -> None:
    harness.ask(
        "CREATE TABLE p (i INT8) PARTITION BY LIST (i); "
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)"
    )
    harness.write(
        "V1__d", "SET lock_timeout = '200ms';\nALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"
    )
    async with await psycopg.AsyncConnection.connect(harness.direct) as other:
        await other.execute("SELECT * FROM p")
        said = await failure(harness)
    assert (
        "  The partition public.p1 is pending detach: queries no longer read it through its table. "
        "The next run completes that with DETACH PARTITION … FINALIZE.\n"
    ) in said
    assert "Nothing of version" not in said
    assert await harness.engine().migrate() == 1
    assert harness.ask("SELECT * FROM pg_inherits WHERE inhparent = 'p'::regclass") == []
    assert harness.ledger() == [1]
    assert harness.warnings() == [
        "V1__d.sql:2: completed the detach of the partition public.p1, which an earlier attempt had begun."
    ]
