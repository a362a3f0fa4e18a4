"""mode=autocommit: each statement alone, outside any transaction of ours, and recorded."""

from __future__ import annotations

import pytest

from manticore_cockroachdb import Mode
from manticore_cockroachdb.errors import MigrationFailed, OutcomeUnknown
from manticore_cockroachdb.events import StepStarted
from tests.fake_cockroach import FakeCockroach, drop_after, drop_before
from tests.harness import Harness, eventually

pytestmark = pytest.mark.needs_postgresql("mode=autocommit is for PostgreSQL")

HEADER = "-- manticore: mode=autocommit\n"
PROCEDURE = """\
CREATE PROCEDURE fill(fail_at INT8) LANGUAGE plpgsql AS $$ BEGIN
    FOR n IN 1..3 LOOP
        IF n = fail_at THEN RAISE EXCEPTION 'enough'; END IF;
        INSERT INTO t VALUES (n);
        COMMIT;
    END LOOP;
END $$;
"""


@pytest.fixture
def procedure(harness: Harness) -> Harness:
    """A harness with a procedure that commits after each of three rows."""
    harness.ask("CREATE TABLE t (i INT8)")
    harness.ask(PROCEDURE)
    return harness


@pytest.mark.parametrize(
    "statement",
    [
        "CALL fill(0)",
        "DO $$ BEGIN INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2); END $$",
        "VACUUM t",
        pytest.param(
            "CLUSTER (VERBOSE)",
            marks=pytest.mark.needs_postgresql_since((14,), "CLUSTER has no parentheses before 14"),
        ),
        "REINDEX TABLE parted",
        "CREATE INDEX CONCURRENTLY ON t (i)",
    ],
)
async def test_what_refuses_a_transaction_runs_outside_one(
    procedure: Harness, statement: str
) -> None:
    procedure.ask("CREATE TABLE parted (i INT8) PARTITION BY LIST (i)")
    procedure.ask("CREATE INDEX ON parted (i)")
    procedure.write(
        "V1__a", f"{HEADER}{statement};\nINSERT INTO t VALUES (9);\n-- DOWN\n{statement};"
    )
    assert await procedure.engine().migrate() == 1
    assert [event.mode for event in procedure.told(StepStarted)] == [Mode.AUTOCOMMIT]
    assert (9,) in procedure.ask("SELECT i FROM t")
    assert await procedure.engine().rollback() == 1
    assert procedure.free()
    assert procedure.ledger() == []


async def test_the_mode_can_be_the_default_of_all_scripts(procedure: Harness) -> None:
    procedure.write("V1__a", "CALL fill(0)")
    procedure.write("V2__b", "-- manticore: mode=atomic\nINSERT INTO t VALUES (4)")
    assert await procedure.engine(mode="autocommit").migrate() == 2
    assert procedure.ask("SELECT i FROM t") == [(1,), (2,), (3,), (4,)]
    modes = [event.mode for event in procedure.told(StepStarted)]
    assert modes == [Mode.AUTOCOMMIT, Mode.ATOMIC]


async def test_without_it_the_error_names_the_mode(procedure: Harness) -> None:
    procedure.write("V1__a", "CALL fill(0)")
    with pytest.raises(MigrationFailed) as failed:
        await procedure.engine().migrate()
    assert str(failed.value) == (
        "V1__a.sql:1: CALL fill(0) failed: invalid transaction termination (2D000)\n"
        "  Nothing of version 1 was applied. Fix the file (or the rows) and migrate again.\n"
        "  With '-- manticore: mode=autocommit' as the file's first line, each statement runs outside "
        "Manticore's transactions."
    )


async def test_a_failure_says_that_parts_may_stay_committed_and_the_next_run_continues_there(
    procedure: Harness,
) -> None:
    procedure.write("V1__a", f"{HEADER}INSERT INTO t VALUES (0);\nCALL fill(3);")
    with pytest.raises(MigrationFailed) as failed:
        await procedure.engine().migrate()
    assert str(failed.value) == (
        "V1__a.sql:3: CALL fill(3) failed: enough (P0001)\n"
        "  What the statement had committed before it failed stays committed.\n"
        "  Its first statement is done and recorded; version 1 is partially applied. Fix statement 2 "
        "in the "
        "file (or the rows) and migrate again: the run continues there. Do not edit the "
        "statements before it."
    )
    procedure.write("V1__a", f"{HEADER}INSERT INTO t VALUES (0);\nINSERT INTO t VALUES (3);")
    assert await procedure.engine().migrate() == 1
    assert procedure.ask("SELECT i FROM t") == [(0,), (1,), (2,), (3,)]


async def test_a_statement_whose_answer_was_lost_is_not_sent_twice_blindly(
    procedure: Harness,
) -> None:
    with FakeCockroach(procedure.url, None) as link:
        procedure.url = link.url
        procedure.write(
            "V1__a", f"{HEADER}INSERT INTO t VALUES (1);\nVACUUM t;\nINSERT INTO t VALUES (2);"
        )
        link.rule("VACUUM", nth=1, then=drop_after())
        link.rule(r"INSERT INTO t VALUES \(2\)", nth=1, then=drop_before())
        with pytest.raises(OutcomeUnknown) as unknown:
            await procedure.engine().migrate()
        assert str(unknown.value).startswith(
            "V1__a.sql:4: INSERT INTO t VALUES (2) has an unknown outcome: "
        )
        assert (unknown.value.version, unknown.value.line) == (1, 4)
        await eventually(lambda: procedure.record()["owner"] is None)
    assert procedure.ask("SELECT i FROM t") == [(1,)]
    assert procedure.ledger() == []


async def test_settings_of_the_script_hold_for_its_statements_and_end_with_it(
    harness: Harness,
) -> None:
    harness.ask("CREATE SCHEMA s; CREATE TABLE s.t (i INT8)")
    harness.write("V1__a", f"{HEADER}SET search_path = s;\nINSERT INTO t VALUES (1);\nVACUUM t;")
    harness.write("V2__b", f"{HEADER}CREATE TABLE t (i INT8);")
    assert await harness.engine().migrate() == 2
    assert harness.ask("SELECT i FROM s.t") == [(1,)]
    assert harness.ask("SELECT i FROM public.t") == []
