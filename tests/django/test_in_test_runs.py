"""Projects' own test runs: `manage.py test`, pytest-django, and this app's pytest plugin."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from manticore_cockroachdb.testing import RunningServer
from tests.django.conftest import Site

SUITE = """
import pytest
from django.db import connection
from tests.django.project.fleet.models import City, Scooter


def columns():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'scooters'"
        )
        return sorted(name for (name,) in cursor.fetchall())


@pytest.mark.django_db
def test_in_a_transaction():
    Scooter.objects.create(code="a")


@pytest.mark.django_db(transaction=True)
def test_flushed():
    City.objects.create(name="Kiel")


def test_at_a_version(manticore_at):
    migration = manticore_at(1)
    assert columns() == ["code"]
    assert migration.migrate() == 1
    assert columns() == ["battery", "code"]
    manticore_at(1)


def test_outside_a_transaction(manticore_migration):
    assert not connection.in_atomic_block
    City.objects.create(pk=7, name="Kiel")


def test_outside_a_transaction_at_a_version(manticore_at):
    assert not connection.in_atomic_block
    manticore_at(1)
    City.objects.create(pk=7, name="Kiel")


def test_back_at_the_newest(manticore_migration):
    assert columns() == ["battery", "code"]
    assert not manticore_migration().plan()
    assert manticore_migration("default", lock_timeout=1).options.lock_timeout == 1
    assert not City.objects.exists()


def test_every_script_can_be_reverted(manticore_rehearsal):
    assert [each.outcome.value for each in manticore_rehearsal().scripts] == ["comes back"] * 2


def test_the_name_is_the_test_databases(db):
    assert connection.settings_dict["NAME"].startswith("test_")
"""


@pytest.fixture
def project(
    site: Site,
    manage_environment: dict[str, str],
    server: RunningServer,
    djangos_migrate_is_refused: str,
) -> Iterator[dict[str, str]]:
    """The environment of the tests' project, which makes its own test database."""
    if djangos_migrate_is_refused:
        pytest.skip(djangos_migrate_is_refused)
    name = "test_" + urlsplit(site.urls["default"]).path.removeprefix("/")
    manage_environment.pop("TESTS_DJANGO_FOLDER")
    yield {
        **manage_environment,
        "TESTS_DJANGO_RUN_WITH_MIGRATE": "after",
        "TESTS_DJANGO_TEST_NAME": name,
    }
    server.drop_database(name)


def run(
    arguments: list[str],
    environment: dict[str, str],
    folder: Path | None = None,
    *,
    code: int = 0,
) -> str:
    ran = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == code, ran.stdout
    return ran.stdout


def pytest_arguments(folder: Path, *options: str, suite: str = SUITE) -> list[str]:
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (folder / "test_suite.py").write_text(suite, "utf-8")
    return ["-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin(), *options]


def plugin() -> list[str]:
    """Loads the plugin where this package is not installed, so that its entry point is not there."""
    if any(point.name == "manticore" for point in entry_points(group="pytest11")):
        return []
    return ["-p", "django_manticore.pytest_plugin"]


def test_manage_py_test_has_the_scripts_tables(project: dict[str, str]) -> None:
    suite = "tests.django.project.fleet.tests"
    command = ["-m", "django", "test", "--noinput", "--keepdb", "--verbosity=2", suite]
    out = run(command, project)
    assert "Ran 3 tests" in out
    assert "  Applying V2__add_battery... OK\n" in out
    again = run(command, project)
    assert "  No migrations to apply.\n" in again
    assert "Using existing test database" in again


def test_pytest_django_has_them_too_and_the_plugin_moves_between_versions(
    project: dict[str, str], tmp_path: Path
) -> None:
    assert "8 passed" in run(pytest_arguments(tmp_path, "--reuse-db"), project, tmp_path)
    assert "8 passed" in run(pytest_arguments(tmp_path, "--reuse-db"), project, tmp_path)
    assert "8 passed" in run(pytest_arguments(tmp_path, "--create-db"), project, tmp_path)


def test_a_kept_test_database_is_named_when_a_script_was_edited(
    project: dict[str, str], tmp_path: Path
) -> None:
    folder = Path(__file__).parent / "project" / "migrations_sql"
    copied = shutil.copytree(folder, tmp_path / "scripts")
    environment = {**project, "TESTS_DJANGO_FOLDER": str(copied)}
    suite = "tests.django.project.fleet.tests"
    command = ["-m", "django", "test", "--noinput", "--keepdb", suite]
    run(command, environment)
    script = next(copied.glob("V2__*.sql"))
    script.write_text("-- edited\n" + script.read_text("utf-8"), "utf-8")
    out = run(command, environment, code=5)
    assert out.endswith(
        f"\nThis is the test database {project['TESTS_DJANGO_TEST_NAME']!r}. If it was kept by --keepdb "
        "(pytest: --reuse-db), create it again: run the tests once without that option (pytest: with "
        "--create-db).\n"
    )
    run([each for each in command if each != "--keepdb"], environment)


def test_a_project_without_a_server_is_given_one(
    project: dict[str, str], tmp_path: Path, server: RunningServer
) -> None:
    nowhere = {**project, "TESTS_DJANGO_URL": "postgresql://127.0.0.1:1/app"}
    given = {**nowhere, "MANTICORE_TEST_URL": server.url}
    arguments = pytest_arguments(tmp_path, "-o", "manticore_server=default", "--create-db")
    assert "8 passed" in run(arguments, given, tmp_path)


def test_with_xdist_each_worker_has_a_database_and_a_ledger(
    project: dict[str, str], tmp_path: Path, site: Site
) -> None:
    pytest.importorskip("xdist")
    (tmp_path / "test_again.py").write_text(SUITE, "utf-8")
    out = run(pytest_arguments(tmp_path, "-n", "2", "--dist", "loadfile"), project, tmp_path)
    assert "16 passed" in out
    left = site.query(
        f"SELECT datname FROM pg_database WHERE datname LIKE '{project['TESTS_DJANGO_TEST_NAME']}%'"
    )
    assert left == []


@pytest.mark.needs_postgresql("CockroachDB copies no databases")
def test_with_a_template_the_scripts_run_once_for_all_workers(
    project: dict[str, str], tmp_path: Path, site: Site
) -> None:
    pytest.importorskip("xdist")
    suite = (
        "import os\n"
        "from tests.django.project.fleet.models import Scooter\n"
        "def test_built_elsewhere(db):\n"
        "    from django.db import connection\n"
        "    with connection.cursor() as cursor:\n"
        "        cursor.execute('SELECT applied_by FROM _migrations')\n"
        "        builders = {by.split(':')[1] for (by,) in cursor.fetchall()}\n"
        "    assert len(builders) == 1\n"
        "    assert str(os.getpid()) not in builders\n"
        "    assert str(os.getppid()) in builders\n"
    )
    (tmp_path / "test_again.py").write_text(suite, "utf-8")
    arguments = pytest_arguments(
        tmp_path, "-n", "2", "--dist", "loadfile", "-o", "manticore_template=default", suite=suite
    )
    assert "2 passed" in run(arguments, project, tmp_path)
    left = site.query(
        f"SELECT datname FROM pg_database WHERE datname LIKE '{project['TESTS_DJANGO_TEST_NAME']}%'"
    )
    assert left == []


def test_with_xdist_workers_share_the_server_that_is_started_for_them(
    project: dict[str, str], tmp_path: Path, server: RunningServer
) -> None:
    pytest.importorskip("xdist")
    nowhere = {**project, "TESTS_DJANGO_URL": "postgresql://127.0.0.1:1/app"}
    given = {**nowhere, "MANTICORE_TEST_URL": server.url}
    options = ["-n", "2", "-o", "manticore_server=default", "-o", "manticore_template=default"]
    assert "8 passed" in run(pytest_arguments(tmp_path, *options), given, tmp_path)


@pytest.mark.needs_postgresql("CockroachDB copies no databases")
def test_manage_py_test_in_parallel_has_the_scripts_tables_in_each_copy(
    project: dict[str, str],
) -> None:
    suite = "tests.django.project.fleet.tests"
    out = run(["-m", "django", "test", "--noinput", "--parallel=2", suite], project)
    assert "Ran 3 tests" in out


def test_the_plugin_leaves_a_project_without_django_alone(
    project: dict[str, str], tmp_path: Path
) -> None:
    suite = (
        "import sys\n"
        "def test_it():\n"
        "    assert 'django.conf' not in sys.modules\n"
        "    assert 'manticore_cockroachdb' not in sys.modules\n"
    )
    bare = {name: value for name, value in project.items() if name != "DJANGO_SETTINGS_MODULE"}
    arguments = [*pytest_arguments(tmp_path, suite=suite), "-p", "no:django"]
    assert "1 passed" in run(arguments, bare, tmp_path)
