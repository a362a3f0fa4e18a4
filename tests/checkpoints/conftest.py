"""A server for these tests alone: they count and sweep the scratch databases of a whole server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from manticore_cockroachdb.testing import RunningServer
from tests.conftest import server_of_this_run


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """The server that the environment names, or one that no other process of this run uses."""
    with server_of_this_run(os.environ) as running:
        yield running
