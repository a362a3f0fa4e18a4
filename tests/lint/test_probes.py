"""Questions to the data, asked of the server of this run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from manticore_cockroachdb import AsyncDatabase, Database
from manticore_cockroachdb.errors import ConnectionFailed
from manticore_cockroachdb.lint import Severity, Target, lint
from manticore_cockroachdb.lint.async_probing import ask_data as async_ask_data
from manticore_cockroachdb.lint.probes import Answer, probes, weighed
from manticore_cockroachdb.lint.probing import ask_data
from manticore_cockroachdb.types import ServerKind
from tests.lint.scripts import script

GIVEN = """
CREATE TABLE drivers (id INT8 PRIMARY KEY);
CREATE TABLE rides (id INT8, town TEXT, driver_id INT8, city TEXT, price INT8, PRIMARY KEY (id, town));
"""
ROWS = """
INSERT INTO drivers VALUES (1);
INSERT INTO rides VALUES (1, 'a', 1, 'Rome', 5), (2, 'b', 1, 'Rome', -5), (3, 'c', 9, NULL, 500)
"""

BOTH = "id = 1, town = a and id = 2, town = b"

# A statement, what is found with these rows, and what without any.
CASES: list[tuple[str, list[str], list[str]]] = [
    (
        "CREATE UNIQUE INDEX i ON rides (city)",
        [f"A row of rides has the same city as another, such as {BOTH}."],
        ["No row of rides has the same city as another."],
    ),
    (
        "CREATE UNIQUE INDEX i ON rides (city) WHERE price > 0",
        ["No row of rides has the same city as another."],
        ["No row of rides has the same city as another."],
    ),
    (
        "CREATE UNIQUE INDEX i ON rides (city, (lower(town)) DESC)",
        ["No row of rides has the same city, (lower(town)) as another."],
        ["No row of rides has the same city, (lower(town)) as another."],
    ),
    (
        "ALTER TABLE rides ADD CONSTRAINT u UNIQUE (driver_id, city)",
        [f"A row of rides has the same driver_id, city as another, such as {BOTH}."],
        ["No row of rides has the same driver_id, city as another."],
    ),
    (
        "ALTER TABLE rides ALTER COLUMN city SET NOT NULL",
        ["A row of rides has no city, such as id = 3, town = c."],
        ["No row of rides has no city."],
    ),
    (
        "ALTER TABLE rides ADD COLUMN note TEXT NOT NULL",
        ["A row of rides would have no note, such as id = 1, town = a and id = 2, town = b."],
        ["No row of rides would have no note."],
    ),
    (
        "ALTER TABLE rides ADD CONSTRAINT c CHECK (price > 0)",
        ["A row of rides does not obey CHECK (price > 0), such as id = 2, town = b."],
        ["No row of rides does not obey CHECK (price > 0)."],
    ),
    (
        "ALTER TABLE rides ADD CONSTRAINT f FOREIGN KEY (driver_id) REFERENCES drivers",
        [
            "A row of rides refers by driver_id to a row that is not in drivers, such as id = 3, town = c."
        ],
        ["No row of rides refers by driver_id to a row that is not in drivers."],
    ),
    (
        "UPDATE rides SET price = 1 WHERE price > 0",
        ["Updates 2 rows of rides."],
        ["Updates 0 rows of rides."],
    ),
    ("DELETE FROM drivers", ["Deletes 1 row of drivers."], ["Deletes 0 rows of drivers."]),
    ("DROP TABLE drivers", ["Deletes 1 row of drivers."], ["Deletes 0 rows of drivers."]),
    (
        "ALTER TABLE rides DROP COLUMN city",
        ["Deletes city of 2 rows of rides."],
        ["Deletes city of 0 rows of rides."],
    ),
    (
        "UPDATE public.\"rides\" SET city = 'SET' WHERE price > 0",
        ["Updates 2 rows of rides."],
        ["Updates 0 rows of rides."],
    ),
    ("ALTER TABLE rides ADD COLUMN note TEXT", [], []),
]


def asked(database_url: str, up: str, rows: str = ROWS) -> list[Answer]:
    scripts = [script(1, GIVEN), script(2, up)]
    with Database.from_url(database_url) as db:
        for statement in f"{GIVEN};{rows}".split(";"):
            if statement.strip():
                db.execute(statement)
        server = db.server
        assert server is not None
        questions = probes(scripts, {2}, Target.of(server.kind, server.version))
        return list(ask_data(db, questions))


@pytest.mark.parametrize(("up", "found", "_"), CASES, ids=[case[0] for case in CASES])
def test_rows_that_are_in_the_way_are_found(
    database_url: str, up: str, found: list[str], _: list[str]
) -> None:
    assert list(map(str, asked(database_url, up))) == found


@pytest.mark.parametrize(("up", "_", "found"), CASES, ids=[case[0] for case in CASES])
def test_an_empty_table_has_nothing_in_the_way(
    database_url: str, up: str, _: list[str], found: list[str]
) -> None:
    answers = asked(database_url, up, rows="")

    assert list(map(str, answers)) == found
    assert not any(one.in_the_way for one in answers)


def test_rows_without_a_value_do_not_hide_rows_that_are_equal(database_url: str) -> None:
    rows = """
    INSERT INTO rides VALUES (1, 'a', 1, NULL, 1), (2, 'b', 1, NULL, 1), (3, 'c', 1, NULL, 1),
    (4, 'd', 1, 'Rome', 1), (5, 'e', 1, 'ROME', 1)
    """

    (answer,) = asked(database_url, "CREATE UNIQUE INDEX i ON rides (lower(city))", rows)

    assert sorted(row["k0"] for row in answer.rows) == [4, 5]


@pytest.mark.needs_postgresql("CockroachDB has no NULLS NOT DISTINCT")
@pytest.mark.parametrize(
    "up",
    [
        "CREATE UNIQUE INDEX i ON rides (city, price) NULLS NOT DISTINCT WHERE id > 0",
        "ALTER TABLE rides ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (city, price)",
    ],
)
def test_nulls_that_are_not_distinct_are_found(database_url: str, up: str) -> None:
    rows = (
        "INSERT INTO rides VALUES (1, 'a', 1, NULL, 7), (2, 'b', 1, NULL, 7), (3, 'c', 1, NULL, 8)"
    )

    (answer,) = asked(database_url, up, rows)

    assert sorted(row["k0"] for row in answer.rows) == [1, 2]


def test_a_new_primary_key_is_asked_for_missing_values(database_url: str) -> None:
    rows = "INSERT INTO rides VALUES (1, 'a', 1, NULL, 7)"

    answers = asked(database_url, "ALTER TABLE rides ADD PRIMARY KEY (id, city)", rows)

    assert list(map(str, answers)) == [
        "No row of rides has the same id, city as another.",
        "A row of rides has no city, such as id = 1, town = a.",
    ]


def test_an_error_about_a_value_does_not_show_the_value(database_url: str) -> None:
    up = "ALTER TABLE rides ADD CONSTRAINT c CHECK (city::INT8 > 0)"

    (answer,) = asked(database_url, up, "INSERT INTO rides VALUES (1, 'a', 1, 'secret', 7)")

    assert str(answer).startswith(
        "The data of rides could not be read: the server cannot compute it for a row that is there "
        "(SQLSTATE 22"
    )


def test_names_lead_where_the_script_says_they_do() -> None:
    up = "SET search_path = trips, public; ALTER TABLE rides ALTER city SET NOT NULL"
    given = f"CREATE SCHEMA trips; {GIVEN.replace('TABLE rides', 'TABLE trips.rides')}"

    (question,) = probes([script(1, given), script(2, up)], {2}, Target.parse("postgresql"))

    assert question.query == (
        "SELECT id AS k0, town AS k1 FROM trips.rides WHERE city IS NULL LIMIT 2"
    )


@pytest.mark.needs_cockroachdb("only CockroachDB has the rule")
def test_the_size_of_a_table_comes_from_its_statistics(database_url: str) -> None:
    up = "CREATE INDEX i ON rides (city)"
    (before,) = asked(database_url, up)
    with Database.from_url(database_url) as db:
        db.execute("CREATE STATISTICS s FROM rides")
        questions = [before.probe]
        (after,) = ask_data(db, questions)

    assert str(before) == "The server has no statistics of rides yet."
    assert str(after).startswith("By the server's statistics, rides has 3 rows")
    assert not after.refutes


# What the scripts themselves change is not asked of today's data.
NOT_ASKED = [
    "UPDATE rides SET city = 'x' WHERE city IS NULL; ALTER TABLE rides ALTER city SET NOT NULL",
    "CREATE TABLE t (a INT8); CREATE UNIQUE INDEX i ON t (a)",
    "ALTER TABLE rides ADD note TEXT; ALTER TABLE rides ALTER note SET NOT NULL",
    "ALTER TABLE rides RENAME city TO c; CREATE UNIQUE INDEX i ON rides (c)",
    "ALTER TABLE rides RENAME TO trips; CREATE UNIQUE INDEX i ON trips (city)",
    "TRUNCATE drivers; ALTER TABLE rides ADD FOREIGN KEY (driver_id) REFERENCES drivers (id)",
    "ALTER TABLE rides ADD CONSTRAINT c CHECK (price > 0) NOT VALID",
    "UPDATE rides r SET price = 1 FROM drivers d WHERE d.id = r.driver_id",
]


@pytest.mark.parametrize("up", NOT_ASKED)
def test_what_the_scripts_change_themselves_is_not_asked(up: str) -> None:
    found = probes([script(1, GIVEN), script(2, up)], {2}, Target.parse("postgresql"))

    assert [one for one in found if one.fails] == []
    assert not [one for one in found if one.rule == "large-write" and "rides" not in up]


def test_a_later_validation_asks_for_the_constraint_of_an_earlier_script() -> None:
    scripts = [
        script(1, GIVEN),
        script(2, "ALTER TABLE rides ADD CONSTRAINT c CHECK (price > 0) NOT VALID"),
        script(3, "ALTER TABLE rides VALIDATE CONSTRAINT c"),
    ]

    (question,) = probes(scripts, {3}, Target.parse("postgresql"))

    assert question.query == "SELECT id AS k0, town AS k1 FROM rides WHERE NOT (price > 0) LIMIT 2"


def test_names_are_quoted_where_they_must_be() -> None:
    scripts = [
        script(1, 'CREATE TABLE "My rides" ("Id" INT8 PRIMARY KEY, "user" TEXT)'),
        script(2, 'ALTER TABLE "My rides" ALTER COLUMN "user" SET NOT NULL'),
    ]

    (question,) = probes(scripts, {2}, Target.parse("postgresql"))

    assert question.query == 'SELECT "Id" AS k0 FROM "My rides" WHERE "user" IS NULL LIMIT 2'


def test_what_the_server_refuses_to_answer_is_reported(database_url: str) -> None:
    scripts = [script(1, "CREATE TABLE gone (id INT8 PRIMARY KEY)"), script(2, "DROP TABLE gone")]
    questions = probes(scripts, {2}, Target.parse("postgresql"))

    with Database.from_url(database_url) as db:
        (answer,) = ask_data(db, questions)

    assert answer.error is not None
    assert not answer.in_the_way
    assert str(answer).startswith("The data of gone could not be read: ")


def test_a_question_ends_in_time(database_url: str) -> None:
    (slow,) = probes(
        [
            script(1, GIVEN),
            script(2, "ALTER TABLE rides ADD CONSTRAINT c CHECK (pg_sleep(20) IS NULL)"),
        ],
        {2},
        Target.parse("postgresql"),
    )
    with Database.from_url(database_url) as db:
        for statement in f"{GIVEN};{ROWS}".split(";"):
            if statement.strip():
                db.execute(statement)
        (answer,) = ask_data(db, [slow], seconds=0.5)

    assert answer.error is not None


async def test_the_asynchronous_twin_asks_the_same(database_url: str) -> None:
    scripts = [script(1, GIVEN), script(2, "DROP TABLE drivers")]
    questions = probes(scripts, {2}, Target.parse("postgresql"))

    async with AsyncDatabase.from_url(database_url) as db:
        await db.execute("CREATE TABLE drivers (id INT8 PRIMARY KEY)")
        (answer,) = await async_ask_data(db, questions)

    assert str(answer) == "Deletes 0 rows of drivers."


def test_a_probe_changes_nothing(database_url: str) -> None:
    (question,) = probes(
        [script(1, GIVEN), script(2, "DROP TABLE drivers")], {2}, Target.parse("postgresql")
    )
    writing = replace(question, query="INSERT INTO drivers VALUES (1) RETURNING id AS n")
    with Database.from_url(database_url) as db:
        db.execute("CREATE TABLE drivers (id INT8 PRIMARY KEY)")
        (answer,) = ask_data(db, [writing])
        rows = db.execute("SELECT id FROM drivers")

    assert answer.error is not None
    assert "read-only" in answer.error
    assert rows == []


def test_without_a_server_asking_fails() -> None:
    questions = probes(
        [script(1, GIVEN), script(2, "DROP TABLE drivers")], {2}, Target.parse("postgresql")
    )
    with pytest.raises(ConnectionFailed):
        ask_data(Database(host="127.0.0.1", port=1, connect_timeout=2), questions)


# -- the report afterwards -----------------------------------------------------------------------


def answers_of(up: str, rows: list[dict[str, Any]], error: str | None = None) -> Any:
    scripts = [script(1, GIVEN), script(2, up)]
    report = lint(scripts, server="postgresql", only={2})
    questions = probes(scripts, {2}, Target(ServerKind.POSTGRESQL, (18,)))
    answers = [Answer(one, tuple(rows), error) for one in questions]
    return weighed(report, answers, lambda _: Severity.WARNING)


UNIQUE = "CREATE UNIQUE INDEX CONCURRENTLY i ON rides (city)"


def test_what_the_data_refutes_is_not_reported_any_more() -> None:
    report = answers_of(UNIQUE, [])

    assert "unique-on-data" not in {one.rule for one in report.findings}


def test_what_the_data_confirms_is_an_error_even_if_it_was_allowed() -> None:
    rows = [{"k0": 7, "k1": "a"}]
    for before in ("", "-- manticore: allow=unique-on-data surely not\n"):
        report = answers_of(before + UNIQUE, rows)

        (finding,) = [one for one in report.findings if one.rule == "unique-on-data"]
        assert finding.severity is Severity.ERROR
        assert finding.message == (
            "A row of rides has the same city as another, such as id = 7, town = a."
        )
        assert finding.path == Path("V2__test.sql")
        assert not report.ok


def test_what_could_not_be_asked_stays_with_the_reason() -> None:
    report = answers_of(UNIQUE, [], error="permission denied")

    (finding,) = [one for one in report.findings if one.rule == "unique-on-data"]
    assert finding.severity is Severity.WARNING
    assert finding.message.endswith("The data of rides could not be read: permission denied")


def test_a_count_is_added_to_the_finding() -> None:
    report = answers_of("DELETE FROM drivers", [{"n": 10000}])

    (finding,) = [one for one in report.findings if one.rule == "large-write"]
    assert finding.message.endswith("Deletes at least 10,000 rows of drivers.")


def test_each_finding_of_a_statement_has_its_own_answer() -> None:
    up = "ALTER TABLE rides ALTER city SET NOT NULL, ALTER price SET NOT NULL, ALTER driver_id SET NOT NULL"
    scripts = [script(1, GIVEN), script(2, up)]
    report = lint(scripts, server="postgresql", only={2})
    city, price, _ = probes(scripts, {2}, Target.parse("postgresql"))

    answers = [Answer(city, ()), Answer(price, ({"k0": 7, "k1": "a"},))]
    found = weighed(report, answers, lambda _: Severity.WARNING).findings

    assert [one.message for one in found if one.rule == "not-null-on-data"] == [
        "A row of rides has no price, such as id = 7, town = a.",
        "It fails if a row of rides has no driver_id.",
    ]


def test_a_table_that_no_script_made_may_not_be_there() -> None:
    up = "DROP TABLE IF EXISTS old_rides, drivers"
    scripts = [script(1, GIVEN), script(2, up)]
    report = lint(scripts, server="postgresql", only={2})
    old, drivers = probes(scripts, {2}, Target.parse("postgresql"))

    found = [one for one in report.findings if one.rule == "drop-table"]
    assert [(one.severity, one.message) for one in found] == [
        (
            Severity.ERROR,
            "DROP TABLE drivers deletes the table and its rows; programs that still use it fail.",
        ),
        (
            Severity.WARNING,
            "No script made the table old_rides. Where it exists, DROP TABLE deletes it with its rows.",
        ),
    ]

    answers = [Answer(old, error="no such table", is_gone=True), Answer(drivers, ({"n": 2},))]
    left = weighed(report, answers, lambda _: Severity.WARNING).findings
    assert [one.message for one in left if one.rule == "drop-table"] == [
        found[0].message + " Deletes 2 rows of drivers."
    ]
    answers[0] = Answer(old, ({"n": 1},))
    left = weighed(report, answers, lambda _: Severity.WARNING).findings
    assert [one.message for one in left if one.rule == "drop-table"][1].endswith(
        "Deletes 1 row of old_rides."
    )
