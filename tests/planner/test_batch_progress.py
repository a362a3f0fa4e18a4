"""How fast a batch is, and how long it still takes: from what is counted."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._backend.introspection import read_row_estimate
from manticore_cockroachdb._backend.protocol import Result
from manticore_cockroachdb._planner.batch_progress import rate, remaining


@pytest.mark.parametrize(
    ("scanned", "total", "seconds", "left"),
    [
        (0, 1000, 0.0, None),
        (100, None, 5.0, None),
        (100, 1000, 5.0, 45.0),
        (1200, 1000, 5.0, 0.0),
    ],
)
def test_what_is_left_follows_from_the_pace_so_far(
    scanned: int, total: int | None, seconds: float, left: float | None
) -> None:
    assert remaining(scanned, total, seconds) == left


def test_a_rate_needs_time() -> None:
    assert (rate(10, 0.0), rate(10, 2.0)) == (None, 5.0)


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        (["Seq Scan on t  (cost=0.00..22.00 rows=1200 width=4)"], 1200),
        (
            [
                "distribution: local",
                "",
                "• scan",
                "      estimated row count: 5,000 (100% of the table)",
            ],
            5000,
        ),
        (["• scan", "      missing stats"], None),
        ([], None),
    ],
)
def test_the_planner_s_estimate_is_read(lines: list[str], rows: int | None) -> None:
    result = Result(("info",), (), [(line,) for line in lines], 0, "EXPLAIN")
    assert read_row_estimate(result) == rows
