"""Schema-change jobs: what the list says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from manticore_cockroachdb._backend.jobs import Job, JobState, jobs
from manticore_cockroachdb._backend.protocol import Result

# A job of a real server: its id, and the second it showed as `created`.
SEEN_ID, SEEN_AT = 963139126921854977, datetime(2024, 4, 24, 22, 18, 55, tzinfo=UTC)


def listed(*rows: dict[str, object]) -> tuple[Job, ...]:
    columns = tuple(rows[0])
    return jobs(Result(columns, (0,) * len(columns), [tuple(row.values()) for row in rows], 0, ""))


def described(description: str, **fields: object) -> Job:
    return listed({"job_id": 1, "description": description, **fields})[0]


def test_the_id_gives_a_time_cut_to_the_second_more_exactly() -> None:
    job = described("", job_id=SEEN_ID, created=SEEN_AT)
    assert job.created == pytest.approx(SEEN_AT.timestamp() + 0.51082, abs=1e-5)
    assert job.is_dated


def test_a_whole_time_is_taken_as_shown() -> None:
    created = SEEN_AT.replace(microsecond=7)
    job = described("", job_id=SEEN_ID, created=created)
    assert (job.created, job.is_dated) == (created.timestamp(), True)


def test_a_cut_time_that_the_id_does_not_fit_is_known_to_be_inexact() -> None:
    created = SEEN_AT - timedelta(days=1)
    job = described("", job_id=SEEN_ID, created=created)
    assert (job.created, job.is_dated) == (created.timestamp(), False)


def test_a_time_without_a_zone_is_utc() -> None:
    naive = SEEN_AT.replace(microsecond=7, tzinfo=None)
    assert described("", created=naive).created == SEEN_AT.timestamp() + 7e-6


@pytest.mark.parametrize(
    ("description", "is_cut"),
    [
        ("CREATE INDEX i ON d.public.t (v)", False),
        ("x" * 68, False),
        ("x" * 69, True),
        ("x" * 99, False),
        ("x" * 100, True),
        ("x" * 140, False),
        (f"{'x' * 59} … {'y' * 7}", True),
    ],
)
def test_a_description_of_the_length_of_a_cut_one_may_be_cut(
    description: str, is_cut: bool
) -> None:
    assert described(description).is_cut is is_cut


@pytest.mark.parametrize(
    ("status", "outlook"),
    [
        ("succeeded", JobState.SUCCEEDED),
        ("failed", JobState.REVERTED),
        ("canceled", JobState.REVERTED),
        ("paused", JobState.BLOCKED),
        ("revert-failed", JobState.BLOCKED),
        ("pause-requested", JobState.RUNNING),
        ("cancel-requested", JobState.RUNNING),
        ("reverting", JobState.RUNNING),
        ("pending", JobState.RUNNING),
        ("a status of tomorrow", JobState.RUNNING),
    ],
)
def test_what_a_status_means(status: str, outlook: JobState) -> None:
    assert described("", status=status).state is outlook
