"""Data statements that are cut into windows: where the condition goes, and what is refused."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._sql.windowed import NotWindowed, windowed

CONDITION = "t.id > 1"


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
        (
            "INSERT INTO s.t SELECT id + 1 FROM t",
            "it reads the table it writes, t: the rows of one window could be read by the next",
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
                    "a subquery reads t, the table that is written: later windows would read rows that "
                    "earlier ones changed. Write what it finds into another table first"
                ),
            )
            for text in (
                "DELETE FROM t WHERE id NOT IN (SELECT min(id) FROM public.t GROUP BY a)",
                "UPDATE t SET n = (SELECT sum(n) FROM u JOIN t x ON true)",
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
