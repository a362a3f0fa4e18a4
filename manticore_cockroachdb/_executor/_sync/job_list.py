# Generated from _async/job_list.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Reads the server's list of schema-change jobs."""

from __future__ import annotations

from dataclasses import replace

from ..._backend import jobs
from ..._backend.jobs import Job, JobState
from .session import Session


def list_jobs(
    session: Session, since: float, whole: dict[int, str] | None = None
) -> tuple[Job, ...]:
    """The schema-change jobs the server shows; none where it has no such thing.

    Args:
        session: Where to ask.
        since: Seconds since 1970: of jobs made since, and of those not at their end, the whole
            description is asked for where the list may have cut it.
        whole: Descriptions asked for before, by job; what is asked for now is added. A description never
            changes.
    """
    if not session.server.has_jobs:
        return ()
    known = {} if whole is None else whole
    found: list[Job] = []
    for job in jobs.jobs(session.send(jobs.show_jobs())[0]):
        wanted = job.created + 1 >= since or job.state in (JobState.RUNNING, JobState.BLOCKED)
        if job.is_cut and wanted and job.job_id not in known:
            for one in jobs.jobs(session.send(jobs.show_job(job.job_id))[0]):
                known[job.job_id] = one.description
        if job.is_cut and job.job_id in known:
            found.append(replace(job, description=known[job.job_id], is_cut=False))
        else:
            found.append(job)
    return tuple(found)
