"""The server that the tests run on, fresh databases on it, and what each server cannot show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from manticore_cockroachdb.testing import RunningServer, choose
from manticore_cockroachdb.testing import server as testing_server
from tests.flavours import flavour

__all__ = ["flavour"]

URL_VARIABLE = "MANTICORE_TEST_URL"


def pytest_report_header() -> str:
    return f"server: {choose(URL_VARIABLE)}"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """The server of this run."""
    with testing_server(URL_VARIABLE) as running:
        yield running


@pytest.fixture(scope="session")
def server_kind(server: RunningServer) -> str:
    """`cockroachdb` or `postgresql`."""
    return server.kind


@pytest.fixture
def database_url(server: RunningServer) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    url = server.new_database()
    yield url
    server.drop_database(url)


@pytest.fixture(autouse=True)
def _skip_what_this_server_cannot_show(request: pytest.FixtureRequest) -> None:
    for kind in ("cockroachdb", "postgresql"):
        if request.node.get_closest_marker(f"needs_{kind}"):
            running: RunningServer = request.getfixturevalue("server")
            if running.kind != kind:
                pytest.skip(f"only {kind} shows this; the server is {running.description}")
