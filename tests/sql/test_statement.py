"""What a statement is, read from its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._sql.lexer import RawStatement, split
from manticore_cockroachdb._sql.server_kind import ServerKind
from manticore_cockroachdb._sql.statement import (
    Kind,
    Repeat,
    Statement,
    answers_when_repeated,
    classify,
    effects,
    has_if_exists,
    makes_no_job,
    object_names,
    refuses_transaction,
    repeatable,
    summary,
    target_table,
)

CRDB, PG = ServerKind.COCKROACHDB, ServerKind.POSTGRESQL


def statement(sql: str) -> Statement:
    return classify(RawStatement(sql, 7))


KINDS = {
    Kind.TRANSACTION: [
        "BEGIN",
        "begin work",
        "START TRANSACTION READ ONLY",
        "COMMIT",
        "COMMIT PREPARED 'x'",
        "END",
        "ROLLBACK TO a",
        "ABORT",
        "SAVEPOINT a",
        "RELEASE a",
        "PREPARE TRANSACTION 'x'",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET LOCAL TRANSACTION READ ONLY",
        "/* x */ -- y\n BEGIN",
    ],
    Kind.SESSION: [
        "SET search_path = a",
        "set local x to 1",
        "RESET ALL",
        "USE db",
        "DISCARD ALL",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "RESET TRANSACTION",
        "SELECT set_config('a', 'b', false)",
        "SELECT pg_catalog.set_config('search_path', '', false)",
        "PREPARE p AS SELECT 1",
        "DEALLOCATE p",
        "LISTEN x",
    ],
    Kind.DATA: [
        "SELECT 1",
        "(SELECT 1) UNION (SELECT 2)",
        "((VALUES (1)))",
        "INSERT INTO t SELECT 1",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "UPSERT INTO t VALUES (1)",
        "TABLE t",
        "EXPLAIN SELECT 1",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "WITH a AS (SELECT 1) INSERT INTO t SELECT 1",
        "WITH a AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT * FROM a",
        "CALL p()",
        "DO $$ BEGIN END $$",
        "MERGE INTO t USING u ON true",
        "SHOW a",
        "COPY t TO 'f'",
        "LOCK t",
        "SELECT 'into'",
        'SELECT a AS "into"',
        "SELECT a AS into FROM t",
        "SELECT (x).into",
        "select/**/1",
    ],
    Kind.SCHEMA: [
        "CREATE TABLE t (a INT)",
        "CREATE TABLE t AS SELECT 1",
        "ALTER TABLE t ADD a INT",
        "DROP TABLE t",
        "TRUNCATE t",
        "GRANT ALL ON t TO u",
        "REVOKE ALL ON t FROM u",
        "COMMENT ON TABLE t IS 'x'",
        "REINDEX TABLE t",
        "VACUUM",
        "ANALYZE t",
        "REFRESH MATERIALIZED VIEW v",
        "BACKUP INTO 'x'",
        "SET CLUSTER SETTING a = 1",
        "RESET CLUSTER SETTING a",
        "SECURITY LABEL ON TABLE t IS 'x'",
        "REASSIGN OWNED BY a TO b",
        "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c",
        "RESTORE FROM 'x'",
        "SELECT a INTO t FROM u",
        "WITH a AS (SELECT 1) SELECT * INTO t FROM a",
        "FROBNICATE t",
        "START FROBNICATION",
        '"SELECT" 1',
        "1",
        "IMPORT INTO t CSV DATA ('x')",
        "/* SELECT */ CREATE VIEW v AS SELECT 1",
        "created",
    ],
}


@pytest.mark.parametrize(("kind", "sql"), [(kind, sql) for kind in KINDS for sql in KINDS[kind]])
def test_a_statement_is_of_the_kind_its_words_say(kind: Kind, sql: str) -> None:
    assert statement(sql) == Statement(sql, 7, kind)


@pytest.mark.parametrize(
    ("sql", "servers"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a)", {PG}),
        ("CREATE UNIQUE INDEX CONCURRENTLY ON t (a)", {PG}),
        ("DROP INDEX CONCURRENTLY i", {PG}),
        ("REINDEX (VERBOSE) TABLE CONCURRENTLY t", {PG}),
        ("REINDEX (CONCURRENTLY) TABLE t", {PG}),
        ("REINDEX (VERBOSE) DATABASE d", {PG}),
        ("REINDEX SYSTEM d", {PG}),
        ("VACUUM FULL t", {PG}),
        ("CLUSTER", {PG}),
        ("CREATE DATABASE d", {PG}),
        ("DROP DATABASE d", {PG}),
        ("CREATE TABLESPACE s LOCATION '/x'", {PG}),
        ("DROP TABLESPACE s", {PG}),
        ("ALTER SYSTEM SET a = 1", {PG}),
        ("ALTER DATABASE d SET TABLESPACE s", {PG}),
        ("ALTER TABLE p DETACH PARTITION c CONCURRENTLY", {PG}),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", {PG}),
        ("ALTER SUBSCRIPTION s REFRESH PUBLICATION", {PG}),
        ("DROP SUBSCRIPTION s", {PG}),
        ("DISCARD ALL", {PG}),
        ("SET CLUSTER SETTING a = 1", {CRDB}),
        ("BACKUP INTO 'x'", {CRDB}),
        ("RESTORE FROM LATEST IN 'x'", {CRDB}),
        ("IMPORT INTO t CSV DATA ('x')", {CRDB}),
        ("EXPORT INTO CSV 'x' FROM TABLE t", {CRDB}),
        ("INSPECT TABLE t", {CRDB}),
        ("REFRESH MATERIALIZED VIEW v", {CRDB}),
        ("CREATE CHANGEFEED FOR t INTO 'x'", {CRDB}),
        ("CREATE INDEX i ON t (concurrently)", set()),
        ('CREATE INDEX "CONCURRENTLY" ON t (a)', set()),
        ("REINDEX TABLE t", set()),
        ("CLUSTER t USING i", set()),
        ("ALTER DATABASE d SET x = 1", set()),
        ("ALTER TABLE p DETACH PARTITION c", set()),
        ("CREATE TABLE database (a INT)", set()),
        ("INSERT INTO t VALUES (1)", set()),
        ("ANALYZE", set()),
    ],
)
def test_who_refuses_it_inside_a_transaction(sql: str, servers: set[ServerKind]) -> None:
    assert {kind for kind in ServerKind if refuses_transaction(statement(sql), kind)} == servers


SAFE, UNNAMED, UNSAFE = Repeat.SAFE, Repeat.UNNAMED, Repeat.UNSAFE
LOSES = Repeat.DESTRUCTIVE


@pytest.mark.parametrize(
    ("sql", "repeat", "codes"),
    [
        ("CREATE TABLE t (a INT)", SAFE, "42P07"),
        ("CREATE UNLOGGED TABLE IF NOT EXISTS t (a INT)", SAFE, "42P07"),
        ("CREATE TABLE t AS SELECT 1", SAFE, "42P07"),
        ("SELECT 1 INTO t", SAFE, "42P07"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", SAFE, "42P07"),
        ("CREATE SEQUENCE s", SAFE, "42P07"),
        ("CREATE UNIQUE INDEX i ON t (a)", SAFE, "42P07"),
        ("CREATE INDEX ON t (a)", UNNAMED, ""),
        ("CREATE INVERTED INDEX ON t (a)", UNNAMED, ""),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", SAFE, "42P07"),
        ("CREATE TYPE e AS ENUM ('a')", SAFE, "42710"),
        ("CREATE SCHEMA s", SAFE, "42P06"),
        ("CREATE DATABASE d", SAFE, "42P04"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", SAFE, "42723"),
        ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", SAFE, ""),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", SAFE, ""),
        ("CREATE USER u", SAFE, "42710"),
        ("CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()", SAFE, "42710"),
        ("CREATE STATISTICS ON a, b FROM t", UNNAMED, ""),
        ("CREATE CHANGEFEED FOR t", UNSAFE, ""),
        ("DROP TABLE t", LOSES, "42P01"),
        ("DROP INDEX i", SAFE, "42P01 42704"),
        ("DROP TYPE e", SAFE, "42704"),
        ("DROP SCHEMA s CASCADE", LOSES, "3F000"),
        ("DROP DATABASE d", LOSES, "3D000"),
        ("DROP FUNCTION f(int)", SAFE, "42883"),
        ("DROP OWNED BY u", LOSES, ""),
        ("DROP SCHEMA s", SAFE, "3F000"),
        ("DROP SEQUENCE s", LOSES, "42P01"),
        ("DROP MATERIALIZED VIEW v", LOSES, "42P01"),
        ("DROP VIEW v", SAFE, "42P01"),
        ("DROP TYPE e CASCADE", LOSES, "42704"),
        ("DROP ROLE IF EXISTS r", SAFE, "42704 XXUUU"),
        ("DROP USER r", SAFE, "42704 XXUUU"),
        ("ALTER TABLE t ALTER COLUMN c DROP STORED", SAFE, "42611"),
        ("ALTER TABLE t ALTER COLUMN c DROP EXPRESSION", SAFE, "55000"),
        ("ALTER TABLE t DROP COLUMN b, ADD UNIQUE (a)", UNNAMED, "42703"),
        ("ALTER TABLE t ADD a INT", SAFE, "42701"),
        ("ALTER TABLE t ADD COLUMN a INT UNIQUE CHECK (a > 0)", SAFE, "42701"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", SAFE, "42710"),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)", SAFE, "42710 42P07"),
        ("ALTER TABLE t ADD CONSTRAINT c PRIMARY KEY (a)", SAFE, "42710 42P07 42P16"),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i", UNSAFE, "42710 42P07"),
        ("ALTER TABLE t ADD PRIMARY KEY (a)", SAFE, "42P16"),
        ("ALTER TABLE t ADD UNIQUE (a)", UNNAMED, ""),
        ("ALTER TABLE t ADD CHECK (a > 0)", UNNAMED, ""),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u", UNNAMED, ""),
        ("ALTER TABLE t ADD EXCLUDE (a WITH =)", UNNAMED, ""),
        ("ALTER TABLE t DROP COLUMN IF EXISTS a", LOSES, "42703"),
        ("ALTER TABLE t DROP a", LOSES, "42703"),
        ("ALTER TABLE t DROP CONSTRAINT c", SAFE, "42704"),
        ("ALTER TABLE t RENAME TO u", SAFE, "42P01"),
        ("ALTER TABLE t RENAME a TO b", SAFE, "42703"),
        ("ALTER TABLE t RENAME COLUMN a TO b", SAFE, "42703"),
        ("ALTER TABLE t RENAME CONSTRAINT a TO b", SAFE, "42704"),
        ("ALTER TABLE t SET SCHEMA s", SAFE, "42P01"),
        ("ALTER TABLE t ADD a INT, DROP b, ADD CONSTRAINT c CHECK (f(1, 2))", LOSES,
         "42701 42703 42710"),
        ("ALTER TABLE t ADD a INT, ADD UNIQUE (b)", UNNAMED, "42701"),
        ("ALTER TABLE t ALTER a SET NOT NULL, ALTER COLUMN b DROP DEFAULT", SAFE, ""),
        ("ALTER TABLE t ALTER a TYPE INT", SAFE, ""),
        ("ALTER TABLE t ALTER a SET DATA TYPE INT USING a + 1", UNSAFE, ""),
        ("ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY", SAFE, "55000"),
        ("ALTER TABLE t ALTER PRIMARY KEY USING COLUMNS (a)", UNSAFE, ""),
        ("ALTER TABLE t OWNER TO u", SAFE, ""),
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", SAFE, ""),
        ("ALTER TABLE t VALIDATE CONSTRAINT c", SAFE, ""),
        ("ALTER TABLE p ATTACH PARTITION c DEFAULT", UNSAFE, ""),
        ("ALTER TABLE t SPLIT AT VALUES (1)", UNSAFE, ""),
        ("ALTER INDEX i RENAME TO j", SAFE, "42704 42P01"),
        ("ALTER TYPE e ADD VALUE 'b' AFTER 'a'", SAFE, "42710"),
        ("ALTER TYPE e RENAME VALUE 'a' TO 'b'", SAFE, "22023 42710"),
        ("PAUSE JOB 123", SAFE, ""),
        ("CANCEL SESSION 'x'", SAFE, ""),
        ("INSPECT TABLE t", SAFE, ""),
        ("ALTER TYPE e RENAME TO f", SAFE, "42704"),
        ("ALTER TYPE c ADD ATTRIBUTE a INT", SAFE, "42701"),
        ("ALTER SCHEMA s RENAME TO u", SAFE, "3F000"),
        ("ALTER SEQUENCE s RESTART", UNSAFE, ""),
        ("ALTER SEQUENCE s INCREMENT BY 2", SAFE, ""),
        ("ALTER ROLE u PASSWORD 'x'", SAFE, ""),
        ("ALTER FUNCTION f(int) RENAME TO g", SAFE, "42883"),
        ("TRUNCATE t", LOSES, ""),
        ("GRANT ALL ON t TO u", SAFE, ""),
        ("COMMENT ON TABLE t IS 'x'", SAFE, ""),
        ("REFRESH MATERIALIZED VIEW v", SAFE, ""),
        ("SET CLUSTER SETTING a = 1", SAFE, ""),
        ("SET a = 1", SAFE, ""),
        ("BACKUP INTO 'x'", UNSAFE, ""),
        ("FROBNICATE t", UNSAFE, ""),
        ("INSERT INTO t VALUES (1)", UNSAFE, ""),
    ],
)  # fmt: skip
def test_what_a_second_sending_would_say(sql: str, repeat: Repeat, codes: str) -> None:
    answers = answers_when_repeated(statement(sql))
    assert repeatable(statement(sql)) is repeat
    assert {answer.sqlstate for answer in answers} == set(codes.split())


@pytest.mark.parametrize(
    ("sql", "table", "names"),
    [
        ('CREATE INDEX i ON ONLY "My".t (a)', '"My".t', ("i", "t")),
        ("CREATE INDEX ON T (a)", "T", ("t",)),
        ("CREATE UNIQUE INDEX IF NOT EXISTS I ON s.t (a)", "s.t", ("i", "t")),
        ('ALTER TABLE IF EXISTS ONLY s."T""x" * ADD COLUMN Col INT', 's."T""x"', ('T"x', "col")),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a), DROP b", "t", ("t", "c", "b")),
        ("ALTER TABLE t ALTER COLUMN a SET NOT NULL", "t", ("t", "a")),
        ("ALTER TABLE t RENAME COLUMN a TO b", "t", ("t", "a")),
        ("ALTER INDEX s.t@i RENAME TO j", "s.t", ("t", "i")),
        ("DROP INDEX t@i, j", "t", ("t", "i", "j")),
        ("DROP TABLE IF EXISTS a.b, c CASCADE", "a.b", ("b", "c")),
        ("TRUNCATE TABLE ONLY s.t, u", "s.t", ("t", "u")),
        ("CREATE TABLE d.s.t (a INT)", "d.s.t", ("t",)),
        ("CREATE TRIGGER g AFTER UPDATE OF a ON s.t EXECUTE FUNCTION f()", "s.t", ("g", "t")),
        ("DROP POLICY p ON t", "t", ("p", "t")),
        ("ALTER TYPE s.e ADD VALUE 'x'", None, ("e",)),
        ("CREATE SEQUENCE q", None, ("q",)),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY s.v", None, ("v",)),
        ("SELECT a INTO TABLE t FROM u", "t", ("t",)),
        ("FROBNICATE t", None, ()),
        ("INSERT INTO t VALUES (1)", None, ()),
    ],
)
def test_which_table_and_names_it_is_about(
    sql: str, table: str | None, names: tuple[str, ...]
) -> None:
    assert (target_table(statement(sql)), object_names(statement(sql))) == (table, names)


@pytest.mark.parametrize(
    ("sql", "jobless"),
    [
        ("CREATE TABLE t (a INT)", True),
        ("CREATE TABLE t (a INT REFERENCES u)", False),
        ("CREATE TABLE t AS SELECT 1", False),
        ("CREATE TYPE e AS ENUM ()", True),
        ("CREATE SCHEMA s", True),
        ("CREATE SEQUENCE s", True),
        ("CREATE VIEW v AS SELECT 1", True),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", False),
        ("CREATE INDEX i ON t (a)", False),
        ("ALTER TABLE t ADD a INT", False),
        ("DROP TABLE t", False),
        ("IMPORT INTO t CSV DATA ('x')", True),
        ("CREATE CHANGEFEED FOR t INTO 'x'", True),
        ("CREATE SCHEDULE FOR BACKUP INTO 'x' RECURRING '@daily'", True),
        ("FROBNICATE t", True),
    ],
)
def test_whether_cockroachdb_starts_no_job(sql: str, jobless: bool) -> None:
    assert makes_no_job(statement(sql)) is jobless


@pytest.mark.parametrize(
    ("sql", "conditional"),
    [
        ("CREATE TABLE if not /* x */ EXISTS t (a INT)", True),
        ("DROP TABLE IF EXISTS t", True),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT", True),
        ("CREATE TABLE t (a TEXT DEFAULT 'if not exists')", False),
        ('CREATE TABLE "IF" (a INT)', False),
        ("CREATE FUNCTION f() RETURNS int AS $$ DROP TABLE IF EXISTS t $$", False),
        ("SELECT 1 -- if exists", False),
    ],
)
def test_whether_it_may_have_done_nothing(sql: str, conditional: bool) -> None:
    assert has_if_exists(statement(sql)) is conditional


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("CREATE TABLE t (\n    a INT, -- why\n    b TEXT\n)", "CREATE TABLE t ( a INT, b TEXT )"),
        ("SELECT 'a\n   b'/**/, 1", "SELECT 'a b' , 1"),
        ("INSERT INTO t VALUES ('" + "x" * 100 + "')", "INSERT INTO t VALUES ('" + "x" * 36 + "…"),
        ("CREATE USER u WITH PASSWORD 'hunter2'", "CREATE USER u WITH PASSWORD '…'"),
        ("ALTER ROLE u PASSWORD $$hunter2$$", "ALTER ROLE u PASSWORD '…'"),
        ("BACKUP INTO 's3://b?KEY=hunter2'", "BACKUP INTO '…'"),
        ("IMPORT INTO t CSV DATA ('s3://hunter2')", "IMPORT INTO t CSV DATA ('…')"),
        ("CREATE EXTERNAL CONNECTION c AS 'hunter2'", "CREATE EXTERNAL CONNECTION c AS '…'"),
        ("CREATE SUBSCRIPTION s CONNECTION E'hunter2'", "CREATE SUBSCRIPTION s CONNECTION '…'"),
        ("ALTER SERVER s OPTIONS (SET k 'hunter2')", "ALTER SERVER s OPTIONS (SET k '…')"),
        ("CREATE USER MAPPING FOR u SERVER s OPTIONS (password 'hunter2')",
         "CREATE USER MAPPING FOR u SERVER s OPTIONS (password '…')"),
        ("DO $$ CREATE USER u PASSWORD 'hunter2' $$", "DO '…'"),
        ("SET CLUSTER SETTING k = 'hunter2'", "SET CLUSTER SETTING k = '…'"),
        ("COPY t FROM 's3://hunter2'", "COPY t FROM '…'"),
    ],
)  # fmt: skip
def test_a_summary_is_one_line_without_comments_and_passwords(sql: str, shown: str) -> None:
    assert summary(statement(sql)) == shown
    assert len(shown) <= 60


@given(st.text(max_size=80) | st.text(alphabet="CREATE ALTR TBL()'\"$-/*;,.@ioux\n", max_size=80))
def test_no_text_breaks_any_of_these(text: str) -> None:
    for raw in split(text).up:
        found = classify(raw)
        assert len(summary(found, 20)) <= 20
        assert "\n" not in summary(found, 20)
        for question in (
            answers_when_repeated,
            effects,
            repeatable,
            target_table,
            object_names,
            makes_no_job,
        ):
            question(found)
        for kind in ServerKind:
            refuses_transaction(found, kind)
        has_if_exists(found)
