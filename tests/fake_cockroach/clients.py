"""Clients of every form psycopg knows, for the tests of the fake CockroachDB."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import psycopg.crdb
import pytest
from psycopg import sql as compose

Connection = psycopg.Connection[Any]
V26_1 = "CockroachDB CCL v26.1.0 (x86_64-pc-linux-gnu, built 2026/02/02 10:00:00, go1.25.5)"
INSERTED = "INSERT INTO t VALUES"
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


def run_in_pipeline(connection: Connection, texts: list[str]) -> None:
    with connection.pipeline():
        for sql in texts:
            connection.execute(sql)


def rows(connection: Connection) -> list[int]:
    return [i for (i,) in connection.execute("SELECT i FROM t ORDER BY i")]


def next_status(connection: Connection) -> int:
    """Of the next result. libpq's own wait would keep the fake CockroachDB's thread from running."""
    connection.pgconn.flush()
    while connection.pgconn.is_busy():
        assert select.select([connection.pgconn.socket], [], [], 60)[0]
        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return psycopg.pq.ExecStatus.FATAL_ERROR
    result = connection.pgconn.get_result()
    assert result is not None
    return result.status
