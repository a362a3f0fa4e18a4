"""Histories of every tool, made by their documented formats, are taken over, stopped and handed back."""

from __future__ import annotations

from datetime import datetime

import anyio
import psycopg
import pytest

from manticore_cockroachdb.adopt import TOOLS
from manticore_cockroachdb.errors import FilesRefused, LedgerRefused, PlanRefused, SettingsError
from tests.harness import eventually

from .harness import Harness
from .histories import HISTORIES, RAILS, USERS

ALL = {**HISTORIES, "rails": RAILS}
_LATE = 20240103000000
_WAITING = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'goose_db_version'::regclass"
)
LEDGER = "SELECT * FROM _migrations ORDER BY version"


def test_every_tool_has_a_history() -> None:
    assert set(ALL) == {name for name, tool in TOOLS.items() if not tool.prints}


@pytest.mark.parametrize("tool", HISTORIES)
async def test_a_history_is_taken_over_with_its_times_and_migrated_on(
    tool_bench: Harness, tool: str
) -> None:
    harness, history = tool_bench, HISTORIES[tool]
    harness.make(history)

    plan = await harness.adoption(tool=tool).apply()

    assert tuple(row.version for row in plan.rows) == history.versions[:2]
    rows = harness.ask(
        "SELECT version, applied_by, execution_ms, applied_at FROM _migrations ORDER BY 1"
    )
    users = history.users or (f"adopted from {TOOLS[tool].title}",) * 2
    took = history.milliseconds or (None, None)
    assert [row[:3] for row in rows] == list(zip(history.versions, users, took, strict=False))
    if history.times is not None:
        assert [row[3] for row in rows] == [datetime.fromisoformat(time) for time in history.times]
    assert harness.one(history.stopped) == 1
    assert await harness.migration().migrate() == 1
    assert harness.ledger() == list(history.versions)
    assert harness.one("SELECT count(*) FROM notes") == 0


@pytest.mark.parametrize("tool", HISTORIES)
async def test_a_second_adoption_finds_everything_done_and_the_option_undo_returns_it(
    tool_bench: Harness, tool: str
) -> None:
    harness, history = tool_bench, HISTORIES[tool]
    harness.make(history)
    adoption = harness.adoption(tool=tool)
    await adoption.apply()
    before = (harness.written(), harness.ask(LEDGER))

    again = await adoption.apply()
    after = (harness.written(), harness.ask(LEDGER))
    undone = await adoption.undo()

    assert again.is_done
    assert after == before
    assert undone.versions == history.versions[:2]
    assert harness.ledger() == []
    assert harness.one(history.stopped) == 0
    assert (await adoption.plan()).is_ready


@pytest.mark.parametrize("tool", [name for name, each in HISTORIES.items() if each.troubles])
async def test_what_must_be_fixed_with_that_tool_is_reported(
    tool_bench: Harness, tool: str
) -> None:
    harness, history = tool_bench, HISTORIES[tool]
    told = {}
    harness.make(history)
    for state, trouble in history.troubles.items():
        harness.ask(trouble.sql)
        plan = await harness.adoption(tool=tool).plan()
        told[state] = [finding.message for finding in plan.findings]
        assert all(finding.remedy for finding in plan.findings)
        harness.make_again(history)

    assert told == {state: [trouble.finding] for state, trouble in history.troubles.items()}


async def test_a_partially_applied_state_is_refused_and_nothing_is_written(
    harness: Harness,
) -> None:
    history = HISTORIES["prisma"]
    harness.make(history)
    harness.ask(history.troubles["half done"].sql)

    with pytest.raises(PlanRefused) as refused:
        await harness.adoption().apply()

    assert str(refused.value) == (
        "20240103000000_notes was started and not finished. See what of "
        "20240103000000_notes took effect, finish or revert it by hand, and record that with "
        "`prisma migrate "
        "resolve --applied 20240103000000_notes` or `--rolled-back 20240103000000_notes`. "
        "Nothing was adopted."
    )
    assert harness.written() == {}
    assert not harness.has_ledger()
    assert harness.one(history.stopped) == 0


async def test_a_structure_of_rails_becomes_one_script(tool_bench: Harness) -> None:
    tool_bench.make(RAILS)

    plan = await tool_bench.adoption(tool="rails").apply()

    assert [row.version for row in plan.rows] == [RAILS.versions[1]]
    (text,) = tool_bench.written().values()
    assert "schema_migrations" not in text
    assert "restrict" not in text
    assert "CREATE TABLE rides" in text


async def test_the_files_alone_are_written_without_a_server(harness: Harness) -> None:
    harness.write(HISTORIES["goose"].files)

    plan = await harness.adoption().write(offline=True)

    assert [script.version for script in plan.scripts] == list(HISTORIES["goose"].versions)
    assert list(harness.written()) == [script.script.path.name for script in plan.new_files]
    assert not harness.has_ledger()


async def test_what_is_there_with_other_contents_is_never_overwritten(harness: Harness) -> None:
    harness.make(HISTORIES["goose"])
    harness.ours.mkdir()
    mine = harness.ours / "V20240102000000__mine.sql"
    mine.write_text("SELECT 1;\n", "utf-8")

    with pytest.raises(FilesRefused) as refused:
        await harness.adoption().apply()

    assert str(refused.value) == (
        "V20240102000000__mine.sql: is version 20240102000000 already and says "
        "something else than 20240102000000_rides.sql. It is not overwritten: move it away, or give it "
        "another version. No file was written."
    )
    assert harness.written() == {mine.name: "SELECT 1;\n"}


async def test_a_script_applied_here_since_is_not_left_to_the_other_tool(harness: Harness) -> None:
    harness.make(HISTORIES["flyway"])
    await harness.adoption().apply()
    await harness.migration().migrate()

    with pytest.raises(PlanRefused) as refused:
        await harness.adoption().undo()

    assert str(refused.value) == (
        "Manticore has applied version 3 since, which Flyway does not know. "
        "Roll it "
        "back first (manticore_rollback). Nothing was reverted."
    )
    assert harness.ledger() == [1, 2, 3]


@pytest.mark.parametrize("tool", ["dbmate", "golang-migrate"])
async def test_what_was_reverted_here_is_neither_recorded_again_nor_left_to_the_other_tool(
    tool_bench: Harness, tool: str
) -> None:
    """Its ledger still says that the migration is applied: that was true when it was taken over."""
    harness, history = tool_bench, HISTORIES[tool]
    harness.make(history)
    adoption = harness.adoption(tool=tool)
    await adoption.apply()
    await harness.migration().rollback()

    again = await adoption.apply()
    with pytest.raises(PlanRefused) as refused:
        await adoption.undo()

    version = history.versions[1]
    title = TOOLS[tool].title
    assert harness.ledger() == [history.versions[0]]
    assert (again.is_done, again.reverted, again.pending) == (
        True,
        (version,),
        history.versions[1:],
    )
    assert str(again.notes[-1]) == (
        f"{again.scripts[1].theirs.name} is applied in {title}'s ledger and not in Manticore's: it was "
        "reverted here since the adoption, and is pending. If it was not reverted, record it with "
        f"`manticore_resolve --applied {version}`."
    )
    assert str(refused.value) == (
        f"{title}'s ledger calls version {version} applied, and Manticore's does not. If Manticore "
        "reverted that, apply it again first (manticore_migrate). If it is applied, record it first "
        f"(`manticore_resolve --applied {version}`). Nothing was reverted."
    )
    assert harness.one(history.stopped) == 1

    # Applied again, both ledgers agree: the other tool gets the database back.
    await harness.migration().migrate(version)
    undone = await adoption.undo()

    assert undone.versions == history.versions[:2]
    assert harness.ledger() == []
    assert harness.one(history.stopped) == 0


@pytest.mark.parametrize(
    ("tool", "table", "row"),
    [
        ("golang-migrate", "schema_migrations", "version = -2 AND dirty"),
        ("flyway", "flyway_schema_history", "installed_rank = 1 AND NOT success"),
    ],
)
async def test_a_tool_that_has_applied_nothing_is_stopped_too(
    tool_bench: Harness, tool: str, table: str, row: str
) -> None:
    """Its table has no row then, whose flag could be set or whose rank be followed."""
    harness = tool_bench
    harness.make(HISTORIES[tool])
    harness.ask(f"DELETE FROM {table}")
    adoption = harness.adoption(tool=tool)

    plan = await adoption.apply()
    stopped = harness.one(f"SELECT count(*) FROM {table} WHERE {row}")
    again = await adoption.apply()
    await adoption.undo()

    assert (plan.applied, plan.findings, again.is_done) == ((), (), True)
    assert (stopped, harness.one(f"SELECT count(*) FROM {table}")) == (1, 0)


async def test_what_was_applied_here_on_an_empty_ledger_is_not_left_to_the_other_tool(
    tool_bench: Harness,
) -> None:
    """It would apply all of it a second time."""
    harness = tool_bench
    harness.write(HISTORIES["flyway"].files)
    harness.ask(HISTORIES["flyway"].ledger[0])
    adoption = harness.adoption(tool="flyway")
    await adoption.apply()
    await harness.migration().migrate()

    with pytest.raises(PlanRefused) as refused:
        await adoption.undo()

    assert str(refused.value) == (
        "Manticore has applied versions 1, 2, 3 since, which Flyway does not know. Roll it back first "
        "(manticore_rollback). Nothing was reverted."
    )
    assert harness.ledger() == [1, 2, 3]


async def test_the_ledger_of_another_project_is_not_reverted(tool_bench: Harness) -> None:
    harness, history = tool_bench, HISTORIES["goose"]
    harness.make(history)
    await harness.adoption(tool="goose").apply()
    harness.theirs = harness.theirs.parent / "other"
    harness.write({f"{history.versions[0]}_other.sql": "-- +goose Up\nSELECT 1;\n"})
    harness.ours = harness.ours.parent / "other scripts"

    with pytest.raises(PlanRefused) as refused:
        await harness.adoption(tool="goose").undo()

    assert str(refused.value) == (
        "Our ledger has version 20240101000000 as 'users', which is not 20240101000000_other.sql. Set "
        "TABLE to give this project its own ledger, or find out whose rows these are. Nothing was reverted."
    )
    assert harness.ledger() == list(history.versions[:2])


async def test_what_a_tool_applied_after_all_is_not_taken_for_reverted(tool_bench: Harness) -> None:
    """Somebody lifted the guard by hand and ran the other tool: nobody can know which of the two it was."""
    harness, history = tool_bench, HISTORIES["goose"]
    harness.make(history)
    adoption = harness.adoption(tool="goose")
    await adoption.apply()
    harness.ask((await adoption.plan()).guard.lift)
    harness.ask(
        f"INSERT INTO goose_db_version (id, version_id, is_applied) VALUES (200, {_LATE}, true)"
    )

    with pytest.raises(PlanRefused) as refused:
        await adoption.apply()

    assert str(refused.value) == (
        "20240103000000_notes.sql is applied in goose's ledger and not in Manticore's, though this "
        "database was adopted before. If goose applied it since, record it with `manticore_resolve "
        "--applied 20240103000000`. If Manticore reverted it, apply it again with manticore_migrate. "
        "Nothing was adopted."
    )
    assert harness.ledger() == list(history.versions[:2])


async def test_a_move_that_died_before_stopping_the_tool_continues_or_is_reverted(
    harness: Harness,
) -> None:
    """On CockroachDB this tool's guard is a schema change, which is sent alone after the rows."""
    history = HISTORIES["dbmate"]
    harness.make(history)
    adoption = harness.adoption()
    guard = (await adoption.plan()).guard
    await adoption.apply()
    harness.ask(guard.lift)

    again = await adoption.apply()
    stopped = harness.one(history.stopped)
    harness.ask(guard.lift)
    undone = await adoption.undo()

    assert (again.rows, again.is_done, stopped) == ((), False, 1)
    assert (undone.versions, undone.guard) == (history.versions[:2], None)
    assert harness.ledger() == []
    assert harness.one(history.stopped) == 0


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_ledger_that_is_written_meanwhile_is_not_taken_over(harness: Harness) -> None:
    history = HISTORIES["goose"]
    harness.make(history)
    harness.ask(
        f"INSERT INTO goose_db_version (id, version_id, is_applied) VALUES (200, {_LATE}, false)"
    )
    refused: list[str] = []

    async def adopt() -> None:
        with pytest.raises(PlanRefused) as error:
            await harness.adoption().apply()
        refused.append(str(error.value))

    async with (
        await psycopg.AsyncConnection.connect(harness.url) as runner,
        anyio.create_task_group() as tasks,
    ):
        await runner.execute("UPDATE goose_db_version SET is_applied = true WHERE id = 200")
        tasks.start_soon(adopt)
        await eventually(lambda: harness.one(_WAITING))
        await runner.commit()

    assert refused == [
        "goose's ledger changed meanwhile: somebody runs it. Run this again. Nothing was adopted."
    ]
    assert harness.ledger() == []
    assert harness.one(history.stopped) == 0


async def test_a_ledger_out_of_the_search_path_must_be_named(harness: Harness) -> None:
    history = HISTORIES["goose"]
    harness.make(history)
    harness.ask("CREATE SCHEMA elsewhere")
    harness.ask("ALTER TABLE goose_db_version SET SCHEMA elsewhere")

    plan = await harness.adoption().plan()
    named = await harness.adoption(ledger="elsewhere.goose_db_version").plan()

    assert [str(finding) for finding in plan.findings] == [
        (
            "goose's ledger is elsewhere.goose_db_version, where this connection's search_path does "
            "not "
            "lead. Name it (`--ledger`), and see that the search_path is the one the migrations ran "
            "with."
        )
    ]
    assert [row.version for row in named.rows] == list(history.versions[:2])


async def test_a_renamed_ledger_is_found_by_its_name(tool_bench: Harness) -> None:
    tool_bench.make(HISTORIES["dbmate"])
    tool_bench.ask("ALTER TABLE schema_migrations RENAME TO versions")

    unnamed = await tool_bench.adoption().plan()
    named = await tool_bench.adoption(ledger="versions").plan()
    wrong = await tool_bench.adoption(ledger="users").plan()

    assert unnamed.ledger is None
    assert named.ledger == "public.versions"
    assert [row.version for row in named.rows] == list(HISTORIES["dbmate"].versions[:2])
    assert [finding.message for finding in wrong.findings] == [
        "There is no table users that has the columns of dbmate's ledger."
    ]


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_the_error_of_a_ledger_that_may_not_be_read_has_the_grant(harness: Harness) -> None:
    harness.make(HISTORIES["goose"])
    role = f"reader_{harness.one('SELECT current_database()')[-6:]}"
    harness.ask(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    try:
        owner, harness.url = harness.url, harness.url_as(f"{role}:secret")

        with pytest.raises(LedgerRefused) as refused:
            await harness.adoption().plan()

        assert str(refused.value).endswith(
            "Grant it (GRANT SELECT, INSERT, UPDATE, DELETE ON public.goose_db_version TO "
            f"{role}), or connect as the user that owns it."
        )
    finally:
        harness.url = owner
        harness.ask(f"DROP ROLE {role}")


async def test_tables_tell_apart_what_the_files_alone_do_not(harness: Harness) -> None:
    files = {"1_users.up.sql": USERS, "1_users.down.sql": "DROP TABLE users;\n"}
    harness.write(files)
    by_files = await harness.adoption().plan()
    for statement in HISTORIES["sqlx"].ledger[:1]:
        harness.ask(statement)

    by_tables = await harness.adoption().plan()

    assert by_files.tool == "golang-migrate"
    assert by_tables.tool == "sqlx"


async def test_an_empty_folder_and_two_tools_in_one_are_refused(harness: Harness) -> None:
    harness.write({"README.txt": "nothing"})
    with pytest.raises(SettingsError, match=r"holds no migrations of a known tool\. Known: golang"):
        await harness.adoption().plan()
    harness.write({"1_a.sql": "-- +goose Up\n", "2_b.sql": "-- migrate:up\n"})

    with pytest.raises(SettingsError) as refused:
        await harness.adoption().plan()

    assert str(refused.value) == (
        f"{harness.theirs} may belong to several tools: goose (1_a.sql has '-- +goose' directives); "
        f"dbmate "
        "(2_b.sql has '-- migrate:up' directives). Name one of them."
    )


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_run_of_the_other_tool_is_seen_by_its_advisory_lock(harness: Harness) -> None:
    harness.make(HISTORIES["prisma"])
    with psycopg.connect(harness.url, application_name="prisma") as runner:
        runner.execute("SELECT pg_advisory_lock(72707369)")
        pid = runner.info.backend_pid

        plan = await harness.adoption().plan()

    assert [str(finding) for finding in plan.findings] == [
        f"Session {pid} (prisma) holds Prisma's advisory lock. Wait for that run to end."
    ]
