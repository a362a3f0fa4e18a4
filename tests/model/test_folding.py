"""Folding commands into a schema: what is there afterwards, and what did not fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._model.faults import Fault, FaultKind
from manticore_cockroachdb._model.folding import begin_script, fold
from manticore_cockroachdb._model.reading import read
from manticore_cockroachdb._model.schema import Schema, Space
from manticore_cockroachdb._model.values import ConstraintKind, Name, Table
from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb.types import ServerKind
from tests.model.catalogs import of_model

CRDB, PG = ServerKind.COCKROACHDB, ServerKind.POSTGRESQL


def folded(sql: str, server: ServerKind = PG, schema: Schema | None = None) -> Schema:
    schema = schema or Schema(server)
    begin_script(schema)
    for raw in split_script(sql):
        fold(read(raw.text, server), schema)
    return schema


def faults(sql: str, given: str = "", server: ServerKind = PG) -> list[Fault]:
    schema = folded(given, server)
    return [f for raw in split_script(sql) for f in fold(read(raw.text, server), schema)]


def table(schema: Schema, name: str = "t") -> Table:
    found = schema.table(Name(None, name))
    assert found is not None
    return found


def test_a_table_has_what_was_made_added_and_renamed() -> None:
    schema = folded("""
        CREATE TABLE t (id INT PRIMARY KEY, a TEXT, b INT DEFAULT 1);
        ALTER TABLE t ADD COLUMN c INT NOT NULL, DROP COLUMN b, RENAME a TO z;
        ALTER TABLE t ADD CONSTRAINT u UNIQUE (z);
        CREATE INDEX i ON t (lower(z), c) WHERE z IS NOT NULL;
        ALTER TABLE t RENAME TO v; ALTER TABLE v RENAME TO t;
    """)

    found = table(schema)
    assert [(one.name, one.not_null) for one in found.columns] == [
        ("id", True),
        ("z", False),
        ("c", True),
    ]
    assert [(one.kind, one.name) for one in found.constraints] == [
        (ConstraintKind.PRIMARY_KEY, "t_pkey"),
        (ConstraintKind.UNIQUE, "u"),
    ]
    assert [index.name for index in found.indexes] == ["i"]


def test_a_dropped_column_takes_its_indexes_and_constraints() -> None:
    schema = folded("""
        CREATE TABLE t (a INT UNIQUE, b INT CHECK (b > 0), c INT);
        CREATE INDEX i ON t (c) INCLUDE (a); CREATE INDEX j ON t (c) WHERE b > 1;
        ALTER TABLE t DROP COLUMN a, DROP COLUMN b;
    """)

    assert (table(schema).constraints, table(schema).indexes) == ((), ())


def test_a_dropped_table_takes_foreign_keys_to_it_and_with_cascade_its_views() -> None:
    schema = folded("""
        CREATE TABLE o (id INT PRIMARY KEY); CREATE TABLE t (a INT REFERENCES o);
        CREATE VIEW v AS SELECT * FROM o; CREATE VIEW w AS SELECT * FROM v;
        DROP TABLE o CASCADE;
    """)

    assert table(schema).constraints == ()
    assert {key.name for key, _ in schema.objects() if key.space is Space.RELATION} == {"t"}


def test_names_are_looked_for_along_the_search_path() -> None:
    schema = folded("CREATE SCHEMA s; SET search_path = s, public; CREATE TABLE t (a INT);")
    folded("ALTER TABLE s.t ADD COLUMN b INT; CREATE TABLE t (c INT)", schema=schema)

    inner = schema.table(Name("s", "t"))
    assert inner is not None
    assert [one.name for one in inner.columns] == ["a", "b"]
    assert [one.name for one in table(schema).columns] == ["c"]


def test_a_table_that_no_script_made_is_not_known_whole() -> None:
    schema = folded("ALTER TABLE t ADD COLUMN b INT")

    assert not table(schema).known
    assert (
        faults("ALTER TABLE t DROP COLUMN x; DROP INDEX y; DROP TABLE z; UPDATE q SET a = 1") == []
    )


FAULTS = [
    ("DROP TABLE t", "", []),
    ("DROP TABLE t", "CREATE TABLE t (a INT); DROP TABLE t", [("does not exist", "table", "t")]),
    ("DROP TABLE IF EXISTS t", "CREATE TABLE t (a INT); DROP TABLE t", []),
    ("UPDATE t SET a = 1", "CREATE TABLE t (a INT); ALTER TABLE t RENAME TO u",
     [("does not exist", "table", "t")]),
    ("ALTER TABLE t ADD a INT", "CREATE TABLE t (a INT)", [("already exists", "column", "a")]),
    ("ALTER TABLE t DROP b", "CREATE TABLE t (a INT)", [("does not exist", "column", "b")]),
    ("ALTER TABLE t RENAME b TO c", "CREATE TABLE t (a INT)", [("does not exist", "column", "b")]),
    ("CREATE INDEX i ON t (b)", "CREATE TABLE t (a INT)", [("does not exist", "column", "b")]),
    ("CREATE TABLE t (a INT)", "CREATE TABLE t (a INT)", [("already exists", "table", "t")]),
    ("CREATE TABLE IF NOT EXISTS t (a INT)", "CREATE TABLE t (a INT)", []),
    ("CREATE TABLE IF NOT EXISTS t (b INT)", "CREATE TABLE t (a INT)",
     [("exists with another definition", "table", "t")]),
    ("CREATE INDEX i ON t (a)", "CREATE TABLE t (a INT); CREATE INDEX i ON t (a)",
     [("already exists", "index", "i")]),
    ("ALTER TABLE t DROP CONSTRAINT k", "CREATE TABLE t (a INT)",
     [("does not exist", "constraint", "k")]),
    ("ALTER TYPE e ADD VALUE 'a'", "CREATE TYPE e AS ENUM ('a')",
     [("already exists", "enum value", "'a'")]),
    ("DROP TABLE t", "CREATE TABLE t (a INT); DROP TABLE t; DO $$ x $$", []),
    ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o (x)",
     "CREATE TABLE t (a INT); CREATE TABLE o (id INT)", [("does not exist", "column", "x")]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "given", "wanted"), FAULTS)
def test_what_does_not_fit_is_handed_back(
    sql: str, given: str, wanted: list[tuple[str, str, str]]
) -> None:
    assert [(one.kind.value, one.what, one.name) for one in faults(sql, given)] == wanted
    assert all(isinstance(one.kind, FaultKind) for one in faults(sql, given))


def test_a_fork_leaves_the_schema_as_it_was() -> None:
    schema = folded("CREATE TABLE t (a INT)")
    before = of_model(schema)

    fork = folded("DROP TABLE t; CREATE TABLE u (b INT)", schema=schema.fork())

    assert of_model(schema) == before
    assert {key.name for key in fork.changes(schema)} == {"t", "u"}
    schema.absorb(fork)
    assert of_model(schema) == of_model(fork)


# Each change of this table, and what reverts it.
CHANGES = [
    ("CREATE TABLE n (id INT PRIMARY KEY)", "DROP TABLE n"),
    ("ALTER TABLE t ADD COLUMN x INT DEFAULT 1", "ALTER TABLE t DROP COLUMN x"),
    ("ALTER TABLE t RENAME COLUMN b TO y", "ALTER TABLE t RENAME COLUMN y TO b"),
    ("ALTER TABLE t ALTER b SET NOT NULL", "ALTER TABLE t ALTER b DROP NOT NULL"),
    ("ALTER TABLE t ALTER b SET DEFAULT 5", "ALTER TABLE t ALTER b DROP DEFAULT"),
    ("ALTER TABLE t ALTER b TYPE BIGINT", "ALTER TABLE t ALTER b TYPE INT"),
    ("ALTER TABLE t ADD CONSTRAINT q CHECK (b > 0)", "ALTER TABLE t DROP CONSTRAINT q"),
    ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES o (id)",
     "ALTER TABLE t DROP CONSTRAINT f"),
    ("CREATE INDEX i ON t (b)", "DROP INDEX i"),
    ("CREATE INDEX ON t (b)", "DROP INDEX t_b_idx"),
    ("CREATE VIEW v AS SELECT b FROM t", "DROP VIEW v"),
    ("CREATE TYPE e AS ENUM ('a')", "DROP TYPE e"),
    ("CREATE SEQUENCE s", "DROP SEQUENCE s"),
    ("CREATE SCHEMA z", "DROP SCHEMA z"),
    ("ALTER TABLE o RENAME TO oo", "ALTER TABLE oo RENAME TO o"),
    ("CREATE SCHEMA y; ALTER TABLE t SET SCHEMA y", "ALTER TABLE y.t SET SCHEMA public; DROP SCHEMA y"),
    ("ALTER INDEX k RENAME TO kk", "ALTER INDEX kk RENAME TO k"),
]  # fmt: skip
BASE = """
    CREATE TABLE o (id INT PRIMARY KEY);
    CREATE TABLE t (a INT PRIMARY KEY, b INT, c INT REFERENCES o (id));
    CREATE INDEX k ON t (c);
"""


@given(st.lists(st.sampled_from(range(len(CHANGES))), unique=True, max_size=6))
def test_up_then_down_gives_the_schema_before(chosen: list[int]) -> None:
    for server in ServerKind:
        schema = folded(BASE, server)
        before = of_model(schema)
        fork = schema.fork()
        ups = "; ".join(CHANGES[one][0] for one in chosen)
        downs = "; ".join(CHANGES[one][1] for one in reversed(chosen))

        folded(downs, server, folded(ups, server, fork))

        assert of_model(fork) == before
