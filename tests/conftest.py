"""The server that the tests run on, fresh databases on it, and what each server cannot show."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from manticore_cockroachdb.testing import RunningServer, choose
from manticore_cockroachdb.testing import server as testing_server
from tests import memory
from tests.flavors import flavour
from tests.harness_fixtures import any_mode, cockroach, every_mode, harness, stepwise

__all__ = ["any_mode", "cockroach", "every_mode", "flavour", "harness", "stepwise"]

# A busy machine is slow to make examples and to run them: that is not a failure.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

URL_VARIABLE = "MANTICORE_TEST_URL"
SHARED_URL = pytest.StashKey[str]()
_shared = ExitStack()


def pytest_configure() -> None:
    """Give programs that tests start their signals, also where this run ignores them itself.

    A program inherits what is ignored (by `nohup`, in a shell's background job, on some CI systems),
    not what is handled: with SIGINT ignored, Ctrl-C would never reach it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let all of pytest-xdist's workers share one server: its controller starts it."""
    if SHARED_URL not in node.config.stash:
        running = _shared.enter_context(server_of_this_run(os.environ))
        node.config.stash[SHARED_URL] = running.url
    node.workerinput["server_url"] = node.config.stash[SHARED_URL]


def pytest_unconfigure() -> None:
    """Stop the server that the workers shared; they have ended."""
    _shared.close()


@contextmanager
def server_of_this_run(environ: Mapping[str, str]) -> Iterator[RunningServer]:
    """The server that the environment names, or an embedded one."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(memory.folder()))
            running = stack.enter_context(testing_server(URL_VARIABLE, environ=environ))
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no worker ends long after the others."""
    items.sort(key=lambda item: item.path.parent.name != "recovery")


def pytest_report_header() -> str:
    return f"server: {choose(URL_VARIABLE)}"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """The server of this run."""
    told: dict[str, str] = getattr(request.config, "workerinput", {})
    environ = {URL_VARIABLE: told["server_url"]} if "server_url" in told else os.environ
    with server_of_this_run(environ) as running:
        yield running


@pytest.fixture(scope="session")
def server_kind(server: RunningServer) -> str:
    """`cockroachdb` or `postgresql`."""
    return server.kind


@pytest.fixture(scope="session")
def djangos_migrate_is_refused(server: RunningServer) -> str:
    """Why Django's own `migrate` cannot run on this server, or "": its look at the tables fails."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        try:
            connection.execute("SELECT relispartition FROM pg_class LIMIT 0")
        except psycopg.errors.UndefinedColumn:
            return "CockroachDB before v22.1 has no pg_class.relispartition, which Django's migrate reads"
    return ""


@pytest.fixture
def database_url(server: RunningServer) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    url = server.new_database()
    yield url
    server.drop_database(url)


@pytest.fixture(scope="session")
def server_version(server: RunningServer) -> tuple[int, ...]:
    """The numbers of the server's version: (22, 1) of `CockroachDB CCL v22.1.0-dev (…)`."""
    with psycopg.connect(server.url) as connection:
        words = connection.execute("SELECT version()").fetchone()
    numbers = re.search(r"(\d+)\.(\d+)", str(words))
    return tuple(map(int, numbers.groups())) if numbers else ()


@pytest.fixture(autouse=True)
def _skip_what_this_server_cannot_show(request: pytest.FixtureRequest) -> None:
    for kind in ("cockroachdb", "postgresql"):
        marker = request.node.get_closest_marker(f"needs_{kind}")
        if marker and request.getfixturevalue("server_kind") != kind:
            pytest.skip(*marker.args or [f"only {kind} shows this"])
        since = request.node.get_closest_marker(f"needs_{kind}_since")
        if since and request.getfixturevalue("server_kind") == kind:
            version, why = since.args
            if request.getfixturevalue("server_version") < version:
                pytest.skip(why)
