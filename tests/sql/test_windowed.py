"""Data statements that are cut into windows: where the condition goes, and what is refused."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._sql.windowed import NotWindowed, windowed

CONDITION = "t.id > 1"
MAX = "MAX works on all rows at once: over windows it would give one result each"


@pytest.mark.parametrize(
    ("text", "narrowed"),
    [
        ("UPDATE t SET n = n + 1", "UPDATE t SET n = n + 1 WHERE t.id > 1"),
        (
            "UPDATE t SET n = n + 1 WHERE a OR b",
            "UPDATE t SET n = n + 1 WHERE (a OR b\n) AND t.id > 1",
        ),
        (
            "UPDATE t SET n = 1 WHERE a -- why",
            "UPDATE t SET n = 1 WHERE (a -- why\n) AND t.id > 1",
        ),
        (
            "UPDATE t SET n = u.n FROM u WHERE u.id = t.id",
            "UPDATE t SET n = u.n FROM u WHERE (u.id = t.id\n) AND t.id > 1",
        ),
        ("UPDATE t SET n = u.n FROM u", "UPDATE t SET n = u.n FROM u WHERE t.id > 1"),
        (
            "UPDATE t SET d = a IS DISTINCT FROM b WHERE c",
            "UPDATE t SET d = a IS DISTINCT FROM b WHERE (c\n) AND t.id > 1",
        ),
        (
            "UPDATE t SET n = (SELECT max(n) FROM u WHERE u.t = t.id)",
            "UPDATE t SET n = (SELECT max(n) FROM u WHERE u.t = t.id) WHERE t.id > 1",
        ),
        ("DELETE FROM t", "DELETE FROM t WHERE t.id > 1"),
        (
            "DELETE FROM t USING u WHERE u.id = t.id",
            "DELETE FROM t USING u WHERE (u.id = t.id\n) AND t.id > 1",
        ),
        ("INSERT INTO c SELECT * FROM t", "INSERT INTO c SELECT * FROM t WHERE t.id > 1"),
        (
            "INSERT INTO c (a) SELECT x FROM t WHERE y ON CONFLICT (a) WHERE b DO UPDATE SET a = 1 WHERE z",
            (
                "INSERT INTO c (a) SELECT x FROM t WHERE (y\n) AND t.id > 1 "
                "ON CONFLICT (a) WHERE b DO UPDATE SET a = 1 WHERE z"
            ),
        ),
        (
            "INSERT INTO c SELECT t.* FROM t JOIN u ON u.id = t.id ON CONFLICT DO NOTHING",
            (
                "INSERT INTO c SELECT t.* FROM t JOIN u ON u.id = t.id WHERE t.id > 1 "
                "ON CONFLICT DO NOTHING"
            ),
        ),
    ],
)
def test_the_condition_joins_the_authors_own(text: str, narrowed: str) -> None:
    found = windowed(text)
    assert found.narrowed(CONDITION) == narrowed
    assert found.reference == "t"


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("INSERT INTO archive.t SELECT * FROM public.t", "public.t"),
        ("INSERT INTO c SELECT a IS DISTINCT FROM b FROM t", "t"),
        ("INSERT INTO c SELECT (SELECT max(n) FROM u), x.count (3) FROM t", "t"),
        ("INSERT INTO c SELECT t.id FROM t JOIN u ON right(u.k, 2) = t.k", "t"),
        ("INSERT INTO c SELECT extract(year FROM c), trim(both FROM t.c) FROM t", "t"),
        ("UPDATE a.t SET n = (SELECT max(n) FROM b.t)", "a.t"),
        ("UPDATE t SET t = extract(year FROM t), n = substring(t.n FROM 2)", "t"),
        ("DELETE FROM t WHERE t IN (SELECT t.t FROM u WHERE t.t IS NOT DISTINCT FROM u.t)", "t"),
        ("UPDATE t SET n = 1 FROM t(3) AS f", "t"),
    ],
)
def test_what_only_looks_like_it_is_not_refused(text: str, table: str) -> None:
    assert windowed(text).table == table


@pytest.mark.parametrize(
    ("text", "table", "reference", "assigned"),
    [
        ("UPDATE s.t SET n = 1", "s.t", "t", {"n"}),
        ("UPDATE ONLY t * AS x SET n = 1", "t", "x", {"n"}),
        (
            'UPDATE "My T" x SET "A b" = 1, (c, D) = (2, 3), e[1] = 4',
            '"My T"',
            "x",
            {"A b", "c", "d", "e"},
        ),
        ("UPDATE t SET a = (b), c = d, t2 = x.e", "t", "t", {"a", "c", "t2"}),
        ("DELETE FROM s.t AS x", "s.t", "x", set()),
        ("INSERT INTO c AS y SELECT x.a FROM s.t x", "s.t", "x", set()),
    ],
)
def test_the_table_its_alias_and_what_is_written(
    text: str, table: str, reference: str, assigned: set[str]
) -> None:
    found = windowed(text)
    assert (found.table, found.reference, found.assigned) == (table, reference, assigned)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT 1", "only UPDATE, DELETE and INSERT … SELECT can be split into windows"),
        (
            "WITH x AS (SELECT 1) UPDATE t SET n = 1",
            (
                "a statement with WITH cannot be split into windows: write the query of the WITH as a "
                "subquery in the UPDATE, DELETE or INSERT … SELECT"
            ),
        ),
        (
            "UPDATE t SET n = 1 RETURNING n",
            "RETURNING has no effect in batches, which discard rows; remove it",
        ),
        (
            "INSERT INTO c SELECT a FROM t ON CONFLICT DO NOTHING RETURNING 1",
            "RETURNING has no effect in batches, which discard rows; remove it",
        ),
        (
            "DELETE FROM t WHERE a ORDER BY b LIMIT 5",
            "ORDER works on all rows at once and cannot be split into windows",
        ),
        (
            "INSERT INTO c SELECT a FROM t GROUP BY a",
            "GROUP works on all rows at once and cannot be split into windows",
        ),
        (
            "INSERT INTO c SELECT a FROM t UNION SELECT b FROM u",
            "UNION works on all rows at once and cannot be split into windows",
        ),
        (
            "INSERT INTO c SELECT count(*) FROM t",
            "COUNT works on all rows at once: over windows it would give one result each",
        ),
        (
            "INSERT INTO c SELECT row_number() OVER (ORDER BY a) FROM t",
            "OVER works on all rows at once: over windows it would give one result each",
        ),
        (
            "INSERT INTO c SELECT DISTINCT a FROM t",
            "SELECT DISTINCT cannot be split into windows: each would be distinct alone",
        ),
        (
            "INSERT INTO c VALUES (1)",
            "only an INSERT with a SELECT outside parentheses can be split into windows",
        ),
        *(
            (
                text,
                (
                    f"it reads the table it writes, {read}: later windows would read rows that earlier "
                    "ones wrote. Use ON CONFLICT DO NOTHING to leave out rows that are there; if these are "
                    "two tables, write both names with their schema"
                ),
            )
            for text, read in (
                ("INSERT INTO s.t SELECT id + 1 FROM t", "t"),
                ("INSERT INTO t SELECT id + 1 FROM s.t AS x", "s.t"),
                (
                    "INSERT INTO c SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM c WHERE c.k = t.k)",
                    "c",
                ),
                ("INSERT INTO c SELECT t.id FROM t LEFT JOIN c ON c.id = t.id", "c"),
                ('INSERT INTO c SELECT (SELECT max(n) FROM u, "c") FROM t', '"c"'),
            )
        ),
        ("INSERT INTO c SELECT coalesce(max(n), 0) FROM t", MAX),
        ("INSERT INTO c SELECT (1 + (max(n))) FROM t", MAX),
        (
            "INSERT INTO c SELECT mode() WITHIN GROUP (ORDER BY n) FROM t",
            "the SELECT has no FROM, so there is no table to split into windows",
        ),
        (
            "INSERT INTO c SELECT a FROM (SELECT 1 AS a) x",
            "the SELECT reads a subquery first; name the table to split into windows first",
        ),
        (
            "INSERT INTO c SELECT u.a FROM t RIGHT JOIN u ON u.id = t.id WHERE x",
            (
                "a RIGHT JOIN keeps rows that belong to no window; write it as a LEFT JOIN of the table to "
                "split into windows"
            ),
        ),
        *(
            (
                text,
                (
                    f"it also reads {read}, the table it writes: later windows would read rows that "
                    "earlier ones changed. Write what it reads there into another table first; if these "
                    "are two tables, write both names with their schema"
                ),
            )
            for text, read in (
                (
                    "DELETE FROM t WHERE id NOT IN (SELECT min(id) FROM public.t GROUP BY a)",
                    "public.t",
                ),
                ("UPDATE t SET n = (SELECT sum(n) FROM u JOIN t x ON true)", "t"),
                ("UPDATE t SET n = o.n FROM t AS o WHERE o.id = t.id - 1", "t"),
                ("UPDATE t SET n = 1 FROM u, t AS o WHERE o.id = u.id", "t"),
                ("UPDATE t SET n = s.n FROM (u CROSS JOIN T) AS s", "T"),
                ("UPDATE t AS x SET n = s.n FROM u, LATERAL (SELECT n FROM ONLY t) AS s", "t"),
                ("DELETE FROM t USING t AS o WHERE o.id > t.id", "t"),
                ("DELETE FROM t USING u JOIN t o USING (id) WHERE o.id = t.id", "t"),
                ("DELETE FROM t WHERE id IN (SELECT x.id FROM parts p, t x)", "t"),
                ("DELETE FROM t WHERE id IN (TABLE t)", "t"),
                ("DELETE FROM t WHERE id IN (WITH x AS (SELECT id FROM t) SELECT id FROM x)", "t"),
            )
        ),
        (
            "DELETE FROM t WHERE CURRENT OF c",
            "WHERE CURRENT OF follows a cursor and cannot be split into windows",
        ),
    ],
)
def test_what_windows_would_change_is_refused(text: str, reason: str) -> None:
    with pytest.raises(NotWindowed) as caught:
        windowed(text)
    assert str(caught.value) == reason
