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


USERS = """
    CREATE TABLE users (id INT8 PRIMARY KEY, name TEXT UNIQUE, email TEXT, tenant INT8);
    CREATE UNIQUE INDEX by_email ON users (tenant, email);
"""
WRITE = "UPDATE users SET email = lower(email) WHERE id = 1;"
BY_TAG = "CREATE UNIQUE INDEX i ON users (tag);"


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("CREATE UNIQUE INDEX i ON users (email);", 1),
        ("CREATE UNIQUE INDEX i ON users (id, email);", 0),
        ("CREATE UNIQUE INDEX i ON users (name, email);", 0),
        ("ALTER TABLE users ADD CONSTRAINT u UNIQUE (email, tenant);", 0),
        ("ALTER TABLE users DROP CONSTRAINT users_name_key, ADD CONSTRAINT u UNIQUE (name);", 0),
        ("DROP INDEX by_email; CREATE UNIQUE INDEX i ON users (email, tenant);", 0),
        (
            f"DROP INDEX by_email; {WRITE} CREATE UNIQUE INDEX i ON users (email, tenant);",
            1,
        ),
        ("ALTER TABLE users ADD COLUMN tag TEXT; CREATE UNIQUE INDEX i ON users (tag);", 0),
        ("ALTER TABLE users ADD COLUMN tag TEXT, ADD CONSTRAINT u UNIQUE (tag, email);", 0),
        ("ALTER TABLE users ADD tag TEXT DEFAULT 'x'; CREATE UNIQUE INDEX i ON users (tag);", 1),
        ("ALTER TABLE users ADD n BIGSERIAL; CREATE UNIQUE INDEX i ON users (n);", 0),
        (
            f"ALTER TABLE users ADD tag UUID DEFAULT gen_random_uuid(); {BY_TAG}",
            0,
        ),
        (
            f"ALTER TABLE users ADD tag TEXT; {WRITE} {BY_TAG}",
            1,
        ),
        ("ALTER TABLE users ADD COLUMN tag TEXT UNIQUE DEFAULT 'x';", 1),
        ("ALTER TABLE users ADD COLUMN tag TEXT UNIQUE DEFAULT make_tag();", 0),  # not known
    ],
)
def test_rows_that_cannot_be_equal_are_not_asked_about(sql: str, count: int) -> None:
    for server in ("postgresql", "cockroachdb"):
        assert len(found("unique-on-data", sql, given=USERS, server=server)) == count


def test_a_foreign_key_over_a_column_that_is_null_everywhere_cannot_fail() -> None:
    given = f"{USERS} CREATE TABLE rides (id INT8 PRIMARY KEY);"
    add = "ALTER TABLE rides ADD COLUMN rider INT8;"
    key = "ALTER TABLE rides ADD CONSTRAINT f FOREIGN KEY (rider) REFERENCES users;"
    fill = "UPDATE rides SET rider = 1 WHERE id = 1;"

    assert found("foreign-key-on-data", add + key, given=given) == []
    assert len(found("foreign-key-on-data", add + fill + key, given=given)) == 1


def test_a_column_that_a_check_keeps_from_being_null_is_not_asked_about() -> None:
    given = f"{RIDES} ALTER TABLE rides ADD CONSTRAINT has_city CHECK (city IS NOT NULL);"
    sql = "ALTER TABLE rides ALTER COLUMN city SET NOT NULL;"

    assert found("not-null-on-data", sql, given=given) == []
    assert len(found("not-null-on-data", sql)) == 1


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("UPDATE pg_index SET indisready = false WHERE indrelid = 7;", 0),
        ("DELETE FROM users WHERE name = 'admin';", 0),
        ("UPDATE users SET email = NULL WHERE tenant = 5 AND email = '';", 0),
        ("UPDATE users SET email = NULL WHERE email = '';", 1),
        ("DELETE FROM users WHERE name = 'admin' OR tenant = 5;", 1),
        ("DELETE FROM users WHERE name = lower(email);", 1),
        ("DELETE FROM users WHERE name <> 'admin';", 1),
    ],
)
def test_a_write_of_one_row_is_not_large(sql: str, count: int) -> None:
    assert len(found("large-write", sql, given=USERS)) == count


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE users; CREATE TABLE users (id INT8 PRIMARY KEY, email TEXT);",
        "ALTER TABLE users RENAME TO old; CREATE TABLE users (id INT8 PRIMARY KEY, email TEXT);",
    ],
)
def test_a_table_that_takes_the_place_of_another_is_new(sql: str) -> None:
    index = "CREATE UNIQUE INDEX i ON users (email);"
    report = judge(sql + index, given=USERS, server="postgresql")
    rules = {one.rule for one in report.findings}

    assert rules & {"create-index-blocking", "unique-on-data"} == set()


def test_a_table_that_takes_the_name_of_a_new_one_is_not_new() -> None:
    sql = "CREATE TABLE t (id INT8); DROP TABLE t; ALTER TABLE users RENAME TO t;"

    assert (
        len(
            found(
                "create-index-blocking",
                f"{sql} CREATE INDEX i ON t (email);",
                given=USERS,
                server="postgresql",
            )
        )
        == 1
    )
