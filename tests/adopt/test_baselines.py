"""Tools whose migrations are programs: the schema as it is becomes one script."""

from __future__ import annotations

import pytest

from manticore_cockroachdb.errors import FilesRefused, PlanRefused, SettingsError

from .harness import Harness

SCHEMA = (
    "CREATE TABLE riders (id INT8 PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE TABLE rides (id INT8 PRIMARY KEY, rider INT8 REFERENCES riders (id))",
    "CREATE INDEX rides_by_rider ON rides (rider)",
)
KNEX = (
    (
        "CREATE TABLE knex_migrations (id INT8 PRIMARY KEY, name VARCHAR(255), batch INT4, "
        "migration_time TIMESTAMPTZ)"
    ),
    'CREATE TABLE knex_migrations_lock ("index" INT8 PRIMARY KEY, is_locked INT4)',
    "INSERT INTO knex_migrations_lock VALUES (1, 0)",
)
DJANGO = (
    "CREATE TABLE django_migrations (id INT8 PRIMARY KEY, app TEXT, name TEXT, applied TIMESTAMPTZ)",
    "CREATE TABLE auth_user (id INT8 PRIMARY KEY)",
)


@pytest.mark.parametrize(
    ("tool", "more", "also"),
    [("baseline", (), set()), ("knex", KNEX, set()), ("django", DJANGO, {"auth_user"})],
)
async def test_the_schema_as_it_is_becomes_one_script_that_makes_it_again(
    tool_bench: Harness, tool: str, more: tuple[str, ...], also: set[str]
) -> None:
    harness = tool_bench
    for statement in (*SCHEMA, *more):
        harness.ask(statement)
    adoption = harness.adoption(tool=tool)
    adoption.source = None

    plan = await adoption.apply(prove=True)

    assert [row.version for row in plan.rows] == [1]
    (text,) = harness.written().values()
    assert list(harness.written()) == ["V1__baseline.sql"]
    assert "rides_by_rider" in text
    assert "knex_migrations" not in text
    assert "django_migrations" not in text
    assert not any(name in text for name in also)
    assert await harness.migration().migrate() == 0
    assert (await adoption.apply()).is_done


async def test_knex_is_stopped_by_its_own_lock_until_that_is_reverted(harness: Harness) -> None:
    for statement in (*SCHEMA, *KNEX):
        harness.ask(statement)
    adoption = harness.adoption(tool="knex")
    adoption.source = None

    await adoption.apply()
    locked = harness.one("SELECT is_locked FROM knex_migrations_lock")
    await adoption.undo()

    assert (locked, harness.one("SELECT is_locked FROM knex_migrations_lock")) == (1, 0)
    assert harness.ledger() == []


async def test_an_active_run_of_knex_stops_the_move(harness: Harness) -> None:
    for statement in (*SCHEMA, *KNEX):
        harness.ask(statement)
    harness.ask("UPDATE knex_migrations_lock SET is_locked = 1")
    adoption = harness.adoption(tool="knex")
    adoption.source = None

    with pytest.raises(PlanRefused) as refused:
        await adoption.apply()

    assert str(refused.value) == (
        "public.knex_migrations_lock says that a run is active. Wait for that run "
        "to end. If it is dead, run `knex migrate:unlock`. Nothing was adopted."
    )


async def test_what_is_to_be_left_out_is_in_no_script(harness: Harness) -> None:
    for statement in (*SCHEMA, "CREATE TABLE audit_log (id INT8 PRIMARY KEY)"):
        harness.ask(statement)
    adoption = harness.adoption(tool="baseline", ignore=["table public.audit_*"])
    adoption.source = None

    await adoption.apply(prove=True)

    (text,) = harness.written().values()
    assert "audit_log" not in text


async def test_another_schema_than_the_baselines_is_not_recorded_as_it(harness: Harness) -> None:
    for statement in SCHEMA:
        harness.ask(statement)
    adoption = harness.adoption(tool="baseline")
    adoption.source = None
    await adoption.write()
    harness.ask("ALTER TABLE riders ADD COLUMN email TEXT")

    with pytest.raises(FilesRefused) as refused:
        await adoption.apply()

    assert str(refused.value) == (
        "V1__baseline.sql: is version 1 already and says something else than the "
        "schema as it is. It is not overwritten: move it away, or give it another version. No "
        "file was written."
    )
    assert not harness.has_ledger()


async def test_a_printed_schema_needs_the_database_and_a_tool_with_files_its_folder(
    harness: Harness,
) -> None:
    printed, filed = harness.adoption(tool="baseline"), harness.adoption(tool="goose")
    printed.source = filed.source = None

    with pytest.raises(SettingsError, match=r"the tool before's schema is printed: that needs"):
        await printed.plan(offline=True)
    with pytest.raises(SettingsError, match="Name the folder with the other tool's files"):
        await filed.plan()
