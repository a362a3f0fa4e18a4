"""A large UPDATE in four ways: at once, in two loops written by hand, and in Manticore's batches.

`python -m benchmarks.batches [--rows 2000000] [--url URL] [--batch 5000]` prints a table. Beside each way
a second session changes single rows of the same table all the time; how long it waits at most is what
users of the table would notice. A third one asks the server for the age of the oldest transaction.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.testing import server as testing_server

_TABLE = (
    "CREATE TABLE rides (id INT8 PRIMARY KEY, city TEXT NOT NULL, price INT8 NOT NULL, "
    "seen INT8 NOT NULL DEFAULT 0)"
)
_UPDATE = "UPDATE rides SET price = price + 1"
#: Rows that are inserted together.
_PORTION = 20_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One way.

    Attributes:
        name: What it is called.
        seconds: How long it took.
        transaction: The longest transaction that was seen, in seconds.
        waited: How long a writer of a single row waited at most, in seconds.
        locked: How many rows one transaction locked at most.
    """

    name: str
    seconds: float
    transaction: float
    waited: float
    locked: int


class Beside:
    """What other sessions notice while a large statement runs.

    Args:
        url: The database.
        rows: How many rows the table has.
        cockroachdb: Whether the server is one.
    """

    def __init__(self, url: str, rows: int, *, cockroachdb: bool) -> None:
        self.waited = self.transaction = 0.0
        self._url = url
        self._rows = rows
        self._oldest = (
            "SELECT coalesce(max(extract(epoch FROM now() - start)), 0) FROM "
            "crdb_internal.cluster_transactions WHERE application_name NOT IN ('writer', 'looker')"
            if cockroachdb
            else "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM "
            "pg_stat_activity WHERE application_name NOT IN ('writer', 'looker') AND "
            "backend_type = 'client backend'"
        )
        self._end = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch from other sessions until the block ends."""
        threads = [threading.Thread(target=each) for each in (self._write, self._look)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in threads:
                thread.join()

    def _write(self) -> None:
        chance = random.Random(1)  # noqa: S311 - the same rows each time
        with psycopg.connect(self._url, autocommit=True, application_name="writer") as connection:
            while not self._end.wait(0.01):
                began = time.monotonic()
                row = chance.randint(1, self._rows)
                try:
                    connection.execute("UPDATE rides SET seen = seen + 1 WHERE id = %s", [row])
                except psycopg.errors.SerializationFailure:
                    continue
                self.waited = max(self.waited, time.monotonic() - began)

    def _look(self) -> None:
        with psycopg.connect(self._url, autocommit=True, application_name="looker") as connection:
            while not self._end.wait(0.05):
                found = connection.execute(self._oldest.encode()).fetchone()
                if found is not None:
                    self.transaction = max(self.transaction, float(found[0]))


def at_once(url: str, _rows: int, _batch: int) -> int:
    """One statement."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(_UPDATE.encode()).rowcount


def by_hand(url: str, _rows: int, batch: int) -> int:
    """A loop as people write it: it keeps its place in memory only, and starts over if it dies."""
    last, most = 0, 0
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            found = connection.execute(
                "SELECT max(id) FROM (SELECT id FROM rides WHERE id > %s ORDER BY id LIMIT %s) AS w",
                [last, batch],
            ).fetchone()
            if found is None or found[0] is None:
                return most
            done = connection.execute(
                f"{_UPDATE} WHERE id > %s AND id <= %s".encode(), [last, found[0]]
            )
            last, most = found[0], max(most, done.rowcount)


def by_hand_recorded(url: str, _rows: int, batch: int) -> int:
    """The same loop, with its place in a table, in the transaction of the rows: it survives its death."""
    last, most = 0, 0
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE places (id INT8 PRIMARY KEY, last INT8 NOT NULL)")
        connection.execute("INSERT INTO places VALUES (1, 0)")
        while True:
            found = connection.execute(
                "SELECT max(id) FROM (SELECT id FROM rides WHERE id > %s ORDER BY id LIMIT %s) AS w",
                [last, batch],
            ).fetchone()
            if found is None or found[0] is None:
                return most
            with connection.transaction():
                done = connection.execute(
                    f"{_UPDATE} WHERE id > %s AND id <= %s".encode(), [last, found[0]]
                )
                connection.execute("UPDATE places SET last = %s WHERE id = 1", [found[0]])
            last, most = found[0], max(most, done.rowcount)


def in_batches(url: str, _rows: int, batch: int) -> int:
    """Manticore."""
    with tempfile.TemporaryDirectory() as place:
        script = f"-- manticore: batch={batch}\n{_UPDATE};"
        (Path(place) / "V1__price.sql").write_text(script, encoding="utf-8")
        Migration(Database.from_url(url), place).migrate()
    return batch


WAYS: tuple[tuple[str, Callable[[str, int, int], int]], ...] = (
    ("one UPDATE", at_once),
    ("a loop in psycopg", by_hand),
    ("a loop that records its place", by_hand_recorded),
    ("Manticore, in batches", in_batches),
)


def measure(
    server: RunningServer, name: str, way: Callable[[str, int, int], int], rows: int, batch: int
) -> Measured:
    """Measure one way on a separate database."""
    url = server.new_database()
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_TABLE.encode())
            for start in range(0, rows, _PORTION):
                connection.execute(
                    "INSERT INTO rides (id, city, price) SELECT n, 'Rome', n %% 100 "
                    "FROM generate_series(%s::INT8, %s::INT8) AS s (n)",
                    [start + 1, min(rows, start + _PORTION)],
                )
            connection.execute("ANALYZE rides" if server.kind == "postgresql" else "SELECT 1")
        beside = Beside(url, rows, cockroachdb=server.kind == "cockroachdb")
        began = time.monotonic()
        with beside.watching():
            locked = way(url, rows, batch)
            seconds = time.monotonic() - began
        with psycopg.connect(url) as connection:
            found = connection.execute(
                b"SELECT sum(price) - sum((id % 100)), count(*) FROM rides"
            ).fetchone()
        if found is None or int(found[0]) != rows or found[1] != rows:
            raise SystemExit(f"{name}: not every row was changed exactly once: {found}")
        return Measured(name, seconds, beside.transaction, beside.waited, locked)
    finally:
        server.drop_database(url)


def main() -> None:
    """Measure all four, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--url")
    arguments = parser.parse_args()
    environ = {"BENCHMARK_URL": arguments.url} if arguments.url else {}
    with testing_server("BENCHMARK_URL", environ=environ) as server:
        print(f"{server.description}, {arguments.rows:,} rows, batch={arguments.batch}\n")
        print(
            "| Way | Time | Longest transaction | Longest wait of a writer | Rows locked at once |"
        )
        print("|---|---|---|---|---|")
        for name, way in WAYS:
            found = measure(server, name, way, arguments.rows, arguments.batch)
            print(
                f"| {found.name} | {found.seconds:.1f} s | {found.transaction:.2f} s | "
                f"{found.waited:.2f} s | {found.locked:,} |",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
