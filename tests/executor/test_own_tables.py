"""Where the ledger and the run state are, and what a script or a setting can do to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb import State
from manticore_cockroachdb.errors import (
    DatabaseError,
    LedgerRefused,
)
from manticore_cockroachdb.events import Reconnecting
from tests.fake_cockroach import FakeCockroach, drop_during
from tests.flavors import Flavour
from tests.harness import Harness, fails, with_options

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
            "There are several ledgers along the search_path: ops._migrations and public._migrations. Name "
            "the right one with its schema, such as 'ops._migrations' (the `table` argument, "
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
            f"The database {name} is read-only: default_transaction_read_only is on for "
            "this database, role or connection. Nothing was run. To change it nevertheless, "
            "turn that off (ALTER DATABASE "
            f'"{name}" SET default_transaction_read_only = off, or the same for the role). Listing and '
            "planning still work."
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


# -- what happens to our tables -------------------------------------------------------------------


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
@pytest.mark.parametrize("sql", ["DROP SCHEMA app CASCADE", "ALTER SCHEMA app RENAME TO gone"])
async def test_the_error_of_a_script_that_drops_the_ledger_says_so(
    harness: Harness, mode: str, sql: str
) -> None:
    harness.ask("CREATE SCHEMA app")
    with_options(harness, "-c search_path=app")
    harness.write("V1__t", "CREATE TABLE t (i INT8)")
    harness.write("V2__gone", f"SELECT 1;\n{sql};\nSELECT 2;")
    message = await fails(harness, mode=mode)
    there = {
        "atomic": "Nothing of version 2 was applied.",
        "stepwise": "What version 2 did before is done, but is not recorded as applied.",
    }
    assert message in {
        "V2__gone.sql:2: the ledger's tables (app._migrations and app._migrations_state) can no longer "
        f"be written: {gone} does not exist ({code}). {sql} removes them. Keep the ledger in "
        "its own schema (table='manticore._migrations', TABLE in the MANTICORE setting)."
        f"\n  {there[mode]}"
        for gone, code in (
            ('relation "app._migrations_state"', "42P01"),
            ('relation "app._migrations"', "42P01"),
            ('schema "app"', "3F000"),
        )
    }
    if mode == "atomic":
        assert harness.ask("SELECT version FROM app._migrations") == [(1,)]


@pytest.mark.parametrize("mode", ["stepwise", "autocommit"])
async def test_a_renamed_schema_of_the_ledger_is_named_and_the_run_continues_there(
    harness: Harness, mode: str
) -> None:
    harness.ask("CREATE SCHEMA app")
    direct = harness.url
    with_options(harness, "-c search_path=app")
    harness.write("V1__t", "CREATE TABLE t (i INT8)")
    rename = "ALTER SCHEMA app RENAME TO gone"
    harness.write("V2__gone", f"SELECT 1;\n{rename};\nINSERT INTO gone.t VALUES (1);")
    # It cannot release its lease where the statement took effect, and the next run waits for its end.
    message = await fails(harness, mode=mode, lease=2.0)
    took_effect = harness.on_cockroachdb or mode == "autocommit"
    way = (
        "They are in schema gone now. Name them there (table='gone._migrations', TABLE in the MANTICORE "
        "setting), or put gone on the search_path, and run the same command again: it continues after this "
        "statement."
        if took_effect
        else "Keep the ledger in its own "
        "schema (table='manticore._migrations', TABLE in the MANTICORE setting)."
    )
    where, _, said = message.partition("can no longer be written: ")
    assert (
        where == "V2__gone.sql:2: the ledger's tables (app._migrations and app._migrations_state) "
    )
    assert said[said.index(rename) :] == (
        f"{rename} removes them. {way}\n"
        "  What version 2 did before is done, but is not recorded as applied."
    )
    if not took_effect:
        harness.ask("CREATE SCHEMA manticore")
        for table in ("_migrations", "_migrations_state"):
            harness.ask(f"ALTER TABLE app.{table} SET SCHEMA manticore")
    harness.url = direct
    table = "gone._migrations" if took_effect else "manticore._migrations"
    if not took_effect:
        with_options(harness, "-c search_path=app")
    assert await harness.engine(mode=mode, table=table).migrate() == 1
    assert harness.ask("SELECT i FROM gone.t") == [(1,)]
    assert harness.ask(f"SELECT version FROM {table} ORDER BY 1") == [(1,), (2,)]


@pytest.mark.needs_cockroachdb
@pytest.mark.parametrize("sql", ["ALTER DATABASE {0} RENAME TO {0}_x", "DROP DATABASE {0} CASCADE"])
async def test_the_error_of_a_script_that_drops_its_database_says_so(
    harness: Harness, sql: str
) -> None:
    name = harness.one("SELECT current_database()")
    harness.write("V1__gone", f"SELECT 1;\n{sql.format(name)};\nSELECT 2;")
    message = await fails(harness)
    assert message.startswith(
        "V1__gone.sql:2: the ledger's tables (public._migrations and public._migrations_state) can no "
        "longer be written: "
    )
    assert message.endswith(
        " removes them. Drop or rename a database by hand, outside its migrations.\n"
        "  What version 1 did before is done, but is not recorded as applied."
    )
    harness.ask(f"DROP DATABASE IF EXISTS {name}_x CASCADE")


@pytest.mark.needs_cockroachdb
@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
async def test_a_statement_that_is_too_large_is_reported_with_the_setting(
    harness: Harness, mode: str
) -> None:
    harness.write("V1__t", "-- manticore: mode=stepwise\nCREATE TABLE t (s TEXT)")
    harness.write("V2__large", f"SELECT 1;\nINSERT INTO t VALUES ('{'x' * 17 * 1024 * 1024}');")
    message = await fails(harness, mode=mode)
    assert message.startswith("V2__large.sql:2: ")
    assert "sql.conn.max_read_buffer_message_size" in message


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_row_level_security_on_our_tables_is_reported(harness: Harness) -> None:
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
            "row-level security on public._migrations_state hides the run's row from this role ("
        )
        assert str(caught.value).endswith(
            'Disable it on the ledger\'s tables: ALTER TABLE "public"."_migrations_state" NO FORCE ROW '
            "LEVEL SECURITY, DISABLE ROW LEVEL SECURITY."
        )
    finally:
        harness.ask(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_the_error_of_a_role_that_may_not_make_or_use_the_tables_has_the_grant(
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
            "The ledger's tables (public._migrations and public._migrations_state) could not be created: "
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
