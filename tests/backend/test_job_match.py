"""Whose a schema-change job is, from what real servers say of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._backend.job_match import (
    Matches,
    Whose,
    match_jobs,
    undoes,
    unfinished_on,
    whose,
)
from manticore_cockroachdb._backend.jobs import Job
from manticore_cockroachdb._sql.lexer import RawStatement
from manticore_cockroachdb._sql.likeness import ANYBODY, NameContext
from manticore_cockroachdb._sql.statement import Statement, classify

HERE = NameContext("d", ("public",), "root")
NEXT_DOOR = NameContext("d2", ("public",), "root")


def statement(sql: str) -> Statement:
    return classify(RawStatement(sql, 1))


def job(
    description: str,
    status: str = "succeeded",
    *,
    job_id: int = 1,
    created: float = 10.0,
    user: str = "root",
    is_dated: bool = True,
    is_cut: bool = False,
) -> Job:
    return Job(
        job_id=job_id,
        kind="SCHEMA CHANGE",
        description=description,
        status=status,
        running_status="",
        created=created,
        fraction=0.0,
        error="",
        user=user,
        is_dated=is_dated,
        is_cut=is_cut,
    )


def seen() -> list[tuple[str, str, Whose]]:
    """What real servers said: statement, description, whose the job is."""
    found: list[tuple[str, str, Whose]] = []
    sql = ""
    for line in Path(__file__).with_name("job_descriptions.txt").read_text("utf-8").splitlines():
        if line.startswith("    "):
            verdict, _, description = line.strip().partition(": ")
            found.append(
                (
                    sql,
                    description.removesuffix("[v21.1]").removesuffix("[v22.1]").rstrip(),
                    Whose(verdict),
                )
            )
        elif line and not line.startswith("#"):
            sql = line
    return found


SEEN = seen()


@pytest.mark.parametrize(("sql", "description", "verdict"), SEEN)
def test_a_real_job_is_recognized(sql: str, description: str, verdict: Whose) -> None:
    assert whose(job(description), statement(sql), HERE) is verdict


def test_a_job_of_the_same_statement_in_another_database_is_never_ours() -> None:
    of_every_database = ("DROP DATABASE", "ALTER DATABASE")
    wrong = [
        (sql, description)
        for sql, description, _ in SEEN
        if whose(job(description), statement(sql), NEXT_DOOR) is Whose.OURS
        and not sql.startswith(of_every_database)
    ]
    assert wrong == []


def test_what_a_qualified_description_says_of_another_database_is_surely_somebody_elses() -> None:
    wrong = [
        (sql, description)
        for sql, description, verdict in SEEN
        if verdict is Whose.OURS
        and "DATABASE" not in sql
        and ";" not in description
        and whose(job(description), statement(sql), NEXT_DOOR) is not Whose.OTHERS
    ]
    assert wrong == []


#: Statements that are one and the same to the server.
_ONE = (
    {"CREATE INDEX n ON t (v)", "CREATE INDEX CONCURRENTLY n ON t (v)"},
    {"CREATE INVERTED INDEX n ON t (j)", "CREATE INDEX n ON t USING gin (j)"},
    {"ALTER TABLE t DROP COLUMN s", "ALTER TABLE t DROP s"},
)  # fmt: skip


def test_no_statement_takes_the_job_of_another_on_the_same_objects() -> None:
    statements = sorted({sql for sql, _, _ in SEEN})
    wrong = [
        (mine, description)
        for mine in statements
        for theirs, description, verdict in SEEN
        if verdict is Whose.OURS
        and theirs != mine
        and not any({mine, theirs} <= same for same in _ONE)
        and not ("INDEX" in mine and "@" in mine and theirs == mine.replace("t@", ""))
        and whose(job(description), statement(mine), HERE) is Whose.OURS
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("sql", "description", "is_on_it"),
    [
        ('CREATE MATERIALIZED VIEW "V n" AS SELECT id FROM t',
         'CREATE VIEW "\\"V n\\"" AS "SELECT id FROM d.public.t"', True),
        ("CREATE MATERIALIZED VIEW n AS SELECT id FROM t",
         'CREATE VIEW "n" AS "SELECT t.id FROM d.public.t JOIN d.public.u ON true"', True),
        ("CREATE MATERIALIZED VIEW sn.n AS SELECT id FROM t",
         'CREATE VIEW "sn.n" AS "SELECT id FROM d.public.t"', True),
        ("CREATE MATERIALIZED VIEW sn.n AS SELECT id FROM t",
         'CREATE VIEW "s2.n" AS "SELECT id FROM d.public.t"', False),
        ("CREATE MATERIALIZED VIEW n AS SELECT id FROM t",
         'CREATE VIEW "n" AS "SELECT id FROM d2.public.t"', False),
        ("CREATE MATERIALIZED VIEW n AS SELECT id FROM t",
         'CREATE VIEW "m" AS "SELECT id FROM d.public.t"', False),
        ("ALTER TYPE n ADD VALUE 'ü'", "ALTER TYPE d.public.n ADD VALUE e'\\u00FC'", True),
        ("ALTER TYPE n ADD VALUE 'u'", "ALTER TYPE d.public.n ADD VALUE e'\\u00FC'", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", ["running", "paused"])
def test_an_unfinished_change_of_the_very_object_is_found_by_what_the_server_prints_of_it(
    sql: str, description: str, is_on_it: bool, status: str
) -> None:
    other = job(description, status)
    assert unfinished_on([other], statement(sql), HERE) == ((other,) if is_on_it else ())


@pytest.mark.parametrize(
    ("sql", "description"),
    [
        # The same table, another column, constraint, value, order, condition or kind.
        ("ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE d.public.t ADD COLUMN b INT8"),
        ("ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE d.public.t DROP COLUMN a"),
        ("ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE d.public.t ADD COLUMN a INT8, ADD COLUMN b INT8"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
         "ALTER TABLE d.public.t ADD CONSTRAINT x CHECK (a > 0)"),
        ("CREATE INDEX i ON t (v)", "CREATE INDEX j ON d.public.t (v)"),
        ("CREATE INDEX ON t (v)", "CREATE INDEX by_hand ON d.public.t (v)"),
        ("CREATE INDEX i ON t (v)", "CREATE INDEX i ON d.public.u (v)"),
        ("CREATE INDEX i ON s.t (v)", "CREATE INDEX i ON d.public.t (v)"),
        ("CREATE INDEX i ON d2.public.t (v)", "CREATE INDEX i ON d.public.t (v)"),
        ("ALTER TABLE t ADD CHECK (v > 0)", "CREATE INDEX by_hand ON d.public.t (v)"),
        ("DROP TABLE IF EXISTS lo", "TRUNCATE TABLE d.public.lo"),
        ("TRUNCATE lo", "DROP TABLE d.public.lo"),
        ("DROP TABLE t", "DROP TABLE d.public.t, d.public.u"),
        ("DROP VIEW n", "DROP TABLE d.public.n"),
        ("DROP INDEX i", "DROP INDEX d2.public.t@i"),
        ("DROP INDEX i", "DROP INDEX d.public.t@j"),
        ("ALTER TABLE t ALTER PRIMARY KEY USING COLUMNS (v)", "ALTER TABLE d.public.t ADD CHECK (v > 0)"),
        ("ALTER TYPE e ADD VALUE 'b'", "ALTER TYPE d.public.e ADD VALUE 'c'"),
        ('CREATE INDEX "I" ON t (v)', "CREATE INDEX i ON d.public.t (v)"),
    ],
)  # fmt: skip
def test_another_verb_or_name_is_surely_somebody_elses(sql: str, description: str) -> None:
    assert whose(job(description), statement(sql), HERE) is Whose.OTHERS


@pytest.mark.parametrize(
    ("sql", "description"),
    [
        ("CREATE INDEX i ON t (v)", "CREATE INDEX i ON d.public.t (v, w)"),
        ("CREATE INDEX i ON t (v)", "CREATE UNIQUE INDEX i ON d.public.t (v)"),
        ("CREATE INDEX i ON t (v)", "CREATE INDEX i ON d.public.t (v DESC)"),
        ("CREATE INDEX i ON t (v)", "CREATE INDEX IF NOT EXISTS i ON d.public.t (v)"),
        ("CREATE INDEX i ON t (v) WHERE v > 1", "CREATE INDEX i ON d.public.t (v) WHERE v > 2"),
        ("ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE d.public.t ADD COLUMN a INT4"),
        ("ALTER TABLE t ADD COLUMN a TEXT DEFAULT 'a b'",
         "ALTER TABLE d.public.t ADD COLUMN a STRING DEFAULT 'a  b'"),
        ("ALTER TABLE t ADD CHECK (v > 0)", "ALTER TABLE d.public.t ADD CHECK (v > 1)"),
        ("ALTER TABLE t ADD CHECK (v > 0), ADD CHECK (w > 0)", "ALTER TABLE d.public.t ADD CHECK (v > 0)"),
        # What the parentheses change.
        ("ALTER TABLE t ADD CHECK (a + b * c > 0)", "ALTER TABLE d.public.t ADD CHECK (((a + b) * c) > 0)"),
        ("ALTER TABLE t ADD CHECK ((a + b) * c > 0)",
         "ALTER TABLE d.public.t ADD CHECK ((a + (b * c)) > 0)"),
        ("ALTER TABLE t ADD CHECK (a - b - c > 0)", "ALTER TABLE d.public.t ADD CHECK ((a - (b - c)) > 0)"),
        ("ALTER TABLE t ADD CHECK (a OR b AND c)", "ALTER TABLE d.public.t ADD CHECK ((a OR b) AND c)"),
        ("ALTER TABLE t ADD CHECK (NOT a AND b)", "ALTER TABLE d.public.t ADD CHECK (NOT (a AND b))"),
        # No word of the database.
        ("ALTER TABLE t RENAME TO u", "ALTER TABLE t RENAME TO u"),
        ("ALTER TABLE public.t RENAME TO u", "ALTER TABLE t RENAME TO u"),
        ("DROP SCHEMA n CASCADE", 'DROP SCHEMA "".n CASCADE'),
        # No word of the table, or of the schema where another comes first.
        ("DROP INDEX i", "DROP INDEX d.public.t@i"),
        ("TRUNCATE t", "TRUNCATE TABLE d.archive.t"),
        # CockroachDB reads a.t as a.public.t where there is no schema a.
        ("TRUNCATE d.t", "TRUNCATE TABLE d.public.t"),
    ],
)  # fmt: skip
def test_what_differs_in_more_than_form_proves_nothing(sql: str, description: str) -> None:
    assert whose(job(description), statement(sql), HERE) is Whose.UNCLEAR


@pytest.mark.parametrize(
    ("sql", "description"),
    [
        ("-- why\nTRUNCATE /* all */ t", "TRUNCATE TABLE d.public.t"),
        ('truncate "t"', "TRUNCATE TABLE d.public.t"),
        ("TRUNCATE D.Public.T", "TRUNCATE TABLE d.public.t"),
        ("TRUNCATE ONLY t", "TRUNCATE TABLE d.public.t"),
        ("CREATE INDEX i ON ONLY public.t USING btree (v ASC, w)", "CREATE INDEX i ON d.public.t (v, w)"),
        ("CREATE INDEX i ON t (v) INCLUDE (w)", "CREATE INDEX i ON d.public.t (v) STORING (w)"),
        ("CREATE UNIQUE INDEX i ON t (a) WHERE (((a)) > $$it's$$)",
         "CREATE UNIQUE INDEX i ON d.public.t (a) WHERE (((a)) > e'it\\'s')"),
        ("ALTER TABLE t ADD a TEXT NOT NULL DEFAULT 'x'::text",
         "ALTER TABLE d.public.t ADD COLUMN a STRING NOT NULL DEFAULT 'x'"),
        ("ALTER TABLE t ADD a INT CONSTRAINT c CHECK (a > 0)",
         "ALTER TABLE d.public.t ADD COLUMN a INT8, ADD CONSTRAINT c CHECK (a > 0)"),
        ("ALTER TABLE t ADD COLUMN a INT, DROP b",
         "ALTER TABLE d.public.t DROP COLUMN b, ADD COLUMN a INT8"),
        ("ALTER TABLE t ALTER a TYPE bigint", "ALTER TABLE d.public.t ALTER COLUMN a SET DATA TYPE INT8"),
        ("ALTER TABLE t ADD CHECK (a >= -1 AND (b) <> 'ü')",
         "ALTER TABLE d.public.t ADD CHECK ((a >= -1) AND ((b) != e'\\u00FC'))"),
        ("ALTER TABLE t ADD CHECK (a + b * c > 0 OR d AND NOT e)",
         "ALTER TABLE d.public.t ADD CHECK (((a + (b * c)) > 0) OR (d AND (NOT e)))"),
        ("CREATE INDEX a ON t (v)", "CREATE INDEX b ON d.public.t (v); CREATE INDEX a ON d.public.t (v)"),
        ("ALTER TABLE t ADD COLUMN a TIMESTAMP WITH TIME ZONE DEFAULT current_timestamp",
         "ALTER TABLE d.public.t ADD COLUMN a TIMESTAMPTZ DEFAULT current_timestamp()"),
    ],
)  # fmt: skip
def test_the_same_statement_written_otherwise_is_ours(sql: str, description: str) -> None:
    assert whose(job(description), statement(sql), HERE) is Whose.OURS


def test_what_makes_no_job_takes_no_evidence_from_jobs() -> None:
    for sql in ("CREATE TABLE x9 (a INT)", "CREATE TYPE x9 AS ENUM ()", "CREATE SEQUENCE x9"):
        for text in ("DROP TABLE d.public.x9", "CREATE TABLE d.public.x9 (a INT8)", "x9"):
            assert whose(job(text), statement(sql), HERE) is Whose.OTHERS


# -- the search_path --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schemas", "printed", "verdict"),
    [
        (("tenant", "public"), "tenant", Whose.OURS),
        (("tenant", "public"), "public", Whose.UNCLEAR),
        (("tenant",), "public", Whose.UNCLEAR),
        ((), "public", Whose.UNCLEAR),
    ],
)
def test_a_bare_name_is_looked_for_along_the_search_path(
    schemas: tuple[str, ...], printed: str, verdict: Whose
) -> None:
    context = NameContext("d", schemas, "root")
    found = job(f"TRUNCATE TABLE d.{printed}.t")
    assert whose(found, statement("TRUNCATE t"), context) is verdict
    assert whose(found, statement(f"TRUNCATE {printed}.t"), context) is Whose.OURS


# -- user and moment --------------------------------------------------------------------------------

TRUNCATE = statement("TRUNCATE t")
TRUNCATED = "TRUNCATE TABLE d.public.t"


@pytest.mark.parametrize(
    ("found", "own", "unclear"),
    [
        (job(TRUNCATED, created=10.0), 1, 0),
        (job(TRUNCATED, created=9.99), 0, 0),
        (job(TRUNCATED, created=9.0, is_dated=False), 0, 1),
        (job(TRUNCATED, created=8.9, is_dated=False), 0, 0),
        (job(TRUNCATED, user="somebody"), 0, 0),
        (job(TRUNCATED, user=""), 1, 0),
        (job("TRUNCATE TABLE d2.public.t"), 0, 0),
        (job("TRUNCATE TABLE d.archive.t"), 0, 1),
    ],
)
def test_a_job_counts_by_its_user_and_its_moment(found: Job, own: int, unclear: int) -> None:
    jobs = match_jobs([found], (TRUNCATE,), HERE, since=10.0)
    assert jobs == Matches((found,) * own, (found,) * unclear)


def test_a_person_may_look_at_anybodys_jobs() -> None:
    found = job(TRUNCATED, user="deploy")
    context = NameContext("d", ("public",), ANYBODY)
    assert match_jobs([found], (TRUNCATE,), context, since=1.0).own == (found,)


def test_two_statements_of_a_script_on_one_table_have_their_own_jobs() -> None:
    first = job("ALTER TABLE d.public.t ADD COLUMN a INT8", job_id=1, created=10.0)
    second = job("ALTER TABLE d.public.t ADD COLUMN b INT8", job_id=2, created=20.0)
    again = job("ALTER TABLE d.public.t ADD COLUMN a INT8", job_id=3, created=30.0)
    found = (first, second, again)

    def own(sql: str, since: float) -> tuple[Job, ...]:
        return match_jobs(found, (statement(sql),), HERE, since=since).own

    assert own("ALTER TABLE t ADD COLUMN a INT", 5.0) == (first, again)
    assert own("ALTER TABLE t ADD COLUMN b INT", 5.0) == (second,)
    assert own("ALTER TABLE t ADD COLUMN a INT", 20.0) == (again,)


def test_a_transactions_jobs_are_those_of_any_of_its_statements() -> None:
    statements = [statement("CREATE INDEX i ON t (a)"), statement("TRUNCATE u")]
    ours = job("CREATE INDEX i ON d.public.t (a)"), job("TRUNCATE TABLE d.public.u", job_id=2)
    theirs = job("TRUNCATE TABLE d2.public.u", job_id=3), job("TRUNCATE TABLE d.public.w", job_id=4)
    assert match_jobs([*ours, *theirs], statements, HERE, since=0.0) == Matches(ours)


# -- descriptions that are cut ----------------------------------------------------------------------

LONG = "CREATE UNIQUE INDEX a_name_of_some_length ON t (first_column, second_column, third_column)"
LONG_PRINTED = LONG.replace(" t ", " {}.public.t ")


def cut_to_100(text: str) -> str:
    return text.ljust(100, ")")[:100]


def cut_to_69(text: str) -> str:
    return f"{text[:59]} … {text[-7:]}"


@pytest.mark.parametrize("cut", [cut_to_100, cut_to_69])
def test_a_cut_description_is_never_proof_that_a_job_is_ours(cut: object) -> None:
    assert callable(cut)
    found = job(cut(LONG_PRINTED.format("d")), is_cut=True)
    assert whose(found, statement(LONG), HERE) is Whose.UNCLEAR


@pytest.mark.parametrize(
    ("sql", "description"),
    [
        (LONG, cut_to_100(LONG_PRINTED.format("d2"))),
        (LONG, cut_to_69(LONG_PRINTED.format("d2"))),
        (LONG, cut_to_100(LONG_PRINTED.format("d").replace("CREATE UNIQUE", "DROP"))),
        ("ALTER TABLE t ADD COLUMN a INT",
         cut_to_69("ALTER TABLE d.public.other_table ADD COLUMN " + "a" * 60)),
        ("DROP TABLE t", cut_to_69("DROP TABLE d.public.a, d.public.b, " + "d.public.c, " * 10)),
    ],
)  # fmt: skip
def test_what_is_left_of_a_cut_description_can_show_that_a_job_is_another_s(
    sql: str, description: str
) -> None:
    assert whose(job(description, is_cut=True), statement(sql), HERE) is Whose.OTHERS


# -- names of every kind ----------------------------------------------------------------------------

names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=12) | (
    st.sampled_from(
        ["select", "t", "My Table", 'a"b', "a.b", "a@b", "ü", "ADD", "--", "'", ";", "…"]
    )
)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@given(names, names, names, names, names)
def test_whatever_names_are_called_a_job_is_ours_only_where_all_are_the_same(
    database: str, schema: str, table: str, index: str, column: str
) -> None:
    context = NameContext(database, (schema,), "root")
    sql = f"CREATE INDEX {quoted(index)} ON {quoted(table)} ({quoted(column)})"
    place = f"{quoted(database)}.{quoted(schema)}"
    printed = sql.replace(" ON ", f" ON {place}.", 1) if " ON " not in quoted(index) else None
    printed = (
        printed or f"CREATE INDEX {quoted(index)} ON {place}.{quoted(table)} ({quoted(column)})"
    )
    assert whose(job(printed), statement(sql), context) is Whose.OURS
    for other in (
        NameContext(database + "x", (schema,), "root"),
        NameContext(database, (schema + "x",), "root"),
    ):
        assert whose(job(printed), statement(sql), other) is not Whose.OURS
    for text in (
        f"CREATE INDEX {quoted(index + 'x')} ON {quoted(table)} ({quoted(column)})",
        f"CREATE INDEX {quoted(index)} ON {quoted(table + 'x')} ({quoted(column)})",
    ):
        assert whose(job(printed), statement(text), context) is Whose.OTHERS
    longer = f"CREATE INDEX {quoted(index)} ON {quoted(table)} ({quoted(column + 'x')})"
    assert whose(job(printed), statement(longer), context) is Whose.UNCLEAR


@given(st.text(max_size=60), st.text("CREATDROPLIX \"'.@();,tbi", max_size=60), st.booleans())
def test_no_text_breaks_it(sql: str, description: str, is_cut: bool) -> None:
    found = job(description, is_cut=is_cut)
    for text in (sql, "DROP TABLE t", "ALTER TABLE t ADD COLUMN a INT, DROP b"):
        whose(found, statement(text), HERE)
        unfinished_on([found], statement(text), HERE)


# -- anybody's unfinished jobs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "description"),
    [
        ("CREATE INDEX IF NOT EXISTS i ON t (v)", "CREATE INDEX i ON d.public.t (w)"),
        ("CREATE INDEX IF NOT EXISTS i ON t (v)", "DROP INDEX d.public.t@i"),
        ("CREATE UNIQUE INDEX IF NOT EXISTS i ON t (v)",
         "ALTER TABLE d.public.t ADD CONSTRAINT i UNIQUE (v)"),
        ("DROP INDEX IF EXISTS i", "DROP INDEX d.public.t@i"),
        ("DROP INDEX IF EXISTS t@i", "CREATE INDEX i ON d.public.t (w)"),
        ("DROP TABLE IF EXISTS t", "DROP TABLE d.public.u, d.public.t"),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT", "ALTER TABLE d.public.t ADD COLUMN a STRING"),
        ("ALTER TABLE t DROP COLUMN IF EXISTS a, ADD CHECK (v > 0)",
         "ALTER TABLE d.public.t DROP COLUMN a"),
        ("ALTER TYPE e ADD VALUE IF NOT EXISTS 'b'", "ALTER TYPE d.public.e ADD VALUE 'b'"),
    ],
)  # fmt: skip
def test_a_change_of_the_very_object_is_waited_for(sql: str, description: str) -> None:
    running = job(description, "running", user="somebody")
    for conditional_only in (True, False):
        found = unfinished_on([running], statement(sql), HERE, conditional_only=conditional_only)
        assert found == (running,)
    assert unfinished_on([job(description)], statement(sql), HERE) == ()
    assert unfinished_on([running], statement(sql), NEXT_DOOR) == ()


@pytest.mark.parametrize(
    "description",
    [
        "ALTER TABLE d.public.t ADD COLUMN id INT8",
        "ALTER TABLE d.public.t ADD CHECK (v > 0)",
        "ALTER TABLE d.public.t ADD UNIQUE (v)",
        "CREATE INDEX old ON d.public.t (v)",
        "ALTER TABLE d.public.u DROP COLUMN old",
        "ALTER TABLE d2.public.t DROP COLUMN old",
        "ALTER TABLE t DROP COLUMN old",
        "TRUNCATE TABLE d.public.t",
        'updating view reference "old" in table t(107)',
    ],
)
def test_other_changes_of_the_same_table_are_not_waited_for(description: str) -> None:
    sql = "ALTER TABLE t DROP COLUMN IF EXISTS old, ADD CHECK (v > 0), ADD UNIQUE (v)"
    running = job(description, "paused")
    assert unfinished_on([running], statement(sql), HERE, conditional_only=True) == ()


def test_only_what_follows_if_exists_may_have_been_cut_short() -> None:
    sql = statement("ALTER TABLE t DROP COLUMN IF EXISTS old, ADD CONSTRAINT c CHECK (v > 0)")
    running = job("ALTER TABLE d.public.t ADD CONSTRAINT c CHECK (w > 0)", "running")
    assert unfinished_on([running], sql, HERE, conditional_only=True) == ()
    assert unfinished_on([running], sql, HERE) == (running,)


@pytest.mark.parametrize(
    ("sql", "description", "against"),
    [
        ("CREATE INDEX IF NOT EXISTS i ON t (v)", "DROP INDEX d.public.t@i", True),
        ("CREATE INDEX IF NOT EXISTS i ON t (v)", "CREATE INDEX i ON d.public.t (v)", False),
        ("DROP INDEX IF EXISTS t@i", "CREATE INDEX i ON d.public.t (v)", True),
        ("DROP INDEX IF EXISTS t@i", "DROP INDEX d.public.t@i", False),
    ],
)
def test_a_change_of_the_object_may_go_against_the_statement(
    sql: str, description: str, against: bool
) -> None:
    assert undoes(job(description), statement(sql), HERE) is against
