"""How often something is tried again, and after what pause."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._backend.retry import (
    LOST_CONNECTIONS,
    POLL,
    RECONNECT,
    TRANSACTION,
    TRANSITION,
    Attempts,
    Backoff,
)

SMALL = Backoff(tries=3, first=1.0, longest=1.2)


@pytest.mark.parametrize("backoff", [TRANSACTION, TRANSITION, RECONNECT, POLL, SMALL])
def test_a_pause_lies_between_a_quarter_of_its_ceiling_and_the_ceiling(backoff: Backoff) -> None:
    ceilings = [min(backoff.longest, backoff.first * 1.5**n) for n in range(min(backoff.tries, 30))]
    for attempt, ceiling in enumerate(ceilings, 1):
        if attempt < backoff.tries:
            pause = backoff.pause(attempt)
            assert pause is not None
            assert ceiling / 4 <= pause <= ceiling
    assert all(one <= two for one, two in pairwise(ceilings))


def test_an_endless_series_has_no_end() -> None:
    assert POLL.pause(10**6) is not None


@pytest.mark.parametrize("backoff", [TRANSACTION, TRANSITION, RECONNECT, LOST_CONNECTIONS, SMALL])
def test_the_last_attempt_has_no_pause_after_it(backoff: Backoff) -> None:
    attempts = Attempts()
    pauses = [attempts.failed(backoff) for _ in range(backoff.tries)]
    assert pauses.index(None) == backoff.tries - 1
    assert attempts.count(backoff) == backoff.tries


def test_progress_starts_the_count_again() -> None:
    attempts = Attempts()
    for place in range(100):
        assert attempts.failed(LOST_CONNECTIONS, place) is not None
        assert attempts.count(LOST_CONNECTIONS) == 1
    assert attempts.failed(LOST_CONNECTIONS, 99) is None


def test_each_backoff_is_counted_alone() -> None:
    attempts = Attempts()
    assert attempts.failed(SMALL, "here") is not None
    assert attempts.failed(LOST_CONNECTIONS, "here") is not None
    assert attempts.failed(SMALL, "here") is not None
    assert attempts.failed(LOST_CONNECTIONS, "here") is None
    assert attempts.failed(SMALL, "here") is None


@given(st.lists(st.integers(0, 3), max_size=60))
def test_nobody_fails_more_often_at_one_place_than_the_backoff_allows(places: list[int]) -> None:
    attempts = Attempts()
    in_a_row = 0
    before: int | None = None
    for place in places:
        in_a_row = in_a_row + 1 if place == before else 1
        before = place
        assert (attempts.failed(SMALL, place) is None) == (in_a_row >= SMALL.tries)
