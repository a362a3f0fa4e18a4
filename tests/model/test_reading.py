"""Statements of both servers, read into commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._model import actions as a
from manticore_cockroachdb._model import commands as c
from manticore_cockroachdb._model.reading import read
from manticore_cockroachdb._model.values import ConstraintKind, Name, TypeKind
from manticore_cockroachdb._sql.tokens import word_set
from manticore_cockroachdb.types import ServerKind

CRDB, PG = ServerKind.COCKROACHDB, ServerKind.POSTGRESQL


def name(text: str) -> Name:
    schema, _, last = text.rpartition(".")
    return Name(schema or None, last)


# The statement, and what of the command is compared.
READ: list[tuple[str, type[c.Command], dict[str, object]]] = [
    ("CREATE TABLE t (a INT)", c.CreateTable, {"name": name("t"), "complete": True}),
    ('create temp table if not exists "T" (a INT)', c.CreateTable,
     {"name": name("T"), "temporary": True, "if_not_exists": True}),
    ("CREATE TABLE db.s.t (a INT)", c.CreateTable, {"name": name("s.t")}),
    ("CREATE TABLE t AS SELECT 1", c.CreateTable, {"from_query": True, "complete": False}),
    ("CREATE TABLE t (a, b) AS SELECT 1, 2", c.CreateTable, {"from_query": True}),
    ("SELECT * INTO t FROM u", c.CreateTable, {"name": name("t"), "from_query": True}),
    ("CREATE TABLE t (LIKE u INCLUDING ALL)", c.CreateTable, {"complete": False}),
    ("CREATE TABLE t (a INT) PARTITION BY RANGE (a)", c.CreateTable,
     {"partitioned": True, "partition_key": ("a",)}),
    ("CREATE TABLE p PARTITION OF t FOR VALUES IN (1)", c.CreateTable, {"parent": name("t")}),
    ("CREATE TABLE t (a INT) WITH (ttl = 'on', fillfactor=70)", c.CreateTable,
     {"options": ("ttl='on'", "fillfactor=70")}),
    ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", c.CreateIndex,
     {"table": name("t"), "concurrently": True}),
    ("CREATE INVERTED INDEX ON t (j)", c.CreateIndex, {"table": name("t")}),
    ("DROP INDEX IF EXISTS t@i, j CASCADE", c.DropIndex,
     {"names": ((name("t"), name("i")), (None, name("j"))), "if_exists": True, "cascade": True}),
    ("REINDEX (VERBOSE) TABLE CONCURRENTLY t", c.Reindex, {"what": "TABLE", "concurrently": True}),
    ("CREATE OR REPLACE VIEW v AS SELECT a FROM t", c.CreateView, {"replace": True}),
    ("CREATE MATERIALIZED VIEW v AS SELECT 1", c.CreateView, {"materialized": True}),
    ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", c.RefreshView, {"concurrently": True}),
    ("CREATE TYPE e AS ENUM ('a', 'it''s')", c.CreateType,
     {"kind": TypeKind.ENUM, "values": ("a", "it's")}),
    ("CREATE DOMAIN d AS INT NOT NULL", c.CreateType, {"kind": TypeKind.DOMAIN, "checked": True}),
    ("CREATE TYPE r AS RANGE (subtype = int4)", c.CreateType, {"kind": TypeKind.OTHER}),
    ("ALTER SEQUENCE s OWNED BY x.t.a", c.OwnSequence, {"table": name("x.t"), "column": "a"}),
    ("ALTER SEQUENCE s OWNED BY NONE", c.OwnSequence, {"table": None}),
    ("ALTER TYPE e ADD VALUE IF NOT EXISTS 'c' BEFORE 'b'", c.AddEnumValue, {"value": "c"}),
    ("ALTER TYPE e RENAME VALUE 'a' TO 'b'", c.RenameEnumValue, {"old": "a", "new": "b"}),
    ("ALTER TABLE IF EXISTS t RENAME TO u", c.Rename, {"new": "u", "if_exists": True}),
    ("ALTER TABLE t SET SCHEMA s", c.SetSchema, {"schema": "s"}),
    ("ALTER INDEX t@i RENAME TO j", c.Rename, {"table": name("t"), "name": name("i"), "new": "j"}),
    ("DROP TABLE a, s.b CASCADE", c.Drop, {"names": (name("a"), name("s.b")), "cascade": True}),
    ("DROP FUNCTION f(int, text), g", c.Drop, {"names": (name("f"), name("g"))}),
    ("TRUNCATE TABLE ONLY a, b CASCADE", c.Truncate,
     {"tables": (name("a"), name("b")), "cascade": True}),
    ("UPDATE ONLY t SET a = 1", c.Write, {"verb": "UPDATE", "where": None}),
    ("DELETE FROM s.t WHERE a = 1 LIMIT 5", c.Write, {"verb": "DELETE", "limited": True}),
    ("INSERT INTO t (a) VALUES (1)", c.Write, {"from_query": False}),
    ("INSERT INTO t (a) SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM t)", c.Write,
     {"from_query": False}),
    ("INSERT INTO t SELECT a FROM u", c.Write, {"from_query": True}),
    ("INSERT INTO t AS x (a) (SELECT 1)", c.Write, {"table": name("t"), "from_query": True}),
    ("UPSERT INTO t VALUES (1)", c.Write, {"verb": "UPSERT"}),
    ("IMPORT INTO t (a) CSV DATA ('x')", c.ImportInto, {"table": name("t")}),
    ("VACUUM (FULL, ANALYZE) t", c.Rebuild, {"verb": "VACUUM FULL", "table": name("t")}),
    ("CLUSTER t USING i", c.Rebuild, {"verb": "CLUSTER", "table": name("t")}),
    ("SET LOCAL search_path TO a, \"B\"", c.SetVariable,
     {"name": "search_path", "values": ("a", "B"), "local": True}),
    ("SELECT pg_catalog.set_config('search_path', '', false)", c.SetVariable,
     {"name": "search_path", "values": ()}),
    ("CREATE TRIGGER g INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION f()", c.CreateTrigger,
     {"timing": "INSTEAD OF", "table": name("v")}),
    ("CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$", c.CreateFunction,
     {"name": name("f"), "arguments": "a int"}),
    ("DO $$ BEGIN EXECUTE 'DROP TABLE x'; END $$", c.Opaque, {"words": "DO"}),
    ("SELECT make_tables()", c.Opaque, {"words": "SELECT"}),
    ("GRANT SELECT ON t TO u", c.Understood, {"words": "GRANT"}),
    ("COMMENT ON TABLE t IS 'x'", c.Understood, {"words": "COMMENT"}),
    ("FROBNICATE t", c.Unknown, {"words": "FROBNICATE T"}),
    ("ALTER TABLE t FROBNICATE", c.Unknown, {"words": "ALTER TABLE T"}),
    ("CREATE TABLE", c.Unknown, {"words": "CREATE TABLE"}),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "kind", "wanted"), READ, ids=[sql for sql, _, _ in READ])
def test_a_statement_is_read(sql: str, kind: type[c.Command], wanted: dict[str, object]) -> None:
    command = read(sql, PG)

    assert type(command) is kind
    assert {key: getattr(command, key) for key in wanted} == wanted


TYPES = [
    ("INT", "integer", "bigint"),
    ("INT8", "bigint", "bigint"),
    ("varchar(10)", "character varying(10)", "character varying(10)"),
    ("CHAR", "character(1)", "character(1)"),
    ("STRING", "text", "text"),
    ("decimal(10, 2)", "numeric(10,2)", "numeric(10,2)"),
    ("NUMERIC(5)", "numeric(5,0)", "numeric(5,0)"),
    ("timestamp(3) with time zone", "timestamp(3) with time zone", "timestamp(3) with time zone"),
    ("TIMESTAMPTZ", "timestamp with time zone", "timestamp with time zone"),
    ("double precision", "double precision", "double precision"),
    ("float(24)", "real", "real"),
    ("bit varying(5)", "bit varying(5)", "bit varying(5)"),
    ("text[]", "text[]", "text[]"),
    ("INT ARRAY", "integer[]", "bigint[]"),
    ("JSON", "json", "jsonb"),
    ("SERIAL", "integer", "bigint"),
    ("pg_catalog.int4", "integer", "integer"),
    ("s.mood", "s.mood", "s.mood"),
    ('"Mood"', '"Mood"', '"Mood"'),
    ("interval day to second(3)", "interval(3)", "interval(3)"),
]


@pytest.mark.parametrize(("written", "postgresql", "cockroachdb"), TYPES)
def test_types_have_one_name_each(written: str, postgresql: str, cockroachdb: str) -> None:
    for server, wanted in ((PG, postgresql), (CRDB, cockroachdb)):
        command = read(f"CREATE TABLE t (a {written} NOT NULL)", server)
        assert isinstance(command, c.CreateTable)
        (column,) = command.columns
        assert str(column.column.type) == wanted
        assert column.column.not_null


def test_everything_beside_a_column_is_read() -> None:
    command = read(
        """CREATE TABLE t (
            a INT8 NOT NULL DEFAULT nextval('s') CONSTRAINT pk PRIMARY KEY, -- the key
            b TEXT COLLATE "C" DEFAULT CASE WHEN true THEN 'x' ELSE 'y' END CHECK (b <> ''),
            c INT REFERENCES s.o (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED UNIQUE,
            d INT GENERATED ALWAYS AS (a + 1) STORED,
            e INT GENERATED BY DEFAULT AS IDENTITY (START 5),
            f STRING NULL FAMILY x,
            CONSTRAINT u UNIQUE (b, a) INCLUDE (c),
            FOREIGN KEY (d) REFERENCES o,
            INDEX by_b (b DESC) STORING (c) WHERE b IS NOT NULL,
            UNIQUE INDEX (c) USING HASH,
            FAMILY y (a, b)
        )""",
        CRDB,
    )

    assert isinstance(command, c.CreateTable)
    columns = {one.column.name: one.column for one in command.columns}
    assert list(columns) == ["a", "b", "c", "d", "e", "f"]
    assert columns["a"].default is not None
    assert columns["a"].default.calls == {"nextval"}
    assert columns["b"].default is not None
    assert columns["b"].default.text == "CASE WHEN true THEN 'x' ELSE 'y' END"
    assert columns["d"].stored
    assert columns["e"].identity
    beside = [one for column in command.columns for one in column.constraints]
    assert [(one.kind, one.name) for one in beside] == [
        (ConstraintKind.PRIMARY_KEY, "pk"),
        (ConstraintKind.CHECK, None),
        (ConstraintKind.FOREIGN_KEY, None),
        (ConstraintKind.UNIQUE, None),
    ]
    assert beside[2].deferrable
    assert beside[2].target == name("s.o")
    assert [(one.columns, one.storing) for one in command.constraints] == [
        (("b", "a"), ("c",)),
        (("d",), ()),
    ]
    first, second = command.indexes
    assert (first.name, first.columns, first.storing) == ("by_b", ("b",), ("c",))
    assert first.predicate is not None
    assert second.unique
    assert second.sharded


def test_every_action_of_one_alter_table_is_read() -> None:
    command = read(
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT, DROP b CASCADE, ALTER c TYPE TEXT USING c::TEXT, "
        "ALTER d SET NOT NULL, ALTER e DROP DEFAULT, ADD CONSTRAINT k CHECK (a > (1)) NOT VALID, "
        "DROP CONSTRAINT IF EXISTS l, VALIDATE CONSTRAINT k, RENAME f TO g, OWNER TO x, "
        "ALTER h SET STATISTICS 5, SET (fillfactor = 70), ADD UNIQUE USING INDEX i, "
        "ALTER PRIMARY KEY USING COLUMNS (a, b) USING HASH, SET LOCALITY REGIONAL BY ROW",
        CRDB,
    )

    assert isinstance(command, c.AlterTable)
    assert [type(action).__name__ for action in command.actions] == [
        "AddColumn", "DropColumn", "SetType", "SetNotNull", "SetDefault", "AddConstraint",
        "DropConstraint", "ValidateConstraint", "RenameColumn", "OtherAction", "OtherAction",
        "SetOptions", "AddConstraint", "AlterPrimaryKey", "SetLocality",
    ]  # fmt: skip
    check = command.actions[5]
    assert isinstance(check, a.AddConstraint)
    assert not check.constraint.validated


def test_an_expression_is_on_one_line_without_its_comments() -> None:
    command = read("ALTER TABLE t ADD CHECK (a > 1 -- why\n   AND\n\n b < 2 /* x */)", PG)

    assert isinstance(command, c.AlterTable)
    (action,) = command.actions
    assert isinstance(action, a.AddConstraint)
    assert action.constraint.expression is not None
    assert action.constraint.expression.text == "a > 1 AND b < 2"


def test_postgresql_cuts_long_names_and_cockroachdb_keeps_them() -> None:
    long = "n" * 70

    assert read(f"DROP TABLE {long}", PG) == c.Drop("TABLE", (Name(None, "n" * 63),))
    assert read(f"DROP TABLE {long}", CRDB) == c.Drop("TABLE", (Name(None, long),))


WORDS = st.sampled_from(
    sorted(
        word_set(
            "CREATE ALTER DROP TABLE INDEX ON ADD COLUMN CONSTRAINT t a ( ) , . ; 'x' \"y\" INT NOT NULL "
            "DEFAULT AS SELECT FROM WHERE SET UPDATE INSERT INTO VALUES 1 = @ TYPE ENUM VIEW USING IF "
            "EXISTS PRIMARY KEY REFERENCES UNIQUE CHECK [ ] :: CASE END GENERATED"
        )
    )
)


@given(st.lists(WORDS, max_size=25))
def test_any_words_are_read_into_some_command(words: list[str]) -> None:
    for server in ServerKind:
        assert read(" ".join(words), server) is not None
