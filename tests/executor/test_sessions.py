"""What a script finds in its session, and what of the session no script can change."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import psycopg
import pytest

from manticore_cockroachdb import State
from manticore_cockroachdb._backend import protocol
from manticore_cockroachdb._backend.protocol import Command, Result
from manticore_cockroachdb.errors import (
    DatabaseError,
    LeaseTimeout,
    LedgerRefused,
    MigrationFailed,
    OutcomeUnknown,
    PlanRefused,
)
from manticore_cockroachdb.events import LeaseAwaited, LeaseTaken, Reconnecting, SessionAwaited
from tests.fake_cockroach import FakeCockroach, drop_during
from tests.flavors import Flavour
from tests.harness import Cockroach, Harness, eventually

ROOT = Path(__file__).parents[2]


def with_options(harness: Harness, options: str) -> Harness:
    """The same harness, with libpq options in its URL."""
    mark = "&" if "?" in harness.url else "?"
    harness.url = f"{harness.url}{mark}options={quote(options)}"
    return harness


@pytest.fixture(params=["atomic", "stepwise", "autocommit"])
def every_mode(
    request: pytest.FixtureRequest, flavour: Flavour, database_url: str, tmp_path: Path
) -> Harness:
    """The server as it is, in each of the modes."""
    return Harness(flavour, database_url, database_url, tmp_path / "migrations", mode=request.param)


async def fails(harness: Harness, **options: Any) -> str:
    with pytest.raises(MigrationFailed) as caught:
        await harness.engine(**options).migrate()
    return str(caught.value)


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
async def test_locks_of_a_script_that_failed_do_not_outlive_its_repair(every_mode: Harness) -> None:
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
        "Nothing was run: V2__two.sql:2: set_config(…) does not plainly say whether its setting ends "
        "with the transaction, and in mode=stepwise a script is more than one. Write false as its third "
        "argument: the setting then holds for the rest of the script, and no longer."
    )
    assert await harness.engine(mode="atomic").migrate() == 2


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_block_that_sets_for_its_transaction_is_warned_of(harness: Harness) -> None:
    harness.write("V1__do", "SELECT 1;\nDO $$ BEGIN PERFORM set_config('a.b', 'c', true); END $$;")
    await harness.engine(mode="stepwise").migrate()
    (warning,) = harness.warnings()
    assert warning == (
        "V1__do.sql:2: what this DO block sets for its transaction (SET LOCAL, set_config(…, true)) "
        "ends with the block: in mode=stepwise a script is more than one transaction. What the "
        "statements after it need is to be set outside the block."
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
async def test_timeouts_of_the_user_are_honoured_everywhere(every_mode: Harness) -> None:
    harness = every_mode
    name = harness.one("SELECT current_database()")
    harness.ask(f"ALTER DATABASE {name} SET lock_timeout = '7s'")
    harness.ask(f"ALTER DATABASE {name} SET statement_timeout = '59s'")
    harness.ask(f"ALTER DATABASE {name} SET idle_session_timeout = '1s'")
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


# -- where the ledger is --------------------------------------------------------------------------


async def test_a_schema_that_comes_first_in_the_path_later_leaves_the_ledger_where_it_is(
    any_mode: Harness,
) -> None:
    user = any_mode.one("SELECT current_user")
    any_mode.write("V1__schema", f'CREATE SCHEMA "{user}";\n-- DOWN\nDROP SCHEMA "{user}";')
    any_mode.write("V2__t", "CREATE TABLE public.t (i INT8);\n-- DOWN\nDROP TABLE public.t;")
    assert await any_mode.engine().migrate() == 2
    assert await any_mode.engine().migrate() == 0
    assert [s.state for s in await any_mode.engine().status()] == [State.APPLIED] * 2
    assert any_mode.ask(
        "SELECT table_schema FROM information_schema.tables WHERE table_name = '_migrations'"
    ) == [("public",)]
    assert await any_mode.engine().rollback(2) == 2
    assert any_mode.ask("SELECT version FROM public._migrations") == []


async def test_two_ledgers_along_the_path_are_refused(harness: Harness) -> None:
    harness.write("V1__t", "CREATE TABLE t (i INT8)")
    await harness.engine(table="public._migrations").migrate()
    harness.ask("CREATE SCHEMA ops")
    await harness.engine(table="ops._migrations").initialize()
    with_options(harness, "-c search_path=ops,public")
    for verb in (
        harness.engine().migrate,
        harness.engine().status,
        harness.engine().resolve.known,
        harness.engine().initialize,
    ):
        with pytest.raises(LedgerRefused) as caught:
            await verb()
        assert str(caught.value) == (
            "There are several ledgers along the search_path: ops._migrations and public._migrations. Say "
            "which one is meant: name it with its schema, such as 'ops._migrations' (the `table` argument, "
            "or TABLE in the MANTICORE setting), or rename the one that is not in use."
        )
    assert await harness.engine(table="public._migrations").migrate() == 0


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_ledger_whose_schema_was_renamed_is_not_begun_again(harness: Harness) -> None:
    harness.ask("CREATE SCHEMA app")
    direct = harness.url
    with_options(harness, "-c search_path=app")
    harness.write("V1__t", "CREATE TABLE t (i INT8)")
    await harness.engine().migrate()
    harness.ask("ALTER SCHEMA app RENAME TO old; CREATE SCHEMA app")
    for verb in (harness.engine().migrate, harness.engine().status):
        with pytest.raises(LedgerRefused) as caught:
            await verb()
        assert str(caught.value) == (
            "The ledger of schema app is in schema old now: its schema was renamed, or the tables were "
            "moved. Name it with its schema, such as 'old._migrations' (the `table` argument, or TABLE in "
            "the MANTICORE setting); or put old on the search_path."
        )
    assert await harness.engine(table="old._migrations").migrate() == 0
    harness.url = direct  # another tenant's ledger is its own
    assert await harness.engine().migrate() == 1


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
async def test_a_run_keeps_its_tables_over_a_new_connection(
    flavour: Flavour, database_url: str, tmp_path: Path, mode: str
) -> None:
    with FakeCockroach(database_url, cockroach=None) as fake_cockroach:
        harness = Harness(flavour, fake_cockroach.url, database_url, tmp_path / "m", mode=mode)
        name = harness.one("SELECT current_database()")
        harness.ask("CREATE SCHEMA tenant")
        harness.write("V1__path", f"ALTER DATABASE {name} SET search_path = tenant")
        harness.write("V2__t", "CREATE TABLE public.t (i INT8)")
        fake_cockroach.rule("CREATE TABLE public.t", then=drop_during())
        assert await harness.engine().migrate() == 2
        assert len(harness.told(Reconnecting)) == 1
    assert harness.ask("SELECT version FROM public._migrations ORDER BY 1") == [(1,), (2,)]
    assert harness.ask(
        "SELECT table_schema FROM information_schema.tables WHERE table_name = '_migrations'"
    ) == [("public",)]


# -- sessions are known by the server's own id ----------------------------------------------------


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_runner_whose_script_renames_its_session_is_still_seen(any_mode: Harness) -> None:
    any_mode.ask(f"CREATE TABLE {any_mode.gate} AS SELECT 1 AS i")
    any_mode.write(
        "V1__gate",
        "CREATE TABLE t (i INT8);\nSET application_name = 'x';\n"
        f"CREATE TABLE u AS SELECT * FROM {any_mode.gate}",
    )
    async with anyio.create_task_group() as group, any_mode.locked_table():
        group.start_soon(any_mode.engine().migrate)
        await eventually(any_mode.waits_for_lock)
        (taken,) = any_mode.told(LeaseTaken)
        # As if its host had died: nothing renews the lease, and only its session is still at work.
        watchers = f"application_name LIKE '{taken.owner}/watch%'"
        with pytest.raises(LeaseTimeout) as caught:
            await any_mode.engine().resolve.unlock()
        assert f"{taken.owner} holds the lease and is alive: its session " in str(caught.value)
        assert any_mode.one(f"SELECT count(*) FROM pg_stat_activity WHERE {watchers}") in (0, 1)
        known = await any_mode.engine().resolve.known()
        at_gate = any_mode.one(
            f"SELECT pid::TEXT FROM pg_locks WHERE NOT granted AND relation = '{any_mode.gate}'::regclass"
        )
        assert at_gate in known.sessions
    assert any_mode.ledger() == [1]


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_the_session_of_a_dead_runner_is_waited_for_whatever_its_name(
    harness: Harness,
) -> None:
    harness.write("V1__t", "CREATE TABLE t (i INT8)")
    await harness.engine().initialize()
    with psycopg.connect(harness.direct, autocommit=True, application_name="x") as ghost:
        ((session_id,),) = ghost.execute(
            "SELECT pid::TEXT || '@' || ((extract(epoch FROM backend_start) * 1000000)::INT8)::TEXT "
            "FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchall()
        harness.ask(
            "INSERT INTO _migrations_state (id, owner, epoch, version, direction, segment, in_flight, "
            "sent_at, sent_by, sent_session) VALUES (1, NULL, 7, 1, 'up', 0, true, now(), "
            f"'ghost:1:aa/1', '{session_id}')"
        )
        with pytest.raises(LeaseTimeout) as caught:
            await harness.engine(lock_timeout=0.5, mode="autocommit").migrate()
        assert f"The session {ghost.info.backend_pid} (ghost:1:aa/1) of the runner" in str(
            caught.value
        )
        assert len(harness.told(SessionAwaited)) >= 1
    assert await harness.engine(mode="autocommit").migrate() == 1


async def test_an_older_run_state_is_taken_over_in_place(any_mode: Harness) -> None:
    any_mode.ask(
        "CREATE TABLE _migrations_state (id INT8 PRIMARY KEY, owner TEXT, epoch INT8 NOT NULL, "
        "acquired_at TIMESTAMPTZ, expires_at TIMESTAMPTZ, version INT8, direction TEXT, segment INT8, "
        "in_flight BOOL NOT NULL DEFAULT false, sent_at TIMESTAMPTZ, done_hash TEXT, error TEXT, "
        "sent_by TEXT, evidence INT8)"
    )
    any_mode.ask("INSERT INTO _migrations_state (id, epoch) VALUES (1, 41)")
    any_mode.write("V1__t", "CREATE TABLE t (i INT8)")
    assert [s.state for s in await any_mode.engine().status()] == [State.PENDING]
    assert await any_mode.engine().migrate() == 1
    record = any_mode.record()
    assert (record["epoch"], record["session_id"], record["sent_session"]) == (42, None, None)
    assert record["home"] == "public"


async def test_a_node_that_does_not_answer_is_not_taken_for_a_session_that_is_gone(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__t", "CREATE TABLE t (i INT8)")
    await cockroach.engine().initialize()
    cockroach.ask(
        "INSERT INTO _migrations_state (id, epoch, version, direction, segment, in_flight, sent_at, "
        "sent_by) VALUES (1, 7, 1, 'up', 0, true, now(), 'ghost:1:aa/1')"
    )
    columns = {"node_id": "int8", "session_id": "text", "application_name": "text"}
    rule = r"\[SHOW SESSIONS\]"
    cockroach.fake.answers(rule, columns, [(3, None, None)])
    cockroach.fake.rewrite(
        r"SELECT \* FROM \((.*)\) AS scripted.*",
        r"SELECT coalesce(session_id, 'on node ' || node_id), coalesce(application_name, '') "
        r"FROM (\1) AS s WHERE $1::TEXT IS NOT NULL",
    )
    with pytest.raises(LeaseTimeout) as caught:
        await cockroach.engine(lock_timeout=0.5).migrate()
    assert "The session on node 3 (ghost:1:aa/1) of the runner before this one" in str(caught.value)


# -- answers and connections ----------------------------------------------------------------------


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.parametrize("code", ["08006", "08P01", "57P01", "40003"])
async def test_an_error_that_was_answered_is_no_lost_connection(
    every_mode: Harness, code: str
) -> None:
    every_mode.write("V1__t", "CREATE TABLE t (i INT8)")
    every_mode.write(
        "V2__boom",
        f"SELECT 1;\nDO $$ BEGIN RAISE EXCEPTION 'boom' USING ERRCODE = '{code}'; END $$;",
    )
    message = await fails(every_mode)
    assert message.startswith("V2__boom.sql:2: DO $$ BEGIN RAISE EXCEPTION 'boom' USING ERRCODE")
    assert f" failed: boom ({code})\n" in message
    assert every_mode.told(Reconnecting) == []
    assert every_mode.record()["owner"] is None


async def test_a_stray_parameter_is_told_with_its_line(harness: Harness) -> None:
    harness.write("V1__t", "CREATE TABLE t (i INT8);\nINSERT INTO t VALUES ($1);")
    for mode in ("atomic", "stepwise"):
        message = await fails(harness, mode=mode)
        assert message.startswith("V1__t.sql:2: INSERT INTO t VALUES ($1) failed: ")
    assert harness.told(Reconnecting) == []


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_statement_that_ends_its_own_session_is_told_in_the_servers_words(
    every_mode: Harness,
) -> None:
    every_mode.write("V1__end", "SELECT 1;\nSELECT pg_terminate_backend(pg_backend_pid());")
    ended = "terminating connection due to administrator command (57P01)"
    with pytest.raises((MigrationFailed, OutcomeUnknown)) as caught:
        await every_mode.engine().migrate()
    assert str(caught.value).startswith("V1__end.sql:2: ")
    if every_mode.defaults["mode"] != "autocommit":  # there, it could take effect twice
        assert f": the server ended the connection: {ended}\n" in str(caught.value)
    reasons = {event.reason for event in every_mode.told(Reconnecting)}
    assert reasons == {f"the server ended the connection: {ended}"}


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_values_that_no_client_can_read_do_not_stop_a_script(every_mode: Harness) -> None:
    harness = every_mode
    name = harness.one("SELECT current_database()")
    harness.ask(f"ALTER DATABASE {name} SET datestyle = 'German'")
    harness.ask(f"ALTER DATABASE {name} SET timezone = 'Asia/Kathmandu'")
    harness.ask(f"ALTER DATABASE {name} SET extra_float_digits = -15")
    harness.ask(f"ALTER DATABASE {name} SET intervalstyle = 'sql_standard'")
    harness.write(
        "V1__odd",
        "SELECT 'infinity'::timestamptz, '0044-03-15 BC'::date, '24:00'::time, '[1,2)'::int4range;\n"
        "CREATE TABLE t (x timestamptz);\nINSERT INTO t VALUES ('infinity') RETURNING x;",
    )
    harness.write("V2__latin", "SET client_encoding = 'LATIN1';\nSELECT chr(233);")
    assert await harness.engine().migrate() == 2
    harness.ask("UPDATE _migrations SET applied_at = 'infinity' WHERE version = 1")
    found = await harness.engine().status()
    assert [(s.state, s.applied_at is None) for s in found] == [
        (State.APPLIED, True),
        (State.APPLIED, False),
    ]


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_an_encoding_that_the_file_does_not_have_is_refused(every_mode: Harness) -> None:
    every_mode.write("V1__t", "CREATE TABLE t (city TEXT)")
    every_mode.write(
        "V2__city", "SELECT 1;\nSET client_encoding = 'LATIN1';\nINSERT INTO t VALUES ('Zürich');"
    )
    with pytest.raises(PlanRefused) as caught:
        await every_mode.engine().migrate()
    assert str(caught.value) == (
        "Nothing was run: V2__city.sql:2: after client_encoding is LATIN1, the server would misread "
        "what is not ASCII in the rest of the script: files are UTF-8, and so is the connection. "
        "Remove this statement."
    )
    every_mode.write("V2__città", "INSERT INTO t VALUES ('Zürich');")
    (every_mode.folder / "V2__city.sql").unlink()
    assert await every_mode.engine().migrate() == 2
    assert every_mode.ask("SELECT * FROM t") == [("Zürich",)]
    assert every_mode.one("SELECT description FROM _migrations WHERE version = 2") == "città"


@pytest.mark.parametrize(
    "text", ["SELECT 1 FROM generate_series(1, 3)", "SELECT 1 / 0", "SET a.b = 1"]
)
def test_our_own_questions_are_answered_whole_after_a_statement_sent_by_itself(
    database_url: str, text: str
) -> None:
    questions = [Command("SELECT 1, 2"), Command("SELECT 3", discards=True), Command("SELECT 4")]
    answers: list[list[tuple[Any, ...]]] = []

    def answered(_number: int, result: Result) -> None:
        answers.append(result.rows)

    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(2):
            with suppress(DatabaseError):
                connection.wait(protocol.simple(connection.pgconn, text))
            assert connection.wait(protocol.stream(connection.pgconn, questions, answered)) is None
    assert answers == [[(1, 2)], [], [(4,)]] * 2


READER = """
import resource, sys
from manticore_cockroachdb import Database, Migration
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Migration(Database.from_url(sys.argv[1]), sys.argv[2], mode=sys.argv[3]).migrate()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
def test_rows_that_a_script_selects_take_no_memory(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    (tmp_path / "V1__rows.sql").write_text(
        "SELECT g, repeat('x', 1000) FROM generate_series(1, 200000) AS s(g);"
    )
    command = [sys.executable, "-c", READER, database_url, str(tmp_path), mode]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40  # MiB, of 200


# -- our own sessions -----------------------------------------------------------------------------


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_run_does_not_wait_for_itself_as_for_a_stranger(
    flavour: Flavour, database_url: str, tmp_path: Path
) -> None:
    with FakeCockroach(database_url, cockroach=None) as fake_cockroach:
        for mode in ("atomic", "stepwise"):
            harness = Harness(flavour, fake_cockroach.url, database_url, tmp_path / mode, mode=mode)
            harness.ask("DROP TABLE IF EXISTS t, _migrations, _migrations_state")
            harness.write("V1__t", "CREATE TABLE t (i INT8);\nSELECT pg_sleep(2.5);")
            fake_cockroach.rule("SELECT pg_sleep", then=drop_during())
            assert await harness.engine(lock_timeout=0).migrate() == 1
            assert len(harness.told(Reconnecting)) == 1
            assert harness.ledger() == [1]
            assert harness.free()


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_lease_that_was_taken_when_nobody_read_the_answer_is_given_back(
    harness: Harness,
) -> None:
    if harness.flavour.name == "sync":
        pytest.skip("a thread cannot be cancelled")
    harness.write("V1__t", "CREATE TABLE t (i INT8)")
    await harness.engine().initialize()
    harness.ask("INSERT INTO _migrations_state (id, epoch) VALUES (1, 1)")
    async with await psycopg.AsyncConnection.connect(harness.direct) as holder:
        await holder.execute("SELECT 1 FROM _migrations_state FOR UPDATE")
        async with anyio.create_task_group() as group:
            group.start_soon(harness.engine().migrate)

            def upsert_waits() -> bool:
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                return bool(harness.one(waiting))

            await eventually(upsert_waits)
            await holder.commit()
            group.cancel_scope.cancel()
    assert harness.record()["owner"] is None
    assert await harness.engine(lock_timeout=0).migrate() in (0, 1)
    assert harness.told(LeaseAwaited) == []


# -- databases that are read-only -----------------------------------------------------------------


async def test_a_database_that_is_read_only_by_its_settings_is_looked_at_and_not_written(
    harness: Harness,
) -> None:
    harness.write("V1__t", "CREATE TABLE t (i INT8)\n-- DOWN\nDROP TABLE t")
    await harness.engine().migrate()
    harness.write("V2__u", "CREATE TABLE u (i INT8)")
    before = harness.record()
    with_options(harness, "-c default_transaction_read_only=on")
    name = harness.one("SELECT current_database()")
    assert [s.state for s in await harness.engine().status()] == [State.APPLIED, State.PENDING]
    assert [step.version for step in await harness.engine().plan()] == [2]
    for verb in (
        harness.engine().migrate,
        harness.engine().rollback,
        lambda: harness.engine().resolve.not_applied(1),
    ):
        with pytest.raises(DatabaseError) as caught:
            await verb()
        assert caught.value.sqlstate == "25006"
        assert str(caught.value) == (
            f"Nothing was run: the database {name} is read-only: default_transaction_read_only is on for "
            "this database, role or connection. To change it all the same, set that off (ALTER DATABASE "
            f'"{name}" SET default_transaction_read_only = off, or the same for the role). Showing and '
            "planning work as it is."
        )
    assert harness.record() == before
    (harness.folder / "V2__u.sql").unlink()
    assert await harness.engine().migrate() == 0


@pytest.mark.needs_cockroachdb
async def test_settings_that_forbid_full_scans_and_long_reads_do_not_stop_our_own(
    harness: Harness,
) -> None:
    for version in range(1, 6):
        harness.write(
            f"V{version}__t", f"CREATE TABLE t{version} (i INT8)\n-- DOWN\nDROP TABLE t{version}"
        )
    with_options(harness, "-c disallow_full_table_scans=on -c transaction_rows_read_err=2")
    assert await harness.engine().migrate() == 5
    assert await harness.engine().migrate() == 0
    assert len(await harness.engine().status()) == 5
    assert await harness.engine().rollback(2) == 2


# -- what becomes of our own tables ---------------------------------------------------------------


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
@pytest.mark.parametrize("sql", ["DROP SCHEMA app CASCADE", "ALTER SCHEMA app RENAME TO gone"])
async def test_a_script_that_takes_the_ledger_away_is_told_so(
    harness: Harness, mode: str, sql: str
) -> None:
    harness.ask("CREATE SCHEMA app")
    with_options(harness, "-c search_path=app")
    harness.write("V1__t", "CREATE TABLE t (i INT8)")
    harness.write("V2__gone", f"SELECT 1;\n{sql};\nSELECT 2;")
    message = await fails(harness, mode=mode)
    there = {
        "atomic": "Nothing of version 2 was applied.",
        "stepwise": "What version 2 did before is done, but not recorded as applied.",
    }
    assert message in {
        "V2__gone.sql:2: the ledger's tables (app._migrations and app._migrations_state) cannot be written "
        f"any more: {gone} does not exist ({code}). {sql} takes them away. Keep the ledger where no script "
        "reaches, in a schema of its own (table='manticore._migrations', TABLE in the MANTICORE setting)."
        f"\n  {there[mode]}"
        for gone, code in (
            ('relation "app._migrations_state"', "42P01"),
            ('relation "app._migrations"', "42P01"),
            ('schema "app"', "3F000"),
        )
    }
    if mode == "atomic":
        assert harness.ask("SELECT version FROM app._migrations") == [(1,)]


@pytest.mark.needs_cockroachdb
@pytest.mark.parametrize("sql", ["ALTER DATABASE {0} RENAME TO {0}_x", "DROP DATABASE {0} CASCADE"])
async def test_a_script_that_takes_its_database_away_is_told_so(harness: Harness, sql: str) -> None:
    name = harness.one("SELECT current_database()")
    harness.write("V1__gone", f"SELECT 1;\n{sql.format(name)};\nSELECT 2;")
    message = await fails(harness)
    assert message.startswith(
        "V1__gone.sql:2: the ledger's tables (public._migrations and public._migrations_state) cannot be "
        "written any more: "
    )
    assert message.endswith(
        " takes them away. Drop or rename a database by hand, outside of its own migrations.\n"
        "  What version 1 did before is done, but not recorded as applied."
    )
    harness.ask(f"DROP DATABASE IF EXISTS {name}_x CASCADE")


@pytest.mark.needs_cockroachdb
@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
async def test_a_statement_that_is_too_large_is_told_with_the_setting(
    harness: Harness, mode: str
) -> None:
    harness.write("V1__t", "-- manticore: mode=stepwise\nCREATE TABLE t (s TEXT)")
    harness.write("V2__large", f"SELECT 1;\nINSERT INTO t VALUES ('{'x' * 17 * 1024 * 1024}');")
    message = await fails(harness, mode=mode)
    assert message.startswith("V2__large.sql:2: ")
    assert "sql.conn.max_read_buffer_message_size" in message


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_row_level_security_on_our_tables_is_told(harness: Harness) -> None:
    role = "plain_" + harness.one("SELECT current_database()")[-12:]
    harness.ask(f"CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public TO {role}")
    try:
        with_options(harness, f"-c role={role}")
        harness.write("V1__t", "CREATE TABLE t (i INT8)")
        await harness.engine().migrate()
        harness.ask(
            "ALTER TABLE _migrations_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        )
        harness.write("V2__u", "CREATE TABLE u (i INT8)")
        with pytest.raises(DatabaseError) as caught:
            await harness.engine().migrate()
        assert str(caught.value).startswith(
            "row-level security on public._migrations_state hides the run's own row from this role ("
        )
        assert str(caught.value).endswith(
            'Take it off the ledger\'s tables: ALTER TABLE "public"."_migrations_state" NO FORCE ROW LEVEL '
            "SECURITY, DISABLE ROW LEVEL SECURITY."
        )
    finally:
        harness.ask(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_role_that_may_not_make_or_use_the_tables_is_told_the_grant(
    harness: Harness,
) -> None:
    role = "plain_" + harness.one("SELECT current_database()")[-12:]
    harness.ask(f"CREATE ROLE {role}; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    try:
        direct = harness.url
        with_options(harness, f"-c role={role}")
        harness.write("V1__t", "CREATE TABLE t (i INT8)")
        with pytest.raises(DatabaseError) as caught:
            await harness.engine().migrate()
        assert str(caught.value) == (
            "The ledger's tables (public._migrations and public._migrations_state) could not be made: "
            "permission denied for schema public (42501). Have an administrator run: GRANT USAGE, CREATE "
            f'ON SCHEMA "public" TO "{role}". Or name a schema that {role} may create tables in '
            "(table='app._migrations', TABLE in the MANTICORE setting)."
        )
        theirs, harness.url = harness.url, direct
        await harness.engine().initialize()
        harness.url = theirs
        with pytest.raises(DatabaseError) as caught:
            await harness.engine().status()
        assert str(caught.value) == (
            "the ledger's tables cannot be used: permission denied for table _migrations (42501). Have an "
            'administrator run: GRANT SELECT, INSERT, UPDATE, DELETE ON "public"."_migrations", '
            f'"public"."_migrations_state" TO "{role}".'
        )
    finally:
        harness.ask(f"DROP OWNED BY {role}; DROP ROLE {role}")
