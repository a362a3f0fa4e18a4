"""A server for these tests alone: they count and sweep the scratch databases of a whole server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from manticore_cockroachdb.testing import RunningServer
from tests.conftest import server_of_this_run
from tests.flavors import Flavour
from tests.harness import Harness


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """The server that the environment names, or one that no other process of this run uses."""
    with server_of_this_run(os.environ) as running:
        yield running


@pytest.fixture
def fleet(flavour: Flavour, server: RunningServer, tmp_path: Path) -> Iterator[list[Harness]]:
    """Two databases over one folder of scripts: V1 to V4, each with its own table."""
    urls = [server.new_database(), server.new_database()]
    folder = tmp_path / "migrations"
    found = [Harness(flavour, url, url, folder) for url in urls]
    for number in range(1, 5):
        found[0].write(
            f"V{number}__t{number}",
            f"CREATE TABLE t{number} (id INT8 PRIMARY KEY);\nINSERT INTO t{number} VALUES ({number});\n"
            f"-- DOWN\nDROP TABLE t{number};\n",
        )
    yield found
    for url in urls:
        server.drop_database(url)
