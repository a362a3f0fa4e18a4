"""What rules claim of CockroachDB: what it refuses, what it leaves behind, as a real server does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb.lint import RULES, Target
from manticore_cockroachdb.lint.rule import NEXT
from manticore_cockroachdb.types import ServerKind
from tests.lint.scripts import findings_of, judge

pytestmark = pytest.mark.needs_cockroachdb

Connection = psycopg.Connection[Any]
ROWS = "INSERT INTO rides (id, city, price) VALUES (1, 'Rome', 2), (2, 'Oslo', 2)"
RIDES = (
    "CREATE TABLE rides (id INT8 PRIMARY KEY, city STRING NOT NULL, price DECIMAL, seats INT8);"
    + ROWS
)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as opened:
        yield opened


def run(connection: Connection, sql: str) -> None:
    for raw in split_script(sql.replace(NEXT, "")):
        connection.execute(raw.text)


def target(connection: Connection) -> str:
    version = connection.info.parameter_status("crdb_version") or ""
    return str(Target.of(ServerKind.COCKROACHDB, version.split()[2]))


#: What CockroachDB refuses, with the SQLSTATEs it gives.
REFUSED = {
    "alter-type-refused": {"0A000"},
    "add-sequence-column": {"0A000"},
    "drop-and-add-column": {"55000", "42701"},
    "drop-unique-constraint": {"0A000"},
    "drop-unique-index": {"2BP01"},
    "not-on-cockroachdb": {"0A000", "42601"},
}


@pytest.mark.parametrize("rule", REFUSED)
def test_cockroachdb_refuses_the_reported_form_and_takes_the_safer_one(
    connection: Connection, rule: str
) -> None:
    example, server = RULES[rule].example, target(connection)
    if not RULES[rule].applies(Target.parse(server)):
        pytest.skip(f"{rule} is not for {server}")
    run(connection, example.given)
    if "city" in example.given:
        run(connection, "INSERT INTO rides (id, city) VALUES (1, '7')")

    with pytest.raises(psycopg.Error) as refused:
        run(connection, example.bad)

    assert refused.value.sqlstate in REFUSED[rule]
    (finding, *_) = findings_of(example, rule, server)
    run(connection, example.fixed or finding.safer or "")


def test_a_required_column_is_refused_where_there_are_rows(connection: Connection) -> None:
    run(connection, RIDES)

    with pytest.raises(psycopg.errors.NotNullViolation):
        run(connection, "ALTER TABLE rides ADD COLUMN note STRING NOT NULL")


@pytest.mark.parametrize(
    "sql",
    ["ALTER TABLE rides RENAME TO trips", "ALTER TABLE rides RENAME COLUMN city TO town"],
)
def test_a_rename_is_refused_under_a_view_as_the_finding_says(
    connection: Connection, sql: str
) -> None:
    given = f"{RIDES}; CREATE VIEW v AS SELECT id, city FROM rides"
    run(connection, given)

    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        run(connection, sql)

    messages = [one.message for one in judge(sql, given=given, server="cockroachdb").findings]
    assert any("CockroachDB refuses it while v " in message for message in messages)


def indexes(connection: Connection) -> set[str]:
    rows = connection.execute("SELECT DISTINCT index_name FROM [SHOW INDEXES FROM rides]")
    return {name for (name,) in rows}


def test_a_changed_primary_key_leaves_the_old_one_and_the_safer_form_does_not(
    connection: Connection,
) -> None:
    run(connection, RIDES)
    before = indexes(connection)
    run(connection, "ALTER TABLE rides ALTER PRIMARY KEY USING COLUMNS (city, id)")
    assert indexes(connection) - before == {"rides_id_key"}

    run(connection, f"DROP TABLE rides; {RIDES}")
    (key,) = indexes(connection)
    sql = f'ALTER TABLE rides DROP CONSTRAINT "{key}", ADD CONSTRAINT p PRIMARY KEY (city, id)'
    run(connection, sql)
    assert indexes(connection) == {"p"}


def test_a_dropped_column_takes_indexes_that_only_store_it(connection: Connection) -> None:
    given = f"{RIDES}; CREATE INDEX by_price ON rides (price) STORING (seats)"
    run(connection, given)

    run(connection, "ALTER TABLE rides DROP COLUMN seats")

    assert "by_price" not in indexes(connection)
    found = judge("ALTER TABLE rides DROP COLUMN seats", given=given, server="cockroachdb").findings
    assert [one.message for one in found if one.rule == "drop-column-indexes"] == [
        "DROP COLUMN seats also drops: by_price."
    ]


def test_a_column_dropped_beside_a_change_that_fails_comes_back_empty(
    connection: Connection,
) -> None:
    run(connection, RIDES)
    run(connection, "UPDATE rides SET seats = 4 WHERE true")

    with pytest.raises(psycopg.Error):
        run(
            connection,
            "ALTER TABLE rides DROP COLUMN seats, ADD CONSTRAINT one_price UNIQUE (price)",
        )

    rows = connection.execute("SELECT seats FROM rides").fetchall()
    if Target.parse(target(connection)).version < (22, 2):
        assert rows == [(None,), (None,)]
    else:
        assert rows in ([(None,), (None,)], [(4,), (4,)])  # newer servers may restore it


def test_a_table_without_a_key_has_a_hidden_column(connection: Connection) -> None:
    run(connection, "CREATE TABLE rides (city STRING)")

    rows = connection.execute("SELECT column_name FROM [SHOW COLUMNS FROM rides] WHERE is_hidden")
    assert rows.fetchall() == [("rowid",)]


def test_an_unnamed_index_and_an_unnamed_check_are_made_twice(connection: Connection) -> None:
    run(connection, RIDES)
    for _ in range(2):
        run(connection, "CREATE INDEX ON rides (price); ALTER TABLE rides ADD CHECK (price > 0)")

    assert {"rides_price_idx", "rides_price_idx1"} <= indexes(connection)
    rows = connection.execute(
        "SELECT 1 FROM [SHOW CONSTRAINTS FROM rides] WHERE constraint_type = 'CHECK'"
    )
    assert len(rows.fetchall()) == 2


def test_a_unique_index_over_duplicates_fails_only_in_its_job(connection: Connection) -> None:
    run(connection, RIDES)

    with pytest.raises(psycopg.errors.UniqueViolation):
        run(connection, "CREATE UNIQUE INDEX one_price ON rides (price)")

    rows = connection.execute(
        "SELECT status FROM [SHOW JOBS] WHERE description = %s",
        (f"CREATE UNIQUE INDEX one_price ON {connection.info.dbname}.public.rides (price)",),
    )
    assert rows.fetchall() == [("failed",)]


def test_a_narrower_string_is_not_checked_by_the_versions_the_rule_names(
    connection: Connection,
) -> None:
    rule = RULES["narrow-column"]
    if not rule.applies(Target.parse(target(connection))):
        pytest.skip("this version checks it")
    run(connection, f"{rule.example.given}; INSERT INTO rides VALUES (1, repeat('x', 200))")

    run(connection, rule.example.bad)

    assert connection.execute("SELECT length(note) FROM rides").fetchone() == (200,)


@pytest.mark.parametrize(
    ("old", "new"),
    [("INT4", "INT8"), ("VARCHAR(5)", "VARCHAR(9)"), ("VARCHAR(5)", "STRING"),
     ("DECIMAL(10,2)", "DECIMAL(12,2)")],
)  # fmt: skip
def test_a_change_that_keeps_the_stored_form_is_taken_even_under_an_index(
    connection: Connection, old: str, new: str
) -> None:
    given = f"CREATE TABLE rides (id INT8 PRIMARY KEY, a {old}); CREATE INDEX by_a ON rides (a)"
    sql = f"ALTER TABLE rides ALTER COLUMN a TYPE {new}"
    run(connection, given)

    run(connection, sql)

    found = judge(sql, given=given, server=target(connection)).findings
    assert "alter-type-refused" not in {one.rule for one in found}


def test_an_atomic_script_may_commit_without_its_schema_change(connection: Connection) -> None:
    run(connection, f"{RIDES}; CREATE TABLE done (v INT8 PRIMARY KEY)")

    with pytest.raises(psycopg.Error) as failed:
        run(
            connection,
            "BEGIN; CREATE UNIQUE INDEX one_price ON rides (price); INSERT INTO done VALUES (1); COMMIT",
        )

    if failed.value.sqlstate == "XXA00":
        assert connection.execute("SELECT v FROM done").fetchall() == [(1,)]
    assert "one_price" not in indexes(connection)
