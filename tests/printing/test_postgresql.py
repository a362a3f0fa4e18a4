"""A schema of every kind that is printed, read from a server, run again, and read again."""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb._printing.postgresql.normal import normal, normal_query
from manticore_cockroachdb.testing import RunningServer, choose
from tests.flavors import Flavour

pytestmark = pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")

EVERYTHING = (Path(__file__).parent / "everything.sql").read_text("utf-8")
#: The rest makes objects of kinds that are not printed, and a table whose columns pg_dump puts elsewhere.
PRINTED = EVERYTHING[: EVERYTHING.index("CREATE OPERATOR")]
SINCE_18 = (Path(__file__).parent / "since_18.sql").read_text("utf-8")


@pytest.fixture
def everything(server_version: tuple[int, ...]) -> str:
    """The script with every kind of object, as the server can run it."""
    if server_version >= (14,):
        return EVERYTHING
    # Before PostgreSQL 14, the body of a function is a text.
    return re.sub(r"BEGIN ATOMIC (.*?;) END;", r"AS $$ \1 $$;", EVERYTHING, flags=re.DOTALL)


@pytest.fixture(autouse=True)
def reader(server: RunningServer) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE manticore_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )


def folder_of(folder: Path, script: str) -> Path:
    folder.mkdir()
    (folder / "V1__everything.sql").write_text(script, "utf-8")
    return folder


async def printed(flavour: Flavour, url: str, folder: Path, script: str) -> str:
    """The schema that a script makes."""
    folder = folder_of(folder, script)
    return str((await flavour.migration(flavour.database(url), folder).snapshot()).text)


def below_head(text: str) -> str:
    return text.partition("\n\n")[2]


async def test_what_is_printed_makes_the_same_schema_again(
    flavour: Flavour, database_url: str, tmp_path: Path, everything: str
) -> None:
    first = below_head(await printed(flavour, database_url, tmp_path / "a", everything))
    second = below_head(await printed(flavour, database_url, tmp_path / "b", first))

    assert second.split("\n") == first.split("\n")


async def test_what_newer_servers_have_makes_the_same_schema_again(
    flavour: Flavour,
    database_url: str,
    server: RunningServer,
    server_version: tuple[int, ...],
    tmp_path: Path,
) -> None:
    if server_version < (18,):
        pytest.skip("it asks for what PostgreSQL has since version 18")
    script = PRINTED + SINCE_18
    first = below_head(await printed(flavour, database_url, tmp_path / "a", script))
    second = below_head(await printed(flavour, database_url, tmp_path / "b", first))

    assert second.split("\n") == first.split("\n")
    program = _pg_dump()
    if program is not None:
        assert dumps_differ(server, program, script, first) == []


async def test_kinds_that_are_not_printed_are_counted_and_named(
    flavour: Flavour, database_url: str, tmp_path: Path, everything: str
) -> None:
    text = await printed(flavour, database_url, tmp_path / "a", everything)

    assert re.findall("-- Not printed: .*", text) == [
        "-- Not printed: 1 of kind operator: public.===(integer, integer)",
        "-- Not printed: 1 of kind publication: everything",
    ]


def _pg_dump() -> str | None:
    choice = choose("MANTICORE_TEST_URL")
    beside = shutil.which("pg_dump", path=choice.where) if Path(choice.where).is_dir() else None
    return beside or shutil.which("pg_dump")


def _dumped(program: str, url: str) -> list[str]:
    command = [program, "--schema-only", url]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if "server version mismatch" in ran.stderr:
        pytest.skip("pg_dump is older than the server")
    assert ran.returncode == 0, ran.stderr
    ours = re.compile(r"\\(un)?restrict|-- Dumped|--$|$")
    return [normal_query(normal(x)) for x in ran.stdout.split("\n") if not ours.match(x)]


def dumps_differ(server: RunningServer, program: str, *scripts: str) -> list[str]:
    """How pg_dump shows the databases that two scripts make."""
    dumps = []
    for script in scripts:
        url = server.new_database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(script.encode())
        dumps.append(_dumped(program, url))
        server.drop_database(url)
    return list(difflib.unified_diff(*dumps, "original", "replayed", n=0))


async def test_pg_dump_finds_no_difference_after_a_replay(
    flavour: Flavour, server: RunningServer, database_url: str, tmp_path: Path, everything: str
) -> None:
    program = _pg_dump()
    if program is None:
        pytest.skip("there is no pg_dump")
    script = everything[: everything.index("CREATE OPERATOR")]
    text = below_head(await printed(flavour, database_url, tmp_path / "a", script))

    assert dumps_differ(server, program, script, text) == []
