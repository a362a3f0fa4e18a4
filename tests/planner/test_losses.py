"""What CockroachDB could not revert without losing a column's values is refused before it runs.

Each statement refused here lost the column on v21.1 and v22.1, over rows that did not fit; each one that
is not refused kept it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb._backend.dialect import Server
from manticore_cockroachdb._backend.jobs import Job
from manticore_cockroachdb._planner.losses import losing_problems, loss
from manticore_cockroachdb._planner.step import Step
from manticore_cockroachdb._scripts.direction import Direction
from manticore_cockroachdb._scripts.script import MigrationScript, Mode
from manticore_cockroachdb._sql.lexer import RawStatement
from manticore_cockroachdb._sql.server_kind import ServerKind
from manticore_cockroachdb._sql.statement import classify

COCKROACH = Server(ServerKind.COCKROACHDB, "v22.1", "d", "public", "root")
POSTGRES = Server(ServerKind.POSTGRESQL, "18", "d", "public", "root")


def step(sql: str, *, mode: Mode | None = None, direction: Direction = Direction.UP) -> Step:
    return Step(MigrationScript(2, "two", sql, sql, Path("V2__two.sql"), "", mode), direction)


def lines(found: Step, server: Server = COCKROACH, start: int = 0) -> list[int | None]:
    return [problem.line for problem in losing_problems(found, server, None, start=start)]


FAILS_LATE = [
    "ADD CONSTRAINT u UNIQUE (a)",
    "ADD UNIQUE (a)",
    "ADD CHECK (a > 0)",
    "ADD FOREIGN KEY (a) REFERENCES o (id)",
    "ADD COLUMN n INT8 UNIQUE DEFAULT 1",
    "ADD COLUMN n INT8 AS (1 // (a - 1)) STORED",
    "ADD COLUMN n INT8 CHECK (n > 0)",
    "ALTER COLUMN a SET NOT NULL",
    "ALTER COLUMN a TYPE TEXT",
    "ALTER COLUMN a SET DATA TYPE TEXT",
]


@pytest.mark.parametrize("other", FAILS_LATE)
@pytest.mark.parametrize(
    "form", ["DROP COLUMN b, {0}", "{0}, DROP b", "DROP COLUMN IF EXISTS b, {0}"]
)
@pytest.mark.parametrize("direction", Direction)
def test_a_dropped_column_beside_a_change_that_may_fail(
    other: str, form: str, direction: Direction
) -> None:
    found = step(f"SELECT 1;\nALTER TABLE t {form.format(other)};", direction=direction)
    assert lines(found) == [2]
    assert lines(found, start=2) == []  # done, or in flight: it is too late to refuse it
    assert lines(found, POSTGRES) == []


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t DROP COLUMN b, DROP COLUMN d",
        "ALTER TABLE t DROP COLUMN b, ADD COLUMN n INT8 NOT NULL",
        "ALTER TABLE t DROP COLUMN b, ADD COLUMN n INT8 NOT NULL DEFAULT 0",
        "ALTER TABLE t DROP COLUMN b, VALIDATE CONSTRAINT nv",
        "ALTER TABLE t DROP COLUMN b, ADD CHECK (a > 0) NOT VALID",
        "ALTER TABLE t DROP COLUMN b, ALTER PRIMARY KEY USING COLUMNS (a)",
        "ALTER TABLE t DROP COLUMN b, ALTER COLUMN a DROP NOT NULL",
        "ALTER TABLE t DROP CONSTRAINT k, ADD CONSTRAINT u UNIQUE (a)",
        "ALTER TABLE t DROP COLUMN b;\nCREATE UNIQUE INDEX u ON t (a)",
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a);\nALTER TABLE t DROP COLUMN b",
    ],
)
def test_a_dropped_column_alone_or_beside_what_cannot_fail(sql: str) -> None:
    assert lines(step(sql)) == []


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("ALTER TABLE t DROP COLUMN b;\nCREATE UNIQUE INDEX u ON t (a)", [1]),
        ("CREATE UNIQUE INDEX u ON public.t (a);\nALTER TABLE t DROP COLUMN b", [2]),
        ("ALTER TABLE t DROP COLUMN b;\nALTER TABLE t ADD CHECK (a > 100)", [1]),
        ("ALTER TABLE t DROP COLUMN b;\nCREATE UNIQUE INDEX u ON o (a)", []),
        ("ALTER TABLE t DROP COLUMN b;\nCREATE INDEX i ON t (a)", []),
    ],
)
def test_in_one_transaction_two_statements_are_one(sql: str, found: list[int]) -> None:
    assert lines(step(sql, mode=Mode.ATOMIC)) == found
    assert lines(step(sql)) == []


def test_what_may_be_lost_is_reported_for_jobs_that_were_rolled_back_only() -> None:
    def job(status: str) -> Job:
        return Job(7, "SCHEMA CHANGE", "", status, "", 0.0, 0.0, "")

    two = [classify(RawStatement("ALTER TABLE s.t DROP COLUMN a, DROP b, ADD COLUMN c INT8", 1))]
    rest = (
        "held may be lost: when the server restores a dropped column, it leaves NULLs in it "
        "(https://github.com/cockroachdb/cockroach/issues/46541). Look at the table before you run again."
    )
    assert loss(two, [job("failed")]) == f"What columns s.t.a, s.t.b {rest}"
    assert loss(two[:1], [job("succeeded"), job("canceled")]) is not None
    assert loss(two, [job("succeeded")]) is None
    assert loss(two, []) is None
    assert loss([classify(RawStatement("DROP TABLE t", 1))], [job("failed")]) is None
