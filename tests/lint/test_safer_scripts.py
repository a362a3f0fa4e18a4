"""Safer scripts run on the server they are for, and leave what the reported statement would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb.lint import RULES, Finding, Rule, Target
from manticore_cockroachdb.lint.rule import NEXT
from manticore_cockroachdb.types import ServerKind
from tests.lint.scripts import findings_of, judge

Connection = psycopg.Connection[Any]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as opened:
        yield opened


def target(connection: Connection) -> str:
    """The server of this run, as rules are asked for it."""
    found = connection.info.parameter_status("crdb_version")
    if found is None:
        return f"postgresql:{connection.info.server_version // 10000}"
    return str(Target.of(ServerKind.COCKROACHDB, found.split()[2]))


def run(connection: Connection, sql: str) -> None:
    """Run scripts statement by statement, as a stepwise run does."""
    for part in sql.split(NEXT):
        for raw in split_script(part):
            connection.execute(raw.text)


def one_finding(rule: str, bad: str, given: str, server: str) -> Finding:
    found = [one for one in judge(bad, given=given, server=server).findings if one.rule == rule]
    assert found != [], f"{rule} does not find it"
    return found[0]


# -- the rules' own examples ---------------------------------------------------------------------

#: Examples that this server cannot run, with the reason.
ELSEWHERE = {
    "cockroachdb": {
        "import-takes-offline": "the file is not there",
        "vector-index-blocks-writes": "vectors came with v25.2",
        "locality-blocks-writes": "it wants a multi-region database",
        "schema-locked": "it wants a multi-region database",
        "ttl-rewrites": "ttl_expiration_expression came with v22.2",
        "drop-database": "the database is not there",
    },
    "postgresql": {"drop-database": "the database is not there"},
}
#: The newest versions that a rule's example needs on CockroachDB.
SINCE = {
    "drop-type": (21, 1),
    "replaced-trigger-function": (24, 3),
    "fails-when-repeated": (21, 1),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_the_safer_form_of_an_example_runs(connection: Connection, rule: Rule) -> None:
    server = target(connection)
    kind = server.partition(":")[0]
    wanted = rule.example.server or next(iter(rule.servers)).name.lower()
    if kind not in wanted and (rule.example.server or not rule.applies(Target.parse(server))):
        pytest.skip(f"the example is for {wanted}")
    if not rule.applies(Target.parse(server)):
        pytest.skip(f"{rule.id} is not for {server}")
    if rule.id in ELSEWHERE[kind]:
        pytest.skip(ELSEWHERE[kind][rule.id])
    found = findings_of(rule.example, rule.id, server)
    if not found:
        pytest.skip(f"the example is not for {server}")
    run(connection, rule.example.given)

    run(connection, rule.example.fixed or found[0].safer or "")

    if rule.example.repeatable:
        run(connection, rule.example.fixed or found[0].safer or "")


# -- names, clauses and kinds that the examples do not have ------------------------------------------

GIVEN = """
CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."Big Drivers" ("Id" BIGINT PRIMARY KEY, "Code" TEXT UNIQUE);
CREATE TABLE "My Schema"."Big Table" (
    "Id" BIGINT PRIMARY KEY, "Order" INT, "user" TEXT, city VARCHAR(20), driver BIGINT, at TIMESTAMPTZ,
    price NUMERIC(10, 2)
);
CREATE INDEX "By City" ON "My Schema"."Big Table" (city);
CREATE INDEX "By Order" ON "My Schema"."Big Table" ("Order" DESC, city);
INSERT INTO "My Schema"."Big Drivers" VALUES (1, 'x');
INSERT INTO "My Schema"."Big Table" VALUES (1, 1, 'ann', 'Rome', 1, now(), 5),
    (2, 2, 'bob', 'Oslo', 1, now(), 6);
CREATE DOMAIN positive AS INT CHECK (VALUE > 0);
CREATE DOMAIN small AS positive CHECK (VALUE < 1000) CHECK (VALUE <> 7);
CREATE FUNCTION token() RETURNS TEXT LANGUAGE sql AS $$ SELECT md5(random()::text) $$;
CREATE FUNCTION twice(n INT) RETURNS INT LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE TYPE "My Schema"."Mood" AS ENUM ('good', 'it''s bad');
CREATE TABLE "My Schema".parts ("Key" INT, n INT) PARTITION BY RANGE ("Key");
CREATE INDEX parts_n ON "My Schema".parts (n);
CREATE TABLE "My Schema".p1 PARTITION OF "My Schema".parts FOR VALUES FROM (0) TO (10);
CREATE TABLE "My Schema".p2 ("Key" INT, n INT);
CREATE TABLE "My Schema".p3 ("Key" INT, n INT);
CREATE TABLE "My Schema".lists (kind TEXT) PARTITION BY LIST (kind);
CREATE TABLE "My Schema".l1 (kind TEXT);
CREATE MATERIALIZED VIEW "My Schema"."Prices" AS SELECT "Id", price FROM "My Schema"."Big Table";
CREATE UNIQUE INDEX "Prices Key" ON "My Schema"."Prices" ("Id");
CREATE VIEW "My Schema".cheap AS SELECT "Id" FROM "My Schema"."Big Table" WHERE price < 6;
CREATE VIEW "My Schema".cheapest AS SELECT "Id" FROM "My Schema".cheap;
CREATE TABLE "My Schema".keyless ("A a" INT, b INT NOT NULL);
CREATE TABLE "My Schema".notes (id BIGINT PRIMARY KEY, ride BIGINT REFERENCES "My Schema"."Big Table");
CREATE TABLE "My Schema".replies (id BIGINT PRIMARY KEY, note BIGINT REFERENCES "My Schema".notes);
"""
AGAIN = """
DROP SCHEMA "My Schema" CASCADE;
DROP DOMAIN small;
DROP DOMAIN positive;
DROP FUNCTION token, twice;
"""
BIG = 'ALTER TABLE "My Schema"."Big Table"'

#: A rule, and a statement whose safer form must leave the same schema.
ON_POSTGRESQL = [
    (
        "create-index-blocking",
        (
            'CREATE UNIQUE INDEX /* the INDEX */ "A b" ON "My Schema"."Big Table" USING btree ("user" '
            'COLLATE "C" text_pattern_ops DESC NULLS LAST, (lower(city))) INCLUDE (price) NULLS NOT '
            "DISTINCT WITH (fillfactor = 70) WHERE price > 0"
        ),
    ),
    (
        "create-index-blocking",
        'CREATE INDEX IF NOT EXISTS i ON ONLY "My Schema"."Big Table" (city)',
    ),
    ("drop-index-blocking", 'DROP INDEX IF EXISTS "My Schema"."By City", "My Schema"."By Order"'),
    ("reindex-blocking", 'REINDEX INDEX "My Schema"."By City"'),
    ("reindex-blocking", 'REINDEX (VERBOSE) TABLE "My Schema"."Big Table"'),
    ("refresh-view-blocking", 'REFRESH MATERIALIZED VIEW "My Schema"."Prices"'),
    (
        "constraint-scan",
        (
            f'{BIG} ADD CONSTRAINT "F k" FOREIGN KEY (driver) REFERENCES "My Schema"."Big Drivers" ON '
            "DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED"
        ),
    ),
    (
        "constraint-scan",
        f'{BIG} ADD FOREIGN KEY (driver) REFERENCES "My Schema"."Big Drivers" ("Id") MATCH FULL',
    ),
    ("constraint-scan", f'{BIG} ADD CONSTRAINT "C k" CHECK ("Order" > 0) NO INHERIT'),
    ("constraint-scan", f"{BIG} ADD COLUMN note TEXT CONSTRAINT short CHECK (length(note) < 9)"),
    (
        "constraint-scan",
        (
            f'{BIG} ADD COLUMN "Driver" BIGINT NOT NULL DEFAULT 1 REFERENCES "My Schema"."Big Drivers" ON '
            'DELETE SET DEFAULT CHECK ("Driver" > 0)'
        ),
    ),
    ("set-not-null-scan", f'{BIG} ALTER COLUMN "user" SET NOT NULL'),
    ("unique-constraint-blocking", f'{BIG} ADD CONSTRAINT "U" UNIQUE (city, "Order")'),
    (
        "unique-constraint-blocking",
        f'{BIG} ADD UNIQUE NULLS NOT DISTINCT ("user") INCLUDE (price) WITH (fillfactor = 80) DEFERRABLE',
    ),
    ("unique-constraint-blocking", f'{BIG} ADD COLUMN code VARCHAR(9) COLLATE "C" UNIQUE'),
    (
        "unique-constraint-blocking",
        'ALTER TABLE "My Schema".keyless ADD PRIMARY KEY ("A a", b)',
    ),
    ("volatile-default", f"{BIG} ADD COLUMN t TEXT NOT NULL UNIQUE DEFAULT token()"),
    (
        "volatile-default",
        f'{BIG} ADD COLUMN "T u" UUID DEFAULT gen_random_uuid() NOT NULL CHECK ("T u" IS NOT NULL)',
    ),
    (
        "required-column",
        'ALTER TABLE "My Schema".keyless ADD COLUMN "N n" VARCHAR(5) COLLATE "C" NOT NULL UNIQUE',
    ),
    (
        "unnamed-index",
        'CREATE INDEX CONCURRENTLY\nON "My Schema"."Big Table" ("user", (lower(city)))',
    ),
    (
        "unnamed-constraint",
        f'{BIG} ADD FOREIGN KEY (driver) REFERENCES "My Schema"."Big Drivers" ON DELETE CASCADE NOT VALID',
    ),
    ("unnamed-constraint", f"{BIG} ADD UNIQUE (city) INCLUDE (price)"),
    ("change-then-write", f'{BIG} ADD COLUMN a INT; UPDATE "My Schema"."Big Table" SET a = 1'),
    (
        "validate-same-transaction",
        f"{BIG} ADD CONSTRAINT k CHECK (price > 0) NOT VALID; {BIG} VALIDATE CONSTRAINT k",
    ),
    (
        "new-enum-value-used",
        """ALTER TYPE "My Schema"."Mood" ADD VALUE 'new';
UPDATE "My Schema"."Big Table" SET city = 'new'""",
    ),
    ("truncate-cascade", 'TRUNCATE "My Schema"."Big Table" CASCADE'),
    ("drop-cascade", 'DROP TABLE "My Schema"."Big Table" CASCADE'),
    ("drop-cascade", 'DROP VIEW IF EXISTS "My Schema".cheap CASCADE'),
    ("drop-column", f'{BIG} DROP COLUMN "user"'),
    ("drop-type", 'DROP TYPE IF EXISTS "My Schema"."Mood"'),
    ("large-write", 'UPDATE "My Schema"."Big Table" SET "Order" = 5 WHERE price > 1'),
    ("lock-timeout", f"{BIG} ADD COLUMN a INT"),
    ("unique-on-data", f'{BIG} ADD CONSTRAINT "U" UNIQUE (city, "Order")'),
    ("not-null-on-data", f'{BIG} ALTER COLUMN "user" SET NOT NULL'),
    ("check-on-data", f'{BIG} ADD CONSTRAINT k CHECK ("Order" > 0)'),
    ("foreign-key-on-data", f'{BIG} ADD FOREIGN KEY (driver) REFERENCES "My Schema"."Big Drivers"'),
]
#: A rule, and a statement whose safer form must run; it leaves something else.
RUNS_ON_POSTGRESQL = [
    ("detach-partition-blocking", 'ALTER TABLE "My Schema".parts DETACH PARTITION "My Schema".p1'),
    (
        "attach-partition-scan",
        'ALTER TABLE "My Schema".parts ATTACH PARTITION "My Schema".p2 FOR VALUES FROM (10) TO (MAXVALUE)',
    ),
    (
        "attach-partition-scan",
        "ALTER TABLE \"My Schema\".lists ATTACH PARTITION \"My Schema\".l1 FOR VALUES IN ('a', 'it''s')",
    ),
    ("change-column-type", f'{BIG} ALTER COLUMN "Order" TYPE NUMERIC(9, 3) USING "Order" / 2.0'),
    ("change-column-type", f'{BIG} ALTER COLUMN city TYPE CHAR(9) COLLATE "C"'),
    ("change-column-type", f"{BIG} ALTER COLUMN at TYPE TIMESTAMP"),
    ("add-numbered-column", f'{BIG} ADD COLUMN "N n" BIGSERIAL UNIQUE'),
    ("add-numbered-column", f"{BIG} ADD COLUMN n INT GENERATED ALWAYS AS IDENTITY (START 5)"),
    ("add-stored-column", f'{BIG} ADD COLUMN c INT GENERATED ALWAYS AS ("Order" * 2) STORED'),
    ("add-stored-column", f'{BIG} ADD COLUMN c INT GENERATED ALWAYS AS (twice("Order")) STORED'),
    (
        "add-stored-column",
        (
            f'{BIG} ADD COLUMN "T s" TSVECTOR GENERATED ALWAYS AS '
            "(to_tsvector('english', \"Big Table\".city)) STORED;\n"
            'CREATE INDEX CONCURRENTLY ts ON "My Schema"."Big Table" USING gin ("T s")'
        ),
    ),
    (
        "add-stored-column",
        f'{BIG} ADD COLUMN c INT GENERATED ALWAYS AS ("Order" * 2) STORED UNIQUE NOT NULL',
    ),
    ("add-domain-column", f'{BIG} ADD COLUMN "R r" small NOT NULL DEFAULT 5'),
    ("add-domain-column", f"{BIG} ADD COLUMN r small"),
    ("rename-table", f'{BIG} RENAME TO "Other Table"'),
    ("rename-table", f"{BIG} SET SCHEMA public"),
    ("rename-column", f'{BIG} RENAME COLUMN "user" TO "Person"'),
    (
        "rename-enum-value",
        """ALTER TYPE "My Schema"."Mood" RENAME VALUE 'it''s bad' TO 'it''s worse'""",
    ),
    ("rewrite-table", 'VACUUM (FULL, VERBOSE) "My Schema"."Big Table"'),
    (
        "foreign-key-without-index",
        f'{BIG} ADD FOREIGN KEY (driver) REFERENCES "My Schema"."Big Drivers" NOT VALID',
    ),
]
#: Statements whose safer form PostgreSQL refuses: none is to be shown.
WITHOUT_SAFER_FORM = [
    ("exclusion-constraint-blocking", f"{BIG} ADD EXCLUDE (city WITH =)"),
    ("unique-constraint-blocking", 'ALTER TABLE "My Schema".parts ADD UNIQUE ("Key")'),
    ("detach-partition-blocking", 'ALTER TABLE "My Schema".rest DETACH PARTITION "My Schema".r1'),
    (
        "attach-partition-scan",
        'ALTER TABLE "My Schema".pairs ATTACH PARTITION "My Schema".p3 FOR VALUES FROM (1, 1) TO (2, 1)',
    ),
]
#: What no rule may report: its safer form would be refused.
QUIET = [
    ("create-index-blocking", 'CREATE INDEX i ON "My Schema".parts (n)'),
    ("drop-index-blocking", 'DROP INDEX "My Schema".parts_n'),
    ("refresh-view-blocking", 'REFRESH MATERIALIZED VIEW "My Schema"."Prices" WITH NO DATA'),
]
MORE = """
CREATE TABLE "My Schema".rest (a INT) PARTITION BY RANGE (a);
CREATE TABLE "My Schema".r1 PARTITION OF "My Schema".rest FOR VALUES FROM (0) TO (10);
CREATE TABLE "My Schema".r0 PARTITION OF "My Schema".rest DEFAULT;
CREATE TABLE "My Schema".pairs ("Key" INT, n INT) PARTITION BY RANGE ("Key", n);
"""
_SCHEMA = """
SELECT 'column', c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
    pg_get_expr(d.adbin, d.adrelid), a.attcollation::text
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relnamespace::regnamespace::text IN ('public', '"My Schema"')
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text,
    '', ''
FROM pg_constraint
WHERE contype <> 'n' AND connamespace::regnamespace::text IN ('public', '"My Schema"')
UNION ALL
SELECT 'index', i.indrelid::regclass::text, i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid),
    i.indisvalid::text, '', ''
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace::regnamespace::text IN ('public', '"My Schema"')
"""


def schema(connection: Connection) -> set[tuple[str, ...]]:
    return set(connection.execute(_SCHEMA).fetchall())


def ids(cases: list[tuple[str, str]]) -> list[str]:
    return [f"{rule}: {bad[:60]}" for rule, bad in cases]


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.parametrize(("rule", "bad"), ON_POSTGRESQL, ids=ids(ON_POSTGRESQL))
def test_the_safer_form_leaves_what_the_statement_would(
    database_url: str, connection: Connection, rule: str, bad: str
) -> None:
    server = target(connection)
    if "NULLS NOT DISTINCT" in bad and Target.parse(server).version < (15,):
        pytest.skip("NULLS NOT DISTINCT came with PostgreSQL 15")
    finding = one_finding(rule, bad, GIVEN, server)
    run(connection, GIVEN)
    run(connection, bad)
    wanted = schema(connection)
    run(connection, AGAIN)
    run(connection, GIVEN)

    run(connection, finding.safer or "")

    assert schema(connection) == wanted


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.parametrize(("rule", "bad"), RUNS_ON_POSTGRESQL, ids=ids(RUNS_ON_POSTGRESQL))
def test_the_safer_form_runs_with_the_names_and_clauses_of_the_statement(
    connection: Connection, rule: str, bad: str
) -> None:
    finding = one_finding(rule, bad, GIVEN, target(connection))
    run(connection, GIVEN)

    run(connection, finding.safer or "")

    assert "…" not in (finding.safer or "…")


@pytest.mark.parametrize(("rule", "bad"), WITHOUT_SAFER_FORM, ids=ids(WITHOUT_SAFER_FORM))
def test_what_the_server_would_refuse_is_not_shown(rule: str, bad: str) -> None:
    finding = one_finding(rule, bad, GIVEN + MORE, "postgresql:18")

    assert finding.safer is None


@pytest.mark.parametrize(("rule", "bad"), QUIET, ids=ids(QUIET))
def test_a_statement_without_a_better_form_is_not_reported(rule: str, bad: str) -> None:
    report = judge(bad, given=GIVEN + MORE, server="postgresql:18")

    assert rule not in {one.rule for one in report.findings}


# -- CockroachDB -----------------------------------------------------------------------------------

CRDB_GIVEN = """
CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."Big Drivers" ("Id" INT8 PRIMARY KEY);
CREATE TABLE "My Schema"."Big Table" (
    "Id" INT8 PRIMARY KEY, "Order" INT4, "user" STRING, city VARCHAR(20), driver INT8,
    at TIMESTAMPTZ NOT NULL DEFAULT now(), price DECIMAL(10, 2), CONSTRAINT "One City" UNIQUE (city)
);
CREATE INDEX "By Order" ON "My Schema"."Big Table" ("Order" DESC) STORING ("user");
CREATE UNIQUE INDEX "By User" ON "My Schema"."Big Table" ("user") WHERE price > 0;
INSERT INTO "My Schema"."Big Drivers" VALUES (1);
INSERT INTO "My Schema"."Big Table" VALUES (1, 1, 'ann', 'Rome', 1, now(), 5),
    (2, 2, 'bob', 'Oslo', 1, now(), 6);
CREATE SEQUENCE "My Schema"."Num Bers";
CREATE TYPE "My Schema"."Mood" AS ENUM ('good', 'it''s bad');
CREATE VIEW "My Schema".cheap AS SELECT "Id" FROM "My Schema"."Big Table" WHERE price < 6;
CREATE VIEW "My Schema".cheapest AS SELECT "Id" FROM "My Schema".cheap;
CREATE TABLE "My Schema".notes (id INT8 PRIMARY KEY, ride INT8 REFERENCES "My Schema"."Big Table");
CREATE TABLE "My Schema".replies (id INT8 PRIMARY KEY, note INT8 REFERENCES "My Schema".notes);
CREATE TABLE "My Schema".stamps ("Key" INT8 NOT NULL, "At" TIMESTAMPTZ NOT NULL, PRIMARY KEY ("Key"));
"""
ON_COCKROACHDB = [
    ("alter-type-refused", f'{BIG} ALTER COLUMN "Order" TYPE STRING USING "Order"::STRING'),
    (
        "add-sequence-column",
        f"""{BIG} ADD COLUMN "N n" INT8 NOT NULL UNIQUE DEFAULT nextval('"My Schema"."Num Bers"')""",
    ),
    ("add-session-default", f'{BIG} ADD COLUMN "T n" STRING NOT NULL DEFAULT current_schema()'),
    (
        "drop-and-add-column",
        f'{BIG} DROP COLUMN "Order", ADD COLUMN "Order" DECIMAL(8, 3) NOT NULL DEFAULT 5',
    ),
    ("drop-column-combined", f'{BIG} DROP COLUMN "Order", DROP COLUMN driver, ADD COLUMN a INT8'),
    ("drop-column-indexes", f'{BIG} DROP COLUMN "user"'),
    ("drop-unique-constraint", f'{BIG} DROP CONSTRAINT "One City"'),
    ("drop-unique-index", 'DROP INDEX "My Schema"."Big Table"@"One City"'),
    (
        "required-column",
        'ALTER TABLE "My Schema".stamps ADD COLUMN "N n" VARCHAR(5) NOT NULL UNIQUE',
    ),
    ("sequential-key", 'CREATE TABLE "My Schema".a ("Id" SERIAL8 PRIMARY KEY, note STRING)'),
    (
        "sequential-key",
        'CREATE TABLE "My Schema".a (note STRING, "Id" INT8 DEFAULT unique_rowid(), PRIMARY KEY ("Id"))',
    ),
    (
        "sequential-key",
        'CREATE TABLE "My Schema".a ("At" TIMESTAMPTZ DEFAULT now(), id INT8, PRIMARY KEY ("At", id))',
    ),
    (
        "sequential-key",
        'CREATE TABLE "My Schema".a ("At" TIMESTAMPTZ PRIMARY KEY DEFAULT now(), id INT8)',
    ),
    (
        "sequential-key",
        'CREATE INDEX "By At" ON "My Schema"."Big Table" (at DESC, city) STORING ("user")',
    ),
    (
        "primary-key-leftover",
        'ALTER TABLE "My Schema".stamps ALTER PRIMARY KEY USING COLUMNS ("At", "Key")',
    ),
    (
        "primary-key-leftover",
        (
            'ALTER TABLE "My Schema".stamps ALTER PRIMARY KEY USING COLUMNS ("Key", "At") USING HASH '
            "WITH BUCKET_COUNT = 4"
        ),
    ),
    ("truncate-cascade", 'TRUNCATE "My Schema"."Big Table" CASCADE'),
    ("drop-cascade", 'DROP TABLE "My Schema"."Big Table" CASCADE'),
    (
        "rename-enum-value",
        """ALTER TYPE "My Schema"."Mood" RENAME VALUE 'it''s bad' TO 'it''s worse'""",
    ),
    ("rename-table", f'{BIG} RENAME TO "Other"'),
    ("rename-column", f'{BIG} RENAME COLUMN "user" TO "Person"'),
    ("unnamed-index", 'CREATE UNIQUE INDEX ON "My Schema"."Big Table" ("user") STORING (price)'),
    (
        "unnamed-constraint",
        f'{BIG} ADD FOREIGN KEY (driver) REFERENCES "My Schema"."Big Drivers" ON DELETE CASCADE',
    ),
    ("foreign-key-on-data", f'{BIG} ADD FOREIGN KEY (driver) REFERENCES "My Schema"."Big Drivers"'),
    (
        "foreign-key-without-index",
        f'{BIG} ADD FOREIGN KEY (driver) REFERENCES "My Schema"."Big Drivers"',
    ),
    (
        "unique-on-data",
        'CREATE UNIQUE INDEX u ON "My Schema"."Big Table" ("Order", lower(city)) WHERE price > 1',
    ),
    ("narrow-column", f'{BIG} ALTER COLUMN "user" TYPE VARCHAR(99)'),
    ("needs-space", 'CREATE INDEX i ON "My Schema"."Big Table" (price)'),
    ("large-write", 'DELETE FROM "My Schema"."Big Table" WHERE price > 1'),
]


@pytest.mark.needs_cockroachdb("it asks for what only CockroachDB has")
@pytest.mark.parametrize(("rule", "bad"), ON_COCKROACHDB, ids=ids(ON_COCKROACHDB))
def test_the_safer_form_runs_on_cockroachdb(connection: Connection, rule: str, bad: str) -> None:
    server = target(connection)
    if not RULES[rule].applies(Target.parse(server)):
        pytest.skip(f"{rule} is not for {server}")
    if "lower(" in bad and Target.parse(server).version < (21, 2):
        pytest.skip("indexes over expressions came with v21.2")
    connection.execute("SET experimental_enable_hash_sharded_indexes = true")  # wanted before v22.1
    run(connection, CRDB_GIVEN)
    if rule == "narrow-column":
        run(connection, 'DROP INDEX "My Schema"."Big Table"@"By User"')
        connection.execute("SET enable_experimental_alter_column_type_general = true")
    finding = one_finding(rule, bad, CRDB_GIVEN, server)

    run(connection, finding.safer or "")

    assert finding.safer is not None
