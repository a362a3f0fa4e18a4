"""The way out: what is exported is what that tool would have, and can be adopted back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from manticore_cockroachdb._scripts.checkpoint import Checkpoint, Replaced, render
from manticore_cockroachdb._scripts.checkpoint_file import parse_checkpoint
from manticore_cockroachdb._scripts.filenames import read_checkpoint_name
from manticore_cockroachdb._store.ledger import LedgerRow
from manticore_cockroachdb.adopt import EXPORTS, AsyncExport, Export, checksums
from manticore_cockroachdb.adopt.export import export
from manticore_cockroachdb.errors import FilesRefused, MigrationFailed, PlanRefused, SettingsError
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
        "V1__users.sql: exists with other contents and is not overwritten. "
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


RICH = {
    "V1__conc.sql": "-- manticore: mode=stepwise\nCREATE TABLE t (v INT8);\nINSERT INTO t VALUES (1);\n",
    "V2__do.sql": "-- manticore: mode=autocommit\nSELECT 1;\nSELECT 2;\n",
    "V3__batch.sql": (
        "-- manticore: isolation=serializable, lock_timeout=2s\n"
        "-- manticore: batch=10 key=v\nUPDATE t SET v = 2;\n"
    ),
    "V4__text.sql": "SELECT $$\n-- manticore: mode=stepwise\n$$, '${x}';\n\n-- DOWN\nSELECT '${x}';\n",
    "V5__many.sql": "CREATE INDEX CONCURRENTLY i ON t (v);\nSELECT 5;\n",
}


_WHOLE = "golang-migrate sends a file whole, as one transaction."
_OTHERWISE = [
    "V3__batch.sql: asks for isolation=serializable; {title} runs it at the server's default.",
    "V3__batch.sql: limits its waits for locks; {title} waits as the server's settings say.",
    "V3__batch.sql:3: runs in batches here; {title} runs it as one statement.",
]


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        (
            "golang-migrate",
            [
                f"V1__conc.sql: asks for mode=stepwise; {_WHOLE}",
                f"V2__do.sql: asks for mode=autocommit; {_WHOLE}",
                *(each.format(title="golang-migrate") for each in _OTHERWISE),
                f"V5__many.sql: has a statement that PostgreSQL runs only alone; {_WHOLE}",
            ],
        ),
        ("flyway", [each.format(title="Flyway") for each in _OTHERWISE]),
    ],
)
async def test_what_runs_otherwise_there_is_reported_before_anything_is_written(
    tool_bench: Harness, tool: str, told: list[str]
) -> None:
    write(tool_bench.ours, RICH)

    plan = await leaving(tool_bench, tool).plan()

    assert [str(remark) for remark in plan.notes] == told
    assert plan.problems == ()
    assert not tool_bench.theirs.exists()
    options = {file.name: file.text for file in plan.files if file.name.endswith(".conf")}
    assert options == (
        {}
        if tool == "golang-migrate"
        else {
            "V1__conc.sql.conf": "executeInTransaction=false\n",
            "V2__do.sql.conf": "executeInTransaction=false\n",
            "V4__text.sql.conf": "placeholderReplacement=false\n",
            "U4__text.sql.conf": "placeholderReplacement=false\n",
        }
    )
    text = next(file.text for file in plan.files if "4_" in file.name and "SELECT $$" in file.text)
    assert text == "SELECT $$\n-- manticore: mode=stepwise\n$$, '${x}';\n"


async def test_placeholders_get_the_values_of_this_database(harness: Harness) -> None:
    write(
        harness.ours,
        {"V1__a.sql": "SELECT ${x};\n\n-- DOWN\nSELECT '${x}';\n", "V2__b.sql": "SELECT 2;\n"},
    )

    plan = await leaving(harness, "flyway", placeholders={"x": "7"}).write()

    assert files(harness.theirs) == {
        "V1__a.sql": "SELECT 7;\n",
        "U1__a.sql": "SELECT '7';\n",
        "V2__b.sql": "SELECT 2;\n",
    }
    assert [str(remark) for remark in plan.notes] == [
        "V1__a.sql: its placeholders are replaced by the values of this database."
    ]


async def test_files_of_that_tool_that_are_in_the_folder_are_reported(tool_bench: Harness) -> None:
    write(tool_bench.ours, {"V1__a.sql": "SELECT 1;\n"})
    tool_bench.write({"V1__other.sql": "SELECT 0;\n", "V9__later.sql": "SELECT 9;\n"})

    plan = await leaving(tool_bench, "flyway").plan()

    assert [str(remark) for remark in plan.problems] == [
        "V1__other.sql: is version 1, and so is V1__a.sql."
    ]
    assert [str(remark) for remark in plan.notes] == [
        "V1__other.sql: is there already and none of these scripts: Flyway runs it as pending.",
        "V9__later.sql: is there already and none of these scripts: Flyway runs it as pending.",
    ]


async def test_a_table_of_that_name_that_is_not_its_ledger_is_left_alone(harness: Harness) -> None:
    await ours(harness)
    harness.ask("CREATE TABLE schema_migrations (version VARCHAR(20) PRIMARY KEY)")

    with pytest.raises(PlanRefused) as refused:
        await leaving(harness, "golang-migrate").apply()

    assert str(refused.value) == (
        "The table public.schema_migrations is not golang-migrate's: it has no column dirty. Rename it, or "
        "export to a database without it. Nothing was exported."
    )
    assert not harness.theirs.exists()


async def test_what_is_partially_applied_is_finished_first(harness: Harness) -> None:
    await ours(harness, 1)
    failing = "-- manticore: mode=stepwise\nCREATE TABLE b (id INT8);\nSELECT nothing;\n"
    (harness.ours / "V2__rides.sql").write_text(failing, "utf-8")
    with pytest.raises(MigrationFailed):
        await harness.migration().migrate(2)

    with pytest.raises(PlanRefused) as refused:
        await leaving(harness, "flyway").apply()

    assert str(refused.value) == (
        "Version 2 is partially applied here. Finish it with manticore_migrate first. Nothing was exported."
    )
    assert not harness.theirs.exists()


def test_a_checkpoint_is_left_out_and_what_it_stands_for_must_be_there() -> None:
    text = render(Checkpoint("PostgreSQL 18", (Replaced(1, "a", "0" * 64),)), "SELECT 1;\n")
    path = Path("ours/B1__schema.sql")
    name = read_checkpoint_name(path.name)
    assert name is not None
    checkpoint, problems = parse_checkpoint(path, name, text.encode())
    assert checkpoint is not None, problems

    plan = export("flyway", Path("theirs"), (), [LedgerRow(1, "a", None)], {}, [checkpoint])

    assert [str(remark) for remark in plan.notes] == [
        "B1__schema.sql: is a checkpoint for empty databases: it is left out, and Flyway runs the versions."
    ]
    assert [str(remark) for remark in plan.problems] == [
        (
            "version 1 is applied, but its file is missing. Restore it first: B1__schema.sql stands for it "
            "here alone."
        )
    ]


def write(folder: Path, scripts: Mapping[str, str]) -> None:
    folder.mkdir()
    for name, text in scripts.items():
        (folder / name).write_text(text, "utf-8")


async def test_only_some_tools_can_be_left_for(harness: Harness) -> None:
    await ours(harness, 1)

    with pytest.raises(SettingsError) as refused:
        await leaving(harness, "goose").plan()

    assert str(refused.value) == (
        "'goose' is not a tool that can be exported to; known: golang-migrate, flyway."
    )
