"""The admin's pages: what they show, to whom, and that nothing can be changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.django.conftest import Site

LIST = "/admin/django_manticore/migrationrecord/"


@pytest.fixture
def migrated(site: Site) -> Iterator[Site]:
    """Django's own tables are there, and scripts in several states."""
    site.call("migrate", verbosity=0)
    for version in (1, 2, 3):
        site.script(f"V{version}__part_{version}", f"SELECT {version}")
    site.call("manticore_migrate")
    site.script("V2__part_2", "SELECT '<b>' AS x -- a <script>")
    (site.folder / "V3__part_3.sql").unlink()
    site.script("V4__part_4", "SELECT 4", None)
    return site


def client(**user: Any) -> Any:
    """A browser where somebody is logged in."""
    from django.contrib.auth.models import Permission, User
    from django.test import Client

    permissions = user.pop("permissions", [])
    made = User.objects.create_user("ann", password="x", **user)
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(made)
    return browser


def client_of(name: str) -> Any:
    """A browser where somebody who exists already is logged in."""
    from django.contrib.auth.models import User
    from django.test import Client

    browser = Client()
    browser.force_login(User.objects.get(username=name))
    return browser


def text(response: Any) -> str:
    import html
    import re

    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", response.content.decode())).split())


def test_the_list_shows_every_state(migrated: Site) -> None:
    page = client(is_staff=True, is_superuser=True).get(LIST)
    assert page.status_code == 200
    shown = text(page)
    for line in (
        "V1 part 1 applied",
        "V2 part 2 drifted",
        "V3 part 3 missing",
        "V4 part 4 pending",
    ):
        assert line in shown
    assert "1 applied, 1 pending, 1 drifted, 1 missing" in shown


def test_a_script_is_shown_highlighted_and_escaped(migrated: Site) -> None:
    page = client(is_staff=True, is_superuser=True).get(f"{LIST}2/change/?database=default")
    assert page.status_code == 200
    body = page.content.decode()
    assert (
        '<pre class="manticore-sql"><span class="sql-keyword">SELECT</span> '
        '<span class="sql-string">&#x27;&lt;b&gt;&#x27;</span> '
        '<span class="sql-keyword">AS</span> x'
        '<span class="sql-comment"> -- a &lt;script&gt;</span></pre>' in body
    )


BREADCRUMBS = {
    False: (
        '<div class="breadcrumbs"> <a href="/admin/">Home</a> &rsaquo; <a '
        'href="/admin/django_manticore/migrationrecord/?database=default">SQL migrations</a> '
        "&rsaquo; V1__part_1.sql </div>"
    ),
    True: (
        '<ol class="breadcrumbs"> <li><a href="/admin/">Home</a></li> <li><a '
        'href="/admin/django_manticore/migrationrecord/?database=default">SQL migrations</a></li> '
        '<li aria-current="page">V1__part_1.sql</li> </ol>'
    ),
}


@pytest.mark.parametrize("are_a_list", [False, True])
def test_breadcrumbs_are_written_as_the_admin_of_this_django_styles_them(
    migrated: Site, monkeypatch: pytest.MonkeyPatch, are_a_list: bool
) -> None:
    from django_manticore import admin

    monkeypatch.setattr(admin, "_BREADCRUMBS_ARE_A_LIST", are_a_list)
    page = client(is_staff=True, is_superuser=True).get(f"{LIST}1/change/?database=default")
    assert BREADCRUMBS[are_a_list] in " ".join(page.content.decode().split())


def test_this_djangos_own_admin_has_the_same_breadcrumbs(migrated: Site) -> None:
    browser = client(is_staff=True, is_superuser=True)
    own = browser.get("/admin/auth/user/").content.decode()
    ours = browser.get(LIST).content.decode()
    for markup in ('<div class="breadcrumbs">', '<ol class="breadcrumbs">'):
        assert (markup in ours) == (markup in own)


def test_a_script_without_a_down_section_says_so(migrated: Site) -> None:
    page = client(is_staff=True, is_superuser=True).get(f"{LIST}4/change/?database=default")
    assert "No down section: this script cannot be rolled back." in text(page)


def test_an_unfinished_script_names_the_command_that_finishes_it(migrated: Site) -> None:
    migrated.script("V2__part_2", "SELECT 2")
    migrated.query(
        "UPDATE _migrations_state SET version = 4, direction = 'up', statements_done = 0, sent_at = now()"
    )
    page = client(is_staff=True, is_superuser=True).get(LIST)
    assert "V4 part 4 partially applied run manticore_migrate to finish it" in text(page)
    migrated.query("UPDATE _migrations_state SET version = 1, direction = 'down'")
    page = client_of("ann").get(LIST)
    assert "V1 part 1 partially reverted run manticore_rollback to finish it" in text(page)


def test_an_unfinished_script_shows_how_far_it_is_and_its_last_error(migrated: Site) -> None:
    migrated.script("V2__part_2", "SELECT 2")
    migrated.script("V4__part_4", "SELECT 4;\nSELECT 5;\nSELECT 6;", None)
    migrated.query(
        "UPDATE _migrations_state SET version = 4, direction = 'up', statements_done = 1, "
        "error = 'relation \"x\" does not exist'"
    )
    browser = client(is_staff=True, is_superuser=True)
    progress = "1 of 3 statements done"

    shown = text(browser.get(LIST))
    assert f"run manticore_migrate to finish it {progress}" in shown
    assert 'Last error: relation "x" does not exist' in shown

    shown = text(browser.get(f"{LIST}4/change/?database=default"))
    assert f"Progress {progress}" in shown
    assert 'Last error relation "x" does not exist' in shown


def test_pending_scripts_show_what_the_linter_reports(migrated: Site) -> None:
    migrated.script("V5__new", "CREATE TABLE parts (id INT8 PRIMARY KEY);", None)
    migrated.script("V6__drop", "DROP TABLE parts;", None)
    browser = client(is_staff=True, is_superuser=True)

    page = browser.get(LIST)
    assert re.search(r"V6 drop pending \d lint finding", text(page))
    assert "/admin/django_manticore/migrationrecord/6/change/?database=default#findings" in (
        page.content.decode()
    )

    shown = text(browser.get(f"{LIST}6/change/?database=default"))
    assert "Lint findings error line 1: DROP TABLE parts deletes" in shown


def test_the_list_shows_whether_the_schema_was_changed_by_hand(site: Site) -> None:
    site.entry("default", MIGRATIONS_DIR=site.folder, RECORD_SCHEMA=True)
    site.call("migrate", verbosity=0)
    site.script("V1__rides", "CREATE TABLE rides (id INT8 PRIMARY KEY);")
    browser = client(is_staff=True, is_superuser=True)
    assert "Not known. No run has recorded the schema." in text(browser.get(LIST))

    site.call("manticore_migrate")
    assert "The schema is as the last run left it." in text(browser.get(LIST))

    site.query("ALTER TABLE rides ADD COLUMN note TEXT")
    assert "The schema was changed after the last run." in text(browser.get(LIST))


def test_the_list_names_the_command_that_compares_the_schema(migrated: Site) -> None:
    shown = text(client(is_staff=True, is_superuser=True).get(LIST))
    assert "manage.py manticore_drift --database default" in shown


def test_every_database_has_its_list(migrated: Site) -> None:
    migrated.entry("other", MIGRATIONS_DIR=migrated.folder)
    browser = client(is_staff=True, is_superuser=True)
    assert "SQL migrations of default" in text(browser.get(LIST))
    other = text(browser.get(LIST, {"database": "other"}))
    assert "SQL migrations of other" in other
    assert "V1 part 1 pending" in other
    assert browser.get(LIST, {"database": "nowhere"}).status_code == 404


def test_the_page_reports_a_server_that_is_down(migrated: Site) -> None:
    migrated.entry("away", MIGRATIONS_DIR=migrated.folder, URL="postgresql://127.0.0.1:1/x")
    browser = client(is_staff=True, is_superuser=True)
    for page in (LIST, f"{LIST}1/change/"):
        answer = browser.get(page, {"database": "away"})
        assert answer.status_code == 200
        assert "Could not connect to 127.0.0.1:1/x" in text(answer)


@pytest.mark.needs_postgresql("CockroachDB has no table locks")
def test_the_page_reports_a_run_that_holds_the_ledger(
    migrated: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from django_manticore import admin

    monkeypatch.setattr(admin, "_PATIENCE", 0.0)
    browser = client(is_staff=True, is_superuser=True)
    with psycopg.connect(migrated.urls["default"]) as runner:
        runner.execute("LOCK TABLE _migrations_state IN ACCESS EXCLUSIVE MODE")
        page = browser.get(f"{LIST}1/change/?database=default")
    assert page.status_code == 200
    assert (
        "A run holds the ledger in its open transaction. This page reloads until it can be read."
    ) in text(page)
    assert '<meta http-equiv="refresh" content="5">' in page.content.decode()
    assert "V1" in text(browser.get(LIST))


@pytest.mark.parametrize(
    ("user", "status"),
    [
        ({"is_staff": True, "permissions": ["view_migrationrecord"]}, 200),
        ({"is_staff": True}, 403),
        ({}, 302),
    ],
    ids=["permitted", "staff", "nobody"],
)
def test_the_view_permission_is_needed(migrated: Site, user: dict[str, Any], status: int) -> None:
    browser = client(**user)
    assert browser.get(LIST).status_code == status
    assert browser.get(f"{LIST}1/change/").status_code == status


def test_nothing_can_be_changed(migrated: Site) -> None:
    browser = client(is_staff=True, is_superuser=True)
    before = migrated.query("SELECT * FROM _migrations ORDER BY 1")
    assert browser.get(f"{LIST}add/").status_code == 404
    assert browser.post(f"{LIST}add/", {"version": "9"}).status_code == 405
    assert browser.post(f"{LIST}1/change/", {"version": "9"}).status_code == 405
    assert browser.post(f"{LIST}1/delete/", {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": ["1"]}
    assert browser.post(LIST, data).status_code == 405
    assert browser.get(f"{LIST}1/history/").status_code == 404
    assert migrated.query("SELECT * FROM _migrations ORDER BY 1") == before


def test_the_model_cannot_be_saved_or_deleted(site: Site) -> None:
    from django_manticore.models import MigrationRecord

    record = MigrationRecord(version=1)
    with pytest.raises(TypeError, match="cannot be saved"):
        record.save()
    with pytest.raises(TypeError, match="cannot be deleted"):
        record.delete()


def test_dumpdata_finds_nothing_of_it(migrated: Site) -> None:
    migrated.query("CREATE TABLE scooters (code TEXT PRIMARY KEY)")
    for options in ({}, {"use_base_manager": True}):
        assert "migrationrecord" not in migrated.call("dumpdata", "django_manticore", **options)
        migrated.call("dumpdata", **options)


def test_the_index_lists_it_and_makemigrations_leaves_it_alone(migrated: Site) -> None:
    browser = client(is_staff=True, is_superuser=True)
    assert "SQL migrations" in text(browser.get("/admin/"))
    assert migrated.call("makemigrations", check=True, dry_run=True) == "No changes detected\n"
