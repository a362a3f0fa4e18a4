"""Repeatable scripts on a server: when they run, what is recorded, and what a crash leaves."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from manticore_cockroachdb.errors import (
    FilesRefused,
    LedgerRefused,
    MigrationFailed,
    PartiallyApplied,
    PlanRefused,
)
from manticore_cockroachdb.events import LeaseAwaited, StepFinished
from manticore_cockroachdb.types import Direction, State, Step
from tests.fake_cockroach import drop_after, drop_before, drop_during
from tests.harness import Cockroach, Harness, eventually

VIEW = "CREATE OR REPLACE VIEW ids AS SELECT i FROM t"


@pytest.fixture
def ready(any_mode: Harness) -> Harness:
    """One version with a table, and a view over it that is made again whenever it changes."""
    any_mode.write(
        "V1__t", "CREATE TABLE t (i INT8 PRIMARY KEY, n INT8);\n-- DOWN\nDROP TABLE t CASCADE;"
    )
    any_mode.write("R__ids", f"{VIEW};")
    return any_mode


def rows(harness: Harness) -> list[tuple[Any, ...]]:
    """Name of each repeatable script that was applied, and whether it must run again."""
    return harness.ask("SELECT name, checksum IS NULL FROM _migrations_repeatable ORDER BY name")


def ran(harness: Harness) -> list[int | str]:
    """What ran since the last call."""
    found = [event.step.key for event in harness.told(StepFinished)]
    harness.events.clear()
    return found


async def states(harness: Harness) -> dict[int | str, State]:
    return {each.key: each.state for each in await harness.engine().status()}


def in_progress(harness: Harness) -> tuple[Any, ...]:
    record = harness.record()
    return (record["script"], record["version"], record["direction"], record["in_flight"])


def free(harness: Harness) -> bool:
    return harness.free() and harness.record()["script"] is None


# When they run.


async def test_they_run_after_the_versions_and_again_only_when_they_have_changed(
    ready: Harness,
) -> None:
    ready.write("R__a_first", "CREATE OR REPLACE VIEW one AS SELECT 1 AS one;")
    assert await ready.engine().migrate() == 3
    assert ran(ready) == [1, "R__a_first", "R__ids"]
    assert await ready.engine().migrate() == 0
    ready.write("R__ids", f"-- a comment counts, as for a version\n{VIEW};")
    ready.write("V2__more", "INSERT INTO t VALUES (1, 1);")
    assert await ready.engine().migrate() == 2
    assert ran(ready) == [2, "R__ids"]
    ready.write("R__ids", f"\n-- a comment counts, as for a version  \r\n{VIEW};\n")
    assert await ready.engine().migrate() == 0
    assert rows(ready) == [("R__a_first", False), ("R__ids", False)]
    assert free(ready)


async def test_what_is_recorded_of_them(ready: Harness) -> None:
    engine = ready.engine()
    await engine.migrate()
    _, script = await engine.load_migrations()
    ((name, checksum, at, took, by),) = ready.ask(
        "SELECT name, checksum, applied_at, execution_ms, applied_by FROM _migrations_repeatable"
    )
    assert (name, checksum) == ("R__ids", script.checksum)
    *_, status = await engine.status()
    assert (status.key, status.state, status.script) == ("R__ids", State.APPLIED, script)
    assert (status.applied_at, status.execution_ms, status.applied_by) == (at, took, by)
    assert ready.ledger() == [1]


async def test_a_folder_without_them_has_no_table_for_them(any_mode: Harness) -> None:
    any_mode.write("V1__t", "CREATE TABLE t (i INT8);\n-- DOWN\nDROP TABLE t;")
    engine = any_mode.engine()
    await engine.migrate()
    await engine.rollback()
    assert [name for name in any_mode.tables() if name.startswith("_")] == [
        "_migrations",
        "_migrations_state",
    ]


async def test_a_run_to_a_version_leaves_them_alone(ready: Harness) -> None:
    engine = ready.engine()
    assert await engine.migrate(1) == 1
    assert await engine.apply(1) == 0
    assert await states(ready) == {1: State.APPLIED, "R__ids": State.PENDING}
    assert [step.key for step in await engine.plan()] == ["R__ids"]
    assert [step.key for step in await engine.plan(1)] == []
    assert await engine.apply() == 1


async def test_what_is_reverted_has_all_of_them_run_again(ready: Harness) -> None:
    """The view went with the table, and its text has not changed."""
    engine = ready.engine()
    await engine.migrate()
    assert await engine.rollback() == 1
    assert rows(ready) == [("R__ids", True)]
    assert await states(ready) == {1: State.PENDING, "R__ids": State.PENDING}
    assert await engine.migrate() == 2
    assert ready.ask("SELECT * FROM ids") == []
    assert rows(ready) == [("R__ids", False)]


async def test_a_placeholders_new_value_has_them_run_again(ready: Harness) -> None:
    ready.write("R__who", "CREATE OR REPLACE VIEW who AS SELECT '${who}' AS name;")
    await ready.engine(placeholders={"who": "me"}).migrate()
    assert await ready.engine(placeholders={"who": "me"}).migrate() == 0
    assert await ready.engine(placeholders={"who": "you"}).migrate() == 1
    assert ready.one("SELECT name FROM who") == "you"


async def test_they_alone_are_enough(any_mode: Harness) -> None:
    any_mode.write("R__one", "CREATE OR REPLACE VIEW one AS SELECT 1 AS one;")
    engine = any_mode.engine()
    assert await engine.migrate() == 1
    assert await engine.migrate(0) == 0
    assert await engine.rollback() == 0
    assert await engine.migrate() == 0


async def test_they_run_in_an_empty_database_that_is_built_at_once(ready: Harness) -> None:
    ready.write("R__rows", "INSERT INTO t VALUES (1, 1);")
    assert await ready.engine().bootstrap() == 3
    assert rows(ready) == [("R__ids", False), ("R__rows", False)]
    assert ready.ask("SELECT * FROM ids") == [(1,)]


async def test_they_are_recorded_without_being_run(ready: Harness) -> None:
    assert await ready.engine().migrate(fake=True) == 2
    assert rows(ready) == [("R__ids", False)]
    assert ready.tables() == ["_migrations", "_migrations_repeatable", "_migrations_state"]
    assert await ready.engine().migrate() == 0


async def test_a_plan_that_was_confirmed_has_them(ready: Harness) -> None:
    engine = ready.engine()
    plan = await engine.plan()
    (_, step) = plan
    assert isinstance(step, Step)
    assert (step.key, step.name, step.direction) == ("R__ids", "R__ids", Direction.UP)
    ready.write("R__ids", f"{VIEW} WHERE i > 0;")
    with pytest.raises(PlanRefused) as caught:
        await engine.migrate(confirmed=plan)
    assert str(caught.value) == (
        "The plan is not the one that was confirmed: the script R__ids was edited since. "
        "Look at the new plan and confirm that one. Nothing was run."
    )
    assert await engine.migrate(confirmed=await engine.plan()) == 2


async def test_their_table_follows_the_ledgers_name(ready: Harness) -> None:
    ready.ask("CREATE SCHEMA ops")
    engine = ready.engine(table="ops.ledger")
    await engine.migrate()
    assert ready.one("SELECT count(*) FROM ops.ledger_repeatable") == 1
    assert await engine.migrate() == 0
    assert await engine.rollback() == 1
    assert ready.one("SELECT count(*) FROM ops.ledger_repeatable WHERE checksum IS NULL") == 1


async def test_a_table_of_that_name_that_is_not_ours_is_left_alone(ready: Harness) -> None:
    ready.ask("CREATE TABLE _migrations_repeatable (name TEXT, mine INT8)")
    with pytest.raises(LedgerRefused) as caught:
        await ready.engine().migrate()
    assert str(caught.value) == (
        "The table public._migrations_repeatable is not Manticore's table of repeatable scripts: its "
        "columns differ ('applied_at', 'applied_by', 'checksum', 'execution_ms', 'mine'). Give this "
        "project its own tables (the `table` argument, or TABLE in the MANTICORE setting), or rename "
        "that one."
    )


async def test_no_script_may_change_their_table(ready: Harness) -> None:
    ready.write("V2__x", "DROP TABLE _migrations_repeatable;")
    with pytest.raises(FilesRefused) as caught:
        await ready.engine().migrate()
    assert "changes _migrations_repeatable, a table of Manticore" in str(caught.value)


async def test_older_tables_get_what_they_lack_in_place(ready: Harness) -> None:
    await ready.engine().migrate(1)
    ready.ask("ALTER TABLE _migrations_state DROP COLUMN script")
    ready.ask("ALTER TABLE _migrations_state DROP COLUMN repeatables")
    assert await ready.engine().migrate() == 1
    assert free(ready)


async def test_their_table_was_dropped_by_hand(ready: Harness) -> None:
    await ready.engine().migrate()
    ready.ask("DROP TABLE _migrations_repeatable")
    assert await states(ready) == {1: State.APPLIED, "R__ids": State.PENDING}
    assert await ready.engine().migrate() == 1
    assert rows(ready) == [("R__ids", False)]


async def test_a_row_deleted_by_hand_has_the_script_run_again(ready: Harness) -> None:
    await ready.engine().migrate()
    ready.ask("DELETE FROM _migrations_repeatable")
    assert await ready.engine().migrate() == 1
    assert ran(ready)[-1:] == ["R__ids"]


async def test_a_runner_that_waited_knows_what_another_has_made_meanwhile(ready: Harness) -> None:
    """Their table was not there when this runner connected."""
    await ready.engine().migrate(1)
    ready.make_lockable_table()
    ready.write("R__wait", f"SELECT * FROM {ready.gate};")

    async with anyio.create_task_group() as tasks, ready.locked_table():
        tasks.start_soon(ready.engine(mode="stepwise").migrate)
        await eventually(ready.waits_for_lock)
        tasks.start_soon(ready.engine(mode="stepwise").rollback)
        await eventually(lambda: ready.told(LeaseAwaited))
    assert rows(ready) == [("R__ids", True), ("R__wait", True)]
    assert ready.ledger() == []


# What a failure leaves.


async def test_one_that_failed_is_finished_by_the_next_run(ready: Harness) -> None:
    ready.write("R__ids", f"{VIEW};\nINSERT INTO t VALUES (1, 0);\nINSERT INTO nothing VALUES (1);")
    with pytest.raises(MigrationFailed) as caught:
        await ready.engine().migrate()
    error = caught.value
    assert (error.version, error.path.name, error.line) == (0, "R__ids.sql", 3)
    if ready.is_stepwise:
        # The view is done; the two statements of rows are one transaction.
        assert in_progress(ready) == ("R__ids", None, "up", False)
        assert str(error).splitlines()[-1] == (
            "  Its first statement is done and recorded; R__ids is partially applied. Fix statement 3 "
            "in the file (or the rows) and migrate again: the run continues there. Do not "
            "edit the statements before it."
        )
        assert await states(ready) == {1: State.APPLIED, "R__ids": State.PARTIALLY_APPLIED}
        with pytest.raises(PartiallyApplied):
            await ready.engine().rollback()
    else:
        assert str(error).splitlines()[-1] == (
            "  Nothing of R__ids was applied. Fix the file (or the rows) and migrate again."
        )
        assert await states(ready) == {1: State.APPLIED, "R__ids": State.PENDING}
    ready.write("R__ids", f"{VIEW};\nINSERT INTO t VALUES (1, 0);\nUPDATE t SET n = n + 1;")
    assert await ready.engine().migrate() == 1
    assert ready.ask("SELECT i, n FROM t") == [(1, 1)]
    assert rows(ready) == [("R__ids", False)]
    assert free(ready)


async def test_what_is_done_of_one_must_stay_as_it_is(ready: Harness) -> None:
    if not ready.is_stepwise:
        pytest.skip("a script is one transaction here")
    ready.write("R__ids", f"{VIEW};\nCREATE TABLE t (i INT8);")
    with pytest.raises(MigrationFailed):
        await ready.engine().migrate()
    ready.write("R__ids", f"{VIEW} WHERE i > 0;\nSELECT 1;")
    with pytest.raises(PlanRefused) as caught:
        await ready.engine().migrate()
    assert str(caught.value) == (
        "R__ids.sql: R__ids is partially applied, and its first statement, which is "
        "done or running, was changed. Restore it; later ones may be edited. Or record what is true with "
        "manticore_resolve --applied R__ids or --not-applied R__ids. Nothing was run."
    )
    engine = ready.engine()
    await engine.resolve.not_applied("R__ids")
    assert free(ready)
    assert await engine.migrate() == 1


@pytest.mark.parametrize("right_after_a_version", [False, True])
async def test_one_that_was_applied_and_fails_in_the_middle_is_no_longer_applied(
    ready: Harness, right_after_a_version: bool
) -> None:
    await ready.engine().migrate()
    first = (ready.folder / "R__ids.sql").read_text()
    if right_after_a_version:
        ready.write("V2__more", "CREATE TABLE more (i INT8);")
    ready.write("R__ids", f"{VIEW};\nCREATE TABLE t (i INT8);")
    with pytest.raises(MigrationFailed):
        await ready.engine().migrate()
    assert rows(ready) == [("R__ids", ready.is_stepwise)]
    ready.write("R__ids", first)
    await ready.engine().migrate()
    assert rows(ready) == [("R__ids", False)]
    assert free(ready)


@pytest.mark.parametrize("cut", [drop_before(), drop_after(), drop_during()])
@pytest.mark.parametrize(
    "kind", ["CREATE OR REPLACE VIEW ids", "UPDATE t", "_migrations_repeatable"]
)
async def test_a_connection_lost_in_the_middle_of_one_does_nothing_twice(
    cockroach: Cockroach, kind: str, cut: Any
) -> None:
    cockroach.write(
        "V1__t", "CREATE TABLE t (i INT8 PRIMARY KEY, n INT8); INSERT INTO t VALUES (1, 0);"
    )
    cockroach.write("R__ids", f"{VIEW};\nUPDATE t SET n = n + 1;\n{VIEW} WHERE i > 0;")
    await cockroach.engine().migrate(1)
    rule = cockroach.fake.rule(lambda text: kind in text and "INSERT INTO t" not in text, then=cut)
    assert await cockroach.engine().migrate() == 1
    assert rule.fired
    assert cockroach.ask("SELECT n FROM t") == [(1,)]
    assert rows(cockroach) == [("R__ids", False)]
    assert free(cockroach)


@pytest.mark.needs_postgresql("only PostgreSQL has statements that take no transaction of ours")
async def test_one_may_ask_for_a_mode_and_an_isolation_level(harness: Harness) -> None:
    harness.write("V1__t", "CREATE TABLE t (i INT8);")
    harness.write(
        "R__a",
        "-- manticore: mode=autocommit\nVACUUM t;\nCREATE OR REPLACE VIEW v AS SELECT 1 AS i;",
    )
    harness.write(
        "R__b", "-- manticore: isolation=serializable, mode=stepwise\nINSERT INTO t VALUES (1);"
    )
    assert await harness.engine().migrate() == 3
    assert rows(harness) == [("R__a", False), ("R__b", False)]


# By hand.


async def test_the_row_of_a_removed_file_stays_until_it_is_forgotten(ready: Harness) -> None:
    engine = ready.engine()
    await engine.migrate()
    (ready.folder / "R__ids.sql").unlink()
    assert await states(ready) == {1: State.APPLIED, "R__ids": State.MISSING}
    assert await engine.migrate() == 0
    await engine.resolve.not_applied("R__ids")
    assert await states(ready) == {1: State.APPLIED}


async def test_one_is_recorded_as_applied_or_not(ready: Harness) -> None:
    engine = ready.engine()
    await engine.migrate(1)
    await engine.resolve.applied("R__ids")
    assert rows(ready) == [("R__ids", False)]
    await engine.resolve.applied("R__ids")
    ready.write("R__ids", f"{VIEW} WHERE i > 0;")
    await engine.resolve.applied("R__ids")
    assert await engine.migrate() == 0
    await engine.resolve.not_applied("R__ids")
    assert rows(ready) == []
    await engine.resolve.not_applied("R__ids")
    with pytest.raises(PlanRefused) as caught:
        await engine.resolve.not_applied("R__nothing")
    assert str(caught.value) == (
        "There is no R__nothing in the folder or the tables; see status "
        "(manticore_showmigrations). Nothing was changed."
    )


async def test_what_is_known_of_one_that_was_begun(ready: Harness) -> None:
    if not ready.is_stepwise:
        pytest.skip("a script is one transaction here")
    ready.write("R__ids", f"{VIEW};\n\nCREATE TABLE t (i INT8);")
    engine = ready.engine()
    with pytest.raises(MigrationFailed):
        await engine.migrate()
    known = await engine.resolve.known()
    assert known.record.progress is not None
    assert (known.record.progress.key, known.record.progress.done) == ("R__ids", 1)
    assert known.record.doing == "applying R__ids, statement 2"
    assert known.script is not None
    assert known.script.key == "R__ids"
    assert known.statement is not None
    assert known.statement.line == 3
    await engine.resolve.applied("R__ids")
    assert free(ready)
    assert rows(ready) == [("R__ids", False)]
