"""`manticore_adopt`: what it shows, what it does, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Ran, Site

Manage = Callable[..., Ran]

UP = "-- +goose Up\n{up}\n-- +goose Down\n{down}\n"


@pytest.fixture
def goose(site: Site, tmp_path: Path) -> Path:
    """A project that goose migrates: one file applied, one pending."""
    folder = tmp_path / "goose"
    folder.mkdir()
    for name, up, down in (
        ("00001_users.sql", "CREATE TABLE users (id INT8 PRIMARY KEY);", "DROP TABLE users;"),
        ("00002_rides.sql", "CREATE TABLE rides (id INT8 PRIMARY KEY);", "DROP TABLE rides;"),
    ):
        (folder / name).write_text(UP.format(up=up, down=down), "utf-8")
    site.query("CREATE TABLE users (id INT8 PRIMARY KEY)")
    site.query(
        "CREATE TABLE goose_db_version (id SERIAL PRIMARY KEY, "
        "version_id INT8 NOT NULL, is_applied BOOL NOT NULL, tstamp TIMESTAMP DEFAULT now())"
    )
    site.query("INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true)")
    return folder


def test_without_an_option_it_shows_what_it_would_do_and_changes_nothing(
    site: Site, manage: Manage, goose: Path
) -> None:
    ran = manage("manticore_adopt", "--from", str(goose))

    assert ran == Ran(
        0,
        f"{goose}: goose (00001_users.sql has '-- +goose' directives)\n"
        f"2 scripts for {site.folder}: 2 to be written, 0 exist already.\n"
        "Compared: 2 statements of up sections and 2 of down sections are the same.\n"
        "Ledger public.goose_db_version: 1 applied, 1 pending.\n"
        'goose will be stopped. It then says: ERROR: relation "goose_db_version" already exists\n'
        "Nothing was written. Use --write to write the files, or --apply to take over the ledger too.\n",
        "",
    )
    assert list(site.folder.iterdir()) == []
    assert site.query("SELECT 1 FROM pg_class WHERE relname = '_migrations'") == []


def test_apply_takes_the_ledger_over_and_migrate_continues(
    site: Site, manage: Manage, goose: Path
) -> None:
    adopted = manage("manticore_adopt", "goose", "--from", str(goose), "--apply", "--noinput")
    migrated = manage("manticore_migrate")

    assert (adopted.code, migrated.code) == (0, 0)
    assert adopted.out.endswith(
        "Wrote 2 files and recorded 1 migration. manticore_showmigrations lists them.\n"
    )
    assert site.versions() == [1, 2]
    assert site.query("SELECT count(*) FROM rides") == [(0,)]


def test_apply_asks_first_and_a_no_changes_nothing(
    site: Site, manage: Manage, goose: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "no"

    monkeypatch.setattr("builtins.input", answer)

    ran = manage("manticore_adopt", "--from", str(goose), "--apply")

    assert ran.code == 0
    assert ran.out.endswith("Nothing was changed.\n")
    assert asked[0].startswith(
        f"Write 2 files to {site.folder}, record 1 migration as applied on 'default' ("
    )
    assert list(site.folder.iterdir()) == []


def test_a_second_apply_says_that_everything_is_adopted(
    site: Site, manage: Manage, goose: Path
) -> None:
    arguments = ("manticore_adopt", "--from", str(goose), "--apply", "--noinput")
    manage(*arguments)

    ran = manage(*arguments)

    assert ran.code == 0
    assert ran.out.endswith("Everything is adopted already.\n")


def test_the_option_undo_removes_what_was_adopted(site: Site, manage: Manage, goose: Path) -> None:
    manage("manticore_adopt", "--from", str(goose), "--apply", "--noinput")

    ran = manage("manticore_adopt", "--from", str(goose), "--undo", "--noinput")

    assert (ran.code, ran.out) == (
        0,
        "Removed 1 migration from the ledger; the guard is lifted.\n",
    )
    assert site.versions() == []


def test_write_writes_the_files_alone(site: Site, manage: Manage, goose: Path) -> None:
    ran = manage("manticore_adopt", "--from", str(goose), "--write", "--offline")

    assert ran.code == 0
    assert sorted(path.name for path in site.folder.iterdir()) == [
        "V1__users.sql",
        "V2__rides.sql",
    ]


def test_what_prevents_the_move_is_shown_and_ends_with_5(
    site: Site, manage: Manage, goose: Path
) -> None:
    site.query("INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, true)")

    ran = manage("manticore_adopt", "--from", str(goose))

    assert ran.code == 5
    assert (
        "Fix with goose first:\n  7 is applied, but its file is missing. Restore the file of "
        "7; `goose status` lists what goose knows.\n"
    ) in ran.out
    assert ran.err == (
        "CommandError: The ledger cannot be taken over as it is; nothing was written.\n"
    )


def test_files_that_cannot_come_along_end_with_1(site: Site, manage: Manage, goose: Path) -> None:
    (goose / "00003_fill.go").write_text("package main", "utf-8")

    ran = manage("manticore_adopt", "--from", str(goose))

    assert ran.code == 1
    assert "Cannot be written:\n  00003_fill.go cannot be converted: it is Go." in ran.out
    assert ran.err == (
        "CommandError: Some files cannot be adopted as they are; nothing was written.\n"
    )


def test_prove_compares_the_schema_before_anything_is_adopted(
    site: Site, manage: Manage, goose: Path
) -> None:
    looked = manage("manticore_adopt", "--from", str(goose), "--prove")
    site.query("ALTER TABLE users ADD COLUMN by_hand TEXT")
    ran = manage("manticore_adopt", "--from", str(goose), "--prove", "--apply", "--noinput")

    assert looked.code == 0
    assert "Proved on a scratch database: " in looked.out
    assert ran.code == 5
    assert ran.err.startswith("CommandError: table public.users: it differs: ")
    assert list(site.folder.iterdir()) == []


def test_a_json_report_has_everything(site: Site, manage: Manage, goose: Path) -> None:
    ran = manage("manticore_adopt", "--from", str(goose), "--json")

    told = json.loads(ran.out)
    assert (told["format"], told["tool"], told["ready"], told["done"]) == (1, "goose", True, False)
    assert (told["applied"], told["pending"]) == ([1], [2])
    assert told["scripts"][0] == {
        "version": 1,
        "name": "V1__users",
        "path": str(site.folder / "V1__users.sql"),
        "file": "new",
        "from": "00001_users.sql",
        "renumbered": False,
        "up_statements": 1,
        "down_statements": 1,
    }


def test_the_server_is_needed_for_a_ledger(site: Site, manage: Manage, goose: Path) -> None:
    ran = manage("manticore_adopt", "--from", str(goose), "--apply", "--offline")

    assert (ran.code, ran.err) == (
        2,
        (
            "CommandError: --apply, --prove and --undo need the database; they cannot be combined with "
            "--offline.\n"
        ),
    )


def test_export_writes_the_files_of_another_tool_and_fills_its_ledger(
    site: Site, manage: Manage, tmp_path: Path
) -> None:
    site.script("V1__users", "CREATE TABLE users (id INT8 PRIMARY KEY);")
    manage("manticore_migrate")
    folder = tmp_path / "flyway"

    looked = manage("manticore_export", "flyway", "--to", str(folder))
    ran = manage("manticore_export", "flyway", "--to", str(folder), "--apply", "--noinput")

    assert looked == Ran(
        0,
        "For Flyway:\n"
        f"2 files for {folder}: 2 to be written, 0 exist already.\n"
        "Ledger flyway_schema_history: 1 migration applied.\n"
        "Nothing was written. Use --write or --apply.\n",
        "",
    )
    assert ran.code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["U1__users.sql", "V1__users.sql"]
    assert site.query("SELECT version, success FROM flyway_schema_history") == [("1", True)]
