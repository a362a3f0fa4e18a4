"""Repeatable scripts in the commands, the checks and the admin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.checks import run_checks

from tests.django.conftest import Manage, Site
from tests.django.test_admin import LIST, client

VIEW = "CREATE OR REPLACE VIEW names AS SELECT id FROM users;"


@pytest.fixture
def repeated(site: Site) -> Site:
    """A version, and a view that is made again whenever it changes."""
    site.script(
        "V1__users", "CREATE TABLE users (id INT PRIMARY KEY);", "DROP TABLE users CASCADE;"
    )
    site.script("R__names", VIEW, None)
    return site


def changed(site: Site) -> None:
    site.call("manticore_migrate", verbosity=0)
    site.script("R__names", f"-- other\n{VIEW}", None)


def ids(site: Site) -> list[tuple[str | None, str]]:
    found = run_checks(databases=["default"])
    return [(each.id, each.msg) for each in found if (each.id or "").startswith("manticore.")]


def test_migrate_runs_them_after_the_versions_and_again_when_they_changed(repeated: Site) -> None:
    lines = repeated.call("manticore_migrate").splitlines()
    assert [line.partition("...")[0] for line in lines if "Applying" in line] == [
        "  Applying V1__users",
        "  Applying R__names",
    ]
    assert "No migrations to apply" in repeated.call("manticore_migrate")
    changed(repeated)
    assert "  Applying R__names... OK" in repeated.call("manticore_migrate")


def test_a_plan_and_a_list_show_them(repeated: Site) -> None:
    repeated.call("manticore_migrate", "1", verbosity=0)
    assert (
        repeated.call("manticore_migrate", plan=True)
        .splitlines()[2]
        .startswith("Applying R__names (")
    )
    (step,) = json.loads(repeated.call("manticore_migrate", plan=True, json=True))["databases"][0][
        "steps"
    ]
    assert (step["version"], step["name"], step["description"]) == (None, "R__names", "names")
    assert repeated.call("manticore_showmigrations") == "default\n [X] V1__users\n [ ] R__names\n"
    changed(repeated)
    assert repeated.call("manticore_showmigrations") == (
        "default\n [X] V1__users\n [ ] R__names (applied before, and runs again)\n"
    )
    (repeated.folder / "R__names.sql").unlink()
    assert repeated.call("manticore_showmigrations") == (
        "default\n [X] V1__users\n [?] R__names (applied, but its file is missing)\n"
    )
    *_, script = json.loads(repeated.call("manticore_showmigrations", json=True))["databases"][0][
        "scripts"
    ]
    assert (script["version"], script["name"], script["state"]) == (None, "R__names", "missing")
    assert script["path"] is None
    assert script["applied_at"] is not None


def test_check_counts_them_unless_it_is_for_a_version(repeated: Site, manage: Manage) -> None:
    manage("manticore_migrate", "1")
    ran = manage("manticore_migrate", "--check", "--json")
    assert ran.code == 1
    assert ran.err == (
        "CommandError: default: 1 script is pending (R__names). Run manticore_migrate to apply it.\n"
    )
    assert json.loads(ran.out)["databases"][0]["repeatable"] == {
        "pending": ["R__names"],
        "partially_applied": [],
        "missing": [],
    }
    assert manage("manticore_migrate", "1", "--check").code == 0
    manage("manticore_migrate")
    (repeated.folder / "R__names.sql").unlink()
    assert manage("manticore_migrate", "--check").code == 0


def test_sqlmigrate_prints_one(repeated: Site, manage: Manage) -> None:
    for name in ("R__names", "R__names.sql"):
        assert manage("manticore_sqlmigrate", name).out == f"{VIEW}\n"
    ran = manage("manticore_sqlmigrate", "R__names", "--backwards")
    assert (ran.code, ran.err) == (
        1,
        "CommandError: R__names.sql is a repeatable script, which is never reverted.\n",
    )
    ran = manage("manticore_sqlmigrate", "R__nothing")
    assert ran.err == (
        "CommandError: There is no R__nothing in the migrations folder; see manticore_showmigrations.\n"
    )


def test_makemigration_writes_one(repeated: Site, manage: Manage) -> None:
    ran = manage("manticore_makemigration", "active users", "--repeatable")
    path = repeated.folder / "R__active_users.sql"
    assert ran.out == f"Migration for 'default':\n  {path}\n"
    assert path.read_text() == (
        "-- active users\n-- Write the SQL that runs again whenever this file changes.\n"
    )
    ran = manage("manticore_makemigration", "--renumber", "1", "--repeatable")
    assert (ran.code, ran.err) == (
        2,
        "CommandError: --repeatable writes a new script; it cannot be combined with --renumber.\n",
    )


def test_resolve_records_and_forgets_one(repeated: Site) -> None:
    repeated.call("manticore_migrate", "1", verbosity=0)
    out = repeated.call("manticore_resolve", applied="R__names", interactive=False, verbosity=1)
    assert out.splitlines()[-1] == "Recorded R__names as applied."
    (repeated.folder / "R__names.sql").unlink()
    out = repeated.call("manticore_resolve", not_applied="R__names", interactive=False)
    assert out.splitlines()[-1] == "Recorded R__names as not applied."
    assert repeated.query("SELECT name FROM _migrations_repeatable") == []


def test_the_checks_say_what_is_pending_and_what_has_no_file(repeated: Site) -> None:
    repeated.call("manticore_migrate", "1", verbosity=0)
    assert ids(repeated) == [("manticore.W004", "default: 1 script is not applied: R__names.")]
    repeated.call("manticore_migrate", verbosity=0)
    assert ids(repeated) == []
    (repeated.folder / "R__names.sql").unlink()
    (found,) = [each for each in run_checks(databases=["default"]) if each.id == "manticore.W006"]
    assert found.msg == "default: R__names was applied, but its file is missing."
    assert found.hint == (
        "Restore the file. If the script was removed on purpose, have a new version drop what it made, and "
        "forget it: manticore_resolve --not-applied R__names --database default."
    )


def test_an_error_of_the_linter_in_one_is_a_check(repeated: Site) -> None:
    repeated.script("R__names", "CREATE VIEW names AS SELECT id FROM users;", None)
    repeated.call("manticore_migrate", "1", verbosity=0)
    assert (
        "manticore.W021",
        "default: R__names.sql:1: The view names exists already when the script runs again.",
    ) in ids(repeated)


def test_lint_judges_what_is_pending(repeated: Site, manage: Manage) -> None:
    repeated.script("R__names", "CREATE VIEW names AS SELECT id FROM users;", None)
    manage("manticore_migrate", "1")
    report: dict[str, Any] = json.loads(manage("manticore_lint", "--format=json").out)
    assert [(each["version"], each["rule"]) for each in report["findings"]] == [
        (None, "fails-when-repeated")
    ]


def test_the_admin_shows_them(repeated: Site) -> None:
    repeated.call("migrate", verbosity=0)
    changed(repeated)
    browser = client(is_staff=True, is_superuser=True)
    page = browser.get(LIST).content.decode()
    assert "R__names</a>" in page
    assert "applied before, and runs again" in page
    page = browser.get(f"{LIST}R__names/change/?database=default").content.decode()
    assert "Repeatable: it runs again whenever it has changed." in page
    assert "CREATE" in page
