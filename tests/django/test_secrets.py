"""No password is shown by a check, an error or a `repr`, whatever shape the setting has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.django.conftest import Site

MARKER = "hunter2Zq"

#: A password among characters that URLs and connection strings give a meaning to.
PASSWORDS = st.builds(
    "{}{}{}".format,
    st.text("ab/@:?#%=& [", max_size=3),
    st.just(MARKER),
    st.text("ab/@:?#%=& ]", max_size=3),
)
WAYS_TO_CONNECT = st.sampled_from(
    [
        "postgresql://u:{}@h/db",
        "postgres://u:{}@h:5432/db?sslmode=require",
        "cockroachdb://u:{}@h1,h2:26257/db",
        "postgresql://u:{}@h:port/db",
        "postgresql://u:{}@[::1/db",
        "postgresql://u:{}@h/db?no_such_option=1",
        "postgresql://u:{}@h/db?sslmode",
        "postgresql://u:%zz{}@h/db",
        "postgresql://h/db?user=u&password={}",
        "postgresql://h/db?user=u&password={}&port=x",
        "mysql://u:{}@h/db",
        "u:{}@h/db",
        "u:{}@h://db",
        "postgresql:/u:{}@h/db",
        "postgresql:u:{}@h/db",
        "host=h user=u password={}",
        "password = '{}' host=h",
    ]
)
SECRETS = st.builds(str.format, WAYS_TO_CONNECT, PASSWORDS)
KEYS = st.sampled_from(
    [
        *(
            "MIGRATIONS_DIR",
            "TABLE",
            "SCHEMA",
            "LOCK_TIMEOUT",
            "LEASE",
            "STATEMENT_TIMEOUT",
            "MODE",
        ),
        *("ALLOW_OUT_OF_ORDER", "PLACEHOLDERS", "RUN_WITH_MIGRATE", "URL", "PASSWORD"),
    ]
)
VALUES = st.recursive(
    st.one_of(SECRETS, SECRETS.map(Path), SECRETS.map(str.encode), st.none(), st.integers()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.tuples(inner),
        st.dictionaries(st.one_of(KEYS, SECRETS), inner, max_size=2),
    ),
    max_leaves=4,
)
ENTRIES = st.one_of(VALUES, st.dictionaries(st.one_of(KEYS, SECRETS), VALUES, max_size=3))
SETTINGS = st.one_of(
    VALUES,
    st.dictionaries(st.sampled_from(["default", "away"]), ENTRIES, min_size=1),
    st.dictionaries(st.one_of(st.just("default"), SECRETS), ENTRIES, min_size=1, max_size=2),
)


@given(setting=SETTINGS)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(setting={"default": f"postgresql://u:{MARKER}@h/db"})
@example(setting={"default": {"PLACEHOLDERS": {"owner": [f"postgresql://u:{MARKER}@h/db"]}}})
@example(setting={f"postgresql://u:{MARKER}@h/db": {}})
def test_no_shape_of_the_setting_shows_a_password(site: Site, setting: Any) -> None:
    from django.test import override_settings

    with override_settings(MANTICORE=setting):
        shown = "\n".join(said())
    assert MARKER not in shown


def said() -> list[str]:
    """Every text about the setting: checks, errors, and the text form of what is valid."""
    from django_manticore import conf, get_migration
    from manticore_cockroachdb.errors import SettingsError

    texts = [f"{found.msg}\n{found.hint}\n{found.obj}\n{found!r}" for found in run_checks()]
    for alias in ("default", "away"):
        for look in (conf.entry, get_migration):
            try:
                valid = look(alias)
            except SettingsError as error:
                texts.append(f"{error}\n{error!r}")
            else:
                options = getattr(valid, "options", None)
                texts.append(f"{valid!r}\n{options!r}")
    return texts


def test_the_text_form_of_an_entry_has_neither_url_nor_placeholders(site: Site) -> None:
    from django_manticore import conf, get_migration

    site.entry(URL=f"postgresql://u:{MARKER}@h/db", PLACEHOLDERS={"password": MARKER})
    assert MARKER not in repr(conf.entry("default"))
    assert MARKER not in repr(get_migration().options)
    assert repr(get_migration().db.settings).startswith("<ConnectionSettings h/")


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (
            f"postgresql://u:{MARKER}@h/db",
            "MANTICORE['default'] must be a dict; got a str.",
            'Write {"URL": …} to give a database URL.',
        ),
        ([], "MANTICORE['default'] must be a dict; got an empty list.", None),
        (7, "MANTICORE['default'] must be a dict; got 7.", None),
    ],
)
def test_an_entry_that_is_not_a_dict_is_named_by_its_type(
    site: Site, value: object, message: str, hint: str | None
) -> None:
    site.setting("MANTICORE", {"default": value})
    (found,) = [each for each in run_checks() if (each.id or "").startswith("manticore.")]
    assert found.msg == message
    assert found.hint == (hint or "Write {} to take every default.")
