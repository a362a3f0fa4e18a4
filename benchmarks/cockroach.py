"""What CockroachDB shows: a stream of small scripts beside plain psycopg, and bootstrap beside stepwise.

`python -m benchmarks.cockroach` takes a server as the tests do: the URL in BENCHMARK_COCKROACH_URL, or a
`cockroach` program. It writes its figures beside those of `python -m benchmarks`, whose page shows them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from manticore_cockroachdb.database import Database
from manticore_cockroachdb.migration import Migration
from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.testing import server as testing_server

from .contest import ROOT

FIGURES = "cockroachdb.json"
_VARIABLE = "BENCHMARK_COCKROACH_URL"
_TABLE = "CREATE TABLE t (id INT8 PRIMARY KEY, name TEXT)"
_LEDGER = (
    "CREATE TABLE ledger (version INT8 PRIMARY KEY, description TEXT NOT NULL, applied_at TIMESTAMPTZ "
    "NOT NULL DEFAULT now(), checksum TEXT, execution_ms INT8, applied_by TEXT)"
)
_RECORD = (
    "INSERT INTO ledger (version, description, checksum, execution_ms, applied_by) "
    "VALUES (%s, %s, %s, 1, %s)"
)


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cockroach", description=__doc__)
    parser.add_argument(
        "--docs", type=Path, default=ROOT / "docs", help="the documentation's folder"
    )
    parser.add_argument("--repeats", type=int, default=5, help="how often each is measured (5)")
    arguments = parser.parse_args()
    with testing_server(_VARIABLE) as server:
        if server.kind != "cockroachdb":
            sys.exit(f"No CockroachDB at hand: set COCKROACH_BINARY, or {_VARIABLE}.")
        figures = {
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "server": server.description.partition(" (")[0],
            "stream": stream(server, scripts=200, repeats=arguments.repeats),
            "bootstrap": bootstrap(server, scripts=24),
        }
    print(json.dumps(figures, indent=1))
    path = arguments.docs / "benchmarks" / FIGURES
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def stream(server: RunningServer, *, scripts: int, repeats: int) -> dict[str, Any]:
    """Scripts of one INSERT each, beside the same from plain psycopg: pipelined, with a ledger row each."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, scripts + 1):
            path = Path(folder, f"V{number}__row.sql")
            path.write_text(f"INSERT INTO t VALUES ({number}, 'a name');\n", encoding="utf-8")

        def ours(url: str) -> None:
            Migration(Database.from_url(url), folder).migrate()

        # They take turns, so that what else the machine does falls on both.
        seconds: dict[str, list[float]] = {"manticore": [], "psycopg": []}
        for _ in range(repeats):
            seconds["manticore"].append(_timed(server, ours))
            seconds["psycopg"].append(_timed(server, lambda url: _plain(url, scripts)))
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    return {
        "scripts": scripts,
        **medians,
        "times": medians["manticore"] / medians["psycopg"],
        "all": seconds,
    }


def _timed(server: RunningServer, work: Callable[[str], None]) -> float:
    url = server.new_database()
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_TABLE)
        started = time.perf_counter()
        work(url)
        return time.perf_counter() - started
    finally:
        server.drop_database(url)


def _plain(url: str, scripts: int) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(_LEDGER)
        with connection.pipeline():
            for number in range(1, scripts + 1):
                connection.execute("BEGIN")
                connection.execute(f"INSERT INTO t VALUES ({number}, 'a name')".encode())
                connection.execute(_RECORD, [number, "row", "c" * 64, "somebody"])
                connection.execute("COMMIT")


def bootstrap(server: RunningServer, *, scripts: int) -> dict[str, Any]:
    """Scripts of four schema changes on a separate table: one by one, and as a fresh database."""
    found: dict[str, Any] = {"scripts": scripts}
    schemas = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, scripts + 1):
            text = (
                f"CREATE TABLE t{number} (id INT8 PRIMARY KEY, name TEXT);\n"
                f"CREATE INDEX t{number}_name ON t{number} (name);\n"
                f"ALTER TABLE t{number} ADD COLUMN code TEXT;\n"
                f"CREATE UNIQUE INDEX t{number}_code ON t{number} (name, id);\n"
            )
            Path(folder, f"V{number}__table.sql").write_text(text, encoding="utf-8")
        for way in ("stepwise", "bootstrap"):
            url = server.new_database()
            migration = Migration(Database.from_url(url), folder)
            started = time.perf_counter()
            done = migration.migrate() if way == "stepwise" else migration.bootstrap()
            found[way] = time.perf_counter() - started
            if done != scripts:
                raise AssertionError(f"{way}: {done} of {scripts} scripts")
            schemas.append(_schema(url, scripts))
            server.drop_database(url)
    if schemas[0] != schemas[1]:
        raise AssertionError("bootstrap made another schema than stepwise")
    found["times"] = found["stepwise"] / found["bootstrap"]
    return found


def _schema(url: str, tables: int) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        found: list[tuple[Any, ...]] = []
        for number in range(1, tables + 1):
            found += connection.execute(f"SHOW CREATE TABLE t{number}".encode()).fetchall()
        ledger = "SELECT version, checksum FROM _migrations ORDER BY 1"
        return found + connection.execute(ledger).fetchall()


if __name__ == "__main__":
    main()
