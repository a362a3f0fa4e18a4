"""Statements that wait for a lock on PostgreSQL: never for long, retried, the holder named."""

from __future__ import annotations

import operator
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import psycopg
import pytest

from manticore_cockroachdb.errors import LockNotGranted, MigrationFailed
from manticore_cockroachdb.events import BatchProgress, Event, LockAwaited
from tests.flavors import Flavour
from tests.harness import Cockroach, Harness, eventually

pytestmark = pytest.mark.needs_postgresql("CockroachDB's schema changes do not queue for locks")

TABLE = (
    "CREATE TABLE t (id INT8 PRIMARY KEY, n INT8 NOT NULL); INSERT INTO t VALUES (1, 0), (2, 0);"
)
ADD = "ALTER TABLE t ADD COLUMN note TEXT;"


@pytest.fixture(params=["harness", "stepwise"])
def both(request: pytest.FixtureRequest, flavour: Flavour) -> Harness:
    """Scripts as one transaction, and statement by statement."""
    found: Harness = request.getfixturevalue(request.param)
    return found


@asynccontextmanager
async def held(harness: Harness, statement: str = "SELECT * FROM t") -> AsyncIterator[Any]:
    """A session that holds a lock until the end of its transaction."""
    async with await psycopg.AsyncConnection.connect(
        harness.direct, application_name="reporting"
    ) as connection:
        await connection.execute(statement.encode())
        yield connection
        await connection.rollback()


async def until_attempt(harness: Harness, attempt: int) -> None:
    """Wait until a lock is waited for in that attempt, with its holder known."""
    await eventually(
        lambda: any(e.attempt >= attempt and e.blockers for e in harness.told(LockAwaited))
    )


@contextmanager
def readers(harness: Harness, number: int) -> Iterator[list[int]]:
    """Sessions that read the table again and again; how often each has read it."""
    reads = [0] * number
    end = threading.Event()

    def read(reader: int) -> None:
        with psycopg.connect(harness.direct, autocommit=True) as connection:
            while not end.is_set():
                connection.execute("SELECT count(*) FROM t")
                reads[reader] += 1
                end.wait(0.01)

    threads = [threading.Thread(target=read, args=(reader,)) for reader in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield reads
    finally:
        end.set()
        for thread in threads:
            thread.join()


async def read_again(reads: list[int]) -> None:
    """Wait until every reader has read once more."""
    before = tuple(reads)
    await eventually(lambda: all(map(operator.gt, reads, before)))


async def test_readers_are_let_through_whenever_the_limit_is_reached(both: Harness) -> None:
    """They queue up after the statement. Without a limit, all would wait until the holder ends."""
    queued = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock' "
        "AND relation = 't'::regclass"
    )
    both.write("V1__t", TABLE)
    await both.engine().migrate()
    both.write("V2__add", ADD)
    with readers(both, 3) as reads:
        async with anyio.create_task_group() as group, held(both):
            group.start_soon(both.engine(ddl_lock_timeout=0.5).migrate)
            await eventually(lambda: both.one(queued))
            for attempt in (2, 3, 4):
                await until_attempt(both, attempt)
                await read_again(reads)
    assert both.ledger() == [1, 2]


async def test_the_holder_is_named_while_the_statement_waits_and_in_the_pauses(
    both: Harness,
) -> None:
    both.write("V1__t", TABLE)
    await both.engine().migrate()
    both.write("V2__add", f"SELECT 1;\n{ADD}")
    async with anyio.create_task_group() as group, held(both) as holder:
        group.start_soon(both.engine(ddl_lock_timeout=1).migrate)
        await until_attempt(both, 2)
        pid = holder.info.backend_pid
    told = both.told(LockAwaited)
    assert {e.pause is None for e in told} == {True, False}
    first = next(event for event in told if event.blockers)
    assert (first.step.version, first.attempts) == (2, 21)
    assert first.statement is not None
    assert first.statement.line == 2
    (blocker,) = first.blockers
    assert (blocker.pid, blocker.application, blocker.state) == (
        pid,
        "reporting",
        "idle in transaction",
    )
    assert blocker.statement == "SELECT * FROM t"
    assert blocker.since is not None
    assert both.free()


async def test_when_the_attempts_are_used_up_the_error_says_who_is_in_front(both: Harness) -> None:
    both.write("V1__t", TABLE)
    await both.engine().migrate()
    both.write("V2__add", ADD)
    async with held(both) as holder:
        with pytest.raises(LockNotGranted) as caught:
            await both.engine(ddl_lock_timeout=3, lock_retries=1).migrate()
        pid, user = holder.info.backend_pid, holder.info.user
    first, tried, front, blocker, way = str(caught.value).splitlines()
    assert first == (
        "V2__add.sql:1: ALTER TABLE t ADD COLUMN note TEXT failed: canceling statement due to lock "
        "timeout (55P03)"
    )
    assert tried.startswith("  It was tried 2 times in ")
    assert tried.endswith(" s, and nothing of it took effect.")
    assert front == "  In front of it were:"
    assert blocker.startswith(f"    pid {pid} ({user}, reporting, idle in transaction for ")
    assert blocker.endswith(" s): SELECT * FROM t")
    assert way == (
        "  Nothing of version 2 was applied. See who holds the lock now with manticore_migrate "
        "--show-blockers, wait for that session or end it, and migrate again; or allow more attempts "
        "(LOCK_RETRIES)."
    )
    assert caught.value.blockers == (blocker.strip(),)
    assert (both.ledger(), both.free()) == ([1], True)
    assert await both.engine(ddl_lock_timeout=0.2).migrate() == 1


async def test_the_header_and_the_option_before_a_statement_set_the_limit(both: Harness) -> None:
    both.write("V1__t", "CREATE TABLE seen (i INT8, value TEXT);")
    both.write(
        "V2__limits",
        "-- manticore: lock_timeout=7s\n"
        "INSERT INTO seen SELECT 1, current_setting('lock_timeout');\n"
        "-- manticore: lock_timeout=300ms\n"
        "INSERT INTO seen SELECT 2, current_setting('lock_timeout');\n"
        "INSERT INTO seen SELECT 3, current_setting('lock_timeout');\n"
        "SET lock_timeout = '9s';\n"
        "INSERT INTO seen SELECT 4, current_setting('lock_timeout');\n"
        "-- manticore: lock_timeout=0s\n"
        "INSERT INTO seen SELECT 5, current_setting('lock_timeout');\n"
        "INSERT INTO seen SELECT 6, current_setting('lock_timeout');\n",
    )
    both.write("V3__none", "INSERT INTO seen SELECT 7, current_setting('lock_timeout');")
    both.write(
        "V4__default",
        "CREATE TABLE u (i INT8);\nDO $$ BEGIN INSERT INTO seen SELECT 8, "
        "current_setting('lock_timeout'); END $$;",
    )
    assert await both.engine(ddl_lock_timeout=2).migrate() == 4
    assert both.ask("SELECT value FROM seen ORDER BY i") == [
        ("7s",),
        ("300ms",),
        ("7s",),
        ("9s",),
        ("0",),
        ("9s",),
        ("0",),
        ("2s",),
    ]


async def test_a_statement_outside_transactions_has_its_limit_and_is_tried_again(
    harness: Harness,
) -> None:
    harness.write("V1__t", TABLE)
    await harness.engine().migrate()
    harness.write("V2__full", "-- manticore: mode=autocommit, lock_timeout=200ms\nVACUUM FULL t;")
    async with anyio.create_task_group() as group, held(harness):
        group.start_soon(harness.engine().migrate)
        await until_attempt(harness, 2)
    assert harness.ledger() == [1, 2]


async def test_a_procedure_that_committed_a_part_is_not_called_again(harness: Harness) -> None:
    harness.write(
        "V1__t",
        f"{TABLE}\nCREATE TABLE calls (i INT8);\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO calls VALUES (1); COMMIT; LOCK TABLE t; END $$;",
    )
    await harness.engine().migrate()
    harness.write("V2__call", "-- manticore: mode=autocommit, lock_timeout=200ms\nCALL p();")
    async with held(harness):
        with pytest.raises(MigrationFailed, match="had committed before it failed stays committed"):
            await harness.engine().migrate()
    assert harness.one("SELECT count(*) FROM calls") == 1


async def test_nowait_asks_for_an_answer_at_once_and_gets_it(both: Harness) -> None:
    both.write("V1__t", TABLE)
    await both.engine().migrate()
    both.write("V2__now", "LOCK TABLE t NOWAIT;\nUPDATE t SET n = 1;")
    async with held(both):
        with pytest.raises(MigrationFailed, match="could not obtain lock on relation"):
            await both.engine(ddl_lock_timeout=5).migrate()
    assert both.told(LockAwaited) == []


async def test_a_window_that_meets_a_locked_row_is_halved_and_tried_again(harness: Harness) -> None:
    harness.write("V1__t", TABLE)
    await harness.engine().migrate()
    harness.write(
        "V2__add",
        "-- manticore: batch=2\n-- manticore: lock_timeout=200ms\nUPDATE t SET n = n + 1;",
    )
    row = "SELECT * FROM t WHERE id = 2 FOR UPDATE"
    async with anyio.create_task_group() as group, held(harness, row):
        group.start_soon(harness.engine().migrate)
        await until_attempt(harness, 1)
        await eventually(lambda: harness.told(BatchProgress))
        assert harness.ask("SELECT id, n FROM t ORDER BY id") == [(1, 1), (2, 0)]
    assert harness.ask("SELECT id, n FROM t ORDER BY id") == [(1, 1), (2, 1)]


async def test_ctrl_c_during_a_pause_releases_the_lease(both: Harness) -> None:
    both.write("V1__t", TABLE)
    await both.engine().migrate()
    both.write("V2__add", ADD)

    def listen(event: Event) -> None:
        both.events.append(event)
        if isinstance(event, LockAwaited) and event.pause is not None:
            raise KeyboardInterrupt

    async with held(both):
        with pytest.raises(KeyboardInterrupt):
            await both.engine(ddl_lock_timeout=0.2, listener=listen).migrate()
    assert (both.ledger(), both.free()) == ([1], True)


async def test_cockroachdb_is_not_asked_for_a_limit(cockroach: Cockroach) -> None:
    cockroach.write("V1__t", f"-- manticore: lock_timeout=2s\n{TABLE}")
    assert await cockroach.engine(ddl_lock_timeout=1).migrate() == 1
    assert cockroach.sent("LOCAL lock_timeout") == []
