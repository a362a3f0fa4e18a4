"""Which scripts share one transaction on a fresh CockroachDB database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._planner.batching import Batch
from tests.planner.planning import prepared

A = "CREATE TABLE a (i INT8);"
B = "CREATE TABLE b (i INT8);"
INDEX_A = "CREATE UNIQUE INDEX ON a (i);"
ROW = "INSERT INTO a VALUES (1);"


def joined(*scripts: str) -> int:
    """How many of the scripts share the first one's transaction."""
    batch: Batch | None = Batch()
    for count, script in enumerate(scripts):
        batch = batch.joined_by(prepared(script)) if batch else None
        if batch is None:
            return count
    return len(scripts)


@pytest.mark.parametrize(
    ("scripts", "count"),
    [
        ((A, B), 2),
        ((A, INDEX_A), 2),
        ((A, "ALTER TABLE public.a ADD COLUMN j INT8;"), 2),
        ((A, 'ALTER TABLE "A" ADD COLUMN j INT8;'), 1),
        ((INDEX_A,), 0),
        ((B, INDEX_A), 1),
        ((A, ROW, B), 3),
        # Older servers: the first schema change must precede any write, the ledger's included.
        ((ROW, A), 1),
        ((ROW + A,), 0),
        (("SELECT 1;", A), 1),
        ((A + ROW + B,), 1),
        ((ROW, ROW), 2),
        (("CREATE TYPE m AS ENUM ('a');", A), 2),
        (("CREATE SCHEMA s;", "CREATE SEQUENCE q;", "CREATE VIEW v AS SELECT 1;"), 3),
        (("COMMENT ON TABLE a IS 'x';", A), 2),
        ((A, "CREATE TABLE c AS SELECT * FROM a;"), 1),
        ((A, "CREATE TABLE c (i INT8 DEFAULT (1) CHECK ((i) > 0), AS_ TEXT);"), 2),
        # A key to an older table: the new one is public only when its job has ended.
        ((A, "CREATE TABLE c (i INT8 REFERENCES a (i));"), 2),
        ((A, "CREATE TABLE c (i INT8 PRIMARY KEY REFERENCES c, a INT8 REFERENCES public.A);"), 2),
        ((A, "CREATE TABLE c (i INT8, FOREIGN KEY (i) REFERENCES b (i));"), 1),
        ((A, 'CREATE TABLE c (i INT8, "references" INT8, b INT8 REFERENCES "b");'), 1),
        ((A, "CREATE TABLE c (i INT8 REFERENCES a, j INT8 REFERENCES b);"), 1),
        ((A, "DROP TABLE a;"), 1),
        ((A, "SET search_path = s;"), 1),
        ((A, "GRANT SELECT ON a TO u;", "REVOKE ALL ON SCHEMA public FROM u;", B), 4),
        ((A, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO u;", B), 3),
        ((A, "ALTER TYPE m OWNER TO u;", "ALTER TABLE a OWNER TO u;"), 3),
        ((A, "GRANT admins TO u;"), 1),
        ((A, "ALTER TYPE m ADD VALUE 'b';"), 1),
        ((A, "BACKUP INTO 'x';"), 1),
    ],
)
def test_scripts_share_a_transaction_that_made_what_they_change(
    scripts: tuple[str, ...], count: int
) -> None:
    assert joined(*scripts) == count


@given(st.lists(st.sampled_from([A, B, INDEX_A, ROW]), max_size=6))
def test_in_a_batch_the_first_schema_change_precedes_every_write(scripts: list[str]) -> None:
    shared = scripts[: joined(*scripts)]
    if any(each != ROW for each in shared):
        assert shared[0] != ROW
