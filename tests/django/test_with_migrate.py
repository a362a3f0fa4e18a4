"""RUN_WITH_MIGRATE, and `RunScript`: SQL scripts and Django's own migrations side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.django.conftest import Ran, Site
from tests.django.test_migrate import heading

Manage = Callable[..., Ran]

SCOOTERS = (
    "V1__create_scooters",
    "CREATE TABLE scooters (code TEXT PRIMARY KEY);",
    "DROP TABLE scooters;",
)
BATTERY = (
    "V2__add_battery",
    "ALTER TABLE scooters ADD COLUMN battery INT;",
    "ALTER TABLE scooters DROP COLUMN battery;",
)


@pytest.fixture
def fleet(site: Site) -> Site:
    site.script(*SCOOTERS)
    site.script(*BATTERY)
    return site


def tables(site: Site) -> set[str]:
    rows = site.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in rows}


def test_after_djangos_own(fleet: Site) -> None:
    fleet.entry(RUN_WITH_MIGRATE="after")
    out = fleet.call("migrate")
    block = (
        f"{heading(fleet)}\n"
        "Operations to perform:\n"
        f"  Apply all scripts: {fleet.folder}\n"
        "Running migrations:\n"
        "  Applying V1__create_scooters... OK\n"
        "  Applying V2__add_battery... OK\n"
    )
    assert out.endswith(block)
    assert "  Applying fleet.0001_initial... OK\n" in out
    assert fleet.versions() == [1, 2]


def test_before_djangos_own(fleet: Site) -> None:
    fleet.entry(RUN_WITH_MIGRATE="before")
    out = fleet.call("migrate")
    assert out.index("Applying V2__add_battery... OK") < out.index("Applying fleet.0001_initial")
    assert fleet.versions() == [1, 2]


def test_not_unless_the_setting_says_so(fleet: Site) -> None:
    fleet.call("migrate", verbosity=0)
    assert "_migrations" not in tables(fleet)


@pytest.mark.parametrize("option", ["plan", "check_unapplied"])
def test_looking_runs_nothing(fleet: Site, option: str) -> None:
    fleet.call("migrate", verbosity=0)
    fleet.entry(RUN_WITH_MIGRATE="after")
    fleet.call("migrate", **{option: True})
    assert "_migrations" not in tables(fleet)


def test_unapplying_runs_nothing(fleet: Site) -> None:
    fleet.call("migrate", verbosity=0)
    fleet.entry(RUN_WITH_MIGRATE="after")
    fleet.call("migrate", "fleet", "zero", verbosity=0)
    assert "_migrations" not in tables(fleet)


def test_a_router_can_keep_them_away(fleet: Site) -> None:
    fleet.entry("other", MIGRATIONS_DIR=fleet.folder, RUN_WITH_MIGRATE="after")
    fleet.setting("DATABASE_ROUTERS", ["tests.django.project.routers.NoScriptsOnOther"])
    fleet.call("migrate", database="other", verbosity=0)
    assert fleet.query("SELECT 1 FROM pg_tables WHERE tablename = '_migrations'", "other") == []


def test_flush_leaves_the_ledger_and_runs_nothing(fleet: Site) -> None:
    fleet.entry(RUN_WITH_MIGRATE="after")
    fleet.call("migrate", "--noinput", verbosity=0)
    before = fleet.query("SELECT * FROM _migrations ORDER BY 1")
    fleet.script("V3__c", "SELECT 3")
    fleet.call("flush", interactive=False, verbosity=0)
    assert fleet.query("SELECT * FROM _migrations ORDER BY 1") == before


def test_a_failed_script_fails_migrate_with_the_exit_code(fleet: Site, manage: Manage) -> None:
    fleet.entry(RUN_WITH_MIGRATE="after")
    fleet.script("V3__bad", "SELECT nothing_like_that();")
    ran = manage("migrate")
    assert ran.code == 4
    assert ran.err.startswith("CommandError: V3__bad.sql:1: ")


def test_a_setting_that_makes_no_sense_fails_migrate_with_words(
    fleet: Site, manage: Manage
) -> None:
    fleet.entry(RUN_WITH_MIGRATE="after", LEASE=0)
    ran = manage("migrate", "--skip-checks")
    assert ran.code == 1
    assert ran.err == (
        "CommandError: MANTICORE['default']['LEASE'] is 0: it must be a number of seconds, 1 or more. "
        "Write seconds, such as 30.\n"
    )


# -- RunScript ---------------------------------------------------------------------------------------


def applied_by_django(site: Site, *operations: Any, atomic: bool = False) -> Any:
    """Apply a Django migration of these operations; returns what takes it back."""
    from django.db import connections
    from django.db.migrations import Migration
    from django.db.migrations.state import ProjectState

    migration = Migration("0002_scripts", "fleet")
    migration.atomic = atomic
    migration.operations = list(operations)
    connection = connections["default"]
    with connection.schema_editor(atomic=atomic) as editor:
        state = migration.apply(ProjectState(), editor)

    def take_back() -> None:
        with connection.schema_editor(atomic=atomic) as editor:
            migration.unapply(ProjectState(), editor)

    return state, take_back


def test_run_script_applies_up_to_its_version_and_takes_it_back(fleet: Site) -> None:
    from django_manticore.operations import RunScript

    fleet.script("V3__c", "SELECT 3")
    _, take_back = applied_by_django(fleet, RunScript("V2"))
    assert fleet.versions() == [1, 2]
    fleet.call("manticore_migrate", verbosity=0)
    take_back()
    assert fleet.versions() == [1]


def test_run_script_of_what_is_applied_does_nothing(fleet: Site) -> None:
    from django_manticore.operations import RunScript

    fleet.call("manticore_migrate", verbosity=0)
    applied_by_django(fleet, RunScript(1))
    assert fleet.versions() == [1, 2]


def test_run_script_tells_djangos_models(fleet: Site) -> None:
    from django.db import migrations, models

    from django_manticore.operations import RunScript

    scooter = migrations.CreateModel(
        "Scooter",
        [("code", models.TextField(primary_key=True))],
        options={"managed": False, "db_table": "scooters"},
    )
    state, _ = applied_by_django(fleet, RunScript("V1", state_operations=[scooter]))
    assert ("fleet", "scooter") in state.models


def test_run_script_refuses_to_wait_for_its_own_transaction(fleet: Site) -> None:
    from django.db import NotSupportedError, connections

    from django_manticore.operations import RunScript

    if not connections["default"].features.can_rollback_ddl:
        pytest.skip("on CockroachDB, Django runs no migration in a transaction")
    with pytest.raises(NotSupportedError) as caught:
        applied_by_django(fleet, RunScript("V1"), atomic=True)
    assert str(caught.value) == (
        "RunScript('V1') runs on a connection of its own, which would wait for ever for this "
        "migration's transaction. Write `atomic = False` into the Migration class."
    )


def test_run_script_below_what_is_applied_is_refused(fleet: Site) -> None:
    from django_manticore.operations import RunScript
    from manticore_cockroachdb.errors import PlanRefused

    fleet.script("V5__e", "SELECT 5")
    fleet.call("manticore_migrate", verbosity=0)
    fleet.script("V3__c", "SELECT 3")
    with pytest.raises(PlanRefused) as caught:
        applied_by_django(fleet, RunScript("V3"))
    assert str(caught.value) == (
        "Nothing was run: RunScript('V3'): version 3 is pending, but version 5 is applied already. "
        "Apply it with manticore_migrate (ALLOW_OUT_OF_ORDER), then run migrate again."
    )


def test_run_script_of_no_such_version_is_refused(fleet: Site) -> None:
    from django_manticore.operations import RunScript
    from manticore_cockroachdb.errors import PlanRefused

    with pytest.raises(PlanRefused, match="there is no version 9 to migrate to"):
        applied_by_django(fleet, RunScript(9))
    with pytest.raises(ValueError, match="write a version, such as 7 or 'V7'"):
        RunScript("latest")


def test_run_script_is_written_as_it_was_given() -> None:
    from django.db.migrations.writer import MigrationWriter

    from django_manticore.operations import RunScript

    text, imports = MigrationWriter.serialize(RunScript("V7__g").version)
    assert (text, imports) == ("'V7__g'", set())
    assert RunScript("V7__g").deconstruct() == ("RunScript", ["V7__g"], {})
    assert RunScript("V7__g").describe() == "Run SQL scripts up to version 7"
    assert RunScript(7).migration_name_fragment == "run_script_v7"


def test_run_script_shows_its_statements_to_sqlmigrate(fleet: Site) -> None:
    from django.db import connections
    from django.db.migrations import Migration
    from django.db.migrations.state import ProjectState

    from django_manticore.operations import RunScript

    migration = Migration("0002_scripts", "fleet")
    migration.operations = [RunScript("V1")]
    with connections["default"].schema_editor(collect_sql=True) as editor:
        migration.apply(ProjectState(), editor, collect_sql=True)
    assert editor.collected_sql[-1] == "CREATE TABLE scooters (code TEXT PRIMARY KEY);"
    assert "_migrations" not in tables(fleet)
