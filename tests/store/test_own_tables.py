"""Scripts that change the ledger's own tables are refused, with the line that does."""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb._scripts.parser import parse_script
from manticore_cockroachdb._store.own_tables import refuse_own_tables
from manticore_cockroachdb.errors import FilesRefused


def problems(text: str, table: str = "_migrations") -> list[str]:
    script, wrong = parse_script(Path("V1__dump.sql"), text.encode())
    assert (script is not None, wrong) == (True, [])
    try:
        refuse_own_tables([script] if script else [], table)
    except FilesRefused as error:
        return [str(problem) for problem in error.problems]
    return []


def changes(table: str) -> str:
    return (
        f"changes {table}, a table of Manticore; leave it out of the script (a dump of a schema "
        f"is made without it, such as by pg_dump --exclude-table='{table}*'), or give the ledger another "
        "table with TABLE"
    )


def test_a_dump_with_our_tables_is_refused() -> None:
    dump = """
CREATE TABLE public.users (id INT8);
CREATE TABLE public._migrations (version INT8);
ALTER TABLE ONLY public._migrations ADD CONSTRAINT p PRIMARY KEY (version);
CREATE TABLE IF NOT EXISTS "_migrations_state" (id INT8);
-- DOWN
DROP TABLE _migrations;
"""
    assert problems(dump) == [
        f"V1__dump.sql:3: {changes('_migrations')}",
        f"V1__dump.sql:4: {changes('_migrations')}",
        f"V1__dump.sql:5: {changes('_migrations_state')}",
        f"V1__dump.sql:7: {changes('_migrations')}",
    ]


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("CREATE TABLE app_migrations (i INT8); SELECT * FROM _migrations", "_migrations"),
        ("DELETE FROM _migrations WHERE version = 3", "_migrations"),
        ("CREATE TABLE other._migrations (i INT8)", "_migrations"),
        ("CREATE TABLE _migrations (i INT8); DROP TABLE public._migrations", "ops._migrations"),
        ("COMMENT ON TABLE _migrations IS 'x'", "_migrations"),
        ("CREATE TABLE _migrations (i INT8)", "ledger"),
    ],
)
def test_other_tables_and_reads_are_left_alone(text: str, table: str) -> None:
    assert problems(text, table) == []


def test_the_name_of_the_table_counts() -> None:
    assert problems("DROP TABLE ops.ledger", "ops.ledger") == [
        f"V1__dump.sql:1: {changes('ledger')}"
    ]
