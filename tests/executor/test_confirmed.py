"""Runs that are held to something: `apply` never reverts, and a confirmed plan is run or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from manticore_cockroachdb import Database, Migration, State
from manticore_cockroachdb.errors import MigrationFailed, PartiallyApplied, PlanRefused
from manticore_cockroachdb.events import Event, Planned
from tests.executor.test_migrate import three
from tests.harness import Harness


def once(action: Callable[[], object]) -> Callable[[Event], None]:
    """A listener that acts at the first plan: the lease is not taken yet."""
    acted = []

    def listen(event: Event) -> None:
        if isinstance(event, Planned) and not acted:
            acted.append(event)
            action()

    return listen


def colleague(harness: Harness) -> Migration:
    """Somebody else's runner on the same database and folder."""
    return Migration(Database.from_url(harness.direct), harness.folder)


# -- apply -------------------------------------------------------------------------------------------


async def test_apply_stops_at_its_version_and_reverts_nothing(any_mode: Harness) -> None:
    three(any_mode)
    engine = any_mode.engine()
    assert await engine.apply(2) == 2
    assert any_mode.ledger() == [1, 2]
    assert await engine.apply(1) == 0
    assert await engine.apply(0) == 0
    assert any_mode.ledger() == [1, 2]
    assert await engine.apply() == 1
    assert await engine.apply(2) == 0
    assert any_mode.ledger() == [1, 2, 3]
    assert any_mode.free()


async def test_apply_reverts_nothing_that_another_runner_applied_meanwhile(
    harness: Harness,
) -> None:
    three(harness)
    meanwhile = once(lambda: colleague(harness).migrate())
    assert await harness.engine(listener=meanwhile).apply(1) == 0
    assert harness.ledger() == [1, 2, 3]


async def test_apply_records_without_running_when_it_fakes(harness: Harness) -> None:
    three(harness)
    assert await harness.engine().apply(1, fake=True) == 1
    assert harness.ledger() == [1]
    assert harness.tables() == ["_migrations", "_migrations_state"]


async def test_apply_below_what_is_applied_is_out_of_order(harness: Harness) -> None:
    harness.write("V5__e", "SELECT 5")
    await harness.engine().migrate()
    harness.write("V3__c", "SELECT 3")
    with pytest.raises(PlanRefused) as caught:
        await harness.engine().apply(3)
    assert str(caught.value) == (
        "V3__c.sql: version 3 is pending, but version 5 is applied already. Give it the "
        "next free number (manticore_makemigration --renumber 3), or allow out-of-order scripts "
        "(allow_out_of_order=True, ALLOW_OUT_OF_ORDER in the MANTICORE setting). Nothing was run."
    )
    assert await harness.engine(allow_out_of_order=True).apply(3) == 1
    assert harness.ledger() == [5, 3]


async def test_apply_to_a_version_that_does_not_exist_is_refused(harness: Harness) -> None:
    three(harness)
    with pytest.raises(PlanRefused) as caught:
        await harness.engine().apply(9)
    assert str(caught.value) == (
        "There is no version 9 to migrate to. The folder has versions 1–3; "
        "see status (manticore_showmigrations). Nothing was run."
    )


async def test_apply_continues_a_partially_applied_version_and_no_partially_reverted_one(
    stepwise: Harness,
) -> None:
    three(stepwise)
    engine = stepwise.engine()
    up = "CREATE TABLE made (i INT8);\n"
    stepwise.write("V2__rows", f"{up}SELECT no_function()\n-- DOWN\nSELECT 1")
    with pytest.raises(MigrationFailed, match=r"V2__rows\.sql:2"):
        await engine.migrate()
    down = "DROP TABLE made;\nSELECT no_function()"
    stepwise.write("V2__rows", f"{up}SELECT 2\n-- DOWN\n{down}")
    assert await engine.apply(2) == 1
    with pytest.raises(MigrationFailed, match=r"V2__rows\.sql:5"):
        await engine.rollback()
    with pytest.raises(PartiallyApplied):
        await engine.apply(2)


# -- a plan, and what was confirmed of it ------------------------------------------------------------


async def test_a_plan_tells_the_server_and_how_each_step_will_run(any_mode: Harness) -> None:
    three(any_mode)
    plan = await any_mode.engine().plan()
    assert plan.server.database == any_mode.one("SELECT current_database()")
    assert len(plan) == 3
    assert [step.name for step in plan] == ["V1__riders", "V2__rows", "V3__name"]
    assert [(each.step, each.done) for each in plan.detailed()] == [(s, 0) for s in plan.steps]
    modes = [each.mode.value for each in plan.detailed()]
    if any_mode.defaults:
        assert modes == ["stepwise"] * 3
    else:
        assert modes == (
            ["stepwise", "atomic", "stepwise"] if plan.server.has_jobs else ["atomic"] * 3
        )


async def test_a_plan_leaves_out_the_statements_that_are_done(stepwise: Harness) -> None:
    stepwise.write("V1__a", "CREATE TABLE a (i INT8);\nSELECT no_function();\nSELECT 3;")
    with pytest.raises(MigrationFailed, match=r"V1__a\.sql:2"):
        await stepwise.engine().migrate()
    (planned,) = (await stepwise.engine().plan()).detailed()
    assert planned.done == 1
    assert [statement.text for statement in planned.statements] == [
        "SELECT no_function()",
        "SELECT 3",
    ]


@pytest.mark.needs_postgresql("CockroachDB has no VACUUM")
async def test_a_plan_that_the_server_could_not_run_is_refused(harness: Harness) -> None:
    harness.write("V1__a", "-- manticore: mode=atomic\nVACUUM")
    with pytest.raises(PlanRefused) as caught:
        await harness.engine().plan()
    assert str(caught.value) == (
        "V1__a.sql:2: PostgreSQL does not run this statement inside a transaction, and "
        "the file says mode=atomic. Move it into a separate script, or remove the mode. Nothing was run."
    )


async def test_a_confirmed_rollback_is_refused_when_a_colleague_was_faster(
    any_mode: Harness,
) -> None:
    three(any_mode)
    engine = any_mode.engine()
    await engine.migrate()
    confirmed = await engine.plan_rollback()
    colleague(any_mode).rollback()
    with pytest.raises(PlanRefused) as caught:
        await engine.rollback(confirmed=confirmed)
    assert str(caught.value) == (
        "The plan is not the one that was confirmed: reverting V3__name. Now it is: "
        "reverting V2__rows. Look at the new plan and confirm that one. Nothing was run."
    )
    assert any_mode.ledger() == [1, 2]


async def test_a_confirmed_plan_that_a_colleague_has_carried_out_is_refused_too(
    harness: Harness,
) -> None:
    three(harness)
    engine = harness.engine()
    await engine.migrate()
    confirmed = await engine.plan(1)
    colleague(harness).migrate(1)
    with pytest.raises(PlanRefused) as caught:
        await engine.migrate(1, confirmed=confirmed)
    assert str(caught.value) == (
        "The plan is not the one that was confirmed: reverting V3__name, reverting "
        "V2__rows. Now it is: nothing to do. Look at the new plan and confirm that one. Nothing was run."
    )


async def test_a_confirmed_plan_is_refused_when_its_file_was_changed(harness: Harness) -> None:
    three(harness)
    engine = harness.engine()
    await engine.migrate()
    confirmed = await engine.plan_rollback()
    down = "ALTER TABLE riders ADD COLUMN name TEXT;\nUPDATE riders SET name = 'x', n = n + 1;\n"
    harness.write("V3__name", f"{down}-- DOWN\nDROP TABLE riders;")
    with pytest.raises(PlanRefused) as caught:
        await engine.rollback(confirmed=confirmed)
    assert str(caught.value) == (
        "The plan is not the one that was confirmed: the script V3__name was edited "
        "since. Look at the new plan and confirm that one. Nothing was run."
    )
    assert harness.ledger() == [1, 2, 3]


async def test_a_confirmed_plan_is_run_as_it_was_confirmed(any_mode: Harness) -> None:
    three(any_mode)
    engine = any_mode.engine()
    await engine.migrate()
    assert await engine.migrate(1, confirmed=await engine.plan(1)) == 2
    assert any_mode.ledger() == [1]
    assert await engine.rollback(confirmed=await engine.plan_rollback()) == 1
    assert await engine.migrate(confirmed=await engine.plan()) == 3


async def test_what_a_colleague_does_of_it_while_we_wait_is_left_out(harness: Harness) -> None:
    three(harness)
    await harness.engine().migrate()
    confirmed = await harness.engine().plan_rollback(2)
    meanwhile = once(lambda: colleague(harness).rollback())
    assert await harness.engine(listener=meanwhile).rollback(2, confirmed=confirmed) == 1
    assert harness.ledger() == [1]


async def test_what_a_colleague_adds_to_it_while_we_wait_is_refused(harness: Harness) -> None:
    three(harness)
    await harness.engine().migrate(2)
    confirmed = await harness.engine().plan_rollback()
    meanwhile = once(lambda: colleague(harness).migrate())
    with pytest.raises(PlanRefused) as caught:
        await harness.engine(listener=meanwhile).rollback(confirmed=confirmed)
    assert str(caught.value) == (
        "The plan is not the one that was confirmed: reverting V2__rows. Now it is: "
        "reverting V3__name. Look at the new plan and confirm that one. Nothing was run."
    )
    assert harness.ledger() == [1, 2, 3]


async def test_a_partially_done_version_says_which_way(stepwise: Harness) -> None:
    up, down = "CREATE TABLE a (i INT8);\nSELECT no_up()", "DROP TABLE a;\nSELECT no_down()"
    stepwise.write("V1__a", f"{up}\n-- DOWN\n{down}")
    engine = stepwise.engine()

    async def states() -> list[State]:
        return [each.state for each in await engine.status()]

    with pytest.raises(MigrationFailed, match="no_up"):
        await engine.migrate()
    assert await states() == [State.PARTIALLY_APPLIED]
    await engine.resolve.applied(1)
    with pytest.raises(MigrationFailed, match="no_down"):
        await engine.rollback()
    assert await states() == [State.PARTIALLY_REVERTED]
