"""Names that CockroachDB chooses, as a real server does it."""

from __future__ import annotations

import psycopg
import pytest

from manticore_cockroachdb._model.values import ConstraintKind, Name
from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb.types import ServerKind
from tests.model.test_folding import folded

CHECKS = """
    CREATE TABLE n (a INT CHECK (a > 0), b INT, CHECK (a > b AND a < 5), CHECK (a > 3), CHECK (
        length(a::STRING) > 1), "Odd" INT, CHECK ("Odd" > 1));
    ALTER TABLE n ADD CHECK (a = 1 OR n.b = a), ADD CHECK (1 > 0);
    ALTER TABLE n ADD COLUMN c INT CHECK (c > a);
"""
NAMES = {
    "check", "check_Odd", "check_a", "check_a1", "check_a2", "check_a_b_a", "check_a_b_a1",
    "check_c_a",
}  # fmt: skip


def test_a_check_is_called_after_every_column_it_names() -> None:
    table = folded(CHECKS, ServerKind.COCKROACHDB).table(Name(None, "n"))

    assert table is not None
    checks = {one.name for one in table.constraints if one.kind is ConstraintKind.CHECK}
    assert checks == NAMES


@pytest.mark.needs_cockroachdb("PostgreSQL names a CHECK after its table")
def test_the_server_calls_them_so(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        for raw in split_script(CHECKS):
            connection.execute(raw.text)
        rows = connection.execute(
            "SELECT constraint_name FROM [SHOW CONSTRAINTS FROM n] WHERE constraint_type = 'CHECK'"
        ).fetchall()

    assert {name for (name,) in rows} == NAMES
