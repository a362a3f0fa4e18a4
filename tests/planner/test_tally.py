"""Which steps of a run count as done, though an answer was lost."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._planner.step import Step
from manticore_cockroachdb._planner.tally import Tally
from manticore_cockroachdb._scripts.direction import Direction
from manticore_cockroachdb._store.ledger import LedgerRow
from manticore_cockroachdb._store.run_state import NOBODY
from manticore_cockroachdb._store.snapshot import Progress, RunState, Snapshot
from tests.planner.planning import step

UP = [step("SELECT 1;", version) for version in (1, 2, 3)]
DOWN = [step("SELECT 1;\n-- DOWN\nSELECT 2;", version, Direction.DOWN) for version in (3, 2, 1)]


def begun(steps: list[Step], done: int = 0) -> Tally:
    tally = Tally()
    tally.begin(steps)
    for each in steps[:done]:
        tally.count(each)
    return tally


def test_a_step_counts_once_it_is_done() -> None:
    tally = begun(UP, done=2)
    assert (tally.done, tally.total, tally.is_open) == (UP[:2], 3, True)
    tally.count(UP[2])
    assert (tally.done, tally.total, tally.is_open) == (UP, 3, False)


def test_what_the_tables_no_longer_call_for_was_done_before_the_connection_was_lost() -> None:
    tally = begun(UP, done=1)
    assert tally.count_unacknowledged([UP[2]]) == [UP[1]]
    assert (tally.done, tally.is_open) == (UP[:2], False)


def test_what_somebody_else_may_have_done_does_not_count() -> None:
    tally = begun(UP, done=1)
    tally.forget_begun()
    assert tally.count_unacknowledged([]) == []
    assert tally.done == UP[:1]


@pytest.mark.parametrize(
    ("steps", "applied", "half", "counted"),
    [
        (UP, [1, 2], None, [1, 2]),
        (UP, [], None, []),
        (UP, [1, 2], 2, [1]),
        (DOWN, [1], None, [3, 2]),
        (DOWN, [1], 2, [3]),
        (DOWN, [1, 2, 3], None, []),
    ],
)
def test_an_interrupted_run_counts_what_the_tables_have(
    steps: list[Step], applied: list[int], half: int | None, counted: list[int]
) -> None:
    progress = Progress(half, steps[0].direction, done=1, in_flight=False) if half else None
    record = RunState(None, NOBODY.epoch, None, progress, None)
    rows = tuple(LedgerRow(version, "a", None) for version in applied)
    tally = begun(steps)
    tally.count_recorded(Snapshot(rows, record))
    assert [each.version for each in tally.done] == counted
