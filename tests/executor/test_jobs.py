"""Schema changes as jobs: followed, waited for, and reported when they end badly or are paused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from manticore_cockroachdb._executor._async import supervision as async_supervision
from manticore_cockroachdb._executor._sync import supervision as sync_supervision
from manticore_cockroachdb.errors import JobFailed, MigrationFailed
from manticore_cockroachdb.events import JobsAwaited, Reconciled, StillRunning
from tests.fake_cockroach import Attachment, Job
from tests.harness import Cockroach, eventually
from tests.waiting import PATIENCE

INDEX = "CREATE INDEX t_i ON t (i)"


def described(harness: Cockroach) -> str:
    """The index's job, as the server writes it."""
    return f"CREATE INDEX t_i ON {harness.place}.t (i)"


@pytest.fixture
def indexed(cockroach: Cockroach) -> Cockroach:
    """A table is there already; version 2 makes an index on it."""
    cockroach.write("V1__t", "CREATE TABLE t (i INT8)")
    cockroach.write("V2__index", f"{INDEX};\n-- DOWN\nDROP INDEX t_i;")
    return cockroach


def on_index(harness: Cockroach, **options: Any) -> Attachment:
    return harness.fake.jobs.on(r"^CREATE INDEX t_i", **options)


@asynccontextmanager
async def migrating(harness: Cockroach, ended: list[Any]) -> AsyncIterator[None]:
    """While a migration runs; at the end it has ended, in a count or an error."""

    async def one() -> None:
        try:
            ended.append(await harness.engine(lease=2).migrate())
        except (MigrationFailed, JobFailed) as error:
            ended.append(error)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(one)
            yield


async def started(attachment: Attachment) -> Job:
    return await anyio.to_thread.run_sync(attachment.wait)


def seen(harness: Cockroach, status: str, fraction: float = 0.0) -> Callable[[], bool]:
    """Whether a job was reported in this state."""

    def told() -> bool:
        return any(
            (job.status, job.fraction) == (status, fraction)
            for event in harness.told(StillRunning)
            for job in event.jobs
        )

    return told


async def test_a_job_is_followed_and_its_end_foretold(indexed: Cockroach) -> None:
    attachment = on_index(indexed)
    ended: list[Any] = []
    async with migrating(indexed, ended):
        job = await started(attachment)
        job.to("running", running_status="populating schema")
        await eventually(seen(indexed, "running"))
        for fraction in (0.25, 0.5, 0.75):
            job.to("running", running_status="backfilling", fraction_completed=fraction)
            await eventually(seen(indexed, "running", fraction))
        job.to("succeeded")
    assert ended == [2]
    told = [event for event in indexed.told(StillRunning) if event.jobs]
    assert {event.step.version for event in told} == {2}
    assert {event.statement.text for event in told if event.statement} == {INDEX}
    assert {(j.job_id, j.running_status) for event in told for j in event.jobs} == {
        (job.job_id, "populating schema"),
        (job.job_id, "backfilling"),
    } | {(j.job_id, "") for event in told for j in event.jobs if not j.running_status}
    last = [event for event in told if event.jobs[0].fraction == 0.75][-1]
    assert last.remaining is not None
    assert 0 < last.remaining < 60
    assert next(event for event in told if event.jobs[0].fraction == 0).remaining is None
    assert indexed.free()
    assert not indexed.sent("crdb_internal")


async def test_a_job_is_known_by_its_notice_whatever_its_description(indexed: Cockroach) -> None:
    attachment = on_index(indexed, notice=True, description="updating something")
    ended: list[Any] = []
    async with migrating(indexed, ended):
        job = await started(attachment)
        await eventually(seen(indexed, "running"))
        job.to("succeeded")
    assert ended == [2]


async def test_the_notice_of_one_statement_is_not_the_next_ones(indexed: Cockroach) -> None:
    indexed.write("V2__index", f"{INDEX}; CREATE INDEX t_j ON t (i)")
    first = on_index(indexed, notice=True)
    second = indexed.fake.jobs.on("^CREATE INDEX t_j")
    ended: list[Any] = []
    async with migrating(indexed, ended):
        (await started(first)).to("succeeded")
        job = await started(second)
        await eventually(seen(indexed, "running"))
        job.to("succeeded")
    last = indexed.told(StillRunning)[-1]
    assert [j.job_id for j in last.jobs] == [job.job_id]


async def test_jobs_of_others_are_not_ours(indexed: Cockroach) -> None:
    jobs = indexed.fake.jobs
    jobs.add(f"CREATE INDEX x ON {indexed.place}.other (i)", "running")
    jobs.add(f"CREATE INDEX t_i ON {indexed.place}.t (i, j)", "paused")
    jobs.add("CREATE INDEX t_i ON next_door.public.t (i)", "paused")
    jobs.add(described(indexed), "running", user_name="somebody")
    attachment = on_index(indexed)
    ended: list[Any] = []
    async with migrating(indexed, ended):
        job = await started(attachment)
        await eventually(seen(indexed, "running"))
        job.to("succeeded")
    ids = {j.job_id for event in indexed.told(StillRunning) for j in event.jobs}
    assert ids == {job.job_id}


async def test_if_not_exists_counts_once_the_others_job_has_ended(indexed: Cockroach) -> None:
    indexed.write("V2__index", INDEX.replace("INDEX", "INDEX IF NOT EXISTS"))
    assert await indexed.engine().migrate(1) == 1
    indexed.ask(INDEX)
    other = indexed.fake.jobs.add(described(indexed), "running", user_name="somebody")
    ended: list[Any] = []
    async with migrating(indexed, ended):
        await eventually(lambda: indexed.told(JobsAwaited))
        assert indexed.ledger() == [1]
        indexed.ask("DROP INDEX t_i")  # the other's change fails and is rolled back
        other.to("failed", error="the disk is full")
    assert ended == [1]
    assert {j.job_id for event in indexed.told(JobsAwaited) for j in event.jobs} == {other.job_id}
    assert len(indexed.sent("CREATE INDEX IF NOT EXISTS t_i")) == 2
    assert indexed.one("SELECT count(*) FROM pg_indexes WHERE indexname = 't_i'") == 1


async def test_if_not_exists_stops_at_a_job_that_is_paused(indexed: Cockroach) -> None:
    indexed.write("V2__index", INDEX.replace("INDEX", "INDEX IF NOT EXISTS"))
    other = indexed.fake.jobs.add(described(indexed), "paused", user_name="somebody")
    with pytest.raises(JobFailed) as caught:
        await indexed.engine().migrate()
    assert str(caught.value) == paused(other)
    assert indexed.ledger() == [1]


def paused(job: Job) -> str:
    """The message about a job that is paused."""
    return (
        f"V2__index.sql:1: its schema change did not succeed: job {job.job_id}, paused: "
        f"{job.description}.\n  It is paused: the change is neither done nor rolled back. Find out "
        f"why (a nearly full disk pauses back-fills), then RESUME JOB {job.job_id} or CANCEL JOB "
        f"{job.job_id}, and run "
        "again."
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [("failed", "the disk is full (XXUUU)"), ("canceled", "job canceled by user (XXUUU)")],
)
async def test_a_job_that_was_rolled_back_is_reported_with_its_id(
    indexed: Cockroach, status: str, said: str
) -> None:
    attachment = on_index(indexed)
    ended: list[Any] = []
    async with migrating(indexed, ended):
        job = await started(attachment)
        await eventually(seen(indexed, "running"))
        await anyio.to_thread.run_sync(indexed.ask, "DROP INDEX t_i")
        job.to(status, error="the disk is full" if status == "failed" else "")
    assert str(ended[0]) == (
        f"V2__index.sql:1: {INDEX} failed: {said}\n  Job {job.job_id} carried it out: {status}.\n"
        "  Nothing of version 2 was applied. Fix the file (or the rows) and migrate again."
    )
    assert indexed.ledger() == [1]
    assert indexed.free()
    indexed.fake.jobs.clear()
    assert await indexed.engine().migrate() == 1


async def test_a_job_that_could_not_be_rolled_back_needs_a_person(indexed: Cockroach) -> None:
    attachment = on_index(indexed)
    ended: list[Any] = []
    async with migrating(indexed, ended):
        job = await started(attachment)
        job.to("revert-failed", error="the disk is full")
    message = (
        f"V2__index.sql:1: its schema change did not succeed: job {job.job_id}, revert-failed: "
        f"{job.description}.\n  the disk is full\n  The server could not roll the change "
        f"back; manual repair is required. See the job's error (SHOW JOB {job.job_id}) and the server's "
        "support, then record what is true with manticore_resolve."
    )
    assert isinstance(ended[0], JobFailed)
    assert (str(ended[0]), ended[0].job_id, ended[0].status) == (
        message,
        job.job_id,
        "revert-failed",
    )
    assert indexed.ledger() == [1]
    with pytest.raises(JobFailed) as caught:
        await indexed.engine().migrate()
    assert str(caught.value) == message
    await indexed.engine().resolve.applied(2)
    assert indexed.ledger() == [1, 2]
    assert indexed.free()


async def test_a_paused_job_is_reported_at_once_and_ends_the_run_after_a_while(
    indexed: Cockroach, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (async_supervision, sync_supervision):
        monkeypatch.setattr(module, "PAUSED_GRACE", 0.3)
    attachment = on_index(indexed)
    ended: list[Any] = []
    async with migrating(indexed, ended):
        job = await started(attachment)
        job.to("paused")
    assert (str(ended[0]), ended[0].job_id, ended[0].status) == (paused(job), job.job_id, "paused")
    (warned,) = indexed.warnings()
    assert warned == paused(job).partition("did not succeed: ")[2].replace("\n ", "")
    record = indexed.record()
    assert (record["owner"], record["version"], record["in_flight"]) == (None, 2, True)

    with pytest.raises(JobFailed) as caught:
        await indexed.engine().migrate()
    assert str(caught.value) == paused(job)
    job.to("succeeded")
    indexed.fake.jobs.attached_to("")
    assert await indexed.engine().migrate() == 1
    assert [event.finding for event in indexed.told(Reconciled)] == [
        f"its job {job.job_id} succeeded"
    ]
    assert indexed.ledger() == [1, 2]
    assert indexed.free()


async def test_a_paused_job_that_is_resumed_continues(indexed: Cockroach) -> None:
    attachment = on_index(indexed)
    ended: list[Any] = []
    async with migrating(indexed, ended):
        job = await started(attachment)
        job.to("paused")
        await eventually(indexed.warnings)
        job.to("succeeded")
    assert ended == [2]
