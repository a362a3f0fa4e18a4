"""Faults by rule, seen by psycopg: simple, extended, prepared, pipelined and asynchronous."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import psycopg.crdb
import pytest

from tests.fake_cockroach import (
    FakeCockroach,
    When,
    drop_after,
    drop_before,
    drop_during,
    error,
    error_after,
    fatal,
)
from tests.fake_cockroach.clients import (
    INSERTED,
    Connection,
    Run,
    every_form,
    fetched,
    rows,
    run_in_pipeline,
    sync_forms,
)
from tests.waiting import PATIENCE

pytestmark = pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")


@every_form
def test_dropped_before_it_reached_the_server(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, insert: Run
) -> None:
    rule = fake_cockroach.rule(INSERTED, then=drop_before())
    with pytest.raises(psycopg.OperationalError):
        insert(client, 1)
    assert rule.fired == 1
    assert rows(direct) == []


@every_form
def test_dropped_after_the_server_did_it(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, insert: Run
) -> None:
    rule = fake_cockroach.rule(INSERTED, then=drop_after())
    with pytest.raises(psycopg.OperationalError):
        insert(client, 1)
    assert rule.fired == 1
    # A pipeline that fetches asks by a Flush: the Sync that would commit has not come yet.
    assert rows(direct) == ([] if insert is fetched else [1])


@every_form
def test_failed_instead_of_run(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, insert: Run
) -> None:
    fake_cockroach.rule(INSERTED, nth=1, then=error("40001", "restart transaction", detail="why"))
    with pytest.raises(psycopg.errors.SerializationFailure) as failed:
        insert(client, 1)
    assert failed.value.diag.message_primary == "restart transaction"
    assert failed.value.diag.message_detail == "why"
    assert rows(direct) == []
    insert(client, 1)
    assert rows(direct) == [1]


@every_form
def test_done_but_reported_as_failed(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, insert: Run
) -> None:
    fake_cockroach.rule(
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
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, insert: Run
) -> None:
    fake_cockroach.rule(INSERTED, then=error_after("40003"))
    with pytest.raises(psycopg.errors.StatementCompletionUnknown), client.transaction():
        insert(client, 1)
    assert rows(direct) == []
    insert(client, 2)
    assert rows(direct) == [2]


def test_a_real_error_is_not_hidden_by_an_error_after(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    client.execute("INSERT INTO t VALUES (1)")
    fake_cockroach.rule(INSERTED, then=error_after("40003"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        client.execute("INSERT INTO t VALUES (%s)", [1])
    client.execute("INSERT INTO t VALUES (%s)", [2])


@sync_forms
def test_a_commit_that_fails_has_rolled_back_and_ended_its_transaction(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, insert: Run
) -> None:
    fake_cockroach.rule("^COMMIT", then=error("40001"))
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
    fake_cockroach: FakeCockroach,
    client: Connection,
    direct: Connection,
    then: Any,
    wanted: list[int],
) -> None:
    fake_cockroach.rule("^COMMIT", then=then)
    texts = ["BEGIN", "INSERT INTO t VALUES (1)", "COMMIT", "INSERT INTO t VALUES (2)"]
    with pytest.raises(psycopg.OperationalError):
        run_in_pipeline(client, texts)
    assert rows(direct) == wanted
    if not client.closed:
        assert client.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert rows(client) == wanted


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_pipeline_of_transactions_is_cut_exactly_where_asked(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, k: int, when: str
) -> None:
    texts = ["BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"]
    texts += ["BEGIN", "INSERT INTO t VALUES (2)", "COMMIT", "SELECT 1"]
    rule = fake_cockroach.cut_at(k, when)
    with pytest.raises(psycopg.OperationalError):
        run_in_pipeline(client, texts)
    assert rule.fired == 1
    done = texts[: k - 1] if when == "before" else texts[:k]
    assert rows(direct) == list(range(1, done.count("COMMIT") + 1))


def test_a_fatal_error_says_why_the_connection_ended(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection
) -> None:
    fake_cockroach.rule(INSERTED, then=fatal("57P01", when=When.AFTER))
    with pytest.raises(psycopg.errors.AdminShutdown, match="terminating connection"):
        client.execute("INSERT INTO t VALUES (1)")
    assert client.closed
    assert rows(direct) == [1]


def test_dropped_while_the_server_continues_working(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection
) -> None:
    rule = fake_cockroach.rule("CREATE INDEX", then=drop_during())
    pid = client.info.backend_pid
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    with direct.transaction():
        direct.execute("LOCK TABLE t IN ROW EXCLUSIVE MODE")
        with pytest.raises(psycopg.OperationalError):
            client.execute("CREATE INDEX named ON t (i)")
        assert direct.execute(alive, [pid]).fetchone() == (1,)
        assert direct.execute("SELECT to_regclass('named')").fetchone() == (None,)
    deadline = time.monotonic() + PATIENCE
    while direct.execute(alive, [pid]).fetchone() != (0,):
        assert time.monotonic() < deadline
    assert direct.execute("SELECT to_regclass('named')::text").fetchone() == ("named",)
    assert rule.fired == 1
