"""Databases that have a history continue with the scripts; what happens when their files are gone."""

from __future__ import annotations

import pytest

from manticore_cockroachdb.errors import MigrationFailed, PartiallyApplied, PlanRefused
from manticore_cockroachdb.types import State
from tests.harness import Harness


def remove(harness: Harness, *versions: int) -> None:
    for version in versions:
        (harness.folder / f"V{version}__t{version}.sql").unlink()


async def names(harness: Harness, target: int | None = None) -> list[str]:
    return [step.name for step in (await harness.engine().plan(target)).steps]


async def states(harness: Harness) -> list[str]:
    return [each.state.value for each in await harness.engine().status()]


async def test_only_an_empty_database_starts_from_the_highest_one_below_the_target(
    fleet: list[Harness],
) -> None:
    old, new = fleet
    await old.engine().migrate(1)
    await new.engine().squash(2)
    await new.engine().squash(3)

    assert await names(old) == ["V2__t2", "V3__t3", "V4__t4"]
    assert await names(new) == ["B3__schema", "V4__t4"]
    assert await names(new, 2) == ["B2__schema"]
    assert await names(new, 1) == ["V1__t1"]
    assert await states(new) == ["pending"] * 4

    await old.engine().migrate()
    await new.engine().migrate()
    for harness in fleet:
        assert harness.ledger() == [1, 2, 3, 4]
        assert await names(harness) == []
        assert await states(harness) == ["applied"] * 4


async def test_a_database_with_its_tables_and_no_ledger_continues_with_the_scripts(
    fleet: list[Harness],
) -> None:
    old, new = fleet
    old.ask("CREATE TABLE t3 (id INT8 PRIMARY KEY)")
    new.ask("CREATE TABLE theirs (id INT8 PRIMARY KEY)")
    await new.engine().squash(3)

    assert await names(old) == ["V1__t1", "V2__t2", "V3__t3", "V4__t4"]
    assert await names(new) == ["B3__schema", "V4__t4"]

    remove(new, 1, 2, 3)
    with pytest.raises(PlanRefused) as refused:
        await old.engine().migrate()
    assert str(refused.value) == (
        "versions 1–3 must be applied, but their files are not in the folder. "
        "B3__schema.sql stands for them, but this database does not start from that: this database is not "
        "empty: public.t3 exists already. Restore the files from version control, and remove them when "
        "every database has them. Nothing was run."
    )


async def test_files_that_are_gone_are_missed_only_where_they_are_needed(
    fleet: list[Harness],
) -> None:
    old, new = fleet
    await old.engine().migrate(2)
    await new.engine().squash(3)
    remove(new, 1, 2, 3)

    assert await states(old) == ["applied", "applied", "unavailable", "pending"]
    with pytest.raises(PlanRefused) as refused:
        await old.engine().migrate()
    assert str(refused.value) == (
        "version 3 must be applied, but its file is not in the folder. B3__schema.sql "
        "stands for it, but only an empty database starts from that, and this one has a history. Restore "
        "the file from version control, and remove them when every database has them. Nothing was run."
    )

    await new.engine().migrate()
    assert await states(new) == ["applied"] * 4
    assert await new.engine().migrate() == 0
    assert not await new.engine().drift()
    assert (await new.engine().rehearse(all_scripts=True)).ok


async def test_rolling_back_below_a_checkpoint_needs_the_files(fleet: list[Harness]) -> None:
    _, new = fleet
    await new.engine().squash(3)
    remove(new, 1, 2, 3)
    await new.engine().migrate()

    assert await new.engine().rollback() == 1
    for refusing in (new.engine().rollback(), new.engine().migrate(2)):
        with pytest.raises(PlanRefused) as refused:
            await refusing
        assert str(refused.value) == (
            "version 3 (t3) is below the checkpoint B3__schema.sql, and its file is not "
            "in the folder, so it cannot be rolled back. Restore its file from version control and roll "
            "back again. Nothing was run."
        )
    assert new.ledger() == [1, 2, 3]


async def test_a_script_that_was_changed_since_is_found_before_a_database_starts(
    fleet: list[Harness],
) -> None:
    _, new = fleet
    await new.engine().squash(3)
    new.write("V2__t2", "CREATE TABLE other (id INT8 PRIMARY KEY);")

    with pytest.raises(PlanRefused) as refused:
        await new.engine().migrate()

    assert str(refused.value) == (
        "V2__t2.sql: version 2 was changed after B3__schema.sql was made from it. Restore "
        "the file, or write the checkpoint again: manticore_squash 3. Nothing was run."
    )


async def test_a_script_that_came_late_is_out_of_order(fleet: list[Harness]) -> None:
    _, new = fleet
    remove(new, 2)
    await new.engine().squash(3)
    new.write("V2__late", "CREATE TABLE late (id INT8 PRIMARY KEY);")

    with pytest.raises(PlanRefused) as refused:
        await new.engine().migrate()
    assert "version 2 is pending, but version 3 is applied already." in str(refused.value)

    assert await new.engine(allow_out_of_order=True).migrate() == 3
    assert sorted(new.ledger()) == [1, 2, 3, 4]


async def test_faked_it_is_recorded_version_by_version(fleet: list[Harness]) -> None:
    _, new = fleet
    await new.engine().squash(3)

    assert await new.engine().migrate(fake=True) == 2

    assert new.ledger() == [1, 2, 3, 4]
    assert new.tables() == ["_migrations", "_migrations_state"]


async def test_a_bootstrap_starts_from_it(fleet: list[Harness]) -> None:
    _, new = fleet
    await new.engine().squash(3)

    assert await new.engine().bootstrap() == 2

    assert new.ledger() == [1, 2, 3, 4]
    assert not await new.engine().drift()


async def test_one_that_failed_in_the_middle_is_finished_by_migrating(fleet: list[Harness]) -> None:
    """A function that the database lacks: the statement fails until somebody has made it."""
    _, new = fleet
    make = "CREATE SCHEMA helpers"
    new.write("V3__t3", f"{make};\nCREATE TABLE helpers.t3 (id INT8 PRIMARY KEY);\n")
    await new.engine().squash(3)
    new.ask(make)
    stepwise = new.engine(mode="stepwise")

    with pytest.raises(MigrationFailed) as failed:
        await stepwise.migrate()
    assert "B3__schema.sql:" in str(failed.value)
    assert new.ledger() == []
    record = new.record()
    if record["version"] is not None:
        assert (record["version"], record["checkpoint"]) == (3, True)
        found = {each.version: each.state for each in await new.engine().status()}
        assert found[3] is State.PARTIALLY_APPLIED
        with pytest.raises(PartiallyApplied) as refused:
            await stepwise.migrate(2)
        assert str(refused.value) == (
            "B3__schema.sql: version 3 is partially applied and this would not finish it. Migrate to "
            "version 3 or higher first. Nothing was run."
        )
    new.ask("DROP SCHEMA helpers")

    assert await stepwise.migrate() == 2

    assert new.ledger() == [1, 2, 3, 4]
    assert not await new.engine().drift()


async def test_a_person_can_say_that_it_is_applied(fleet: list[Harness]) -> None:
    _, new = fleet
    make = "CREATE SCHEMA helpers"
    new.write("V3__t3", f"{make};\nCREATE TABLE helpers.t3 (id INT8 PRIMARY KEY);\n")
    await new.engine().squash(3)
    remove(new, 1, 2, 3)
    new.ask(make)
    with pytest.raises(MigrationFailed):
        await new.engine(mode="stepwise").migrate()

    if new.record()["version"] is None:
        await new.engine().resolve.applied(2)
        assert new.ledger() == [2]
        await new.engine().resolve.not_applied(2)
        assert new.ledger() == []
    else:
        await new.engine().resolve.applied(3)
        assert new.ledger() == [1, 2, 3]
        assert new.free()
