"""`manticore_migrate`: what it does, what it prints, how it ends."""

from __future__ import annotations

import io
import json
import re
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


def test_going_down_asks_first(two: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    manage("manticore_migrate")
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    assert manage("manticore_migrate", "zero") == Ran(
        0,
        "This reverts 2 scripts on the database 'default':\n"
        "    V2__add_name\n"
        "    V1__create_users_table\n"
        "What their down sections drop or delete cannot be recovered.\n"
        "Are you sure?\n"
        "\n"
        "    Type 'yes' to continue, or 'no' to cancel: Cancelled: nothing was changed.\n",
        "",
    )
    assert two.versions() == [1, 2]
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert manage("manticore_migrate", "1").code == 0
    assert two.versions() == [1]
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    ran = manage("manticore_migrate", "zero", "--fake")
    assert ran.out.startswith(
        "This records 1 script as reverted on the database 'default', and runs none of their "
        "statements:\n"
        "    V1__create_users_table\n"
        "Are you sure?\n"
    )
    assert two.versions() == []


def test_going_up_to_a_version_asks_nothing_and_reverts_nothing(
    two: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_manticore.signals import pre_migrate_scripts

    def meanwhile(**told: Any) -> None:
        pre_migrate_scripts.disconnect(meanwhile)
        two.call("manticore_migrate", verbosity=0)

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    pre_migrate_scripts.connect(meanwhile)
    assert manage("manticore_migrate", "1").code == 0
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
    assert two.call("manticore_migrate", "zero", interactive=False) == (
        f"{heading(two)}\n"
        "Operations to perform:\n"
        f"  Revert all scripts: {shown(two.folder)}\n"
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


STEPWISE = "-- manticore: mode=stepwise\n"


@pytest.mark.needs_postgresql(
    "scripts are transactions on PostgreSQL only, or hold what only it takes"
)
def test_verbosity_2_and_3_show_every_statement_of_a_stepwise_script(two: Site) -> None:
    two.call("manticore_migrate", verbosity=0)
    up = (
        "SET work_mem = '5MB';\nCREATE TABLE a (id INT);\nINSERT INTO a VALUES (1);\nSELECT\n  4;\n"
        "VACUUM a;"
    )
    two.script("V3__s", STEPWISE + up, "DROP TABLE a")
    out = two.call("manticore_migrate", verbosity=2)
    lines = [re.sub(r" \d+\.\d+s", " 1s", line) for line in out.split("...")[1].splitlines()]
    assert lines[1:-1] == [
        "    1/5 line 2: SET work_mem = '5MB' (session) 1s",
        "    2/5 line 3: CREATE TABLE a (id INT) (schema) 1s",
        "    3/5 line 4: INSERT INTO a VALUES (1) (data)",
        "    4/5 line 5: SELECT 4 (data)",
        "    3-4/5 in one transaction 1s",
        "    5/5 line 7: VACUUM a (schema) 1s",
    ]
    two.call("manticore_rollback", interactive=False)
    out = two.call("manticore_migrate", verbosity=3)
    assert (
        "    3/5 line 4: INSERT INTO a VALUES (1) (data)\n"
        "      INSERT INTO a VALUES (1)\n"
        "    4/5 line 5: SELECT 4 (data)\n"
        "      SELECT\n"
        "        4\n"
        "    3-4/5 "
    ) in out


@pytest.mark.parametrize("verbosity", [1, 2, 3])
@pytest.mark.parametrize("header", ["", STEPWISE])
def test_a_failure_says_failed_at_every_verbosity(
    two: Site, manage: Manage, verbosity: int, header: str
) -> None:
    two.script("V3__bad", f"{header}SELECT nothing_like_that();")
    ran = manage("manticore_migrate", f"--verbosity={verbosity}")
    assert ran.code == 4
    assert ran.out.splitlines()[-1] == "  Applying V3__bad... FAILED"


def test_plan_leaves_out_what_is_done_already(two: Site, manage: Manage) -> None:
    two.script("V3__bad", f"{STEPWISE}CREATE TABLE a (id INT);\nSELECT no_function();\nSELECT 3;")
    assert manage("manticore_migrate").code == 4
    out = two.call("manticore_migrate", plan=True, verbosity=2)
    assert out.splitlines()[2:] == [
        "Applying V3__bad (stepwise), from statement 2",
        "    line 3: SELECT no_function() (data)",
        "    line 4: SELECT 3 (data)",
    ]
    report = json.loads(two.call("manticore_migrate", plan=True, json=True))
    (step,) = report["databases"][0]["steps"]
    assert step["statements_done"] == 1
    assert [statement["line"] for statement in step["statements"]] == [3, 4]


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
                "statements_done": 0,
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


def test_check_of_several_databases_names_each(two: Site, manage: Manage) -> None:
    two.entry("other", MIGRATIONS_DIR=two.folder)
    manage("manticore_migrate", "1", "--database=other")
    assert manage("manticore_migrate", "--check", "--all-databases") == Ran(
        1,
        "",
        "CommandError: default: 2 scripts are pending (V1, V2). Run manticore_migrate to apply them.\n"
        "other: 1 script is pending (V2). Run manticore_migrate --database other to apply it.\n",
    )


def test_check_ends_with_1_and_names_what_is_pending(two: Site, manage: Manage) -> None:
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        "CommandError: default: 2 scripts are pending (V1, V2). Run manticore_migrate to apply them.\n",
    )
    manage("manticore_migrate")
    assert manage("manticore_migrate", "--check") == Ran(0, "", "")
    assert manage("manticore_migrate", "--check", "1") == Ran(
        1,
        "",
        "CommandError: default: 1 script is applied above version 1 (V2). Run manticore_migrate 1 to "
        "revert it.\n",
    )


def test_check_finds_a_changed_script(two: Site, manage: Manage) -> None:
    manage("manticore_migrate")
    two.script("V2__add_name", "ALTER TABLE users ADD COLUMN surname TEXT;")
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        "CommandError: default: 1 script is changed since it was applied (V2). Restore the file, or "
        "accept the change with manticore_resolve --accept-checksum 2.\n",
    )


def test_check_knows_that_an_older_version_would_be_refused(two: Site, manage: Manage) -> None:
    two.script("V5__e", "SELECT 5")
    manage("manticore_migrate")
    two.script("V3__c", "SELECT 3")
    two.script("V6__f", "SELECT 6")
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        "CommandError: default: 1 script is pending (V6). Run manticore_migrate to apply it.\n"
        "default: 1 script is pending below the highest applied version (V3), so manticore_migrate "
        "refuses to run. Give it the next free number (manticore_makemigration --renumber), or set "
        "ALLOW_OUT_OF_ORDER.\n",
    )
    assert manage("manticore_migrate").code == 5
    two.entry(ALLOW_OUT_OF_ORDER=True)
    assert manage("manticore_migrate", "--check").err == (
        "CommandError: default: 2 scripts are pending (V3, V6). Run manticore_migrate to apply them.\n"
    )


@pytest.mark.parametrize(
    ("direction", "word", "command"),
    [("up", "applied", "manticore_migrate"), ("down", "reverted", "manticore_rollback")],
)
def test_check_names_the_command_that_finishes_what_is_partially_done(
    two: Site, manage: Manage, direction: str, word: str, command: str
) -> None:
    manage("manticore_migrate")
    two.query("DELETE FROM _migrations WHERE version = 2")
    two.query(
        f"UPDATE _migrations_state SET version = 2, direction = '{direction}', statements_done = 0"
    )
    assert manage("manticore_migrate", "--check") == Ran(
        1,
        "",
        f"CommandError: default: 1 script is partially {word} (V2). Run {command} to finish it.\n",
    )
    report = json.loads(manage("manticore_migrate", "--check", "--json").out)
    assert report["databases"][0][f"partially_{word}"] == [2]


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:1/x", "https://127.0.0.1/"], ids=["no server", "no URL"]
)
def test_check_ends_with_2_where_it_cannot_check(two: Site, manage: Manage, url: str) -> None:
    two.entry("away", MIGRATIONS_DIR=two.folder, URL=url)
    ran = manage("manticore_migrate", "--check", "--database", "away")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("CommandError: away could not be checked: ")


def test_check_reports_what_it_found_although_it_cannot_check_all(
    two: Site, manage: Manage
) -> None:
    two.entry("away", MIGRATIONS_DIR=two.folder, URL="postgresql://127.0.0.1:1/x")
    ran = manage("manticore_migrate", "--check", "--all-databases", "--json")
    assert ran.code == 2
    report = json.loads(ran.out)
    assert (report["ok"], [each["pending"] for each in report["databases"]]) == (False, [[1, 2]])
    lines = ran.err.splitlines()
    assert lines[0].startswith("away: away could not be checked: Could not connect")
    assert lines[1:] == [
        "default: 2 scripts are pending (V1, V2). Run manticore_migrate to apply them.",
        "CommandError: 1 of 2 databases failed: away.",
    ]


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
                "out_of_order": [],
                "to_revert": [],
                "drifted": [],
                "partially_applied": [],
                "partially_reverted": [],
                "missing": [],
                "repeatable": {"pending": [], "partially_applied": [], "missing": []},
            }
        ],
    }


def test_plan_and_check_together_show_the_plan_and_end_with_1(two: Site, manage: Manage) -> None:
    ran = manage("manticore_migrate", "--plan", "--check")
    assert ran.code == 1
    assert "Applying V2__add_name (" in ran.out
    assert "2 scripts are pending" in ran.err


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
        2, "", "CommandError: --json needs --plan or --check.\n"
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
    assert waits[0].startswith("    Waiting for elsewhere:1:aa (running scripts, its lease ")


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
