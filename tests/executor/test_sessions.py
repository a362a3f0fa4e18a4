"""Sessions of runners: known by the server's own id, and never mistaken for a stranger's."""

from __future__ import annotations

from pathlib import Path

import anyio
import psycopg
import pytest

from manticore_cockroachdb import State
from manticore_cockroachdb.errors import (
    LeaseTimeout,
)
from manticore_cockroachdb.events import LeaseAwaited, LeaseTaken, Reconnecting, SessionAwaited
from tests.fake_cockroach import FakeCockroach, drop_during
from tests.flavors import Flavour
from tests.harness import Cockroach, Harness, eventually, fails


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_runner_whose_script_renames_its_session_is_still_seen(any_mode: Harness) -> None:
    any_mode.ask(f"CREATE TABLE {any_mode.gate} AS SELECT 1 AS i")
    any_mode.write(
        "V1__gate",
        "CREATE TABLE t (i INT8);\nSET application_name = 'x';\n"
        f"CREATE TABLE u AS SELECT * FROM {any_mode.gate}",
    )
    async with anyio.create_task_group() as group, any_mode.locked_table():
        group.start_soon(any_mode.engine().migrate)
        await eventually(any_mode.waits_for_lock)
        (taken,) = any_mode.told(LeaseTaken)
        # As if its host had died: nothing renews the lease, and only its session is still at work.
        watchers = f"application_name LIKE '{taken.owner}/watch%'"
        with pytest.raises(LeaseTimeout) as caught:
            await any_mode.engine().resolve.unlock()
        assert f"{taken.owner} holds the lease and is alive: its session " in str(caught.value)
        assert any_mode.one(f"SELECT count(*) FROM pg_stat_activity WHERE {watchers}") in (0, 1)
        known = await any_mode.engine().resolve.known()
        at_gate = any_mode.one(
            f"SELECT pid::TEXT FROM pg_locks WHERE NOT granted AND relation = '{any_mode.gate}'::regclass"
        )
        assert at_gate in known.sessions
    assert any_mode.ledger() == [1]


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_the_session_of_a_dead_runner_is_waited_for_whatever_its_name(
    harness: Harness,
) -> None:
    harness.write("V1__t", "CREATE TABLE t (i INT8)")
    await harness.engine().initialize()
    with psycopg.connect(harness.direct, autocommit=True, application_name="x") as ghost:
        ((session_id,),) = ghost.execute(
            "SELECT pid::TEXT || '@' || ((extract(epoch FROM backend_start) * 1000000)::INT8)::TEXT "
            "FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchall()
        harness.ask(
            "INSERT INTO _migrations_state (id, owner, epoch, version, direction, statements_done, "
            "in_flight, sent_at, sent_by, sent_session) VALUES (1, NULL, 7, 1, 'up', 0, true, now(), "
            f"'ghost:1:aa/1', '{session_id}')"
        )
        with pytest.raises(LeaseTimeout) as caught:
            await harness.engine(lock_timeout=0.5, mode="autocommit").migrate()
        assert f"The session {ghost.info.backend_pid} (ghost:1:aa/1) of the runner" in str(
            caught.value
        )
        assert len(harness.told(SessionAwaited)) >= 1
    assert await harness.engine(mode="autocommit").migrate() == 1


async def test_an_older_run_state_is_taken_over_in_place(any_mode: Harness) -> None:
    any_mode.ask(
        "CREATE TABLE _migrations_state (id INT8 PRIMARY KEY, owner TEXT, epoch INT8 NOT NULL, "
        "acquired_at TIMESTAMPTZ, expires_at TIMESTAMPTZ, version INT8, direction TEXT, segment INT8, "
        "in_flight BOOL NOT NULL DEFAULT false, sent_at TIMESTAMPTZ, done_hash TEXT, error TEXT, "
        "sent_by TEXT, evidence INT8)"
    )
    any_mode.ask("INSERT INTO _migrations_state (id, epoch) VALUES (1, 41)")
    any_mode.write("V1__t", "CREATE TABLE t (i INT8)")
    assert [s.state for s in await any_mode.engine().status()] == [State.PENDING]
    assert await any_mode.engine().migrate() == 1
    record = any_mode.record()
    assert (record["epoch"], record["session_id"], record["sent_session"]) == (42, None, None)
    assert record["home"] == "public"


async def test_what_an_older_run_left_unfinished_is_finished(stepwise: Harness) -> None:
    stepwise.write("V1__t", "CREATE TABLE t (i INT8);\nINSERT INTO nowhere VALUES (1)")
    await fails(stepwise)
    stepwise.ask("ALTER TABLE _migrations_state RENAME COLUMN statements_done TO segment")
    stepwise.write("V1__t", "CREATE TABLE t (i INT8);\nINSERT INTO t VALUES (1)")
    assert [s.state for s in await stepwise.engine().status()] == [State.PARTIALLY_APPLIED]
    assert await stepwise.engine().migrate() == 1
    assert stepwise.ask("SELECT i FROM t") == [(1,)]


async def test_a_node_that_does_not_answer_is_not_taken_for_a_session_that_is_gone(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__t", "CREATE TABLE t (i INT8)")
    await cockroach.engine().initialize()
    cockroach.ask(
        "INSERT INTO _migrations_state (id, epoch, version, direction, statements_done, in_flight, "
        "sent_at, sent_by) VALUES (1, 7, 1, 'up', 0, true, now(), 'ghost:1:aa/1')"
    )
    columns = {"node_id": "int8", "session_id": "text", "application_name": "text"}
    rule = r"\[SHOW SESSIONS\]"
    cockroach.fake.answers(rule, columns, [(3, None, None)])
    cockroach.fake.rewrite(
        r"SELECT \* FROM \((.*)\) AS scripted.*",
        r"SELECT coalesce(session_id, 'on node ' || node_id), coalesce(application_name, '') "
        r"FROM (\1) AS s WHERE $1::TEXT IS NOT NULL",
    )
    with pytest.raises(LeaseTimeout) as caught:
        await cockroach.engine(lock_timeout=0.5).migrate()
    assert "The session on node 3 (ghost:1:aa/1) of the runner before this one" in str(caught.value)


# -- our own sessions -----------------------------------------------------------------------------


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_run_does_not_wait_for_itself_as_for_a_stranger(
    flavour: Flavour, database_url: str, tmp_path: Path
) -> None:
    with FakeCockroach(database_url, cockroach=None) as fake_cockroach:
        for mode in ("atomic", "stepwise"):
            harness = Harness(flavour, fake_cockroach.url, database_url, tmp_path / mode, mode=mode)
            harness.ask("DROP TABLE IF EXISTS t, _migrations, _migrations_state")
            harness.write("V1__t", "CREATE TABLE t (i INT8);\nSELECT pg_sleep(2.5);")
            fake_cockroach.rule("SELECT pg_sleep", then=drop_during())
            assert await harness.engine(lock_timeout=0).migrate() == 1
            assert len(harness.told(Reconnecting)) == 1
            assert harness.ledger() == [1]
            assert harness.free()


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_lease_that_was_taken_when_nobody_read_the_answer_is_released(
    harness: Harness,
) -> None:
    if harness.flavour.name == "sync":
        pytest.skip("a thread cannot be cancelled")
    harness.write("V1__t", "CREATE TABLE t (i INT8)")
    await harness.engine().initialize()
    harness.ask("INSERT INTO _migrations_state (id, epoch) VALUES (1, 1)")
    async with await psycopg.AsyncConnection.connect(harness.direct) as holder:
        await holder.execute("SELECT 1 FROM _migrations_state FOR UPDATE")
        async with anyio.create_task_group() as group:
            group.start_soon(harness.engine().migrate)

            def upsert_waits() -> bool:
                waiting = (
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                    "AND datname = current_database() AND query LIKE '%_migrations_state%'"
                )
                return bool(harness.one(waiting))

            await eventually(upsert_waits)
            await holder.commit()
            group.cancel_scope.cancel()
    assert harness.record()["owner"] is None
    assert await harness.engine(lock_timeout=0).migrate() in (0, 1)
    assert harness.told(LeaseAwaited) == []
