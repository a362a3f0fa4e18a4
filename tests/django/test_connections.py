"""From settings to where a database is, and to the engines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from manticore_cockroachdb.errors import SettingsError
from tests.django.conftest import Site


@pytest.fixture
def said(site: Site) -> Iterator[dict[str, Any]]:
    """Settings of Django's connection; restored afterwards."""
    from django.db import connections

    told = connections["default"].settings_dict
    before = {key: dict(value) if isinstance(value, dict) else value for key, value in told.items()}
    yield told
    told.clear()
    told.update(before)


def parameters(alias: str = "default") -> dict[str, str]:
    from django_manticore.conf import entry
    from django_manticore.connections import connection_settings

    return dict(connection_settings(entry(alias)).parameters)


def test_djangos_parameters_pass_and_its_own_options_do_not(said: dict[str, Any]) -> None:
    said.update(NAME="app", USER="me", PASSWORD="p w", HOST="db.example", PORT=26257)
    said["OPTIONS"] = {
        "sslmode": "verify-full",
        "sslrootcert": "/etc/ca.crt",
        "pool": True,
        "isolation_level": 2,
        "server_side_binding": True,
        "prepare_threshold": 5,
    }
    assert parameters() == {
        "dbname": "app",
        "user": "me",
        "password": "p w",
        "host": "db.example",
        "port": "26257",
        "sslmode": "verify-full",
        "sslrootcert": "/etc/ca.crt",
        "client_encoding": "UTF8",
    }


def test_a_service_is_libpqs_business(said: dict[str, Any]) -> None:
    said.update(NAME="", USER="", PASSWORD="", HOST="", PORT="", OPTIONS={"service": "app"})
    assert parameters() == {"service": "app", "client_encoding": "UTF8"}


def test_the_role_to_assume_becomes_a_session_setting(said: dict[str, Any]) -> None:
    said["OPTIONS"] = {"assume_role": "app owner", "options": "-c timezone=UTC"}
    assert parameters()["options"] == r"-c timezone=UTC -c role=app\ owner"


def test_an_unknown_option_is_refused(said: dict[str, Any]) -> None:
    said["OPTIONS"] = {"sslmod": "require"}
    with pytest.raises(SettingsError) as caught:
        parameters()
    assert str(caught.value) == (
        "DATABASES['default']['OPTIONS'] has 'sslmod', which is neither a connection parameter of "
        "libpq nor one of Django's own options."
    )


def test_a_key_that_is_not_an_alias_uses_its_url(site: Site) -> None:
    site.entry("away", MIGRATIONS_DIR=site.folder, URL="cockroachdb://me@db.example/app")
    assert parameters("away") == {
        "dbname": "app",
        "user": "me",
        "host": "db.example",
        "port": "26257",
    }


def test_a_url_beside_an_alias_never_leads_out_of_the_test_database(said: dict[str, Any]) -> None:
    from django.conf import settings

    settings.MANTICORE["default"]["URL"] = "postgresql://owner@db.example/app"
    said["NAME"] = "test_app"
    assert parameters() == {"dbname": "test_app", "user": "owner", "host": "db.example"}


def test_the_entry_becomes_the_engines_options(site: Site, tmp_path: Path) -> None:
    from django_manticore import get_async_migrator, get_migration
    from manticore_cockroachdb import Mode
    from manticore_cockroachdb._executor.options import Options

    site.entry(
        MIGRATIONS_DIR=[tmp_path / "one", str(tmp_path / "two")],
        TABLE="ledger",
        SCHEMA="ops",
        LOCK_TIMEOUT=5,
        LEASE=10,
        STATEMENT_TIMEOUT=60,
        MODE="stepwise",
        ALLOW_OUT_OF_ORDER=True,
        PLACEHOLDERS={"owner": "app"},
    )
    expected = Options(
        table="ops.ledger",
        lock_timeout=5,
        lease=10,
        statement_timeout=60,
        mode=Mode.STEPWISE,
        allow_out_of_order=True,
        placeholders={"owner": "app"},
    )
    for engine in (get_migration(), get_async_migrator()):
        assert engine.options == expected
        assert engine.folders == (tmp_path / "one", tmp_path / "two")
    assert get_migration(lock_timeout=0).options.lock_timeout == 0


def test_the_defaults_are_the_librarys(site: Site) -> None:
    from django.conf import settings

    from django_manticore import get_migration
    from manticore_cockroachdb._executor.options import Options

    site.setting("MANTICORE", {"default": {}})
    assert get_migration().options == Options()
    assert get_migration().folders == (settings.BASE_DIR / "migrations_sql",)


def test_settings_are_read_at_call_time(site: Site) -> None:
    from django.test import override_settings

    from django_manticore import get_migration

    with override_settings(MANTICORE={"default": {"MIGRATIONS_DIR": site.folder, "LEASE": 7}}):
        assert get_migration().options.lease == 7
    assert get_migration().options.lease == 30


def test_no_such_entry(site: Site) -> None:
    from django_manticore import get_migration

    with pytest.raises(SettingsError) as caught:
        get_migration("nowhere")
    assert str(caught.value) == (
        "MANTICORE has no entry 'nowhere' (it has: 'default'). Add one to the settings, or name "
        "another database."
    )


def test_both_engines_run(site: Site) -> None:
    from django_manticore import get_async_migrator, get_migration

    site.script("V1__a", "CREATE TABLE a (id INT)", "DROP TABLE a")
    assert get_migration().migrate() == 1

    async def back() -> int:
        return await get_async_migrator().rollback()

    assert asyncio.run(back()) == 1
    assert site.versions() == []
