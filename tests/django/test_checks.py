"""System checks of files and ledgers: one test for each id, its message and its hint."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.checks import Tags
from django.core.management import get_commands, load_command_class

from tests.django.conftest import Ran, Site
from tests.django.reported import found, ids, ledger, one


def test_a_sound_project_has_nothing(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    assert found() == []


def test_e013_every_problem_of_every_file(site: Site) -> None:
    site.script("V1__a", "SELECT 1;\nCOMMIT;\nSELECT 'open")
    site.script("first", "SELECT 1")
    messages = found()
    assert [each.id for each in messages] == ["manticore.E013"] * 3
    assert [str(each.msg).partition(":")[0] for each in messages] == [
        "first.sql",
        "V1__a.sql",
        "V1__a.sql",
    ]
    assert all(each.hint for each in messages)
    assert messages[0].hint == "rename it or move it away"
    assert str(messages[0].obj) == str(site.folder / "first.sql")


def test_e013_a_placeholder_without_a_value(site: Site) -> None:
    site.entry(PLACEHOLDERS={"owner": "app"})
    site.script("V1__a", "SELECT '${reader}'")
    assert one() == (
        "manticore.E013",
        "V1__a.sql:1: the placeholder ${reader} has no value",
        "give it one in PLACEHOLDERS (known: owner).",
    )


def test_w001_no_folder(site: Site, tmp_path: Path) -> None:
    site.entry(MIGRATIONS_DIR=tmp_path / "none")
    assert one() == (
        "manticore.W001",
        f"The migrations folder {tmp_path / 'none'} does not exist.",
        "Create it, or write the first script with manticore_makemigration, which creates it.",
    )


def test_w001_another_folder_than_the_first_is_not_made_by_the_first_script(
    site: Site, tmp_path: Path
) -> None:
    site.entry(MIGRATIONS_DIR=[site.folder, tmp_path / "none"])
    assert one() == (
        "manticore.W001",
        f"The migrations folder {tmp_path / 'none'} does not exist.",
        "Create it, or remove it from MIGRATIONS_DIR.",
    )


WRITE_IT = (
    "Add a line '-- DOWN' and the statements that revert it; or say that it is missing on purpose with a "
    "first line '-- manticore: irreversible'."
)


def test_w002_no_down_section_and_it_can_be_silenced(site: Site) -> None:
    site.script("V1__a", "SELECT 1", None)
    assert one() == (
        "manticore.W002",
        "V1__a.sql has no down section, so it cannot be rolled back.",
        WRITE_IT,
    )
    site.setting("SILENCED_SYSTEM_CHECKS", ["manticore.W002"])
    assert [each.is_silenced() for each in found()] == [True]


def test_w002_is_not_for_scripts_that_are_marked_irreversible(site: Site) -> None:
    site.script("V1__a", "-- manticore: irreversible\nSELECT 1", None)

    assert found() == []


def test_ledgers_are_asked_only_for_databases_that_are_named(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    assert ids() == []
    assert ids(tags=[Tags.database], databases=["other"]) == []
    assert ids(tags=[Tags.database], databases=["default"]) == ["manticore.W004"]


def test_w004_not_applied(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    site.script("V2__b", "SELECT 1")
    assert ledger() == (
        "manticore.W004",
        "default: 2 scripts are not applied: V1, V2.",
        "Run manage.py manticore_migrate --database default.",
    )


def test_w004_is_not_said_where_migrate_is_about_to_apply_them(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    site.entry(RUN_WITH_MIGRATE="after")
    assert ids(tags=[Tags.database], databases=["default"]) == []


def test_e014_changed_after_it_was_applied(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    site.call("manticore_migrate")
    site.script("V1__a", "SELECT 2")
    message = "default: V1__a.sql was changed after it was applied."
    hint = (
        "Restore it and put the change into a new script, or accept it: manticore_resolve "
        "--accept-checksum 1 --database default."
    )
    assert ledger() == ("manticore.W008", message, hint)
    site.entry(RUN_WITH_MIGRATE="after")
    assert ledger() == ("manticore.E014", message, hint)


def test_e015_somebody_elses_table(site: Site) -> None:
    site.query("CREATE TABLE _migrations (id INT PRIMARY KEY)")
    for moment, expected in ((None, "manticore.W009"), ("before", "manticore.E015")):
        site.entry(RUN_WITH_MIGRATE=moment)
        id_, message, hint = ledger()
        assert id_ == expected
        assert message.startswith("default: The table _migrations is not a Manticore ledger")
        assert hint == "Give this project its own table: TABLE in its entry of MANTICORE."


@pytest.mark.parametrize(
    ("direction", "word", "command"),
    [("up", "applied", "manticore_migrate"), ("down", "reverted", "manticore_rollback")],
)
def test_w005_partially_done_names_the_command_that_finishes_it(
    site: Site, direction: str, word: str, command: str
) -> None:
    site.script("V1__a", "SELECT 1")
    site.call("manticore_migrate")
    site.script("V2__b", "SELECT 1")
    site.query(
        f"UPDATE _migrations_state SET version = 2, direction = '{direction}', statements_done = 0"
    )
    assert ledger() == (
        "manticore.W005",
        f"default: V2__b.sql is partially {word}.",
        f"Run {command} --database default to finish it.",
    )


def test_w006_the_file_is_missing(site: Site) -> None:
    path = site.script("V1__a", "SELECT 1")
    site.call("manticore_migrate")
    path.unlink()
    assert ledger() == (
        "manticore.W006",
        "default: version 1 (a) is applied, but its file is missing.",
        "Restore the file, or update the code: the database is newer.",
    )


def test_w007_no_server(site: Site) -> None:
    from django.db import connections

    site.script("V1__a", "SELECT 1")
    there = connections["default"].settings_dict
    port, there["PORT"] = there["PORT"], "1"
    try:
        id_, message, hint = ledger()
    finally:
        there["PORT"] = port
    assert id_ == "manticore.W007"
    assert message.startswith("default: the ledger could not be read: Could not connect to ")
    assert hint == "Check that the server is up, and the connection's parameters."


@pytest.mark.parametrize("with_migrate", [None, "after"])
def test_check_deploy_reads_every_ledger(site: Site, with_migrate: str | None) -> None:
    site.entry(RUN_WITH_MIGRATE=with_migrate)
    site.script("V1__a", "SELECT 1")
    assert ids() == []
    assert one(include_deployment_checks=True) == (
        "manticore.W004",
        "default: 1 script is not applied: V1.",
        "Run manage.py manticore_migrate --database default.",
    )
    # A ledger that is checked already is not checked twice.
    both = ids(include_deployment_checks=True, databases=["default"])
    assert both == ([] if with_migrate else ["manticore.W004"])


def test_check_deploy_from_a_terminal(site: Site, manage: Callable[..., Ran]) -> None:
    site.script("V1__a", "SELECT 1")
    ran = manage("check", "--deploy")
    assert ran.code == 0
    assert "(manticore.W004) default: 1 script is not applied: V1." in ran.err


def test_runserver_mentions_what_is_pending_or_partially_applied(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.script("V1__a", "SELECT 1")
    site.call("manticore_migrate")
    site.script("V1__a", "SELECT 'edited'")
    site.script("V2__b", "SELECT 1")
    site.script("V3__c", "SELECT 1")
    site.query("UPDATE _migrations_state SET version = 2, direction = 'up', statements_done = 0")
    assert ids() == []
    monkeypatch.setattr(sys, "argv", ["manage.py", "runserver"])
    assert ids() == ["manticore.W005", "manticore.W004"]


def test_runserver_starts_without_a_database(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.script("V1__a", "SELECT 1")
    site.entry("nowhere", URL="postgresql://127.0.0.1:1/nowhere")
    monkeypatch.setattr(sys, "argv", ["manage.py", "runserver"])
    assert ids() == ["manticore.W004"]


@pytest.fixture
def another_migrate(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, str]]:
    """An app that brings its own `migrate`: its folder, and its name."""
    name = "another_migrate"
    commands = tmp_path / name / "management" / "commands"
    commands.mkdir(parents=True)
    for package in (commands, commands.parent, tmp_path / name):
        (package / "__init__.py").touch()
    (commands / "migrate.py").write_text(
        "from django.core.management.commands.migrate import Command as Django\n\n\n"
        "class Command(Django):\n    help = 'another'\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path, name
    get_commands.cache_clear()
    for module in [each for each in sys.modules if each.startswith(name)]:
        del sys.modules[module]
    sys.modules.pop("django_manticore.management.commands.migrate", None)


@pytest.mark.parametrize("first", [True, False])
def test_w010_another_apps_migrate_hides_ours_if_it_comes_first(
    site: Site, another_migrate: tuple[Path, str], first: bool
) -> None:
    from django.conf import settings

    ours = list(settings.INSTALLED_APPS)
    name = another_migrate[1]
    site.setting("INSTALLED_APPS", [name, *ours] if first else [*ours, name])
    sys.modules.pop("django_manticore.management.commands.migrate", None)
    get_commands.cache_clear()
    assert ids() == []
    site.entry(RUN_WITH_MIGRATE="after")
    if first:
        assert one() == (
            "manticore.W010",
            (
                "The migrate command of 'another_migrate' hides that of 'django_manticore'. With "
                "RUN_WITH_MIGRATE, migrate --fake would run the SQL scripts, and --plan and --check "
                "would not show them."
            ),
            "Put 'django_manticore' before 'another_migrate' in INSTALLED_APPS.",
        )
    else:
        assert ids() == []
        command = load_command_class("django_manticore", "migrate")
        assert command.help == "another"
        site.script("V1__a", "SELECT no_function()")
        site.call("migrate", fake=True, verbosity=0)
        assert site.versions() == [1]


def test_check_command_shows_them(site: Site, manage: Callable[..., Ran]) -> None:
    site.script("V1__a", "SELECT 1", None)
    ran = manage("check")
    assert ran.code == 0
    assert "(manticore.W002) V1__a.sql has no down section, so it cannot be rolled back." in ran.err


def test_w021_a_pending_script_has_an_error_of_the_linter(site: Site) -> None:
    site.script(
        "V1__rides", "CREATE TABLE rides (id INT8 PRIMARY KEY, city TEXT);", "DROP TABLE rides"
    )
    site.call("manticore_migrate", verbosity=0)
    site.script(
        "V2__drop", "ALTER TABLE rides DROP COLUMN city;", "ALTER TABLE rides ADD city TEXT;"
    )

    (danger,) = [each for each in found(databases=["default"]) if each.id == "manticore.W021"]

    assert danger.msg == (
        "default: V2__drop.sql:1: DROP COLUMN city deletes the column of rides with its data; programs "
        "that still use it fail."
    )
    assert (
        danger.hint
        == "See manticore_lint, or accept it there: -- manticore: allow=drop-column reason"
    )
    site.call("manticore_migrate", verbosity=0)
    assert ids(databases=["default"]) == []


@pytest.fixture
def squashed(site: Site) -> Site:
    """V1 is applied, B2 stands for V1 and V2, and both files are gone."""
    site.script("V1__a", "CREATE TABLE a (id INT8 PRIMARY KEY);", "DROP TABLE a;")
    site.script("V2__b", "CREATE TABLE b (id INT8 PRIMARY KEY);", "DROP TABLE b;")
    site.call("manticore_migrate", "1", verbosity=0)
    site.call("manticore_squash", "2", verbosity=0)
    for name in ("V1__a", "V2__b"):
        (site.folder / f"{name}.sql").unlink()
    return site


RESTORE = "Restore them from version control: only an empty database starts from a checkpoint."


def test_w030_a_file_is_needed_and_was_removed(squashed: Site) -> None:
    assert ledger() == (
        "manticore.W030",
        "default: 1 script must be applied, but its file was removed: V2.",
        RESTORE,
    )


def test_e030_it_is_an_error_where_migrate_would_need_it(squashed: Site) -> None:
    squashed.entry(RUN_WITH_MIGRATE="after")
    assert ledger() == (
        "manticore.E030",
        "default: 1 script must be applied, but its file was removed: V2.",
        RESTORE,
    )


def test_i030_files_may_be_removed(site: Site) -> None:
    site.script("V1__a", "CREATE TABLE a (id INT8 PRIMARY KEY);", "DROP TABLE a;")
    site.call("manticore_squash", "1", verbosity=0)
    site.call("manticore_migrate", verbosity=0)
    assert ledger() == (
        "manticore.I030",
        (
            "The file of version 1 may be removed: every configured database has it, or is empty and "
            "starts from B1__schema.sql."
        ),
        None,
    )


def test_every_id_is_documented_once_and_has_a_test() -> None:
    from django_manticore import checks

    documented = re.findall(r"^``manticore\.([EWI]\d{3})``", checks.__doc__ or "", re.MULTILINE)
    assert [each for each, times in Counter(documented).items() if times > 1] == []
    texts = "".join(
        path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*checks.py")
    )
    tested = {
        *re.findall(r"def test_([ewi]\d{3})_", texts),
        *("w008", "w009"),  # beside E014 and E015
        *(f"e{number:03}" for number in (*range(4, 11), 16, 31)),  # the table of values
    }
    assert {each.lower() for each in documented} == tested
