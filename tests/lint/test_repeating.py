"""What the linter says of repeatable scripts, and of the scripts around them."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb.lint import lint
from manticore_cockroachdb.scripts import load_scripts
from tests.lint.scripts import judge

RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT);"
VIEW = "CREATE OR REPLACE VIEW v AS SELECT id FROM rides;"
OURS = {
    "fails-when-repeated",
    "skipped-when-repeated",
    "replaced-view-columns",
    "replaced-trigger-function",
    "inserted-again",
}
#: What may be reported of a view that is replaced, besides what a test is about.
NOTE = (1, "replaced-view-columns")


def found(up: str, *, server: str = "postgresql:18", given: str = RIDES) -> list[tuple[int, str]]:
    report = judge(up, given=given, server=server, repeatable=True)
    assert report.not_understood == ()
    return [(one.line, one.rule) for one in report.findings if one.rule in OURS]


FAILS = "fails-when-repeated"
SKIPS = "skipped-when-repeated"


@pytest.mark.parametrize(
    ("up", "rules"),
    [
        (VIEW, [NOTE]),
        ("CREATE VIEW v AS SELECT id FROM rides;", [(1, FAILS)]),
        ("DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT id FROM rides;", []),
        ("DROP VIEW IF EXISTS v CASCADE;\nCREATE OR REPLACE VIEW v AS SELECT id FROM rides;", []),
        ("SELECT 1;\nCREATE MATERIALIZED VIEW m AS SELECT id FROM rides;", [(2, FAILS)]),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS m AS SELECT id FROM rides;", [(1, SKIPS)]),
        (
            "DROP MATERIALIZED VIEW IF EXISTS m;\nCREATE MATERIALIZED VIEW m AS SELECT id FROM rides;",
            [],
        ),
        ("ALTER TABLE rides ADD COLUMN IF NOT EXISTS note TEXT;", []),
        ("ALTER TABLE rides ADD COLUMN note TEXT;", [(1, FAILS)]),
        ("ALTER TABLE rides DROP COLUMN city;", [(1, FAILS)]),
        ("CREATE TYPE mood AS ENUM ('fine');", [(1, FAILS)]),
        ("CREATE FUNCTION f() RETURNS INT LANGUAGE sql AS $$ SELECT 1 $$;", [(1, FAILS)]),
        ("CREATE OR REPLACE FUNCTION f() RETURNS INT LANGUAGE sql AS $$ SELECT 1 $$;", []),
        (
            "DROP FUNCTION IF EXISTS f();\nCREATE FUNCTION f() RETURNS INT LANGUAGE sql AS $$ SELECT 1 $$;",
            [],
        ),
        ("INSERT INTO rides VALUES (1, 'x');", [(1, "inserted-again")]),
        ("INSERT INTO rides VALUES (1, 'x') ON CONFLICT (id) DO NOTHING;", []),
        (
            "DELETE FROM rides WHERE id = 1;\nINSERT INTO rides VALUES (1, 'x');",
            [],
        ),
        ("INSERT INTO rides SELECT 1, 'x' WHERE NOT EXISTS (SELECT FROM rides WHERE id = 1);", []),
    ],
)
def test_a_repeatable_script_must_run_twice(up: str, rules: list[tuple[int, str]]) -> None:
    assert found(up) == rules


@pytest.mark.parametrize(
    ("server", "up", "message"),
    [
        (
            "cockroachdb:22.1",
            "CREATE OR REPLACE FUNCTION f() RETURNS INT LANGUAGE sql AS $$ SELECT 1 $$;",
            "CockroachDB has no functions before v22.2.",
        ),
        (
            "cockroachdb:24.2",
            "CREATE OR REPLACE TRIGGER t BEFORE UPDATE ON rides FOR EACH ROW EXECUTE FUNCTION f();",
            "CockroachDB has no triggers before v24.3.",
        ),
        (
            "cockroachdb:25.4",
            "CREATE OR REPLACE TRIGGER t BEFORE UPDATE ON rides FOR EACH ROW EXECUTE FUNCTION f();",
            "CockroachDB has no OR REPLACE of triggers before v26.2; drop it first with IF EXISTS.",
        ),
        (
            "cockroachdb:26.2",
            "CREATE TRIGGER t BEFORE UPDATE ON rides FOR EACH ROW EXECUTE FUNCTION f();",
            "The trigger t exists already when the script runs again.",
        ),
        (
            "cockroachdb:25.4",
            "CREATE OR REPLACE FUNCTION f() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN END $$;",
            "Where a trigger calls f, CockroachDB refuses to replace it.",
        ),
    ],
)
def test_what_cockroachdb_cannot_replace_is_reported_first(
    server: str, up: str, message: str
) -> None:
    report = judge(up, given=RIDES, server=server, repeatable=True)
    assert [one.message for one in report.findings] == [message]


def test_a_version_may_do_what_a_repeatable_script_may_not() -> None:
    up = "CREATE VIEW v AS SELECT id FROM rides;\nINSERT INTO rides VALUES (1, 'x');"
    report = judge(up, given=RIDES, down="DROP VIEW v;", server="postgresql")
    assert report.findings == ()


def test_repeatable_scripts_are_judged_after_the_versions_and_by_name(tmp_path: Path) -> None:
    (tmp_path / "V1__t.sql").write_text(f"{RIDES}\n-- DOWN\nDROP TABLE rides;")
    (tmp_path / "R__a.sql").write_text("\nCREATE VIEW a AS SELECT id FROM rides;")
    (tmp_path / "R__b.sql").write_text(
        "-- manticore: after=R__a.sql\nCREATE VIEW b AS SELECT id FROM a;"
    )
    scripts = load_scripts(tmp_path)
    everything = lint(scripts, server="postgresql")
    assert [(one.path.name, one.version, one.line, one.rule) for one in everything.findings] == [
        ("R__a.sql", 0, 2, FAILS),
        ("R__b.sql", 0, 2, FAILS),
    ]
    one = lint(scripts, server="postgresql", only={"R__b"})
    assert [(each.path.name, each.rule) for each in one.findings] == [("R__b.sql", FAILS)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM rides",
        "SELECT id, city AS town FROM rides",
        "SELECT city, id FROM rides",
        "SELECT id::TEXT AS id, city FROM rides",
    ],
)
def test_the_server_replaces_a_view_only_with_columns_at_its_end(
    database_url: str, query: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(RIDES)
        connection.execute("CREATE OR REPLACE VIEW v AS SELECT id, city FROM rides")
        connection.execute("CREATE OR REPLACE VIEW v AS SELECT id, city, 1 AS more FROM rides")
        with pytest.raises(psycopg.errors.InvalidTableDefinition):
            connection.execute(f"CREATE OR REPLACE VIEW v AS {query}".encode())
        connection.execute(b"DROP VIEW IF EXISTS v")
        connection.execute(f"CREATE OR REPLACE VIEW v AS {query}".encode())
