"""What a command costs before it does anything: whole processes, and imports alone."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.testing.proxy import Proxy

from .contest import ROOT, Count, python
from .scripts import make, write_django

_COMMANDS = ("manticore_migrate", "migrate")
_IMPORT = re.compile(r"import time:\s+\d+ \|\s+(\d+) \|\s+(\S+)")
_MODULES = (
    "psycopg",
    "manticore_cockroachdb.migration",
    "manticore_cockroachdb.async_migration",
    "django_manticore.management.commands.manticore_migrate",
)


def commands(
    server: RunningServer, work: Path, *, scripts: int, link: float, repeats: int
) -> dict[str, Any]:
    """`manage.py manticore_migrate` and `manage.py migrate` in one project, with nothing to do.

    They take turns, so that whatever else the machine does meets both.

    Args:
        server: Where.
        work: An empty folder.
        scripts: How many scripts each has applied before.
        link: Seconds of the link's round trip.
        repeats: How often each is run; the medians count.
    """
    write_django(work / "project", make(scripts))
    manage = work / "project" / "manage.py"
    took: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    trips: dict[str, int] = {}
    databases = {name: server.new_database() for name in _COMMANDS}
    for number in range(repeats + 1):
        for name, database in databases.items():
            with Proxy(database, latency=link / 2) as proxy:
                seconds = _timed(manage, name, proxy.url)
                if number:  # the first one applies everything
                    took[name].append(seconds)
                    trips[name] = Count.of(proxy).trips
    for database in databases.values():
        server.drop_database(database)
    return {
        name: {"seconds": statistics.median(took[name]), "trips": trips[name]} for name in _COMMANDS
    }


def _timed(manage: Path, name: str, url: str) -> float:
    started = time.perf_counter()
    python(str(manage), name, "-v", "0", BENCHMARK_URL=url, PYTHONPATH=str(ROOT))
    return time.perf_counter() - started


def imports(repeats: int) -> dict[str, float]:
    """Seconds it takes to import each module alone, all that it imports included."""
    return {
        name: statistics.median(_import_time(name) for _ in range(repeats)) for name in _MODULES
    }


def _import_time(module: str) -> float:
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stderr
    # The module's packages are imported before it and are not part of its line.
    parts = module.split(".")
    wanted = {".".join(parts[:number]) for number in range(1, len(parts) + 1)}
    return sum(int(spent) for spent, name in _IMPORT.findall(told) if name in wanted) / 1e6
