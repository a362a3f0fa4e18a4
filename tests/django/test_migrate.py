"""`manticore_migrate`: what it does, what it prints, how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manticore_cockroachdb.testing import RunningServer
from tests.django.conftest import Ran, Site

Manage = Callable[..., Ran]

USERS = ("V1__create_users_table", "CREATE TABLE users (id INT PRIMARY KEY);", "DROP TABLE users;")
NAMES = (
    "V2__add_name",
    "ALTER TABLE users ADD COLUMN name TEXT;",
    "ALTER TABLE users DROP COLUMN name;",
)


@pytest.fixture
def two(site: Site) -> Site:
    site.script(*USERS)
    site.script(*NAMES)
    return site


def heading(site: Site, alias: str = "default") -> str:
    """The line above a run."""
    from django_manticore.migrators import get_migration

    with get_migration(alias).db as db:
        assert db.server is not None
        return f"{db.server.name}, database {db.server.database} ({alias})"


def shown(folder: Path) -> str:
    """A folder outside the working directory is shown whole."""
    return str(folder)


def test_it_prints_what_it_does_like_djangos_migrate(two: Site) -> None:
    assert two.call("manticore_migrate") == (
        f"{heading(two)}\n"
        "Operations to perform:\n"
        f"  Apply all scripts: {shown(two.folder)}\n"
        "Running migrations:\n"
        "  Applying V1__create_users_table... OK\n"
        "  Applying V2__add_name... OK\n"
    )
    assert two.versions() == [1, 2]


def test_with_nothing_to_do_it_says_so(two: Site) -> None:
    two.call("manticore_migrate")
    assert two.call("manticore_migrate").endswith(
        "Running migrations:\n  No migrations to apply.\n"
    )


def test_a_target_is_where_it_ends_and_zero_is_none(two: Site) -> None:
    two.call("manticore_migrate", "1")
    assert two.versions() == [1]
    two.call("manticore_migrate", "V2")
    assert two.versions() == [1, 2]
    assert two.call("manticore_migrate", "zero") == (
        f"{heading(two)}\n"
        "Operations to perform:\n"
        f"  Unapply all scripts: {shown(two.folder)}\n"
        "Running migrations:\n"
        "  Reverting V2__add_name... OK\n"
        "  Reverting V1__create_users_table... OK\n"
    )
    assert two.versions() == []


def test_verbosity_0_is_silent(two: Site) -> None:
    assert two.call("manticore_migrate", verbosity=0) == ""
    assert two.versions() == [1, 2]


def test_verbosity_2_adds_statements_and_timings(two: Site, server: RunningServer) -> None:
    two.script("V3__fill", "INSERT INTO users VALUES (1);\nINSERT INTO users VALUES (2);")
    two.call("manticore_migrate", "2")
    out = two.call("manticore_migrate", verbosity=2)
    lines = out.split("Running migrations:\n")[1].splitlines()
    assert lines[:3] == [
        "  Applying V3__fill... atomic",
        "    line 1: INSERT INTO users VALUES (1) (data)",
        "    line 2: INSERT INTO users VALUES (2) (data)",
    ]
    assert lines[3].startswith("  Applying V3__fill... OK (")
    assert len(lines) == 4


def test_verbosity_3_adds_the_statements_in_full(two: Site) -> None:
    two.script("V3__fill", "INSERT INTO users\n  VALUES (1);")
    two.call("manticore_migrate", "2")
    out = two.call("manticore_migrate", verbosity=3)
    assert (
        "    line 1: INSERT INTO users VALUES (1) (data)\n"
        "      INSERT INTO users\n"
        "        VALUES (1)\n" in out
    )


def test_plan_shows_scripts_and_changes_nothing(two: Site) -> None:
    out = two.call("manticore_migrate", plan=True)
    mode = "atomic" if "PostgreSQL" in out else "stepwise"
    assert out.splitlines()[1:] == [
        "Planned operations:",
        f"Applying V1__create_users_table ({mode})",
        "    1 statement",
        f"Applying V2__add_name ({mode})",
        "    1 statement",
    ]
    assert two.query("SELECT 1 FROM pg_tables WHERE tablename = '_migrations'") == []


def test_plan_at_verbosity_2_shows_statements_with_their_kind(two: Site) -> None:
    out = two.call("manticore_migrate", "1", plan=True, verbosity=2)
    assert out.splitlines()[-1] == ("    line 1: CREATE TABLE users (id INT PRIMARY KEY) (schema)")


def test_plan_with_nothing_to_do(site: Site) -> None:
    assert site.call("manticore_migrate", plan=True).endswith(
        "Planned operations:\n  No planned migration operations.\n"
    )


def test_plan_as_json(two: Site) -> None:
    report = json.loads(two.call("manticore_migrate", "1", plan=True, json=True))
    assert report["format"] == 1
    (database,) = report["databases"]
    server = database["server"]
    assert database == {
        "database": "default",
        "server": server,
        "steps": [
            {
                "version": 1,
                "name": "V1__create_users_table",
                "description": "create users table",
                "direction": "up",
                "mode": "atomic" if "PostgreSQL" in server else "stepwise",
                "path": str(two.folder / "V1__create_users_table.sql"),
                "statements": [
                    {
                        "line": 1,
                        "kind": "schema",
                        "sql": "CREATE TABLE users (id INT PRIMARY KEY)",
                    }
                ],
            }
        ],
    }


def test_check_ends_with_1_and_names_what_is_pending(two: Site, manage: Manage) -> None:
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        "CommandError: default: 2 scripts pending: manticore_migrate applies them (V1, V2).\n",
    )
    manage("manticore_migrate")
    assert manage("manticore_migrate", "--check") == Ran(0, "", "")
    assert manage("manticore_migrate", "--check", "1") == Ran(
        1,
        "",
        "CommandError: default: 1 script pending: manticore_migrate applies them (V2).\n",
    )


def test_check_finds_a_changed_script(two: Site, manage: Manage) -> None:
    manage("manticore_migrate")
    two.script("V2__add_name", "ALTER TABLE users ADD COLUMN surname TEXT;")
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        "CommandError: default: 1 script changed after they were applied: restore the files, or "
        "accept the change with manticore_resolve --accept-checksum (V2).\n",
    )


def test_check_as_json(two: Site, manage: Manage) -> None:
    manage("manticore_migrate", "1")
    ran = manage("manticore_migrate", "--check", "--json")
    assert ran.code == 1
    assert json.loads(ran.out) == {
        "format": 1,
        "ok": False,
        "databases": [
            {
                "database": "default",
                "ok": False,
                "pending": [2],
                "drifted": [],
                "half_done": [],
                "missing": [],
            }
        ],
    }


def test_plan_and_check_together_show_the_plan_and_end_with_1(two: Site, manage: Manage) -> None:
    ran = manage("manticore_migrate", "--plan", "--check")
    assert ran.code == 1
    assert "Applying V2__add_name (" in ran.out
    assert "2 scripts pending" in ran.err


def test_fake_records_and_runs_nothing(two: Site) -> None:
    out = two.call("manticore_migrate", fake=True)
    assert "  Applying V1__create_users_table... FAKED\n" in out
    assert two.versions() == [1, 2]
    assert two.query("SELECT 1 FROM pg_tables WHERE tablename = 'users'") == []


def test_a_failed_statement_ends_with_4_and_is_named(two: Site, manage: Manage) -> None:
    two.script("V3__bad", "SELECT 1;\nSELECT nothing_like_that();")
    ran = manage("manticore_migrate")
    assert ran.code == 4
    assert ran.out.endswith("  Applying V2__add_name... OK\n  Applying V3__bad... FAILED\n")
    assert ran.err.startswith("CommandError: V3__bad.sql:2: ")
    assert two.versions() == [1, 2]


def test_changed_files_end_with_5(two: Site, manage: Manage) -> None:
    manage("manticore_migrate")
    two.script("V2__add_name", "SELECT 2;")
    ran = manage("manticore_migrate")
    assert ran.code == 5
    assert ran.err.startswith(
        "CommandError: Nothing was run: V2__add_name.sql: version 2 was changed after it was applied"
    )


def test_bad_files_end_with_1(two: Site, manage: Manage) -> None:
    two.script("V3__open", "SELECT 'never closed")
    ran = manage("manticore_migrate")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("CommandError: Migration files refused: V3__open.sql:1: ")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nonsense"], "argument target: 'nonsense' is not a version, such as 7 or V7"),
        (
            ["--lock-timeout", "soon"],
            "argument --lock-timeout: 'soon' is not a number of seconds, 0 or more",
        ),
    ],
)
def test_wrong_arguments_end_with_2(manage: Manage, arguments: list[str], error: str) -> None:
    ran = manage("manticore_migrate", *arguments)
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == f"manage.py manticore_migrate: error: {error}"


def test_an_unknown_database_ends_with_2(manage: Manage) -> None:
    assert manage("manticore_migrate", "--database", "nowhere") == Ran(
        2,
        "",
        "CommandError: MANTICORE has no entry 'nowhere' (it has: 'default'). Name one with "
        "--database.\n",
    )


def test_json_alone_ends_with_2(manage: Manage) -> None:
    assert manage("manticore_migrate", "--json") == Ran(
        2, "", "CommandError: --json goes with --plan or --check.\n"
    )


def test_a_lease_held_by_another_ends_with_3(two: Site, manage: Manage) -> None:
    two.call("manticore_migrate", "1")
    two.query(
        "UPDATE _migrations_state SET owner = 'elsewhere:1:aa', epoch = epoch + 1, "
        "expires_at = now() + INTERVAL '1 hour'"
    )
    ran = manage("manticore_migrate", "--lock-timeout", "0")
    assert ran.code == 3
    assert ran.err.startswith("CommandError: elsewhere:1:aa holds the lease")


def test_waiting_for_another_is_said_at_once(two: Site, manage: Manage) -> None:
    two.call("manticore_migrate", "1")
    two.query(
        "UPDATE _migrations_state SET owner = 'elsewhere:1:aa', epoch = epoch + 1, "
        "expires_at = now() + INTERVAL '1 hour'"
    )
    ran = manage("manticore_migrate", "--lock-timeout", "0.3")
    assert ran.code == 3
    waits = [line for line in ran.out.splitlines() if "Waiting" in line]
    assert len(waits) == 1
    assert waits[0].startswith("    Waiting for elsewhere:1:aa (running scripts, lease runs out in")


def test_traceback_keeps_the_chain(two: Site) -> None:
    from django.core.management import CommandError

    from manticore_cockroachdb.errors import DatabaseError, MigrationFailed

    two.script("V3__bad", "SELECT nothing_like_that();")
    with pytest.raises(CommandError) as caught:
        two.call("manticore_migrate", traceback=True)
    assert caught.value.returncode == 4
    assert isinstance(caught.value.__cause__, MigrationFailed)
    assert isinstance(caught.value.__cause__.__cause__, DatabaseError)


def test_several_databases_are_done_one_by_one(two: Site) -> None:
    two.entry("other", MIGRATIONS_DIR=two.folder)
    out = two.call("manticore_migrate", database=["other", "default"])
    assert out.index(heading(two, "other")) < out.index(heading(two, "default"))
    assert two.versions() == two.versions("other") == [1, 2]


def test_all_databases_go_on_when_one_fails(two: Site, manage: Manage, tmp_path: Path) -> None:
    two.entry("other", MIGRATIONS_DIR=tmp_path / "theirs")
    two.script("V1__bad", "SELECT nothing_like_that();", folder=tmp_path / "theirs")
    two.setting("MANTICORE", dict(reversed(_entries().items())))
    ran = manage("manticore_migrate", "--all-databases")
    assert ran.code == 4
    assert ran.err.splitlines()[-1] == "CommandError: 1 of 2 databases failed: other."
    assert two.versions() == [1, 2]


def test_all_databases_leaves_out_what_a_router_denies(two: Site) -> None:
    two.entry("other", MIGRATIONS_DIR=two.folder)
    two.setting("DATABASE_ROUTERS", ["tests.django.project.routers.NoScriptsOnOther"])
    two.call("manticore_migrate", all_databases=True)
    assert two.versions() == [1, 2]
    assert two.query("SELECT 1 FROM pg_tables WHERE tablename = '_migrations'", "other") == []


def test_signals_tell_what_will_be_done_and_what_was(two: Site) -> None:
    from django_manticore.signals import post_migrate_scripts, pre_migrate_scripts

    heard: list[tuple[str, dict[str, Any]]] = []

    def before(**told: Any) -> None:
        heard.append(("pre", told))
        assert two.query("SELECT 1 FROM pg_tables WHERE tablename = 'users'") == []

    def after(**told: Any) -> None:
        heard.append(("post", told))

    pre_migrate_scripts.connect(before)
    post_migrate_scripts.connect(after)
    try:
        two.call("manticore_migrate", interactive=False)
    finally:
        pre_migrate_scripts.disconnect(before)
        post_migrate_scripts.disconnect(after)
    assert [name for name, _ in heard] == ["pre", "post"]
    for _, told in heard:
        assert told["using"] == "default"
        assert [step.name for step in told["plan"]] == ["V1__create_users_table", "V2__add_name"]
        assert (told["verbosity"], told["interactive"]) == (1, False)
        assert told["sender"].name == "django_manticore"


def test_a_receiver_that_raises_stops_the_run_before_anything_is_sent(two: Site) -> None:
    from django_manticore.signals import pre_migrate_scripts

    def refuse(**told: Any) -> None:
        raise ValueError("not today")

    pre_migrate_scripts.connect(refuse)
    try:
        with pytest.raises(ValueError, match="not today"):
            two.call("manticore_migrate")
    finally:
        pre_migrate_scripts.disconnect(refuse)
    assert two.query("SELECT 1 FROM pg_tables WHERE tablename = '_migrations'") == []


def _entries() -> dict[str, Any]:
    from django.conf import settings

    return settings.MANTICORE


def test_a_name_that_the_terminal_cannot_show_is_shown_escaped(
    site: Site, manage_environment: dict[str, str]
) -> None:
    site.script("V1__città", "SELECT 1")
    done = subprocess.run(
        [sys.executable, "-m", "django", "manticore_migrate"],
        env={**manage_environment, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Applying V1__citt\\xe0... OK" in done.stdout
    assert site.versions() == [1]
