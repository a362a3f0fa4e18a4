"""A script is one transaction on CockroachDB (mode=atomic): its schema changes outlive the COMMIT.

The transaction holds the mark that it was committed. Whoever finds the mark waits for the jobs before the
ledger moves.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from manticore_cockroachdb._executor._async import supervision as async_supervision
from manticore_cockroachdb._executor._sync import supervision as sync_supervision
from manticore_cockroachdb.errors import JobFailed, LeaseTimeout, MigrationFailed, OutcomeUnknown
from manticore_cockroachdb.events import Interrupted, JobsAwaited, StillRunning
from tests.fake_cockroach import drop_after, hold_answer
from tests.harness import Cockroach, Harness, eventually

SCRIPT = "-- manticore: mode=atomic\nCREATE INDEX t_v ON t (v);\nINSERT INTO lo VALUES (3);"
GIVEN_UP = (
    "V2__whole.sql: the transaction committed, but a schema change in it failed: one of "
    "its schema-change jobs failed\n"
    "  Part of version 2 exists and part does not, and it is not recorded as applied. Compare "
    "the schema with "
    "the file, fix one of them by hand, then record what is true with manticore_resolve --applied 2 or "
    "--not-applied 2. Without mode=atomic in the file, each schema statement is recorded separately and "
    "this cannot happen."
)


@pytest.fixture
async def committed(cockroach: Cockroach) -> Cockroach:
    """Version 2 will lose the answer to its COMMIT."""
    cockroach.write("V1__tables", "CREATE TABLE t (v INT8); CREATE TABLE lo (v INT8)")
    cockroach.write("V2__whole", SCRIPT)
    assert await cockroach.engine().migrate(1) == 1
    cockroach.fake.rule(
        lambda sql: sql == "COMMIT" and bool(cockroach.sent("INSERT INTO lo VALUES (3)")),
        then=drop_after(),
    )
    return cockroach


async def test_jobs_of_a_committed_script_are_awaited_when_its_answer_was_lost(
    committed: Cockroach,
) -> None:
    committed.fake.jobs.on("CREATE INDEX t_v", ["running"] * 4 + ["succeeded"], waits=False)
    assert await committed.engine().migrate() == 1
    assert {job.description for event in committed.told(JobsAwaited) for job in event.jobs} == {
        f"CREATE INDEX t_v ON {committed.place}.t (v)"
    }
    assert committed.ledger() == [1, 2]
    assert committed.ask("SELECT v FROM lo") == [(3,)]
    assert committed.free()


async def test_jobs_of_a_committed_down_section_are_awaited_too(cockroach: Cockroach) -> None:
    cockroach.write("V1__tables", "CREATE TABLE t (v INT8); CREATE TABLE lo (v INT8)")
    cockroach.write("V2__whole", f"{SCRIPT}\n-- DOWN\nDROP INDEX t_v;\nDELETE FROM lo WHERE v = 3;")
    assert await cockroach.engine().migrate() == 2
    cockroach.fake.jobs.on("DROP INDEX t_v", ["running"] * 4 + ["succeeded"], waits=False)
    cockroach.fake.rule(
        lambda sql: sql == "COMMIT" and bool(cockroach.sent("DELETE FROM lo WHERE v = 3")),
        then=drop_after(),
    )
    assert await cockroach.engine().rollback() == 1
    assert cockroach.told(JobsAwaited)
    assert cockroach.ledger() == [1]
    assert cockroach.ask("SELECT v FROM lo") == []
    assert cockroach.free()


@pytest.mark.parametrize("status", ["failed", "canceled"])
async def test_a_committed_script_is_not_recorded_over_a_failed_job(
    committed: Cockroach, status: str
) -> None:
    committed.fake.jobs.on("CREATE INDEX t_v", ["running", "running", status], waits=False)
    for _ in range(2):
        with pytest.raises(MigrationFailed) as failed:
            await committed.engine().migrate()
        assert str(failed.value) == GIVEN_UP
        assert committed.ledger() == [1]


async def test_a_committed_script_whose_jobs_are_no_longer_listed_is_left_to_a_person(
    committed: Cockroach,
) -> None:
    attachment = committed.fake.jobs.on("CREATE INDEX t_v", "paused", waits=False)
    with pytest.raises(MigrationFailed):
        await committed.engine().migrate()
    committed.fake.jobs.clear()
    assert attachment.jobs
    committed.ask("UPDATE _migrations_state SET sent_at = sent_at - INTERVAL '2 days'")
    with pytest.raises(OutcomeUnknown) as unknown:
        await committed.engine().migrate()
    assert str(unknown.value) == (
        "V2__whole.sql: its transaction was committed by a run that ended before its "
        "schema changes did, and the server no longer lists their jobs. It was not sent again, "
        "because it could "
        "take effect twice. Look at the database; if the statement took effect, finish the rest "
        "of the script by hand and record that version 2 is applied, or revert it by hand and record "
        "the opposite, with manticore_resolve --applied 2 or --not-applied 2."
    )
    assert committed.ledger() == [1]


async def test_the_lease_is_renewed_while_a_commit_waits_for_its_jobs(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__tables", "CREATE TABLE t (v INT8); CREATE TABLE lo (v INT8)")
    cockroach.write("V2__whole", SCRIPT)
    assert await cockroach.engine().migrate(1) == 1
    release = threading.Event()
    held = cockroach.fake.rule(
        lambda sql: sql == "COMMIT" and bool(cockroach.sent("INSERT INTO lo VALUES (3)")),
        then=hold_answer(release),
    )
    running = asyncio.create_task(migrated(cockroach))
    await eventually(lambda: held.fired > 0 and marked(cockroach))
    await stays_ours(cockroach)
    release.set()
    assert await running == 1
    assert cockroach.ledger() == [1, 2]


async def test_a_paused_job_of_a_whole_script_is_reported_and_ends_the_run_after_a_while(
    cockroach: Cockroach, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (async_supervision, sync_supervision):
        monkeypatch.setattr(module, "PAUSED_GRACE", 0.3)
    cockroach.write("V1__tables", "CREATE TABLE t (v INT8); CREATE TABLE lo (v INT8)")
    cockroach.write("V2__whole", SCRIPT)
    assert await cockroach.engine().migrate(1) == 1
    attachment = cockroach.fake.jobs.on("CREATE INDEX t_v", "paused", waits=False)
    release = threading.Event()
    cockroach.fake.rule(
        lambda sql: sql == "COMMIT" and bool(cockroach.sent("INSERT INTO lo VALUES (3)")),
        then=hold_answer(release),
    )
    with pytest.raises(JobFailed) as failed:
        await cockroach.engine(lease=1.0).migrate()
    release.set()
    (job,) = attachment.jobs
    said = (
        f"job {job.job_id}, paused: CREATE INDEX t_v ON {cockroach.place}.t (v).{{0}}It is "
        "paused: the change "
        "is neither done nor rolled back. Find out why (a nearly full disk pauses back-fills), "
        "then RESUME JOB "
        f"{job.job_id} or CANCEL JOB {job.job_id}, and run again."
    )
    assert str(failed.value) == (
        "V2__whole.sql: its schema change did not succeed: " + said.format("\n  ")
    )
    assert cockroach.warnings() == [said.format(" ")]
    assert cockroach.ledger() == [1]
    job.to("succeeded")
    assert await cockroach.engine().migrate() == 1
    assert cockroach.ask("SELECT v FROM lo") == [(3,)]
    assert cockroach.free()


@pytest.mark.parametrize("flavour", ["async"], indirect=True)
async def test_jobs_that_continue_when_a_commit_is_interrupted_are_reported(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__tables", "CREATE TABLE t (v INT8); CREATE TABLE lo (v INT8)")
    cockroach.write("V2__whole", SCRIPT)
    assert await cockroach.engine().migrate(1) == 1
    attachment = cockroach.fake.jobs.on("CREATE INDEX t_v", "running", waits=False)
    release = threading.Event()
    cockroach.fake.rule(
        lambda sql: sql == "COMMIT" and bool(cockroach.sent("INSERT INTO lo VALUES (3)")),
        then=hold_answer(release),
    )
    running = asyncio.create_task(migrated(cockroach))
    await eventually(lambda: any(event.jobs for event in cockroach.told(StillRunning)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    release.set()
    (stopped,) = cockroach.told(Interrupted)
    (job,) = attachment.jobs
    assert (stopped.done, stopped.step and stopped.step.version) == (0, 2)
    assert [each.job_id for each in stopped.jobs] == [job.job_id]
    job.to("succeeded")
    assert await cockroach.engine().migrate() == 1
    assert cockroach.ledger() == [1, 2]


@pytest.mark.needs_cockroachdb("schema changes that outlive their transaction")
async def test_the_lease_is_renewed_while_the_server_builds_an_index_in_a_commit(
    harness: Harness,
) -> None:
    harness.make_lockable_table()
    harness.write("V1__first", "CREATE TABLE first (i INT8)")
    assert await harness.engine().migrate() == 1
    harness.write(
        "V2__whole", f"-- manticore: mode=atomic\nCREATE INDEX gate_i ON {harness.gate} (i);"
    )
    async with harness.locked_table():
        running = asyncio.create_task(migrated(harness))
        await eventually(lambda: marked(harness))
        await stays_ours(harness)
    assert await running == 1
    assert harness.ledger() == [1, 2]


async def migrated(harness: Harness) -> int:
    """Run an engine whose lease is renewed soon, and lasts for the stalls of a busy machine."""
    count: int = await harness.engine(lease=6.0).migrate()
    return count


def marked(harness: Harness) -> bool:
    """Whether the run state says that the whole script is committed."""
    record = harness.record()
    return bool(record["statements_done"]) and record["in_flight"]


async def stays_ours(harness: Harness) -> None:
    """The lease is renewed, and nobody else gets it."""
    ends = harness.record()["expires_at"]
    later = f"SELECT expires_at > '{ends.isoformat()}'::TIMESTAMPTZ + INTERVAL '1 second' "
    await eventually(lambda: harness.one(f"{later} FROM _migrations_state"))
    with pytest.raises(LeaseTimeout):
        await harness.engine(lock_timeout=0.0).migrate()


@pytest.mark.needs_cockroachdb("schema changes that outlive their transaction")
async def test_the_ledger_waits_for_the_jobs_of_a_runner_that_was_cut_off(harness: Harness) -> None:
    harness.make_lockable_table()
    harness.write("V1__first", "CREATE TABLE first (i INT8)")
    assert await harness.engine().migrate() == 1
    harness.write(
        "V2__whole",
        f"-- manticore: mode=atomic\nCREATE INDEX gate_i ON {harness.gate} (i);\n"
        f"ALTER TABLE {harness.gate} ADD COLUMN w INT8;",
    )

    async def migrate() -> Any:
        return await harness.engine().migrate()

    async with harness.locked_table():
        running = asyncio.create_task(migrate())
        await eventually(lambda: marked(harness))
        session = harness.record()["session_id"]
        harness.ask(f"CANCEL SESSION '{session}'")
        await eventually(lambda: bool(harness.told(JobsAwaited)))
        assert harness.ledger() == [1]
    assert await running == 1
    assert harness.ledger() == [1, 2]
    assert harness.indexes(harness.gate) == ["gate_i"]
    assert harness.ask(f"SELECT w FROM {harness.gate}") == [(None,)]
    assert harness.free()
