"""Linting is linear: twice the scripts take twice the time, and a few seconds for many.

The shortest of several times is what it needs; a busy machine only makes others longer.
"""

from __future__ import annotations

import math
import time

import pytest

from manticore_cockroachdb.lint import lint
from manticore_cockroachdb.types import MigrationScript
from tests.lint.scripts import script

TRIES = 5
KINDS = (
    (
        """
        CREATE TABLE t{n} (id UUID PRIMARY KEY, name TEXT NOT NULL, owner UUID REFERENCES t{before});
        CREATE INDEX t{n}_owner ON t{n} (owner);
        """,
        "DROP TABLE t{n};",
    ),
    ("ALTER TABLE t{n} ADD COLUMN note TEXT, ADD COLUMN seats INT8 DEFAULT 4;", ""),
    ("INSERT INTO t{n} (id, name) VALUES ('a', 'b'), ('c', 'd');", "DELETE FROM t{n};"),
    ("CREATE UNIQUE INDEX t{n}_name ON t{n} (lower(name)) WHERE note IS NOT NULL;", ""),
    ("CREATE VIEW v{n} AS SELECT id, name FROM t{n};", "DROP VIEW v{n};"),
)


def scripts(count: int) -> list[MigrationScript]:
    found = []
    for version in range(1, count + 1):
        number, kind = divmod(version - 1, len(KINDS))
        up, down = (part.format(n=number, before=max(0, number - 1)) for part in KINDS[kind])
        found.append(script(version, up, down))
    return found


def seconds(count: int) -> float:
    """Processor time, so that a busy machine does not count."""
    given = scripts(count)
    began = time.process_time()
    report = lint(given, server="postgresql:17")
    assert report.scripts == count
    return time.process_time() - began


def test_many_scripts_take_seconds_and_twice_as_many_twice_as_long() -> None:
    seconds(100)
    few = many = math.inf
    for _ in range(TRIES):
        few, many = min(few, seconds(1000)), min(many, seconds(4000))
        if many < min(10, 4 * few * 3):
            return
    pytest.fail(f"{many} s for four times the scripts of {few} s")


def test_one_large_script_is_linear_too() -> None:
    tables = "\n".join(f"CREATE TABLE t{n} (id INT8 PRIMARY KEY, a TEXT);" for n in range(2000))

    def judged(count: int) -> float:
        changes = "\n".join(
            f"ALTER TABLE t{n} ADD b TEXT; UPDATE t{n} SET b = 'x' WHERE a = 'y';"
            for n in range(count)
        )
        began = time.process_time()
        lint([script(1, tables), script(2, changes)], server="postgresql", only={2})
        return time.process_time() - began

    judged(100)
    few = many = math.inf
    for _ in range(TRIES):
        few, many = min(few, judged(500)), min(many, judged(2000))
        if many < 8 * few:
            return
    pytest.fail(f"{many} s for four times the statements of {few} s")
