"""`manticore_migrate --plan` and `--check`: what they show, and how they end."""

from __future__ import annotations

import json

import pytest

from tests.django.conftest import STEPWISE, Manage, Ran, Site


def test_plan_leaves_out_what_is_done_already(two: Site, manage: Manage) -> None:
    two.script("V3__bad", f"{STEPWISE}CREATE TABLE a (id INT);\nSELECT no_function();\nSELECT 3;")
    assert manage("manticore_migrate").code == 4
    out = two.call("manticore_migrate", plan=True, verbosity=2)
    assert out.splitlines()[2:] == [
        "Applying V3__bad (stepwise), from statement 2",
        "    line 3: SELECT no_function() (data)",
        "    line 4: SELECT 3 (data)",
    ]
    report = json.loads(two.call("manticore_migrate", plan=True, json=True))
    (step,) = report["databases"][0]["steps"]
    assert step["statements_done"] == 1
    assert [statement["line"] for statement in step["statements"]] == [3, 4]


def test_plan_shows_scripts_and_changes_nothing(two: Site) -> None:
    out = two.call("manticore_migrate", plan=True)
    mode = "atomic" if "PostgreSQL" in out else "stepwise"
    assert out.splitlines()[1:] == [
        "Planned operations:",
        f"Applying V1__create_users_table ({mode})",
        "    1 statement",
        f"Applying V2__add_name ({mode})",
        "    1 statement",
    ]
    assert two.query("SELECT 1 FROM pg_tables WHERE tablename = '_migrations'") == []


def test_plan_at_verbosity_2_shows_statements_with_their_kind(two: Site) -> None:
    out = two.call("manticore_migrate", "1", plan=True, verbosity=2)
    assert out.splitlines()[-1] == ("    line 1: CREATE TABLE users (id INT PRIMARY KEY) (schema)")


def test_plan_with_nothing_to_do(site: Site) -> None:
    assert site.call("manticore_migrate", plan=True).endswith(
        "Planned operations:\n  No planned migration operations.\n"
    )


def test_plan_as_json(two: Site) -> None:
    report = json.loads(two.call("manticore_migrate", "1", plan=True, json=True))
    assert report["format"] == 1
    (database,) = report["databases"]
    server = database["server"]
    assert database == {
        "database": "default",
        "server": server,
        "steps": [
            {
                "version": 1,
                "name": "V1__create_users_table",
                "description": "create users table",
                "direction": "up",
                "mode": "atomic" if "PostgreSQL" in server else "stepwise",
                "path": str(two.folder / "V1__create_users_table.sql"),
                "statements_done": 0,
                "statements": [
                    {
                        "line": 1,
                        "kind": "schema",
                        "sql": "CREATE TABLE users (id INT PRIMARY KEY)",
                    }
                ],
            }
        ],
    }


def test_check_of_several_databases_names_each(two: Site, manage: Manage) -> None:
    two.entry("other", MIGRATIONS_DIR=two.folder)
    manage("manticore_migrate", "1", "--database=other")
    assert manage("manticore_migrate", "--check", "--all-databases") == Ran(
        1,
        "",
        "CommandError: default: 2 scripts are pending (V1, V2). Run manticore_migrate to apply them.\n"
        "other: 1 script is pending (V2). Run manticore_migrate --database other to apply it.\n",
    )


def test_check_ends_with_1_and_names_what_is_pending(two: Site, manage: Manage) -> None:
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        "CommandError: default: 2 scripts are pending (V1, V2). Run manticore_migrate to apply them.\n",
    )
    manage("manticore_migrate")
    assert manage("manticore_migrate", "--check") == Ran(0, "", "")
    assert manage("manticore_migrate", "--check", "1") == Ran(
        1,
        "",
        "CommandError: default: 1 script is applied above version 1 (V2). Run manticore_migrate 1 to "
        "revert it.\n",
    )


def test_check_names_a_few_of_many_pending_scripts(site: Site, manage: Manage) -> None:
    for version in range(1, 31):
        site.script(f"V{version}__nothing", "SELECT 1;")

    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        "CommandError: default: 30 scripts are pending (V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, …, V30). "
        "Run manticore_migrate to apply them.\n",
    )


def test_check_finds_a_changed_script(two: Site, manage: Manage) -> None:
    manage("manticore_migrate")
    two.script("V2__add_name", "ALTER TABLE users ADD COLUMN surname TEXT;")
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        "CommandError: default: 1 script is changed since it was applied (V2). Restore the file, or "
        "accept the change with manticore_resolve --accept-checksum 2.\n",
    )


def test_check_knows_that_an_older_version_would_be_refused(two: Site, manage: Manage) -> None:
    two.script("V5__e", "SELECT 5")
    manage("manticore_migrate")
    two.script("V3__c", "SELECT 3")
    two.script("V6__f", "SELECT 6")
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        "CommandError: default: 1 script is pending (V6). Run manticore_migrate to apply it.\n"
        "default: 1 script is pending below the highest applied version (V3), so manticore_migrate "
        "refuses to run. Give it the next free number (manticore_makemigration --renumber), or set "
        "ALLOW_OUT_OF_ORDER.\n",
    )
    assert manage("manticore_migrate").code == 5
    two.entry(ALLOW_OUT_OF_ORDER=True)
    assert manage("manticore_migrate", "--check").err == (
        "CommandError: default: 2 scripts are pending (V3, V6). Run manticore_migrate to apply them.\n"
    )


@pytest.mark.parametrize(
    ("direction", "word", "command"),
    [("up", "applied", "manticore_migrate"), ("down", "reverted", "manticore_rollback")],
)
def test_check_names_the_command_that_finishes_what_is_partially_done(
    two: Site, manage: Manage, direction: str, word: str, command: str
) -> None:
    manage("manticore_migrate")
    two.query("DELETE FROM _migrations WHERE version = 2")
    two.query(
        f"UPDATE _migrations_state SET version = 2, direction = '{direction}', statements_done = 0"
    )
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        f"CommandError: default: 1 script is partially {word} (V2). Run {command} to finish it.\n",
    )
    report = json.loads(manage("manticore_migrate", "--check", "--json").out)
    assert report["databases"][0][f"partially_{word}"] == [2]


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:1/x", "https://127.0.0.1/"], ids=["no server", "no URL"]
)
def test_check_ends_with_2_where_it_cannot_check(two: Site, manage: Manage, url: str) -> None:
    two.entry("away", MIGRATIONS_DIR=two.folder, URL=url)
    ran = manage("manticore_migrate", "--check", "--database", "away")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("CommandError: away could not be checked: ")


def test_check_reports_what_it_found_although_it_cannot_check_all(
    two: Site, manage: Manage
) -> None:
    two.entry("away", MIGRATIONS_DIR=two.folder, URL="postgresql://127.0.0.1:1/x")
    ran = manage("manticore_migrate", "--check", "--all-databases", "--json")
    assert ran.code == 2
    report = json.loads(ran.out)
    assert (report["ok"], [each["pending"] for each in report["databases"]]) == (False, [[1, 2]])
    lines = ran.err.splitlines()
    assert lines[0].startswith("away: away could not be checked: Could not connect")
    assert lines[1:] == [
        "default: 2 scripts are pending (V1, V2). Run manticore_migrate to apply them.",
        "CommandError: 1 of 2 databases failed: away.",
    ]


def test_check_as_json(two: Site, manage: Manage) -> None:
    manage("manticore_migrate", "1")
    ran = manage("manticore_migrate", "--check", "--json")
    assert ran.code == 1
    assert json.loads(ran.out) == {
        "format": 1,
        "ok": False,
        "databases": [
            {
                "database": "default",
                "ok": False,
                "pending": [2],
                "out_of_order": [],
                "to_revert": [],
                "drifted": [],
                "partially_applied": [],
                "partially_reverted": [],
                "missing": [],
                "unavailable": [],
                "repeatable": {"pending": [], "partially_applied": [], "missing": []},
            }
        ],
    }


def test_plan_and_check_together_show_the_plan_and_end_with_1(two: Site, manage: Manage) -> None:
    ran = manage("manticore_migrate", "--plan", "--check")
    assert ran.code == 1
    assert "Applying V2__add_name (" in ran.out
    assert "2 scripts are pending" in ran.err
