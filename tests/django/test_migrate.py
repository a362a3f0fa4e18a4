"""`manticore_migrate`: what it does, what it prints, how it ends."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from manticore_cockroachdb.testing import RunningServer
from tests.django.conftest import STEPWISE, Manage, Ran, Site, heading, shown


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
        "    Type 'yes' to continue, or 'no' to cancel: Canceled: nothing was changed.\n",
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
    assert lines[3:5] == ["    line 1, 1 row", "    line 2, 1 row"]
    assert lines[5].startswith("  Applying V3__fill... OK (")
    assert len(lines) == 6


def test_verbosity_3_adds_the_statements_in_full(two: Site) -> None:
    two.script("V3__fill", "INSERT INTO users\n  VALUES (1);")
    two.call("manticore_migrate", "2")
    out = two.call("manticore_migrate", verbosity=3)
    assert (
        "    line 1: INSERT INTO users VALUES (1) (data)\n"
        "      INSERT INTO users\n"
        "        VALUES (1)\n" in out
    )


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
        "    3/5 line 4: INSERT INTO a VALUES (1) (data), 1 row",
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


def test_fake_records_and_runs_nothing(two: Site) -> None:
    out = two.call("manticore_migrate", fake=True)
    assert "  Applying V1__create_users_table... FAKED\n" in out
    assert two.versions() == [1, 2]
    assert two.query("SELECT 1 FROM pg_tables WHERE tablename = 'users'") == []


def test_several_databases_are_done_one_by_one(two: Site) -> None:
    two.entry("other", MIGRATIONS_DIR=two.folder)
    out = two.call("manticore_migrate", database=["other", "default"])
    assert out.index(heading(two, "other")) < out.index(heading(two, "default"))
    assert two.versions() == two.versions("other") == [1, 2]


def test_all_databases_continue_when_one_fails(two: Site, manage: Manage, tmp_path: Path) -> None:
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
