"""Harnesses: one for either flavor, and one of a single flavor for what differs by tool only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flavors import Flavour

from .harness import Harness


@pytest.fixture
def harness(flavour: Flavour, database_url: str, tmp_path: Path) -> Harness:
    """A database and two folders, for either flavor."""
    return Harness(flavour, database_url, tmp_path)


@pytest.fixture
async def tool_bench(
    anyio_backend: str, database_url: str, tmp_path: Path
) -> AsyncIterator[Harness]:
    """The same for the async flavor alone: the other is generated from it."""
    flavour = Flavour("async")
    yield Harness(flavour, database_url, tmp_path)
    await flavour.close()
