"""Schema-change jobs: what the list says of them, and whose they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from manticore_cockroachdb._backend.jobs import Job, JobState, carries, jobs, of_statement, touches
from manticore_cockroachdb._backend.protocol import Result
from manticore_cockroachdb._sql.lexer import RawStatement
from manticore_cockroachdb._sql.statement import Statement, classify

# A job of a real server: its id, and the second it showed as `created`.
SEEN_ID, SEEN_AT = 963139126921854977, datetime(2024, 4, 24, 22, 18, 55, tzinfo=UTC)


def statement(sql: str) -> Statement:
    return classify(RawStatement(sql, 1))


def listed(*rows: dict[str, object]) -> tuple[Job, ...]:
    columns = tuple(rows[0])
    return jobs(Result(columns, (0,) * len(columns), [tuple(row.values()) for row in rows], 0, ""))


def described(description: str, **fields: object) -> Job:
    return listed({"job_id": 1, "description": description, **fields})[0]


def test_a_time_cut_to_the_second_is_told_more_exactly_by_the_id() -> None:
    job = described("", job_id=SEEN_ID, created=SEEN_AT)
    assert job.created == pytest.approx(SEEN_AT.timestamp() + 0.51082, abs=1e-5)


def test_a_whole_time_is_taken_as_shown() -> None:
    created = SEEN_AT.replace(microsecond=7)
    assert described("", job_id=SEEN_ID, created=created).created == created.timestamp()


def test_a_cut_time_that_the_id_does_not_fit_is_taken_as_shown() -> None:
    created = SEEN_AT - timedelta(days=1)
    job = described("", job_id=SEEN_ID, created=created)
    assert job.created == created.timestamp()


def test_a_time_without_a_zone_is_utc() -> None:
    naive = SEEN_AT.replace(microsecond=7, tzinfo=None)
    assert described("", created=naive).created == SEEN_AT.timestamp() + 7e-6


def test_a_job_is_found_although_the_list_shows_it_older_than_its_statement() -> None:
    sent = SEEN_AT.timestamp() + 0.4
    add = statement("ALTER TABLE t ADD COLUMN a INT")
    found = listed(
        {
            "job_id": SEEN_ID,
            "description": "ALTER TABLE d.public.t ADD COLUMN a INT8",
            "created": SEEN_AT,
            "user_name": "root",
        }
    )
    assert of_statement(found, add, since=sent, user="root") == found
    assert of_statement(found, add, since=sent + 0.2, user="root") == ()
    assert of_statement(found, add, since=sent, user="other") == ()


def test_a_job_carries_a_statement_if_it_names_every_object_of_it() -> None:
    index = statement('CREATE INDEX "Long" ON s.t (a, b, c)')
    assert carries(described('CREATE INDEX "Long" ON d.s.t (a, b, c)'), index)
    other = described("CREATE INDEX short ON d.s.t (a, b, c)")
    assert (carries(other, index), touches(other, index)) == (False, True)


def test_a_description_that_may_be_cut_need_not_name_them_all() -> None:
    index = statement("CREATE INDEX i ON s.t (a)")
    job = described("CREATE INDEX " + "x" * 60 + " ON d.s.t (…")
    assert (job.maybe_cut, carries(job, index)) == (True, True)


def test_no_job_carries_a_statement_without_names() -> None:
    grant = statement("GRANT SELECT ON t TO u")
    assert not carries(described("updating privileges for table 53"), grant)


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
