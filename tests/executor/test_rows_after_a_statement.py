"""What we ask after a statement of a script was sent alone is answered in full."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._backend.protocol import Command
from manticore_cockroachdb._backend.settings import ConnectionSettings
from manticore_cockroachdb._executor._sync.session import Session


@pytest.mark.parametrize(
    "text", ["SET extra_float_digits = 0", "SELECT 1", "CREATE TABLE x (i INT8)"]
)
def test_rows_are_read_after_a_statement_whose_own_were_dropped(
    database_url: str, text: str
) -> None:
    session = Session.open(ConnectionSettings.from_url(database_url), "test")
    try:
        session.run(text)
        asked = (
            Command("SELECT g::INT8 FROM generate_series(1, 3) AS s(g)"),
            Command("SELECT 7::INT8"),
        )
        for _ in range(2):
            assert [result.rows for result in session.send(*asked)] == [[(1,), (2,), (3,)], [(7,)]]
    finally:
        session.close()
