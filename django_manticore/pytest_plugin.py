"""Fixtures for projects that test with pytest and pytest-django. Entry point: `manticore`.

- `manticore_server`: a server for the whole run (see `manticore_cockroachdb.testing`): the one that
  MANTICORE_TEST_URL names, else one that is started and ends with the tests.
- The option `manticore_server` in pytest's configuration names aliases of DATABASES that are put on that
  server, for projects that have none:

      [tool.pytest.ini_options]
      manticore_server = ["default"]

  With pytest-xdist, all workers share that server.
- The option `manticore_template` names aliases whose test database is built once for all workers of
  pytest-xdist, which then copy it (PostgreSQL only; elsewhere each worker builds its own).
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

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration
    from manticore_cockroachdb.rehearsal import Rehearsal
    from manticore_cockroachdb.testing import RunningServer

_OPTION = "manticore_server"
_TEMPLATE = "manticore_template"
#: What a worker of pytest-xdist is given, by the names of its `workerinput`.
_SHARED_URL = "manticore_server_url"
_SHARED_TEMPLATES = "manticore_templates"
_shared = pytest.StashKey["_Shared"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addini(
        _OPTION,
        "Aliases of Django's DATABASES that are put on a server started for the tests.",
        type="args",
        default=[],
    )
    parser.addini(
        _TEMPLATE,
        "Aliases of Django's DATABASES whose test database is built once and copied for each worker of "
        "pytest-xdist. PostgreSQL only.",
        type="args",
        default=[],
    )


@pytest.fixture(scope="session")
def manticore_server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server for this test run; whatever was started is gone afterwards."""
    from manticore_cockroachdb.testing import server

    given: dict[str, Any] = getattr(request.config, "workerinput", {})
    shared = {"MANTICORE_TEST_URL": given[_SHARED_URL]} if _SHARED_URL in given else {}
    with server(environ={**os.environ, **shared}) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _manticore_databases(request: pytest.FixtureRequest) -> None:
    """Put the databases that the option names on the server, before pytest-django makes them."""
    aliases: list[str] = request.config.getini(_OPTION)
    if aliases:
        running: RunningServer = request.getfixturevalue("manticore_server")
        _put_on_server(aliases, running.url)
    given: dict[str, Any] = getattr(request.config, "workerinput", {})
    for alias, template in given.get(_SHARED_TEMPLATES, {}).items():
        from django.conf import settings
        from django.db import connections

        for configured in (settings.DATABASES[alias], connections[alias].settings_dict):
            configured.setdefault("TEST", {})["TEMPLATE"] = template


class _Shared:
    """What the controller of pytest-xdist makes once for all of its workers.

    Args:
        config: The controller's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.stack = ExitStack()
        self.given: dict[str, Any] = {}
        aliases: list[str] = config.getini(_OPTION)
        if aliases:
            from manticore_cockroachdb.testing import server

            self.given[_SHARED_URL] = self.stack.enter_context(server()).url
        if _builds_databases(config):
            if aliases:
                _put_on_server(aliases, self.given[_SHARED_URL])
            self.given[_SHARED_TEMPLATES] = self._build(config, config.getini(_TEMPLATE))

    def _build(self, config: pytest.Config, aliases: Sequence[str]) -> dict[str, str]:
        from django.db import connections
        from pytest_django.plugin import blocking_manager_key

        made = {}
        for alias in aliases:
            if alias not in connections:
                raise pytest.UsageError(
                    f"{_TEMPLATE}: there is no database {alias!r} in DATABASES."
                )
            if connections[alias].vendor == "postgresql":
                with config.stash[blocking_manager_key].unblock():
                    made[alias] = _build_template(alias)
                self.stack.callback(_drop_template, config, alias, made[alias])
        return made


def _builds_databases(config: pytest.Config) -> bool:
    """Whether workers are going to build test databases that could be copied."""
    if not config.getini(_TEMPLATE) or not config.pluginmanager.has_plugin("django"):
        return False
    kept = config.getvalue("reuse_db") and not config.getvalue("create_db")
    return not (kept or config.getvalue("nomigrations"))


def _build_template(alias: str) -> str:
    """Build the database that workers copy, as Django builds a test database; its name."""
    from django.conf import settings
    from django.db import connections

    connection = connections[alias]
    configured = (settings.DATABASES[alias], connection.settings_dict)
    name, test = connection.settings_dict["NAME"], connection.settings_dict["TEST"].get("NAME")
    template = f"{test or f'test_{name}'}_template"
    try:
        connection.settings_dict["TEST"]["NAME"] = template
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    finally:
        connection.close()
        for each in configured:
            each["NAME"] = name
            each["TEST"]["NAME"] = test
    return template


def _drop_template(config: pytest.Config, alias: str, template: str) -> None:
    from django.db import connections
    from pytest_django.plugin import blocking_manager_key

    creation = connections[alias].creation
    with config.stash[blocking_manager_key].unblock():
        creation._destroy_test_db(template, verbosity=0)  # type: ignore[attr-defined] # not in the stubs


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Make what the workers of pytest-xdist share, before the first one starts."""
    config: pytest.Config = node.config
    if _shared not in config.stash:
        config.stash[_shared] = _Shared(config)
    node.workerinput.update(config.stash[_shared].given)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what the workers shared; they have ended."""
    shared = session.config.stash.get(_shared, None)
    if shared is not None:
        shared.stack.close()


def _put_on_server(aliases: Sequence[str], url: str) -> None:
    """Let aliases of DATABASES lead to a server."""
    from django.conf import settings
    from django.db import connections
    from psycopg.conninfo import conninfo_to_dict

    parameters = conninfo_to_dict(url)
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
