"""Fixtures for projects that test with pytest and pytest-django. Entry point: `manticore`.

- `manticore_server`: a server for the whole run (see `manticore_cockroachdb.testing`): the one that
  MANTICORE_TEST_URL names, else one that is started and ends with the tests.
- The option `manticore_server` in pytest's configuration names aliases of DATABASES that are put on that
  server, for projects that have none:

      [tool.pytest.ini_options]
      manticore_server = ["default"]

- `manticore_migration`: `manticore_migration(alias="default", **options)` gives the `Migration` for an
  alias, on the test database.
- `manticore_at`: `manticore_at(version, alias="default")` brings the test database to a version, and
  after the test back to the newest one.
- `manticore_rehearsal`: `manticore_rehearsal(alias="default", **options)` runs every script up, down and
  up again on a scratch database, and fails the test where one does not come back.

A migration uses its own connection, so a test with one of these runs outside a transaction: both
fixtures depend on pytest-django's `transactional_db`, which deletes all rows after the test.

Imports nothing of Django until a fixture is used, so projects without Django are left alone.
"""

# ruff: noqa: PLC0415 - see above
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration
    from manticore_cockroachdb.rehearsal import Rehearsal
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
    location = {
        "HOST": parameters.pop("host", None) or "",
        "PORT": str(parameters.pop("port", None) or ""),
        "USER": parameters.pop("user", None) or "",
        "PASSWORD": parameters.pop("password", None) or "",
    }
    parameters.pop("dbname", None)
    for alias in aliases:
        if alias not in connections:
            raise pytest.UsageError(f"{_OPTION}: there is no database {alias!r} in DATABASES.")
        for configured in (settings.DATABASES[alias], connections[alias].settings_dict):
            configured.update(location)
            configured["OPTIONS"] = {**configured.get("OPTIONS", {}), **parameters}


# `transactional_db` is a parameter, and not asked for later: pytest-django decides before any fixture runs
# whether a test gets a transaction, by the names of all fixtures that it is going to use.


@pytest.fixture
def manticore_migration(transactional_db: None) -> Callable[..., Migration]:  # noqa: ARG001
    """Gives the `Migration` for an alias, on the test database."""

    def make(alias: str = "default", **options: Any) -> Migration:
        from .migrators import get_migration

        return get_migration(alias, **options)

    return make


@pytest.fixture
def manticore_at(
    manticore_migration: Callable[..., Migration],
) -> Iterator[Callable[..., Migration]]:
    """Brings the test database to a version, and back to the newest after the test."""
    moved: dict[str, None] = {}

    def at(version: int, alias: str = "default") -> Migration:
        moved[alias] = None
        migration = manticore_migration(alias)
        migration.migrate(version)
        return migration

    yield at
    for alias in moved:
        manticore_migration(alias).migrate()


@pytest.fixture
def manticore_rehearsal(request: pytest.FixtureRequest) -> Callable[..., Rehearsal]:
    """Rehearses the scripts of an alias, all of them by default."""
    _need_django(request)

    def rehearse(alias: str = "default", **options: Any) -> Rehearsal:
        from .management.rehearsing import in_words
        from .migrators import get_migration
        from .surroundings import surroundings

        given = {"all_scripts": True, "surroundings": surroundings(alias), **options}
        found = get_migration(alias).rehearse(**given)
        if not found.ok:
            lines = (
                line
                for each in found.scripts
                if not each.ok
                for line in (f"{each.script.path.name} {each.outcome.value}:", *in_words(each))
            )
            pytest.fail("\n".join(lines), pytrace=False)
        return found

    return rehearse


def _need_django(request: pytest.FixtureRequest) -> None:
    """The test databases, without a transaction around the test: an engine would wait for it."""
    if not request.config.pluginmanager.has_plugin("django"):
        pytest.skip("pytest-django is not installed")
    request.getfixturevalue("transactional_db")
