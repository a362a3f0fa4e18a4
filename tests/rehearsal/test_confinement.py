"""What scripts would do beyond their scratch database is not done there."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb.errors import PlanRefused
from manticore_cockroachdb.events import ScratchCreated, Warned
from manticore_cockroachdb.rehearsal import Outcome
from manticore_cockroachdb.testing import RunningServer
from tests.flavors import Flavour
from tests.harness import Harness

TABLE = "CREATE TABLE precious (id INT8 PRIMARY KEY);\n"
REFUSED = (
    "V2__reaches.sql:{line}: {statement} names the database {database}, and would change that one and not "
    "the scratch. Leave the database's name out: the connection says which one it is. The scripts cannot "
    "run on a scratch database."
)


@pytest.fixture
def harness(flavour: Flavour, database_url: str, tmp_path: Path) -> Harness:
    return Harness(flavour, database_url, database_url, tmp_path / "migrations")


def plain(database: object) -> object:
    return getattr(database, "wrapped", database)


def name_of(harness: Harness) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(harness.direct)["dbname"])


def roles(harness: Harness) -> set[str]:
    return {str(name) for (name,) in harness.ask("SELECT rolname FROM pg_roles")}


@pytest.mark.needs_cockroachdb("only there can a statement name another database")
@pytest.mark.parametrize(
    ("up", "line", "statement"),
    [
        ("DROP TABLE {database}.public.precious;", 1, "DROP TABLE {database}.public.precious"),
        ("SELECT 1;\nUSE {database};\nDROP TABLE precious;", 2, "USE {database}"),
        (
            "SELECT 1;\n-- DOWN\nDROP TABLE {database}.precious;",
            3,
            "DROP TABLE {database}.precious",
        ),
    ],
)
async def test_a_script_that_names_the_target_is_refused_and_the_target_untouched(
    harness: Harness, up: str, line: int, statement: str
) -> None:
    harness.write("V1__precious", f"{TABLE}-- DOWN\nDROP TABLE precious;")
    await harness.engine().migrate()
    database = name_of(harness)
    harness.write("V2__reaches", up.format(database=database))
    wanted = REFUSED.format(
        line=line, statement=statement.format(database=database), database=database
    )

    for rehearse in (
        lambda: harness.engine().rehearse(),
        lambda: harness.engine().rehearse(all_scripts=True),
        lambda: harness.engine().snapshot(),
    ):
        with pytest.raises(PlanRefused) as refused:
            await rehearse()
        assert str(refused.value) == wanted

    assert "precious" in harness.tables()
    assert harness.told(ScratchCreated) == []


async def test_what_changes_the_server_is_left_out_of_a_rehearsal(harness: Harness) -> None:
    harness.write(
        "V1__roles",
        "CREATE ROLE manticore_confined;\nCREATE TABLE t (id INT8 PRIMARY KEY);\n"
        "-- DOWN\nDROP TABLE t;\nDROP ROLE manticore_confined;",
    )

    found = await harness.engine().rehearse()

    assert [each.outcome for each in found.scripts] == [Outcome.COMES_BACK]
    assert found.left_out == (
        "V1__roles.sql:1: CREATE ROLE manticore_confined",
        "V1__roles.sql:5: DROP ROLE manticore_confined",
    )
    (warned,) = harness.told(Warned)
    assert warned.message == (
        "These statements change the server and not the database, so the scratch database was made without "
        f"them: {'; '.join(found.left_out)}. Name a server where they may run with --scratch URL "
        "(scratch=… in the library)."
    )
    assert "manticore_confined" not in roles(harness)


async def test_what_is_applied_is_not_done_to_the_server_again(harness: Harness) -> None:
    harness.ask("CREATE ROLE manticore_confined")
    harness.write(
        "V1__roles",
        "CREATE TABLE t (id INT8 PRIMARY KEY);\nGRANT SELECT ON t TO manticore_confined;\n"
        "ALTER ROLE manticore_confined CREATEROLE;",
    )
    await harness.engine().migrate()
    harness.ask("ALTER ROLE manticore_confined NOCREATEROLE")

    assert (await harness.engine().drift()).differences == ()
    harness.write("V2__more", "CREATE TABLE more (id INT8 PRIMARY KEY);\n-- DOWN\nDROP TABLE more;")
    found = await harness.engine().rehearse()
    assert (found.ok, found.left_out) == (True, ())

    able = harness.one("SELECT rolcreaterole FROM pg_roles WHERE rolname = 'manticore_confined'")
    harness.ask("DROP TABLE t")
    harness.ask("DROP ROLE manticore_confined")
    assert able is False


async def test_a_role_that_is_made_where_it_is_missing_is_there_for_grants(
    harness: Harness,
) -> None:
    if_missing = (
        "CREATE ROLE IF NOT EXISTS manticore_confined"
        if harness.on_cockroachdb
        else "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'manticore_confined') THEN "
        "CREATE ROLE manticore_confined; END IF; END $$"
    )
    harness.write(
        "V1__roles",
        f"{if_missing};\nCREATE TABLE t (id INT8 PRIMARY KEY);\nGRANT SELECT ON t TO manticore_confined;\n"
        "-- DOWN\nDROP TABLE t;",
    )

    found = await harness.engine().rehearse()

    harness.ask("DROP ROLE manticore_confined")
    assert (found.ok, found.left_out) == (True, ())


async def test_where_a_server_was_named_scripts_may_change_it(
    harness: Harness, server: RunningServer, flavour: Flavour
) -> None:
    harness.write(
        "V1__roles",
        "CREATE ROLE manticore_confined;\nCREATE TABLE t (id INT8 PRIMARY KEY);\n"
        "GRANT SELECT ON t TO manticore_confined;",
    )
    elsewhere = server.new_database()

    text = (await harness.engine().snapshot(scratch=plain(flavour.database(elsewhere)))).text

    server.drop_database(elsewhere)
    made = "manticore_confined" in roles(harness)
    harness.ask("DROP ROLE IF EXISTS manticore_confined")
    assert made
    assert "GRANT SELECT ON TABLE public.t TO manticore_confined" in text
