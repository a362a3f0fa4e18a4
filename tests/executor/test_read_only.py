"""A hot standby: what only looks works there, and what writes says why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from manticore_cockroachdb import Database, Migration, State
from manticore_cockroachdb.errors import DatabaseError
from manticore_cockroachdb.testing import choose, postgres
from manticore_cockroachdb.testing.programs import Source
from tests.conftest import URL_VARIABLE
from tests.flavors import Flavour
from tests.harness import Harness

SCRIPT = "CREATE TABLE t (i INT8);\n-- DOWN\nDROP TABLE t;\n"


@pytest.fixture(scope="module")
def standby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server in recovery; version 1 is applied there."""
    choice = choose(URL_VARIABLE)
    if choice.source not in (Source.WHEEL, Source.INSTALLED):
        pytest.skip("a hot standby is made from PostgreSQL's programs")
    # No autovacuum: it would change files while they are copied.
    settings = {**postgres.SETTINGS, "wal_level": "replica", "autovacuum": "off"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "SETTINGS", settings)
        keeper, url = postgres.start_postgres(Path(choice.where))
        with keeper:
            folder = tmp_path_factory.mktemp("applied")
            (folder / "V1__t.sql").write_text(SCRIPT)
            with Database.from_url(url) as database:
                Migration(database, folder).migrate()
                database.execute("CHECKPOINT")
            data, copy = keeper.folder / "data", keeper.folder / "standby"
            keeper.run(["cp", "-r", data, copy])
            keeper.run(["rm", copy / "postmaster.pid"])
            keeper.run(["touch", copy / "standby.signal"])
            copied = keeper.folder / "programs"
            found = next(copied.rglob("bin/postgres"), None) if copied.exists() else None
            programs = found.parent if found else Path(choice.where)
            password = str(conninfo_to_dict(url)["password"])
            # As the first server is started: on another port where one is taken meanwhile.
            yield postgres._serve(keeper, programs, copy, password, None)


@pytest.fixture
def harness(flavour: Flavour, standby: str, tmp_path: Path) -> Harness:
    found = Harness(flavour, standby, standby, tmp_path / "migrations")
    found.write("V1__t", SCRIPT)
    found.write("V2__u", "CREATE TABLE u (i INT8)")
    return found


async def test_showing_planning_and_checking_work(harness: Harness) -> None:
    assert harness.one("SELECT pg_is_in_recovery()") is True
    engine = harness.engine()
    assert [each.state for each in await engine.status()] == [State.APPLIED, State.PENDING]
    assert [each.version for each in await engine.plan()] == [2]
    assert [each.version for each in await engine.plan_rollback()] == [1]


async def test_a_run_with_nothing_to_do_does_nothing(harness: Harness) -> None:
    (harness.folder / "V2__u.sql").unlink()
    assert await harness.engine().migrate() == 0


async def test_migrating_says_that_the_server_is_read_only(harness: Harness) -> None:
    with pytest.raises(DatabaseError, match="read-only"):
        await harness.engine().migrate()
