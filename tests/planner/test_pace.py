"""How many scripts are sent without waiting for answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._planner.pace import BRIEF, MOST_SCRIPTS, QUICK, Pace, is_brief
from tests.planner.planning import prepared


def test_it_begins_with_one_and_grows_while_answers_come_quickly() -> None:
    pace, seen = Pace(), []
    for _ in range(6):
        seen.append(pace.scripts)
        pace.took(pace.scripts, QUICK / 2)
    assert seen == [1, 4, 16, 64, MOST_SCRIPTS, MOST_SCRIPTS]


def test_it_falls_back_to_what_can_be_done_quickly() -> None:
    pace = Pace()
    pace.took(100, QUICK * 10)
    assert pace.scripts == 10
    pace.took(1, QUICK * 100)
    assert pace.scripts == 1


@given(st.lists(st.tuples(st.integers(1, MOST_SCRIPTS), st.floats(0, 1e6))))
def test_it_always_sends_one_and_never_too_many(batches: list[tuple[int, float]]) -> None:
    pace = Pace()
    for scripts, seconds in batches:
        pace.took(scripts, seconds)
        assert 1 <= pace.scripts <= MOST_SCRIPTS


@pytest.mark.parametrize(
    ("text", "brief"),
    [
        ("INSERT INTO t VALUES (1), (2);", True),
        ("INSERT INTO t (i) VALUES (1) ON CONFLICT (i) DO UPDATE SET i = 2;INSERT INTO t VALUES (2)", True),
        ("INSERT INTO t VALUES ('SELECT') -- SELECT", True),
        ("INSERT INTO t SELECT * FROM u;", False),
        ("INSERT INTO t VALUES ((SELECT 1));", False),
        ("UPDATE t SET i = 1;", False),
        ("SET a = 1; INSERT INTO t VALUES (1);", False),
        ("CREATE TABLE t (i INT8);", False),
        (f"INSERT INTO t VALUES ('{'x' * BRIEF}');", False),
    ],
)  # fmt: skip
def test_a_script_that_only_inserts_a_few_rows_is_brief(text: str, brief: bool) -> None:
    assert is_brief(prepared(text)) is brief
