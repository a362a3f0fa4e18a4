"""What the rest of a script says about what a statement takes away."""

from __future__ import annotations

import pytest

from tests.lint.scripts import judge

GIVEN = "CREATE TABLE rides (id INT8 PRIMARY KEY, city TEXT, price INT8);"


def found(rule: str, sql: str) -> list[str]:
    report = judge(sql, given=GIVEN, server="postgresql")
    return [one.message for one in report.findings if one.rule == rule]


@pytest.mark.parametrize(
    ("after", "count"),
    [
        ("", 1),
        ("CREATE TABLE trips (id INT8);", 1),
        ("CREATE TABLE rides (id INT8);", 0),
        ("CREATE VIEW public.rides AS SELECT 1 AS id;", 0),
        ("CREATE TABLE trips (id INT8); ALTER TABLE trips RENAME TO rides;", 0),
    ],
)
def test_a_table_is_not_renamed_away_where_another_takes_its_name(after: str, count: int) -> None:
    assert len(found("rename-table", f"ALTER TABLE rides RENAME TO old; {after}")) == count


@pytest.mark.parametrize(
    ("after", "count"),
    [
        ("", 1),
        ("ALTER TABLE rides ADD COLUMN town TEXT;", 1),
        ("ALTER TABLE rides ADD COLUMN city INT8;", 0),
        ("ALTER TABLE public.rides RENAME COLUMN price TO city;", 0),
        ("ALTER TABLE trips ADD COLUMN city INT8;", 1),
    ],
)
def test_a_column_is_not_renamed_away_where_another_takes_its_name(after: str, count: int) -> None:
    sql = f"ALTER TABLE rides RENAME COLUMN city TO town_name; {after}"

    messages = found("rename-column", sql)
    assert messages.count("Programs that use rides.city fail from now on.") == count


def test_a_drop_says_whether_another_takes_the_name() -> None:
    assert found("drop-column", "ALTER TABLE rides DROP COLUMN city, ADD COLUMN city INT8;") == [
        "DROP COLUMN city deletes the column of rides with its data; another column takes its name."
    ]
    assert found("drop-column", "ALTER TABLE rides DROP COLUMN city;") == [
        "DROP COLUMN city deletes the column of rides with its data; programs that still use it fail."
    ]
    assert found("drop-table", "DROP TABLE rides; CREATE TABLE rides (id INT8);") == [
        "DROP TABLE rides deletes the table and its rows; another takes its name."
    ]
