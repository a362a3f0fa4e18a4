"""What the fake CockroachDB says and knows as CockroachDB does: variables, jobs, sessions."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import psycopg.crdb
import pytest
from psycopg import sql as compose

from tests.fake_cockroach import (
    V21_1,
    FakeCockroach,
    State,
)
from tests.fake_cockroach.clients import (
    V26_1,
    Connection,
    connected,
    rows,
)
from tests.waiting import PATIENCE

pytestmark = pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")


def test_it_reports_itself_as_cockroachdb(client: Connection) -> None:
    assert client.info.parameter_status("crdb_version") is not None
    assert client.info.server_version == 130000
    assert psycopg.crdb.CrdbConnection.is_crdb(client)
    assert client.execute("SHOW crdb_version").fetchone() == (
        "CockroachDB CCL v21.1.21 (x86_64-unknown-linux-gnu, built 2022/09/15 01:28:12, go1.15.14)",
    )
    version = client.execute("SELECT version()").fetchone()
    assert version is not None
    assert version[0].startswith("CockroachDB CCL v21.1.21")


def test_without_a_version_it_changes_nothing(database_url: str, direct: Connection) -> None:
    with (
        FakeCockroach(database_url, None) as fake_cockroach,
        connected(fake_cockroach.url) as client,
    ):
        assert client.info.parameter_status("crdb_version") is None
        assert client.info.server_version == direct.info.server_version
        with pytest.raises(psycopg.errors.SyntaxError):
            client.execute("SELECT * FROM [SHOW JOBS]")
        assert client.execute("SELECT pg_advisory_lock(1)").fetchone() == ("",)


def test_advisory_locks_are_stubs_as_on_cockroachdb(client: Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedFunction):
        client.execute("SELECT pg_advisory_lock(%s)", [1])
    assert client.execute("SELECT pg_try_advisory_lock(1)").fetchone() == (True,)


@pytest.mark.parametrize(("version", "name"), [(V21_1, "primary"), (V26_1, "{}_pkey")])
def test_every_table_has_its_primary_index(
    database_url: str, direct: Connection, version: str, name: str
) -> None:
    direct.execute("CREATE TABLE keyless (i INT)")
    direct.execute("CREATE INDEX i ON keyless (i)")
    with (
        FakeCockroach(database_url, version) as fake_cockroach,
        connected(fake_cockroach.url) as client,
    ):
        rows = client.execute(
            "SELECT p.tablename, p.indexname FROM pg_catalog.pg_indexes p "
            "WHERE schemaname = 'public' ORDER BY 1, 2"
        ).fetchall()
    assert sorted(rows) == sorted(
        [("keyless", "i"), ("keyless", name.format("keyless")), ("t", name.format("t"))]
    )


def test_before_v22_the_first_schema_change_must_precede_any_write(client: Connection) -> None:
    client.execute("BEGIN")
    client.execute("SELECT i FROM t WHERE i = 1 FOR UPDATE")
    with pytest.raises(psycopg.errors.FeatureNotSupported) as refused:
        client.execute("CREATE TABLE a (i INT)")
    client.execute("ROLLBACK")
    assert str(refused.value).splitlines()[0] == (
        "unimplemented: the first schema change statement in a transaction must precede any writes"
    )
    with client.transaction():
        client.execute("CREATE TABLE a (i INT)")
        client.execute("INSERT INTO t VALUES (1)")
        client.execute("CREATE INDEX ON a (i)")
    client.execute("INSERT INTO t VALUES (2)")
    client.execute("CREATE TABLE b (i INT)")


def test_later_it_need_not(database_url: str, direct: Connection) -> None:
    with (
        FakeCockroach(database_url, V26_1) as fake_cockroach,
        connected(fake_cockroach.url) as client,
    ):
        with client.transaction():
            client.execute("INSERT INTO t VALUES (1)")
            client.execute("CREATE TABLE a (i INT)")
        assert client.execute("SELECT i FROM t").fetchall() == [(1,)]


def test_it_passes_a_password_through(database_url: str, direct: Connection) -> None:
    role = f"fake_{os.getpid()}"
    direct.execute(
        compose.SQL("CREATE ROLE {} LOGIN PASSWORD 'se:c/r@t'").format(compose.Identifier(role))
    )
    try:
        url = psycopg.conninfo.make_conninfo(database_url, user=role, password="se:c/r@t")
        with FakeCockroach(url) as fake_cockroach, connected(fake_cockroach.url) as client:
            assert client.execute("SELECT current_user").fetchone() == (role,)
    finally:
        direct.execute(compose.SQL("DROP ROLE {}").format(compose.Identifier(role)))


def test_options_the_server_does_not_know_are_ignored_as_on_cockroachdb(
    fake_cockroach: FakeCockroach, database_url: str
) -> None:
    options = "-c nobody_knows=1 --cluster=tom-cat-1 -c statement_timeout=4321ms"
    with connected(fake_cockroach.url, options=options) as client:
        assert client.execute("SHOW statement_timeout").fetchone() == ("4321ms",)
    with (
        FakeCockroach(database_url, None) as transparent,
        pytest.raises(psycopg.OperationalError, match="nobody_knows"),
    ):
        psycopg.connect(transparent.url, options=options)


def test_session_variables_are_known_from_the_version_on_that_brought_them(
    client: Connection, database_url: str
) -> None:
    with pytest.raises(psycopg.errors.UndefinedObject):
        client.execute("SET autocommit_before_ddl = off")
    with FakeCockroach(database_url, V26_1) as newer:
        options = "-c create_table_with_schema_locked=off"
        with connected(newer.url, options=options) as client:
            assert client.execute("SHOW autocommit_before_ddl").fetchone() == ("on",)
            assert client.execute("SHOW create_table_with_schema_locked").fetchone() == ("off",)
            client.execute("SET autocommit_before_ddl = off")
            assert client.execute("SHOW autocommit_before_ddl").fetchone() == ("off",)
            client.execute("RESET ALL")
            assert client.execute("SHOW autocommit_before_ddl").fetchone() == ("on",)
            assert client.execute("SHOW create_table_with_schema_locked").fetchone() == ("off",)
            client.execute("SELECT set_config('autocommit_before_ddl', %s, false)", ["off"])
            shown = client.execute("SELECT current_setting('autocommit_before_ddl', true)")
            assert shown.fetchone() == ("off",)


def test_show_jobs_is_a_row_source_with_conditions_parameters_and_aliases(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    assert client.execute("SELECT job_id FROM [SHOW JOBS]").fetchall() == []
    long = "CREATE INDEX ti ON defaultdb.public.t (" + "v" * 100 + ")"
    first = fake_cockroach.jobs.add(
        "it's old", "succeeded", created=datetime.fromisoformat("2020-01-01")
    )
    second = fake_cockroach.jobs.add(
        long, State("running", "populating schema", 0.25), job_type="NEW SCHEMA CHANGE"
    )
    names = (
        "job_id, job_type, description, user_name, status, running_status, created, finished,"
        " fraction_completed, error"
    )
    (row,) = client.execute(
        f"SELECT {names} FROM [SHOW JOBS] WHERE created >= %s AND job_type = ANY(%s)",
        ["2021-01-01", ["SCHEMA CHANGE", "NEW SCHEMA CHANGE"]],
    ).fetchall()
    assert row[:6] == (
        second.job_id, "NEW SCHEMA CHANGE", long[:100], client.info.user, "running",
        "populating schema",
    )  # fmt: skip
    assert abs(row[6] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
    assert row[7:] == (None, 0.25, "")
    with client.pipeline():
        aliased = client.execute(
            "SELECT j.description FROM [SHOW JOBS] AS j WHERE j.created < %s", ["2021-01-01"]
        )
        by_id = client.execute("SELECT description FROM [SHOW JOB %s]", [second.job_id])
    assert aliased.fetchall() == [("it's old",)]
    assert by_id.fetchall() == [(long,)]
    whole = client.execute(f"SHOW JOB {first.job_id}").fetchone()
    assert whole is not None
    assert whole[:3] == (first.job_id, "SCHEMA CHANGE", "it's old")
    assert len(client.execute("SHOW JOBS").fetchall()) == 2


def test_show_jobs_of_a_select_gives_those_jobs_whole(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    long = "CREATE INDEX ti ON defaultdb.public.t (" + "v" * 100 + ")"
    fake_cockroach.jobs.add("AUTO", "running", job_type="AUTO CREATE STATS")
    job = fake_cockroach.jobs.add(long, ["running", "succeeded"])
    query = (
        "SELECT job_id, description, status FROM [SHOW JOBS SELECT job_id FROM [SHOW JOBS]"
        " WHERE job_type IN ('SCHEMA CHANGE')]"
    )
    assert client.execute(query).fetchall() == [(job.job_id, long, "running")]
    assert client.execute(query).fetchall() == [(job.job_id, long, "succeeded")]


def test_since_24_1_show_jobs_is_abridged(database_url: str) -> None:
    created = datetime.fromisoformat("2020-01-01 10:00:00.25")
    text = "CREATE INDEX ti ON defaultdb.public.t (" + "v" * 30 + ", last)"
    with FakeCockroach(database_url, V26_1) as newer, connected(newer.url) as client_of_newer:
        newer.jobs.add(text, created=created)
        shown = client_of_newer.execute("SELECT description, created FROM [SHOW JOBS]").fetchone()
    assert shown == (f"{text[:59]} … , last)", created.replace(microsecond=0))


def test_the_column_started_is_gone_since_25_3(client: Connection, database_url: str) -> None:
    client.execute("SELECT started FROM [SHOW JOBS]")
    with (
        FakeCockroach(database_url, V26_1) as newer,
        connected(newer.url) as client_of_newer,
        pytest.raises(psycopg.errors.UndefinedColumn),
    ):
        client_of_newer.execute("SELECT started FROM [SHOW JOBS]")


@pytest.mark.parametrize("prepare", [False, True])
def test_a_job_moves_on_by_its_script_at_each_look(
    fake_cockroach: FakeCockroach, client: Connection, prepare: bool
) -> None:
    job = fake_cockroach.jobs.add(
        "x", ["pending", State("running", fraction_completed=0.5), "succeeded"]
    )
    query = "SELECT status, fraction_completed FROM [SHOW JOBS] WHERE job_id = %s"
    seen = [client.execute(query, [job.job_id], prepare=prepare).fetchone() for _ in range(4)]
    assert seen == [("pending", 0.0), ("running", 0.5), ("succeeded", 1.0), ("succeeded", 1.0)]
    assert job.is_final
    assert job.finished is not None


def test_sessions_are_listed_and_cancelled(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    with connected(fake_cockroach.url, application_name="runner_process") as runner_process:
        listed = client.execute(
            "SELECT session_id FROM [SHOW CLUSTER SESSIONS] WHERE application_name = %s",
            ["runner_process"],
        ).fetchall()
        assert listed == [(str(runner_process.info.backend_pid),)]
        cancelled = client.execute(f"CANCEL SESSION '{listed[0][0]}'")
        assert cancelled.statusmessage == "CANCEL SESSIONS 1"
        assert cancelled.description is None
        with pytest.raises(psycopg.errors.AdminShutdown):
            runner_process.execute("SELECT 1")


def test_sessions_are_cancelled_by_query_in_a_pipeline(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    with connected(fake_cockroach.url, application_name="runner_process") as runner_process:
        with client.pipeline():
            cancelled = client.execute(
                "CANCEL SESSIONS"
                " (SELECT session_id FROM [SHOW SESSIONS] WHERE application_name = %s)",
                ["runner_process"],
            )
            one = client.execute("SELECT 1")
        assert cancelled.statusmessage == "CANCEL SESSIONS 1"
        assert one.fetchone() == (1,)
        with pytest.raises(psycopg.errors.AdminShutdown):
            runner_process.execute("SELECT 1")


def test_databases_are_listed(client: Connection) -> None:
    found = client.execute(
        "SELECT 1 FROM [SHOW DATABASES] WHERE database_name = %s", [client.info.dbname]
    )
    assert found.fetchall() == [(1,)]


def test_a_test_can_add_answers_and_rewrites(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    fake_cockroach.answers("SHOW RANGES", {"id": "int8", "name": "text"}, [(1, "a"), (2, None)])
    fake_cockroach.rewrite(r"\bUPSERT\b", "INSERT")
    assert client.execute("SHOW RANGES FROM TABLE t").fetchall() == [(1, "a"), (2, None)]
    assert client.execute("SHOW RANGES FROM %s, %s", ["t", 7]).fetchall() == [(1, "a"), (2, None)]
    client.execute("UPSERT INTO t VALUES (%s)", [1])
    assert rows(client) == [1]


def test_an_answer_waits_for_its_job(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection
) -> None:
    heard: list[str | None] = []
    client.add_notice_handler(lambda diag: heard.append(diag.message_primary))
    attached = fake_cockroach.jobs.on("CREATE INDEX", notice=True)
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(client.execute, "CREATE INDEX named\n  ON t (i);")
        job = attached.wait()
        with connected(fake_cockroach.url) as watcher:
            shown = watcher.execute("SELECT description, status FROM [SHOW JOBS]").fetchall()
        database = client.info.dbname
        assert shown == [(f"CREATE INDEX named ON {database}.public.t (i)", "running")]
        assert not creating.done()
        job.to("succeeded")
        creating.result(timeout=PATIENCE)
    assert heard == [f"waiting for job(s) to complete: {job.job_id}"]
    assert direct.execute("SELECT to_regclass('named')::text").fetchone() == ("named",)


def test_the_notice_of_a_job_comes_while_it_runs(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    heard = threading.Event()
    client.add_notice_handler(lambda diag: heard.set())
    attached = fake_cockroach.jobs.on("CREATE INDEX", notice=True)
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(client.execute, "CREATE INDEX named ON t (i)")
        assert heard.wait(PATIENCE)
        assert not creating.done()
        attached.wait().to("succeeded")
        creating.result(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("status", "sqlstate", "message"),
    [("failed", "23505", "duplicate key"), ("canceled", "XXUUU", "job canceled by user")],
)
def test_a_job_that_ends_badly_is_its_statements_error(
    fake_cockroach: FakeCockroach, client: Connection, status: str, sqlstate: str, message: str
) -> None:
    fake_cockroach.jobs.on(
        "CREATE INDEX", ["running", State(status, error="duplicate key")], sqlstate="23505"
    )
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(client.execute, "CREATE INDEX named ON t (i)")
        with connected(fake_cockroach.url) as watcher:
            deadline = time.monotonic() + PATIENCE
            while not creating.done():
                watcher.execute("SELECT status FROM [SHOW JOBS]")
                assert time.monotonic() < deadline
        with pytest.raises(psycopg.Error) as failed:
            creating.result()
    assert (failed.value.sqlstate, failed.value.diag.message_primary) == (sqlstate, message)
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_statement_the_server_refuses_fails_its_job(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    attached = fake_cockroach.jobs.on("CREATE INDEX")
    with pytest.raises(psycopg.errors.UndefinedTable):
        client.execute("CREATE INDEX named ON nowhere (i)")
    state = attached.wait().state
    assert (state.status, state.error) == ("failed", 'relation "nowhere" does not exist')


def test_a_client_that_dies_leaves_its_job_behind(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    attached = fake_cockroach.jobs.on("CREATE INDEX")
    client.pgconn.send_query(b"CREATE INDEX named ON t (i)")
    job = attached.wait()
    pid = client.info.backend_pid
    client.close()
    with connected(fake_cockroach.url) as other:
        deadline = time.monotonic() + PATIENCE
        gone = "SELECT count(*) FROM [SHOW SESSIONS] WHERE session_id = %s"
        while other.execute(gone, [str(pid)]).fetchone() != (0,):
            assert time.monotonic() < deadline
        assert other.execute("SELECT status FROM [SHOW JOBS]").fetchall() == [("running",)]
        assert not job.is_final


def test_every_schema_statement_makes_its_jobs_if_the_test_wants_it(
    fake_cockroach: FakeCockroach, client: Connection, database_url: str
) -> None:
    fake_cockroach.jobs.made_by_all = True
    database = client.info.dbname
    client.execute("CREATE TABLE u (i INT)")
    client.execute("ALTER TABLE u ADD n INT, ADD CHECK (i > 0)")
    with pytest.raises(psycopg.errors.UndefinedTable):
        client.execute("TRUNCATE nowhere")
    client.execute("DROP TABLE u")
    shown = client.execute("SELECT description, status FROM [SHOW JOBS]").fetchall()
    assert shown == [
        (f"ALTER TABLE {database}.public.u ADD COLUMN n INT8, ADD CHECK (i > 0)", "succeeded"),
        (f"TRUNCATE TABLE {database}.public.nowhere", "failed"),
        (f"DROP TABLE {database}.public.u", "succeeded"),
    ]
