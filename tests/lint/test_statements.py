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


BOOKED = """
    CREATE TABLE riders (tenant INT8, id INT8, PRIMARY KEY (tenant, id));
    CREATE TABLE bookings (id INT8 PRIMARY KEY, tenant INT8, rider INT8);
"""
REFERS = "ALTER TABLE bookings ADD CONSTRAINT f FOREIGN KEY (tenant, rider) REFERENCES riders;"


@pytest.mark.parametrize(
    ("index", "count"),
    [
        ("SELECT 1;", 1),
        ("CREATE INDEX ON bookings (id, rider);", 1),
        ("CREATE INDEX ON bookings (rider) WHERE id > 5;", 1),
        ("CREATE INDEX ON bookings (rider, tenant);", 0),
        ("CREATE INDEX ON bookings (rider);", 0),  # few rows are read by it, not all
        ("CREATE INDEX ON bookings (rider) WHERE rider IS NOT NULL;", 0),
    ],
)
def test_a_foreign_key_is_reported_where_no_index_begins_with_a_column_of_it(
    index: str, count: int
) -> None:
    for server in ("postgresql", "cockroachdb"):
        rule = "foreign-key-without-index"
        assert len(found(rule, f"{index} {REFERS}", given=BOOKED, server=server)) == count


STAMPED = "CREATE TABLE rides (id INT8 PRIMARY KEY, began TIMESTAMP, ended TIMESTAMP(3));"
ZONED = "ALTER TABLE rides ALTER COLUMN began TYPE TIMESTAMPTZ"


@pytest.mark.parametrize(
    "sql",
    [
        f"SET timezone = 'UTC'; {ZONED};",
        f"SET TIME ZONE 'utc'; {ZONED} USING began;",
        f"SET LOCAL TimeZone TO 'GMT'; {ZONED};",
    ],
)
def test_a_timestamp_gets_a_zone_without_a_rewrite_while_the_session_is_in_utc(sql: str) -> None:
    assert found("change-column-type", sql, given=STAMPED, server="postgresql") == []


@pytest.mark.parametrize(
    "sql",
    [
        f"SET timezone = 'Europe/Oslo'; {ZONED};",
        f"SET timezone = 'UTC'; {ZONED} USING began AT TIME ZONE 'UTC';",
        "SET timezone = 'UTC'; ALTER TABLE rides ALTER COLUMN ended TYPE TIMESTAMPTZ(1);",
    ],
)
def test_a_timestamp_gets_a_zone_with_a_rewrite_otherwise(sql: str) -> None:
    assert len(found("change-column-type", sql, given=STAMPED, server="postgresql")) == 1


def test_the_safer_form_of_a_new_zone_is_to_be_in_utc() -> None:
    (one,) = [
        one
        for one in judge(f"{ZONED};", given=STAMPED, server="postgresql").findings
        if one.rule == "change-column-type"
    ]

    assert one.message == (
        "The type of rides.began changes from timestamp without time zone to timestamp with time "
        "zone: unless the session's TimeZone is UTC, the whole table is written again, and nobody "
        "can read or write it meanwhile."
    )
    assert one.safer == f"-- where the values are in UTC:\nSET timezone = 'UTC';\n{ZONED};"


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("DROP INDEX by_city;", 1),
        ("DROP INDEX IF EXISTS by_city;", 1),
        ("DROP INDEX rides_price;", 1),
        ("DROP INDEX IF EXISTS rides_price;", 0),  # no script made it
        ("DO $$ BEGIN PERFORM 1; END $$; DROP INDEX IF EXISTS rides_price;", 0),
    ],
)
def test_an_index_that_no_script_made_is_not_reported_where_the_drop_is_conditional(
    sql: str, count: int
) -> None:
    given = f"{RIDES} CREATE INDEX by_city ON rides (city);"
    assert len(found("drop-index-blocking", sql, given=given, server="postgresql")) == count


@pytest.mark.parametrize(("server", "count"), [("cockroachdb", 0), ("postgresql", 1)])
def test_a_unique_index_stands_for_a_constraint_on_cockroachdb(server: str, count: int) -> None:
    given = f"{RIDES} ALTER TABLE rides ADD CONSTRAINT one_per_city UNIQUE (city);"
    report = judge(
        "DROP INDEX one_per_city CASCADE;",
        given=given,
        down="CREATE UNIQUE INDEX one_per_city ON rides (city);",
        server=server,
    )

    assert sum(one.rule == "down-does-not-revert" for one in report.findings) == count


@pytest.mark.parametrize("server", ["cockroachdb", "postgresql"])
def test_an_alter_table_without_an_action_is_not_understood(server: str) -> None:
    report = judge("ALTER TABLE rides -- ADD COLUMN note TEXT\n;", given=RIDES, server=server)

    assert [one.words for one in report.not_understood] == ["ALTER TABLE RIDES"]


ADDED = [
    ("constraint-scan", "ALTER TABLE rides ADD COLUMN n INT8 CHECK (n > 0)", True),
    ("constraint-scan", "ALTER TABLE rides ADD COLUMN d INT8 REFERENCES drivers", False),
    ("constraint-scan", "ALTER TABLE rides ADD COLUMN d INT8 DEFAULT 1 REFERENCES drivers", True),
    ("unique-constraint-blocking", "ALTER TABLE rides ADD COLUMN n INT8 UNIQUE", True),
    ("unique-constraint-blocking", "ALTER TABLE rides ADD COLUMN n INT8", False),
    ("volatile-default", "ALTER TABLE rides ADD COLUMN t TEXT DEFAULT token()", True),
    ("volatile-default", "ALTER TABLE rides ADD COLUMN t TEXT DEFAULT fixed()", False),
    ("add-domain-column", "ALTER TABLE rides ADD COLUMN s small", True),
    ("add-domain-column", "ALTER TABLE rides ADD COLUMN s given", True),
    ("add-domain-column", "ALTER TABLE rides ADD COLUMN s plain", False),
    ("lock-timeout", "CREATE TABLE a (id INT8 PRIMARY KEY, ride INT8 REFERENCES rides)", True),
    ("lock-timeout", "CREATE TABLE a (id INT8 PRIMARY KEY, other INT8 REFERENCES a)", False),
    (
        "change-then-write",
        "CREATE TABLE a (id INT8 PRIMARY KEY, other INT8 REFERENCES a); UPDATE a SET other = 1",
        False,
    ),
    ("refresh-view-blocking", "REFRESH MATERIALIZED VIEW v WITH NO DATA", False),
    ("attach-partition-scan", "ALTER TABLE parts ATTACH PARTITION p1 FOR VALUES IN (1)", True),
    ("attach-partition-scan", "ALTER TABLE parts ATTACH PARTITION p2 FOR VALUES IN (2)", False),
]
MORE = f"""{RIDES} CREATE TABLE drivers (id INT8 PRIMARY KEY);
CREATE FUNCTION token() RETURNS TEXT LANGUAGE sql AS 'SELECT md5(random()::text) -- IMMUTABLE';
CREATE FUNCTION fixed() RETURNS TEXT IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$;
CREATE DOMAIN plain AS INT; CREATE DOMAIN given AS plain NOT NULL;
CREATE DOMAIN positive AS INT CHECK (VALUE > 0); CREATE DOMAIN small AS positive;
CREATE TABLE parts (a INT) PARTITION BY LIST (a);
CREATE TABLE p1 (a INT CHECK (a = 1)); CREATE TABLE p2 (a INT NOT NULL CHECK (a = 2));
"""


@pytest.mark.parametrize(("rule", "sql", "is_found"), ADDED)
def test_what_is_written_beside_a_column_or_refers_to_another_table_counts(
    rule: str, sql: str, is_found: bool
) -> None:
    assert bool(found(rule, sql, given=MORE, server="postgresql")) is is_found
