"""Every kind of schema statement is sent twice to a real server: what the second answer says.

The table of what a second sending does (`schema_change`) is only worth something if servers confirm it.
Both kinds of server are asked; a statement that one of them does not know is skipped there.
"""

from __future__ import annotations

import psycopg
import pytest

from manticore_cockroachdb._planner.decisions import proves_done
from manticore_cockroachdb._sql.lexer import RawStatement, split_script
from manticore_cockroachdb._sql.schema_change import Repeat
from manticore_cockroachdb._sql.statement import Statement, classify, repeatable
from manticore_cockroachdb.testing import RunningServer

BASE = """
CREATE TABLE t (
    id INT8 PRIMARY KEY, v INT8, w INT8 NOT NULL DEFAULT 1, s TEXT, CONSTRAINT cw CHECK (w > 0)
);
CREATE INDEX iv ON t (v);
CREATE TABLE z (a INT8 NOT NULL, b INT8)
"""
TRIGGER_FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"

#: Setup (may be empty) and statement. Roles are the cluster's: {0} is a name of the test's own.
STATEMENTS = [
    ("", "CREATE TABLE n (a INT8, b TEXT)"),
    ("", "CREATE TABLE n (a INT8 REFERENCES t (id))"),
    ("", "CREATE TABLE IF NOT EXISTS n (a INT8)"),
    ("", "CREATE TABLE n AS SELECT * FROM t"),
    ("", "SELECT id INTO n FROM t"),
    ("", "CREATE VIEW n AS SELECT id FROM t"),
    ("", "CREATE OR REPLACE VIEW n AS SELECT id FROM t"),
    ("", "CREATE MATERIALIZED VIEW n AS SELECT id FROM t"),
    ("CREATE MATERIALIZED VIEW n AS SELECT id FROM t", "REFRESH MATERIALIZED VIEW n"),
    ("", "CREATE SEQUENCE n"),
    ("", "CREATE TYPE n AS ENUM ('a', 'b')"),
    ("", "CREATE DOMAIN n AS INT8"),
    ("", "CREATE SCHEMA n"),
    ("", "CREATE ROLE {0}"),
    ("", "CREATE USER {0}"),
    ("", "CREATE INDEX n ON t (v)"),
    ("", "CREATE UNIQUE INDEX n ON t (v DESC, s) WHERE v > 1"),
    ("", "CREATE INDEX IF NOT EXISTS n ON t (v)"),
    ("", "CREATE INDEX CONCURRENTLY n ON t (v)"),
    ("", "CREATE INDEX ON t (v)"),
    ("", "CREATE STATISTICS n ON v, s FROM t"),
    ("", "CREATE FUNCTION n() RETURNS INT8 LANGUAGE SQL AS 'SELECT 1'"),
    ("", "CREATE EXTENSION pgcrypto"),
    (TRIGGER_FUNCTION,
     "CREATE TRIGGER n BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"),
    ("", "CREATE POLICY n ON t USING (true)"),
    ("", "DROP TABLE z"),
    ("CREATE TABLE y (a INT8)", "DROP TABLE z, y"),
    ("", "DROP TABLE IF EXISTS z"),
    ("CREATE VIEW n AS SELECT id FROM t", "DROP VIEW n"),
    ("CREATE MATERIALIZED VIEW n AS SELECT id FROM t", "DROP MATERIALIZED VIEW n"),
    ("CREATE SEQUENCE n", "DROP SEQUENCE n"),
    ("CREATE TYPE n AS ENUM ('a')", "DROP TYPE n"),
    ("CREATE DOMAIN n AS INT8", "DROP DOMAIN n"),
    ("CREATE SCHEMA n", "DROP SCHEMA n"),
    ("CREATE SCHEMA n; CREATE TABLE n.t (a INT8)", "DROP SCHEMA n CASCADE"),
    ("CREATE ROLE {0}", "DROP ROLE {0}"),
    ("CREATE ROLE {0}", "DROP ROLE IF EXISTS {0}"),
    ("CREATE USER {0}", "DROP USER {0}"),
    ("", "DROP INDEX iv"),
    ("", "DROP INDEX CONCURRENTLY iv"),
    ("", "DROP INDEX t@iv"),
    ("CREATE FUNCTION n() RETURNS INT8 LANGUAGE SQL AS 'SELECT 1'", "DROP FUNCTION n()"),
    (f"{TRIGGER_FUNCTION}; CREATE TRIGGER n BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
     "DROP TRIGGER n ON t"),
    ("CREATE POLICY n ON t USING (true)", "DROP POLICY n ON t"),
    ("", "TRUNCATE z"),
    ("CREATE TABLE y (a INT8)", "TRUNCATE TABLE z, y"),
    ("", "ALTER TABLE t ADD n INT8 NOT NULL DEFAULT 3"),
    ("", "ALTER TABLE t ADD COLUMN IF NOT EXISTS n INT8"),
    ("", "ALTER TABLE t ADD COLUMN n INT8 UNIQUE"),
    ("", "ALTER TABLE t ADD COLUMN n INT8 REFERENCES t (id)"),
    ("", "ALTER TABLE t DROP COLUMN s"),
    ("", "ALTER TABLE t DROP COLUMN IF EXISTS s"),
    ("", "ALTER TABLE t DROP COLUMN s, DROP CONSTRAINT cw"),
    ("", "ALTER TABLE t RENAME COLUMN s TO txt"),
    ("", "ALTER TABLE z RENAME TO zz"),
    ("", "ALTER TABLE t RENAME CONSTRAINT cw TO cww"),
    ("CREATE SCHEMA n", "ALTER TABLE z SET SCHEMA n"),
    ("", "ALTER TABLE t ADD CHECK (v > 0)"),
    ("", "ALTER TABLE t ADD CONSTRAINT n CHECK (v > 0)"),
    ("", "ALTER TABLE t ADD CONSTRAINT n CHECK (v > 0) NOT VALID"),
    ("ALTER TABLE t ADD CONSTRAINT n CHECK (v > 0) NOT VALID", "ALTER TABLE t VALIDATE CONSTRAINT n"),
    ("", "ALTER TABLE t ADD UNIQUE (v)"),
    ("", "ALTER TABLE t ADD CONSTRAINT n UNIQUE (v, s)"),
    ("", "ALTER TABLE z ADD FOREIGN KEY (a) REFERENCES t (id)"),
    ("", "ALTER TABLE z ADD CONSTRAINT n FOREIGN KEY (a) REFERENCES t (id) ON DELETE CASCADE"),
    ("", "ALTER TABLE z ADD PRIMARY KEY (a)"),
    ("", "ALTER TABLE z ADD CONSTRAINT n PRIMARY KEY (a)"),
    ("", "ALTER TABLE t DROP CONSTRAINT cw"),
    ("", "ALTER TABLE t ALTER COLUMN v SET NOT NULL"),
    ("", "ALTER TABLE t ALTER COLUMN w DROP NOT NULL"),
    ("", "ALTER TABLE t ALTER v SET DEFAULT 5"),
    ("", "ALTER TABLE t ALTER COLUMN w DROP DEFAULT"),
    ("ALTER TABLE t ADD COLUMN c INT8 AS (v + 1) STORED", "ALTER TABLE t ALTER COLUMN c DROP STORED"),
    ("ALTER TABLE t ADD COLUMN c INT8 GENERATED ALWAYS AS (v + 1) STORED",
     "ALTER TABLE t ALTER COLUMN c DROP EXPRESSION"),
    ("", "ALTER TABLE z ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY"),
    ("ALTER TABLE z ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY",
     "ALTER TABLE z ALTER COLUMN a DROP IDENTITY"),
    ("ALTER TABLE z ADD COLUMN vc VARCHAR(5)", "ALTER TABLE z ALTER COLUMN vc SET DATA TYPE VARCHAR(10)"),
    ("CREATE ROLE {0}; GRANT {0} TO CURRENT_USER; GRANT CREATE ON SCHEMA public TO {0}",
     "ALTER TABLE z OWNER TO {0}"),
    ("", "ALTER TABLE z ENABLE ROW LEVEL SECURITY"),
    ("", "ALTER TABLE t ADD COLUMN n1 INT8, ADD CHECK (v > 0), ADD UNIQUE (v)"),
    ("", "ALTER TABLE t ADD COLUMN n1 INT8, ADD CONSTRAINT cc CHECK (v > 0)"),
    ("", "ALTER TABLE t CONFIGURE ZONE USING gc.ttlseconds = 600"),
    ("", "ALTER INDEX iv RENAME TO ivv"),
    ("", "ALTER INDEX t@iv RENAME TO ivv"),
    ("CREATE TYPE n AS ENUM ('a')", "ALTER TYPE n ADD VALUE 'b'"),
    ("CREATE TYPE n AS ENUM ('a')", "ALTER TYPE n ADD VALUE IF NOT EXISTS 'b'"),
    ("CREATE TYPE n AS ENUM ('a', 'b')", "ALTER TYPE n RENAME VALUE 'b' TO 'c'"),
    ("CREATE TYPE n AS ENUM ('a')", "ALTER TYPE n RENAME TO n2"),
    ("CREATE TYPE n AS ENUM ('a'); CREATE SCHEMA m", "ALTER TYPE n SET SCHEMA m"),
    ("CREATE TYPE n AS (a INT8)", "ALTER TYPE n ADD ATTRIBUTE b INT8"),
    ("CREATE TYPE n AS (a INT8, b INT8)", "ALTER TYPE n DROP ATTRIBUTE b"),
    ("CREATE TYPE n AS (a INT8)", "ALTER TYPE n RENAME ATTRIBUTE a TO b"),
    ("CREATE DOMAIN n AS INT8", "ALTER DOMAIN n ADD CONSTRAINT c CHECK (VALUE > 0)"),
    ("CREATE DOMAIN n AS INT8 CONSTRAINT c CHECK (VALUE > 0)", "ALTER DOMAIN n DROP CONSTRAINT c"),
    ("CREATE SEQUENCE n", "ALTER SEQUENCE n INCREMENT BY 2"),
    ("CREATE SEQUENCE n", "ALTER SEQUENCE n RENAME TO n2"),
    ("CREATE VIEW n AS SELECT id FROM t", "ALTER VIEW n RENAME TO n2"),
    ("CREATE SCHEMA n", "ALTER SCHEMA n RENAME TO n2"),
    ("CREATE FUNCTION n() RETURNS INT8 LANGUAGE SQL AS 'SELECT 1'", "ALTER FUNCTION n() RENAME TO m"),
    ("CREATE POLICY n ON t USING (true)", "ALTER POLICY n ON t RENAME TO m"),
    ("CREATE ROLE {0}", "ALTER ROLE {0} WITH CREATEROLE"),
    ("CREATE ROLE {0}", "GRANT SELECT ON z TO {0}"),
    ("CREATE ROLE {0}; GRANT SELECT ON z TO {0}", "REVOKE SELECT ON z FROM {0}"),
    ("", "COMMENT ON TABLE z IS 'x'"),
    ("", "ANALYZE t"),
    ("", "REINDEX TABLE t"),
]  # fmt: skip

#: What a server answers that does not have the feature, or not by these words.
_UNKNOWN_HERE = {"0A000", "42601", "42704", "42883", "58P01"}


@pytest.mark.parametrize(("setup", "sql"), STATEMENTS)
def test_a_second_sending_says_that_the_first_took_effect(
    server: RunningServer, database_url: str, setup: str, sql: str
) -> None:
    role = "twice_" + psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    statement = classify(RawStatement(sql.format(role), 1))
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        try:
            for raw in (*split_script(BASE), *split_script(setup.format(role))):
                connection.execute(raw.text.encode())
            connection.execute(statement.text.encode())
        except psycopg.Error as error:
            if error.sqlstate not in _UNKNOWN_HERE:
                raise
            pytest.skip(f"{server.description} does not know it: {error}")
        try:
            assert _says_done(connection, statement) is None
            assert repeatable(statement) is not Repeat.UNSAFE
        finally:
            _drop(connection, role)


def _says_done(connection: psycopg.Connection, statement: Statement) -> str | None:
    """Send it again; what the server says, unless that is success or proof that it is done."""
    try:
        connection.execute(statement.text.encode())
    except psycopg.Error as error:
        if not proves_done(statement, error.sqlstate, str(error)):
            return f"{error.sqlstate}: {error}"
    return None


def _drop(connection: psycopg.Connection, role: str) -> None:
    """Roles are the cluster's, and outlive the database."""
    for text in (
        f"DROP OWNED BY {role}",
        f"REVOKE ALL ON z FROM {role}",
        f"DROP ROLE IF EXISTS {role}",
    ):
        try:
            connection.execute(text.encode())
        except psycopg.Error:  # it owns nothing, or is not there
            continue
