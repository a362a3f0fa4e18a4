"""`manticore_makemigration`, `manticore_showmigrations`, `manticore_sqlmigrate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.django.conftest import Ran, Site

Manage = Callable[..., Ran]


def test_a_new_script_is_a_template_that_is_refused_until_it_is_filled_in(
    site: Site, manage: Manage
) -> None:
    out = site.call("manticore_makemigration", "Create  users table")
    path = site.folder / "V1__Create_users_table.sql"
    assert out == f"Migration for 'default':\n  {path}\n"
    assert path.read_text("utf-8") == (
        "-- Create users table\n"
        "-- Write the SQL that applies this migration.\n"
        "\n"
        "-- DOWN\n"
        "-- Write the SQL that reverts this migration.\n"
        "-- If there is nothing to revert, leave this section empty.\n"
        "-- If it cannot be reverted, delete this section and the line above it.\n"
    )
    ran = manage("manticore_migrate")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "CommandError: 2 problems. Nothing was run:\n"
        "  - V1__Create_users_table.sql:2: the up section is still the template; write the SQL that "
        "applies this migration, or delete this comment if there is nothing to do\n"
        "  - V1__Create_users_table.sql:5: the down section is still the template; write the SQL that "
        "reverts this migration; delete this comment if there is nothing to revert, or the section "
        "with its line '-- DOWN' if the migration cannot be reverted\n"
    )
    text = path.read_text("utf-8")
    path.write_text(text + "CREATE TABLE appended (i INT8);\n", "utf-8")
    assert "the up section is still the template" in manage("manticore_migrate").err
    up, down = text.split("-- DOWN\n")
    path.write_text(f"{up}CREATE TABLE t (i INT8);\n-- DOWN\n{down}DROP TABLE t;\n", "utf-8")
    site.call("manticore_migrate")
    assert site.versions() == [1]
    site.call("manticore_rollback", interactive=False)
    assert site.versions() == []


def test_a_description_that_reads_like_a_marker_is_quoted(site: Site) -> None:
    site.call("manticore_makemigration", "rollback migration")
    text = (site.folder / "V1__rollback_migration.sql").read_text("utf-8")
    assert text.startswith('-- "rollback migration"\n')


def test_a_folder_of_timestamps_continues_with_timestamps(site: Site) -> None:
    site.script("V20200101120000__a", "SELECT 1")
    site.call("manticore_makemigration", "next")
    newest = max(path.name for path in site.folder.iterdir())
    made = datetime.strptime(newest[1:15], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - made) < timedelta(minutes=5)
    site.call("manticore_makemigration", "by number", timestamp=False)
    assert (site.folder / f"V{int(newest[1:15]) + 1}__by_number.sql").exists()


def test_every_folder_is_made_and_any_can_be_chosen(site: Site, manage: Manage) -> None:
    second = site.folder.with_name("more_sql")
    site.folder.rmdir()
    site.entry(MIGRATIONS_DIR=[site.folder, second])
    site.call("manticore_makemigration", "a", "--folder", str(second))
    site.call("manticore_makemigration", "b")
    assert [path.name for path in second.iterdir()] == ["V1__a.sql"]
    assert [path.name for path in site.folder.iterdir()] == ["V2__b.sql"]
    ran = manage("manticore_makemigration", "c", "--folder", "elsewhere")
    assert ran.err == (
        "CommandError: elsewhere is not one of the migrations folders; they are "
        f"{site.folder}, {second}.\n"
    )


def test_of_two_scripts_with_one_version_one_is_renumbered_by_its_name(
    site: Site, manage: Manage
) -> None:
    site.script("V1__mine", "SELECT 1")
    site.script("V1__theirs", "SELECT 2")
    assert manage("manticore_migrate").err == (
        "CommandError: V1__theirs.sql: is version 1, and so is V1__mine.sql; "
        "remove one of them, or give the one that is not applied anywhere another number: "
        "manticore_makemigration --renumber FILE. Nothing was run.\n"
    )
    ran = manage("manticore_makemigration", "--renumber", "V1__mine.sql")
    assert ran.out == f"V1__mine.sql for 'default' is now:\n  {site.folder / 'V2__mine.sql'}\n"
    site.call("manticore_migrate")
    assert site.versions() == [1, 2]
    assert manage("manticore_makemigration", "--renumber", "V9__x.sql").err == (
        "CommandError: There is no script V9__x.sql in "
        f"{site.folder}; check the name. Nothing was run.\n"
    )


def test_a_script_whose_number_was_taken_gets_the_next_free_one(site: Site, manage: Manage) -> None:
    site.script("V1__a", "SELECT 1")
    site.script("V2__main_column", "CREATE TABLE main (i INT8)")
    site.call("manticore_migrate")
    (site.folder / "V2__main_column.sql").unlink()
    own = site.folder / "V2__feature_column.sql"
    own.write_text("CREATE TABLE feature (i INT8);", "utf-8")
    (site.folder / "U2__feature_column.sql").write_text("DROP TABLE feature;", "utf-8")
    taken = (
        "CommandError: V2__feature_column.sql: version 2 is applied, but as another "
        "script ('main column'): this one took the same number, and has not been applied. Give it the "
        "next free number with manticore_makemigration --renumber 2. Nothing was run.\n"
    )
    assert manage("manticore_migrate").err == taken
    assert manage("manticore_resolve", "--accept-checksum", "2", "--noinput").err == (
        "CommandError: V2__feature_column.sql: version 2 is applied as another "
        "script ('main column'), and this one would never run. Give it the next free number with "
        "manticore_makemigration --renumber 2. Nothing was changed.\n"
    )
    ran = manage("manticore_makemigration", "--renumber", "2")
    path = site.folder / "V3__feature_column.sql"
    assert ran.out == f"2 for 'default' is now:\n  {path}\n"
    names = sorted(each.name for each in site.folder.iterdir())
    assert names == ["U3__feature_column.sql", "V1__a.sql", "V3__feature_column.sql"]
    site.script("V2__main_column", "CREATE TABLE main (i INT8)")
    site.call("manticore_migrate")
    assert site.versions() == [1, 2, 3]
    assert manage("manticore_makemigration", "--renumber", "2").err == (
        "CommandError: V2__main_column.sql: version 2 is applied. Under another "
        "number it would be applied a second time. No file was renamed.\n"
    )
    assert manage("manticore_makemigration").code == 2


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


def test_without_a_server_it_says_that_the_ledger_was_not_read(site: Site, manage: Manage) -> None:
    site.entry("away", MIGRATIONS_DIR=site.folder, URL="postgresql://127.0.0.1:1/nowhere")
    site.script("V7__g", "SELECT 1")
    ran = manage("manticore_makemigration", "next", "--database", "away")
    assert ran.code == 0
    assert ran.out == f"Migration for 'away':\n  {site.folder / 'V8__next.sql'}\n"
    assert ran.err.startswith(
        "Could not read the ledger, so the version is based on the files only: Could not connect to "
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
    """A script in every state but partially applied."""
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


def test_a_partially_reverted_script_names_the_other_command(mixed: Site) -> None:
    mixed.query(
        "UPDATE _migrations_state SET version = 1, direction = 'down', statements_done = 1, "
        "in_flight = false"
    )
    mixed.query("DELETE FROM _migrations WHERE version = 1")
    assert mixed.call("manticore_showmigrations").splitlines()[1] == (
        " [~] V1__part_1 (partially reverted: run manticore_rollback to finish it)"
    )
    report = json.loads(mixed.call("manticore_showmigrations", json=True))
    assert report["databases"][0]["scripts"][0]["state"] == "partially_reverted"


def test_a_partially_applied_script_is_marked(mixed: Site) -> None:
    mixed.query(
        "UPDATE _migrations_state SET version = 4, direction = 'up', statements_done = 0, in_flight = false"
    )
    assert mixed.call("manticore_showmigrations").splitlines()[-1] == (
        " [~] V4__part_4 (partially applied: run manticore_migrate to finish it)"
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
        "batch": None,
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
        1, "", "CommandError: V1__a.sql has no down section, so it cannot be rolled back.\n"
    )
