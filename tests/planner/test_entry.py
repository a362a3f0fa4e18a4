"""Where in a script a run continues, and where in a transaction our write is: tables."""

from __future__ import annotations

import pytest

from manticore_cockroachdb import Mode
from manticore_cockroachdb._backend.protocol import Command
from manticore_cockroachdb._planner.entry import entry_point
from manticore_cockroachdb._scripts.direction import Direction
from manticore_cockroachdb._scripts.script import Isolation
from manticore_cockroachdb._store.snapshot import Progress
from manticore_cockroachdb._store.transactions import begin, with_write
from tests.planner.planning import COCKROACHDB, POSTGRESQL, SERVERS, step

TABLE = "CREATE TABLE t (i INT8);"
ROW = "INSERT INTO t VALUES (1);"
SET = "SET a = 1;"


#: Statements, mode, server, done, in flight; then: entry, start, guarded.
ENTRIES = [
    (TABLE + ROW, "stepwise", "cockroachdb", None, None, ("beginning", 0, 0)),
    (TABLE + ROW, "stepwise", "cockroachdb", 1, False, ("next", 1, 1)),
    (TABLE + ROW, "stepwise", "cockroachdb", 0, True, ("unknown", 0, 1)),
    (ROW + TABLE, "stepwise", "cockroachdb", 1, True, ("unknown", 1, 2)),
    (ROW + SET + TABLE, "stepwise", "cockroachdb", 2, True, ("unknown", 2, 3)),
    (TABLE + SET + TABLE, "stepwise", "cockroachdb", 1, True, ("unknown", 2, 3)),
    (TABLE + ROW, "stepwise", "postgresql", 0, True, ("next", 0, 1)),
    (ROW + ROW, "autocommit", "postgresql", 1, True, ("unknown", 1, 2)),
    (TABLE + ROW, "atomic", "cockroachdb", 0, True, ("not marked", 0, 2)),
    (TABLE + ROW, "atomic", "cockroachdb", 2, True, ("marked", 2, 2)),
    (TABLE + ROW, "atomic", "cockroachdb", 2, False, ("next", 2, 2)),
]


@pytest.mark.parametrize(("text", "mode", "server", "done", "in_flight", "expected"), ENTRIES)
def test_a_script_is_entered_where_the_run_state_says(
    text: str,
    mode: str,
    server: str,
    done: int | None,
    in_flight: bool,
    expected: tuple[str, int, int],
) -> None:
    resume = None if done is None else Progress(1, Direction.UP, done, in_flight)
    found = entry_point(step(text).statements(), Mode(mode), SERVERS[server], resume)
    assert (found.entry.value, found.start, found.guarded) == expected


def test_what_this_run_intends_and_has_not_sent_is_sent() -> None:
    statements = step(TABLE).statements()
    found = entry_point(statements, Mode.STEPWISE, COCKROACHDB, None, intended=True)
    assert (found.entry.value, found.start) == ("intended", 0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (ROW, 0),
        (ROW + TABLE, 0),
        (TABLE, 1),
        (TABLE + ROW + TABLE, 1),
        (SET + TABLE + TABLE, 2),
        ("SELECT 1;" + TABLE, 2),
        (SET, 0),
        ("SELECT 1;", 0),
        ("COMMENT ON TABLE t IS 'x';" + TABLE, 1),
    ],
)
def test_our_write_comes_after_the_first_schema_change_of_a_transaction(
    text: str, place: int
) -> None:
    placed = with_write(step(text).statements(), Command("ours"))
    assert [each.ours for each in placed].index(True) == place
    assert len(placed) == len(step(text).statements()) + 1


@pytest.mark.parametrize(
    ("isolation", "postgresql"),
    [
        (None, "BEGIN"),
        (Isolation.READ_COMMITTED, "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED"),
        (Isolation.REPEATABLE_READ, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
        (Isolation.SERIALIZABLE, "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
    ],
)
def test_a_transaction_begins_at_the_level_asked_for(
    isolation: Isolation | None, postgresql: str
) -> None:
    assert begin(POSTGRESQL, isolation).sql == postgresql
    assert begin(COCKROACHDB, isolation).sql == "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE"
