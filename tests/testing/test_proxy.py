"""The proxy as a link of a chosen length: what benchmarks count on it, and large data over it."""

from __future__ import annotations

import asyncio

import psycopg

from benchmarks.contest import Count
from manticore_cockroachdb.testing.proxy import Proxy


def test_a_round_trip_is_counted_for_each_answer_waited_for(database_url: str) -> None:
    with Proxy(database_url, latency=0.025) as proxy:
        with psycopg.connect(proxy.url, autocommit=True) as connection:
            startup = Count.of(proxy)
            for _ in range(5):
                connection.execute("SELECT 1")
            single = Count.of(proxy)
            with connection.pipeline():
                for _ in range(100):
                    connection.execute("SELECT 1")
            together = Count.of(proxy)
        assert (startup.connections, startup.trips) == (1, startup.startup)
        assert startup.trips >= 1
        assert single.trips == startup.trips + 5
        # A machine that stalls may answer some before the client has sent the last.
        assert single.trips < together.trips <= single.trips + 20
        assert together.startup == startup.startup
        proxy.reset()
        assert Count.of(proxy) == Count(0, 0, 0)


def test_large_data_passes_whole(database_url: str) -> None:
    async def ask(url: str) -> tuple[object, ...] | None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            text = "é" * 10_000_000
            cursor = await connection.execute("SELECT md5(%s), md5(%s)", [text, text])
            return await cursor.fetchone()

    with Proxy(database_url, latency=0.001) as proxy:
        answer = asyncio.run(ask(proxy.url))
    assert answer is not None
    assert answer[0] == answer[1]
