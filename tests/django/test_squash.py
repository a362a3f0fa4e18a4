"""`manticore_squash`, and what the other commands and checks say of checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.django.conftest import Site
from tests.django.test_admin import LIST, client, text

UP = "CREATE TABLE users (id INT8 PRIMARY KEY, email TEXT NOT NULL);\nINSERT INTO users VALUES (1, 'a@b');"
MORE = "CREATE TABLE more (id INT8 PRIMARY KEY);"
LATER = "CREATE TABLE later (id INT8 PRIMARY KEY);"


@pytest.fixture
def project(site: Site) -> Site:
    site.script("V1__users", UP, "DROP TABLE users;")
    site.script("V2__more", MORE, "DROP TABLE more;")
    site.script("V3__later", LATER, "DROP TABLE later;")
    return site


def remove(site: Site, *names: str) -> None:
    for name in names:
        (site.folder / f"{name}.sql").unlink()


def test_it_says_what_it_does_and_what_it_wrote(project: Site, manage: Callable[..., Any]) -> None:
    ran = manage("manticore_squash", "V2", "--no-color")

    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[:5] == [
        "Squashing the scripts of default up to version 2:",
        "  [1/4] building the schema from the scripts",
        "  [2/4] reading the schema and the rows",
        "  [3/4] building both again from the checkpoint",
        "  [4/4] comparing",
    ]
    path = project.folder / "B2__schema.sql"
    assert lines[5].startswith(f"Wrote {path} (stands for versions 1–2; ")
    assert ", 1 row; proved on " in lines[5]
    again = manage("manticore_squash", "2", "--no-color")
    assert again.out.splitlines()[5].startswith(f"Nothing has changed: {path} (")


def test_a_plan_names_it_and_the_versions_it_stands_for(
    project: Site, manage: Callable[..., Any]
) -> None:
    project.call("manticore_squash", "2", verbosity=0)

    plan = manage("manticore_migrate", "--plan", "--no-color")
    assert "Applying B2__schema.sql (stands for versions 1–2) (" in plan.out
    ran = manage("manticore_migrate", "--no-color")
    assert "  Applying B2__schema.sql (stands for versions 1–2)... OK\n" in ran.out
    assert "  Applying V3__later... OK\n" in ran.out
    assert project.query("SELECT version FROM _migrations ORDER BY 1") == [(1,), (2,), (3,)]


def test_the_list_and_the_checks_say_which_files_may_be_removed(
    project: Site, manage: Callable[..., Any]
) -> None:
    project.call("manticore_squash", "2", verbosity=0)
    may_go = (
        "The files of versions 1–2 may be removed: every configured database has them, or is empty and "
        "starts from B2__schema.sql."
    )
    assert may_go in manage("manticore_showmigrations", "--no-color").out

    project.call("manticore_migrate", "1", verbosity=0)
    assert may_go not in manage("manticore_showmigrations", "--no-color").out

    project.call("manticore_migrate", verbosity=0)
    assert may_go in manage("manticore_showmigrations", "--no-color").out
    checked = manage("check", "--database", "default", "--no-color")
    assert (checked.code, f"?: (manticore.I030) {may_go}" in checked.out + checked.err) == (0, True)

    remove(project, "V1__users", "V2__more")
    assert manage("manticore_showmigrations", "--no-color").out == (
        "default\n [X] V1__users\n [X] V2__more\n [X] V3__later\n"
    )
    checked = manage("check", "--database", "default", "--no-color")
    assert "manticore" not in checked.out + checked.err
    assert manage("manticore_migrate", "--check").code == 0


def test_files_that_are_needed_and_gone_are_reported(
    project: Site, manage: Callable[..., Any]
) -> None:
    project.call("manticore_migrate", "1", verbosity=0)
    project.call("manticore_squash", "2", verbosity=0)
    remove(project, "V1__users", "V2__more")

    assert manage("manticore_showmigrations", "--no-color").out == (
        "default\n [X] V1__users\n [-] V2__more (not applied, and its file was removed: restore it)\n"
        " [ ] V3__later\n"
    )
    ran = manage("manticore_migrate", "--check")
    assert ran.code == 1
    assert (
        "default: 1 script is not applied, and the files were removed (V2). Restore it from version "
        "control: only an empty database starts from a checkpoint." in ran.err
    )
    report = json.loads(manage("manticore_migrate", "--check", "--json").out)
    assert report["databases"][0]["unavailable"] == [2]
    checked = manage("check", "--database", "default", "--no-color")
    assert (
        "?: (manticore.W030) default: 1 script must be applied, but its file was removed: V2."
        in checked.out + checked.err
    )
    ran = manage("manticore_migrate")
    assert ran.code == 5
    assert "version 2 must be applied, but its file is not in the folder." in ran.err


def test_rolling_back_below_it_without_the_files_is_refused(
    project: Site, manage: Callable[..., Any]
) -> None:
    project.call("manticore_squash", "2", verbosity=0)
    remove(project, "V1__users", "V2__more")
    project.call("manticore_migrate", verbosity=0)

    ran = manage("manticore_rollback", "--to", "1", "--noinput")

    assert ran.code == 5
    assert (
        "version 2 (more) is below the checkpoint B2__schema.sql, and its file is not in the folder, so it "
        "cannot be rolled back. Restore its file from version control and roll back again."
        in ran.err
    )
    assert project.query("SELECT count(*) FROM _migrations") == [(3,)]


def test_the_statements_of_a_removed_script_are_the_checkpoints(
    project: Site, manage: Callable[..., Any]
) -> None:
    project.call("manticore_squash", "2", verbosity=0)
    remove(project, "V1__users", "V2__more")

    assert "CREATE TABLE public.users (" in manage("manticore_sqlmigrate", "2").out
    assert manage("manticore_sqlmigrate", "1").code == 2


def test_the_linter_knows_what_a_checkpoint_makes(
    project: Site, manage: Callable[..., Any]
) -> None:
    project.call("manticore_squash", "2", verbosity=0)
    remove(project, "V1__users", "V2__more")
    project.script("V4__drop", "ALTER TABLE users DROP COLUMN email;")

    ran = manage("manticore_lint", "--all", "--no-color")

    assert "B2__schema" not in ran.out
    assert "V4__drop.sql:1" in ran.out
    assert "never made" not in ran.out


def test_a_version_that_is_not_there_is_refused(project: Site, manage: Callable[..., Any]) -> None:
    ran = manage("manticore_squash", "40")

    assert ran.code == 5
    assert ran.err.endswith(
        "There is no script of version 40 to squash to. The folder has versions 1–3. No checkpoint was "
        "written.\n"
    )


def test_a_folder_that_cannot_be_written_to_is_reported(
    project: Site, manage: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file larger than the process may write: what a full disk answers, too."""
    import resource
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        ran = manage("manticore_squash", "2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)

    assert ran.code == 1
    assert "No file was written" in ran.err
    assert (
        "cannot be written to: File too large; check the path, its permissions and the space left"
        in (ran.err)
    )
    assert sorted(each.name for each in project.folder.iterdir()) == [
        "V1__users.sql",
        "V2__more.sql",
        "V3__later.sql",
    ]


def test_django_tables_stay_out_of_it(project: Site, manage: Callable[..., Any]) -> None:
    project.call("migrate", verbosity=0)
    project.script(
        "V4__points_at_django", "CREATE TABLE points (id INT REFERENCES auth_user (id));"
    )

    assert manage("manticore_squash", "4").code == 0

    text = (project.folder / "B4__schema.sql").read_text("utf-8")
    assert "CREATE TABLE public.points" in text
    assert "CREATE TABLE public.auth_user" not in text
    # Where its sequences stand is Django's own, too.
    assert "setval" not in text
    assert manage("manticore_migrate", "--no-color").out.count("B4__schema.sql") == 1
    assert manage("manticore_drift").code == 0


@pytest.fixture
def without_files(project: Site) -> Site:
    """A project whose files up to the checkpoint are gone."""
    project.call("manticore_squash", "2", verbosity=0)
    remove(project, "V1__users", "V2__more")
    return project


def test_an_empty_database_without_the_files_has_them_pending(
    without_files: Site, manage: Callable[..., Any]
) -> None:
    assert manage("manticore_showmigrations", "--no-color").out == (
        "default\n [ ] V1__users\n [ ] V2__more\n [ ] V3__later\n"
    )
    checked = manage("manticore_migrate", "--check", "--no-color")
    assert (checked.code, checked.err) == (
        1,
        "CommandError: default: 3 scripts are pending (V1, V2, V3). Run manticore_migrate to apply them.\n",
    )
    warned = manage("check", "--database", "default", "--no-color")
    assert "?: (manticore.W004) default: 3 scripts are not applied: V1, V2, V3." in warned.err
    (database,) = json.loads(manage("manticore_migrate", "--plan", "--json").out)["databases"]
    assert [(step["version"], step["name"]) for step in database["steps"]] == [
        (2, "B2__schema"),
        (3, "V3__later"),
    ]


def test_a_database_that_started_at_it_is_like_every_other(
    without_files: Site, manage: Callable[..., Any]
) -> None:
    without_files.call("manticore_migrate", verbosity=0)

    assert manage("manticore_showmigrations", "--no-color").out == (
        "default\n [X] V1__users\n [X] V2__more\n [X] V3__later\n"
    )
    (listed,) = json.loads(manage("manticore_showmigrations", "--json").out)["databases"]
    assert [(each["state"], each["path"] is None) for each in listed["scripts"]] == [
        ("applied", True),
        ("applied", True),
        ("applied", False),
    ]
    assert all(each["applied_by"].endswith(" (checkpoint 2)") for each in listed["scripts"][:2])
    for command in (
        ("manticore_migrate", "--check"),
        ("check", "--database", "default"),
        ("manticore_lint", "--all"),
        ("manticore_drift",),
        ("manticore_rehearse", "--all"),
    ):
        ran = manage(*command, "--no-color")
        assert (ran.code, ran.err) == (0, ""), command


def test_the_admin_shows_what_a_checkpoint_stands_for(without_files: Site) -> None:
    without_files.call("migrate", verbosity=0)
    browser = client(is_staff=True, is_superuser=True)

    pending = text(browser.get(LIST))
    without_files.call("manticore_migrate", verbosity=0)
    applied = text(browser.get(LIST))

    for name in ("V1 users", "V2 more", "V3 later"):
        assert f"{name} pending" in pending
        assert f"{name} applied" in applied
