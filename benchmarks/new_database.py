"""Seconds until a new database is ready, as each test run and each worker of it needs one.

`python -m benchmarks.new_database` measures on the server that BENCHMARK_SERVER_URL names, else on one that
is started: Django's own `migrate` with as many migrations (PostgreSQL only), the scripts, the scripts by
`bootstrap`, a checkpoint, and on PostgreSQL a copy of a database that is ready. The checkpoint's making is
measured, too. Each is the median of several runs; CREATE DATABASE is part of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.testing import server as testing_server

from .contest import python
from .scripts import make, write_django, write_manticore


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.new_database", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--scripts", type=int, default=200, help="how many (200)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (5)")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="benchmarks-"))
    try:
        with testing_server("BENCHMARK_SERVER_URL") as server:
            print(f"{server.description.partition(' (')[0]}, {arguments.scripts} scripts:")
            measure(server, work, scripts=arguments.scripts, repeats=arguments.repeats)
    finally:
        shutil.rmtree(work)


def measure(server: RunningServer, work: Path, *, scripts: int, repeats: int) -> None:
    """Measure each way, and print its median and how many times it fits into the first one's.

    Args:
        server: Where.
        work: An empty folder.
        scripts: How many scripts.
        repeats: How often each is run.
    """
    write_django(work / "project", make(scripts))
    plain, squashed = work / "scripts", work / "squashed"
    write_manticore(plain, make(scripts))
    write_manticore(squashed, make(scripts))
    target = server.new_database()
    with Database.from_url(target) as db:
        began = time.perf_counter()
        Migration(db, squashed).squash(scripts)
        print(f"  making the checkpoint: {time.perf_counter() - began:.2f} s")
    server.drop_database(target)

    ways: dict[str, Callable[[str], float]] = {"an empty database": lambda _url: 0.0}
    if server.kind == "postgresql":
        ways["Django's migrate"] = lambda url: _django(work / "project", url)
    ways["the scripts"] = lambda url: _build(url, plain, bootstrap=False)
    if server.kind == "cockroachdb":
        ways["the scripts, bootstrap"] = lambda url: _build(url, plain, bootstrap=True)
    ways["the checkpoint"] = lambda url: _build(url, squashed, bootstrap=False)
    medians = {name: _median(server, way, repeats) for name, way in ways.items()}
    if server.kind == "postgresql":
        medians["a copy of a database"] = _copy(server, squashed, repeats)
    empty, slowest, *_ = medians.values()
    print(f"  CREATE DATABASE alone: {empty:.3f} s")
    del medians["an empty database"]
    for name, seconds in medians.items():
        print(f"  {name}: {seconds:.3f} s, {slowest / seconds:.1f} x")


def _median(server: RunningServer, way: Callable[[str], float], repeats: int) -> float:
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        url = server.new_database()
        took.append(time.perf_counter() - began + way(url))
        server.drop_database(url)
    return statistics.median(took)


def _build(url: str, folder: Path, *, bootstrap: bool) -> float:
    began = time.perf_counter()
    with Database.from_url(url) as db:
        migration = Migration(db, folder)
        if bootstrap:
            migration.bootstrap()
        else:
            migration.migrate()
    return time.perf_counter() - began


def _django(project: Path, url: str) -> float:
    """In a separate process, whose start does not count."""
    told = json.loads(python("-m", "benchmarks.worker", "django", "migrate", str(project), url))
    return float(told["seconds"])


def _copy(server: RunningServer, folder: Path, repeats: int) -> float:
    ready = server.new_database()
    _build(ready, folder, bootstrap=False)
    took = []
    with psycopg.connect(server.url, autocommit=True) as connection:
        copy, source = sql.Identifier("benchmark_copy"), sql.Identifier(urlsplit(ready).path[1:])
        for _ in range(repeats):
            began = time.perf_counter()
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(copy, source))
            took.append(time.perf_counter() - began)
            connection.execute(sql.SQL("DROP DATABASE {}").format(copy))
    server.drop_database(ready)
    return statistics.median(took)


if __name__ == "__main__":
    main()
