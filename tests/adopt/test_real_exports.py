"""What was exported, as the other tools themselves see it: nothing to do, and then the next file."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb.adopt import Adoption, Export

from .real import PROGRAMS, Program, golang_migrate

SCRIPTS = {
    "V1__users.sql": (
        "CREATE TABLE users (id INT8 PRIMARY KEY, name TEXT);\n"
        "INSERT INTO users VALUES (1, 'é; -- no comment');\n\n-- DOWN\nDROP TABLE users;\n"
    ),
    "V2__rides_and_more.sql": (
        "-- manticore: mode=stepwise\nCREATE TABLE rides (id INT8 PRIMARY KEY);\n"
        "CREATE INDEX rides_by_id ON rides (id);\n\n-- DOWN\nDROP TABLE rides;\n"
    ),
    "V10__placeholders.sql": "INSERT INTO users VALUES (2, '${x}');\n",
    "V20240101000000__notes.sql": "CREATE TABLE notes (id INT8 PRIMARY KEY);\n",
}


@pytest.fixture(params=["golang-migrate", "flyway"])
def program(request: pytest.FixtureRequest, server_kind: str) -> Program:
    found = next(each for each in PROGRAMS if each.tool == request.param)
    if found.path() is None:
        pytest.skip(f"{found.tool} is not installed ({found.install})")
    if server_kind not in found.servers:
        pytest.skip(f"{found.tool} does not run on {server_kind} here")
    return found


def _tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' "
            "AND table_name IN ('users', 'rides', 'notes', 'trips')"
        ).fetchall()
    return {name for (name,) in rows}


def test_an_export_is_that_tools_own_history_and_it_continues(
    program: Program, database_url: str, tmp_path: Path
) -> None:
    project, ours = tmp_path / "project", tmp_path / "ours"
    folder = project / "migrations"
    project.mkdir()
    ours.mkdir()
    for name, text in SCRIPTS.items():
        (ours / name).write_text(text, "utf-8")
    Migration(Database.from_url(database_url), ours).migrate(10)
    Export(Database.from_url(database_url), program.tool, folder, ours).apply()

    if program.tool == "golang-migrate":
        asked = program.run(project, database_url, *golang_migrate(database_url, "version"))
        assert asked.stdout.split() + asked.stderr.split() == ["10"]
    else:  # every run compares checksums and descriptions: one that differs stops it
        path = folder / "V1__users.sql"
        text = path.read_text("utf-8")
        path.write_text(f"{text}SELECT 1;\n", "utf-8")
        stopped = program.run(project, database_url)
        assert stopped.returncode != 0
        assert "checksum mismatch for migration version 1" in (stopped.stdout + stopped.stderr)
        path.write_text(text, "utf-8")
    assert _tables(database_url) == {"users", "rides"}

    # It applies the one that is pending, then its own file, and then has nothing to do.
    ran = program.run(project, database_url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert _tables(database_url) == {"users", "rides", "notes"}
    suffix = "up.sql" if program.tool == "golang-migrate" else "sql"
    name = {"golang-migrate": "20240102000000_trips", "flyway": "V20240102000000__trips"}
    path = folder / f"{name[program.tool]}.{suffix}"
    path.write_text("CREATE TABLE trips (id INT8 PRIMARY KEY);\n", "utf-8")
    ran = program.run(project, database_url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert _tables(database_url) == {"users", "rides", "notes", "trips"}
    again = program.run(project, database_url)
    assert again.returncode == 0, again.stdout + again.stderr
    assert _rows(database_url) == [(1, "é; -- no comment"), (2, "${x}")]

    # And back: what it wrote since is adopted with the rest.
    plan = Adoption(
        Database.from_url(database_url), folder, tmp_path / "back", tool=program.tool, table="_back"
    ).plan()
    assert [row.version for row in plan.rows] == [1, 2, 10, 20240101000000, 20240102000000]
    assert plan.findings == ()


def _rows(url: str) -> list[tuple[int, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT id, name FROM users ORDER BY id").fetchall()
