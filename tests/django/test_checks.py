"""System checks: one test for each id, its message and its hint."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, Tags, run_checks

from tests.django.conftest import Ran, Site

KEYS = (
    "MIGRATIONS_DIR, TABLE, SCHEMA, LOCK_TIMEOUT, LEASE, STATEMENT_TIMEOUT, MODE, "
    "ALLOW_OUT_OF_ORDER, PLACEHOLDERS, RUN_WITH_MIGRATE, URL"
)
EXAMPLE = 'Write MANTICORE = {"default": {"MIGRATIONS_DIR": BASE_DIR / "migrations_sql"}}.'


def found(**options: Any) -> list[CheckMessage]:
    return [each for each in run_checks(**options) if (each.id or "").startswith("manticore.")]


def ids(**options: Any) -> list[str | None]:
    return [each.id for each in found(**options)]


def one(**options: Any) -> tuple[str | None, str, str | None]:
    (message,) = found(**options)
    return (message.id, message.msg, message.hint)


def test_a_sound_project_has_nothing(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    assert found() == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "The setting MANTICORE is missing."),
        (
            ["x"],
            "MANTICORE must be a dict from names of databases to their entries, not ['x'].",
        ),
    ],
)
def test_e001_no_setting(site: Site, value: object, message: str) -> None:
    site.setting("MANTICORE", value)
    assert one() == ("manticore.E001", message, EXAMPLE)


def test_e002_an_unknown_key(site: Site) -> None:
    site.entry(MIGRATION_DIR="x")
    assert one() == (
        "manticore.E002",
        "MANTICORE['default'] has an unknown key 'MIGRATION_DIR'.",
        f"Did you mean 'MIGRATIONS_DIR'? Known keys: {KEYS}.",
    )


def test_e002_an_entry_that_is_no_dict(site: Site) -> None:
    site.setting("MANTICORE", {"default": "migrations"})
    assert one() == (
        "manticore.E002",
        "MANTICORE['default'] must be a dict, not 'migrations'.",
        "Write {} to take every default.",
    )


def test_e003_no_such_database(site: Site) -> None:
    site.entry("elsewhere", MIGRATIONS_DIR=site.folder)
    assert one() == (
        "manticore.E003",
        (
            "MANTICORE['elsewhere']: there is no database 'elsewhere' in DATABASES (it has: 'default', "
            "'other'), and the entry has no URL."
        ),
        "Use an alias of DATABASES as the key, or give the entry a URL.",
    )


SECONDS = "it must be a number of seconds"


@pytest.mark.parametrize(
    ("id_", "key", "value", "message", "hint"),
    [
        (
            "E004",
            "MIGRATIONS_DIR",
            [],
            "[]: it is neither a path nor a list of paths.",
            'Write a path, such as BASE_DIR / "migrations_sql", or a list of paths.',
        ),
        ("E005", "TABLE", 7, "7: it is no text.", 'Write a name, such as "_migrations".'),
        (
            "E005",
            "TABLE",
            "a.b.c",
            (
                "'a.b.c': The table 'a.b.c' is not a name; write 'name' or 'schema.name', such as "
                "'_migrations' or 'ops._migrations'."
            ),
            'Write a name, such as "_migrations".',
        ),
        (
            "E005",
            "SCHEMA",
            "a.b",
            "'a.b': it is no name of a schema.",
            'Write a name, such as "public", or leave it out.',
        ),
        (
            "E006",
            "LOCK_TIMEOUT",
            -1,
            f"-1: {SECONDS}, 0 or more.",
            "Write seconds, such as 600; 0 waits not.",
        ),
        ("E006", "LEASE", "30", f"'30': {SECONDS}, 1 or more.", "Write seconds, such as 30."),
        (
            "E006",
            "STATEMENT_TIMEOUT",
            0,
            f"0: {SECONDS}, more than 0.",
            "Write seconds, or None for as long as it takes.",
        ),
        (
            "E007",
            "MODE",
            "quick",
            "'quick': there is no such mode.",
            'Write "atomic", "stepwise" or "autocommit", or leave it out.',
        ),
        (
            "E008",
            "ALLOW_OUT_OF_ORDER",
            1,
            "1: it is neither True nor False.",
            "Write True or False.",
        ),
        (
            "E009",
            "PLACEHOLDERS",
            {"a b": "x"},
            "{'a b': 'x'}: 'a b' is no name: letters, digits and underscores.",
            'Write a dict of texts, such as {"owner": "app"}.',
        ),
        (
            "E009",
            "PLACEHOLDERS",
            {"owner": 7},
            "{'owner': 7}: the value of 'owner' is no text.",
            'Write a dict of texts, such as {"owner": "app"}.',
        ),
        (
            "E010",
            "RUN_WITH_MIGRATE",
            "always",
            "'always': there is no such moment.",
            'Write "before" or "after", or leave it out.',
        ),
    ],
)
def test_values_that_make_no_sense(
    site: Site, id_: str, key: str, value: object, message: str, hint: str
) -> None:
    site.entry(**{key: value})
    assert one() == (f"manticore.{id_}", f"MANTICORE['default'][{key!r}] is {message}", hint)


def test_e005_a_schema_named_twice(site: Site) -> None:
    site.entry(SCHEMA="ops", TABLE="audit.ledger")
    assert one() == (
        "manticore.E005",
        "MANTICORE['default'] has a SCHEMA, and its TABLE 'audit.ledger' names one, too.",
        "Write the schema in one of the two.",
    )


def test_e010_run_with_migrate_of_what_django_never_migrates(site: Site) -> None:
    site.entry("away", MIGRATIONS_DIR=site.folder, URL="postgresql:///x", RUN_WITH_MIGRATE="after")
    assert one() == (
        "manticore.E010",
        (
            "MANTICORE['away'] has RUN_WITH_MIGRATE, but 'away' is no alias of DATABASES, so Django "
            "never migrates it."
        ),
        "Remove RUN_WITH_MIGRATE, or add the database to DATABASES.",
    )


def test_e011_a_url_that_cannot_be_read_and_whose_password_is_not_shown(site: Site) -> None:
    site.entry("away", MIGRATIONS_DIR=site.folder, URL="mysql://me:s3cret@host/db")
    assert one() == (
        "manticore.E011",
        (
            "MANTICORE['away']['URL']: The database URL's scheme is 'mysql'; write postgresql://, "
            "postgres:// or cockroachdb:// in front of user:password@host:port/database."
        ),
        "Write postgresql://user:password@host:port/database.",
    )


def test_e012_an_engine_that_is_not_supported(site: Site, another_engine: None) -> None:
    assert one() == (
        "manticore.E012",
        (
            "DATABASES['default'] has the engine 'django.db.backends.sqlite3'; SQL scripts run on "
            "CockroachDB ('django_cockroachdb') and PostgreSQL ('django.db.backends.postgresql') only."
        ),
        "Use a supported engine for this database, or give the entry a URL.",
    )


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
    id_, message, _ = one()
    assert (id_, message) == (
        "manticore.E013",
        "V1__a.sql:1: the placeholder ${reader} has no value",
    )


def test_w001_no_folder(site: Site, tmp_path: Path) -> None:
    site.entry(MIGRATIONS_DIR=tmp_path / "none")
    assert one() == (
        "manticore.W001",
        f"The migrations folder {tmp_path / 'none'} does not exist.",
        "Make it, or write the first script with manticore_makemigration, which makes it.",
    )


def test_w002_no_down_part_and_it_can_be_silenced(site: Site) -> None:
    site.script("V1__a", "SELECT 1", None)
    assert one() == (
        "manticore.W002",
        "V1__a.sql has no down part, so it cannot be rolled back.",
        "Add a line '-- DOWN' and the statements that revert it; or silence this check.",
    )
    site.setting("SILENCED_SYSTEM_CHECKS", ["manticore.W002"])
    assert [each.is_silenced() for each in found()] == [True]


def test_w003_a_url_beside_an_alias_that_names_another_database(site: Site) -> None:
    site.entry(URL="postgresql://h/elsewhere")
    name = site.urls["default"].rpartition("/")[2].partition("?")[0]
    assert one() == (
        "manticore.W003",
        (
            f"MANTICORE['default']['URL'] names the database 'elsewhere', but DATABASES names {name!r}, "
            "which is the one that is used."
        ),
        "Make both the same; or use a key that is no alias of DATABASES.",
    )


def test_ledgers_are_asked_only_for_databases_that_are_named(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    assert ids() == []
    assert ids(tags=[Tags.database], databases=["other"]) == []
    assert ids(tags=[Tags.database], databases=["default"]) == ["manticore.W004"]


def ledger() -> tuple[str | None, str, str | None]:
    return one(tags=[Tags.database], databases=["default"])


def test_w004_not_applied(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    site.script("V2__b", "SELECT 1")
    assert ledger() == (
        "manticore.W004",
        "default: 2 SQL script(s) not applied: V1, V2.",
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
    assert ledger() == (
        "manticore.E014",
        "default: V1__a.sql was changed after it was applied.",
        (
            "Restore it and put the change into a new script; or accept it: manticore_resolve "
            "--accept-checksum 1 --database default."
        ),
    )


def test_e015_somebody_elses_table(site: Site) -> None:
    site.query("CREATE TABLE _migrations (id INT PRIMARY KEY)")
    id_, message, hint = ledger()
    assert id_ == "manticore.E015"
    assert message.startswith("default: The table _migrations is not a Manticore ledger")
    assert hint == "Give this project a table of its own: TABLE in its entry of MANTICORE."


def test_w005_half_done(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    site.call("manticore_migrate")
    site.script("V2__b", "SELECT 1")
    site.query("UPDATE _migrations_state SET version = 2, direction = 'up', segment = 0")
    assert ledger() == (
        "manticore.W005",
        "default: V2__b.sql is half done.",
        "Run again what was stopped: manticore_migrate --database default, or manticore_rollback.",
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
    assert message.startswith("default: the ledger could not be asked: Could not connect to ")
    assert hint == "Check that the server is up, and the connection's parameters."


def test_check_command_shows_them(site: Site, manage: Callable[..., Ran]) -> None:
    site.script("V1__a", "SELECT 1", None)
    ran = manage("check")
    assert ran.code == 0
    assert "(manticore.W002) V1__a.sql has no down part, so it cannot be rolled back." in ran.err


def test_every_id_is_documented_once_and_has_a_test() -> None:
    from django_manticore import checks

    documented = re.findall(r"^``manticore\.([EW]\d{3})``", checks.__doc__ or "", re.MULTILINE)
    assert [each for each, times in Counter(documented).items() if times > 1] == []
    tested = {
        *re.findall(r"def test_([ew]\d{3})_", Path(__file__).read_text("utf-8")),
        *(f"e{number:03}" for number in range(4, 11)),  # the table of values
    }
    assert {each.lower() for each in documented} == tested


@pytest.fixture
def another_engine(site: Site) -> Iterator[None]:
    """DATABASES["default"] is SQLite."""
    from django.db import connections
    from django.db.backends.sqlite3.base import DatabaseWrapper

    before = connections["default"]
    engine = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    connections["default"] = DatabaseWrapper({**before.settings_dict, **engine}, "default")
    yield
    connections["default"] = before
