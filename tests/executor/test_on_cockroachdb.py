"""What a real CockroachDB of any version must show: bootstrap, whole scripts, streams of rows."""

from __future__ import annotations

import pytest

from manticore_cockroachdb import Mode
from manticore_cockroachdb.errors import MigrationFailed
from manticore_cockroachdb.events import Retrying, StepStarted
from tests.harness import Harness

pytestmark = pytest.mark.needs_cockroachdb

TABLES = range(1, 9)


def fresh(harness: Harness) -> None:
    for n in TABLES:
        harness.write(
            f"V{n}__t{n}",
            f"CREATE TABLE t{n} (id INT8 PRIMARY KEY, name TEXT);\n"
            f"CREATE INDEX t{n}_name ON t{n} (name);\n"
            f"ALTER TABLE t{n} ADD COLUMN code TEXT;\n"
            f"INSERT INTO t{n} (id, name) VALUES (1, 'a');\n"
            f"CREATE UNIQUE INDEX t{n}_code ON t{n} (name, id);\n-- DOWN\nDROP TABLE t{n};\n",
        )


def schema(harness: Harness) -> list[str]:
    return [harness.ask(f"SHOW CREATE TABLE t{n}")[0][1] for n in TABLES]


async def test_bootstrap_is_one_transaction_and_makes_the_same_schema_as_stepwise(
    harness: Harness,
) -> None:
    fresh(harness)
    assert await harness.engine().bootstrap() == len(TABLES)
    assert {event.mode for event in harness.told(StepStarted)} == {Mode.ATOMIC}
    assert len(harness.ask("SELECT DISTINCT applied_at FROM _migrations")) == 1
    made = schema(harness)
    await harness.engine().migrate(0)
    harness.events.clear()
    assert await harness.engine().migrate() == len(TABLES)
    assert {event.mode for event in harness.told(StepStarted)} == {Mode.STEPWISE}
    assert schema(harness) == made


async def test_a_whole_script_is_a_transaction_that_changes_the_schema_and_writes(
    harness: Harness,
) -> None:
    harness.write(
        "V1__a",
        "-- manticore: mode=atomic\nCREATE TABLE a (i INT8 PRIMARY KEY);\nINSERT INTO a VALUES (1);\n"
        "CREATE TABLE b (i INT8 REFERENCES a (i));",
    )
    assert await harness.engine().migrate() == 1
    assert harness.ask("SELECT i FROM a") == [(1,)]
    assert harness.free()


async def test_a_whole_script_whose_schema_change_failed_is_not_recorded(harness: Harness) -> None:
    harness.write("V1__a", "CREATE TABLE a (i INT8 PRIMARY KEY, v INT8)")
    harness.write("V2__r", "INSERT INTO a VALUES (1, 1), (2, 1)")
    harness.write("V3__u", "-- manticore: mode=atomic\nCREATE UNIQUE INDEX a_v ON a (v);")
    for _ in range(2):
        with pytest.raises(MigrationFailed) as failed:
            await harness.engine().migrate()
        assert (
            "Part of version 3 exists and part does not, and it is not recorded as applied."
            in str(failed.value)
        )
        assert harness.ledger() == [1, 2]
    assert harness.record()["error"] is not None


async def test_brief_scripts_share_transactions(harness: Harness) -> None:
    harness.ask("CREATE TABLE t (i INT8 PRIMARY KEY)")
    for n in range(1, 41):
        harness.write(f"V{n}__r", f"INSERT INTO t VALUES ({n})")
    harness.write("V30__r", "INSERT INTO t VALUES (30), (2)")
    with pytest.raises(MigrationFailed) as failed:
        await harness.engine().migrate()
    assert str(failed.value).startswith("V30__r.sql:1: INSERT INTO t VALUES (30), (2) failed: ")
    assert harness.ledger() == list(range(1, 30))
    harness.write("V30__r", "INSERT INTO t VALUES (30)")
    assert await harness.engine().migrate() == 11
    assert len(harness.ask("SELECT DISTINCT applied_at FROM _migrations")) < 20
    assert harness.told(Retrying) == []


async def test_autocommit_sends_every_statement_alone(harness: Harness) -> None:
    harness.write(
        "V1__a",
        "-- manticore: mode=autocommit\nCREATE TABLE a (i INT8 PRIMARY KEY);\n"
        "INSERT INTO a VALUES (1);\nCREATE INDEX a_i ON a (i);",
    )
    assert await harness.engine().migrate() == 1
    assert [event.mode for event in harness.told(StepStarted)] == [Mode.AUTOCOMMIT]
    assert harness.ask("SELECT i FROM a") == [(1,)]


async def test_a_setting_of_a_script_that_makes_its_session_read_only_ends_with_the_script(
    harness: Harness,
) -> None:
    harness.write(
        "V1__a",
        "CREATE TABLE a (i INT8 PRIMARY KEY);\nSET default_transaction_read_only = on;\n"
        "SELECT i FROM a;",
    )
    harness.write("V2__b", "CREATE TABLE b (i INT8 PRIMARY KEY)")
    assert await harness.engine().migrate() == 2
    assert harness.ledger() == [1, 2]
    assert harness.free()


async def test_a_setting_of_a_script_under_which_nothing_is_written_is_reported_with_its_file(
    harness: Harness,
) -> None:
    harness.write(
        "V1__a",
        "CREATE TABLE a (i INT8 PRIMARY KEY);\n"
        "SET default_transaction_use_follower_reads = on;\nCREATE TABLE b (i INT8 PRIMARY KEY);",
    )
    with pytest.raises(MigrationFailed) as failed:
        await harness.engine().migrate()
    assert str(failed.value) == (
        "V1__a.sql: the ledger's tables (public._migrations and public._migrations_state) could not be "
        "written: AS OF SYSTEM TIME specified with READ WRITE mode (42601). Remove the cause, and run "
        "again. If it is a setting of the script, first revert by hand what the script did, and record "
        "that with manticore_resolve --not-applied 1.\n"
        "  What version 1 did before is done, but is not recorded as applied."
    )
    assert harness.record()["owner"] is None
    harness.ask("DROP TABLE a")
    await harness.engine().resolve.not_applied(1)
    harness.write("V1__a", "CREATE TABLE a (i INT8 PRIMARY KEY);\nCREATE TABLE b (i INT8);")
    assert await harness.engine().migrate() == 1


@pytest.mark.needs_cockroachdb_since((22, 1), "v21.1 has no ALTER DATABASE … SET")
async def test_the_ledger_is_never_read_as_it_was_some_seconds_ago(harness: Harness) -> None:
    await harness.engine().initialize()
    name = harness.one("SELECT current_database()")
    harness.ask(f"ALTER DATABASE {name} SET default_transaction_use_follower_reads = on")
    harness.write("V1__a", "CREATE TABLE a (i INT8 PRIMARY KEY)")
    assert await harness.engine().migrate() == 1
    assert await harness.engine().migrate() == 0
