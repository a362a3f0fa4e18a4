"""Scripts run at the server's own isolation level, and other runners are kept out all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import psycopg
import pytest

from manticore_cockroachdb.errors import PlanRefused
from manticore_cockroachdb.events import Retrying
from tests.harness import Cockroach, Harness, eventually

pytestmark = pytest.mark.needs_postgresql("CockroachDB runs every script SERIALIZABLE")

LEVELS = ["read committed", "repeatable read", "serializable"]
SWAP = """\
LOCK TABLE t;
INSERT INTO t_new SELECT * FROM t;
DROP TABLE t;
ALTER TABLE t_new RENAME TO t;
"""


@asynccontextmanager
async def shut_door(harness: Harness) -> AsyncIterator[None]:
    """While this is open, whoever reads the table `door` waits."""
    harness.ask("CREATE TABLE door ()")
    async with await psycopg.AsyncConnection.connect(harness.direct) as connection:
        await connection.execute("LOCK TABLE door IN ACCESS EXCLUSIVE MODE")
        yield
        await connection.rollback()


def waits_for_a_lock(harness: Harness) -> bool:
    found: int = harness.one(
        "SELECT count(*) FROM pg_locks WHERE NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return found > 0


@pytest.mark.parametrize("header", ["", *(f"-- manticore: isolation={each}\n" for each in LEVELS)])
@pytest.mark.parametrize("default", ["read committed", "serializable"])
async def test_rows_that_were_committed_before_a_lock_was_granted_are_kept(
    harness: Harness, header: str, default: str
) -> None:
    name = harness.one("SELECT current_database()")
    harness.ask(f"ALTER DATABASE {name} SET default_transaction_isolation = '{default}'")
    harness.ask("CREATE TABLE t (i INT8); CREATE TABLE t_new (i INT8); INSERT INTO t VALUES (1)")
    harness.write("V1__swap", header + SWAP)
    async with await psycopg.AsyncConnection.connect(harness.direct) as other:
        await other.execute("INSERT INTO t VALUES (2)")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(harness.engine().migrate)
            await eventually(lambda: waits_for_a_lock(harness))
            await other.commit()
    assert harness.ask("SELECT i FROM t ORDER BY i") == [(1,), (2,)]
    assert harness.ledger() == [1]


async def test_a_step_by_step_script_keeps_them_too(stepwise: Harness) -> None:
    stepwise.ask("CREATE TABLE t (i INT8); CREATE TABLE t_new (i INT8); INSERT INTO t VALUES (1)")
    stepwise.write("V1__swap", f"-- manticore: isolation=serializable\n{SWAP}")
    async with await psycopg.AsyncConnection.connect(stepwise.direct) as other:
        await other.execute("INSERT INTO t VALUES (2)")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stepwise.engine().migrate)
            await eventually(lambda: waits_for_a_lock(stepwise))
            await other.commit()
    assert stepwise.ask("SELECT i FROM t ORDER BY i") == [(1,), (2,)]


@pytest.mark.parametrize("level", LEVELS)
async def test_a_header_asks_for_another_level(harness: Harness, level: str) -> None:
    level_of = "current_setting('transaction_isolation')"
    for version, mode in enumerate(("atomic", "stepwise"), 1):
        harness.write(
            f"V{version}__level",
            f"-- manticore: mode={mode}, isolation={level}\n"
            f"CREATE TABLE IF NOT EXISTS levels (i TEXT);\nINSERT INTO levels SELECT {level_of};",
        )
    harness.write("V3__default", f"INSERT INTO levels SELECT {level_of};")
    assert await harness.engine().migrate() == 3
    assert harness.ask("SELECT i FROM levels") == [(level,), (level,), ("read committed",)]


async def test_a_long_update_beside_small_writes_runs_in_one_go(harness: Harness) -> None:
    harness.ask(
        "CREATE TABLE t (i INT8, n INT8); INSERT INTO t SELECT i, 0 FROM generate_series(1, 3) i"
    )
    harness.write("V1__all", "SELECT FROM door;\nUPDATE t SET n = n + 1;")
    async with anyio.create_task_group() as tasks, shut_door(harness):
        tasks.start_soon(harness.engine().migrate)
        await eventually(lambda: waits_for_a_lock(harness))
        harness.ask("UPDATE t SET n = n + 10 WHERE i = 2")
    assert harness.ask("SELECT n FROM t ORDER BY i") == [(1,), (11,), (1,)]
    assert harness.told(Retrying) == []


async def test_no_other_runner_gets_in_while_a_script_runs(harness: Harness) -> None:
    harness.ask("CREATE TABLE t (i INT8)")
    harness.write("V1__slow", "INSERT INTO t VALUES (1);\nSELECT FROM door;")
    done: list[int] = []

    async def migrate() -> None:
        done.append(await harness.engine(lease=1).migrate())

    async with anyio.create_task_group() as tasks, shut_door(harness):
        tasks.start_soon(migrate)
        await eventually(lambda: waits_for_a_lock(harness))
        # Its lease has expired, and nobody can take it before the transaction ends.
        await eventually(
            lambda: harness.one(
                "SELECT expires_at < now() - INTERVAL '1.5 s' FROM _migrations_state"
            )
        )
        tasks.start_soon(migrate)
        await eventually(
            lambda: harness.one(
                "SELECT count(*) FROM pg_locks WHERE NOT granted "
                "AND relation = '_migrations_state'::regclass"
            )
        )
    assert sorted(done) == [0, 1]
    assert harness.ask("SELECT * FROM t") == [(1,)]


async def test_cockroachdb_runs_scripts_serializable_only(cockroach: Cockroach) -> None:
    cockroach.write("V1__a", "-- manticore: isolation=serializable\nSELECT 1;")
    cockroach.write("V2__b", "-- manticore: isolation=read committed\nSELECT 1;")
    with pytest.raises(PlanRefused) as refused:
        await cockroach.engine().migrate()
    assert str(refused.value) == (
        "V2__b.sql: on CockroachDB scripts run at isolation level serializable, and the "
        "file says isolation=read committed. Remove the option. Nothing was run."
    )
    assert await cockroach.engine().migrate(1) == 1
    assert cockroach.sent("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE")
