"""RUN_WITH_MIGRATE, and `RunScript`: SQL scripts and Django's own migrations side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.django.conftest import Ran, Site
from tests.django.test_migrate import heading
from tests.waiting import PATIENCE, until

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


PENDING = "default: 2 scripts are pending (V1, V2). Run manticore_migrate to apply them.\n"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_check_finds_pending_scripts_and_runs_none(
    fleet: Site, manage: Manage, moment: str
) -> None:
    fleet.call("migrate", verbosity=0)
    fleet.entry(RUN_WITH_MIGRATE=moment)
    assert manage("migrate", "--check", "--skip-checks") == Ran(1, "", PENDING)
    assert "_migrations" not in tables(fleet)
    fleet.call("manticore_migrate", verbosity=0)
    assert manage("migrate", "--check", "--skip-checks") == Ran(0, "", "")


def test_check_tells_of_scripts_beside_djangos_own_migrations(fleet: Site, manage: Manage) -> None:
    fleet.entry(RUN_WITH_MIGRATE="after")
    assert manage("migrate", "--check", "--skip-checks") == Ran(1, "", PENDING)
    fleet.entry(RUN_WITH_MIGRATE=None)
    assert manage("migrate", "--check", "--skip-checks") == Ran(1, "", "")


def test_plan_shows_the_scripts_where_they_would_run(fleet: Site) -> None:
    fleet.entry(RUN_WITH_MIGRATE="after")
    out = fleet.call("migrate", plan=True)
    server = heading(fleet).partition(", ")[0]
    mode = "atomic" if "PostgreSQL" in server else "stepwise"
    scripts = (
        f"{server} (default)\n"
        "Planned operations:\n"
        f"Applying V1__create_scooters ({mode})\n"
        "    1 statement\n"
        f"Applying V2__add_battery ({mode})\n"
        "    1 statement\n"
    )
    assert out.startswith("Planned operations:\n")
    assert out.endswith(scripts)
    assert "fleet.0001_initial\n    Create model City\n" in out
    fleet.entry(RUN_WITH_MIGRATE="before")
    assert fleet.call("migrate", plan=True).startswith(scripts)
    assert "_migrations" not in tables(fleet)


def test_plan_with_check_ends_with_1_for_scripts_alone(fleet: Site, manage: Manage) -> None:
    fleet.call("migrate", verbosity=0)
    fleet.entry(RUN_WITH_MIGRATE="after")
    ran = manage("migrate", "--plan", "--check", "--skip-checks")
    assert (ran.code, ran.err) == (1, "")
    assert "  No planned migration operations.\n" in ran.out
    assert "Applying V2__add_battery (" in ran.out
    assert manage("migrate", "--plan", "--skip-checks").code == 0


def test_the_plan_of_unapplying_has_no_scripts(fleet: Site) -> None:
    fleet.call("migrate", verbosity=0)
    fleet.entry(RUN_WITH_MIGRATE="after")
    for target in ("zero", "0001"):
        out = fleet.call("migrate", "fleet", target, plan=True)
        assert ("V1__create_scooters" in out) == (target == "0001")


def test_fake_records_the_scripts_and_runs_none(fleet: Site) -> None:
    fleet.entry(RUN_WITH_MIGRATE="after")
    out = fleet.call("migrate", fake=True)
    assert "  Applying fleet.0001_initial... FAKED\n" in out
    assert out.endswith(
        "  Applying V1__create_scooters... FAKED\n  Applying V2__add_battery... FAKED\n"
    )
    assert fleet.versions() == [1, 2]
    assert "scooters" not in tables(fleet)


def test_fake_with_an_app_leaves_the_scripts_alone_and_says_so(fleet: Site) -> None:
    fleet.entry(RUN_WITH_MIGRATE="after")
    out = fleet.call("migrate", "fleet", fake=True)
    assert out.endswith(
        "SQL scripts of 'default' were neither run nor recorded: --fake was given with an app. To "
        "record them, run manticore_migrate --fake.\n"
    )
    assert tables(fleet).isdisjoint({"scooters", "_migrations"})


def test_a_script_edited_since_stops_migrate_only_where_it_would_run_scripts(
    fleet: Site, manage: Manage
) -> None:
    fleet.call("manticore_migrate", verbosity=0)
    fleet.script("V2__add_battery", f"-- why\n{BATTERY[1]}", BATTERY[2])
    ran = manage("migrate")
    assert ran.code == 0
    assert "(manticore.W008) default: V2__add_battery.sql was changed after it" in ran.err
    fleet.entry(RUN_WITH_MIGRATE="after")
    ran = manage("migrate")
    assert ran.code == 1
    assert "(manticore.E014) default: V2__add_battery.sql was changed after it" in ran.err


def test_a_kept_test_database_is_named_in_the_error(
    fleet: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.management import CommandError
    from django.db import connections

    fleet.entry(RUN_WITH_MIGRATE="after")
    fleet.call("migrate", verbosity=0)
    fleet.script("V2__add_battery", f"-- why\n{BATTERY[1]}", BATTERY[2])
    settings = connections["default"].settings_dict
    monkeypatch.setitem(settings["TEST"], "NAME", settings["NAME"])
    with pytest.raises(CommandError) as caught:
        fleet.call("migrate", verbosity=0)
    assert caught.value.returncode == 5
    assert str(caught.value).endswith(
        f"\nThis is the test database {settings['NAME']!r}. If it was kept by --keepdb (pytest: "
        "--reuse-db), create it again: run the tests once without that option (pytest: with "
        "--create-db)."
    )


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


def test_an_invalid_setting_fails_migrate_with_its_message(fleet: Site, manage: Manage) -> None:
    fleet.entry(RUN_WITH_MIGRATE="after", LEASE=0)
    ran = manage("migrate", "--skip-checks")
    assert ran.code == 1
    assert ran.err == (
        "CommandError: MANTICORE['default']['LEASE'] must be a number of seconds, 1 or more; got 0. "
        "Write seconds, such as 30.\n"
    )


# -- RunScript ---------------------------------------------------------------------------------------


def applied_by_django(site: Site, *operations: Any, atomic: bool = False) -> Any:
    """Apply a Django migration of these operations; returns what reverts it."""
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


def test_run_script_applies_up_to_its_version_and_reverts_it(fleet: Site) -> None:
    from django_manticore.operations import RunScript

    fleet.script("V3__c", "SELECT 3")
    _, take_back = applied_by_django(fleet, RunScript("V2"))
    assert fleet.versions() == [1, 2]
    fleet.call("manticore_migrate", verbosity=0)
    take_back()
    assert fleet.versions() == [1]


def test_run_script_reverts_nothing_that_another_process_applied_meanwhile(fleet: Site) -> None:
    """Two `migrate` at once: the other one is at the second RunScript when this one is at the first."""
    from threading import Thread

    from django.db import connections

    from django_manticore.operations import RunScript

    fleet.call("manticore_migrate", "1", verbosity=0)
    fleet.query("DROP TABLE scooters")
    fleet.query("DELETE FROM _migrations")
    fleet.query(
        "UPDATE _migrations_state SET owner = 'elsewhere:1:aa', epoch = epoch + 1, "
        "expires_at = now() + INTERVAL '1 hour'"
    )
    failures: list[BaseException] = []

    def migrate() -> None:
        try:
            applied_by_django(fleet, RunScript("V1"))
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            connections.close_all()  # Django has one for each thread

    run = Thread(target=migrate)
    run.start()
    until(lambda: waiting(fleet) or not run.is_alive())
    for script in (SCOOTERS, BATTERY):
        fleet.query(script[1])
    fleet.query("INSERT INTO _migrations (version, description) VALUES (1, 'a'), (2, 'b')")
    fleet.query("UPDATE _migrations_state SET owner = NULL, expires_at = NULL")
    run.join(PATIENCE)
    assert (run.is_alive(), failures) == (False, [])
    assert fleet.versions() == [1, 2]
    assert fleet.query("SELECT battery FROM scooters") == []


def waiting(site: Site) -> bool:
    """Whether a run has read the tables, and now waits for the lease: its session is idle."""
    if site.query("SHOW server_version")[0][0].startswith("13.0.0"):
        return bool(site.query("SELECT 1 FROM [SHOW SESSIONS] WHERE application_name LIKE '%/1'"))
    return bool(
        site.query(
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE '%/1' AND state = 'idle' "
            "AND datname = current_database()"
        )
    )


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
        "RunScript('V1') uses its own connection and would deadlock with this migration's transaction. "
        "Set `atomic = False` in the Migration class."
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
        "V3__c.sql: version 3 is pending, but version 5 is applied already. Give it the "
        "next free number (manticore_makemigration --renumber 3), or allow out-of-order scripts "
        "(allow_out_of_order=True, ALLOW_OUT_OF_ORDER in the MANTICORE setting). Nothing was run."
    )
    fleet.entry(ALLOW_OUT_OF_ORDER=True)
    applied_by_django(fleet, RunScript("V3"))
    assert fleet.versions() == [1, 2, 3, 5]


def test_run_script_of_no_such_version_is_refused(fleet: Site) -> None:
    from django_manticore.operations import RunScript
    from manticore_cockroachdb.errors import PlanRefused

    with pytest.raises(PlanRefused, match="There is no version 9 to migrate to"):
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
