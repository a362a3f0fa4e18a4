"""What the catalogs show of a statement that was in flight."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._backend.dialect import Server
from manticore_cockroachdb._backend.introspection import traces
from manticore_cockroachdb._planner.evidence import Evidence, Trace, compare, fingerprints
from manticore_cockroachdb._sql.lexer import RawStatement
from manticore_cockroachdb._sql.server_kind import ServerKind
from manticore_cockroachdb._sql.statement import Statement, classify

ABSENT, PRESENT, UNCLEAR = Evidence.ABSENT, Evidence.PRESENT, Evidence.UNCLEAR

#: What the two servers print of a table's indexes and constraints (seen on PostgreSQL 18 and v22.1).
PKEY = ("p_pkey", "CREATE UNIQUE INDEX p_pkey ON d.public.p USING btree (id ASC)")
OTHER = ("by_hand", "CREATE INDEX by_hand ON d.public.p USING btree (w ASC)")


def statement(sql: str) -> Statement:
    return classify(RawStatement(sql, 1))


def index(
    columns: str, name: str = "p_v_idx", *, kind: str = "INDEX", place: str = "public.p"
) -> Trace:
    return name, f"CREATE {kind} {name} ON {place} USING btree {columns}"


@pytest.mark.parametrize(
    ("sql", "added", "evidence"),
    [
        ("CREATE INDEX ON p (v)", [], ABSENT),
        ("CREATE INDEX ON p (v)", [OTHER], ABSENT),
        ("CREATE INDEX ON p (v)", [index("(v)")], PRESENT),
        ("CREATE INDEX ON p (v)", [index("(v ASC)", place="d.public.p")], PRESENT),
        ("CREATE INDEX ON p (v)", [OTHER, index("(v)")], PRESENT),
        ("CREATE INDEX ON p (v)", [index("(v, w)")], ABSENT),
        ("CREATE INDEX ON p (v)", [index("(v)", kind="UNIQUE INDEX")], ABSENT),
        ("CREATE INDEX ON p (v)", [index("(v) WHERE (v > 1)")], UNCLEAR),
        ("CREATE INDEX ON p (v)", [index("(lower(v))")], UNCLEAR),
        ("CREATE INDEX CONCURRENTLY ON ONLY public.p USING btree (v DESC, s)",
         [index("(v DESC, s)")], PRESENT),
        ("CREATE UNIQUE INDEX ON p (v)", [index("(v ASC)", kind="UNIQUE INDEX")], PRESENT),
        ("CREATE INDEX ON p (lower(s)) WHERE v > 1", [index("(lower(s) ASC) WHERE (v > 1)")], PRESENT),
        ("CREATE INDEX ON p (v) STORING (w)", [index("(v ASC) STORING (w)")], PRESENT),
        ("CREATE INDEX ON p (v) INCLUDE (w)", [index("(v) INCLUDE (w)")], PRESENT),
        ('CREATE INDEX ON "Q q" ("A b")', [index('("A b")', place='public."Q q"')], PRESENT),
        ("ALTER TABLE p ADD CHECK (v > 0)", [], ABSENT),
        ("ALTER TABLE p ADD CHECK (v > 0)", [("p_v_check", "CHECK ((v > 0))")], PRESENT),
        ("ALTER TABLE p ADD CHECK (v > 0)", [("u", "UNIQUE (v ASC)")], ABSENT),
        ("ALTER TABLE p ADD CHECK (v > 0)", [("p_v_check", "CHECK ((v > 1))")], UNCLEAR),
        ("ALTER TABLE p ADD CHECK (v > 0) NOT VALID", [("c", "CHECK ((v > 0)) NOT VALID")], PRESENT),
        ("ALTER TABLE p ADD CHECK (v > 0) NOT VALID", [("c", "CHECK ((v > 0))")], PRESENT),
        ("ALTER TABLE p ADD CHECK (s <> 'x')", [("c", "CHECK ((s != 'x'::STRING))")], PRESENT),
        ("ALTER TABLE p ADD CHECK (s <> 'x')", [("c", "CHECK ((s <> 'x'::text))")], PRESENT),
        ("ALTER TABLE p ADD UNIQUE (v)", [("u", "UNIQUE (v ASC)")], PRESENT),
        ("ALTER TABLE p ADD UNIQUE (v)", [("u", "UNIQUE (w)")], ABSENT),
        ("ALTER TABLE p ADD FOREIGN KEY (a) REFERENCES t (id)",
         [("f", "FOREIGN KEY (a) REFERENCES t(id)")], PRESENT),
        ("ALTER TABLE p ADD FOREIGN KEY (a) REFERENCES t",
         [("f", "FOREIGN KEY (a) REFERENCES t(id)")], UNCLEAR),
        ("ALTER TABLE p ADD FOREIGN KEY (a) REFERENCES t",
         [("f", "FOREIGN KEY (b) REFERENCES t(id)")], ABSENT),
        ("ALTER TABLE p ADD CHECK (v > 0), ADD UNIQUE (v)",
         [("c", "CHECK ((v > 0))"), ("u", "UNIQUE (v)")], PRESENT),
        ("ALTER TABLE p ADD CHECK (v > 0), ADD UNIQUE (v)", [("c", "CHECK ((v > 0))")], UNCLEAR),
        ("ALTER TABLE p DROP COLUMN b, ADD UNIQUE (v)", [], ABSENT),
    ],
)  # fmt: skip
def test_what_was_added_is_compared_by_its_definition(
    sql: str, added: list[Trace], evidence: Evidence
) -> None:
    before = [PKEY]
    assert compare(statement(sql), fingerprints(before), [*before, *added]) is evidence


@pytest.mark.parametrize(
    ("sql", "before", "now", "evidence"),
    [
        ("DROP TABLE t", [("t", "104")], [("t", "104")], ABSENT),
        ("DROP TABLE t", [("t", "104")], [], PRESENT),
        ("DROP TABLE t", [("t", "104")], [("t", "110")], PRESENT),
        ("DROP TABLE t, u", [("t", "104"), ("u", "105")], [("u", "105")], UNCLEAR),
        ("DROP TABLE IF EXISTS t", [], [], ABSENT),
        ("DROP TABLE IF EXISTS t", [], [("t", "104")], UNCLEAR),
        ("ALTER TABLE t DROP COLUMN b", [("b", "104 2")], [("b", "104 2")], ABSENT),
        ("ALTER TABLE t DROP COLUMN b", [("b", "104 2")], [("b", "104 3")], PRESENT),
        ("TRUNCATE t", [("t", "104 104 9")], [("t", "104 104 9")], ABSENT),
        ("TRUNCATE t", [("t", "104 104 9")], [("t", "104 120 9")], UNCLEAR),
        ("TRUNCATE t", [("t", "104 104 9")], [], UNCLEAR),
    ],
)
def test_what_was_to_go_is_known_by_its_identity(
    sql: str, before: list[Trace], now: list[Trace], evidence: Evidence
) -> None:
    assert compare(statement(sql), fingerprints(before), now) is evidence


def test_what_was_not_asked_tells_nothing() -> None:
    drop = statement("DROP TABLE t")
    assert compare(drop, None, [("t", "1")]) is UNCLEAR
    assert compare(drop, fingerprints([("t", "1")]), None) is UNCLEAR
    assert compare(drop, "", []) is ABSENT


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        ("CREATE INDEX ON s.t (v)", [("t", "s")]),
        ("CREATE INDEX i ON t (v)", []),
        ("ALTER TABLE t ADD CHECK (a > 0), ADD UNIQUE (a)", [("t", None)]),
        ("TRUNCATE t, s.u", [("t", None), ("u", "s")]),
        ("DROP TABLE t, s.u", [("t", None), ("u", "s")]),
        ("DROP SEQUENCE q", [("q", None)]),
        ("DROP VIEW v", []),
        ("ALTER TABLE t DROP COLUMN a, DROP COLUMN b", [("t", None, "a"), ("t", None, "b")]),
        ("ALTER TABLE d.public.t DROP COLUMN a", [("t", "public", "a")]),
        ("ALTER TABLE other.public.t DROP COLUMN a", []),
        ("ALTER TABLE t DROP CONSTRAINT c", []),
        ("INSERT INTO t VALUES (1)", []),
    ],
)
def test_the_catalogs_are_asked_for_what_cannot_be_sent_twice(
    sql: str, asked: list[tuple[str | None, ...]]
) -> None:
    server = Server(ServerKind.COCKROACHDB, "", "d", "public", "root")
    assert [question.params for question in traces(server, statement(sql))] == asked
