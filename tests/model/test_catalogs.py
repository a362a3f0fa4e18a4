"""The model folded from scripts holds what a server's catalogs hold after running them."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.types import ServerKind
from tests.model.catalogs import of_model, of_server
from tests.model.test_folding import BASE, CHANGES, folded

pytestmark = pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")

SCRIPTS = {
    "names the server chooses": """
        CREATE TABLE t (a INT PRIMARY KEY, b INT UNIQUE, c INT CHECK (c > 0), d INT CHECK (d > c),
                        e INT REFERENCES t, UNIQUE (b, c), CHECK (a <> b), CHECK (a > 5));
        CREATE INDEX ON t (b); CREATE INDEX ON t (b); CREATE INDEX ON t (lower(b::text), (a + 1), (a + 2));
        ALTER TABLE t ADD FOREIGN KEY (d) REFERENCES t (a), ADD UNIQUE (d);
        CREATE TABLE a_table_with_a_name_that_is_quite_long_indeed (
            a_column_with_a_name_that_is_long_as_well INT UNIQUE);
    """,
    "numbered columns and their sequences": """
        CREATE TABLE t (a SERIAL PRIMARY KEY, b BIGINT GENERATED ALWAYS AS IDENTITY, c SMALLSERIAL);
        ALTER TABLE t ADD COLUMN d BIGSERIAL; ALTER TABLE t RENAME TO u; ALTER TABLE u DROP COLUMN c;
        CREATE TABLE t (a SERIAL); DROP TABLE t; CREATE SEQUENCE s; ALTER SEQUENCE s RENAME TO r;
        CREATE SEQUENCE q; ALTER SEQUENCE q OWNED BY u.a; ALTER TABLE u DROP COLUMN a;
    """,
    "types": """
        CREATE TYPE mood AS ENUM ('a', 'b'); CREATE SCHEMA s; CREATE TYPE s.kind AS ENUM ('x');
        CREATE TYPE "Odd" AS ENUM ();
        CREATE TABLE t (a VARCHAR(10), b CHAR, c NUMERIC(5), d NUMERIC(10, 2), e TIMESTAMP(3),
            f TIMESTAMPTZ, g TIME WITH TIME ZONE, h FLOAT, i FLOAT(3), j BIT, k VARBIT(4), l TEXT[],
            m mood, n s.kind[], o INTERVAL, p DOUBLE PRECISION, q "Odd", r JSONB, s UUID, t BYTEA,
            u DATE, v INT2 DEFAULT 3, w TEXT DEFAULT NULL, x INET, y CHARACTER VARYING, z BOOL);
        ALTER TYPE mood ADD VALUE 'c'; ALTER TYPE mood RENAME VALUE 'a' TO 'd';
        ALTER TYPE mood RENAME TO temper; ALTER TABLE t ALTER a TYPE TEXT;
    """,
    "keys made of indexes": """
        CREATE TABLE t (a INT NOT NULL, b INT, c INT);
        CREATE UNIQUE INDEX i ON t (a); CREATE UNIQUE INDEX j ON t (b, c);
        ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY USING INDEX i, ADD UNIQUE USING INDEX j;
        ALTER TABLE t DROP CONSTRAINT k; ALTER TABLE t ADD PRIMARY KEY (b);
        ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (c);
    """,
    "a unique constraint over the primary key is one index": """
        CREATE TABLE t (a INT, b INT, PRIMARY KEY (a), CONSTRAINT named UNIQUE (a), UNIQUE (b));
    """,
    "cascades": """
        CREATE TABLE o (id INT PRIMARY KEY, n INT); CREATE UNIQUE INDEX on_n ON o (n);
        CREATE TABLE t (a INT REFERENCES o, b INT REFERENCES o (n));
        CREATE VIEW v AS SELECT id FROM o; CREATE MATERIALIZED VIEW w AS SELECT id FROM v;
        DROP INDEX on_n CASCADE; ALTER TABLE o DROP CONSTRAINT o_pkey CASCADE; DROP VIEW v CASCADE;
    """,
    "partitions": """
        CREATE TABLE t (a INT, b INT) PARTITION BY RANGE (a);
        CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE q (a INT, b INT);
        ALTER TABLE t ATTACH PARTITION q FOR VALUES FROM (10) TO (20); ALTER TABLE t DETACH PARTITION q;
    """,
    "schemas and search paths": """
        CREATE SCHEMA s; CREATE TABLE s.t (a INT PRIMARY KEY); SET search_path = s, public;
        CREATE TABLE u (a INT REFERENCES t); CREATE INDEX ON t (a); ALTER TABLE u SET SCHEMA public;
        ALTER SCHEMA s RENAME TO r;
    """,
    "not null in every way": """
        CREATE TABLE t (a INT NOT NULL, b INT, c INT, d INT NULL);
        ALTER TABLE t ALTER b SET NOT NULL, ALTER a DROP NOT NULL, ADD PRIMARY KEY (c);
        ALTER TABLE t ADD CONSTRAINT x CHECK (d IS NOT NULL) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT x;
    """,
}  # fmt: skip


def run(url: str, sql: str) -> dict[str, object]:
    with psycopg.connect(url, autocommit=True) as connection:
        for raw in split_script(sql):
            connection.execute(raw.text)
        return of_server(connection)


@pytest.mark.parametrize("sql", SCRIPTS.values(), ids=list(SCRIPTS))
def test_the_model_equals_the_catalogs(database_url: str, sql: str) -> None:
    # A partition's columns are its parent's; its own definition is not in its text.
    schema = folded(sql, ServerKind.POSTGRESQL)

    assert of_model(schema) == run(database_url, sql)


@given(st.lists(st.sampled_from(range(len(CHANGES))), unique=True, min_size=1, max_size=8))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_changes_give_what_the_catalogs_hold(server: RunningServer, chosen: list[int]) -> None:
    url = server.new_database()
    sql = BASE
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            for raw in split_script(BASE):
                connection.execute(raw.text)
            for one in chosen:
                # Two of them may not go together; then the server refuses, and neither has it.
                try:
                    with connection.transaction():
                        for raw in split_script(CHANGES[one][0]):
                            connection.execute(raw.text)
                except psycopg.Error:
                    continue
                sql += f";{CHANGES[one][0]}"
            there = of_server(connection)
    finally:
        server.drop_database(url)

    assert of_model(folded(sql, ServerKind.POSTGRESQL)) == there
