"""Printing, ordering and comparing, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manticore_cockroachdb._printing.compare import Change, compare
from manticore_cockroachdb._printing.head import scripts_hash, snapshot, staleness
from manticore_cockroachdb._printing.objects import ObjectName, Printing, SchemaObject
from manticore_cockroachdb._printing.ordering import Node, in_cycles, ordered
from manticore_cockroachdb._printing.postgresql.normal import normal, normal_query
from manticore_cockroachdb._printing.postgresql.words import chosen_name

# -- one form for what PostgreSQL prints in two ---------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "((k)::text = ANY ((ARRAY['a'::character varying, 'b, c'::character varying])::text[]))",
            "((k)::text = ANY (ARRAY[('a'::character varying)::text, ('b, c'::character varying)::text]))",
        ),
        (
            '(ARRAY[f(a, b), (c)[1]])::public."Odd t"[]',
            'ARRAY[(f(a, b))::public."Odd t", ((c)[1])::public."Odd t"]',
        ),
        ("(ARRAY[(ARRAY[a])::text[]])::x[]", "ARRAY[(ARRAY[(a)::text])::x]"),
        ("(ARRAY[a])::text", "(ARRAY[a])::text"),
        ("(ARRAY[])::text[]", "(ARRAY[])::text[]"),
        ("'(ARRAY[a])::text[]'", "'(ARRAY[a])::text[]'"),
        ("E'\\'(ARRAY[a])::text[]'", "E'\\'(ARRAY[a])::text[]'"),
        (
            '$a$(ARRAY[a])::x[]$a$ || "(ARRAY[a])::x[]"',
            '$a$(ARRAY[a])::x[]$a$ || "(ARRAY[a])::x[]"',
        ),
    ],
)
def test_a_cast_array_is_written_with_the_cast_in_its_elements(written: str, expected: str) -> None:
    assert normal(written) == expected
    assert normal(expected) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("    NULL::integer AS int4,\n    1 AS b", "    NULL::integer,\n    1 AS b"),
        (" SELECT 'x'::text AS text\n", " SELECT 'x'::text\n"),
        (" SELECT 'x'::text AS name\n", " SELECT 'x'::text AS name\n"),
        (" SELECT t.a AS int4\n", " SELECT t.a AS int4\n"),
        (" SELECT (t.a)::integer AS int4\n", " SELECT (t.a)::integer AS int4\n"),
    ],
)
def test_a_constant_is_not_named_after_its_type(written: str, expected: str) -> None:
    assert normal_query(written) == expected


@settings(deadline=None)
@given(st.text(alphabet="(ARY[])::text,' \"$Ea"))
def test_normal_ends_on_any_text_and_is_normal_then(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@pytest.mark.parametrize(
    ("table", "column", "expected"),
    [
        ("users", "id", "users_id_seq"),
        ("t" * 63, "id", "t" * 56 + "_id_seq"),
        ("t" * 40, "c" * 40, "t" * 29 + "_" + "c" * 29 + "_seq"),
    ],
)
def test_names_that_the_server_chooses_are_known(table: str, column: str, expected: str) -> None:
    assert chosen_name(table, column, "seq") == expected


# -- order -----------------------------------------------------------------------------------------


def node(name: str, rank: int = 0) -> Node:
    return Node(ObjectName("table", name), [name], (rank, name, 0, "", 0))


@settings(deadline=None)
@given(st.data())
def test_what_is_needed_comes_first_and_the_order_is_always_the_same(data: st.DataObject) -> None:
    nodes = [node(f"n{number}", data.draw(st.integers(0, 3))) for number in range(12)]
    for number, each in enumerate(nodes):
        each.needs = set(data.draw(st.lists(st.sampled_from(nodes[:number] or [each]))))
    shuffled = data.draw(st.permutations(nodes))

    done, left = ordered(nodes)

    assert left == []
    assert sorted(done, key=id) == sorted(nodes, key=id)
    at = {each: number for number, each in enumerate(done)}
    assert all(at[need] < at[each] for each in nodes for need in each.needs if need is not each)
    assert ordered(shuffled)[0] == done


def test_a_circle_is_distinguished_from_what_only_needs_it() -> None:
    a, b, c, d = (node(name) for name in "abcd")
    a.needs, b.needs, c.needs = {b}, {a}, {b}

    done, left = ordered([a, b, c, d])

    assert done == [d]
    assert in_cycles(left) == [a, b]


# -- comparing -------------------------------------------------------------------------------------


def printing(*made: SchemaObject, omitted: tuple[ObjectName, ...] = ()) -> Printing:
    statements = tuple((each.name, text) for each in made for text in each.statements)
    return Printing("PostgreSQL 18.0", statements, {each.name: each for each in made}, omitted)


def an_object(kind: str, name: str, *statements: str, **rest: object) -> SchemaObject:
    return SchemaObject(ObjectName(kind, name), statements, **rest)  # type: ignore[arg-type]


def a_table(*columns: tuple[str, str], kind: str = "table") -> SchemaObject:
    body = ", ".join(text for _, text in columns)
    return an_object(kind, "t", f"CREATE TABLE t ({body})", parts=columns, drop="DROP TABLE t")


IDENTITY_GONE = (
    "column a should be 'a integer GENERATED BY DEFAULT AS IDENTITY NOT NULL' and is "
    "'a integer NOT NULL'"
)


@pytest.mark.parametrize(
    ("ours", "theirs", "details", "repair"),
    [
        (
            [("a", "a integer")],
            [("a", "a integer"), ("b", "b text")],
            ["column b is extra: b text"],
            ["ALTER TABLE t DROP COLUMN b"],
        ),
        (
            [("a", "a integer DEFAULT 1 NOT NULL")],
            [("a", "a integer")],
            ["column a should be 'a integer DEFAULT 1 NOT NULL' and is 'a integer'"],
            [
                "ALTER TABLE t ALTER COLUMN a SET DEFAULT 1",
                "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
            ],
        ),
        (
            [("a", "a integer")],
            [("a", "a bigint")],
            ["column a should be 'a integer' and is 'a bigint'"],
            [],
        ),
        (
            [("a", "a integer GENERATED BY DEFAULT AS IDENTITY NOT NULL")],
            [("a", "a integer NOT NULL")],
            [IDENTITY_GONE],
            ["ALTER TABLE t ALTER COLUMN a ADD GENERATED BY DEFAULT AS IDENTITY"],
        ),
        (
            [("column a", "a INT8"), ("index i", "UNIQUE INDEX i (a ASC)")],
            [("column a", "a INT8"), ("index i", "INDEX i (a ASC)")],
            ["index i should be 'UNIQUE INDEX i (a ASC)' and is 'INDEX i (a ASC)'"],
            ["DROP INDEX t@i", "CREATE UNIQUE INDEX i ON t (a ASC)"],
        ),
    ],
)
def test_a_tables_parts_are_compared_by_name(
    ours: list[tuple[str, str]],
    theirs: list[tuple[str, str]],
    details: list[str],
    repair: list[str],
) -> None:
    (found,), _ = compare(printing(a_table(*ours)), printing(a_table(*theirs)))

    assert found.change is Change.CHANGED
    assert list(found.details) == details
    assert list(found.repair) == repair


@pytest.mark.parametrize(
    ("kind", "same"), [("table", True), ("type", False)], ids=["table", "type"]
)
def test_the_order_of_a_tables_columns_is_not_compared(kind: str, same: bool) -> None:
    columns = [("a", "a integer"), ("b", "b integer"), ("aa", "aa integer")]
    sides = [printing(a_table(*order, kind=kind)) for order in (columns, list(reversed(columns)))]

    found, _ = compare(*sides)

    assert (found == ()) is same


def test_what_belongs_to_a_missing_object_is_reported_with_it() -> None:
    table = a_table(("a", "a integer"))
    index = an_object(
        "index", "i", "CREATE INDEX i ON t (a)", parent=table.name, drop="DROP INDEX i"
    )
    comment = an_object("comment", "index i", "COMMENT ON INDEX i IS 'x'", parent=index.name)

    (found,), _ = compare(printing(table, index, comment), printing())

    assert str(found) == "missing table t"
    assert found.repair == (
        "CREATE TABLE t (a integer)",
        "CREATE INDEX i ON t (a)",
        "COMMENT ON INDEX i IS 'x'",
    )
    assert found.adopt == ("DROP TABLE t",)


@pytest.mark.parametrize(
    ("ours", "theirs", "repair"),
    [
        ([], ["GRANT SELECT ON TABLE t TO r"], ["REVOKE SELECT ON TABLE t FROM r"]),
        (
            ["GRANT SELECT ON TABLE t TO r"],
            ["GRANT SELECT ON TABLE t TO r WITH GRANT OPTION"],
            ["REVOKE SELECT ON TABLE t FROM r", "GRANT SELECT ON TABLE t TO r"],
        ),
        ([], ["REVOKE ALL ON TABLE t FROM PUBLIC"], ["GRANT ALL ON TABLE t TO PUBLIC"]),
        ([], ["REVOKE GRANT OPTION FOR SELECT ON TABLE t FROM r"], []),
        (
            [],
            ["ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO r"],
            ["ALTER DEFAULT PRIVILEGES IN SCHEMA s REVOKE SELECT ON TABLES FROM r"],
        ),
    ],
)
def test_privileges_are_reverted_by_their_inverse(
    ours: list[str], theirs: list[str], repair: list[str]
) -> None:
    sides = [
        printing(an_object("grants", "table t", *texts)) if texts else printing()
        for texts in (ours, theirs)
    ]

    (found,), _ = compare(*sides)

    assert list(found.repair) == repair


def test_of_kinds_that_are_not_printed_the_names_are_compared() -> None:
    cast, operator = ObjectName("cast", "(a AS b)"), ObjectName("operator", "public.===(a, a)")

    found, unused = compare(
        printing(omitted=(cast,)), printing(omitted=(operator,)), ["operator *", "zzz"]
    )

    assert [str(each) for each in found] == ["missing cast (a AS b)"]
    assert unused == ("zzz",)


# -- snapshots -------------------------------------------------------------------------------------

SCRIPTS = [(1, "aaa"), (2, "bbb")]
TEXT = snapshot(printing(a_table(("a", "a integer"))), SCRIPTS)


@pytest.mark.parametrize(
    ("text", "scripts", "reason"),
    [
        (TEXT, SCRIPTS, None),
        (TEXT.replace("\n", "\r\n"), SCRIPTS, None),
        (TEXT, [*SCRIPTS, (3, "c")], "it was made at version 2, and the scripts end at 3"),
        (TEXT, [(1, "aaa"), (2, "other")], "a script was changed after it was made"),
        (TEXT + "DROP TABLE t;\n", SCRIPTS, "its text was edited, or merged from two versions"),
        ("CREATE TABLE t ();", SCRIPTS, "it has no head by which it could be compared"),
    ],
)
def test_a_stale_snapshot_is_found_without_a_server(
    text: str, scripts: list[tuple[int, str]], reason: str | None
) -> None:
    assert staleness(text, scripts) == reason


def test_the_head_says_what_a_snapshot_was_made_from() -> None:
    lines = TEXT.split("\n")

    assert lines[:4] == [
        "-- The schema that the migration scripts make. Written by manticore_snapshot; do not edit it.",
        "-- Server: PostgreSQL 18.0",
        "-- Version: 2",
        f"-- Scripts: {scripts_hash(SCRIPTS)}",
    ]
