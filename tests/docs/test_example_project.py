"""The example project works as its pages say: by hand on a server of one's own, and as the demo."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb._scripts.loader import load
from manticore_cockroachdb.testing import RunningServer, Source, choose
from tests import older_cockroachdb
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "example_project"
SCRIPTS = PROJECT / "migrations_sql"

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def _environment(**names: str) -> dict[str, str]:
    """This process's environment, as the example wants it; on any version of a server."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    own = {
        name: value
        for name, value in os.environ.items()
        if name != "DATABASE_URL" and not name.startswith("DJANGO_")
    }
    if choose("DATABASE_URL", {**own, **names}).source is Source.COCKROACH or names.get(
        "DATABASE_URL", ""
    ).startswith("cockroachdb://"):
        names = {**older_cockroachdb.environment("scooters.settings"), **names}
    return {**own, "PYTHONPATH": path, "PYTHONWARNINGS": "error", **names}


@pytest.fixture
def runserver(djangos_migrate_is_refused: str) -> None:
    """Needed where the demo shows the page: Django's server looks at its migrations first."""
    if djangos_migrate_is_refused:
        pytest.skip(djangos_migrate_is_refused)


def _run(
    *arguments: str, environment: dict[str, str], folder: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )


@pytest.fixture
def site(server: RunningServer, database_url: str) -> dict[str, str]:
    """The environment in which manage.py works on a fresh database."""
    url = database_url
    if server.kind == "cockroachdb":
        url = "cockroachdb://" + url.partition("://")[2]
    return _environment(DATABASE_URL=url)


def test_every_script_goes_up_and_down_and_up_in_both_modes(database_url: str) -> None:
    with Database.from_url(database_url) as db:
        for mode in (None, "stepwise"):
            migration = Migration(db, SCRIPTS, mode=mode)
            number = len(load([SCRIPTS]))
            assert number >= 6
            assert (migration.migrate(), migration.migrate(0)) == (number, number)
            assert (migration.migrate(), migration.rollback(number)) == (number, number)


def test_a_column_is_back_filled_for_the_rows_that_were_there(database_url: str) -> None:
    with Database.from_url(database_url) as db:
        Migration(db, SCRIPTS).migrate()

        prices = db.execute("SELECT number, price_cents FROM rides WHERE number IN (46, 47, 48)")

    assert {row["number"]: row["price_cents"] for row in prices} == {46: 160, 47: 265, 48: 0}


@pytest.mark.usefixtures("runserver")
def test_the_demo_tells_its_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = sorted(path.name for path in SCRIPTS.iterdir())

    done = _run("demo.py", environment=_environment(TMPDIR=str(temporary)))

    told = ANSI.sub("", done.stdout)
    assert done.returncode == 0, told
    assert told.startswith("Server: ")
    assert [line for line in told.splitlines() if line.startswith("$ ")][:4] == [
        "$ python manage.py manticore_showmigrations",
        "$ python manage.py manticore_migrate --plan",
        "$ python manage.py manticore_migrate",
        told[told.index("$ python manage.py runserver") :].splitlines()[0],
    ]
    assert "  48   AB-01    Heron 2  Björn    2026-03-02 12:06  –        0.00   riding\n" in told
    assert "  Reverting V7__stations... OK\n" in told
    assert "  Applying V8__one_rider_per_phone... FAILED\n" in told
    assert "V8__one_rider_per_phone.sql:2: CREATE UNIQUE INDEX riders_by_phone" in told
    assert "(exit code 4)\n" in told
    assert "  Applying V8__one_rider_per_phone... OK\n" in told
    assert told.splitlines()[-1].endswith("; nothing is left behind")
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in SCRIPTS.iterdir()) == before


@pytest.mark.usefixtures("runserver")
def test_the_demo_uses_the_server_that_is_named_and_takes_its_tables_away(
    site: dict[str, str], database_url: str
) -> None:
    done = _run("demo.py", environment=site)

    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("Server: the one that DATABASE_URL names\n")
    with Database.from_url(database_url) as db:
        rows = db.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
    assert sorted(row["table_name"] for row in rows) == ["_migrations", "_migrations_state"]


def test_the_demo_fails_with_its_server() -> None:
    done = _run("demo.py", environment=_environment(DATABASE_URL="postgresql://127.0.0.1:1/none"))

    assert done.returncode == 1
    assert (
        "The demo stops here: manage.py manticore_showmigrations exited with 1; 0 was expected."
        in (done.stdout)
    )


def test_the_page_lists_rides_by_unmanaged_models(site: dict[str, str]) -> None:
    assert _run("manage.py", "manticore_migrate", "-v0", environment=site).stdout == ""
    program = (
        "import django; django.setup()\n"
        "from django.test import Client\n"
        "page = Client().get('/')\n"
        "print(page.status_code)\n"
        "print(page.content.decode())\n"
    )

    done = _run("-c", program, environment={"DJANGO_SETTINGS_MODULE": "scooters.settings", **site})

    status, _, page = done.stdout.partition("\n")
    assert status == "200", done.stdout
    assert page.count('<td class="number">48</td>') == 1
    assert page.count("<li>") == 6
    assert "The latest 12 of 48." in page


def test_manage_py_finds_nothing_wrong_with_the_project(site: dict[str, str]) -> None:
    done = _run("manage.py", "check", "--fail-level", "WARNING", environment=site)

    assert done.stdout == "System check identified no issues (0 silenced).\n"


def test_without_a_server_named_manage_py_starts_one_for_the_command() -> None:
    done = _run("manage.py", "manticore_showmigrations", environment=_environment())

    first, *others = done.stdout.splitlines()
    assert first.startswith("No DATABASE_URL: ")
    assert first.endswith(", empty, gone when this command ends.")
    assert others == ["default", *(f" [ ] {path.stem}" for path in sorted(SCRIPTS.iterdir()))]


@pytest.mark.parametrize(
    ("scheme", "engine", "port"),
    [
        ("postgresql", "django.db.backends.postgresql", ""),
        ("postgres", "django.db.backends.postgresql", ""),
        ("cockroachdb", "django_cockroachdb", "26257"),
    ],
)
def test_the_urls_scheme_chooses_the_engine(scheme: str, engine: str, port: str) -> None:
    url = f"{scheme}://ada:s%40fe@db.example/fleet?sslmode=require"
    program = "from scooters.settings import DATABASES\nprint(DATABASES)"

    done = _run("-c", program, environment=_environment(DATABASE_URL=url))

    assert done.stdout == (
        "{'default': {"
        f"'ENGINE': '{engine}', 'NAME': 'fleet', 'USER': 'ada', 'PASSWORD': 's@fe', "
        f"'HOST': 'db.example', 'PORT': '{port}', 'OPTIONS': {{'sslmode': 'require'}}"
        "}}\n"
    )
