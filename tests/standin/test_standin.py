"""The stand-in itself, seen by psycopg: simple, extended, prepared, pipelined and asynchronous."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import psycopg.crdb
import pytest
from psycopg import sql as compose

from tests.standin import (
    StandIn,
    State,
    When,
    drop_after,
    drop_before,
    drop_during,
    error,
    error_after,
    fatal,
    hold,
    hold_answer,
    notice,
)

pytestmark = pytest.mark.needs_postgresql

Connection = psycopg.Connection[Any]
V26_1 = "CockroachDB CCL v26.1.0 (x86_64-pc-linux-gnu, built 2026/02/02 10:00:00, go1.25.5)"
INSERTED = "INSERT INTO t VALUES"
_SET = threading.Event()
_SET.set()
Run = Callable[[Connection, int], None]


def simple(connection: Connection, value: int) -> None:
    connection.execute(compose.SQL("INSERT INTO t VALUES ({})").format(value))


def extended(connection: Connection, value: int) -> None:
    connection.execute("INSERT INTO t VALUES (%s)", [value])


def prepared(connection: Connection, value: int) -> None:
    connection.execute("INSERT INTO t VALUES (%s)", [value], prepare=True)


def pipelined(connection: Connection, value: int) -> None:
    with connection.pipeline():
        connection.execute("INSERT INTO t VALUES (%s)", [value])


def fetched(connection: Connection, value: int) -> None:
    with connection.pipeline():
        connection.execute("INSERT INTO t VALUES (%s) RETURNING i", [value]).fetchone()


def asynchronous(connection: Connection, value: int) -> None:
    async def insert() -> None:
        made = await psycopg.AsyncConnection.connect(
            connection.info.dsn, password=connection.info.password, autocommit=True
        )
        try:
            await made.execute("INSERT INTO t VALUES (%s)", [value])
        finally:
            await made.close()

    asyncio.run(insert())


every_form = pytest.mark.parametrize(
    "insert", [simple, extended, prepared, pipelined, fetched, asynchronous]
)
sync_forms = pytest.mark.parametrize("insert", [simple, extended, prepared, pipelined])


@contextmanager
def connected(url: str, *, autocommit: bool = True, **options: Any) -> Iterator[Connection]:
    connection = psycopg.connect(url, autocommit=autocommit, **options)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture(autouse=True)
def _nothing_hangs() -> Iterator[None]:
    """Turns a wait that never ends into a failure."""

    def expired(*_: object) -> None:
        raise TimeoutError("the test hangs")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(int(os.environ.get("STANDIN_TEST_SECONDS", "60")))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def direct(database_url: str) -> Iterator[Connection]:
    """Past the stand-in, straight to the server; holds the table `t (i)`."""
    with connected(database_url) as connection:
        connection.execute("CREATE TABLE t (i INT PRIMARY KEY)")
        yield connection


@pytest.fixture
def standin(database_url: str, direct: Connection) -> Iterator[StandIn]:
    with StandIn(database_url) as running:
        yield running


@pytest.fixture
def client(standin: StandIn) -> Iterator[Connection]:
    with connected(standin.url) as connection:
        standin.reset()
        yield connection


def rows(connection: Connection) -> list[int]:
    return [i for (i,) in connection.execute("SELECT i FROM t ORDER BY i")]


def sqls(standin: StandIn) -> list[str]:
    return [seen.sql for seen in standin.statements]


# What it is


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
    with StandIn(database_url, None) as standin, connected(standin.url) as client:
        assert client.info.parameter_status("crdb_version") is None
        assert client.info.server_version == direct.info.server_version
        with pytest.raises(psycopg.errors.SyntaxError):
            client.execute("SELECT * FROM [SHOW JOBS]")
        assert client.execute("SELECT pg_advisory_lock(1)").fetchone() == ("",)


def test_advisory_locks_are_stubs_as_on_cockroachdb(client: Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedFunction):
        client.execute("SELECT pg_advisory_lock(%s)", [1])
    assert client.execute("SELECT pg_try_advisory_lock(1)").fetchone() == (True,)


def test_it_passes_a_password_through(database_url: str, direct: Connection) -> None:
    role = f"standin_{os.getpid()}"
    direct.execute(
        compose.SQL("CREATE ROLE {} LOGIN PASSWORD 'se:c/r@t'").format(compose.Identifier(role))
    )
    try:
        url = psycopg.conninfo.make_conninfo(database_url, user=role, password="se:c/r@t")
        with StandIn(url) as standin, connected(standin.url) as client:
            assert client.execute("SELECT current_user").fetchone() == (role,)
    finally:
        direct.execute(compose.SQL("DROP ROLE {}").format(compose.Identifier(role)))


def test_options_the_server_does_not_know_are_ignored_as_on_cockroachdb(
    standin: StandIn, database_url: str
) -> None:
    options = "-c nobody_knows=1 --cluster=tom-cat-1 -c statement_timeout=4321ms"
    with connected(standin.url, options=options) as client:
        assert client.execute("SHOW statement_timeout").fetchone() == ("4321ms",)
    with (
        StandIn(database_url, None) as transparent,
        pytest.raises(psycopg.OperationalError, match="nobody_knows"),
    ):
        psycopg.connect(transparent.url, options=options)


def test_session_variables_are_known_from_the_version_on_that_brought_them(
    client: Connection, database_url: str
) -> None:
    with pytest.raises(psycopg.errors.UndefinedObject):
        client.execute("SET autocommit_before_ddl = off")
    with StandIn(database_url, V26_1) as newer:
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


# What CockroachDB alone knows


def test_show_jobs_is_a_row_source_with_conditions_parameters_and_aliases(
    standin: StandIn, client: Connection
) -> None:
    assert client.execute("SELECT job_id FROM [SHOW JOBS]").fetchall() == []
    long = "CREATE INDEX ti ON defaultdb.public.t (" + "v" * 100 + ")"
    first = standin.jobs.add("it's old", "succeeded", created=datetime(2020, 1, 1))
    second = standin.jobs.add(
        long, State("running", "populating schema", 0.25), job_type="NEW SCHEMA CHANGE"
    )
    names = (
        "job_id, job_type, description, user_name, status, running_status, created, finished,"
        " fraction_completed, error"
    )
    (row,) = client.execute(
        f"SELECT {names} FROM [SHOW JOBS] WHERE created >= %s AND job_type = ANY(%s)",
        [datetime(2021, 1, 1), ["SCHEMA CHANGE", "NEW SCHEMA CHANGE"]],
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


def test_the_column_started_is_gone_since_25_3(client: Connection, database_url: str) -> None:
    client.execute("SELECT started FROM [SHOW JOBS]")
    with (
        StandIn(database_url, V26_1) as newer,
        connected(newer.url) as client_of_newer,
        pytest.raises(psycopg.errors.UndefinedColumn),
    ):
        client_of_newer.execute("SELECT started FROM [SHOW JOBS]")


@pytest.mark.parametrize("prepare", [False, True])
def test_a_job_moves_on_by_its_script_at_each_look(
    standin: StandIn, client: Connection, prepare: bool
) -> None:
    job = standin.jobs.add("x", ["pending", State("running", fraction_completed=0.5), "succeeded"])
    query = "SELECT status, fraction_completed FROM [SHOW JOBS] WHERE job_id = %s"
    seen = [client.execute(query, [job.job_id], prepare=prepare).fetchone() for _ in range(4)]
    assert seen == [("pending", 0.0), ("running", 0.5), ("succeeded", 1.0), ("succeeded", 1.0)]
    assert job.is_final
    assert job.finished is not None


def test_sessions_are_listed_and_cancelled(standin: StandIn, client: Connection) -> None:
    with connected(standin.url, application_name="victim") as victim:
        listed = client.execute(
            "SELECT session_id FROM [SHOW CLUSTER SESSIONS] WHERE application_name = %s", ["victim"]
        ).fetchall()
        assert listed == [(str(victim.info.backend_pid),)]
        cancelled = client.execute(f"CANCEL SESSION '{listed[0][0]}'")
        assert cancelled.statusmessage == "CANCEL SESSIONS 1"
        assert cancelled.description is None
        with pytest.raises(psycopg.errors.AdminShutdown):
            victim.execute("SELECT 1")


def test_sessions_are_cancelled_by_query_in_a_pipeline(
    standin: StandIn, client: Connection
) -> None:
    with connected(standin.url, application_name="victim") as victim:
        with client.pipeline():
            cancelled = client.execute(
                "CANCEL SESSIONS (SELECT session_id FROM [SHOW SESSIONS] WHERE application_name = %s)",
                ["victim"],
            )
            one = client.execute("SELECT 1")
        assert cancelled.statusmessage == "CANCEL SESSIONS 1"
        assert one.fetchone() == (1,)
        with pytest.raises(psycopg.errors.AdminShutdown):
            victim.execute("SELECT 1")


def test_databases_are_listed(client: Connection) -> None:
    found = client.execute(
        "SELECT 1 FROM [SHOW DATABASES] WHERE database_name = %s", [client.info.dbname]
    )
    assert found.fetchall() == [(1,)]


def test_a_test_can_add_answers_and_rewrites(standin: StandIn, client: Connection) -> None:
    standin.answers("SHOW RANGES", {"id": "int8", "name": "text"}, [(1, "a"), (2, None)])
    standin.rewrite(r"\bUPSERT\b", "INSERT")
    assert client.execute("SHOW RANGES FROM TABLE t").fetchall() == [(1, "a"), (2, None)]
    assert client.execute("SHOW RANGES FROM %s, %s", ["t", 7]).fetchall() == [(1, "a"), (2, None)]
    client.execute("UPSERT INTO t VALUES (%s)", [1])
    assert rows(client) == [1]


# Faults


@every_form
def test_dropped_before_it_reached_the_server(
    standin: StandIn, client: Connection, direct: Connection, insert: Run
) -> None:
    rule = standin.rule(INSERTED, then=drop_before())
    with pytest.raises(psycopg.OperationalError):
        insert(client, 1)
    assert rule.fired == 1
    assert rows(direct) == []


@every_form
def test_dropped_after_the_server_did_it(
    standin: StandIn, client: Connection, direct: Connection, insert: Run
) -> None:
    rule = standin.rule(INSERTED, then=drop_after())
    with pytest.raises(psycopg.OperationalError):
        insert(client, 1)
    assert rule.fired == 1
    # A pipeline that fetches asks by a Flush: the Sync that would commit has not come yet.
    assert rows(direct) == ([] if insert is fetched else [1])


@every_form
def test_failed_instead_of_run(
    standin: StandIn, client: Connection, direct: Connection, insert: Run
) -> None:
    standin.rule(INSERTED, nth=1, then=error("40001", "restart transaction", detail="why"))
    with pytest.raises(psycopg.errors.SerializationFailure) as failed:
        insert(client, 1)
    assert failed.value.diag.message_primary == "restart transaction"
    assert failed.value.diag.message_detail == "why"
    assert rows(direct) == []
    insert(client, 1)
    assert rows(direct) == [1]


@every_form
def test_done_but_reported_as_failed(
    standin: StandIn, client: Connection, direct: Connection, insert: Run
) -> None:
    standin.rule(
        INSERTED, then=error_after("XXA00", "transaction committed but schema change aborted")
    )
    with pytest.raises(psycopg.InternalError) as failed:
        insert(client, 1)
    assert failed.value.sqlstate == "XXA00"
    assert client.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert rows(direct) == [1]
    insert(client, 2)
    assert rows(direct) == [1, 2]


@sync_forms
def test_an_error_after_in_a_transaction_aborts_it(
    standin: StandIn, client: Connection, direct: Connection, insert: Run
) -> None:
    standin.rule(INSERTED, then=error_after("40003"))
    with pytest.raises(psycopg.errors.StatementCompletionUnknown), client.transaction():
        insert(client, 1)
    assert rows(direct) == []
    insert(client, 2)
    assert rows(direct) == [2]


def test_a_real_error_is_not_hidden_by_an_error_after(standin: StandIn, client: Connection) -> None:
    client.execute("INSERT INTO t VALUES (1)")
    standin.rule(INSERTED, then=error_after("40003"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        client.execute("INSERT INTO t VALUES (%s)", [1])
    client.execute("INSERT INTO t VALUES (%s)", [2])


@sync_forms
def test_a_commit_that_fails_has_rolled_back_and_ended_its_transaction(
    standin: StandIn, client: Connection, direct: Connection, insert: Run
) -> None:
    standin.rule("^COMMIT", then=error("40001"))
    client.execute("BEGIN")
    insert(client, 1)
    with pytest.raises(psycopg.errors.SerializationFailure):
        client.execute("COMMIT")
    assert client.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    insert(client, 2)
    assert rows(direct) == [2]


@pytest.mark.parametrize(
    ("then", "wanted"),
    [(error("40001"), []), (error_after("40003"), [1]), (drop_before(), []), (drop_after(), [1])],
)
def test_faults_at_the_commit_of_a_pipeline_of_one_round_trip(
    standin: StandIn, client: Connection, direct: Connection, then: Any, wanted: list[int]
) -> None:
    standin.rule("^COMMIT", then=then)
    with pytest.raises(psycopg.OperationalError), client.pipeline():
        for sql in ("BEGIN", "INSERT INTO t VALUES (1)", "COMMIT", "INSERT INTO t VALUES (2)"):
            client.execute(sql)
    assert rows(direct) == wanted
    if not client.closed:
        assert client.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert rows(client) == wanted


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_pipeline_of_transactions_is_cut_exactly_where_asked(
    standin: StandIn, client: Connection, direct: Connection, k: int, when: str
) -> None:
    texts = ["BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"]
    texts += ["BEGIN", "INSERT INTO t VALUES (2)", "COMMIT", "SELECT 1"]
    rule = standin.cut_at(k, when)
    with pytest.raises(psycopg.OperationalError), client.pipeline():
        for sql in texts:
            client.execute(sql)
    assert rule.fired == 1
    done = texts[: k - 1] if when == "before" else texts[:k]
    assert rows(direct) == list(range(1, done.count("COMMIT") + 1))


def test_a_fatal_error_says_why_the_connection_ended(
    standin: StandIn, client: Connection, direct: Connection
) -> None:
    standin.rule(INSERTED, then=fatal("57P01", when=When.AFTER))
    with pytest.raises(psycopg.errors.AdminShutdown, match="terminating connection"):
        client.execute("INSERT INTO t VALUES (1)")
    assert client.closed
    assert rows(direct) == [1]


def test_dropped_while_the_server_goes_on_working(
    standin: StandIn, client: Connection, direct: Connection
) -> None:
    rule = standin.rule("CREATE INDEX", then=drop_during())
    pid = client.info.backend_pid
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    with direct.transaction():
        direct.execute("LOCK TABLE t IN ROW EXCLUSIVE MODE")
        with pytest.raises(psycopg.OperationalError):
            client.execute("CREATE INDEX named ON t (i)")
        assert direct.execute(alive, [pid]).fetchone() == (1,)
        assert direct.execute("SELECT to_regclass('named')").fetchone() == (None,)
    deadline = time.monotonic() + 20
    while direct.execute(alive, [pid]).fetchone() != (0,):
        assert time.monotonic() < deadline
    assert direct.execute("SELECT to_regclass('named')::text").fetchone() == ("named",)
    assert rule.fired == 1


@every_form
def test_held_on_its_way_to_the_server(
    standin: StandIn, client: Connection, direct: Connection, insert: Run
) -> None:
    event = threading.Event()
    rule = standin.rule(INSERTED, then=hold(event))
    with ThreadPoolExecutor(1) as pool:
        inserting = pool.submit(insert, client, 1)
        rule.wait()
        assert rows(direct) == []
        assert not inserting.done()
        event.set()
        inserting.result(timeout=20)
    assert rows(direct) == [1]


@every_form
def test_held_on_its_way_back(
    standin: StandIn, client: Connection, direct: Connection, insert: Run
) -> None:
    event = threading.Event()
    rule = standin.rule(INSERTED, then=hold_answer(event))
    with ThreadPoolExecutor(1) as pool:
        inserting = pool.submit(insert, client, 1)
        rule.wait()
        assert rows(direct) == ([] if insert is fetched else [1])
        assert not inserting.done()
        event.set()
        inserting.result(timeout=20)
    assert rows(direct) == [1]


def test_a_held_statement_arrives_although_its_client_is_gone(
    standin: StandIn, client: Connection, direct: Connection
) -> None:
    event = threading.Event()
    rule = standin.rule(INSERTED, then=hold(event))
    client.pgconn.send_query_params(b"INSERT INTO t VALUES ($1)", [b"1"])
    client.pgconn.flush()
    rule.wait()
    client.close()
    assert rows(direct) == []
    event.set()
    deadline = time.monotonic() + 20
    while rows(direct) != [1]:
        assert time.monotonic() < deadline


@sync_forms
def test_a_notice_comes_before_the_result(
    standin: StandIn, client: Connection, insert: Run
) -> None:
    heard: list[str | None] = []
    client.add_notice_handler(lambda diag: heard.append(diag.message_primary))
    standin.rule(INSERTED, then=notice("hear"))
    insert(client, 1)
    assert heard == ["hear"]
    assert rows(client) == [1]


def test_the_nth_match_of_all_connections_counts(standin: StandIn, direct: Connection) -> None:
    rule = standin.rule(lambda sql: INSERTED in sql, nth=3, then=error("40001"))
    always = standin.rule("SELECT 7", nth=None, then=error("XX000"))
    with connected(standin.url) as one, connected(standin.url) as other:
        simple(one, 1)
        extended(other, 2)
        with pytest.raises(psycopg.errors.SerializationFailure):
            simple(one, 3)
        pipelined(other, 4)
        for _ in range(2):
            with pytest.raises(psycopg.errors.InternalError_):
                one.execute("SELECT 7")
    assert (rule.seen, rule.fired, always.fired) == (4, 1, 2)
    assert rows(direct) == [1, 2, 4]


@pytest.mark.parametrize(
    ("then", "done"),
    [
        (None, True),
        (drop_before(), False),
        (drop_after(), True),
        (error("40001"), False),
        (error_after("40003"), True),
    ],
)
def test_copy_passes_and_fails_like_other_statements(
    standin: StandIn, client: Connection, direct: Connection, then: Any, done: bool
) -> None:
    if then is not None:
        standin.rule("^COPY", then=then)

    def copy() -> None:
        with client.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as rows_in:
            for value in range(3):
                rows_in.write_row([value])

    if then is None:
        copy()
    else:
        with pytest.raises(psycopg.OperationalError):
            copy()
    assert rows(direct) == ([0, 1, 2] if done else [])


@pytest.mark.parametrize(
    ("then", "done"),
    [(None, True), (drop_after(), True), (error("40001"), False), (hold_answer(_SET), True)],
)
def test_copy_in_the_extended_protocol(
    standin: StandIn, client: Connection, direct: Connection, then: Any, done: bool
) -> None:
    if then is not None:
        standin.rule("^COPY", then=then)
    statuses = []
    client.pgconn.send_query_params(b"COPY t FROM STDIN", None)
    result = client.pgconn.get_result()
    assert result is not None
    statuses.append(result.status)
    if result.status == psycopg.pq.ExecStatus.COPY_IN:
        client.pgconn.put_copy_data(b"1\n2\n")
        client.pgconn.put_copy_end()
        result = client.pgconn.get_result()
        assert result is not None
        statuses.append(result.status)
    last = statuses[-1]
    if then is None or then == hold_answer(_SET):
        assert last == psycopg.pq.ExecStatus.COMMAND_OK
    else:
        assert last == psycopg.pq.ExecStatus.FATAL_ERROR
    assert rows(direct) == ([1, 2] if done else [])


# Jobs beside statements


def test_an_answer_waits_for_its_job(
    standin: StandIn, client: Connection, direct: Connection
) -> None:
    heard: list[str | None] = []
    client.add_notice_handler(lambda diag: heard.append(diag.message_primary))
    attached = standin.jobs.on("CREATE INDEX", notice=True)
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(client.execute, "CREATE INDEX named\n  ON t (i);")
        job = attached.wait()
        with connected(standin.url) as watcher:
            shown = watcher.execute("SELECT description, status FROM [SHOW JOBS]").fetchall()
        assert shown == [("CREATE INDEX named ON t (i)", "running")]
        assert not creating.done()
        job.to("succeeded")
        creating.result(timeout=20)
    assert heard == [f"waiting for job(s) to complete: {job.job_id}"]
    assert direct.execute("SELECT to_regclass('named')::text").fetchone() == ("named",)


def test_the_notice_of_a_job_comes_while_it_runs(standin: StandIn, client: Connection) -> None:
    heard = threading.Event()
    client.add_notice_handler(lambda diag: heard.set())
    attached = standin.jobs.on("CREATE INDEX", notice=True)
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(client.execute, "CREATE INDEX named ON t (i)")
        assert heard.wait(20)
        assert not creating.done()
        attached.wait().to("succeeded")
        creating.result(timeout=20)


@pytest.mark.parametrize(
    ("status", "sqlstate", "message"),
    [("failed", "23505", "duplicate key"), ("canceled", "XXUUU", "job canceled by user")],
)
def test_a_job_that_ends_badly_is_its_statements_error(
    standin: StandIn, client: Connection, status: str, sqlstate: str, message: str
) -> None:
    standin.jobs.on(
        "CREATE INDEX", ["running", State(status, error="duplicate key")], sqlstate="23505"
    )
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(client.execute, "CREATE INDEX named ON t (i)")
        with connected(standin.url) as watcher:
            deadline = time.monotonic() + 20
            while not creating.done():
                watcher.execute("SELECT status FROM [SHOW JOBS]")
                assert time.monotonic() < deadline
        with pytest.raises(psycopg.Error) as failed:
            creating.result()
    assert (failed.value.sqlstate, failed.value.diag.message_primary) == (sqlstate, message)
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_statement_the_server_refuses_fails_its_job(standin: StandIn, client: Connection) -> None:
    attached = standin.jobs.on("CREATE INDEX")
    with pytest.raises(psycopg.errors.UndefinedTable):
        client.execute("CREATE INDEX named ON nowhere (i)")
    state = attached.wait().state
    assert (state.status, state.error) == ("failed", 'relation "nowhere" does not exist')


def test_a_client_that_dies_leaves_its_job_behind(standin: StandIn, client: Connection) -> None:
    attached = standin.jobs.on("CREATE INDEX")
    client.pgconn.send_query(b"CREATE INDEX named ON t (i)")
    job = attached.wait()
    pid = client.info.backend_pid
    client.close()
    with connected(standin.url) as other:
        deadline = time.monotonic() + 20
        gone = "SELECT count(*) FROM [SHOW SESSIONS] WHERE session_id = %s"
        while other.execute(gone, [str(pid)]).fetchone() != (0,):
            assert time.monotonic() < deadline
        assert other.execute("SELECT status FROM [SHOW JOBS]").fetchall() == [("running",)]
        assert not job.is_final


# What it counts


def test_it_notes_every_statement_with_its_connection(standin: StandIn) -> None:
    with connected(standin.url, application_name="one") as one:
        simple(one, 1)
        with connected(standin.url, application_name="two") as two:
            prepared(two, 2)
            prepared(two, 3)
        one.execute("SET application_name = 'uno'")
        pipelined(one, 4)
    seen = [(s.sql, s.connection, s.application_name) for s in standin.statements]
    first, second = sorted(standin.traffic)
    assert seen == [
        ("INSERT INTO t VALUES (1)", first, "one"),
        ("INSERT INTO t VALUES ($1)", second, "two"),
        ("INSERT INTO t VALUES ($1)", second, "two"),
        ("SET application_name = 'uno'", first, "one"),
        ("INSERT INTO t VALUES ($1)", first, "uno"),
    ]
    assert standin.connections == 2


def test_it_counts_round_trips(standin: StandIn, client: Connection) -> None:
    simple(client, 1)
    assert standin.round_trips == 1
    extended(client, 2)
    assert standin.round_trips == 2
    with client.pipeline():
        for value in range(3, 103):
            client.execute("INSERT INTO t VALUES (%s)", [value])
    assert standin.round_trips == 3
    (traffic,) = standin.traffic.values()
    assert (traffic.round_trips, traffic.waits, traffic.statements) == (3, 3, 102)
    standin.reset()
    assert (standin.round_trips, standin.statements, standin.connections) == (0, [], 0)


def test_latency_is_paid_per_round_trip_and_not_per_pipelined_statement(
    standin: StandIn, client: Connection
) -> None:
    standin.latency = 0.05
    started = time.monotonic()
    with client.pipeline():
        for value in range(50):
            client.execute("INSERT INTO t VALUES (%s)", [value])
    pipeline = time.monotonic() - started
    started = time.monotonic()
    for _ in range(5):
        client.execute("SELECT 1")
    single = time.monotonic() - started
    assert 0.1 <= pipeline < 0.5
    assert 0.5 <= single
    assert rows(client) == list(range(50))


# How it stands


def test_cancel_requests_pass_or_are_swallowed(standin: StandIn, database_url: str) -> None:
    for ignores in (False, True):
        with StandIn(database_url, ignores_cancel=ignores) as running:
            with connected(running.url) as client, ThreadPoolExecutor(1) as pool:
                event = threading.Event()
                rule = running.rule("pg_sleep", then=hold_answer(event))
                event.set()
                seconds = 0.2 if ignores else 60
                sleeping = pool.submit(client.execute, "SELECT pg_sleep(%s)", [seconds])
                deadline = time.monotonic() + 20
                with connected(database_url) as direct:
                    active = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
                    while direct.execute(active, [client.info.backend_pid]).fetchone() != (1,):
                        assert time.monotonic() < deadline
                client.cancel_safe(timeout=20)
                if ignores:
                    sleeping.result(timeout=20)
                else:
                    with pytest.raises(psycopg.errors.QueryCanceled):
                        sleeping.result(timeout=20)
                assert rule.fired == 1
            assert running.cancels == 1


def test_a_hundred_connections_at_once(standin: StandIn, direct: Connection) -> None:
    async def insert(value: int) -> None:
        async with await psycopg.AsyncConnection.connect(standin.url, autocommit=True) as made:
            await made.execute("INSERT INTO t VALUES (%s)", [value])
            await barrier.wait()

    async def everybody() -> None:
        nonlocal barrier
        barrier = asyncio.Barrier(100)
        await asyncio.gather(*(insert(value) for value in range(100)))

    barrier: asyncio.Barrier
    asyncio.run(everybody())
    assert rows(direct) == list(range(100))
    assert standin.connections == 100


def test_large_messages_pass_whole(client: Connection) -> None:
    text = "é" * 3_000_000
    assert client.execute("SELECT %s::text, length(%s)", [text, text]).fetchone() == (
        text,
        3_000_000,
    )


def test_nothing_is_left_behind_even_with_clients_connected(database_url: str) -> None:
    threads, sockets = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with StandIn(database_url) as standin:
        standin.rule("SELECT 2", then=hold(threading.Event()))
        idle, frozen = psycopg.connect(standin.url), psycopg.connect(standin.url)
        frozen.pgconn.send_query(b"SELECT 2")
    with pytest.raises(psycopg.OperationalError):
        idle.execute("SELECT 1")
    idle.close()
    frozen.close()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == sockets


def test_a_bug_in_a_predicate_fails_the_test_and_hangs_nobody(database_url: str) -> None:
    def broken(sql: str) -> bool:
        raise LookupError(sql)

    with pytest.raises(ExceptionGroup) as failed, StandIn(database_url) as standin:
        standin.rule(broken, then=drop_before())
        with connected(standin.url) as client, pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")
    assert str(failed.value) == "the stand-in, or a test's predicate, has a bug (1 sub-exception)"
    assert [repr(bug) for bug in failed.value.exceptions] == ["LookupError('SELECT 1')"]


def test_a_rule_that_never_fires_says_so(standin: StandIn) -> None:
    rule = standin.rule("never", then=drop_before())
    with pytest.raises(AssertionError, match="the rule did not fire in 0 s; 0 matches seen"):
        rule.wait(timeout=0)
