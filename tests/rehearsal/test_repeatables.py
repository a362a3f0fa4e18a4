"""Repeatable scripts in rehearsals, snapshots and comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manticore_cockroachdb.errors import PlanRefused
from manticore_cockroachdb.rehearsal import Outcome, staleness
from tests.flavors import Flavour
from tests.harness import Harness

VIEW = "CREATE OR REPLACE VIEW names AS SELECT name FROM users"


@pytest.fixture
def harness(flavour: Flavour, database_url: str, tmp_path: Path) -> Harness:
    made = Harness(flavour, database_url, database_url, tmp_path / "migrations")
    made.write(
        "V1__users",
        "CREATE TABLE users (id INT8 PRIMARY KEY, name TEXT);\n-- DOWN\nDROP TABLE users;",
    )
    made.write("R__names", f"{VIEW};")
    return made


def outcomes(found: Any) -> list[tuple[int | str, Outcome]]:
    return [(each.script.key, each.outcome) for each in found.scripts]


async def refused(verb: Any) -> str:
    with pytest.raises(PlanRefused) as caught:
        await verb
    return str(caught.value)


async def test_one_is_run_twice_and_the_second_time_changes_nothing(harness: Harness) -> None:
    found = await harness.engine().rehearse()
    assert outcomes(found) == [(1, Outcome.COMES_BACK), ("R__names", Outcome.REPEATS)]
    assert found.ok
    assert harness.tables() == []


async def test_one_that_cannot_run_twice_is_reported(harness: Harness) -> None:
    harness.write("R__names", "CREATE VIEW names AS SELECT name FROM users;")
    harness.write(
        "R__more", "CREATE TABLE IF NOT EXISTS more (i INT8);\nALTER TABLE more ADD COLUMN j INT8;"
    )
    found = await harness.engine().rehearse()
    assert outcomes(found)[1:] == [
        ("R__more", Outcome.AGAIN_FAILED),
        ("R__names", Outcome.AGAIN_FAILED),
    ]
    assert (
        "R__names.sql:1: CREATE VIEW names AS SELECT name FROM users failed"
        in found.scripts[2].error
    )
    assert not found.ok


async def test_one_that_does_something_else_the_second_time_is_reported(harness: Harness) -> None:
    harness.write("R__index", "CREATE INDEX ON users (name);")
    found = await harness.engine().rehearse()
    result = found.scripts[1]
    assert (result.script.key, result.outcome) == ("R__index", Outcome.NOT_THE_SAME)
    assert [str(each) for each in result.after_up_again][:1] == [
        "extra index public.users_name_idx1"
        if not harness.server_is_cockroachdb
        else "changed table public.users"
    ]
    assert outcomes(found)[2] == ("R__names", Outcome.REPEATS)


async def test_rows_that_are_added_again_are_reported_where_there_are_seeds(
    harness: Harness, tmp_path: Path
) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "V1__users.sql").write_text("SELECT count(*) = 0 FROM users;")
    harness.write("R__rows", "INSERT INTO users SELECT count(*), 'x' FROM users;")
    found = await harness.engine().rehearse(seeds=seeds)
    result = found.scripts[2]
    assert (result.script.key, result.outcome) == ("R__rows", Outcome.NOT_THE_SAME)
    assert result.lost_rows == ("table public.users has 2 rows instead of 1",)


async def test_each_statement_of_one_is_cut_before_and_after(harness: Harness) -> None:
    harness.write(
        "R__names", f"{VIEW};\nINSERT INTO users VALUES (1, 'x') ON CONFLICT (id) DO NOTHING;"
    )
    found = await harness.engine().rehearse(crash=True)
    assert outcomes(found)[1] == ("R__names", Outcome.REPEATS)
    assert [(each.line, each.cut, each.ok) for each in found.scripts[1].crashes] == [
        (line, cut, True) for line in (1, 2) for cut in ("before", "after")
    ]


async def test_only_those_are_rehearsed_that_would_run(harness: Harness) -> None:
    await harness.engine().migrate()
    assert outcomes(await harness.engine().rehearse()) == []
    harness.write("R__names", f"{VIEW} WHERE id > 0;")
    harness.write(
        "V2__x",
        "ALTER TABLE users ADD COLUMN age INT8;\n-- DOWN\nALTER TABLE users DROP COLUMN age;",
    )
    assert outcomes(await harness.engine().rehearse()) == [
        (2, Outcome.COMES_BACK),
        ("R__names", Outcome.REPEATS),
    ]
    assert [key for key, _ in outcomes(await harness.engine().rehearse(all_scripts=True))] == [
        1,
        2,
        "R__names",
    ]


async def test_a_snapshot_has_what_they_make_and_is_stale_when_they_change(
    harness: Harness,
) -> None:
    engine = harness.engine()
    found = await engine.snapshot()
    assert "names" in found.text
    assert "_migrations" not in found.text
    assert staleness(found.text, await engine.load_migrations()) is None
    harness.write("R__names", f"{VIEW} WHERE id > 0;")
    assert staleness(found.text, await engine.load_migrations()) is not None


async def test_a_database_is_expected_to_have_what_they_make(harness: Harness) -> None:
    engine = harness.engine()
    await engine.migrate()
    assert (await engine.drift()).differences == ()
    harness.ask("DROP VIEW names")
    assert [str(each) for each in (await engine.drift()).differences] == [
        "missing view public.names"
    ]


async def test_what_nobody_has_the_text_of_is_not_compared(harness: Harness) -> None:
    engine = harness.engine()
    await engine.migrate(1)
    assert (await engine.drift()).differences == ()
    await engine.migrate()
    harness.write("R__names", f"{VIEW} WHERE id > 0;")
    assert await refused(engine.drift()) == (
        "R__names.sql: R__names was applied and is to run again: its text was changed, or a version was "
        "reverted. Run manticore_migrate, then compare. The database cannot be compared with its scripts."
    )
    (harness.folder / "R__names.sql").unlink()
    assert await refused(engine.drift()) == (
        "R__names was applied, but its file is not in the folder. Restore the file; or have a version drop "
        "what it made, and forget it: manticore_resolve --not-applied R__names. The database cannot be "
        "compared with its scripts."
    )
