"""The fake CockroachDB itself: what it counts, and how it stands."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import psycopg.crdb
import pytest

from tests.fake_cockroach import (
    FakeCockroach,
    drop_before,
    hold,
    hold_answer,
)
from tests.fake_cockroach.clients import (
    Connection,
    connected,
    extended,
    pipelined,
    prepared,
    rows,
    simple,
)
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")


def test_it_notes_every_statement_with_its_connection(fake_cockroach: FakeCockroach) -> None:
    with connected(fake_cockroach.url, application_name="one") as one:
        simple(one, 1)
        with connected(fake_cockroach.url, application_name="two") as two:
            prepared(two, 2)
            prepared(two, 3)
        one.execute("SET application_name = 'uno'")
        pipelined(one, 4)
    seen = [(s.sql, s.connection, s.application_name) for s in fake_cockroach.statements]
    first, second = sorted(fake_cockroach.traffic)
    assert seen == [
        ("INSERT INTO t VALUES (1)", first, "one"),
        ("INSERT INTO t VALUES ($1)", second, "two"),
        ("INSERT INTO t VALUES ($1)", second, "two"),
        ("SET application_name = 'uno'", first, "one"),
        ("INSERT INTO t VALUES ($1)", first, "uno"),
    ]
    assert fake_cockroach.connections == 2


def test_it_counts_round_trips(fake_cockroach: FakeCockroach, client: Connection) -> None:
    simple(client, 1)
    assert fake_cockroach.round_trips == 1
    extended(client, 2)
    assert fake_cockroach.round_trips == 2
    with client.pipeline():
        for value in range(3, 103):
            client.execute("INSERT INTO t VALUES (%s)", [value])
    assert fake_cockroach.round_trips == 3
    (traffic,) = fake_cockroach.traffic.values()
    assert (traffic.round_trips, traffic.waits, traffic.statements) == (3, 3, 102)
    fake_cockroach.reset()
    assert (fake_cockroach.round_trips, fake_cockroach.statements, fake_cockroach.connections) == (
        0,
        [],
        0,
    )


def test_latency_is_paid_per_round_trip_and_not_per_pipelined_statement(
    fake_cockroach: FakeCockroach, client: Connection
) -> None:
    fake_cockroach.latency = 0.1
    started = time.monotonic()
    with client.pipeline():
        for value in range(50):
            client.execute("INSERT INTO t VALUES (%s)", [value])
    pipeline = time.monotonic() - started
    started = time.monotonic()
    for _ in range(5):
        client.execute("SELECT 1")
    single = time.monotonic() - started
    assert 0.2 <= pipeline < 50 * 0.2  # what it would take if each paid
    assert single >= 5 * 0.2
    assert rows(client) == list(range(50))


def test_cancel_requests_pass_or_are_swallowed(
    fake_cockroach: FakeCockroach, database_url: str
) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
    for ignores in (False, True):
        with FakeCockroach(database_url, ignores_cancel=ignores) as running:
            with (
                connected(running.url) as client,
                connected(database_url) as direct,
                ThreadPoolExecutor(1) as pool,
            ):
                event = threading.Event()
                rule = running.rule("SELECT i FROM locked", then=hold_answer(event))
                event.set()
                pid = client.info.backend_pid
                direct.execute("CREATE TABLE IF NOT EXISTS locked (i INT)")
                with direct.transaction():
                    direct.execute("LOCK TABLE locked")
                    reading = pool.submit(client.execute, "SELECT i FROM locked")
                    until(lambda: direct.execute(waiting, [pid]).fetchone() == (1,))  # noqa: B023
                    client.cancel_safe(timeout=PATIENCE)
                    if not ignores:
                        with pytest.raises(psycopg.errors.QueryCanceled):
                            reading.result(timeout=PATIENCE)
                if ignores:
                    reading.result(timeout=PATIENCE)
                assert rule.fired == 1
            assert running.cancels == 1


def test_a_hundred_connections_at_once(fake_cockroach: FakeCockroach, direct: Connection) -> None:
    async def insert(value: int, barrier: asyncio.Barrier) -> None:
        async with await psycopg.AsyncConnection.connect(
            fake_cockroach.url, autocommit=True
        ) as made:
            await made.execute("INSERT INTO t VALUES (%s)", [value])
            await barrier.wait()

    async def everybody() -> None:
        barrier = asyncio.Barrier(100)
        await asyncio.gather(*(insert(value, barrier) for value in range(100)))

    asyncio.run(everybody())
    assert rows(direct) == list(range(100))
    assert fake_cockroach.connections == 100


def test_large_messages_pass_whole(client: Connection) -> None:
    text = "é" * 3_000_000
    assert client.execute("SELECT %s::text, length(%s)", [text, text]).fetchone() == (
        text,
        3_000_000,
    )


def open_files() -> set[tuple[str, str]]:
    """Each open file: its number, and what it is."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found.add((path.name, str(path.readlink())))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_nothing_is_left_behind_even_with_clients_connected(database_url: str) -> None:
    gc.collect()  # what tests before this one left is not closed in its middle
    threads, files = set(threading.enumerate()), open_files()
    with FakeCockroach(database_url) as fake_cockroach:
        fake_cockroach.rule("SELECT 2", then=hold(threading.Event()))
        idle, frozen = psycopg.connect(fake_cockroach.url), psycopg.connect(fake_cockroach.url)
        frozen.pgconn.send_query(b"SELECT 2")
    with pytest.raises(psycopg.OperationalError):
        idle.execute("SELECT 1")
    idle.close()
    frozen.close()
    assert set(threading.enumerate()) - threads == set()
    assert open_files() - files == set()


def test_a_bug_in_a_predicate_fails_the_test_and_hangs_nobody(database_url: str) -> None:
    def broken(sql: str) -> bool:
        raise LookupError(sql)

    def use_it() -> None:
        with FakeCockroach(database_url) as fake_cockroach, connected(fake_cockroach.url) as client:
            fake_cockroach.rule(broken, then=drop_before())
            with pytest.raises(psycopg.OperationalError):
                client.execute("SELECT 1")

    with pytest.raises(ExceptionGroup) as failed:
        use_it()
    assert str(failed.value) == "the proxy, or a predicate of a rule, has a bug (1 sub-exception)"
    assert [repr(bug) for bug in failed.value.exceptions] == ["LookupError('SELECT 1')"]


def test_a_rule_that_never_fires_says_so(fake_cockroach: FakeCockroach) -> None:
    rule = fake_cockroach.rule("never", then=drop_before())
    with pytest.raises(AssertionError, match="the rule did not fire in 0 s; 0 matches seen"):
        rule.wait(timeout=0)
