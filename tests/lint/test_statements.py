"""Statements and the rules that find them: what an example of each rule does not show."""

from __future__ import annotations

import pytest

from tests.lint.scripts import judge

RIDES = "CREATE TABLE rides (id INT8 PRIMARY KEY, city TEXT, price DECIMAL(10,2));"
STATUS = "CREATE TYPE status AS ENUM ('open', 'done');"


def found(rule: str, sql: str, *, given: str = RIDES, server: str = "cockroachdb") -> list[str]:
    report = judge(sql, given=given, server=server)
    return [one.message for one in report.findings if one.rule == rule]


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("GRANT SELECT (city) ON rides TO reader", "privileges of single columns"),
        ("REVOKE UPDATE (city, price) ON rides FROM reader", "privileges of single columns"),
        ("GRANT ALL PRIVILEGES (city) ON rides TO reader", "privileges of single columns"),
        ("CREATE USER MAPPING FOR reader SERVER other", "CREATE USER MAPPING"),
        ("CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw", "CREATE SERVER"),
    ],
)
def test_cockroachdb_lacks_it(sql: str, what: str) -> None:
    assert found("not-on-cockroachdb", sql) == [f"CockroachDB has no {what}."]


@pytest.mark.parametrize(
    "sql",
    [
        "GRANT SELECT ON rides TO reader",
        "GRANT ALL ON FUNCTION fare(int8) TO reader",
        "GRANT USAGE ON SCHEMA public TO reader",
        "CREATE USER reader",
    ],
)
def test_cockroachdb_has_it(sql: str) -> None:
    assert found("not-on-cockroachdb", sql) == []


def test_a_type_that_the_script_made_or_that_is_gone_is_dropped_without_a_word() -> None:
    assert found("drop-type", f"{STATUS} DROP TYPE status;") == []
    assert found("drop-type", "DROP TYPE status; DROP TYPE IF EXISTS status;", given=STATUS) == [
        "Programs that still use the type status fail."
    ]
    (message,) = found("drop-type", "DROP TYPE status CASCADE;", given=STATUS)
    assert message == (
        "Programs that still use the type status fail. CASCADE also drops every column that has "
        "it, with its data."
    )


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX by_city ON rides (city)",
        "ALTER TABLE rides ADD CONSTRAINT one_per_city UNIQUE (city)",
        "ALTER TABLE rides ALTER PRIMARY KEY USING COLUMNS (city, id)",
        "ALTER TABLE rides ADD COLUMN note TEXT DEFAULT 'x'",
        "ALTER TABLE rides ADD COLUMN upper_city TEXT AS (upper(city)) STORED",
        "ALTER TABLE rides ALTER COLUMN price TYPE TEXT",
        "ALTER TABLE rides SET LOCALITY REGIONAL BY ROW",
    ],
)
def test_what_is_written_again_needs_space(sql: str) -> None:
    assert len(found("needs-space", sql)) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE rides ADD COLUMN note TEXT",
        "ALTER TABLE rides DROP COLUMN price",
        "ALTER TABLE rides ADD CONSTRAINT cheap CHECK (price < 100)",
        "ALTER TABLE rides ALTER COLUMN price TYPE DECIMAL(12,2)",
        "CREATE TABLE trips (id INT8 PRIMARY KEY, city TEXT); CREATE INDEX ON trips (city)",
        "TRUNCATE rides; CREATE INDEX by_city ON rides (city)",
    ],
)
def test_what_is_not_written_again_needs_no_space(sql: str) -> None:
    assert found("needs-space", sql) == []


def test_sizes_are_asked_for_as_the_version_knows_them() -> None:
    sql = "CREATE INDEX by_city ON rides (city)"
    asked = [
        one.safer.splitlines()[0]
        for server in ("cockroachdb:22.2", "cockroachdb:25.4")
        for one in judge(sql, given=RIDES, server=server).findings
        if one.rule == "needs-space" and one.safer
    ]

    assert asked == [
        "-- SELECT sum(range_size_mb) FROM [SHOW RANGES FROM TABLE rides];",
        "-- SELECT sum(range_size_mb) FROM [SHOW RANGES FROM TABLE rides WITH DETAILS];",
    ]


def test_the_type_of_a_column_that_a_functions_body_names_cannot_be_changed() -> None:
    given = (
        f"{RIDES} CREATE FUNCTION dearest() RETURNS DECIMAL LANGUAGE SQL AS "
        "$$ SELECT max(price) FROM rides $$;"
    )
    change = "ALTER TABLE rides ALTER COLUMN {} TYPE BYTES USING NULL"

    assert found("alter-type-refused", change.format("price"), given=given) == [
        "CockroachDB refuses to change the type of rides.price: the function dearest uses it."
    ]
    assert found("alter-type-refused", change.format("city"), given=given) == []
