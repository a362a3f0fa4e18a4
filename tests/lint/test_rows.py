"""What scripts say about their rows, and what is therefore not asked of the data."""

from __future__ import annotations

import pytest

from tests.lint.scripts import judge

RIDES = "CREATE TABLE rides (id INT8 PRIMARY KEY, city TEXT, price DECIMAL(10,2));"


def found(rule: str, sql: str, *, given: str = RIDES, server: str = "cockroachdb") -> list[str]:
    report = judge(sql, given=given, server=server)
    return [one.message for one in report.findings if one.rule == rule]


USERS = """
    CREATE TABLE users (id INT8 PRIMARY KEY, name TEXT UNIQUE, email TEXT, tenant INT8);
    CREATE UNIQUE INDEX by_email ON users (tenant, email);
    CREATE TABLE other (id INT8 PRIMARY KEY, name TEXT);
"""
WRITE = "UPDATE users SET email = lower(email) WHERE id = 1;"
BY_NAME = "CREATE UNIQUE INDEX i ON users (name);"
DELETE = "DELETE FROM rides WHERE id = 5;"
RENAME = "UPDATE users SET name = 'x' WHERE id = 1;"
GONE = "DELETE FROM users WHERE id = 5;"
BY_LOWER = "CREATE UNIQUE INDEX by_lower ON users (lower(email));"
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
        (f"DROP INDEX by_email; {GONE} CREATE UNIQUE INDEX i ON users (email, tenant);", 0),
        (f"DROP INDEX by_email; {RENAME} CREATE UNIQUE INDEX i ON users (email, tenant);", 0),
        (
            f"ALTER TABLE users RENAME TO gone; ALTER TABLE other RENAME TO users; {BY_NAME}",
            1,
        ),
        ("CREATE UNIQUE INDEX i ON users (lower(name));", 1),
        (f"{BY_LOWER} CREATE UNIQUE INDEX i ON users (lower(email), tenant);", 1),  # the first
        ("ALTER TABLE users ADD COLUMN tag TEXT; CREATE UNIQUE INDEX i ON users (tag);", 0),
        ("ALTER TABLE users ADD COLUMN tag TEXT, ADD CONSTRAINT u UNIQUE (tag, email);", 0),
        ("ALTER TABLE users ADD tag TEXT DEFAULT 'x'; CREATE UNIQUE INDEX i ON users (tag);", 1),
        ("ALTER TABLE users ADD tag TEXT; ALTER TABLE users ADD PRIMARY KEY (tag);", 1),
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


@pytest.mark.parametrize(
    ("fill", "count"),
    [
        ("UPDATE rides SET city = 'Rome';", 0),
        ("UPDATE rides SET price = 1, city = 'Rome' WHERE city IS NULL;", 0),
        ("UPDATE rides SET city = gen_random_uuid()::TEXT WHERE city IS NULL;", 0),
        ("DELETE FROM rides WHERE city IS NULL;", 0),
        ("DELETE FROM rides WHERE city IS NULL AND price IS NULL;", 1),
        ("UPDATE rides SET city = 'Rome' WHERE price > 5;", 1),
        ("UPDATE rides SET city = 'Rome' WHERE price IS NULL;", 1),
        ("UPDATE rides SET city = NULL;", 1),
        ("UPDATE rides SET city = lower(note);", 1),
        ("UPDATE rides SET city = 'a' || note;", 1),
        ("UPDATE drivers SET city = 'Rome';", 1),
        ("UPDATE rides SET city = 'Rome' FROM drivers;", 1),
        ("DELETE FROM rides WHERE city IS NULL LIMIT 100;", 1),
        ("UPDATE rides SET (city, 1) = ('Rome', 2);", 1),
    ],
)
def test_a_column_that_the_script_filled_is_not_asked_about(fill: str, count: int) -> None:
    sql = f"{fill} ALTER TABLE rides ALTER COLUMN city SET NOT NULL;"

    assert len(found("not-null-on-data", sql)) == count


def test_a_column_that_was_added_with_a_value_is_not_asked_about() -> None:
    sql = "ALTER TABLE rides ADD seats INT8 DEFAULT 4; ALTER TABLE rides ALTER seats SET NOT NULL;"

    assert found("not-null-on-data", sql) == []


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("ALTER TABLE trips DROP CONSTRAINT k, ADD CONSTRAINT k FOREIGN KEY (ride) {};", 0),
        ("ALTER TABLE trips DROP CONSTRAINT k; ALTER TABLE trips ADD FOREIGN KEY (ride) {};", 0),
        (
            f"ALTER TABLE trips DROP CONSTRAINT k; {DELETE} ALTER TABLE trips ADD FOREIGN KEY (ride) {{}};",
            1,
        ),
        ("ALTER TABLE trips ADD FOREIGN KEY (other) {};", 1),
        ("ALTER TABLE trips DROP CONSTRAINT k, ADD FOREIGN KEY (ride) REFERENCES trips;", 1),
    ],
)
def test_a_foreign_key_that_takes_the_place_of_an_equal_one_is_not_asked_about(
    sql: str, count: int
) -> None:
    key = "CONSTRAINT k FOREIGN KEY (ride) REFERENCES rides (id)"
    given = f"{RIDES} CREATE TABLE trips (id INT8 PRIMARY KEY, ride INT8, other INT8, {key});"
    sql = sql.format("REFERENCES rides ON DELETE CASCADE")

    for server in ("postgresql", "cockroachdb"):
        assert len(found("foreign-key-on-data", sql, given=given, server=server)) == count


PARTLY = "ALTER TABLE rides ADD CONSTRAINT u UNIQUE (note) WHERE id > 1"
NOTES = "CREATE TABLE rides (id INT8 PRIMARY KEY, made DATE NOT NULL, seen DATE, note TEXT);"


@pytest.mark.parametrize(
    ("rule", "sql", "count"),
    [
        ("not-null-on-data", "UPDATE rides SET seen = made WHERE seen IS NULL; {}", 0),
        ("not-null-on-data", "UPDATE rides SET seen = seen WHERE seen IS NULL; {}", 1),
        (
            "not-null-on-data",
            "UPDATE rides SET seen = CASE WHEN id > 5 THEN '2020-01-01' ELSE now() END; {}",
            0,
        ),
        (
            "not-null-on-data",
            "UPDATE rides SET seen = CASE WHEN id > 5 THEN '2020-01-01' END; {}",
            1,
        ),
        (
            "not-null-on-data",
            "UPDATE rides SET seen = CASE WHEN id > 5 THEN seen ELSE now() END; {}",
            1,
        ),
        (
            "check-on-data",
            "ALTER TABLE rides ADD a TEXT; ALTER TABLE rides ADD CHECK (length(a) < 9)",
            0,
        ),
        (
            "check-on-data",
            "ALTER TABLE rides ADD a TEXT; ALTER TABLE rides ADD CHECK (a IS NOT NULL)",
            1,
        ),
        (
            "check-on-data",
            "ALTER TABLE rides ADD a TEXT; ALTER TABLE rides ADD CHECK (f(a) < 9)",
            1,
        ),
        ("check-on-data", "ALTER TABLE rides ADD a TEXT; ALTER TABLE rides ADD CHECK (id > 1)", 1),
        ("rename-table", "ALTER TABLE rides RENAME TO trips", 1),
        ("unique-on-data", PARTLY, 1),
        (
            "unique-on-data",
            f"{PARTLY};\nALTER TABLE rides ADD CONSTRAINT v UNIQUE (note)",
            2,
        ),
    ],
)
def test_what_the_script_says_of_its_values_counts(rule: str, sql: str, count: int) -> None:
    last = "ALTER TABLE rides ALTER seen SET NOT NULL"

    assert len(found(rule, sql.format(last), given=NOTES)) == count


def test_a_name_that_says_it_is_passing_may_be_given_up() -> None:
    given = "CREATE TABLE rides_new (id INT8 PRIMARY KEY);"

    assert found("rename-table", "ALTER TABLE rides_new RENAME TO rides", given=given) == []


def test_a_unique_constraint_with_a_condition_is_asked_with_it() -> None:
    (finding,) = [
        one
        for one in judge(PARTLY, given=NOTES, server="cockroachdb").findings
        if one.rule == "unique-on-data"
    ]

    assert finding.safer is not None
    assert "SELECT note FROM rides WHERE id > 1 GROUP BY note" in finding.safer
