"""A Django project on the tests' server: two fresh databases and a folder of scripts for each test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from manticore_cockroachdb.testing import RunningServer

USERS = ("V1__create_users_table", "CREATE TABLE users (id INT PRIMARY KEY);", "DROP TABLE users;")
NAMES = (
    "V2__add_name",
    "ALTER TABLE users ADD COLUMN name TEXT;",
    "ALTER TABLE users DROP COLUMN name;",
)
STEPWISE = "-- manticore: mode=stepwise\n"

PROJECT = "tests.django.project.settings"


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Manage = Callable[..., Ran]


def engine_of(server: RunningServer) -> str:
    if server.kind == "cockroachdb":
        return "django_cockroachdb"
    return "django.db.backends.postgresql"


@pytest.fixture(scope="session")
def _django(server: RunningServer) -> Iterator[None]:
    """Django, set up once; the databases are chosen by each test."""
    names = {
        "DJANGO_SETTINGS_MODULE": PROJECT,
        "TESTS_DJANGO_ENGINE": engine_of(server),
        "TESTS_DJANGO_URL": server.url,
        "TESTS_DJANGO_OTHER_URL": server.url,
        "DISABLE_COCKROACHDB_TELEMETRY": "1",
    }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    import django

    django.setup()
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


class Site:
    """The project, as a test sees it.

    Attributes:
        folder: The migrations folder of the entry "default".
        urls: URLs of its databases, by alias; "other" is made when its entry is.
    """

    def __init__(
        self,
        folder: Path,
        urls: dict[str, str],
        use: Callable[[str, Any], None],
        add: Callable[[str], None],
        refused: str = "",
    ) -> None:
        self._add = add
        self._refused = refused
        self.folder = folder
        self.urls = urls
        self._use = use

    def script(self, name: str, up: str, down: str | None = "", folder: Path | None = None) -> Path:
        """Write a script, as a person would."""
        path = (folder or self.folder) / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(up + ("" if down is None else f"\n-- DOWN\n{down}"), "utf-8")
        return path

    def entry(self, alias: str = "default", **values: Any) -> None:
        """Change an entry of MANTICORE, or add one."""
        self._add(alias)
        from django.conf import settings

        said = {**settings.MANTICORE, alias: {**settings.MANTICORE.get(alias, {}), **values}}
        self._use("MANTICORE", said)

    def setting(self, name: str, value: Any) -> None:
        """Change a setting."""
        self._use(name, value)

    def call(self, command: str, *arguments: Any, **options: Any) -> str:
        """Call a command from Python; returns what it wrote to stdout."""
        from django.core.management import call_command

        self.skip_if_refused(command)
        out = StringIO()
        call_command(command, *arguments, stdout=out, stderr=options.pop("stderr", out), **options)
        return out.getvalue()

    def skip_if_refused(self, command: str) -> None:
        """Skip the test if it comes to a command that Django cannot run on this server."""
        if command == "migrate" and self._refused:
            pytest.skip(self._refused)

    def query(self, sql: str, alias: str = "default") -> list[tuple[Any, ...]]:
        """Ask the database by a separate connection."""
        import psycopg

        with psycopg.connect(self.urls[alias], autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def versions(self, alias: str = "default") -> list[int]:
        """What the ledger says is applied."""
        return [row[0] for row in self.query("SELECT version FROM _migrations ORDER BY 1", alias)]


@pytest.fixture
def site(
    _django: None,
    server: RunningServer,
    tmp_path: Path,
    settings_of: Callable[[str, Any], None],
    djangos_migrate_is_refused: str,
) -> Iterator[Site]:
    """The project with an empty database and an empty folder."""
    from django.db import connections

    before = {alias: connections[alias].settings_dict["NAME"] for alias in ("default", "other")}
    urls: dict[str, str] = {}

    def add(alias: str) -> None:
        if alias in before and alias not in urls:
            urls[alias] = server.new_database()
            name = urlsplit(urls[alias]).path.removeprefix("/")
            connections[alias].settings_dict["NAME"] = name

    add("default")
    folder = tmp_path / "migrations_sql"
    folder.mkdir()
    made = Site(folder, urls, settings_of, add, djangos_migrate_is_refused)
    made.setting("MANTICORE", {"default": {"MIGRATIONS_DIR": folder}})
    yield made
    for alias, url in urls.items():
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = before[alias]
        server.drop_database(url)


@pytest.fixture
def settings_of(_django: None) -> Iterator[Callable[[str, Any], None]]:
    """Changes settings until the test ends."""
    from django.test import override_settings

    changes: list[override_settings] = []

    def use(name: str, value: Any) -> None:
        change = override_settings(**{name: value})
        change.enable()
        changes.append(change)

    yield use
    for change in reversed(changes):
        change.disable()


@pytest.fixture
def manage(site: Site, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs `manage.py` in this process, as a shell would: exit code and output."""
    from django.core.management import ManagementUtility

    def run(*arguments: str) -> Ran:
        site.skip_if_refused(arguments[0])
        capsys.readouterr()
        code = 0
        try:
            ManagementUtility(["manage.py", *arguments]).execute()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def manage_environment(site: Site, server: RunningServer) -> dict[str, str]:
    """The environment of a process that runs `python -m django` on this test's databases."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": PROJECT,
        "TESTS_DJANGO_ENGINE": engine_of(server),
        "TESTS_DJANGO_URL": site.urls["default"],
        "TESTS_DJANGO_FOLDER": str(site.folder),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), *sys.path])),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def two(site: Site) -> Site:
    site.script(*USERS)
    site.script(*NAMES)
    return site


def heading(site: Site, alias: str = "default") -> str:
    """The line above a run."""
    from django_manticore.migrators import get_migration

    with get_migration(alias).db as db:
        assert db.server is not None
        return f"{db.server.name}, database {db.server.database} ({alias})"


def shown(folder: Path) -> str:
    """A folder outside the working directory is shown whole."""
    return str(folder)
