"""The documentation's programs, commands and grants are taken from its pages and run."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb._backend.settings import ConnectionSettings
from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb.testing import RunningServer
from tests import older_cockroachdb
from tests.docs.docs_pages import DOCS, Block, block, blocks, read, sections

ROOT = DOCS.parent


def _environment(url: str, database: str | None = None) -> dict[str, str]:
    """This process's environment, with libpq's variables for a server."""
    names = {
        "host": "PGHOST",
        "port": "PGPORT",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "sslmode": "PGSSLMODE",
    }
    told = conninfo_to_dict(url)
    found = {variable: str(told[key]) for key, variable in names.items() if told.get(key)}
    if database:
        found["PGDATABASE"] = database
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DJANGO_")}
    return {**clean, **found, "PYTHONPATH": path, "PYTHONWARNINGS": "error"}


def _run(*command: str, folder: Path, server: RunningServer) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=_environment(server.url),
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def named_database(server: RunningServer) -> Iterator[list[str]]:
    """Databases by name, made by the test, dropped after it."""
    names: list[str] = []
    yield names
    for name in names:
        server.drop_database(name)


@pytest.fixture
def example_db(server: RunningServer, named_database: list[str]) -> str:
    """The database that the pages' programs name."""
    return _made_afresh(server, named_database, "example_db")


def _made_afresh(server: RunningServer, names: list[str], name: str) -> str:
    """The URL of an empty database, whatever an earlier run has left behind."""
    names.append(name)
    server.drop_database(name)
    return server.new_database(name)


def _program(page: str, number: int) -> str:
    """A page's program; the last fence of a page may be left open."""
    found = [block for block in blocks(page) if block.language == "python"]
    return found[number].text


def test_the_synchronous_program_of_the_migrations_page_runs_verbatim(
    server: RunningServer, example_db: str, tmp_path: Path
) -> None:
    program = _program(read("api/migrations.md"), 0)

    done = _run(sys.executable, "-c", program, folder=tmp_path, server=server)

    assert done.stderr == ""
    assert done.stdout == ("Loaded 1 migrations\nApplied 1 migrations\nRolled back 1 migrations\n")
    assert [path.name for path in tmp_path.rglob("*.sql")] == ["V1__create_users_table.sql"]


def test_the_asynchronous_program_of_the_migrations_page_reverts_twice_and_is_told_so(
    server: RunningServer, example_db: str, tmp_path: Path
) -> None:
    program = _program(read("api/migrations.md"), 1)

    done = _run(sys.executable, "-c", program, folder=tmp_path, server=server)

    assert done.stdout == (
        "Loaded 1 migrations\n"
        "Migrations applied successfully\n"
        "Reverted all migrations using migrate method\n"
    )
    table = "table" if server.kind == "postgresql" else "relation"
    assert done.stderr.splitlines()[-1] == (
        f'manticore_cockroachdb.errors.DatabaseError: {table} "async_users" does not exist (42P01)'
    )


def test_reverting_by_hand_works_after_migrating_again(
    server: RunningServer, example_db: str, tmp_path: Path
) -> None:
    program = block(read("reverting-by-hand.md"), "revert.py")

    done = _run(sys.executable, "-c", program, folder=tmp_path, server=server)

    assert done.stderr == ""
    assert done.stdout == "Method 1 reverted 1\nMethod 2 reverted V1\nApplied now: ['pending']\n"


def test_the_quickstart_with_django_runs_word_for_word(
    server: RunningServer, named_database: list[str], tmp_path: Path
) -> None:
    named_database.append("shop")
    server.drop_database("shop")
    text = sections(read("quickstart.md"))["With Django"]

    _walk(text, tmp_path, server)


def test_the_quickstart_without_django_runs_word_for_word(
    server: RunningServer, named_database: list[str], tmp_path: Path
) -> None:
    named_database.append("store")
    server.drop_database("store")
    text = sections(read("quickstart.md"))["Without Django"]

    _walk(text, tmp_path, server)
    _walk(_without_creating(text), tmp_path, server)  # a program may be started twice


def _without_creating(text: str) -> str:
    """What a reader does a second time: the database is there."""
    return text.replace("```sql\nCREATE DATABASE store;\n```", "")


def _walk(text: str, folder: Path, server: RunningServer) -> None:
    """Do what a page tells a reader to do, and compare what it says will be seen."""
    name = "CockroachDB" if server.kind == "cockroachdb" else "PostgreSQL"
    for found in blocks(text):
        if found.server not in ("", name):
            continue
        if found.title:
            path = folder / found.title
            path.parent.mkdir(exist_ok=True)
            # settings.py is there and gets an end; a script is a form to fill in.
            is_settings = path.name == "settings.py"
            before = path.read_text(encoding="utf-8") if is_settings else ""
            after = older_cockroachdb.LOWERED if is_settings and name == "CockroachDB" else ""
            path.write_text(before + found.text + after, encoding="utf-8")
        elif found.language == "sql":
            with Database.from_url(server.url) as db:
                db.execute(found.text)
        elif found.language == "sh":
            folder = _shell(found.text, folder, server)
        else:
            _console(found, folder, server)


def _shell(text: str, folder: Path, server: RunningServer) -> Path:
    """Run lines of a shell, and return the folder they end in."""
    for line in text.splitlines():
        words = line.split()
        if words[0] == "cd":
            folder /= words[1]
        elif words[:4] != ["python", "-m", "pip", "install"]:  # the tests have it installed
            tool = "django" if words[0] == "django-admin" else words[0]
            done = _run(sys.executable, "-m", tool, *words[1:], folder=folder, server=server)
            assert (done.stdout + done.stderr, done.returncode) == ("", 0)
    return folder


def _console(found: Block, folder: Path, server: RunningServer) -> None:
    """Run the commands behind `$`, and compare what is shown below each."""
    for part in re.split(r"^\$ ", found.text, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        program, *arguments = re.findall(r'"[^"]*"|\S+', line)
        assert program == "python"
        typed = [argument.strip('"') for argument in arguments]
        done = _run(sys.executable, *typed, folder=folder, server=server)
        seen = done.stdout + done.stderr
        assert re.fullmatch(_pattern(expected), seen), f"{line}\n{seen}"


def _pattern(expected: str) -> str:
    """What is shown as a pattern: `…` stands for anything, alone on its line for any lines."""
    return "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
        for line in expected.splitlines()
    )


def test_the_library_example_of_the_readme_runs(
    server: RunningServer, database_url: str, tmp_path: Path
) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = [found.text for found in blocks(page) if "Database.from_url" in found.text]
    (script,) = [found.text for found in blocks(page) if found.language == "sql"]
    written = "cockroachdb://root@localhost:26257/shop"
    assert written in program
    name, _, sql = script.partition("\n")
    path = tmp_path / name.removeprefix("-- ")
    path.parent.mkdir()
    path.write_text(sql, encoding="utf-8")
    program = program.replace(written, database_url)

    for _ in range(2):  # a program may be started twice
        done = _run(sys.executable, "-c", program, folder=tmp_path, server=server)
        assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


# -- other examples ------------------------------------------------------------------------------


def test_every_name_that_an_example_imports_is_there() -> None:
    missing = []
    for path in sorted(DOCS.rglob("*.md")):
        for found in blocks(path.read_text(encoding="utf-8")):
            lines = re.findall(
                r"^\s*from ((?:manticore_cockroachdb|django_manticore)[\w.]*) import (.+)$",
                found.text,
                re.MULTILINE,
            )
            missing += [
                f"{path.name}: {module}.{name}"
                for module, names in lines
                for name in names.split(", ")
                if not hasattr(importlib.import_module(module), name)
            ]
    assert missing == []


def test_the_tests_that_the_testing_page_recommends_run(
    server: RunningServer, tmp_path: Path
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "V1__t.sql").write_text(
        "CREATE TABLE t (i INT8);\n-- DOWN\nDROP TABLE t;"
    )
    for name in ("conftest.py", "test_migrations.py", "test_scripts.py"):
        (tmp_path / name).write_text(block(read("testing.md"), name), encoding="utf-8")

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env={**_environment(server.url), "MANTICORE_TEST_URL": server.url, "PYTHONWARNINGS": ""},
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_program_that_looks_at_another_tools_history_prints_what_is_wrong(
    server: RunningServer, named_database: list[str], tmp_path: Path
) -> None:
    named_database.append("app")
    url = server.new_database("app")
    folder = tmp_path / "db" / "migrations"
    folder.mkdir(parents=True)
    (folder / "7_users.up.sql").write_text("CREATE TABLE users (i INT8);")
    with Database.from_url(url) as database:
        database.execute("CREATE TABLE schema_migrations (version INT8 PRIMARY KEY, dirty BOOL)")
        database.execute("INSERT INTO schema_migrations VALUES (7, true)")
    (tmp_path / "look.py").write_text(block(read("coming-from.md"), "look.py"))

    done = _run(sys.executable, "look.py", folder=tmp_path, server=server)

    assert done.stderr == ""
    assert done.stdout.startswith(
        "Version 7 is dirty: its run failed in the middle. See what of 7 "
    )


@pytest.fixture
def shop(server: RunningServer, named_database: list[str]) -> Iterator[tuple[Database, Database]]:
    """The database `shop`, as its administrator and as `shop_migrator`, who has no rights yet."""
    url = _made_afresh(server, named_database, "shop")
    there = ConnectionSettings.from_url(url, user="shop_migrator", password="choose-one")
    with Database.from_url(url) as admin:
        admin.execute("DROP ROLE IF EXISTS shop_migrator")
        migrator = Database.from_settings(there)
        yield admin, migrator
        migrator.close()
    # Its rights go with the database: DROP OWNED is not there before v22.2.
    server.drop_database("shop")
    with Database.from_url(server.url) as admin:
        admin.execute("DROP ROLE shop_migrator")


def _grant(admin: Database, server: RunningServer, title: str) -> None:
    text = block(read("privileges.md"), title)
    if server.kind == "cockroachdb":  # an insecure server takes no passwords
        text = text.replace(" WITH PASSWORD 'choose-one'", "")
    for statement in split_script(text):
        admin.execute(statement.text)


def test_what_the_privileges_page_grants_is_enough_to_migrate(
    server: RunningServer, shop: tuple[Database, Database], tmp_path: Path
) -> None:
    admin, migrator = shop
    _grant(admin, server, "CockroachDB" if server.kind == "cockroachdb" else "PostgreSQL")
    migration = Migration(migrator, tmp_path)
    migration.create_migration("rides", "CREATE TABLE rides (i INT8);", "DROP TABLE rides;")
    migration.create_migration("fill", "INSERT INTO rides VALUES (1);", "DELETE FROM rides;")

    assert (migration.migrate(), migration.rollback(2), migration.migrate()) == (2, 2, 2)
    assert migration.migrate(0) == 2


def test_the_least_of_all_privileges_is_enough_for_a_script_with_rows_only(
    server: RunningServer, shop: tuple[Database, Database], tmp_path: Path
) -> None:
    admin, migrator = shop
    # An insecure CockroachDB takes no passwords.
    password = "" if server.kind == "cockroachdb" else "PASSWORD 'choose-one'"
    admin.execute(f"CREATE ROLE shop_migrator LOGIN {password}")
    admin.execute("CREATE TABLE rides (i INT8)")
    admin.execute("GRANT SELECT, INSERT, DELETE ON rides TO shop_migrator")
    Migration(admin, tmp_path).initialize()
    _grant(admin, server, "Both servers")
    migration = Migration(migrator, tmp_path)
    path = migration.create_migration("fill", "INSERT INTO rides VALUES (1);", "DELETE FROM rides;")

    assert (migration.migrate(), migration.rollback(), migration.migrate()) == (1, 1, 1)
    path.write_text("-- one ride\n" + path.read_text())
    migration.resolve.accept_checksum(1)
    assert migration.migrate() == 0
