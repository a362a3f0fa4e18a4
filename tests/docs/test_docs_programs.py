"""The documentation's programs, commands and grants are taken from its pages and run."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb._backend.settings import ConnectionSettings
from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.testing import server as a_server
from tests import older_cockroachdb
from tests.conftest import URL_VARIABLE
from tests.docs.docs_pages import DOCS, Block, block, blocks, read, sections
from tests.programs import started_server
from tests.waiting import PATIENCE

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
    return {**_clean_environment(), **found, "PYTHONWARNINGS": "error"}


def _clean_environment() -> dict[str, str]:
    """This process's environment, so that programs find this package and no settings of the tests."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DJANGO_")}
    return {**clean, "PYTHONPATH": path}


def _run(*command: str, folder: Path, server: RunningServer) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=_environment(server.url),
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
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


def test_the_asynchronous_program_of_the_migrations_page_reverts_twice_and_fails(
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


class Reader:
    """Does what a page says, in two terminals: the first one holds the page's server.

    The page's command starts a server as a reader has it: a CockroachDB where there is a program of
    that name, else a PostgreSQL. Where `MANTICORE_TEST_URL` names a server, that one is taken.

    Attributes:
        folder: Where the second terminal is.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._environment = {**_clean_environment(), "PYTHONWARNINGS": "error"}
        self._kind = ""

    def read(self, page: str) -> None:
        """Follow a page, and compare what is seen with what it shows."""
        home = self.folder
        for found in blocks(page):
            if found.server not in ("", self._kind):
                continue
            if found.title:
                self._write(self.folder / found.title, found.text)
            elif found.language == "sh":
                self._shell(found.text)
            elif found.language == "console":
                self._console(found)
        self.folder = home

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        # settings.py is there and gets an end; a script is a form to fill in.
        is_settings = path.name == "settings.py"
        before = path.read_text(encoding="utf-8") if is_settings else ""
        lowered = is_settings and self._kind == "CockroachDB"
        after = older_cockroachdb.LOWERED if lowered else ""
        path.write_text(before + text + after, encoding="utf-8")

    def _shell(self, text: str) -> None:
        for line in text.splitlines():
            words = shlex.split(line)
            if words[0] == "cd":
                self.folder /= words[1]
            elif words[0] == "rm":
                (self.folder / words[1]).unlink()
            elif words[:2] == ["python", "manage.py"]:
                done = self._run(*words[1:])
                assert (done.stdout + done.stderr, done.returncode) == ("", 0)
            elif words[:3] == ["python", "-m", "manticore_cockroachdb.testing"]:
                if not self._kind:  # a reader who is at it again has a server
                    self._serve(words[3:])
            elif words[:4] != ["python", "-m", "pip", "install"]:  # the tests have it installed
                tool = "django" if words[0] == "django-admin" else words[0]
                done = self._run("-m", tool, *words[1:])
                assert (done.stdout + done.stderr, done.returncode) == ("", 0)

    def _serve(self, arguments: list[str]) -> None:
        if URL_VARIABLE in os.environ:
            running = self._stack.enter_context(a_server(URL_VARIABLE))
            name = arguments[-1] if arguments else "app"
            running.drop_database(name)
            url = running.new_database(name)
            self._environment |= {**_environment(url), "DATABASE_URL": url}
            self._kind = "CockroachDB" if running.kind == "cockroachdb" else "PostgreSQL"
            return
        _, lines = self._stack.enter_context(started_server(*arguments))
        self._kind = lines[0].split()[0]
        exports = [shlex.split(line) for line in lines if line.startswith("    export ")]
        self._environment |= dict(export.split("=", 1) for _, export in exports)

    def _console(self, found: Block) -> None:
        """Run the commands after each `$`, and compare what is shown below them."""
        for part in re.split(r"^\$ ", found.text, flags=re.MULTILINE)[1:]:
            line, _, expected = part.partition("\n")
            program, *arguments = shlex.split(line)
            assert program == "python"
            done = self._run(*arguments)
            seen = done.stdout + done.stderr
            assert re.fullmatch(_pattern(expected), seen), f"{line}\n{seen}"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Somebody who does what a page says, in an empty folder."""
    with ExitStack() as stack:
        yield Reader(tmp_path, stack)


def _pattern(expected: str) -> str:
    """What is shown as a pattern: `…` stands for anything, alone on its line for any lines."""
    return "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
        for line in expected.splitlines()
    )


def test_the_quickstart_with_django_runs_word_for_word(reader: Reader) -> None:
    reader.read(sections(read("quickstart.md"))["With Django"])


def test_the_quickstart_without_django_runs_word_for_word_and_twice(reader: Reader) -> None:
    text = sections(read("quickstart.md"))["Without Django"]

    reader.read(text)
    reader.read(text)


def test_a_project_moves_from_models_to_sql_word_for_word(
    reader: Reader, djangos_migrate_is_refused: str
) -> None:
    if djangos_migrate_is_refused:
        pytest.skip(djangos_migrate_is_refused)

    reader.read(sections(read("sql-first-django.md"))["Move a project"])


def test_the_first_five_minutes_of_the_readme_run_word_for_word(reader: Reader) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")

    reader.read(sections(page)["Five minutes"])

    # Pasted once more, everything is there already.
    done = reader._run("migrate.py")
    assert (done.stdout, done.stderr) == ("applied 0\n1 create users applied\n", "")


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
        timeout=PATIENCE,
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


def test_the_privileges_for_repeatable_scripts_are_enough(
    server: RunningServer, shop: tuple[Database, Database], tmp_path: Path
) -> None:
    admin, migrator = shop
    password = "" if server.kind == "cockroachdb" else "PASSWORD 'choose-one'"
    admin.execute(f"CREATE ROLE shop_migrator LOGIN {password}")
    admin.execute("CREATE TABLE rides (i INT8)")
    admin.execute("GRANT SELECT, INSERT, DELETE ON rides TO shop_migrator")
    migration = Migration(migrator, tmp_path)
    migration.create_repeatable(
        "fill", "INSERT INTO rides SELECT 1 WHERE NOT EXISTS (TABLE rides);"
    )
    Migration(admin, tmp_path).initialize()
    _grant(admin, server, "Both servers")
    _grant(admin, server, "Both servers, for repeatable scripts")

    assert (migration.migrate(), migration.migrate()) == (1, 0)
    migration.resolve.not_applied("R__fill")
    assert migration.migrate() == 1
