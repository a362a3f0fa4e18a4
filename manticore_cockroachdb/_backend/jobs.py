"""Schema-change jobs: how CockroachDB is asked for them, and what their states mean. Pure.

A schema change on CockroachDB is a background job that outlives its client. The list of jobs is the only
evidence of what happened to a statement whose answer was lost.
https://www.cockroachlabs.com/docs/stable/show-jobs
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from .protocol import Command, Result

#: The kinds that carry a schema change out; others (GC, statistics) are ignored.
KINDS = ("SCHEMA CHANGE", "NEW SCHEMA CHANGE", "TYPEDESC SCHEMA CHANGE")

#: A job's id is made as `unique_rowid()` is: ticks of 10 µs since 2015, then 15 bits for the node.
_ID_EPOCH = datetime(2015, 1, 1, tzinfo=UTC).timestamp()
_ID_TICKS = 100_000
_ID_NODE_BITS = 15

#: A list of jobs may cut descriptions: to 100 characters, or since v24.1 to 69, the middle left out.
_CUT_TO = (69, 70, 100)
_LEFT_OUT = "…"


class JobState(Enum):
    """What a job's status means for a runner that waits for it."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REVERTED = "reverted"
    """It failed or was canceled, and the server rolled the change back."""
    BLOCKED = "blocked"
    """It is paused until a person acts; the change is neither done nor rolled back."""


_OUTLOOK = {
    "succeeded": JobState.SUCCEEDED,
    "failed": JobState.REVERTED,
    "canceled": JobState.REVERTED,
    "paused": JobState.BLOCKED,
    "revert-failed": JobState.BLOCKED,
}


@dataclass(frozen=True, slots=True)
class Job:
    """A schema-change job as SHOW JOBS tells of it.

    Attributes:
        job_id: Its id.
        kind: Its kind, such as `SCHEMA CHANGE`.
        description: The statement it carries out, as the server writes it, maybe cut.
        status: Its status, as the server writes it.
        running_status: What it is doing now, in the server's words, or an empty text.
        created: When it was made, in seconds since 1970; where `is_dated` is false, up to a second before.
        fraction: How much of it is done, 0 to 1.
        error: Why it failed, or an empty text.
        user: Whose it is.
        is_dated: Whether `created` is exact; a server may show whole seconds.
        is_cut: Whether the list may have cut its description; `show_job` tells the whole.
    """

    job_id: int
    kind: str
    description: str
    status: str
    running_status: str
    created: float
    fraction: float
    error: str
    user: str = ""
    is_dated: bool = True
    is_cut: bool = False

    @property
    def state(self) -> JobState:
        """What its status means; unknown ones count as running."""
        return _OUTLOOK.get(self.status, JobState.RUNNING)

    def __str__(self) -> str:
        return described(self)


_COLUMNS = (
    "job_id, job_type, description, user_name, status, running_status, created, finished, "
    "fraction_completed, error"
)


def show_jobs() -> Command:
    """The schema-change jobs that the server still shows to this user.

    `created` is filtered on this side: its type differs between versions.
    """
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    return Command(f"SELECT {_COLUMNS} FROM [SHOW JOBS] WHERE job_type IN ({kinds})")


def show_job(job_id: int) -> Command:
    """One job by its id, its description uncut."""
    return Command(f"SELECT {_COLUMNS} FROM [SHOW JOB {job_id:d}]")


#: Whether the user is an administrator, who is shown everybody's jobs.
#: https://www.cockroachlabs.com/docs/stable/show-jobs#required-privileges
IS_ADMINISTRATOR = Command(
    "SELECT count(*) > 0 FROM pg_catalog.pg_roles r WHERE r.rolname = current_user::TEXT "
    "AND (r.rolsuper OR r.oid IN (SELECT m.member FROM pg_catalog.pg_auth_members m "
    "JOIN pg_catalog.pg_roles a ON a.oid = m.roleid WHERE a.rolname = 'admin'))"
)


def jobs(result: Result) -> tuple[Job, ...]:
    """What `show_jobs` answered, oldest first."""
    found = (_job(dict(zip(result.columns, row, strict=True))) for row in result.rows)
    return tuple(sorted(found, key=lambda job: (job.created, job.job_id)))


def _job(row: dict[str, Any]) -> Job:
    job_id = int(row["job_id"])
    created, is_dated = _created(job_id, _seconds(row.get("created")))
    return Job(
        job_id=job_id,
        kind=row.get("job_type") or "",
        description=row.get("description") or "",
        status=row.get("status") or "",
        running_status=row.get("running_status") or "",
        created=created,
        fraction=float(row.get("fraction_completed") or 0.0),
        error=row.get("error") or "",
        user=row.get("user_name") or "",
        is_dated=is_dated,
        is_cut=_may_be_cut(row.get("description") or ""),
    )


def _may_be_cut(description: str) -> bool:
    return len(description) in _CUT_TO or _LEFT_OUT in description


def _seconds(moment: datetime | None) -> float:
    """`created` is UTC without a zone on older servers, and has one on newer."""
    if moment is None:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _created(job_id: int, shown: float) -> tuple[float, bool]:
    """When a job was made, and whether that is exact.

    Since v24.1 the server shows whole seconds, but the job's id tells more: to 10 µs. An id that does not
    fit the second shown is not made that way, and tells nothing.
    """
    if shown != int(shown):
        return shown, True
    by_id = _ID_EPOCH + (job_id >> _ID_NODE_BITS) / _ID_TICKS
    return (by_id, True) if shown - 1 < by_id < shown + 60 else (shown, False)


_NOTICE = re.compile(r"waiting for job\(s\) to complete: ([\d, ]+)")


def noticed(message: str) -> tuple[int, ...]:
    """The job ids that a server from v26.1 on tells in a NOTICE while a statement waits for them."""
    found = _NOTICE.search(message)
    return tuple(int(part) for part in found.group(1).split(",") if part.strip()) if found else ()


def described(job: Job) -> str:
    """One line for people."""
    parts = [f"job {job.job_id}", job.status]
    if job.running_status:
        parts.append(job.running_status)
    if 0 < job.fraction < 1:
        parts.append(f"{job.fraction:.0%}")
    return f"{', '.join(parts)}: {' '.join(job.description.split())}"
