"""How often a run waits for the server: counted on the wire, so no clock is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb._executor._sync import run as sync_run
from manticore_cockroachdb._planner import pace
from manticore_cockroachdb.testing import RunningServer
from tests.fake_cockroach import FakeCockroach

pytestmark = pytest.mark.needs_postgresql(
    "round trips are counted by the fake CockroachDB, which stands in front of PostgreSQL only"
)

SCRIPTS = 200
CHANGES = re.compile(r"\b(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, it sends as much at once as a fast one, and looks after nothing beside.

    A running statement is looked at over a separate connection after a while.
    """
    monkeypatch.setattr(pace, "QUICK", 600.0)
    monkeypatch.setattr(sync_run, "TICK", 600.0)


@pytest.fixture
def plain(database_url: str) -> Iterator[FakeCockroach]:
    """PostgreSQL as it is, behind a proxy that counts."""
    with FakeCockroach(database_url, cockroach=None) as fake_cockroach:
        yield fake_cockroach


@pytest.fixture
def cockroach(database_url: str) -> Iterator[FakeCockroach]:
    """What the engine takes for CockroachDB."""
    with FakeCockroach(database_url) as fake_cockroach:
        yield fake_cockroach


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small scripts: each makes a table with an index, or gives an earlier one a column."""
    for version in range(1, SCRIPTS + 1):
        up, down = _script(version)
        (tmp_path / f"V{version}__script.sql").write_text(f"{up};\n-- DOWN\n{down};\n")
    return tmp_path


def _script(version: int) -> tuple[str, str]:
    if version % 2:
        return f"CREATE TABLE t{version} (id INT PRIMARY KEY)", f"DROP TABLE t{version}"
    table = f"t{version - 1}"
    return f"ALTER TABLE {table} ADD COLUMN name TEXT", f"ALTER TABLE {table} DROP COLUMN name"


def migration(fake_cockroach: FakeCockroach, folder: Path) -> Migration:
    # With a lease that is not renewed meanwhile.
    return Migration(Database.from_url(fake_cockroach.url), folder, lease=600)


def waits(fake_cockroach: FakeCockroach) -> int:
    """How often a client began to speak while the server owed it nothing, after connecting."""
    return sum(each.waits for each in fake_cockroach.traffic.values())


def keep(folder: Path, count: int) -> None:
    for version in range(count + 1, SCRIPTS + 1):
        (folder / f"V{version}__script.sql").unlink()


def test_two_hundred_scripts_take_a_tenth_of_a_round_trip_each(
    plain: FakeCockroach, folder: Path
) -> None:
    engine = migration(plain, folder)

    assert engine.migrate() == SCRIPTS
    assert waits(plain) <= SCRIPTS / 10
    assert plain.connections == 1

    plain.reset()
    assert engine.rollback(SCRIPTS) == SCRIPTS
    assert waits(plain) <= SCRIPTS / 10
    assert plain.connections == 1


def test_round_trips_hardly_grow_with_the_number_of_scripts(
    plain: FakeCockroach, folder: Path, server: RunningServer
) -> None:
    engine = migration(plain, folder)
    assert engine.migrate(SCRIPTS // 2) == SCRIPTS // 2
    half = waits(plain)
    engine.migrate(0)
    plain.reset()

    assert engine.migrate() == SCRIPTS
    assert waits(plain) <= half + 2


@pytest.mark.parametrize("kind", ["plain", "cockroach"])
def test_nothing_to_do_takes_one_connection_and_four_round_trips_and_changes_nothing(
    kind: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    fake_cockroach: FakeCockroach = request.getfixturevalue(kind)
    keep(folder, 6)
    engine = migration(fake_cockroach, folder)
    assert engine.migrate() == 6
    with psycopg.connect(fake_cockroach.url) as direct:
        before = direct.execute("SELECT * FROM _migrations_state").fetchall()
    fake_cockroach.reset()

    assert engine.migrate() == 0

    assert fake_cockroach.connections == 1
    assert waits(fake_cockroach) <= 4
    assert [seen.sql for seen in fake_cockroach.statements if CHANGES.search(seen.sql)] == []
    with psycopg.connect(fake_cockroach.url) as direct:
        assert direct.execute("SELECT * FROM _migrations_state").fetchall() == before


@pytest.mark.parametrize(
    ("verb", "each"),
    # Before a DROP the server is asked what is there, together with the write before it: only so is it
    # known whether it may be sent again. Its intent, with what was found, is a separate write.
    [("migrate", 2), ("rollback", 3)],
)
def test_stepwise_takes_few_round_trips_for_each_schema_statement(
    verb: str, each: int, cockroach: FakeCockroach, folder: Path
) -> None:
    def run(count: int) -> int:
        engine.migrate(0 if verb == "migrate" else count)
        cockroach.reset()
        assert (engine.migrate(count) if verb == "migrate" else engine.rollback(count)) == count
        return waits(cockroach)

    engine = migration(cockroach, folder)
    few, many = run(10), run(60)

    assert many - few <= each * 50
    assert few <= each * 10 + 15


def test_bootstrap_takes_few_round_trips_and_makes_the_same_schema_as_stepwise(
    cockroach: FakeCockroach, folder: Path, server: RunningServer
) -> None:
    bootstrapped = migration(cockroach, folder)
    assert bootstrapped.bootstrap() == SCRIPTS
    assert waits(cockroach) <= SCRIPTS / 10
    url = server.new_database()
    try:
        with FakeCockroach(url) as other:
            assert migration(other, folder).migrate() == SCRIPTS
            assert _schema(cockroach) == _schema(other)
    finally:
        server.drop_database(url)


def _schema(fake_cockroach: FakeCockroach) -> list[tuple[object, ...]]:
    """Every column and every index there is, and every version in the ledger."""
    with psycopg.connect(fake_cockroach.url) as connection:
        return [
            *connection.execute(
                "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, "
                "column_default FROM information_schema.columns "
                "WHERE table_schema = 'public' ORDER BY 1, 3"
            ),
            *connection.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
            ),
            *connection.execute("SELECT version, checksum FROM _migrations ORDER BY 1"),
        ]
