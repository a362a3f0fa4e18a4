"""What the tables of a scratch database hold, compared before and after."""

from __future__ import annotations

import pytest

from manticore_cockroachdb.rehearsal.rows import Rows, hash_of, lost_rows


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {}, ()),
        ({"t": (2, "x")}, {"t": (2, "x"), "new": (1, "y")}, ()),
        ({"t": (2, "x")}, {}, ()),
        ({"t": (2, "x")}, {"t": (1, "y")}, ("table t has 1 rows instead of 2",)),
        ({"t": (2, "x")}, {"t": (2, "y")}, ("table t has other values",)),
        (
            {"t": (2, "x"), "a": (0, "x")},
            {"a": (1, "y"), "t": (0, "y")},
            ("table a has 1 rows instead of 0", "table t has 0 rows instead of 2"),
        ),
    ],
)
def test_tables_that_hold_other_rows_are_named(
    before: Rows, after: Rows, words: tuple[str, ...]
) -> None:
    assert lost_rows(before, after) == words


def test_the_order_of_rows_does_not_matter() -> None:
    assert hash_of([(1, "a"), (2, "b")]) == hash_of([(2, "b"), (1, "a")])
    assert hash_of([(1, "a")]) != hash_of([(1, "a"), (1, "a")])
