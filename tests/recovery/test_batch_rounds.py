"""A few rounds of batches over random tables, with runs that are killed and cut off on the way."""

from __future__ import annotations

import pytest

from manticore_cockroachdb.testing import RunningServer
from tests.recovery.batch_rounds import Rounds


@pytest.mark.parametrize("seed", range(1, 9))
def test_each_row_is_changed_exactly_once_whatever_dies(server: RunningServer, seed: int) -> None:
    rounds = Rounds(server)
    rounds.round(seed)
    assert rounds.rounds == 1
