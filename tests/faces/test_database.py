"""A database for everyday statements."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from manticore_cockroachdb import AsyncDatabase, AsyncMigrator
from manticore_cockroachdb.errors import ConnectionFailed, ConnectionLost, DatabaseError
from tests.fake_cockroach import drop_after, error
from tests.flavors import Flavour
from tests.harness import Cockroach, Harness

ROOT = Path(__file__).parents[2]


async def transact(flavour: Flavour, database: Any, *statements: str, then: Any = None) -> Any:
    """Run statements in a transaction, in the way of the flavor; what `work` returned."""
    tries = []

    if flavour.name == "async":

        async def work(transaction: Any) -> Any:
            tries.append(1)
            rows = [await transaction.execute(statement) for statement in statements]
            if then is not None:
                raise then
            return rows[-1], len(tries)
    else:

        def work(transaction: Any) -> Any:  # type: ignore[misc]
            tries.append(1)
            rows = [transaction.execute(statement) for statement in statements]
            if then is not None:
                raise then
            return rows[-1], len(tries)

    return await database.run_in_transaction(work)


async def test_rows_come_as_dicts(harness: Harness) -> None:
    database = harness.database()
    assert await database.execute("CREATE TABLE t (a INT8, b TEXT)") == []
    assert await database.execute("INSERT INTO t VALUES (1, 'x'), (2, NULL)") == []
    assert await database.execute("SELECT * FROM t ORDER BY a") == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": None},
    ]
    assert await database.execute("SELECT a FROM t WHERE false") == []
    assert await database.execute("UPDATE t SET b = 'y' WHERE a = 2 RETURNING b") == [{"b": "y"}]


async def test_parameters_and_percent_signs(harness: Harness) -> None:
    database = harness.database()
    assert await database.execute("SELECT '100%' AS a") == [{"a": "100%"}]
    assert await database.execute("SELECT %s || '%%' AS a", ["50"]) == [{"a": "50%"}]
    assert await database.execute("SELECT %(x)s::INT8 AS a", {"x": 7}) == [{"a": 7}]
    assert await database.execute("SELECT %s::INT8 AS a", (1,)) == [{"a": 1}]


async def test_several_statements_at_once_as_in_a_down_section(harness: Harness) -> None:
    harness.write(
        "V1__t", "CREATE TABLE t (a TEXT);\n-- DOWN\n-- a comment\nDELETE FROM t;\nDROP TABLE t;"
    )
    engine = harness.engine()
    await engine.migrate()
    database = harness.database()
    (script,) = await engine.load_migrations()
    assert await database.execute(script.down_sql) == []
    assert await database.execute("DELETE FROM _migrations WHERE version = %s", [1]) == []
    with pytest.raises(DatabaseError) as caught:
        await database.execute("DROP TABLE t")
    assert caught.value.sqlstate == "42P01"
    assert str(caught.value) in (
        'table "t" does not exist (42P01)',
        'relation "t" does not exist (42P01)',
    )
    assert await engine.migrate() == 1
    assert await database.execute("SELECT 1 AS a; SELECT 2 AS a") == [{"a": 2}]


async def test_errors_carry_what_the_server_said(harness: Harness) -> None:
    database = harness.database()
    await database.execute("CREATE TABLE t (a INT8 PRIMARY KEY)")
    await database.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(DatabaseError) as caught:
        await database.execute("INSERT INTO t VALUES (1)")
    assert caught.value.sqlstate == "23505"
    assert caught.value.detail
    assert f"(23505)\n  Detail: {caught.value.detail}" in str(caught.value)
    with pytest.raises(DatabaseError) as caught:
        await database.execute("SELECT missing")
    assert caught.value.sqlstate == "42703"
    assert str(caught.value) == 'column "missing" does not exist (42703)'
    assert await database.execute("SELECT 1 AS a") == [{"a": 1}]


async def test_it_connects_when_first_used_and_again_after_closing(harness: Harness) -> None:
    database = harness.database()
    assert database.server is None
    await database.connect()
    await database.connect()
    assert database.server.database == harness.one("SELECT current_database()")
    async with database:
        assert await database.execute("SELECT 1 AS a") == [{"a": 1}]
    await database.close()
    await database.close()
    assert await database.execute("SELECT 1 AS a") == [{"a": 1}]


async def test_many_statements_at_once_share_the_pool(harness: Harness) -> None:
    database = harness.database(max_connections=3)
    await database.execute("CREATE TABLE t (a INT8)")

    async def insert(value: int) -> None:
        await database.execute("INSERT INTO t VALUES (%s)", [value])

    async with anyio.create_task_group() as group:
        for value in range(30):
            group.start_soon(insert, value)
    assert await database.execute("SELECT sum(a)::INT8 AS s FROM t") == [{"s": 435}]


async def test_a_pool_that_has_none_left_says_so(harness: Harness) -> None:
    database = harness.database(max_connections=1, timeout=4)
    await database.connect()
    place = harness.url.partition("@")[2].partition("?")[0]
    if harness.flavour.name == "async":

        async def work(transaction: Any) -> None:
            await database.execute("SELECT 1")
    else:

        def work(transaction: Any) -> None:  # type: ignore[misc]
            database.wrapped.execute("SELECT 1")

    with pytest.raises(ConnectionFailed) as caught:
        await database.run_in_transaction(work)
    assert str(caught.value) == (
        f"No connection to {place} is available: couldn't get a connection after 4.00 sec. Check that "
        "the server is up, or allow the pool more connections (max_connections)."
    )
    assert await database.execute("SELECT 1 AS a") == [{"a": 1}]


async def test_a_transaction_is_committed_or_rolled_back_as_one(harness: Harness) -> None:
    database = harness.database()
    await database.execute("CREATE TABLE t (a INT8)")
    assert await transact(
        harness.flavour,
        database,
        "INSERT INTO t VALUES (1)",
        "SELECT current_setting('transaction_isolation') AS i",
    ) == ([{"i": "serializable"}], 1)
    with pytest.raises(KeyError):
        await transact(harness.flavour, database, "INSERT INTO t VALUES (2)", then=KeyError("mine"))
    with pytest.raises(DatabaseError):
        await transact(harness.flavour, database, "INSERT INTO t VALUES (3)", "SELECT nothing")
    assert await database.execute("SELECT a FROM t") == [{"a": 1}]


@pytest.mark.parametrize("where", ["INSERT", "^COMMIT"])
async def test_a_transaction_is_run_again_when_the_server_says_so(
    cockroach: Cockroach, where: str
) -> None:
    database = cockroach.database()
    await database.execute("CREATE TABLE t (a INT8)")
    for nth in (1, 2):
        cockroach.fake.rule(where, nth=nth, then=error("40001", "restart transaction"))
    given = await transact(cockroach.flavour, database, "INSERT INTO t VALUES (1)", "SELECT 1 AS a")
    assert given == ([{"a": 1}], 3)
    assert cockroach.ask("SELECT a FROM t") == [(1,)]


async def test_a_connection_lost_is_reported_and_the_next_statement_gets_a_new_one(
    cockroach: Cockroach,
) -> None:
    database = cockroach.database()
    await database.execute("CREATE TABLE t (a INT8)")
    cockroach.fake.rule("INSERT INTO t", then=drop_after())
    with pytest.raises(ConnectionLost) as caught:
        await database.execute("INSERT INTO t VALUES (1)")
    assert str(caught.value).startswith("the connection was lost: ")
    assert await database.execute("SELECT a FROM t") == [{"a": 1}]


async def test_inside_a_running_loop_as_at_the_start_of_a_web_application(
    database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (a INT8)")
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.001)

    other = asyncio.create_task(beat())
    async with AsyncDatabase.from_url(database_url) as database:
        migrator = AsyncMigrator(database, tmp_path)
        assert await migrator.migrate() == 1
        assert await database.execute("SELECT count(*)::INT8 AS n FROM _migrations") == [{"n": 1}]
    other.cancel()
    assert beats > 3


LEFT_OPEN = """
import sys
from manticore_cockroachdb import Database

database = Database.from_url(sys.argv[1])
print(database.execute("SELECT 1 AS a"))
{then}
"""


@pytest.mark.parametrize("then", ["", "raise SystemExit(0)", "del database"])
def test_a_database_left_open_at_exit_says_nothing(database_url: str, then: str) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-W",
            "error",
            "-c",
            LEFT_OPEN.format(then=then),
            database_url,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("[{'a': 1}]\n", "", 0)
