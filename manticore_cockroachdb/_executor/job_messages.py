"""Messages about schema-change jobs that did not succeed. Pure."""

from __future__ import annotations

from .._backend.jobs import Job, described
from .._planner.losses import loss
from .._planner.step import Step
from .._sql.statement import Statement
from ..errors import JobFailed


def job_failed(step: Step, statement: Statement | None, job: Job) -> JobFailed:
    """The error for a job that ended badly or is paused."""
    line = statement.line if statement else None
    error = f"\n  {job.error}" if job.error else ""
    lost = loss((statement,) if statement else step.statements(), (job,))
    damage = f"\n  {lost}" if lost else ""
    return JobFailed(
        f"{step.where(statement)}: its schema change did not succeed: {described(job)}.{error}{damage}\n"
        f"  {what_to_do(job)}",
        version=step.version,
        path=step.path,
        line=line,
        job_id=job.job_id,
        status=job.status,
    )


def what_to_do(job: Job) -> str:
    """The way on from a job that did not succeed."""
    if job.status == "paused":
        return (
            f"It is paused: the change is neither done nor rolled back. Find out why (a "
            f"nearly full disk pauses back-fills), then RESUME JOB {job.job_id} or CANCEL JOB "
            f"{job.job_id}, and run again."
        )
    if job.status == "revert-failed":
        return (
            "The server could not roll the change back; manual repair is required. "
            f"See the job's error (SHOW JOB {job.job_id}) and the server's support, then record "
            "what is true with manticore_resolve."
        )
    return "The server rolled the change back. Fix the cause (the rows, or the statement) and run again."
