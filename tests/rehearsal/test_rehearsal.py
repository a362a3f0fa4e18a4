"""Scripts run up, down and up again on scratch databases of this run's server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manticore_cockroachdb.errors import FilesRefused, RehearsalRefused
from manticore_cockroachdb.events import ScriptRehearsed
from manticore_cockroachdb.rehearsal import Outcome
from manticore_cockroachdb.testing import RunningServer
from tests.flavors import Flavour
from tests.harness import Harness
from tests.rehearsal.test_drift import scratch_databases

USERS = "CREATE TABLE users (id INT8 PRIMARY KEY, name VARCHAR(20));"


@pytest.fixture
def harness(flavour: Flavour, database_url: str, tmp_path: Path) -> Harness:
    made = Harness(flavour, database_url, database_url, tmp_path / "migrations")
    made.write("V1__users", f"{USERS}\n-- DOWN\nDROP TABLE users;")
    return made


def outcomes(found: Any) -> list[tuple[int, Outcome]]:
    return [(each.script.version, each.outcome) for each in found.scripts]


async def test_scripts_that_come_back_are_good_and_the_target_stays_as_it_was(
    harness: Harness, server: RunningServer
) -> None:
    harness.write(
        "V2__index", "CREATE INDEX by_name ON users (name);\n-- DOWN\nDROP INDEX by_name;"
    )
    before = (await harness.engine().snapshot()).text

    found = await harness.engine().rehearse()

    assert outcomes(found) == [(1, Outcome.COMES_BACK), (2, Outcome.COMES_BACK)]
    assert found.ok
    assert harness.tables() == []
    assert (await harness.engine().snapshot()).text == before
    assert scratch_databases(server) == []
    told = harness.told(ScriptRehearsed)
    assert [(each.script.version, each.outcome, each.number, each.total) for each in told] == [
        (1, "comes back", 1, 2),
        (2, "comes back", 2, 2),
    ]


async def test_only_pending_scripts_are_rehearsed_unless_all_are_asked_for(
    harness: Harness,
) -> None:
    await harness.engine().migrate()
    harness.write("V2__view", "CREATE VIEW v AS SELECT name FROM users;\n-- DOWN\nDROP VIEW v;")

    pending = await harness.engine().rehearse()
    everything = await harness.engine().rehearse(all_scripts=True)

    assert outcomes(pending) == [(2, Outcome.COMES_BACK)]
    assert outcomes(everything) == [(1, Outcome.COMES_BACK), (2, Outcome.COMES_BACK)]


async def test_what_a_down_section_leaves_behind_is_reported_by_object_and_line(
    harness: Harness,
) -> None:
    harness.write(
        "V2__more",
        "ALTER TABLE users ADD COLUMN age INT8;\n\nCREATE TABLE IF NOT EXISTS pets (id INT8 PRIMARY KEY);\n"
        "-- DOWN\nALTER TABLE users DROP COLUMN age;",
    )

    found = await harness.engine().rehearse()

    result = found.scripts[1]
    assert result.outcome is Outcome.DIFFERS
    assert [(str(each), result.place(each.name)) for each in result.after_down] == [
        ("extra table public.pets", "V2__more.sql:3")
    ]
    assert result.after_up_again == ()
    assert not found.ok


async def test_a_down_section_that_removes_too_much_is_reported(harness: Harness) -> None:
    harness.write("V2__more", "CREATE INDEX by_name ON users (name);\n-- DOWN\nDROP TABLE users;")
    harness.write("V3__pets", "CREATE TABLE pets (id INT8 PRIMARY KEY);\n-- DOWN\nDROP TABLE pets;")

    found = await harness.engine().rehearse()

    assert outcomes(found) == [
        (1, Outcome.COMES_BACK),
        (2, Outcome.AGAIN_FAILED),
        (3, Outcome.COMES_BACK),
    ]
    assert [str(each) for each in found.scripts[1].after_down] == ["missing table public.users"]
    assert "V2__more.sql:1: CREATE INDEX by_name ON users (name) failed" in found.scripts[1].error


async def test_missing_down_sections_are_distinguished_from_those_missing_on_purpose(
    harness: Harness,
) -> None:
    harness.write("V2__pets", "CREATE TABLE pets (id INT8 PRIMARY KEY);")
    harness.write("V3__gone", "-- manticore: irreversible\nDROP TABLE pets;")

    found = await harness.engine().rehearse()

    assert outcomes(found)[1:] == [(2, Outcome.NO_DOWN), (3, Outcome.IRREVERSIBLE)]


async def test_a_script_that_is_marked_irreversible_must_have_no_down_section(
    harness: Harness,
) -> None:
    harness.write("V2__both", "-- manticore: irreversible\nSELECT 1;\n-- DOWN\nSELECT 1;")

    with pytest.raises(FilesRefused) as refused:
        await harness.engine().rehearse()

    assert str(refused.value) == (
        "V2__both.sql:1: is marked irreversible, but has a down section; remove "
        "one of the two. Nothing was run."
    )


async def test_a_failing_script_ends_the_rehearsal(harness: Harness, server: RunningServer) -> None:
    harness.write("V2__fails", "CREATE TABLE users (id INT8 PRIMARY KEY);\n-- DOWN\nSELECT 1;")
    harness.write("V3__never", "SELECT 1;\n-- DOWN\nSELECT 1;")

    found = await harness.engine().rehearse()

    assert outcomes(found) == [(1, Outcome.COMES_BACK), (2, Outcome.UP_FAILED)]
    assert found.planned == 3
    assert not found.ok
    assert scratch_databases(server) == []


async def test_a_down_section_that_fails_does_not_end_it(harness: Harness) -> None:
    harness.write(
        "V2__fails", "CREATE TABLE a (id INT8 PRIMARY KEY);\n-- DOWN\nDROP TABLE nothing;"
    )
    harness.write("V3__goes_on", "CREATE TABLE b (id INT8 PRIMARY KEY);\n-- DOWN\nDROP TABLE b;")

    found = await harness.engine().rehearse()

    assert outcomes(found)[1:] == [(2, Outcome.DOWN_FAILED), (3, Outcome.COMES_BACK)]


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    folder = tmp_path / "rehearsal"
    folder.mkdir()
    return folder


async def test_rows_that_a_down_section_loses_are_reported(harness: Harness, seeds: Path) -> None:
    harness.write("V2__lower", "UPDATE users SET name = lower(name);\n-- DOWN\nSELECT 1;")
    (seeds / "V2__rows.sql").write_text("INSERT INTO users (id, name) VALUES (1, 'Ann');")

    found = await harness.engine().rehearse(seeds=seeds)

    assert found.scripts[1].outcome is Outcome.DIFFERS
    assert found.scripts[1].lost_rows == ("table public.users has other values",)


@pytest.mark.parametrize(
    ("assertion", "told"),
    [
        ("SELECT name = 'ann' FROM users;", ()),
        (
            "SELECT name = 'Ann' FROM users;",
            ("V2__rows.sql:2: returned False: SELECT name = 'Ann' FROM users",),
        ),
        (
            "SELECT true FROM users WHERE id = 7;",
            ("V2__rows.sql:2: returned no row: SELECT true FROM users WHERE id = 7",),
        ),
    ],
)
async def test_assertions_are_asked_after_the_script(
    harness: Harness, seeds: Path, assertion: str, told: tuple[str, ...]
) -> None:
    harness.write("V2__lower", "UPDATE users SET name = lower(name);")
    text = f"INSERT INTO users (id, name) VALUES (1, 'Ann');\n{assertion}"
    (seeds / "V2__rows.sql").write_text(text)

    found = await harness.engine().rehearse(seeds=seeds)

    assert found.scripts[1].failed_assertions == told
    assert (found.scripts[1].outcome is Outcome.ASSERTION_FAILED) == bool(told)


async def test_a_seed_that_fails_is_refused_with_its_line(
    harness: Harness, seeds: Path, server: RunningServer
) -> None:
    (seeds / "V1__rows.sql").write_text("\nINSERT INTO nothing VALUES (1);")

    with pytest.raises(RehearsalRefused) as refused:
        await harness.engine().rehearse(seeds=seeds)

    assert str(refused.value).startswith("V1__rows.sql:2: the seed for version 1 failed: ")
    assert str(refused.value).endswith(". The database was not changed.")
    assert scratch_databases(server) == []


async def test_every_problem_of_seeds_is_reported_at_once(harness: Harness, seeds: Path) -> None:
    (seeds / "V9__rows.sql").write_text("SELECT 1;")
    (seeds / "rows.sql").write_text("SELECT 1;")
    (seeds / "V1__rows.sql").write_text("SELECT 'open;")

    with pytest.raises(FilesRefused) as refused:
        await harness.engine().rehearse(seeds=seeds)

    assert str(refused.value).startswith("3 problems. Seeds refused:\n  - V1__rows.sql:1: ")
    assert "V9__rows.sql: There is no script of version 9" in str(refused.value)
    assert "rows.sql: must be named V<number>__<description>.sql" in str(refused.value)
