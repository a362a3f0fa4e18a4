"""What a real CockroachDB of any version must show: bootstrap, whole scripts, streams of rows."""

from __future__ import annotations

import pytest

from manticore_cockroachdb import Mode
from manticore_cockroachdb.errors import MigrationFailed
from manticore_cockroachdb.events import Retrying, StepStarted
from tests.engine.bench import Bench

pytestmark = pytest.mark.needs_cockroachdb

TABLES = range(1, 9)


def fresh(bench: Bench) -> None:
    for n in TABLES:
        bench.write(
            f"V{n}__t{n}",
            f"CREATE TABLE t{n} (id INT8 PRIMARY KEY, name TEXT);\n"
            f"CREATE INDEX t{n}_name ON t{n} (name);\n"
            f"ALTER TABLE t{n} ADD COLUMN code TEXT;\n"
            f"INSERT INTO t{n} (id, name) VALUES (1, 'a');\n"
            f"CREATE UNIQUE INDEX t{n}_code ON t{n} (name, id);\n-- DOWN\nDROP TABLE t{n};\n",
        )


def schema(bench: Bench) -> list[str]:
    return [bench.ask(f"SHOW CREATE TABLE t{n}")[0][1] for n in TABLES]


async def test_bootstrap_is_one_transaction_and_makes_the_same_schema_as_stepwise(
    bench: Bench,
) -> None:
    fresh(bench)
    assert await bench.engine().bootstrap() == len(TABLES)
    assert {event.mode for event in bench.told(StepStarted)} == {Mode.ATOMIC}
    assert len(bench.ask("SELECT DISTINCT applied_at FROM _migrations")) == 1
    made = schema(bench)
    await bench.engine().migrate(0)
    bench.events.clear()
    assert await bench.engine().migrate() == len(TABLES)
    assert {event.mode for event in bench.told(StepStarted)} == {Mode.STEPWISE}
    assert schema(bench) == made


async def test_a_whole_script_is_a_transaction_that_changes_the_schema_and_writes(
    bench: Bench,
) -> None:
    bench.write(
        "V1__a",
        "-- manticore: mode=atomic\nCREATE TABLE a (i INT8 PRIMARY KEY);\nINSERT INTO a VALUES (1);\n"
        "CREATE TABLE b (i INT8 REFERENCES a (i));",
    )
    assert await bench.engine().migrate() == 1
    assert bench.ask("SELECT i FROM a") == [(1,)]
    assert bench.free()


async def test_a_whole_script_whose_schema_change_failed_is_not_recorded(bench: Bench) -> None:
    bench.write("V1__a", "CREATE TABLE a (i INT8 PRIMARY KEY, v INT8)")
    bench.write("V2__r", "INSERT INTO a VALUES (1, 1), (2, 1)")
    bench.write("V3__u", "-- manticore: mode=atomic\nCREATE UNIQUE INDEX a_v ON a (v);")
    for _ in range(2):
        with pytest.raises(MigrationFailed) as failed:
            await bench.engine().migrate()
        assert "Part of version 3 is there and part is not, and it is not in the" in str(
            failed.value
        )
        assert bench.ledger() == [1, 2]
    assert bench.record()["error"] is not None


async def test_brief_scripts_share_transactions(bench: Bench) -> None:
    bench.ask("CREATE TABLE t (i INT8 PRIMARY KEY)")
    for n in range(1, 41):
        bench.write(f"V{n}__r", f"INSERT INTO t VALUES ({n})")
    bench.write("V30__r", "INSERT INTO t VALUES (30), (2)")
    with pytest.raises(MigrationFailed) as failed:
        await bench.engine().migrate()
    assert str(failed.value).startswith("V30__r.sql:1: INSERT INTO t VALUES (30), (2) failed: ")
    assert bench.ledger() == list(range(1, 30))
    bench.write("V30__r", "INSERT INTO t VALUES (30)")
    assert await bench.engine().migrate() == 11
    assert len(bench.ask("SELECT DISTINCT applied_at FROM _migrations")) < 20
    assert bench.told(Retrying) == []


async def test_autocommit_sends_every_statement_by_itself(bench: Bench) -> None:
    bench.write(
        "V1__a",
        "-- manticore: mode=autocommit\nCREATE TABLE a (i INT8 PRIMARY KEY);\n"
        "INSERT INTO a VALUES (1);\nCREATE INDEX a_i ON a (i);",
    )
    assert await bench.engine().migrate() == 1
    assert [event.mode for event in bench.told(StepStarted)] == [Mode.AUTOCOMMIT]
    assert bench.ask("SELECT i FROM a") == [(1,)]
