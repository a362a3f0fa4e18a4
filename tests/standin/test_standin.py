"""The stand-in itself: what it counts, and how it stands."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import psycopg.crdb
import pytest

from tests.standin import (
    StandIn,
    drop_before,
    hold,
    hold_answer,
)
from tests.standin.clients import (
    Connection,
    connected,
    extended,
    pipelined,
    prepared,
    rows,
    simple,
)

pytestmark = pytest.mark.needs_postgresql("the stand-in stands in front of PostgreSQL only")


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
    assert 0.1 <= pipeline < 50 * 0.1 / 2
    assert single >= 0.5
    assert rows(client) == list(range(50))


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
                    active = (
                        "SELECT count(*) FROM pg_stat_activity"
                        " WHERE pid = %s AND wait_event = 'PgSleep'"
                    )
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
    async def insert(value: int, barrier: asyncio.Barrier) -> None:
        async with await psycopg.AsyncConnection.connect(standin.url, autocommit=True) as made:
            await made.execute("INSERT INTO t VALUES (%s)", [value])
            await barrier.wait()

    async def everybody() -> None:
        barrier = asyncio.Barrier(100)
        await asyncio.gather(*(insert(value, barrier) for value in range(100)))

    asyncio.run(everybody())
    assert rows(direct) == list(range(100))
    assert standin.connections == 100


def test_large_messages_pass_whole(client: Connection) -> None:
    text = "é" * 3_000_000
    assert client.execute("SELECT %s::text, length(%s)", [text, text]).fetchone() == (
        text,
        3_000_000,
    )


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_nothing_is_left_behind_even_with_clients_connected(database_url: str) -> None:
    threads, sockets = threading.active_count(), open_files()
    with StandIn(database_url) as standin:
        standin.rule("SELECT 2", then=hold(threading.Event()))
        idle, frozen = psycopg.connect(standin.url), psycopg.connect(standin.url)
        frozen.pgconn.send_query(b"SELECT 2")
    with pytest.raises(psycopg.OperationalError):
        idle.execute("SELECT 1")
    idle.close()
    frozen.close()
    assert threading.active_count() == threads
    assert open_files() == sockets


def test_a_bug_in_a_predicate_fails_the_test_and_hangs_nobody(database_url: str) -> None:
    def broken(sql: str) -> bool:
        raise LookupError(sql)

    def use_it() -> None:
        with StandIn(database_url) as standin, connected(standin.url) as client:
            standin.rule(broken, then=drop_before())
            with pytest.raises(psycopg.OperationalError):
                client.execute("SELECT 1")

    with pytest.raises(ExceptionGroup) as failed:
        use_it()
    assert str(failed.value) == "the proxy, or a predicate of a rule, has a bug (1 sub-exception)"
    assert [repr(bug) for bug in failed.value.exceptions] == ["LookupError('SELECT 1')"]


def test_a_rule_that_never_fires_says_so(standin: StandIn) -> None:
    rule = standin.rule("never", then=drop_before())
    with pytest.raises(AssertionError, match="the rule did not fire in 0 s; 0 matches seen"):
        rule.wait(timeout=0)
