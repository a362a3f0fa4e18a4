"""A hash of the schema at the end of a run tells whether anybody has changed it since."""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb.errors import MigrationFailed
from manticore_cockroachdb.events import ScratchCreated
from manticore_cockroachdb.rehearsal import SinceLastRun
from tests.flavors import Flavour
from tests.harness import Harness


@pytest.fixture
def harness(flavour: Flavour, database_url: str, tmp_path: Path) -> Harness:
    made = Harness(flavour, database_url, database_url, tmp_path / "migrations", record_schema=True)
    made.write(
        "V1__shops", "CREATE TABLE shops (id INT8 PRIMARY KEY);\n-- DOWN\nDROP TABLE shops;\n"
    )
    return made


async def answer(harness: Harness) -> SinceLastRun:
    found: SinceLastRun = (await harness.engine().quick_drift()).answer
    return found


async def test_what_is_changed_by_hand_is_found_without_a_scratch_database(
    harness: Harness,
) -> None:
    assert await answer(harness) is SinceLastRun.UNKNOWN
    await harness.engine().migrate()
    assert await answer(harness) is SinceLastRun.UNCHANGED
    assert await harness.engine().migrate() == 0
    assert await answer(harness) is SinceLastRun.UNCHANGED

    harness.ask("ALTER TABLE shops ADD COLUMN by_hand INT8")
    assert await answer(harness) is SinceLastRun.CHANGED
    assert await harness.engine().migrate() == 0
    assert await answer(harness) is SinceLastRun.CHANGED

    harness.ask("ALTER TABLE shops DROP COLUMN by_hand")
    assert await answer(harness) is SinceLastRun.UNCHANGED
    assert harness.told(ScratchCreated) == []


async def test_a_run_that_has_not_recorded_it_leaves_it_unknown_until_a_comparison(
    harness: Harness,
) -> None:
    await harness.engine().migrate()
    harness.write("V2__fails", "SELECT 1/0;")
    with pytest.raises(MigrationFailed):
        await harness.engine().migrate()

    found = await harness.engine().quick_drift()
    assert found.answer is SinceLastRun.UNKNOWN
    assert found.reason == (
        "A run has used the database since the schema was recorded, and has not recorded it: it failed, is "
        "still running, or was made without RECORD_SCHEMA."
    )

    (harness.folder / "V2__fails.sql").unlink()
    assert not await harness.engine().drift()
    assert await answer(harness) is SinceLastRun.UNCHANGED
    assert await harness.engine().rollback() == 1
    assert await answer(harness) is SinceLastRun.UNCHANGED


async def test_a_comparison_that_finds_something_records_nothing(harness: Harness) -> None:
    await harness.engine().migrate()
    harness.ask("CREATE TABLE by_hand (id INT8 PRIMARY KEY)")

    assert await harness.engine().drift()
    assert not await harness.engine().drift(ignore=["table public.by_hand"])

    assert await answer(harness) is SinceLastRun.CHANGED


async def test_without_the_option_nothing_is_recorded(harness: Harness) -> None:
    await harness.engine(record_schema=False).migrate()

    found = await harness.engine().quick_drift()

    assert found.reason == (
        "No run has recorded the schema. Set RECORD_SCHEMA (record_schema=True in the library): the next "
        "run that applies or reverts a script records it, and so does a full comparison that finds nothing."
    )
