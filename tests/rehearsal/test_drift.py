"""A database compared with its scripts, on the server of this run."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psycopg
import pytest

from manticore_cockroachdb.errors import PlanRefused, RehearsalRefused
from manticore_cockroachdb.events import (
    ScratchCreated,
    ScratchDropped,
    StepStarted,
)
from manticore_cockroachdb.rehearsal import Surroundings
from manticore_cockroachdb.testing import RunningServer
from tests.conftest import URL_VARIABLE
from tests.flavors import Flavour
from tests.harness import Harness

UP = """
CREATE TABLE shops (id INT8 PRIMARY KEY, name VARCHAR(40) NOT NULL, kind VARCHAR(9) DEFAULT 'a');
CREATE INDEX by_name ON shops (name);
CREATE TABLE sales (id INT8 PRIMARY KEY, shop INT8 CONSTRAINT of_shop REFERENCES shops (id), n INT8);
ALTER TABLE sales ADD CONSTRAINT positive CHECK (n > 0);
CREATE VIEW named AS SELECT name FROM shops;
CREATE SEQUENCE counter;
COMMENT ON TABLE shops IS 'where things are sold';
"""


@pytest.fixture
def harness(flavour: Flavour, database_url: str, tmp_path: Path) -> Harness:
    made = Harness(flavour, database_url, database_url, tmp_path / "migrations")
    made.write("V1__shops", UP)
    return made


@pytest.fixture
def reader(server: RunningServer) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE IF NOT EXISTS manticore_reader") if (
            server.kind == "cockroachdb"
        ) else connection.execute(
            "DO $$ BEGIN CREATE ROLE manticore_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )


def by_hand(harness: Harness, *statements: str) -> None:
    for statement in statements:
        harness.ask(statement)


def scratch_databases(server: RunningServer) -> list[str]:
    if "PYTEST_XDIST_WORKER" in os.environ and URL_VARIABLE in os.environ:
        pytest.skip("other processes of this run have scratch databases on the same server")
    question = (
        "SELECT database_name FROM [SHOW DATABASES]"
        if server.kind == "cockroachdb"
        else "SELECT datname FROM pg_database"
    )
    with psycopg.connect(server.url, autocommit=True) as connection:
        names = [str(name) for (name,) in connection.execute(question.encode()).fetchall()]
    return [name for name in names if name.startswith("manticore_scratch")]


async def test_nothing_differs_where_nobody_changed_anything(
    harness: Harness, server: RunningServer
) -> None:
    await harness.engine().migrate()

    found = await harness.engine().drift()

    assert found.differences == ()
    assert not found
    assert found.version == 1
    (made,) = harness.told(ScratchCreated)
    assert [each.name for each in harness.told(ScratchDropped)] == [made.name]
    assert made.name not in scratch_databases(server)


async def test_only_applied_versions_are_expected(harness: Harness) -> None:
    await harness.engine().migrate()
    harness.write("V2__more", "CREATE TABLE more (id INT8 PRIMARY KEY);")

    assert (await harness.engine().drift()).differences == ()


async def test_every_change_by_hand_is_found_by_its_object(harness: Harness, reader: None) -> None:
    await harness.engine().migrate()
    by_hand(
        harness,
        "ALTER TABLE shops ADD COLUMN extra INT8",
        "ALTER TABLE shops ALTER COLUMN kind SET DEFAULT 'b'",
        "CREATE TABLE surplus (id INT8 PRIMARY KEY, n INT8)",
        "CREATE INDEX of_surplus ON surplus (n)",
        "DROP VIEW named",
        "CREATE VIEW renamed AS SELECT name FROM shops",
        "DROP SEQUENCE counter",
        "ALTER TABLE sales DROP CONSTRAINT of_shop",
        "COMMENT ON TABLE shops IS 'sold out'",
        "COMMENT ON COLUMN sales.n IS 'how many'",
        "GRANT SELECT ON shops TO manticore_reader",
    )

    found = await harness.engine().drift()

    assert [str(each) for each in found.differences] == [
        "extra comment column public.sales.n",
        "changed comment table public.shops",
        "missing constraint of_shop on public.sales",
        "extra grants table public.shops",
        "missing sequence public.counter",
        "changed table public.shops",
        "extra table public.surplus",
        "missing view public.named",
        "extra view public.renamed",
    ]
    table = next(each for each in found.differences if str(each) == "changed table public.shops")
    assert [detail.partition(" ")[0] for detail in table.details] == ["column", "column"]


async def test_the_statements_that_fix_it_leave_no_difference(
    harness: Harness, reader: None
) -> None:
    await harness.engine().migrate()
    by_hand(
        harness,
        "ALTER TABLE shops ADD COLUMN extra INT8",
        "ALTER TABLE shops ALTER COLUMN kind DROP DEFAULT",
        "DROP INDEX by_name",
        "CREATE INDEX sales_n ON sales (n)",
        "ALTER TABLE sales DROP CONSTRAINT of_shop",
        "ALTER TABLE sales DROP CONSTRAINT positive",
        "COMMENT ON TABLE shops IS 'sold out'",
        "COMMENT ON COLUMN sales.n IS 'how many'",
        "GRANT SELECT ON shops TO manticore_reader",
        "DROP VIEW named",
        "CREATE SEQUENCE another",
    )
    found = await harness.engine().drift()
    assert len(found.differences) >= 8

    for difference in found.differences:
        assert difference.repair, difference
        by_hand(harness, *difference.repair)

    assert (await harness.engine().drift()).differences == ()


async def test_what_would_adopt_it_makes_a_script_that_leaves_no_difference(
    harness: Harness, reader: None
) -> None:
    await harness.engine().migrate()
    by_hand(
        harness,
        "ALTER TABLE shops ADD COLUMN extra INT8",
        "DROP INDEX by_name",
        "CREATE INDEX sales_n ON sales (n)",
        "ALTER TABLE sales DROP CONSTRAINT positive",
        "COMMENT ON TABLE shops IS 'sold out'",
        "GRANT SELECT ON shops TO manticore_reader",
        "CREATE TABLE surplus (id INT8 PRIMARY KEY, n INT8)",
    )
    found = await harness.engine().drift()

    script = "".join(f"{text};\n" for each in found.differences for text in each.adopt)
    harness.write("V2__adopted", script)
    await harness.engine().migrate(fake=True)

    assert (await harness.engine().drift()).differences == ()


async def test_what_may_differ_is_not_reported(harness: Harness) -> None:
    await harness.engine().migrate()
    by_hand(
        harness,
        "CREATE TABLE audit_log (id INT8 PRIMARY KEY)",
        "COMMENT ON TABLE audit_log IS 'by hand'",
        "DROP VIEW named",
    )

    found = await harness.engine().drift(ignore=["table public.audit_*", "view *", "index no_such"])

    assert found.differences == ()
    assert found.unused_ignores == ("index no_such",)


async def test_a_missing_or_changed_file_is_refused_before_anything_is_made(
    harness: Harness,
) -> None:
    harness.write("V2__more", "CREATE TABLE more (id INT8 PRIMARY KEY);")
    await harness.engine().migrate()
    (harness.folder / "V1__shops.sql").unlink()
    harness.write("V2__more", "CREATE TABLE other (id INT8 PRIMARY KEY);")

    with pytest.raises(PlanRefused) as refused:
        await harness.engine().drift()

    assert str(refused.value).startswith(
        "2 problems. The database cannot be compared with its scripts:\n"
        "  - version 1 (shops) is applied, but its file is not in the folder. Restore the file.\n"
        "  - V2__more.sql: version 2 was changed after it was applied: its up section's checksum is "
    )
    assert harness.told(ScratchCreated) == []


async def test_a_partially_run_script_is_refused(harness: Harness) -> None:
    engine = harness.engine(mode="stepwise")
    harness.write(
        "V2__fails", "CREATE TABLE made (id INT8 PRIMARY KEY);\nCREATE TABLE made (id INT8);"
    )
    with pytest.raises(Exception, match="V2__fails"):
        await engine.migrate()

    with pytest.raises(PlanRefused) as refused:
        await harness.engine().drift()

    assert str(refused.value) == (
        "V2__fails.sql: version 2 is partially run. Finish it with manticore_migrate or "
        "manticore_rollback, then compare. The database cannot be compared with its scripts."
    )


async def test_the_ledger_and_its_schema_are_never_a_difference(harness: Harness) -> None:
    by_hand(harness, "CREATE SCHEMA ops")
    await harness.engine(table="ops.applied").migrate()

    assert (await harness.engine(table="ops.applied").drift()).differences == ()


async def test_what_another_tool_makes_can_be_made_on_the_scratch_too(harness: Harness) -> None:
    table = "CREATE TABLE theirs (id INT8 PRIMARY KEY)"
    by_hand(harness, table)
    harness.write("V2__refers", "CREATE TABLE ours (id INT8 PRIMARY KEY REFERENCES theirs (id));")
    await harness.engine().migrate()

    def make(settings: Any) -> None:
        with psycopg.connect(**settings.parameters, autocommit=True) as connection:
            connection.execute(table.encode())

    found = await harness.engine().drift(surroundings=Surroundings(before=make))
    text = (await harness.engine().snapshot(surroundings=Surroundings(before=make))).text

    assert found.differences == ()
    assert "CREATE TABLE public.ours" in text
    assert "CREATE TABLE public.theirs" not in text


async def test_a_read_only_database_is_compared_by_a_scratch_elsewhere(
    harness: Harness, server: RunningServer
) -> None:
    await harness.engine().migrate()
    elsewhere = server.new_database()
    scratch = _plain(harness.flavour.database(elsewhere))
    harness.url += "&" if "?" in harness.url else "?"
    harness.url += "options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(RehearsalRefused) as refused:
        await harness.engine().drift()
    place = harness.database().settings.place
    name = psycopg.conninfo.conninfo_to_dict(harness.direct)["dbname"]
    assert str(refused.value) == (
        f"The database {name} at {place} is read-only (default_transaction_read_only is on for this "
        "database, role or connection), so no scratch database can be made beside it. Name another "
        "database or server with --scratch URL (scratch=… in the library). Nothing was changed."
    )
    assert (await harness.engine().drift(scratch=scratch)).differences == ()
    server.drop_database(elsewhere)


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_without_the_right_to_create_databases_the_grant_is_named(
    harness: Harness, server: RunningServer, flavour: Flavour
) -> None:
    await harness.engine().migrate()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS manticore_weak")
        connection.execute("CREATE ROLE manticore_weak LOGIN PASSWORD 'weak'")
    by_hand(harness, "GRANT SELECT ON _migrations, _migrations_state TO manticore_weak")
    url = harness.url.replace(psycopg.conninfo.conninfo_to_dict(harness.url)["password"], "weak")
    weak = flavour.database(url.replace("//postgres:", "//manticore_weak:"))

    with pytest.raises(RehearsalRefused) as refused:
        await flavour.migration(weak, harness.folder).drift()
    found = await flavour.migration(weak, harness.folder).drift(scratch=_plain(harness.database()))

    place = harness.database().settings.place
    assert str(refused.value) == (
        f"User manticore_weak may not create databases at {place}, so no scratch database can be made. "
        'Run `ALTER ROLE "manticore_weak" CREATEDB` as an administrator, or name a server where it may '
        "with --scratch URL (scratch=… in the library). Nothing was changed."
    )
    assert found.differences == ()


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_migrator_with_the_documented_privileges_finds_no_difference(
    harness: Harness, server: RunningServer, flavour: Flavour
) -> None:
    with psycopg.connect(harness.url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS manticore_migrator")
        connection.execute("CREATE ROLE manticore_migrator LOGIN CREATEDB PASSWORD 'strong'")
        connection.execute("GRANT USAGE, CREATE ON SCHEMA public TO manticore_migrator")
    password = psycopg.conninfo.conninfo_to_dict(harness.url)["password"]
    url = harness.url.replace(password, "strong").replace("//postgres:", "//manticore_migrator:")
    migration = flavour.migration(flavour.database(url), harness.folder)
    await migration.migrate()

    found = await migration.drift()
    seen_by_another = await harness.engine().drift()
    by_hand(harness, "DROP OWNED BY manticore_migrator CASCADE", "DROP ROLE manticore_migrator")

    assert found.differences == ()
    assert seen_by_another.differences == ()


class _Stop(BaseException):
    """As Ctrl-C: no error, and not caught as one."""


async def test_an_interrupted_verb_leaves_nothing_behind(
    harness: Harness, server: RunningServer
) -> None:
    def interrupt(event: Any) -> None:
        if isinstance(event, StepStarted):
            raise _Stop

    with pytest.raises(_Stop):
        await harness.engine(listener=interrupt).snapshot()

    assert scratch_databases(server) == []


def _plain(database: Any) -> Any:
    return getattr(database, "wrapped", database)


@pytest.fixture
def killed_maker(harness: Harness) -> None:
    """A process that made a scratch database, and was killed."""
    program = textwrap.dedent(
        f"""
        import os, signal
        from manticore_cockroachdb import Database, Migration
        from manticore_cockroachdb.rehearsal import Surroundings

        def die(settings):
            os.kill(os.getpid(), signal.SIGKILL)

        Migration(Database.from_url({harness.url!r}), {str(harness.folder)!r}).snapshot(
            surroundings=Surroundings(after=die, before=die)
        )
        """
    )
    subprocess.run([sys.executable, "-c", program], check=False)


async def test_what_a_killed_process_left_is_swept_by_the_next(
    harness: Harness, server: RunningServer, killed_maker: None
) -> None:
    (left,) = scratch_databases(server)

    await harness.engine().snapshot()

    assert left in [each.name for each in harness.told(ScratchDropped)]
    assert scratch_databases(server) == []


async def test_a_living_processs_scratch_database_is_left_alone(
    harness: Harness, server: RunningServer, flavour: Flavour
) -> None:
    seen: list[list[str]] = []

    def while_it_is_there(settings: Any) -> None:
        from manticore_cockroachdb import Database, Migration

        Migration(Database.from_url(harness.url), harness.folder).snapshot()
        seen.append(scratch_databases(server))

    await harness.engine().snapshot(surroundings=Surroundings(before=while_it_is_there))

    (made,) = harness.told(ScratchCreated)
    assert seen == [[made.name]]


async def test_a_database_that_only_has_such_a_name_is_left_alone(
    harness: Harness, server: RunningServer
) -> None:
    name = "manticore_scratch_1_abc_1"
    url = server.new_database(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE precious (id INT8 PRIMARY KEY)")

    await harness.engine().snapshot()

    assert scratch_databases(server) == [name]
    server.drop_database(name)


async def test_a_script_that_fails_on_the_scratch_leaves_nothing_behind(
    harness: Harness, server: RunningServer
) -> None:
    harness.write("V2__fails", "CREATE TABLE shops (id INT8 PRIMARY KEY);")

    with pytest.raises(Exception, match="V2__fails"):
        await harness.engine().snapshot()

    assert scratch_databases(server) == []
