"""Many scripts, much text, many databases. Sizes are compared with sizes, never with a clock alone."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb import AsyncDatabase, AsyncMigrator
from manticore_cockroachdb._planner.plan import plan_migrate
from manticore_cockroachdb._scripts.loader import load
from manticore_cockroachdb._sql.lexer import split
from manticore_cockroachdb.errors import MigrationFailed
from manticore_cockroachdb.many import Outcome, run_many
from manticore_cockroachdb.testing import RunningServer

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1_000_000


def write_scripts(folder: Path, count: int) -> Path:
    folder.mkdir()
    for version in range(1, count + 1):
        (folder / f"V{version}__create_table.sql").write_text(
            f"CREATE TABLE t{version} (id INT PRIMARY KEY, name TEXT NOT NULL);\n"
            f"-- DOWN\nDROP TABLE t{version};\n"
        )
    return folder


def test_ten_thousand_scripts_are_loaded_and_planned_with_memory_in_proportion(
    tmp_path: Path,
) -> None:
    def peak(count: int) -> int:
        folder = write_scripts(tmp_path / str(count), count)
        # When garbage is collected depends on all that lives, other tests' objects included: none is.
        gc.disable()
        tracemalloc.start()
        try:
            assert len(plan_migrate(load([folder]), [])) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            gc.enable()

    few, many = peak(2_000), peak(10_000)

    # Five times the scripts; a square would be 25 times the memory.
    assert many < 10 * few
    assert many / 10_000 < 4_000  # bytes a script


def test_ten_thousand_scripts_are_loaded_and_planned_with_work_in_proportion(
    tmp_path: Path,
) -> None:
    def calls(count: int) -> int:
        folder = write_scripts(tmp_path / str(count), count)
        counted = 0

        def count_call(*_: object) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count_call)
        try:
            plan_migrate(load([folder]), [])
        finally:
            sys.setprofile(None)
        return counted

    few, many = calls(500), calls(2_500)

    assert many < 5.5 * few


MIGRATE = """
import json, sys
from benchmarks.memory import highest_memory
from manticore_cockroachdb import Database, Migration

before = highest_memory()
count = Migration(Database.from_url(sys.argv[1]), sys.argv[2]).migrate()
print(json.dumps({"count": count, "grown": highest_memory() - before}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process's memory is not told there")
@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
def test_a_data_script_of_fifty_megabytes_is_applied_in_bounded_memory(
    mode: str, tmp_path: Path, database_url: str
) -> None:
    row = f"({{}}, '{'x' * 480}')"
    with (tmp_path / "V1__rows.sql").open("w") as file:
        file.write(f"-- manticore: mode={mode}\n")
        for start in range(0, 100_000, 10):
            rows = ",\n".join(row.format(start + place) for place in range(10))
            file.write(f"INSERT INTO rows_of_data VALUES\n{rows};\n")
    size = (tmp_path / "V1__rows.sql").stat().st_size
    assert size > 49 * MEGABYTE
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE rows_of_data (id INT8, note TEXT)")

    done = subprocess.run(
        [sys.executable, "-c", MIGRATE, database_url, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["count"] == 1
    assert told["grown"] < 4 * size
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM rows_of_data").fetchone() == (100_000,)


def test_thirty_databases_are_migrated_side_by_side_and_one_failure_leaves_the_rest_alone(
    server: RunningServer, tmp_path: Path
) -> None:
    folder = write_scripts(tmp_path / "scripts", 3)
    urls = {f"db{number}": server.new_database() for number in range(30)}
    with psycopg.connect(urls["db7"]) as connection:
        connection.execute("CREATE TABLE t2 (id INT PRIMARY KEY)")
    running = most = 0

    async def migrate(migrator: AsyncMigrator) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await migrator.migrate()
        finally:
            running -= 1

    try:
        outcomes = asyncio.run(
            run_many(
                {
                    name: AsyncMigrator(AsyncDatabase.from_url(url), folder)
                    for name, url in urls.items()
                },
                migrate,
                jobs=8,
            )
        )

        assert list(outcomes) == list(urls)
        failed = outcomes.pop("db7")
        assert failed.count is None
        assert isinstance(failed.error, MigrationFailed)
        assert failed.error.sqlstate == "42P07"
        assert outcomes == dict.fromkeys(outcomes, Outcome(count=3))
        assert most == 8
        for name, url in urls.items():
            with psycopg.connect(url) as connection:
                applied = connection.execute("SELECT count(*) FROM _migrations").fetchone()
            assert applied == (1,) if name == "db7" else (3,), name
    finally:
        for url in urls.values():
            server.drop_database(url)


HOSTILE = {
    "open parentheses": "(",
    "closed parentheses": ")",
    "parentheses inside each other, one quote each": "('",
    "pairs": "()",
    "deep pairs": "((()))",
    "backslashes in E''": "E'\\",
    "joined E strings": "E''\n",
    "doubled quotes": "''",
    "dollars": "$",
    "open dollar quotes, each with its tag": "$a$ $b$ ",
    "open comments": "/*",
    "half-open comments": "/ *",
    "closed comments": "/**/",
    "dashes": "-",
    "comment lines": "--\n",
    "blanks": " ",
    "blank lines": "\n",
    "semicolons": ";",
    "nearly a down line": "--down x\n",
    "routines": "CREATE FUNCTION f() RETURN 1;",
    "begin atomic": "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE",
    "words": "begin atomic case end ",
    "one long word": "e",
    "names": '"',
    "letters beyond ASCII": "é",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_the_lexer_is_linear_whatever_the_text(unit: str) -> None:
    """Ten times the text may take twenty times as long; a square would take a hundred.

    The shortest of several times is what the lexer needs; a busy machine only makes others longer.
    """
    small_text, large_text = (unit * (size // len(unit)) for size in (30_000, 300_000))
    small = large = math.inf
    for _ in range(20):
        small, large = min(small, seconds(small_text)), min(large, seconds(large_text))
        if large < 20 * max(small, 0.002):
            return
    pytest.fail(f"{large} s for ten times the text of {small} s")


def seconds(text: str) -> float:
    """The processor's time for one text."""
    started = time.process_time()
    split(text)
    return time.process_time() - started
