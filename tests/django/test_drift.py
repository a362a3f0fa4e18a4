"""`manticore_drift` and `manticore_snapshot`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from manticore_cockroachdb.testing import RunningServer
from tests.django.conftest import Site

UP = """CREATE TABLE users (id INT8 PRIMARY KEY, email TEXT NOT NULL);
CREATE INDEX by_email ON users (email);"""

ADVICE = (
    "    Add a '-- DOWN' line and the statements that revert it, or mark it with "
    "'-- manticore: irreversible'."
)


@pytest.fixture
def applied(site: Site) -> Site:
    site.script("V1__users", UP)
    site.call("manticore_migrate", verbosity=0)
    return site


def test_nothing_differs_where_nobody_changed_anything(
    applied: Site, manage: Callable[..., Any]
) -> None:
    ran = manage("manticore_drift", "--no-color")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("default: nothing differs (")
    assert ran.out.endswith(" objects compared at version 1)\n")


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
def test_each_difference_is_reported_with_the_statements_for_it(
    applied: Site, manage: Callable[..., Any]
) -> None:
    applied.query("DROP INDEX by_email")
    applied.query("ALTER TABLE users ADD COLUMN nickname TEXT")

    ran = manage("manticore_drift", "--no-color")

    assert ran.code == 1
    assert ran.out.split("\n", 1)[1] == (
        "  missing index public.by_email: the scripts create it; the database does not have it.\n"
        "    To make the database match the scripts:\n"
        "      CREATE INDEX by_email ON public.users USING btree (email);\n"
        "    To keep it, put this into a new script:\n"
        "      DROP INDEX public.by_email;\n"
        "  changed table public.users: it is not as the scripts create it.\n"
        "    column nickname is extra: nickname text\n"
        "    To make the database match the scripts:\n"
        "      ALTER TABLE public.users DROP COLUMN nickname;\n"
        "    To keep it, put this into a new script:\n"
        "      ALTER TABLE public.users ADD COLUMN nickname text;\n"
        "  To make all of them match the scripts, in an order that can be run:\n"
        "      ALTER TABLE public.users DROP COLUMN nickname;\n"
        "      CREATE INDEX by_email ON public.users USING btree (email);\n"
    )
    assert ran.err == "CommandError: The database does not match its scripts.\n"


def test_the_json_report_has_every_difference(applied: Site, manage: Callable[..., Any]) -> None:
    applied.query("CREATE TABLE surplus (id INT8 PRIMARY KEY)")

    ran = manage("manticore_drift", "--json")

    report = json.loads(ran.out)
    assert (ran.code, report["ok"], report["format"]) == (1, False, 1)
    (database,) = report["databases"]
    assert (database["database"], database["version"], database["ok"]) == ("default", 1, False)
    (difference,) = database["differences"]
    assert (difference["change"], difference["kind"], difference["name"]) == (
        "extra",
        "table",
        "public.surplus",
    )
    assert difference["repair"] == ["DROP TABLE public.surplus"]


def test_patterns_come_from_the_setting_and_from_the_command(
    applied: Site, manage: Callable[..., Any]
) -> None:
    applied.query("CREATE TABLE surplus (id INT8 PRIMARY KEY)")
    applied.query("CREATE TABLE audit_log (id INT8 PRIMARY KEY)")
    applied.entry(DRIFT_IGNORE=["table public.audit_*", "view no_such"])

    ran = manage("manticore_drift", "--no-color", "--ignore", "table public.surplus")

    assert ran.code == 0
    assert ran.out.split("\n")[1:] == [
        "  The ignored pattern 'view no_such' matches nothing that differs.",
        "",
    ]


def test_tables_of_models_are_expected(site: Site, manage: Callable[..., Any]) -> None:
    site.call("migrate", verbosity=0)
    site.script("V1__refers", "CREATE TABLE ours (id INT8 PRIMARY KEY);")
    site.call("manticore_migrate", verbosity=0)

    ran = manage("manticore_drift", "--no-color")

    assert (ran.code, ran.err) == (0, "")


def test_a_changed_table_of_a_model_is_found(site: Site, manage: Callable[..., Any]) -> None:
    site.call("migrate", verbosity=0)
    site.call("manticore_migrate", verbosity=0)
    site.query("ALTER TABLE django_migrations ADD COLUMN extra INT8")

    ran = manage("manticore_drift", "--no-color")

    assert ran.code == 1
    assert (
        "  changed table public.django_migrations: it is not as the scripts create it.\n" in ran.out
    )


def test_a_scratch_database_may_be_made_beside_another_one(
    applied: Site, server: RunningServer, manage: Callable[..., Any]
) -> None:
    ran = manage("manticore_drift", "--no-color", "--scratch", server.url)

    assert (ran.code, ran.err) == (0, "")


def test_a_snapshot_is_written_and_found_to_be_fresh(
    applied: Site, manage: Callable[..., Any], server_kind: str
) -> None:
    path = applied.folder.parent / f"schema.{server_kind}.sql"

    written = manage("manticore_snapshot")
    checked = manage("manticore_snapshot", "--check")

    assert written.out == f"Wrote {path}.\n"
    assert checked.out == f"{path} is what the scripts create.\n"
    assert "CREATE TABLE public.users" in path.read_text("utf-8")
    assert [each.name for each in applied.folder.parent.iterdir() if "new" in each.name] == []


def test_a_stale_snapshot_is_an_error(
    applied: Site, manage: Callable[..., Any], server_kind: str
) -> None:
    path = applied.folder.parent / f"schema.{server_kind}.sql"
    manage("manticore_snapshot")
    applied.script("V2__more", "CREATE TABLE more (id INT8 PRIMARY KEY);")

    ran = manage("manticore_snapshot", "--check")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"CommandError: {path} is stale: it was made at version 1, and the scripts end at 2. "
        "Run manticore_snapshot.\n"
    )


def test_a_missing_snapshot_is_an_error(applied: Site, manage: Callable[..., Any]) -> None:
    ran = manage("manticore_snapshot", "--check", "--output", "nowhere.sql")

    assert ran.code == 1
    assert ran.err == (
        "CommandError: There is no snapshot: nowhere.sql is missing. Run manticore_snapshot.\n"
    )


def test_a_folder_that_cannot_be_written_to_is_an_error(
    applied: Site, manage: Callable[..., Any]
) -> None:
    path = applied.folder / "no such folder" / "schema.sql"

    ran = manage("manticore_snapshot", "--output", str(path))

    assert ran.code == 1
    assert ran.err == (
        f"CommandError: {path} could not be written: No such file or directory. Nothing was changed.\n"
    )


def test_another_database_has_a_separate_file(
    applied: Site, manage: Callable[..., Any], server_kind: str
) -> None:
    applied.entry("other", MIGRATIONS_DIR=applied.folder)

    ran = manage("manticore_snapshot", "--database", "other")

    path = applied.folder.parent / f"schema.other.{server_kind}.sql"
    assert ran.out == f"Wrote {path}.\n"
    assert path.exists()


def test_a_rehearsal_tells_which_scripts_do_not_come_back(
    site: Site, manage: Callable[..., Any]
) -> None:
    site.script("V1__users", UP, "DROP TABLE users;")
    site.script("V2__pets", "CREATE TABLE IF NOT EXISTS pets (id INT8 PRIMARY KEY);", "SELECT 1;")
    site.script("V3__none", "SELECT 1;", None)

    ran = manage("manticore_rehearse", "--no-color")

    lines = [line.partition(" (")[0] for line in ran.out.split("\n")]
    assert lines == [
        "Rehearsing the scripts of default:",
        "  [1/3] V1__users comes back",
        "  [2/3] V2__pets does not come back",
        "  [3/3] V3__none has no down section",
        "  V2__pets.sql does not come back:",
        "    V2__pets.sql:1: table public.pets is left behind by the down section.",
        "  V3__none.sql has no down section:",
        ADVICE,
        "default: 1 of 3 scripts can be applied, reverted and applied again.",
        "",
    ]
    assert (ran.code, ran.err) == (
        1,
        "CommandError: Not every script can be applied, reverted and applied again.\n",
    )


def test_a_rehearsals_json_report_has_every_script(site: Site, manage: Callable[..., Any]) -> None:
    site.script("V1__users", UP, "DROP TABLE users;")

    ran = manage("manticore_rehearse", "--json", "--all")

    report = json.loads(ran.out)
    assert (ran.code, report["ok"]) == (0, True)
    (script,) = report["databases"][0]["scripts"]
    assert (script["version"], script["outcome"], script["ok"]) == (1, "comes back", True)


def test_nothing_pending_is_nothing_to_rehearse(applied: Site, manage: Callable[..., Any]) -> None:
    ran = manage("manticore_rehearse", "--no-color")

    assert (ran.code, ran.out.split("\n")[1]) == (0, "default: there is nothing to rehearse.")


def test_cuts_are_counted_by_how_the_run_recovered(site: Site, manage: Callable[..., Any]) -> None:
    site.script("V1__users", "CREATE TABLE users (id INT8 PRIMARY KEY);", "DROP TABLE users;")

    ran = manage("manticore_rehearse", "--no-color", "--crash")

    assert ran.code == 0
    assert ran.out.split("\n")[2:] == [
        "  V1__users.sql: 4 cuts: 4 recovered by the same run",
        "default: 1 of 1 script can be applied, reverted and applied again.",
        "",
    ]


def test_a_quick_look_needs_no_scratch_database(site: Site, manage: Callable[..., Any]) -> None:
    site.script("V1__users", UP)
    site.entry(RECORD_SCHEMA=True)
    ran = manage("manticore_drift", "--quick")
    assert ran.code == 2
    assert ran.out.startswith("default: not known. No run has recorded the schema.")

    site.call("manticore_migrate", verbosity=0)
    ran = manage("manticore_drift", "--quick")
    assert (ran.code, ran.out) == (0, "default: the schema is as the last run left it.\n")

    site.query("CREATE TABLE by_hand (id INT8 PRIMARY KEY)")
    ran = manage("manticore_drift", "--quick")
    assert (ran.code, ran.out) == (1, "default: the schema was changed after the last run.\n")
    assert ran.err.endswith(
        "The schema was changed after the last run; manticore_drift says what.\n"
    )
    report = json.loads(manage("manticore_drift", "--quick", "--json").out)
    assert report["databases"] == [{"database": "default", "answer": "changed", "reason": ""}]
    assert manage("manticore_drift", "--quick", "--ignore", "table x").code == 2
