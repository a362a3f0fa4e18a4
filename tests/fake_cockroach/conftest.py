"""A fake CockroachDB before a database of the test's own, and the ways to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_cockroach import (
    FakeCockroach,
)
from tests.fake_cockroach.clients import (
    Connection,
    connected,
)


@pytest.fixture
def direct(database_url: str) -> Iterator[Connection]:
    """Past the fake CockroachDB, straight to the server; holds the table `t (i)`."""
    with connected(database_url) as connection:
        connection.execute("CREATE TABLE t (i INT PRIMARY KEY)")
        yield connection


@pytest.fixture
def fake_cockroach(database_url: str, direct: Connection) -> Iterator[FakeCockroach]:
    with FakeCockroach(database_url) as running:
        yield running


@pytest.fixture
def client(fake_cockroach: FakeCockroach) -> Iterator[Connection]:
    with connected(fake_cockroach.url) as connection:
        fake_cockroach.reset()
        yield connection
