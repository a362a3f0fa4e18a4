"""Benches: PostgreSQL's way (a script is a transaction), step by step, and CockroachDB's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.bench import Bench, Cockroach
from tests.flavours import Flavour
from tests.standin import StandIn


@pytest.fixture
def bench(flavour: Flavour, database_url: str, tmp_path: Path) -> Bench:
    """The server as it is, each script in the mode that is right there."""
    return Bench(flavour, database_url, database_url, tmp_path / "migrations")


@pytest.fixture
def stepwise(flavour: Flavour, database_url: str, tmp_path: Path) -> Bench:
    """The server as it is, each script step by step."""
    return Bench(flavour, database_url, database_url, tmp_path / "migrations", mode="stepwise")


@pytest.fixture
def cockroach(
    flavour: Flavour, database_url: str, tmp_path: Path, server_kind: str
) -> Iterator[Cockroach]:
    """CockroachDB as far as the engine can tell, with jobs and faults that the test decides on."""
    if server_kind != "postgresql":
        pytest.skip("the stand-in for CockroachDB stands in front of PostgreSQL only")
    with StandIn(database_url) as standin:
        yield Cockroach(flavour, standin, database_url, tmp_path / "migrations")


@pytest.fixture(params=["bench", "stepwise", "cockroach"])
def anywhere(request: pytest.FixtureRequest, flavour: Flavour) -> Bench:
    """All three, one after the other."""
    found: Bench = request.getfixturevalue(request.param)
    return found
