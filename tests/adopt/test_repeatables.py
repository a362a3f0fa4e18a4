"""Flyway's repeatable files become repeatable scripts, with their rows; and go back."""

from __future__ import annotations

from typing import Any

import pytest

from manticore_cockroachdb.adopt import AsyncExport, Export, checksums
from manticore_cockroachdb.types import State
from tests.flavors import Threaded

from .harness import Harness
from .histories import _FLYWAY_INSERT, HISTORIES

NAMES = "CREATE OR REPLACE VIEW names AS SELECT name FROM users;\n"
COUNT = "CREATE OR REPLACE VIEW riders AS SELECT count(*) AS n FROM rides;\n"
OVER = "CREATE OR REPLACE VIEW a AS SELECT name FROM names;\n"
NEW = "CREATE OR REPLACE VIEW fresh AS SELECT 1 AS one;\n"


def repeated(rank: int, name: str, text: str) -> str:
    """Flyway's row for a repeatable file."""
    crc = checksums.flyway(text.encode())
    return (
        f"{_FLYWAY_INSERT}({rank}, NULL, '{name.replace('_', ' ')}', 'SQL', 'R__{name}.sql', {crc}, "
        "'alice', '2024-01-02 03:04:05', 7, true)"
    )


@pytest.fixture
def flyway(harness: Harness) -> Harness:
    """Two versions and two repeatable files are applied, one of them was changed since, and one is new."""
    harness.make(HISTORIES["flyway"])
    harness.write(
        {"R__all_names.sql": NAMES, "R__count.sql": COUNT, "sub/R__new-view.sql": NEW},
    )
    harness.ask(repeated(3, "all_names", NAMES))
    harness.ask(repeated(4, "count", "CREATE VIEW riders AS SELECT 1 AS n;"))
    harness.ask(NAMES.strip().rstrip(";"))
    return harness


async def test_repeatable_files_keep_their_names_and_their_rows(flyway: Harness) -> None:
    plan = await flyway.adoption().apply()

    assert (plan.problems, plan.findings) == ((), ())
    assert plan.applied == (1, 2, "R__all_names", "R__count")
    assert plan.pending == (3, "R__new-view")
    written = flyway.written()
    assert [name for name in written if name.startswith("R__")] == [
        "R__all_names.sql",
        "R__count.sql",
        "R__new-view.sql",
    ]
    assert written["R__all_names.sql"] == NAMES
    assert flyway.ledger() == [1, 2]
    rows = flyway.ask(
        "SELECT name, checksum IS NULL, applied_by, execution_ms, "
        "to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') "
        "FROM _migrations_repeatable ORDER BY 1"
        if not flyway.one("SELECT version()").startswith("CockroachDB")
        else "SELECT name, checksum IS NULL, applied_by, execution_ms, "
        "(applied_at AT TIME ZONE 'UTC')::STRING FROM _migrations_repeatable ORDER BY 1"
    )
    assert rows == [
        ("R__all_names", False, "alice (adopted from Flyway)", 7, "2024-01-02 03:04:05"),
        ("R__count", True, "alice (adopted from Flyway)", 7, "2024-01-02 03:04:05"),
    ]
    assert plan.notes == ()


async def test_what_was_changed_since_runs_with_what_is_new(flyway: Harness) -> None:
    await flyway.adoption().apply()

    assert {each.key: each.state for each in await flyway.migration().status()} == {
        1: State.APPLIED,
        2: State.APPLIED,
        3: State.PENDING,
        "R__all_names": State.APPLIED,
        "R__count": State.PENDING,
        "R__new-view": State.PENDING,
    }
    assert [step.key for step in await flyway.migration().plan()] == [3, "R__count", "R__new-view"]
    assert await flyway.migration().migrate() == 3
    assert await flyway.migration().migrate() == 0


async def test_a_second_run_finds_it_done_and_the_option_undo_removes_the_rows(
    flyway: Harness,
) -> None:
    await flyway.adoption().apply()
    again = await flyway.adoption().apply()
    assert again.is_done
    assert again.recorded == (1, 2, "R__all_names", "R__count")

    undone = await flyway.adoption(tool="flyway").undo()

    assert (undone.versions, undone.repeatables) == ((1, 2), ("R__all_names", "R__count"))
    assert flyway.ask("SELECT * FROM _migrations_repeatable") == []


async def test_a_checksum_is_of_the_text_with_its_placeholders_filled_in(flyway: Harness) -> None:
    text = "CREATE OR REPLACE VIEW who AS SELECT '${who}' AS who;\n"
    flyway.write({"R__who.sql": text})
    flyway.ask(repeated(5, "who", text))
    await flyway.adoption(placeholders={"who": "me"}).apply()

    plan = await flyway.migration(placeholders={"who": "me"}).plan()

    assert "R__who" not in [step.key for step in plan]


# Out again.


def leaving(harness: Harness, tool: str) -> Any:
    database = harness.flavour.database(harness.url)
    if harness.flavour.name == "async":
        return AsyncExport(database, tool, harness.theirs, harness.ours)
    return Threaded(Export(database.wrapped, tool, harness.theirs, harness.ours))


@pytest.fixture
async def ours(harness: Harness) -> Harness:
    """A version and three of our repeatable scripts; one was changed since it was applied."""
    harness.ours.mkdir()
    files = {
        "V1__users.sql": "CREATE TABLE users (id INT8 PRIMARY KEY, name TEXT);\n",
        "R__names.sql": NAMES,
        "R__a.sql": f"-- manticore: after=R__names.sql\n{OVER}",
        "R__b.sql": "CREATE OR REPLACE VIEW b AS SELECT 1 AS one;\n",
    }
    for name, text in files.items():
        (harness.ours / name).write_text(text, "utf-8")
    await harness.migration().migrate()
    (harness.ours / "R__b.sql").write_text(
        "CREATE OR REPLACE VIEW b AS SELECT 1 AS one, 2 AS two;\n"
    )
    return harness


async def test_flyway_gets_the_files_and_a_row_for_what_is_as_it_was_applied(ours: Harness) -> None:
    plan = await leaving(ours, "flyway").apply()

    assert plan.applied == (1, "R__names", "R__a")
    assert [str(note) for note in plan.notes] == [
        "R__a.sql:1: runs after R__names.sql here; Flyway runs by name alone."
    ]
    assert (ours.theirs / "R__names.sql").read_text() == NAMES
    text = (ours.theirs / "R__a.sql").read_text()
    assert text == OVER
    assert ours.ask(
        "SELECT version, description, script, checksum FROM flyway_schema_history "
        "WHERE version IS NULL ORDER BY installed_rank"
    ) == [
        (None, "names", "R__names.sql", int(checksums.flyway(NAMES.encode()))),
        (None, "a", "R__a.sql", int(checksums.flyway(text.encode()))),
    ]


async def test_what_flyway_got_can_be_adopted_back(ours: Harness) -> None:
    await leaving(ours, "flyway").apply()
    ours.ours = ours.ours.parent / "back"

    plan = await ours.adoption(tool="flyway", table="back").plan()

    assert (plan.problems, plan.findings) == ((), ())
    assert (plan.applied, plan.pending) == ((1, "R__a", "R__names"), ("R__b",))


async def test_golang_migrate_is_reported_to_have_none(ours: Harness) -> None:
    plan = await leaving(ours, "golang-migrate").apply()

    assert plan.applied == (1,)
    assert [str(note) for note in plan.notes] == [
        f"{name}: is a repeatable script, which golang-migrate does not have: it is left out. Put what it "
        "makes into a version first."
        for name in ("R__b.sql", "R__names.sql", "R__a.sql")
    ]
    assert [file.name for file in plan.files] == ["000001_users.up.sql"]
    assert ours.ask("SELECT * FROM schema_migrations") == [(1, False)]
