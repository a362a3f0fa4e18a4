"""System checks of the setting: one test for each id, its message and its hint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.django.conftest import Ran, Site
from tests.django.reported import one

KEYS = (
    "MIGRATIONS_DIR, TABLE, SCHEMA, LOCK_TIMEOUT, LEASE, STATEMENT_TIMEOUT, "
    "DDL_LOCK_TIMEOUT, LOCK_RETRIES, MODE, "
    "ALLOW_OUT_OF_ORDER, RECORD_SCHEMA, PLACEHOLDERS, RUN_WITH_MIGRATE, DRIFT_IGNORE, LINT, LISTENERS, URL"
)
MODES = "'atomic', 'stepwise' or 'autocommit'"
EXAMPLE = 'Write MANTICORE = {"default": {"MIGRATIONS_DIR": BASE_DIR / "migrations_sql"}}.'
PATHS = "must be a path or a list of paths"
TABLES = "must be a table's name, such as 'name' or 'schema.name', of at most 57 bytes"
SECONDS = "must be a number of seconds"
CONNECTION = "not a database URL or connection string."
PATH_HINT = 'Write a path, such as BASE_DIR / "migrations_sql", or a list of paths.'
TABLE_HINT = 'Write a name, such as "_migrations".'
SCHEMA_HINT = 'Write a name, such as "public", or leave it out.'
PLACEHOLDERS_HINT = 'Write a dict of strings, such as {"owner": "app"}.'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "The setting MANTICORE is missing."),
        (
            ["x"],
            "MANTICORE must be a dict from database aliases to their entries; got a list.",
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
        "MANTICORE['default'] has an unknown key: 'MIGRATION_DIR'.",
        f"Did you mean 'MIGRATIONS_DIR'? Known keys: {KEYS}.",
    )


def test_e002_an_entry_that_is_not_a_dict(site: Site) -> None:
    site.setting("MANTICORE", {"default": "migrations"})
    assert one() == (
        "manticore.E002",
        "MANTICORE['default'] must be a dict; got a str.",
        "Write {} to take every default.",
    )


def test_e003_no_such_database(site: Site) -> None:
    site.entry("elsewhere", MIGRATIONS_DIR=site.folder)
    assert one() == (
        "manticore.E003",
        (
            "MANTICORE['elsewhere']: DATABASES has no 'elsewhere' (it has: 'default', 'other'), and the "
            "entry has no URL."
        ),
        "Use an alias of DATABASES as the key, or give the entry a URL.",
    )


@pytest.mark.parametrize(
    ("id_", "key", "value", "message", "hint"),
    [
        ("E004", "MIGRATIONS_DIR", [], f"{PATHS}; got an empty list.", PATH_HINT),
        ("E004", "MIGRATIONS_DIR", 7, f"{PATHS}; got 7.", PATH_HINT),
        ("E004", "MIGRATIONS_DIR", "u:pw@h/db", f"{PATHS}, {CONNECTION}", PATH_HINT),
        ("E005", "TABLE", 7, f"{TABLES}; got 7.", TABLE_HINT),
        ("E005", "TABLE", "a.b.c", f"{TABLES}.", TABLE_HINT),
        ("E005", "TABLE", "host=h password=x", f"{TABLES}, {CONNECTION}", TABLE_HINT),
        ("E005", "SCHEMA", "a.b", "must be a schema's name without a dot.", SCHEMA_HINT),
        (
            "E006",
            "LOCK_TIMEOUT",
            -1,
            f"{SECONDS}, 0 or more; got -1.",
            "Write seconds, such as 600, or 0 to fail immediately.",
        ),
        ("E006", "LEASE", "30", f"{SECONDS}, 1 or more; got a str.", "Write seconds, such as 30."),
        (
            "E006",
            "STATEMENT_TIMEOUT",
            0,
            f"{SECONDS}, more than 0; got 0.",
            "Write seconds, or None for no limit.",
        ),
        ("E007", "MODE", "quick", f"must be {MODES}.", f"Write {MODES}, or leave it out."),
        ("E007", "MODE", True, f"must be {MODES}; got True.", f"Write {MODES}, or leave it out."),
        (
            "E008",
            "ALLOW_OUT_OF_ORDER",
            1,
            "must be True or False; got 1.",
            "Write True or False.",
        ),
        ("E031", "RECORD_SCHEMA", "x", "must be True or False; got a str.", "Write True or False."),
        (
            "E009",
            "PLACEHOLDERS",
            {"a b": "x"},
            (
                "must have names of letters, digits and underscores that do not begin with a digit; got "
                "'a b'."
            ),
            PLACEHOLDERS_HINT,
        ),
        (
            "E009",
            "PLACEHOLDERS",
            {"owner": 7},
            "must have a str for 'owner'; got 7.",
            PLACEHOLDERS_HINT,
        ),
        (
            "E010",
            "RUN_WITH_MIGRATE",
            "always",
            "must be 'before' or 'after'.",
            'Write "before" or "after", or leave it out.',
        ),
        (
            "E016",
            "DRIFT_IGNORE",
            "table public.audit_*",
            "must be a list of strings; got a str.",
            'Write a list of patterns, such as ["table public.audit_*"].',
        ),
    ],
)
def test_values_that_are_invalid(
    site: Site, id_: str, key: str, value: object, message: str, hint: str
) -> None:
    site.entry(**{key: value})
    assert one() == (f"manticore.{id_}", f"MANTICORE['default'][{key!r}] {message}", hint)


def test_e005_a_schema_named_twice(site: Site) -> None:
    site.entry(SCHEMA="ops", TABLE="audit.ledger")
    assert one() == (
        "manticore.E005",
        "MANTICORE['default'] has a SCHEMA, and its TABLE 'audit.ledger' names a schema too.",
        "Write the schema in one of the two.",
    )


def test_e010_run_with_migrate_of_what_django_never_migrates(site: Site) -> None:
    site.entry("away", MIGRATIONS_DIR=site.folder, URL="postgresql:///x", RUN_WITH_MIGRATE="after")
    assert one() == (
        "manticore.E010",
        (
            "MANTICORE['away'] has RUN_WITH_MIGRATE, but 'away' is not an alias of DATABASES, so Django "
            "never migrates it."
        ),
        "Remove RUN_WITH_MIGRATE, or add the database to DATABASES.",
    )


def test_e011_a_url_that_cannot_be_read_and_whose_password_is_not_shown(site: Site) -> None:
    site.entry("away", MIGRATIONS_DIR=site.folder, URL="mysql://me:s3cret@host/db")
    assert one() == (
        "manticore.E011",
        (
            "MANTICORE['away']['URL'] is invalid: The database URL's scheme is 'mysql'; write "
            "postgresql://, postgres:// or cockroachdb:// in front of user:password@host:port/database."
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


def test_w003_a_url_beside_an_alias_that_names_another_database(site: Site) -> None:
    site.entry(URL="postgresql://h/elsewhere")
    name = site.urls["default"].rpartition("/")[2].partition("?")[0]
    assert one() == (
        "manticore.W003",
        (
            f"MANTICORE['default']['URL'] names the database 'elsewhere', but DATABASES names {name!r}, "
            "which is used."
        ),
        "Make both the same, or use a key that is not an alias of DATABASES.",
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("strict", "must be a dict; got a str."),
        ({"rule": {}}, "has an unknown key 'rule'."),
        ({"rules": ["drop-table"]}, "must have a dict as 'rules'."),
        (
            {"rules": {"drop-tabel": "off"}},
            "is invalid: there is no rule 'drop-tabel'; did you mean 'drop-table'?",
        ),
        (
            {"rules": {"drop-table": "fatal"}},
            (
                "is invalid: 'fatal' is not a severity for the rule 'drop-table'; "
                "write 'error', 'warning', 'note', 'off'."
            ),
        ),
        (
            {"severity": "fatal"},
            "is invalid: 'fatal' is not a severity; write 'error', 'warning', 'note'.",
        ),
        (
            {"server": "mysql"},
            (
                "is invalid: 'mysql' is not a server; "
                "write cockroachdb:25.4 or postgresql:17, or the name alone."
            ),
        ),
        ({"server": 25}, "must have a str or a list of str as 'server'."),
    ],
)
def test_e021_an_invalid_setting(
    site: Site, manage: Callable[..., Ran], value: Any, message: str
) -> None:
    site.entry(LINT=value)

    assert one() == (
        "manticore.E021",
        f"MANTICORE['default']['LINT'] {message}",
        'Write a dict such as {"server": "cockroachdb:25.4", "rules": {"short-key": "off"}}.',
    )
    assert message in manage("manticore_lint", "--all").err


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a.b", "must be a list of dotted paths; got a str."),
        (["nowhere.Listener"], "is invalid: No module named 'nowhere'"),
    ],
)
def test_e022_a_listener_that_is_not_found(site: Site, value: Any, message: str) -> None:
    site.entry(LISTENERS=value)
    assert one() == (
        "manticore.E022",
        f"MANTICORE['default']['LISTENERS'] {message}",
        'Write a list of dotted paths, such as ["manticore_cockroachdb.telemetry.LogListener"].',
    )


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
