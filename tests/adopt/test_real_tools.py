"""The tools themselves make a history; it is adopted, they are stopped, ours continues."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb.adopt import Adoption
from manticore_cockroachdb.testing import RunningServer

from .real import KNEX, PROGRAMS, Program


@pytest.fixture(params=PROGRAMS, ids=lambda program: program.tool)
def program(request: pytest.FixtureRequest, server_kind: str) -> Program:
    found: Program = request.param
    if found.path() is None:
        pytest.skip(f"{found.tool} is not installed ({found.install})")
    if server_kind not in found.servers:
        pytest.skip(f"{found.tool} does not run on {server_kind} here")
    return found


def _schema(url: str) -> list[tuple[Any, ...]]:
    """The columns and indexes of the tables that the scripts make."""
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
            "WHERE table_name IN ('users', 'rides', 'notes')"
        ).fetchall()
        indexes = connection.execute(
            "SELECT tablename, indexname, 'index', '' FROM pg_indexes "
            "WHERE tablename IN ('users', 'rides', 'notes')"
        ).fetchall()
    return sorted([*columns, *indexes])


def _tables(url: str) -> set[str]:
    return {row[0] for row in _schema(url)}


def test_its_own_history_is_adopted_and_it_is_stopped_until_that_is_reverted(
    program: Program, server: RunningServer, database_url: str, tmp_path: Path
) -> None:
    project, ours = tmp_path / "project", tmp_path / "ours"
    project.mkdir()
    program.write(project, 2)
    ran = program.run(project, database_url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    program.write(project, 3)
    if program.adopted is not None:
        program.adopted(program, project, database_url)
    adoption = Adoption(Database.from_url(database_url), project / program.files, ours)

    plan = adoption.apply()

    assert plan.tool == program.tool
    assert (len(plan.rows), len(plan.pending)) == (2, 1)

    # It is stopped: it fails, and changes nothing.
    stopped = program.run(project, database_url)
    assert stopped.returncode != 0, stopped.stdout
    assert _tables(database_url) == {"users", "rides"}

    # Ours continues, and what it makes is what all of ours makes on an empty database.
    migration = Migration(Database.from_url(database_url), ours)
    assert migration.migrate() == 1
    fresh = server.new_database()
    try:
        assert Migration(Database.from_url(fresh), ours).migrate() == 3
        assert _schema(fresh) == _schema(database_url)
    finally:
        server.drop_database(fresh)

    # And back again, where there is a way down.
    if migration.load_migrations()[-1].down_sql is not None:
        assert migration.rollback() == 1
        assert len(adoption.undo().versions) == 2
        again = program.run(project, database_url)
        assert again.returncode == 0, again.stdout + again.stderr
        assert _tables(database_url) == {"users", "rides", "notes"}


def test_flyway_is_stopped_whatever_it_would_do(
    server_kind: str, database_url: str, tmp_path: Path
) -> None:
    """Also where nothing is pending, and where it may apply versions out of order."""
    flyway = next(each for each in PROGRAMS if each.tool == "flyway")
    if flyway.path() is None:
        pytest.skip(f"{flyway.tool} is not installed ({flyway.install})")
    project = tmp_path / "project"
    project.mkdir()
    flyway.write(project, 2)
    assert flyway.run(project, database_url).returncode == 0
    database = Database.from_url(database_url)
    Adoption(database, project / flyway.files, tmp_path / "ours").apply()
    arguments = flyway.command(database_url)

    idle = flyway.run(project, database_url)
    flyway.write(project, 3)
    out_of_order = flyway.run(project, database_url, "-outOfOrder=true", *arguments)

    for stopped in (idle, out_of_order):
        assert stopped.returncode != 0
        assert "Detected failed migration to version 0.9223372036854775807" in (
            stopped.stdout + stopped.stderr
        )
    assert _tables(database_url) == {"users", "rides"}


def test_knexs_migrations_are_programs_so_its_schema_is_printed(
    server_kind: str, database_url: str, tmp_path: Path
) -> None:
    path = KNEX.path()
    if path is None:
        pytest.skip(f"knex is not installed ({KNEX.install})")
    if server_kind not in KNEX.servers:
        pytest.skip(f"knex does not run on {server_kind} here")
    project = tmp_path / "project"
    KNEX.write(project, 2)
    ran = KNEX.run(project, database_url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    KNEX.write(project, 3)
    adoption = Adoption(Database.from_url(database_url), None, tmp_path / "ours", tool="knex")

    plan = adoption.apply(prove=True)
    stopped = KNEX.run(project, database_url)
    after = _tables(database_url)
    adoption.undo()
    again = KNEX.run(project, database_url)

    assert [row.version for row in plan.rows] == [1]
    assert stopped.returncode != 0
    assert "already locked" in stopped.stdout + stopped.stderr
    assert after == {"users", "rides"}
    assert again.returncode == 0, again.stdout + again.stderr
    assert _tables(database_url) == {"users", "rides", "notes"}
