"""What a script finds in its session, and what of it does not reach the next script."""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb import State
from manticore_cockroachdb.errors import (
    PlanRefused,
)
from tests.harness import Harness, fails, with_options

# -- each script begins as on a new connection ----------------------------------------------------


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_nothing_that_a_script_leaves_in_its_session_reaches_the_next(
    every_mode: Harness,
) -> None:
    harness = every_mode
    harness.ask("CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('real')")
    harness.ask("CREATE SEQUENCE numbers")
    left = (
        "CREATE TEMP TABLE users AS SELECT 'temporary' AS name;\n"
        "PREPARE plan AS SELECT 1;\nLISTEN channel;\nSELECT pg_advisory_lock(42);\n"
        "SELECT nextval('numbers');\nSET search_path = pg_catalog;\nSET ROLE pg_monitor;\n"
        "DO $$ BEGIN PERFORM set_config('app.tenant', 'a', false); END $$;\n"
    )
    seen = (
        "UPDATE users SET name = 'changed';\nINSERT INTO seen SELECT "
        "(SELECT count(*) FROM pg_prepared_statements), "
        "(SELECT count(*) FROM pg_listening_channels()), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), "
        "coalesce(current_setting('app.tenant', true), ''), current_setting('search_path'), "
        "current_user::TEXT;\nPREPARE plan AS SELECT 2;"
    )
    harness.ask(
        "CREATE TABLE seen (prepared INT8, channels INT8, locks INT8, tenant TEXT, path TEXT, who TEXT)"
    )
    harness.write("V1__leaves", f"{left}-- DOWN\n{seen}")
    harness.write("V2__sees", f"{seen}\n-- DOWN\n{left}")
    assert await harness.engine().migrate() == 2
    assert await harness.engine().rollback(2) == 2
    me = harness.one("SELECT current_user")
    clean = (0, 0, 0, "", '"$user", public', me)
    assert harness.ask("SELECT * FROM seen") == [clean, clean]
    assert harness.ask("SELECT name FROM users") == [("changed",)]
    assert harness.free()


async def test_settings_and_prepared_statements_end_with_their_script(any_mode: Harness) -> None:
    any_mode.ask("CREATE SCHEMA ops")
    any_mode.ask("CREATE TABLE seen (path TEXT, name TEXT)")
    any_mode.write(
        "V1__leaves",
        "SET search_path = ops;\nSELECT 1, set_config('application_name', 'mine', false);\n"
        "PREPARE plan AS SELECT 1;\nINSERT INTO public.seen VALUES ('', '');",
    )
    any_mode.write(
        "V2__sees",
        "PREPARE plan AS SELECT 2;\nINSERT INTO seen SELECT current_setting('search_path'), "
        "CASE current_setting('application_name') WHEN 'mine' THEN 'mine' ELSE '' END;",
    )
    assert await any_mode.engine().migrate() == 2
    ours = any_mode.one("SELECT current_setting('search_path')")
    assert set(any_mode.ask("SELECT * FROM seen")) == {("", ""), (ours, "")}


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_locks_of_a_script_that_failed_do_not_outlive_its_fix(every_mode: Harness) -> None:
    every_mode.write("V1__lock", "SELECT pg_advisory_lock(7);\nSELECT 1 / 0;")
    await fails(every_mode)
    every_mode.write("V1__lock", "SELECT pg_advisory_lock(7);\nSELECT 1;")
    every_mode.write("V2__t", "CREATE TABLE t AS SELECT count(*) FROM pg_locks WHERE objid = 7")
    assert await every_mode.engine().migrate() == 2
    assert every_mode.one("SELECT * FROM t") == 0


# -- settings that end with a transaction ---------------------------------------------------------


async def test_what_is_set_for_a_transaction_holds_for_the_script(any_mode: Harness) -> None:
    any_mode.ask("CREATE SCHEMA tenant")
    any_mode.write(
        "V1__local",
        "SET LOCAL search_path = tenant, public;\nCREATE TABLE o (i INT8);\n"
        "SELECT set_config('search_path', 'public', true);\nCREATE TABLE p (i INT8);\n",
    )
    any_mode.write("V2__next", "CREATE TABLE q (i INT8)")
    assert await any_mode.engine().migrate() == 2
    assert any_mode.ask(
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_name IN ('o', 'p', 'q') ORDER BY 2"
    ) == [("tenant", "o"), ("public", "p"), ("public", "q")]


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.parametrize("mode", ["stepwise", "autocommit"])
async def test_a_role_and_deferred_constraints_hold_for_the_script(
    harness: Harness, mode: str
) -> None:
    harness.write(
        "V1__t",
        "CREATE TABLE a (i INT8 PRIMARY KEY);\n"
        "CREATE TABLE b (a INT8 REFERENCES a DEFERRABLE INITIALLY IMMEDIATE);\nCREATE TABLE who (n TEXT);",
    )
    rows = "INSERT INTO b VALUES (1);\nINSERT INTO a VALUES (1);\n" if mode == "stepwise" else ""
    harness.write(
        "V2__rows",
        f"SET CONSTRAINTS ALL DEFERRED;\nCREATE TABLE c (i INT8);\n{rows}"
        "GRANT ALL ON who TO pg_monitor;\nSET LOCAL ROLE pg_monitor;\n"
        "INSERT INTO who VALUES (current_user);",
    )
    assert await harness.engine(mode=mode).migrate() == 2
    assert harness.ask("SELECT * FROM who") == [("pg_monitor",)]
    assert harness.free()


async def test_a_setting_of_unclear_extent_is_refused_where_it_matters(harness: Harness) -> None:
    harness.write("V1__one", "SELECT 1")
    harness.write("V2__two", "SELECT 1;\nSELECT set_config('application_name', 'c', 1 = 0);")
    with pytest.raises(PlanRefused) as caught:
        await harness.engine(mode="stepwise").migrate()
    assert str(caught.value) == (
        "V2__two.sql:2: set_config(…) does not plainly say whether its setting ends "
        "with the transaction, and in mode=stepwise a script is more than one. Write false as its third "
        "argument: the setting then holds for the rest of the script, and no longer. Nothing was run."
    )
    assert await harness.engine(mode="atomic").migrate() == 2


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_block_that_sets_for_its_transaction_is_warned_of(harness: Harness) -> None:
    harness.write("V1__do", "SELECT 1;\nDO $$ BEGIN PERFORM set_config('a.b', 'c', true); END $$;")
    await harness.engine(mode="stepwise").migrate()
    (warning,) = harness.warnings()
    assert warning == (
        "V1__do.sql:2: what this DO block sets for its transaction (SET LOCAL, set_config(…, true)) "
        "ends with the block: in mode=stepwise a script is more than one transaction. Set what "
        "later statements need outside the block."
    )


# -- the user's own options -----------------------------------------------------------------------


@pytest.mark.parametrize("given", ["url", "environment", "service"])
async def test_the_users_own_options_are_kept(
    every_mode: Harness, given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    harness = every_mode
    if harness.defaults["mode"] == "autocommit":
        pytest.skip("as stepwise does")
    harness.ask("CREATE SCHEMA tenant_a")
    options = "-c search_path=tenant_a -c statement_timeout=54321"
    if given == "url":
        with_options(harness, options)
    elif given == "environment":
        monkeypatch.setenv("PGOPTIONS", options)
    else:
        services = tmp_path / "services"
        services.write_text(f"[mine]\noptions={options}\n")
        monkeypatch.setenv("PGSERVICEFILE", str(services))
        mark = "&" if "?" in harness.url else "?"
        harness.url = f"{harness.url}{mark}service=mine"
    for version, table in enumerate("ab", 1):
        harness.write(
            f"V{version}__{table}",
            f"CREATE TABLE {table} (p TEXT, t TEXT);\nINSERT INTO {table} SELECT "
            "current_setting('search_path'), current_setting('statement_timeout');\n"
            "SET search_path = public;",
        )
    assert await harness.engine().migrate() == 2
    for table in ("a", "b"):
        ((path, timeout),) = harness.ask(f"SELECT p, t FROM tenant_a.{table}")
        assert (path, timeout) in {("tenant_a", "54321ms"), ("tenant_a", "54321")}
    assert harness.ask("SELECT version FROM tenant_a._migrations ORDER BY 1") == [(1,), (2,)]
    assert [s.state for s in await harness.engine().status()] == [State.APPLIED] * 2


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.needs_postgresql_since((14,), "idle_session_timeout came with 14")
async def test_timeouts_of_the_user_apply_everywhere(every_mode: Harness) -> None:
    harness = every_mode
    name = harness.one("SELECT current_database()")
    harness.ask(f"ALTER DATABASE {name} SET lock_timeout = '7s'")
    harness.ask(f"ALTER DATABASE {name} SET statement_timeout = '59s'")
    harness.ask(f"ALTER DATABASE {name} SET idle_session_timeout = '61s'")
    harness.ask("CREATE TABLE seen (a TEXT, b TEXT, c TEXT)")
    row = (
        "INSERT INTO seen SELECT current_setting('lock_timeout'), current_setting('statement_timeout'), "
        "current_setting('idle_session_timeout');"
    )
    harness.write("V1__a", f"{row}\nSET lock_timeout = 0;\nSET statement_timeout = 0;\n{row}")
    harness.write("V2__b", f"{row}")
    assert await harness.engine(statement_timeout=9).migrate() == 2
    pinned = ("7s", "9s", "0")
    assert harness.ask("SELECT * FROM seen") == [pinned, ("0", "0", "0"), pinned]
    harness.ask("DELETE FROM _migrations; DELETE FROM seen")
    with_options(harness, "-c lock_timeout=3s -c statement_timeout=8s")
    assert await harness.engine().migrate() == 2
    pinned = ("3s", "8s", "0")
    assert harness.ask("SELECT * FROM seen") == [pinned, ("0", "0", "0"), pinned]


# -- our own writes are made as ourselves ---------------------------------------------------------


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.parametrize(
    "taken",
    [
        "SET ROLE {role}",
        "SET SESSION AUTHORIZATION {role}",
        "SELECT set_config('role', '{role}', false)",
        "DO $$ BEGIN EXECUTE 'SET ROLE {role}'; END $$",
    ],
)
async def test_whatever_role_a_script_takes_its_progress_is_recorded(
    every_mode: Harness, taken: str
) -> None:
    harness = every_mode
    role = "builder_" + harness.one("SELECT current_database()")[-12:]
    harness.ask(f"CREATE ROLE {role}; GRANT ALL ON SCHEMA public TO {role}")
    try:
        sql = f"{taken.format(role=role)};\nCREATE TABLE theirs (i INT8);\nINSERT INTO theirs VALUES (1);\n"
        harness.write(
            "V1__theirs",
            f"{sql}SELECT 1 / 0;\n-- DOWN\n{taken.format(role=role)};\nDROP TABLE theirs;",
        )
        message = await fails(harness)
        assert message.startswith(
            "V1__theirs.sql:4: SELECT 1 / 0 failed: division by zero (22012)\n"
        )
        assert harness.record()["owner"] is None
        harness.write(
            "V1__theirs", f"{sql}SELECT 1;\n-- DOWN\n{taken.format(role=role)};\nDROP TABLE theirs;"
        )
        harness.write("V2__ours", "CREATE TABLE ours (i INT8)\n-- DOWN\nDROP TABLE ours")
        assert await harness.engine().migrate() == 2
        owners = harness.ask(
            "SELECT tableowner FROM pg_tables WHERE tablename IN ('ours', 'theirs') ORDER BY tablename"
        )
        assert owners == [(harness.one("SELECT current_user"),), (role,)]
        assert await harness.engine().rollback(2) == 2
        assert harness.free()
    finally:
        harness.ask(f"DROP OWNED BY {role}; DROP ROLE {role}")
