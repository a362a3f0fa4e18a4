"""How long schema-change jobs still take."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._backend.jobs import Job
from manticore_cockroachdb._planner.job_pace import JobPace


def jobs(*fractions: float, status: str = "running") -> list[Job]:
    return [
        Job(number, "SCHEMA CHANGE", "CREATE INDEX i ON t (v)", status, "", 0.0, fraction, "")
        for number, fraction in enumerate(fractions)
    ]


@pytest.mark.parametrize(
    ("looks", "remaining"),
    [
        ([(0.0, [])], None),
        ([(0.0, jobs(0.0)), (5.0, jobs(0.0))], None),
        ([(0.0, jobs(0.2))], None),
        ([(0.0, jobs(0.2)), (4.0, jobs(0.2))], None),
        ([(0.0, jobs(0.2)), (4.0, jobs(0.6))], 4.0),
        ([(0.0, jobs(0.2)), (4.0, jobs(0.4)), (8.0, jobs(0.6))], 8.0),
        ([(0.0, jobs(0.2)), (0.0, jobs(0.6))], None),
        ([(0.0, jobs(0.2)), (4.0, jobs(1.0))], None),
        ([(0.0, jobs(0.2, 0.1)), (4.0, jobs(0.6, 0.2))], 4.0),
        ([(0.0, jobs(0.9)), (4.0, jobs(0.2)), (6.0, jobs(0.6))], 2.0),
        ([(0.0, jobs(0.2)), (4.0, jobs(0.6, status="succeeded"))], None),
    ],
)
def test_what_is_left_follows_from_how_the_fraction_moved(
    looks: list[tuple[float, list[Job]]], remaining: float | None
) -> None:
    pace = JobPace()
    answers = [pace.remaining(found, now) for now, found in looks]
    assert answers[-1] == (None if remaining is None else pytest.approx(remaining))
