"""Harnesses: PostgreSQL's way (a script is a transaction), step by step, and CockroachDB's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_cockroach import FakeCockroach
from tests.flavors import Flavour
from tests.harness import Cockroach, Harness


@pytest.fixture
def harness(flavour: Flavour, database_url: str, tmp_path: Path) -> Harness:
    """The server as it is, each script in the mode that is right there."""
    return Harness(flavour, database_url, database_url, tmp_path / "migrations")


@pytest.fixture
def stepwise(flavour: Flavour, database_url: str, tmp_path: Path) -> Harness:
    """The server as it is, each script step by step."""
    return Harness(flavour, database_url, database_url, tmp_path / "migrations", mode="stepwise")


@pytest.fixture
def cockroach(
    flavour: Flavour, database_url: str, tmp_path: Path, server_kind: str
) -> Iterator[Cockroach]:
    """CockroachDB as far as the engine can tell, with jobs and faults that the test decides on."""
    if server_kind != "postgresql":
        pytest.skip("the fake CockroachDB stands in front of PostgreSQL only")
    with FakeCockroach(database_url) as fake_cockroach:
        yield Cockroach(flavour, fake_cockroach, database_url, tmp_path / "migrations")


@pytest.fixture(params=["harness", "stepwise", "cockroach"])
def any_mode(request: pytest.FixtureRequest, flavour: Flavour) -> Harness:
    """All three, in this order."""
    found: Harness = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["atomic", "stepwise", "autocommit"])
def every_mode(
    request: pytest.FixtureRequest, flavour: Flavour, database_url: str, tmp_path: Path
) -> Harness:
    """The server as it is, in each of the modes."""
    return Harness(flavour, database_url, database_url, tmp_path / "migrations", mode=request.param)
