"""What statements reach beyond their database."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb._sql.reach import changes_server, other_database, schemas_made
from manticore_cockroachdb._sql.statement import classify

DATABASES = {"shop", "Odd", "system"}


@pytest.mark.parametrize(
    "text",
    [
        "USE shop",
        "SET database = shop",
        "SET SESSION database TO 'shop'",
        "SELECT set_config('database', 'shop', false)",
        "DROP TABLE shop.public.users",
        "DROP TABLE a, shop.users",
        "DROP TABLE IF EXISTS shop.users",
        "DROP INDEX shop.users@by_name",
        "TRUNCATE public.a, shop.b",
        "CREATE TABLE shop.users (id INT8)",
        "CREATE TABLE IF NOT EXISTS shop.public.users (id INT8)",
        "CREATE INDEX ON shop.users (id)",
        "CREATE INDEX i ON shop.public.users (id)",
        "ALTER TABLE shop.users ADD COLUMN n INT8",
        "ALTER TABLE t RENAME TO shop.public.u",
        "INSERT INTO shop.users VALUES (1)",
        "UPSERT INTO shop.public.users VALUES (1)",
        "UPDATE shop.users SET n = 1",
        "DELETE FROM shop.users",
        "GRANT SELECT ON shop.users TO app",
        "COMMENT ON COLUMN shop.public.users.name IS 'x'",
        "CREATE VIEW v AS SELECT * FROM shop.public.users",
        "SELECT nextval('shop.public.counter')",
        "CREATE TABLE t (id INT8 DEFAULT nextval('shop.counter'))",
    ],
)
def test_a_statement_that_names_another_database_is_found(text: str) -> None:
    assert other_database(text, DATABASES, frozenset()) == "shop"


def test_a_quoted_name_is_read_as_the_server_keeps_it() -> None:
    assert other_database('DROP TABLE "Odd".public.t', DATABASES, ()) == "Odd"
    assert other_database('DROP TABLE "SHOP".public.t', DATABASES, ()) is None


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE public.users",
        "DROP TABLE other.public.users",
        "CREATE TABLE shop (id INT8 PRIMARY KEY, public INT8)",
        "SELECT shop.id FROM shop JOIN users ON shop.id = users.shop",
        "UPDATE users SET name = shop.name FROM shop WHERE shop.id = users.shop",
        "INSERT INTO t VALUES ('shop.public.users')",
        "SET database = DEFAULT",
        "SET search_path = shop",
        "COMMENT ON COLUMN shop.id IS 'x'",
        "-- USE shop\nSELECT 1",
    ],
)
def test_a_statement_of_its_own_database_is_not(text: str) -> None:
    assert other_database(text, DATABASES, frozenset()) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("DROP TABLE shop.users", None),
        ("SELECT shop.users.id FROM shop.users", None),
        ("DROP TABLE shop.public.users", "shop"),
        ("DROP TABLE shop.shop.users", "shop"),
    ],
)
def test_a_schema_of_a_databases_name_is_no_other_database(text: str, found: str | None) -> None:
    assert other_database(text, DATABASES, {"shop"}) == found


def test_schemas_are_found_where_they_are_made() -> None:
    script = (
        'CREATE SCHEMA IF NOT EXISTS shop; CREATE SCHEMA db."Two"; ALTER SCHEMA a RENAME TO b;'
        "CREATE TABLE no.t (id INT8); ALTER SCHEMA c OWNER TO d"
    )
    made = set(schemas_made(map(classify, split_script(script))))

    assert {"shop", "Two", "b"} <= made
    assert "no" not in made


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("CREATE ROLE app", True),
        ("CREATE USER IF NOT EXISTS app", True),
        ("ALTER ROLE app PASSWORD 'x'", True),
        ("ALTER DATABASE shop SET timezone = 'UTC'", True),
        ("ALTER SYSTEM SET work_mem = '1GB'", True),
        ("GRANT admins TO app", True),
        ("GRANT CONNECT ON DATABASE shop TO app", True),
        ("COMMENT ON DATABASE shop IS 'x'", True),
        ("SET CLUSTER SETTING a.b = true", True),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", True),
        ("DO $$ BEGIN CREATE ROLE app; END $$", True),
        ("CREATE USER MAPPING FOR app SERVER s", False),
        ("GRANT SELECT ON users TO app", False),
        ("CREATE TABLE role (id INT8)", False),
        ("DO $$ BEGIN CREATE TABLE t (id INT8); END $$", False),
    ],
)
def test_what_changes_the_server_differs_from_what_changes_the_database(
    text: str, changes: bool
) -> None:
    (raw,) = split_script(text)

    assert changes_server(classify(raw)) is changes
