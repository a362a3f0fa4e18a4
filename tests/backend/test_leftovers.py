"""Which statements may leave something behind on PostgreSQL, and what is done about it: tables."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._backend.leftovers import (
    Kind,
    Leftover,
    described,
    found,
    may_commit_parts,
    suspect,
)
from manticore_cockroachdb._backend.protocol import Result
from tests.planner.planning import COCKROACHDB, POSTGRESQL, step

#: A statement; what it may leave behind, and the names that are asked for.
SUSPECTS = [
    ("CREATE INDEX CONCURRENTLY i ON t (v)", Kind.INVALID_INDEX, ("t", None, "i")),
    ("create unique index concurrently if not exists \"I x\" on only S.t (v)",
     Kind.INVALID_INDEX, ("t", "s", "I x")),
    ("CREATE INDEX CONCURRENTLY ON \"My S\".\"T\" (v)", Kind.INVALID_INDEX, ("T", "My S")),
    ("CREATE /* CONCURRENTLY */ INDEX i ON t (v)", None, ()),
    ("CREATE INDEX concurrently_ ON t (v)", None, ()),
    ("CREATE INDEX i ON t (\"CONCURRENTLY\")", None, ()),
    ("DROP INDEX CONCURRENTLY IF EXISTS s.i", Kind.DROPPED_INDEX, ("i", "s")),
    ("DROP INDEX i", None, ()),
    ("REINDEX INDEX CONCURRENTLY s.i", Kind.REINDEX_COPY, ("i", "s")),
    ("REINDEX (VERBOSE) TABLE CONCURRENTLY t", Kind.REINDEX_COPY, ("t", None)),
    ("REINDEX (CONCURRENTLY) TABLE t", Kind.REINDEX_COPY, ("t", None)),
    ("REINDEX SCHEMA CONCURRENTLY s", Kind.REINDEX_COPY, ("s",)),
    ("REINDEX DATABASE CONCURRENTLY d", Kind.REINDEX_COPY, ()),
    ("REINDEX TABLE t", None, ()),
    ("ALTER TABLE p DETACH PARTITION s.p1 CONCURRENTLY", Kind.PENDING_DETACH, ("p1", "s")),
    ("ALTER TABLE IF EXISTS ONLY p DETACH PARTITION p1 CONCURRENTLY", Kind.PENDING_DETACH, ("p1", None)),
    ("ALTER TABLE p DETACH PARTITION p1", None, ()),
    ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", None, ()),
    ("INSERT INTO concurrently VALUES (1)", None, ()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "params"), SUSPECTS)
def test_what_a_statement_may_leave_behind_is_read_from_its_words(
    text: str, kind: Kind | None, params: tuple[str | None, ...]
) -> None:
    (statement,) = step(text).statements()
    asked = suspect(POSTGRESQL, statement)
    assert (asked.kind if asked else None) is kind
    assert (asked.question.params if asked else ()) == params
    assert suspect(COCKROACHDB, statement) is None


@pytest.mark.parametrize(
    ("text", "removal", "said"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (v)", 'DROP INDEX CONCURRENTLY IF EXISTS "s"."X y"',
         "It left the invalid index s.X y. The next run drops it before it sends the statement again."),
        ("REINDEX TABLE CONCURRENTLY t", 'DROP INDEX CONCURRENTLY IF EXISTS "s"."X y"',
         "It left the invalid index s.X y. The next run drops it before it sends the statement again."),
        ("DROP INDEX CONCURRENTLY i", None,
         "The index s.X y is invalid now: queries no longer use it. The next run drops it."),
        ("ALTER TABLE \"P\" DETACH PARTITION x CONCURRENTLY",
         'ALTER TABLE "P" DETACH PARTITION "s"."X y" FINALIZE',
         ("The partition s.X y is pending detach: queries no longer read it through its table. "
          "The next run completes that with DETACH PARTITION … FINALIZE.")),
    ],
)  # fmt: skip
def test_what_was_left_behind_is_removed_or_completed(
    text: str, removal: str | None, said: str
) -> None:
    (statement,) = step(text).statements()
    asked = suspect(POSTGRESQL, statement)
    assert asked is not None
    left = found(asked, Result((), (), [("s", "X y", False)], 1, "SELECT 1"))
    assert left == (Leftover(asked.kind, "s.X y", False, removal),)
    assert described(left) == said


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("CALL p()", True),
        ("DO $$ BEGIN COMMIT; END $$", True),
        ("VACUUM", True),
        ("REINDEX TABLE t", True),
        ("CLUSTER", True),
        ("INSERT INTO t VALUES (1)", False),
        ("CREATE TABLE t (i INT8)", False),
    ],
)
def test_what_may_commit_in_parts_is_known(text: str, parts: bool) -> None:
    assert may_commit_parts(step(text).statements()[0]) is parts
