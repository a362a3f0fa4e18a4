"""Statements and answers that are frozen, notices, counting rules, and COPY."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import psycopg.crdb
import pytest

from tests.fake_cockroach import (
    FakeCockroach,
    drop_after,
    drop_before,
    error,
    error_after,
    hold,
    hold_answer,
    notice,
)
from tests.fake_cockroach.clients import (
    INSERTED,
    Connection,
    Run,
    connected,
    every_form,
    extended,
    fetched,
    next_status,
    pipelined,
    rows,
    simple,
    sync_forms,
)
from tests.waiting import PATIENCE

pytestmark = pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")


_SET = threading.Event()
_SET.set()


@every_form
def test_held_on_its_way_to_the_server(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, insert: Run
) -> None:
    event = threading.Event()
    rule = fake_cockroach.rule(INSERTED, then=hold(event))
    with ThreadPoolExecutor(1) as pool:
        inserting = pool.submit(insert, client, 1)
        rule.wait()
        assert rows(direct) == []
        assert not inserting.done()
        event.set()
        inserting.result(timeout=PATIENCE)
    assert rows(direct) == [1]


@every_form
def test_held_on_its_way_back(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, insert: Run
) -> None:
    event = threading.Event()
    rule = fake_cockroach.rule(INSERTED, then=hold_answer(event))
    with ThreadPoolExecutor(1) as pool:
        inserting = pool.submit(insert, client, 1)
        rule.wait()
        assert rows(direct) == ([] if insert is fetched else [1])
        assert not inserting.done()
        event.set()
        inserting.result(timeout=PATIENCE)
    assert rows(direct) == [1]


def test_a_held_statement_arrives_although_its_client_is_gone(
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection
) -> None:
    event = threading.Event()
    rule = fake_cockroach.rule(INSERTED, then=hold(event))
    client.pgconn.send_query_params(b"INSERT INTO t VALUES ($1)", [b"1"])
    client.pgconn.flush()
    rule.wait()
    client.close()
    assert rows(direct) == []
    event.set()
    deadline = time.monotonic() + PATIENCE
    while rows(direct) != [1]:
        assert time.monotonic() < deadline


@sync_forms
def test_a_notice_comes_before_the_result(
    fake_cockroach: FakeCockroach, client: Connection, insert: Run
) -> None:
    heard: list[str | None] = []
    client.add_notice_handler(lambda diag: heard.append(diag.message_primary))
    fake_cockroach.rule(INSERTED, then=notice("hear"))
    insert(client, 1)
    assert heard == ["hear"]
    assert rows(client) == [1]


def test_the_nth_match_of_all_connections_counts(
    fake_cockroach: FakeCockroach, direct: Connection
) -> None:
    rule = fake_cockroach.rule(lambda sql: INSERTED in sql, nth=3, then=error("40001"))
    always = fake_cockroach.rule("SELECT 7", nth=None, then=error("XX000"))
    with connected(fake_cockroach.url) as one, connected(fake_cockroach.url) as other:
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
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, then: Any, done: bool
) -> None:
    if then is not None:
        fake_cockroach.rule("^COPY", then=then)

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
    fake_cockroach: FakeCockroach, client: Connection, direct: Connection, then: Any, done: bool
) -> None:
    if then is not None:
        fake_cockroach.rule("^COPY", then=then)
    client.pgconn.send_query_params(b"COPY t FROM STDIN", None)
    last = next_status(client)
    if last == psycopg.pq.ExecStatus.COPY_IN:
        client.pgconn.put_copy_data(b"1\n2\n")
        client.pgconn.put_copy_end()
        last = next_status(client)
    if then is None or then == hold_answer(_SET):
        assert last == psycopg.pq.ExecStatus.COMMAND_OK
    else:
        assert last == psycopg.pq.ExecStatus.FATAL_ERROR
    assert rows(direct) == ([1, 2] if done else [])
