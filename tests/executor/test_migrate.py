"""Applying, listing and reverting, with scripts of every shape."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import sql

from manticore_cockroachdb import Mode, State
from manticore_cockroachdb.errors import DatabaseError
from manticore_cockroachdb.events import (
    LeaseTaken,
    Planned,
    StatementFinished,
    StatementStarted,
    StepFinished,
    StepStarted,
    TransactionFinished,
    TransactionStarted,
)
from tests.flavors import Flavour
from tests.harness import Harness


def three(harness: Harness) -> None:
    """Versions 1 to 3: a table, rows, a column; each with its down section."""
    harness.write(
        "V1__riders",
        "CREATE TABLE riders (id INT8 PRIMARY KEY, n INT8);\n-- DOWN\nDROP TABLE riders;",
    )
    harness.write(
        "V2__rows", "INSERT INTO riders VALUES (1, 0), (2, 0)\n-- DOWN\nDELETE FROM riders"
    )
    harness.write(
        "V3__name",
        "ALTER TABLE riders ADD COLUMN name TEXT;\nUPDATE riders SET name = 'x', n = n + 1;\n"
        "-- DOWN\nALTER TABLE riders DROP COLUMN name;\nUPDATE riders SET n = n - 1;",
    )


async def test_scripts_are_applied_reverted_and_applied_again(any_mode: Harness) -> None:
    three(any_mode)
    engine = any_mode.engine()
    assert await engine.migrate() == 3
    assert any_mode.ledger() == [1, 2, 3]
    assert any_mode.ask("SELECT id, n, name FROM riders ORDER BY id") == [(1, 1, "x"), (2, 1, "x")]
    assert await engine.rollback() == 1
    assert any_mode.ask("SELECT * FROM riders ORDER BY id") == [(1, 0), (2, 0)]
    assert await engine.rollback(5) == 2
    assert any_mode.tables() == ["_migrations", "_migrations_state"]
    assert await engine.migrate() == 3
    assert await engine.migrate(0) == 3
    assert any_mode.ledger() == []
    assert any_mode.free()


async def test_a_target_is_reached_from_below_and_from_above(any_mode: Harness) -> None:
    three(any_mode)
    engine = any_mode.engine()
    assert await engine.migrate(2) == 2
    assert any_mode.ledger() == [1, 2]
    assert await engine.migrate(target_version=3) == 1
    assert await engine.migrate(1) == 2
    assert any_mode.ledger() == [1]
    assert await engine.rollback(to_version=1) == 0
    assert await engine.rollback(to_version=0) == 1
    assert any_mode.free()


async def test_a_run_with_nothing_to_do_takes_no_lease_and_makes_no_tables(
    harness: Harness,
) -> None:
    engine = harness.engine()
    assert await engine.migrate() == 0
    assert await engine.rollback() == 0
    assert await engine.migrate(0) == 0
    assert await engine.status() == []
    assert harness.tables() == []
    harness.write("V1__one", "SELECT 1")
    assert await engine.migrate() == 1
    assert await engine.migrate() == 0
    assert len(harness.told(LeaseTaken)) == 1
    assert harness.record()["epoch"] == 1


async def test_looking_changes_nothing(harness: Harness) -> None:
    three(harness)
    engine = harness.engine()
    assert [step.version for step in await engine.plan()] == [1, 2, 3]
    assert [step.version for step in await engine.plan(2)] == [1, 2]
    assert not await engine.plan_rollback()
    assert [each.state for each in await engine.status()] == [State.PENDING] * 3
    assert harness.tables() == []
    await engine.migrate()
    assert not await engine.plan()
    assert [s.name for s in await engine.plan_rollback(2)] == ["V3__name", "V2__rows"]
    assert [s.name for s in await engine.plan(1)] == ["V3__name", "V2__rows"]
    assert [s.name for s in await engine.plan_rollback(to_version=2)] == ["V3__name"]
    assert harness.ledger() == [1, 2, 3]


async def test_tables_can_be_made_first(harness: Harness) -> None:
    engine = harness.engine()
    await engine.initialize()
    await engine.initialize()
    assert harness.tables() == ["_migrations", "_migrations_state"]
    assert harness.ledger() == []


async def test_events_tell_the_run_in_order(any_mode: Harness) -> None:
    three(any_mode)
    await any_mode.engine().migrate()
    told = [type(event).__name__ for event in any_mode.events]
    assert told[:3] == ["Connected", "Planned", "LeaseTaken"]
    steps = [event for event in any_mode.events if isinstance(event, StepStarted | StepFinished)]
    assert [(type(e).__name__, e.step.version, e.number, e.total) for e in steps] == [
        (kind, version, version, 3)
        for version in (1, 2, 3)
        for kind in ("StepStarted", "StepFinished")
    ]
    assert [len(event.steps) for event in any_mode.told(Planned)] == [3]
    by_itself = "mode" not in any_mode.defaults
    modes = {e.step.version: e.mode for e in any_mode.told(StepStarted)}
    assert modes[1] is (Mode.STEPWISE if any_mode.is_stepwise else Mode.ATOMIC)
    assert modes[2] is (Mode.ATOMIC if by_itself else Mode.STEPWISE)
    # Only a schema change on a server whose schema changes are jobs is sent alone.
    alone = [(e.step.version, e.number, e.total) for e in any_mode.told(StatementStarted)]
    assert alone == ([(1, 1, 1), (3, 1, 2)] if any_mode.on_cockroachdb else [])
    assert len(any_mode.told(StatementFinished)) == len(alone)


async def test_every_statement_that_is_run_step_by_step_is_reported_once(any_mode: Harness) -> None:
    any_mode.write(
        "V1__t",
        "-- manticore: mode=stepwise\nSET statement_timeout = 60000;\nCREATE TABLE t (i INT8);\n"
        "INSERT INTO t VALUES (1);\nSELECT 4;\nALTER TABLE t ADD COLUMN n INT8;\nSELECT 6;",
    )
    await any_mode.engine().migrate()
    numbers = [event.number for event in any_mode.told(StatementFinished)]
    for event in any_mode.told(TransactionFinished):
        numbers += range(event.number, event.number + len(event.statements))
        assert event.total == 6
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    assert len(any_mode.told(StatementStarted)) == len(any_mode.told(StatementFinished))
    assert len(any_mode.told(TransactionStarted)) == len(any_mode.told(TransactionFinished))


async def test_what_the_ledger_says(any_mode: Harness) -> None:
    three(any_mode)
    engine = any_mode.engine()
    await engine.migrate(2)
    scripts = await engine.load_migrations()
    rows = any_mode.ask(
        "SELECT version, description, checksum, execution_ms >= 0, applied_by IS NOT NULL, "
        "applied_at > now() - INTERVAL '1 minute' FROM _migrations ORDER BY version"
    )
    assert rows == [(s.version, s.description, s.checksum, True, True, True) for s in scripts[:2]]
    (taken,) = any_mode.told(LeaseTaken)
    one, two, three_ = await engine.status()
    assert (one.state, one.applied_by, one.description) == (State.APPLIED, taken.owner, "riders")
    assert one.applied_at is not None
    assert two.execution_ms is not None
    assert (three_.state, three_.applied_at, three_.script) == (State.PENDING, None, scripts[2])


async def test_the_states_of_a_version(harness: Harness) -> None:
    three(harness)
    engine = harness.engine()
    await engine.migrate(2)
    harness.write("V1__riders", "CREATE TABLE other (i INT8)\n-- DOWN\n")
    (harness.folder / "V2__rows.sql").unlink()
    assert [(s.version, s.description, s.state) for s in await engine.status()] == [
        (1, "riders", State.DRIFTED),
        (2, "rows", State.MISSING),
        (3, "name", State.PENDING),
    ]


async def test_a_down_section_may_be_changed_after_applying(harness: Harness) -> None:
    three(harness)
    engine = harness.engine()
    await engine.migrate()
    path = harness.folder / "V3__name.sql"
    path.write_text(path.read_text().replace("n = n - 1", "n = 77"))
    assert await engine.rollback() == 1
    assert harness.one("SELECT min(n) FROM riders") == 77


async def test_fake_moves_the_ledger_only(any_mode: Harness) -> None:
    three(any_mode)
    engine = any_mode.engine()
    assert await engine.migrate(fake=True) == 3
    assert [event.faked for event in any_mode.told(StepFinished)] == [True] * 3
    assert any_mode.tables() == ["_migrations", "_migrations_state"]
    assert any_mode.ledger() == [1, 2, 3]
    assert await engine.rollback(2, fake=True) == 2
    assert any_mode.ledger() == [1]
    assert await engine.migrate(0, fake=True) == 1
    assert await engine.migrate() == 3


async def test_a_row_deleted_by_hand_makes_its_version_pending(any_mode: Harness) -> None:
    three(any_mode)
    engine = any_mode.engine()
    await engine.migrate()
    any_mode.ask("ALTER TABLE riders DROP COLUMN name")
    any_mode.ask("DELETE FROM _migrations WHERE version = 3")
    assert [s.state for s in await engine.status()][2] is State.PENDING
    assert await engine.migrate() == 1
    assert any_mode.ledger() == [1, 2, 3]


async def test_out_of_order_scripts_are_applied_where_that_is_allowed(any_mode: Harness) -> None:
    three(any_mode)
    hidden = (any_mode.folder / "V2__rows.sql").rename(any_mode.folder.parent / "V2__rows.sql")
    engine = any_mode.engine(allow_out_of_order=True)
    assert await engine.migrate() == 2
    hidden.rename(any_mode.folder / "V2__rows.sql")
    assert await engine.migrate() == 1
    assert any_mode.ledger() == [1, 3, 2]
    assert await engine.rollback() == 1
    assert any_mode.ledger() == [1, 2]


# -- scripts of every shape -----------------------------------------------------------------------

SHAPES: dict[str, str | bytes] = {
    "nothing": "",
    "blanks": " \n\t\n",
    "a comment": "-- nothing to do",
    "comments": "/* a /* nested */ one; */ -- and; more\n;;;\n;",
    "no semicolon": "INSERT INTO t VALUES ('no semicolon')",
    "rows that nobody reads": "SELECT * FROM generate_series(1, 3000); SHOW search_path; VALUES (1)",
    "percent signs": "INSERT INTO t SELECT '100%s %% %(x)s' WHERE 'a%b' LIKE 'a%'",
    "dollars": "INSERT INTO t VALUES ('$1'), ($x$ $1; ${no} $$ $x$), ('${HOME}')",
    "a BOM": b"\xef\xbb\xbfINSERT INTO t VALUES ('bom')",
    "CRLF": b"INSERT INTO t\r\nVALUES ('a\r\nb');\r\n-- a comment\r\nINSERT INTO t VALUES ('c');\r\n",
    "other letters": "INSERT INTO t VALUES ('Grüße, 世界 🚲')",
    "semicolons in quotes": "INSERT INTO t VALUES ('a;b'), (E'it\\'s;'), ('it''s not;')",
    "a quoted name": 'CREATE TABLE "odd; ""name" (i INT8); DROP TABLE "odd; ""name"',
    "a CTE that writes": "WITH x AS (INSERT INTO t VALUES ('cte') RETURNING a) SELECT * FROM x",
}


#: What the shapes leave in the table, in order.
LEFT = [
    "no semicolon", "100%s %% %(x)s", "$1", " $1; ${no} $$ ", "${HOME}", "bom", "a\nb", "c",
    "Grüße, 世界 🚲", "a;b", "it's;", "it's not;", "cte",
]  # fmt: skip


async def test_scripts_of_every_shape_reach_the_server_as_they_are(any_mode: Harness) -> None:
    any_mode.write("V1__t", "CREATE TABLE t (a TEXT)")
    for version, text in enumerate(SHAPES.values(), 2):
        body = text if isinstance(text, bytes) else text.encode()
        down = body.removeprefix(b"\xef\xbb\xbf")
        any_mode.write(f"V{version}__shape", body + b"\n-- DOWN\n" + down)
    engine = any_mode.engine()
    assert await engine.migrate() == 1 + len(SHAPES)
    assert [a for (a,) in any_mode.ask("SELECT a FROM t")] == LEFT
    assert await engine.rollback(len(SHAPES)) == len(SHAPES)
    assert sorted(a for (a,) in any_mode.ask("SELECT a FROM t")) == sorted(LEFT * 2)
    assert any_mode.ledger() == [1]


async def test_a_script_without_down_section_is_not_one_with_an_empty_one(harness: Harness) -> None:
    harness.write("V1__one", "CREATE TABLE one (i INT8)\n-- DOWN\n")
    engine = harness.engine()
    await engine.migrate()
    assert await engine.rollback() == 1
    assert harness.tables() == ["_migrations", "_migrations_state", "one"]


async def test_a_down_section_may_be_a_separate_file(any_mode: Harness) -> None:
    any_mode.write("V1__one", "CREATE TABLE one (i INT8)")
    any_mode.write("U1__one", "DROP TABLE one")
    engine = any_mode.engine()
    assert await engine.migrate() == 1
    assert await engine.rollback() == 1
    assert "one" not in any_mode.tables()


async def test_a_huge_script_runs(any_mode: Harness) -> None:
    row = "('" + "x" * 190 + "%s;$1')"
    insert = "INSERT INTO t VALUES " + ", ".join([row] * 50)
    any_mode.write("V1__t", "CREATE TABLE t (a TEXT)")
    any_mode.write("V2__rows", ";\n".join([insert] * 520))
    single = "INSERT INTO t VALUES " + ", ".join([row] * 2600)
    any_mode.write("V3__one_statement", single)
    assert sum(path.stat().st_size for path in any_mode.folder.iterdir()) > 5_000_000
    assert await any_mode.engine().migrate() == 3
    assert any_mode.one("SELECT count(*) FROM t") == 520 * 50 + 2600


async def test_many_scripts_are_planned_and_run_to_a_target(harness: Harness) -> None:
    for version in range(1, 10_001):
        (harness.folder / f"V{version:05}__s.sql").write_text("-- DOWN\n")
    engine = harness.engine()
    assert await engine.migrate(300) == 300
    assert [step.version for step in await engine.plan()] == list(range(301, 10_001))


async def test_folders_may_be_several(flavour: Flavour, database_url: str, tmp_path: Path) -> None:
    harness = Harness(flavour, database_url, database_url, tmp_path / "one")
    other = tmp_path / "two"
    other.mkdir()
    harness.write("V1__one", "CREATE TABLE one (i INT8)")
    (other / "V2__two.sql").write_text("CREATE TABLE two (i INT8)")
    harness.write("V3__three", "INSERT INTO two SELECT i FROM one")
    database = harness.database()
    engine = flavour.migration(database, [harness.folder, str(other)])  # type: ignore[arg-type]
    assert await engine.migrate() == 3
    path = await engine.create_migration("four", "SELECT 4")
    assert path == harness.folder / "V4__four.sql"


async def test_a_new_script_is_numbered_after_files_and_ledger(harness: Harness) -> None:
    engine = harness.engine()
    path = await engine.create_migration(
        "create users table", "CREATE TABLE users (i INT8)", "DROP TABLE users"
    )
    assert path == harness.folder / "V1__create_users_table.sql"
    assert path.read_text() == "CREATE TABLE users (i INT8)\n\n-- DOWN\nDROP TABLE users\n"
    await engine.migrate()
    harness.ask("UPDATE _migrations SET version = 41")
    assert (await engine.create_migration("next", "SELECT 1")).name == "V42__next.sql"
    stamped = await engine.create_migration("later", "SELECT 1", timestamp=True)
    assert stamped.name.startswith("V20")


async def test_placeholders_are_filled_where_values_are_given(harness: Harness) -> None:
    harness.write(
        "V1__one", "CREATE TABLE one AS SELECT '${region}' AS region\n-- DOWN\nDROP TABLE one"
    )
    assert await harness.engine(placeholders={"region": "eu"}).migrate() == 1
    assert harness.one("SELECT region FROM one") == "eu"
    other = harness.engine(placeholders={"region": "us"})
    assert [s.state for s in await other.status()] == [State.APPLIED]
    assert await other.rollback() == 1


# -- modes ----------------------------------------------------------------------------------------


async def test_the_header_decides_the_mode(harness: Harness) -> None:
    harness.write("V1__a", "-- manticore: mode=stepwise\nCREATE TABLE a (i INT8);")
    harness.write("V2__b", "-- manticore: mode=atomic\nCREATE TABLE b (i INT8);")
    for options in ({}, {"mode": "atomic"}, {"mode": Mode.STEPWISE}):
        assert await harness.engine(**options).migrate() == 2
        modes = [event.mode for event in harness.told(StepStarted)]
        assert modes == [Mode.STEPWISE, Mode.ATOMIC]
        harness.events.clear()
        harness.ask("DROP TABLE a, b, _migrations")


@pytest.mark.needs_postgresql("on CockroachDB, CONCURRENTLY means nothing and there is no VACUUM")
async def test_statements_that_refuse_a_transaction_run_alone(harness: Harness) -> None:
    harness.write("V1__t", "CREATE TABLE t (i INT8); INSERT INTO t VALUES (1)")
    harness.write(
        "V2__index",
        "CREATE INDEX CONCURRENTLY t_i ON t (i);\nINSERT INTO t VALUES (2);\nVACUUM t;\n-- DOWN\n"
        "DROP INDEX CONCURRENTLY t_i",
    )
    engine = harness.engine()
    assert await engine.migrate() == 2
    assert [event.mode for event in harness.told(StepStarted)] == [Mode.ATOMIC, Mode.STEPWISE]
    assert [event.number for event in harness.told(StatementStarted)] == [1, 3]
    assert harness.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_i'::regclass") is True
    assert await engine.rollback() == 1


# -- sessions -------------------------------------------------------------------------------------


async def test_settings_of_one_script_do_not_reach_the_next(any_mode: Harness) -> None:
    any_mode.ask("CREATE SCHEMA ops")
    style = "ISO" if any_mode.server_is_cockroachdb else "German"  # before v22.1 it has no other
    any_mode.write(
        "V1__settings",
        f"SET search_path = ops; SET statement_timeout = '9s'; SET DateStyle = '{style}'; "
        "SET client_min_messages = error; CREATE TABLE inside (i INT8)",
    )
    any_mode.write(
        "V2__seen",
        "CREATE TABLE seen AS SELECT current_setting('search_path') AS p, "
        "current_setting('statement_timeout') AS t, current_setting('DateStyle') AS d",
    )
    any_mode.write("V3__again", "SET search_path = ops; SELECT 1")
    any_mode.write("V4__rows", "INSERT INTO seen SELECT current_setting('search_path'), '', ''")
    assert await any_mode.engine().migrate() == 4
    assert any_mode.ask(
        "SELECT table_schema FROM information_schema.tables WHERE table_name = 'inside'"
    ) == [("ops",)]
    path = any_mode.one("SELECT current_setting('search_path')")
    assert sorted(any_mode.ask("SELECT * FROM public.seen")) == [
        (path, "", ""),
        (path, "0", "ISO, MDY"),
    ]
    assert any_mode.free()


@pytest.mark.needs_postgresql("pg_dump's files hold what only PostgreSQL takes")
async def test_a_dump_that_empties_the_search_path_is_applied(any_mode: Harness) -> None:
    any_mode.write(
        "V1__dump",
        """
        SET statement_timeout = 0;
        SET client_encoding = 'UTF8';
        SET standard_conforming_strings = on;
        SELECT pg_catalog.set_config('search_path', '', false);
        SET check_function_bodies = false;
        CREATE TABLE public.dumped (i bigint NOT NULL);
        CREATE FUNCTION public.f() RETURNS bigint LANGUAGE sql AS 'SELECT i FROM public.dumped;';
        INSERT INTO public.dumped VALUES (1);
        ALTER TABLE ONLY public.dumped ADD CONSTRAINT dumped_pkey PRIMARY KEY (i);
        -- DOWN
        SELECT pg_catalog.set_config('search_path', '', false);
        DROP FUNCTION public.f();
        DROP TABLE public.dumped;
        """,
    )
    any_mode.write(
        "V2__next", "INSERT INTO dumped VALUES (2);\n-- DOWN\nDELETE FROM dumped WHERE i = 2"
    )
    engine = any_mode.engine()
    assert await engine.migrate() == 2
    assert any_mode.ask("SELECT i FROM dumped ORDER BY i") == [(1,), (2,)]
    assert await engine.rollback(2) == 2
    assert any_mode.ledger() == []


@pytest.mark.needs_cockroachdb_since((21, 2), "a role that was set cannot be reset before v21.2")
@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
async def test_another_role_set_by_a_script_ends_with_it(harness: Harness, mode: str) -> None:
    role = "builder_" + harness.one("SELECT current_database()")[-12:]
    harness.ask(f"CREATE ROLE {role}; GRANT ALL ON SCHEMA public TO {role}")
    try:
        harness.write("V1__theirs", f"SET ROLE {role}; CREATE TABLE theirs (i INT8)")
        harness.write("V2__ours", "CREATE TABLE ours (i INT8)")
        assert await harness.engine(mode=mode).migrate() == 2
        owners = harness.ask(
            "SELECT tableowner FROM pg_tables WHERE tablename IN ('ours', 'theirs') ORDER BY tablename"
        )
        assert owners == [(harness.one("SELECT current_user"),), (role,)]
    finally:
        for text in (
            "DROP TABLE IF EXISTS theirs",
            f"REVOKE ALL ON SCHEMA public FROM {role}",
            f"DROP ROLE {role}",
        ):
            harness.ask(text)


@pytest.mark.needs_cockroachdb_since((21, 2), "a database has no defaults before v21.2")
async def test_defaults_of_the_database_do_not_change_how_scripts_run(any_mode: Harness) -> None:
    name = any_mode.one("SELECT current_database()")
    settings = {
        "default_transaction_isolation": "'repeatable read'",
        "statement_timeout": "'200ms'",
    }
    any_mode.ask("; ".join(f"ALTER DATABASE {name} SET {k} = {v}" for k, v in settings.items()))
    # The test's own questions may take longer, on a busy machine.
    mark = "&" if "?" in any_mode.direct else "?"
    any_mode.direct += f"{mark}options=-c%20statement_timeout%3D0"
    any_mode.write(
        "V1__one", "CREATE TABLE one AS SELECT current_setting('transaction_isolation') i"
    )
    any_mode.write("V2__two", "INSERT INTO one SELECT pg_sleep(0.5)::TEXT")
    assert await any_mode.engine().migrate() == 2
    level = "serializable" if any_mode.on_cockroachdb else "repeatable read"
    assert (level,) in any_mode.ask("SELECT i FROM one")


# -- the ledger's table ---------------------------------------------------------------------------


async def test_the_ledger_may_have_any_name(any_mode: Harness) -> None:
    three(any_mode)
    for table in (
        "ops.ledger",
        'odd"name',
        "Mixed Case",
        'my schema.my "ledger"',
        "select",
        "pct%s{}",
    ):
        schema, _, name = table.rpartition(".")
        if schema:
            any_mode.ask(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)).as_string(None))
        engine = any_mode.engine(table=table)
        assert await engine.migrate() == 3
        assert await engine.rollback() == 1
        full = sql.Identifier(*([schema] if schema else []), name).as_string(None)
        assert any_mode.ask(f"SELECT version FROM {full} ORDER BY 1") == [(1,), (2,)]
        assert {name, f"{name}_state", "riders"} <= set(any_mode.tables())
        assert [s.state for s in await engine.status()][:2] == [State.APPLIED] * 2
        assert await engine.migrate(0) == 2


async def test_an_older_ledger_is_taken_over_in_place(any_mode: Harness) -> None:
    three(any_mode)
    any_mode.ask(
        "CREATE TABLE _migrations (version INT8 PRIMARY KEY, description TEXT NOT NULL, "
        "applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
    )
    any_mode.ask("CREATE TABLE riders (id INT8 PRIMARY KEY, n INT8)")
    any_mode.ask("INSERT INTO _migrations VALUES (1, 'by another hand', '2020-01-01')")
    engine = any_mode.engine()
    assert [s.state for s in await engine.status()] == [State.APPLIED, State.PENDING, State.PENDING]
    assert await engine.migrate() == 2
    assert any_mode.ask(
        "SELECT version, description, extract(year FROM applied_at)::INT8, checksum IS NULL "
        "FROM _migrations ORDER BY 1"
    )[0] == (1, "by another hand", 2020, True)
    assert any_mode.ledger() == [1, 2, 3]
    assert await engine.migrate(0) == 3


async def test_a_schema_that_does_not_exist_is_reported(harness: Harness) -> None:
    harness.write("V1__one", "SELECT 1")
    with pytest.raises(DatabaseError) as caught:
        await harness.engine(table="nowhere.ledger").migrate()
    assert caught.value.sqlstate == "3F000"
