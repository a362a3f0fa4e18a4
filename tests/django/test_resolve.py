"""`manticore_resolve`: shows what is known, asks, records the answer."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.django.conftest import Ran, Site

Manage = Callable[..., Ran]


@pytest.fixture
def partially_applied(site: Site) -> Site:
    """Version 2 is partially applied."""
    site.script("V1__a", "CREATE TABLE a (id INT)", "DROP TABLE a")
    site.script("V2__b", "CREATE TABLE b (id INT);\nCREATE INDEX i ON b (id);", "DROP TABLE b")
    site.call("manticore_migrate", "1")
    site.query(
        "UPDATE _migrations_state SET version = 2, direction = 'up', statements_done = 1, "
        "in_flight = true, "
        "sent_at = now(), error = 'the disk is full'"
    )
    return site


KNOWN = (
    "Lease: nobody holds it.\n"
    "Unfinished: V2__b.sql (up), 1 statement done.\n"
    "  Sent, and never answered: line 2: CREATE INDEX i ON b (id) (schema)\n"
    "Last error: the disk is full\n"
)


def test_applied(partially_applied: Site) -> None:
    out = partially_applied.call("manticore_resolve", applied=2, interactive=False)
    assert out == KNOWN + "Recorded version 2 as applied.\n"
    assert partially_applied.versions() == [1, 2]
    assert partially_applied.call("manticore_migrate").endswith("  No migrations to apply.\n")


def test_not_applied(partially_applied: Site) -> None:
    out = partially_applied.call("manticore_resolve", not_applied=2, interactive=False)
    assert out == KNOWN + "Recorded version 2 as not applied.\n"
    assert partially_applied.versions() == [1]
    assert partially_applied.call("manticore_showmigrations").endswith(" [X] V1__a\n [ ] V2__b\n")


def test_it_asks_first(
    partially_applied: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    ran = manage("manticore_resolve", "--applied", "2")
    assert ran == Ran(
        0,
        KNOWN + "Record version 2 as applied on 'default'? Manticore cannot verify this.\n"
        "\n"
        "    Type 'yes' to continue, or 'no' to cancel: Nothing was changed.\n",
        "",
    )
    assert partially_applied.versions() == [1]


STALE = (
    "CommandError: A runner has run since the database was looked at. Look again "
    "(manticore_resolve without an option), and decide again. Nothing was changed.\n"
)


def test_what_a_colleague_has_finished_meanwhile_is_not_taken_out(
    partially_applied: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    partially_applied.query("CREATE TABLE b (id INT)")

    def colleague(_prompt: str) -> str:
        partially_applied.call("manticore_migrate", verbosity=0)
        return "yes"

    monkeypatch.setattr("builtins.input", colleague)
    ran = manage("manticore_resolve", "--not-applied", "2")
    assert (ran.code, ran.err) == (5, STALE)
    assert partially_applied.versions() == [1, 2]


def test_the_lease_of_another_runner_than_was_shown_is_not_broken(
    site: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.script("V1__a", "SELECT 1")
    site.call("manticore_migrate")
    held = (
        "UPDATE _migrations_state SET owner = '{}:1:aa', epoch = epoch + 1, "
        "expires_at = now() + INTERVAL '1 hour'"
    )
    site.query(held.format("gone"))

    def colleague(_prompt: str) -> str:
        site.query(held.format("alive"))
        return "yes"

    monkeypatch.setattr("builtins.input", colleague)
    ran = manage("manticore_resolve", "--unlock")
    assert (ran.code, ran.err) == (5, STALE)
    assert site.query("SELECT owner FROM _migrations_state") == [("alive:1:aa",)]


def test_an_old_error_is_not_shown_once_nothing_is_unfinished(site: Site, manage: Manage) -> None:
    site.script("V1__a", "SELECT no_function()")
    assert manage("manticore_migrate").code == 4
    site.script("V1__a", "SELECT 1")
    assert site.query("SELECT error IS NOT NULL FROM _migrations_state") == [(True,)]
    assert manage("manticore_resolve").out == "Lease: nobody holds it.\nUnfinished: nothing.\n"


def test_accept_checksum(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    site.call("manticore_migrate")
    site.script("V1__a", "SELECT 1 -- why")
    out = site.call("manticore_resolve", accept_checksum=1, interactive=False)
    assert out.splitlines()[-1] == "Recorded the new checksum of version 1."
    assert site.call("manticore_showmigrations") == "default\n [X] V1__a\n"


def test_unlock(site: Site) -> None:
    site.script("V1__a", "SELECT 1")
    site.call("manticore_migrate")
    assert site.call("manticore_resolve", unlock=True, interactive=False) == (
        "Lease: nobody holds it.\nUnfinished: nothing.\nNobody holds the lease.\n"
    )
    site.query(
        "UPDATE _migrations_state SET owner = 'gone:1:aa', expires_at = now() + INTERVAL '1 hour'"
    )
    out = site.call("manticore_resolve", unlock=True, interactive=False)
    assert out.splitlines()[0].startswith("Lease: gone:1:aa (expires in ")
    assert out.splitlines()[-1] == "Broke the lease of gone:1:aa."


def test_without_an_option_it_only_shows(partially_applied: Site, manage: Manage) -> None:
    partially_applied.query("UPDATE _migrations_state SET owner = 'gone:1:aa', expires_at = now()")
    before = partially_applied.query("SELECT * FROM _migrations_state")
    assert manage("manticore_resolve") == Ran(
        0,
        KNOWN.replace("nobody holds it.", "gone:1:aa (has expired; no session)."),
        "",
    )
    assert partially_applied.query("SELECT * FROM _migrations_state") == before
    assert partially_applied.versions() == [1]


def test_looking_at_a_database_without_tables_makes_none(site: Site, manage: Manage) -> None:
    assert manage("manticore_resolve", "--verbosity", "0") == Ran(
        0, "Lease: nobody holds it.\nUnfinished: nothing.\n", ""
    )
    assert site.query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


def test_an_unknown_version_ends_with_5(site: Site, manage: Manage) -> None:
    ran = manage("manticore_resolve", "--applied", "7", "--noinput")
    assert ran.code == 5
    assert ran.err.startswith("CommandError: There is no version 7")
