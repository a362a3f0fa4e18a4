"""Fixtures for projects that test with pytest and pytest-django. Entry point: `manticore`.

- `manticore_server`: a server for the whole run (see `manticore_cockroachdb.testing`): the one that
  MANTICORE_TEST_URL names, else one that is started and ends with the tests.
- The option `manticore_server` in pytest's configuration names aliases of DATABASES that are put on that
  server, for projects that have none of their own:

      [tool.pytest.ini_options]
      manticore_server = ["default"]

- `manticore_migration`: `manticore_migration(alias="default", **options)` gives the engine for an alias,
  on the test database.
- `manticore_at`: `manticore_at(version, alias="default")` brings the test database to a version, and
  after the test back to the newest one. Rows are emptied as after any `transactional_db` test.

Imports nothing of Django until a fixture is asked for, so projects without Django are left alone.
"""

# ruff: noqa: PLC0415 - see above
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration
    from manticore_cockroachdb.testing import RunningServer

_OPTION = "manticore_server"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addini(
        _OPTION,
        "Aliases of Django's DATABASES that are put on a server started for the tests.",
        type="args",
        default=[],
    )


@pytest.fixture(scope="session")
def manticore_server() -> Iterator[RunningServer]:
    """A server for this test run; whatever was started is gone afterwards."""
    from manticore_cockroachdb.testing import server

    with server() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _manticore_databases(request: pytest.FixtureRequest) -> None:
    """Put the databases that the option names on the server, before pytest-django makes them."""
    aliases: list[str] = request.config.getini(_OPTION)
    if not aliases:
        return
    running: RunningServer = request.getfixturevalue("manticore_server")
    from django.conf import settings
    from django.db import connections
    from psycopg.conninfo import conninfo_to_dict

    parameters = conninfo_to_dict(running.url)
    place = {
        "HOST": parameters.pop("host", None) or "",
        "PORT": str(parameters.pop("port", None) or ""),
        "USER": parameters.pop("user", None) or "",
        "PASSWORD": parameters.pop("password", None) or "",
    }
    parameters.pop("dbname", None)
    for alias in aliases:
        if alias not in connections:
            raise pytest.UsageError(f"{_OPTION}: there is no database {alias!r} in DATABASES.")
        for said in (settings.DATABASES[alias], connections[alias].settings_dict):
            said.update(place)
            said["OPTIONS"] = {**said.get("OPTIONS", {}), **parameters}


@pytest.fixture
def manticore_migration(request: pytest.FixtureRequest) -> Callable[..., Migration]:
    """Makes the engine for an alias, on the test database."""
    _need_django(request)

    def make(alias: str = "default", **options: Any) -> Migration:
        from .migrators import get_migration

        return get_migration(alias, **options)

    return make


@pytest.fixture
def manticore_at(request: pytest.FixtureRequest) -> Iterator[Callable[..., Migration]]:
    """Brings the test database to a version, and back to the newest after the test."""
    _need_django(request)
    moved: dict[str, None] = {}

    def at(version: int, alias: str = "default") -> Migration:
        from .migrators import get_migration

        moved[alias] = None
        migration = get_migration(alias)
        migration.migrate(version)
        return migration

    yield at
    from .migrators import get_migration

    for alias in moved:
        get_migration(alias).migrate()


def _need_django(request: pytest.FixtureRequest) -> None:
    """The test databases, without a transaction around the test: an engine would wait for it."""
    if not request.config.pluginmanager.has_plugin("django"):
        pytest.skip("pytest-django is not installed")
    request.getfixturevalue("transactional_db")
