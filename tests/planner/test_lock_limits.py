"""How long each statement waits for a lock: who says so, and what is sent for it."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._planner.lock_limits import local_settings, lock_limits
from manticore_cockroachdb._scripts.statements import read_statements
from manticore_cockroachdb._sql.statement import Statement


def statements(text: str) -> tuple[Statement, ...]:
    return read_statements(text, 1)


OPTION = "-- manticore: lock_timeout=1s\n"


@pytest.mark.parametrize(
    ("text", "script", "default", "wanted"),
    [
        ("ALTER TABLE t ADD a INT8", None, None, (None,)),
        ("ALTER TABLE t ADD a INT8", None, 2.0, (2.0,)),
        ("ALTER TABLE t ADD a INT8", 0.0, 2.0, (0.0,)),
        ("UPDATE t SET a = 1", None, 2.0, (None,)),
        ("UPDATE t SET a = 1", 3.0, 2.0, (3.0,)),
        ("UPDATE t SET a = 1; LOCK TABLE t; UPDATE t SET a = 2", None, 2.0, (None, 2.0, 2.0)),
        ("DO $$ BEGIN END $$", None, 2.0, (2.0,)),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", 3.0, 2.0, (None,)),
        (f"SELECT 1;\n{OPTION}CREATE INDEX CONCURRENTLY i ON t (a)", 3.0, 2.0, (3.0, 1.0)),
        (f"SELECT 1;\n{OPTION}UPDATE t SET a = 1; SELECT 2", None, None, (None, 1.0, None)),
        ("SET lock_timeout = 5; ALTER TABLE t ADD a INT8", 3.0, 2.0, (3.0, None)),
        ("SET LOCAL lock_timeout = 5; DROP TABLE t", None, 2.0, (None, None)),
    ],
)
def test_the_first_that_says_so_sets_the_limit(
    text: str, script: float | None, default: float | None, wanted: tuple[float | None, ...]
) -> None:
    found = statements(text)
    assert lock_limits(found, 0, len(found), script=script, default=default) == wanted


def test_a_setting_of_an_earlier_transaction_of_the_script_holds_on() -> None:
    found = statements("SET lock_timeout = 5; DROP TABLE t; DROP TABLE u")
    assert lock_limits(found, 2, 3, script=None, default=2.0) == (None,)


@pytest.mark.parametrize(
    ("text", "limits", "wanted"),
    [
        ("SELECT 1; SELECT 2", (None, None), (None, None)),
        ("SELECT 1; SELECT 2", (2.0, 2.0), ("SET LOCAL lock_timeout = 2000", None)),
        (
            "SELECT 1; SELECT 2; SELECT 3",
            (None, 0.0001, None),
            (None, "SET LOCAL lock_timeout = 1", "SET LOCAL lock_timeout TO DEFAULT"),
        ),
        (
            "SET LOCAL lock_timeout = 5; SELECT 2; SELECT 3",
            (None, 0.0, None),
            (None, "SET LOCAL lock_timeout = 0", "SET       lock_timeout = 5"),
        ),
        (
            "SELECT 1; SET lock_timeout = 5; SELECT 3",
            (2.0, 2.0, None),
            ("SET LOCAL lock_timeout = 2000", None, None),
        ),
    ],
)
def test_a_setting_is_sent_where_the_limit_changes(
    text: str, limits: tuple[float | None, ...], wanted: tuple[str | None, ...]
) -> None:
    found = local_settings(statements(text), 0, limits)
    assert tuple(each and each.sql for each in found) == wanted
