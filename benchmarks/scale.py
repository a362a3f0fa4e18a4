"""Large things: many scripts, much text, much data, many databases.

Each is measured in a separate process, so that its highest memory is its own:
`python -m benchmarks.scale WHAT ARGUMENTS…` prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from manticore_cockroachdb.testing import RunningServer

from .contest import python
from .memory import highest_memory
from .scripts import make, write_manticore

_TEXTS: dict[str, str] = {
    "one INSERT of many rows": "(1, 'some name', 12.5, '2024-01-01 10:00:00'),\n",
    "INSERT after INSERT": "INSERT INTO things (id, name, price) VALUES (1, 'some name', 12.5);\n",
    "CREATE TABLE": (
        "CREATE TABLE things (\n    id BIGINT PRIMARY KEY,\n    name TEXT NOT NULL,\n"
        "    price NUMERIC(10, 2) NOT NULL CHECK (price > 0),\n"
        "    made TIMESTAMPTZ NOT NULL DEFAULT now()\n);\n"
    ),
    "functions": (
        "CREATE FUNCTION twice(value BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $body$\nBEGIN\n"
        "    -- Twice as much; no more; no less.\n    RETURN value * 2;\nEND;\n$body$;\n"
    ),
    "comments": "-- Why this is so, and what would happen if it were not.\n",
}
_ROWS_IN_STATEMENT = 100
_SELECT = "SELECT n, 'a text of some length, as they are: ' || n FROM generate_series(1, {rows}) AS s(n);\n"


# -- asked by the command -----------------------------------------------------------------------


def measure(
    server: RunningServer, work: Path, *, scripts: int, megabytes: int, rows: int, databases: int
) -> dict[str, Any]:
    """Measure all of it.

    Args:
        server: Where.
        work: An empty folder.
        scripts: How many scripts the folder has.
        megabytes: The size of the data script.
        rows: How many rows a script selects.
        databases: How many databases.
    """
    folder = work / "many"
    write_manticore(folder, make(scripts))
    found = {
        "load": {"scripts": scripts, **_measured("load", str(folder))},
        "lexing": _measured("lexing"),
    }
    print(f"  folder of {scripts}: {found['load']}", flush=True)
    print(f"  lexing: {found['lexing']}", flush=True)
    script = work / "data" / "V1__rows.sql"
    script.parent.mkdir()
    write_data(script, megabytes * 1_000_000)
    url = server.new_database()
    size = script.stat().st_size
    found["data"] = {"bytes": size, **_measured("apply", str(script.parent), url)}
    server.drop_database(url)
    print(f"  data script: {found['data']}", flush=True)
    url = server.new_database()
    found["apply"] = {"scripts": scripts, **_measured("apply", str(folder), url)}
    server.drop_database(url)
    print(f"  {scripts} scripts applied: {found['apply']}", flush=True)
    script = work / "rows" / "V1__rows.sql"
    script.parent.mkdir()
    script.write_text(_SELECT.format(rows=rows), encoding="utf-8")
    url = server.new_database()
    found["rows"] = {"rows": rows, **_measured("apply", str(script.parent), url)}
    server.drop_database(url)
    print(f"  script that selects {rows} rows: {found['rows']}", flush=True)
    few = work / "few"
    write_manticore(few, make(20))
    for jobs in (1, 8):
        urls = [server.new_database() for _ in range(databases)]
        key = f"databases, jobs={jobs}"
        found[key] = {
            "databases": databases,
            "scripts": 20,
            **_measured("databases", str(few), str(jobs), *urls),
        }
        print(f"  {key}: {found[key]}", flush=True)
        for url in urls:
            server.drop_database(url)
    return found


def _measured(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(python("-m", "benchmarks.scale", *arguments))
    return found


def write_data(path: Path, size: int) -> None:
    """A script of INSERTs, about so many bytes long."""
    with path.open("w", encoding="utf-8") as file:
        file.write("CREATE TABLE rows_of_data (id BIGINT, name TEXT, note TEXT);\n")
        for start in range(0, sys.maxsize, _ROWS_IN_STATEMENT):
            rows = ",\n".join(_row(start + place) for place in range(_ROWS_IN_STATEMENT))
            file.write(f"INSERT INTO rows_of_data VALUES\n{rows};\n")
            if file.tell() > size:
                break
        file.write("\n-- DOWN\nDROP TABLE rows_of_data;\n")


def _row(number: int) -> str:
    return f"({number}, 'name {number}', 'a note that goes on for a while, as notes do: {number}')"


# -- in the separate process ---------------------------------------------------------------------


def load(folder: str) -> dict[str, float]:
    """Read a folder and plan a run of all of it."""
    from manticore_cockroachdb._planner.plan import plan_migrate  # noqa: PLC0415 - before the clock starts
    from manticore_cockroachdb._scripts.loader import load  # noqa: PLC0415

    before = highest_memory()
    started = time.perf_counter()
    scripts = load([Path(folder)])
    loaded = time.perf_counter()
    steps = plan_migrate(scripts, [])
    planned = time.perf_counter()
    if len(steps) != len(scripts):
        raise AssertionError(f"{len(steps)} steps of {len(scripts)} scripts")
    return {
        "load": loaded - started,
        "plan": planned - loaded,
        "bytes": highest_memory() - before,
    }


def lexing() -> dict[str, float]:
    """Megabytes a second, by the kind of text."""
    return {kind: statistics.median(_lexing(unit)) for kind, unit in _TEXTS.items()}


def _lexing(unit: str) -> Iterator[float]:
    from manticore_cockroachdb._sql.lexer import split  # noqa: PLC0415 - not in the command's process

    text = unit * (2_000_000 // len(unit))
    for _ in range(5):
        started = time.perf_counter()
        split(text)
        yield len(text) / 1e6 / (time.perf_counter() - started)


def apply(folder: str, url: str) -> dict[str, float]:
    """Apply every script of a folder."""
    from manticore_cockroachdb.database import Database  # noqa: PLC0415 - before the clock starts
    from manticore_cockroachdb.migration import Migration  # noqa: PLC0415

    before = highest_memory()
    migration = Migration(Database.from_url(url), folder)
    started = time.perf_counter()
    migration.migrate()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak": highest_memory(), "before": before}


def databases(folder: str, jobs: str, *urls: str) -> dict[str, float]:
    """Migrate many databases."""
    from manticore_cockroachdb.async_database import AsyncDatabase  # noqa: PLC0415
    from manticore_cockroachdb.async_migration import AsyncMigrator  # noqa: PLC0415
    from manticore_cockroachdb.many import run_many  # noqa: PLC0415

    migrators = {url: AsyncMigrator(AsyncDatabase.from_url(url), folder) for url in urls}
    started = time.perf_counter()
    outcomes = asyncio.run(run_many(migrators, lambda each: each.migrate(), jobs=int(jobs)))
    seconds = time.perf_counter() - started
    for outcome in outcomes.values():
        if outcome.error is not None:
            raise outcome.error
    return {"seconds": seconds, "peak": highest_memory()}


_PARTS: dict[str, Callable[..., dict[str, float]]] = {
    "load": load,
    "lexing": lexing,
    "apply": apply,
    "databases": databases,
}

if __name__ == "__main__":
    print(json.dumps(_PARTS[sys.argv[1]](*sys.argv[2:])))
