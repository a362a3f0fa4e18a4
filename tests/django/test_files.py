"""`manticore_makemigration`, `manticore_showmigrations`, `manticore_sqlmigrate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.django.conftest import Ran, Site

Manage = Callable[..., Ran]


def test_a_new_script_is_a_template_that_runs_as_it_is(site: Site) -> None:
    out = site.call("manticore_makemigration", "Create  users table")
    path = site.folder / "V1__Create_users_table.sql"
    assert out == f"Migration for 'default':\n  {path}\n"
    assert path.read_text("utf-8") == (
        "-- Create users table\n"
        "-- Write here what applies it; end each statement with a semicolon.\n"
        "\n"
        "-- DOWN\n"
        "-- Write here what reverts it. Nothing to do: leave it empty. Cannot be reverted: remove this\n"
        "-- part, with the line above it.\n"
    )
    site.call("manticore_migrate")
    assert site.versions() == [1]
    site.call("manticore_rollback", interactive=False)
    assert site.versions() == []


def test_the_next_version_is_above_files_and_ledger(site: Site) -> None:
    site.script("V3__c", "SELECT 1")
    site.call("manticore_migrate")
    (site.folder / "V3__c.sql").unlink()
    site.call("manticore_makemigration", "next")
    assert [path.name for path in site.folder.iterdir()] == ["V4__next.sql"]


def test_a_timestamp_can_be_the_version(site: Site) -> None:
    site.call("manticore_makemigration", "next", timestamp=True)
    (path,) = site.folder.iterdir()
    made = datetime.strptime(path.name[1:15], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - made) < timedelta(minutes=5)


def test_without_a_server_it_says_that_the_ledger_was_not_asked(site: Site, manage: Manage) -> None:
    site.entry("away", MIGRATIONS_DIR=site.folder, URL="postgresql://127.0.0.1:1/nowhere")
    site.script("V7__g", "SELECT 1")
    ran = manage("manticore_makemigration", "next", "--database", "away")
    assert ran.code == 0
    assert ran.out == f"Migration for 'away':\n  {site.folder / 'V8__next.sql'}\n"
    assert ran.err.startswith(
        "The version is the next of the files alone; the ledger was not asked: Could not connect to "
        "127.0.0.1:1/nowhere: "
    )


def test_a_description_that_makes_no_file_name_ends_with_1(site: Site, manage: Manage) -> None:
    ran = manage("manticore_makemigration", "…")
    assert ran == Ran(
        1,
        "",
        "CommandError: the description '…' leaves nothing for a file name; say in a few words what "
        'the script does, for example "create users table"\n',
    )


@pytest.fixture
def mixed(site: Site) -> Site:
    """A script in every state but half done."""
    for version in (1, 2, 3):
        site.script(f"V{version}__part_{version}", f"SELECT {version}")
    site.call("manticore_migrate")
    site.script("V2__part_2", "SELECT 22")
    (site.folder / "V3__part_3.sql").unlink()
    site.script("V4__part_4", "SELECT 4")
    return site


def test_the_list_marks_every_state(mixed: Site) -> None:
    assert mixed.call("manticore_showmigrations") == (
        "default\n"
        " [X] V1__part_1\n"
        " [!] V2__part_2 (changed after it was applied)\n"
        " [?] V3__part_3 (applied, but its file is missing)\n"
        " [ ] V4__part_4\n"
    )


def test_a_half_done_script_is_marked(mixed: Site) -> None:
    mixed.query(
        "UPDATE _migrations_state SET version = 4, direction = 'up', segment = 0, in_flight = false"
    )
    assert mixed.call("manticore_showmigrations").splitlines()[-1] == (
        " [~] V4__part_4 (half done: run manticore_migrate or manticore_rollback to finish it)"
    )


def test_verbosity_2_adds_when_by_whom_and_how_long(mixed: Site) -> None:
    mixed.query(
        "UPDATE _migrations SET applied_at = '2031-02-03 04:05:06+00', applied_by = 'ci:7:ab', "
        "execution_ms = 1234 WHERE version = 1"
    )
    mixed.setting("TIME_ZONE", "UTC")
    assert mixed.call("manticore_showmigrations", verbosity=2).splitlines()[1] == (
        " [X] V1__part_1 (applied at 2031-02-03 04:05:06 by ci:7:ab in 1.2s)"
    )


def test_a_folder_without_scripts(site: Site) -> None:
    assert site.call("manticore_showmigrations") == "default\n (no scripts)\n"


def test_the_list_as_json(mixed: Site) -> None:
    report = json.loads(mixed.call("manticore_showmigrations", json=True))
    assert report["format"] == 1
    (database,) = report["databases"]
    assert database["database"] == "default"
    states = [(each["version"], each["name"], each["state"]) for each in database["scripts"]]
    assert states == [
        (1, "V1__part_1", "applied"),
        (2, "V2__part_2", "drifted"),
        (3, "V3__part_3", "missing"),
        (4, "V4__part_4", "pending"),
    ]
    first, last = database["scripts"][0], database["scripts"][3]
    assert first["path"] == str(mixed.folder / "V1__part_1.sql")
    assert datetime.fromisoformat(first["applied_at"]).tzinfo is not None
    assert last == {
        "version": 4,
        "name": "V4__part_4",
        "description": "part 4",
        "state": "pending",
        "applied_at": None,
        "applied_by": None,
        "execution_ms": None,
        "path": str(mixed.folder / "V4__part_4.sql"),
    }


def test_sqlmigrate_prints_the_statements_as_they_are_sent(site: Site) -> None:
    site.entry(PLACEHOLDERS={"owner": "app"})
    site.script("V1__a", "-- why\nSELECT '${owner}';\nSELECT 2", "SELECT 3;")
    assert site.call("manticore_sqlmigrate", "V1") == "SELECT 'app';\nSELECT 2;\n"
    assert site.call("manticore_sqlmigrate", "1", backwards=True) == "SELECT 3;\n"


def test_sqlmigrate_of_what_is_not_there(site: Site, manage: Manage) -> None:
    site.script("V1__a", "SELECT 1", None)
    assert manage("manticore_sqlmigrate", "2") == Ran(
        2,
        "",
        "CommandError: There is no version 2 in the migrations folder; see "
        "manticore_showmigrations.\n",
    )
    assert manage("manticore_sqlmigrate", "1", "--backwards") == Ran(
        1, "", "CommandError: V1__a.sql has no down part, so it cannot be rolled back.\n"
    )
