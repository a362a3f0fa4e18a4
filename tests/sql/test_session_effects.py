"""What a statement does to its session, read from its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._sql.lexer import LexError, split_script
from manticore_cockroachdb._sql.server_kind import ServerKind
from manticore_cockroachdb._sql.session_effects import (
    Leaves,
    defers_constraints,
    leaves,
    other_encoding,
    session_wide,
    sets_inside_block,
    unclear_setting,
)
from manticore_cockroachdb._sql.statement import Statement, classify


def statement(text: str) -> Statement:
    return classify(split_script(text, 1)[0])


@pytest.mark.parametrize(
    ("text", "postgresql", "cockroachdb"),
    [
        ("CREATE TABLE t (i INT8 DEFAULT f() CHECK (i > 0))", "NOTHING", "NOTHING"),
        ("CREATE UNLOGGED TABLE t (i INT8)", "NOTHING", "NOTHING"),
        ("CREATE TABLE t AS SELECT f()", "STATE", "NOTHING"),
        ("CREATE TABLE t AS SELECT set_config('a', 'b', false)", "STATE", "STATE"),
        ("CREATE TEMP TABLE t (i INT8)", "OBJECTS", "OBJECTS"),
        ("CREATE TABLE pg_temp.t (i INT8)", "OBJECTS", "OBJECTS"),
        ("CREATE LOCAL TEMPORARY VIEW v AS SELECT 1", "OBJECTS", "OBJECTS"),
        ("SELECT 1 INTO TEMP t", "OBJECTS", "OBJECTS"),
        ("CREATE UNIQUE INDEX i ON t (lower(n))", "NOTHING", "NOTHING"),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS INT8 AS 'SELECT 1' LANGUAGE sql",
            "NOTHING",
            "NOTHING",
        ),
        ("CREATE EXTENSION x", "STATE", "NOTHING"),
        ("ALTER TABLE t ADD COLUMN n TEXT", "NOTHING", "NOTHING"),
        ("ALTER TABLE t ADD COLUMN n TEXT DEFAULT f()", "STATE", "NOTHING"),
        ("ALTER TABLE t ALTER n TYPE INT8 USING f(n)", "STATE", "NOTHING"),
        ("DROP TABLE t", "NOTHING", "NOTHING"),
        ("COMMENT ON TABLE t IS 'set_config'", "NOTHING", "STATE"),
        ("VACUUM", "STATE", "NOTHING"),
        ("INSERT INTO t VALUES (1)", "STATE", "NOTHING"),
        ("INSERT INTO t SELECT set_config('a', 'b', false)", "STATE", "STATE"),
        ("WITH x AS (SELECT 1) UPDATE t SET i = 1", "STATE", "STATE"),
        ("SELECT f()", "STATE", "STATE"),
        ("DO $$ BEGIN END $$", "STATE", "STATE"),
        ("SET ROLE r", "STATE", "STATE"),
        ("LISTEN c", "STATE", "STATE"),
    ],
)
def test_what_a_statement_may_leave(text: str, postgresql: str, cockroachdb: str) -> None:
    found = [
        leaves(statement(text), kind) for kind in (ServerKind.POSTGRESQL, ServerKind.COCKROACHDB)
    ]
    assert found == [Leaves[postgresql], Leaves[cockroachdb]]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("SET LOCAL a = 1", "SET       a = 1"),
        ("set local role x", "set       role x"),
        ("SET /* LOCAL */\nLOCAL a = 'local'", "SET /* LOCAL */\n      a = 'local'"),
        ("SET a = LOCAL", "SET a = LOCAL"),
        ("SELECT set_config('a', 'b', true)", "SELECT set_config('a', 'b', false)"),
        ("SELECT set_config('a', 'b', FALSE)", "SELECT set_config('a', 'b', FALSE)"),
        (
            "SELECT pg_catalog.\"set_config\"('true', f(1, true), 't'), set_config('a', 'b', TRUE)",
            "SELECT pg_catalog.\"set_config\"('true', f(1, true), false), set_config('a', 'b', false)",
        ),
        (
            "INSERT INTO t SELECT 'set_config(a, b, true)'",
            "INSERT INTO t SELECT 'set_config(a, b, true)'",
        ),
        ("SELECT my_set_config('a', 'b', true)", "SELECT my_set_config('a', 'b', true)"),
    ],
)
def test_settings_are_made_to_hold_for_the_session(text: str, sent: str) -> None:
    assert session_wide(statement(text)) == sent
    assert not unclear_setting(statement(text))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT set_config('a', 'b', 1 = 1)",
        "SELECT set_config('a', 'b', x) FROM t",
        "SELECT set_config('a', 'b')",
        "SELECT set_config(VARIADIC x)",
    ],
)
def test_an_extent_that_cannot_be_read_is_unclear(text: str) -> None:
    assert unclear_setting(statement(text))
    assert session_wide(statement(text)) == text


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("DO $$ BEGIN SET LOCAL a = 1; END $$", True),
        ("DO $x$ BEGIN PERFORM set_config('a', 'b', true); END $x$ LANGUAGE plpgsql", True),
        ("DO 'BEGIN PERFORM set_config(''a'', ''b'', ''t''); END'", True),
        ("DO $$ BEGIN PERFORM set_config('a', 'b', false); END $$", False),
        ("CREATE FUNCTION f() RETURNS INT8 AS $$ SET LOCAL a = 1; SELECT 1 $$ LANGUAGE sql", False),
    ],
)
def test_a_block_that_sets_for_its_transaction_is_seen(text: str, inside: bool) -> None:
    assert sets_inside_block(statement(text)) is inside


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("SET client_encoding = 'LATIN1'", "LATIN1"),
        ("SET SESSION client_encoding TO latin1", "latin1"),
        ("SET NAMES 'EUC_JP'", "EUC_JP"),
        ("SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false)", "LATIN1"),
        ("SET client_encoding = 'UTF-8'", None),
        ("SET client_encoding = 'SQL_ASCII'", None),
        ("SET NAMES DEFAULT", None),
        ("RESET client_encoding", None),
        ("SET names.x = 'y'", None),
        ("INSERT INTO names VALUES ('LATIN1')", None),
    ],
)
def test_another_encoding_is_seen(text: str, encoding: str | None) -> None:
    assert other_encoding(statement(text)) == encoding


def test_constraints_are_deferred_by_one_statement_only() -> None:
    assert defers_constraints(statement("set constraints all deferred"))
    assert not defers_constraints(statement("SET a = 'CONSTRAINTS'"))


@given(st.text(alphabet="SETLOCALset_config('true,)\" \n;$1=-/*", min_size=1, max_size=60))
def test_any_text_is_answered_for(text: str) -> None:
    try:
        found = split_script(text, 1)
    except LexError:
        return
    for raw in found:
        each = classify(raw)
        assert session_wide(each).count("\n") == each.text.count("\n")
        for kind in ServerKind:
            assert leaves(each, kind) in Leaves
        unclear_setting(each), sets_inside_block(each), other_encoding(each)
