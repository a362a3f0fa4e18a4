"""What the server says while it runs a script, and how many rows each statement changed."""

from __future__ import annotations

import pytest

from manticore_cockroachdb.events import (
    Noticed,
    StatementFinished,
    StepFinished,
    TransactionFinished,
)
from tests.harness import Harness

SAYS = "DO $$ BEGIN RAISE NOTICE 'half of %', 3; RAISE WARNING 'careful'; END $$;"


@pytest.mark.needs_postgresql("CockroachDB before v24.1 has no DO")
async def test_what_a_script_raises_is_reported_with_its_statement(any_mode: Harness) -> None:
    any_mode.write("V1__says", f"SELECT 1;\n{SAYS}\nSELECT 2;")
    assert await any_mode.engine().migrate() == 1
    told = any_mode.told(Noticed)
    assert [(e.severity, e.message) for e in told] == [
        ("NOTICE", "half of 3"),
        ("WARNING", "careful"),
    ]
    assert {e.step.version for e in told} == {1}
    assert {e.statement.line for e in told if e.statement is not None} == {2}


@pytest.mark.needs_postgresql("CockroachDB before v24.1 has no DO")
async def test_a_statement_sent_alone_reports_its_notices_too(harness: Harness) -> None:
    harness.write("V1__says", f"-- manticore: mode=autocommit\n{SAYS}")
    assert await harness.engine().migrate() == 1
    assert [e.message for e in harness.told(Noticed)] == ["half of 3", "careful"]


SCRIPT = """
CREATE TABLE t (i INT8 PRIMARY KEY);
INSERT INTO t SELECT i FROM generate_series(1, 30) AS g(i);
SELECT count(*) FROM t;
UPDATE t SET i = i + 100 WHERE i > 10;
DELETE FROM t WHERE i < 4;
"""


async def test_rows_are_counted_by_statement(any_mode: Harness) -> None:
    any_mode.write("V1__t", SCRIPT)
    assert await any_mode.engine().migrate() == 1
    if any_mode.is_stepwise:
        found = [
            rows
            for event in any_mode.events
            for rows in (
                event.rows
                if isinstance(event, TransactionFinished)
                else [event.rows]
                if isinstance(event, StatementFinished)
                else []
            )
        ]
    else:
        found = list(any_mode.told(StepFinished)[0].rows)
    assert found == [None, 30, None, 20, 3]


async def test_rows_of_a_statement_that_was_tried_again_are_counted_once(
    stepwise: Harness,
) -> None:
    stepwise.write("V1__t", "CREATE TABLE t (i INT8);")
    stepwise.write("V2__rows", "INSERT INTO t VALUES (1), (2); INSERT INTO t VALUES (3);")
    await stepwise.engine().migrate()
    assert [e.rows for e in stepwise.told(TransactionFinished)][-1] == (2, 1)
