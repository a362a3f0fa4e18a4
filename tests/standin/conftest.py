"""A stand-in before a database of the test's own, and the ways to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.standin import (
    StandIn,
)
from tests.standin.clients import (
    Connection,
    connected,
)


@pytest.fixture
def direct(database_url: str) -> Iterator[Connection]:
    """Past the stand-in, straight to the server; holds the table `t (i)`."""
    with connected(database_url) as connection:
        connection.execute("CREATE TABLE t (i INT PRIMARY KEY)")
        yield connection


@pytest.fixture
def standin(database_url: str, direct: Connection) -> Iterator[StandIn]:
    with StandIn(database_url) as running:
        yield running


@pytest.fixture
def client(standin: StandIn) -> Iterator[Connection]:
    with connected(standin.url) as connection:
        standin.reset()
        yield connection
