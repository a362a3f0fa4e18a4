"""The way out: what is exported is what that tool would have, and can be adopted back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manticore_cockroachdb.adopt import EXPORTS, AsyncExport, Export, checksums
from manticore_cockroachdb.errors import FilesRefused, PlanRefused, SettingsError
from tests.flavors import Threaded

from .harness import Harness

SCRIPTS = {
    "V1__users.sql": "CREATE TABLE users (id INT8 PRIMARY KEY);\n\n-- DOWN\nDROP TABLE users;\n",
    "V2__rides.sql": "-- manticore: mode=stepwise\nCREATE TABLE rides (id INT8 PRIMARY KEY);\n",
    "V20240101000000__notes.sql": "SELECT '${x}';\n\n-- DOWN\n",
}


def leaving(harness: Harness, tool: str, **options: Any) -> Any:
    """An export of the harness's flavor."""
    database = harness.flavour.database(harness.url)
    if harness.flavour.name == "async":
        return AsyncExport(database, tool, harness.theirs, harness.ours, **options)
    return Threaded(Export(database.wrapped, tool, harness.theirs, harness.ours, **options))


async def ours(harness: Harness, target: int = 2) -> None:
    """One of our histories: all but the last script is applied."""
    harness.ours.mkdir()
    for name, text in SCRIPTS.items():
        (harness.ours / name).write_text(text, "utf-8")
    await harness.migration().migrate(target)


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(folder.iterdir())}


async def test_golang_migrate_gets_pairs_of_files_and_its_one_row(harness: Harness) -> None:
    await ours(harness)

    await leaving(harness, "golang-migrate").apply()

    assert files(harness.theirs) == {
        "000001_users.up.sql": "CREATE TABLE users (id INT8 PRIMARY KEY);\n",
        "000001_users.down.sql": "DROP TABLE users;\n",
        "000002_rides.up.sql": "CREATE TABLE rides (id INT8 PRIMARY KEY);\n",
        "20240101000000_notes.up.sql": "SELECT '${x}';\n",
        "20240101000000_notes.down.sql": "",
    }
    assert harness.ask("SELECT * FROM schema_migrations") == [(2, False)]


async def test_flyway_gets_its_files_options_and_a_row_for_each(harness: Harness) -> None:
    await ours(harness)

    await leaving(harness, "flyway").apply()

    assert files(harness.theirs) == {
        "U1__users.sql": "DROP TABLE users;\n",
        "U20240101000000__notes.sql": "",
        "V1__users.sql": "CREATE TABLE users (id INT8 PRIMARY KEY);\n",
        "V2__rides.sql": "CREATE TABLE rides (id INT8 PRIMARY KEY);\n",
        "V2__rides.sql.conf": "executeInTransaction=false\n",
        "V20240101000000__notes.sql": "SELECT '${x}';\n",
        "V20240101000000__notes.sql.conf": "placeholderReplacement=false\n",
    }
    crc = checksums.flyway(b"CREATE TABLE users (id INT8 PRIMARY KEY);\n")
    rows = harness.ask(
        "SELECT installed_rank, version, description, type, script, checksum, success "
        "FROM flyway_schema_history ORDER BY 1"
    )
    assert rows[0] == (1, "1", "users", "SQL", "V1__users.sql", int(crc), True)
    assert [row[1] for row in rows] == ["1", "2"]


@pytest.mark.parametrize("tool", EXPORTS)
async def test_what_is_exported_can_be_adopted_back(tool_bench: Harness, tool: str) -> None:
    await ours(tool_bench)
    await leaving(tool_bench, tool).apply()
    tool_bench.ours = tool_bench.ours.parent / "back"

    plan = await tool_bench.adoption(tool=tool, table="back").plan()

    assert (plan.problems, plan.findings) == ((), ())
    assert (plan.applied, plan.pending) == ((1, 2), (20240101000000,))


async def test_a_ledger_with_rows_is_left_alone(harness: Harness) -> None:
    await ours(harness)
    await leaving(harness, "flyway").apply()

    with pytest.raises(PlanRefused) as refused:
        await leaving(harness, "flyway").apply()

    assert str(refused.value) == (
        "Flyway's ledger public.flyway_schema_history has 2 rows already. If "
        "they "
        "were adopted, run `manticore_adopt --undo` instead; else drop or rename the table. "
        "Nothing was exported."
    )


async def test_a_file_with_other_contents_is_not_overwritten(harness: Harness) -> None:
    await ours(harness)
    harness.write({"V1__users.sql": "SELECT 1;\n"})

    with pytest.raises(FilesRefused) as refused:
        await leaving(harness, "flyway").write()

    assert str(refused.value) == (
        "V1__users.sql: is there with other contents and is not overwritten. "
        "Move it "
        "away. No file was written."
    )
    assert files(harness.theirs) == {"V1__users.sql": "SELECT 1;\n"}


async def test_a_gap_that_golang_migrate_cannot_tell_is_refused(harness: Harness) -> None:
    await ours(harness, 20240101000000)
    harness.ask("DELETE FROM _migrations WHERE version = 2")

    plan = await leaving(harness, "golang-migrate").plan()

    assert [str(problem) for problem in plan.problems] == [
        (
            "V2__rides.sql: is not applied, and 20240101000000 is: this tool would take it for "
            "applied. Apply "
            "it first."
        )
    ]


async def test_only_some_tools_can_be_left_for(harness: Harness) -> None:
    await ours(harness, 1)

    with pytest.raises(SettingsError) as refused:
        await leaving(harness, "goose").plan()

    assert str(refused.value) == (
        "'goose' is not a tool that can be exported to; known: golang-migrate, flyway."
    )
