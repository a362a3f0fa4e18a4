"""`manticore_migrate --jobs`: several databases at the same time."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tests.django.conftest import Ran, Site
from tests.django.test_migrate import heading
from tests.django.test_stopping import ended_or, working
from tests.programs import started
from tests.waiting import PATIENCE, until

Manage = Callable[..., Ran]

USERS = ("V1__users", "CREATE TABLE users (id INT PRIMARY KEY);", "DROP TABLE users;")
ALIASES = ("default", "other")
NAMES = ("V2__name", "ALTER TABLE users ADD COLUMN name TEXT;", "ALTER TABLE users DROP name;")


@pytest.fixture
def both(site: Site) -> Site:
    """Two scripts, and two databases that want them."""
    site.script(*USERS)
    site.script(*NAMES)
    site.entry("other", MIGRATIONS_DIR=site.folder)
    return site


def lines_of(out: str, alias: str) -> str:
    """What was written about one database."""
    before = f"{alias:<7} | "
    return "".join(
        f"{line.removeprefix(before)}\n" for line in out.splitlines() if line.startswith(before)
    )


def report(site: Site, alias: str) -> str:
    return (
        f"{heading(site, alias)}\n"
        "Operations to perform:\n"
        f"  Apply all scripts: {site.folder}\n"
        "Running migrations:\n"
        "  Applying V1__users... OK\n"
        "  Applying V2__name... OK\n"
    )


def test_each_line_says_whose_it_is(both: Site) -> None:
    out = both.call("manticore_migrate", all_databases=True, jobs=2)
    for alias in ("default", "other"):
        assert lines_of(out, alias) == report(both, alias)
        assert both.versions(alias) == [1, 2]
    assert len(out.splitlines()) == 12


@pytest.mark.needs_postgresql("sessions are told apart by database, which only PostgreSQL shows")
def test_they_run_at_the_same_time(both: Site) -> None:
    """Each waits for a lock that the test gives up when it sees both of them waiting."""
    from django.db import connections

    both.script("V3__meet", "SELECT pg_advisory_lock(7701);")
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7701 AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )

    def migrate() -> None:
        try:
            both.call("manticore_migrate", all_databases=True, jobs=2, verbosity=0)
        finally:
            connections.close_all()  # Django has one for each thread

    with ExitStack() as held, ThreadPoolExecutor(1) as pool:
        holders = [held.enter_context(psycopg.connect(both.urls[alias])) for alias in ALIASES]
        for holder in holders:
            holder.execute("SELECT pg_advisory_lock(7701)")
        try:
            running = pool.submit(migrate)
            until(
                lambda: (
                    running.done()
                    or [both.query(waiting, alias) for alias in ALIASES] == [[(1,)]] * 2
                )
            )
            assert not running.done()
        finally:
            for holder in holders:
                holder.close()
        running.result()
    assert both.versions() == both.versions("other") == [1, 2, 3]


def test_failures_leave_the_others_alone_and_the_worst_one_says_the_exit_code(
    both: Site, manage: Manage
) -> None:
    bad = both.folder.parent / "bad"
    both.script("V1__bad", "SELECT nothing_like_that();", folder=bad)
    both.entry("other", MIGRATIONS_DIR=bad)
    both.entry("away", MIGRATIONS_DIR=both.folder, URL="postgresql://127.0.0.1:1/x")
    both.entry("wrong", MIGRATIONS_DIR=both.folder, URL="https://127.0.0.1/")
    names = [f"--database={alias}" for alias in ("away", "wrong", "other", "default")]
    ran = manage("manticore_migrate", *names, "--jobs", "4")
    assert ran.code == 4
    assert lines_of(ran.out, "default") == report(both, "default")
    assert lines_of(ran.out, "other").endswith("  Applying V1__bad... FAILED\n")
    said = [line.partition(": ")[0] for line in ran.err.splitlines() if not line.startswith(" ")]
    assert said == ["away", "wrong", "other", "CommandError"]
    assert ran.err.splitlines()[-1] == "CommandError: 3 of 4 databases failed: away, wrong, other."
    assert both.versions() == [1, 2]


def test_going_down_asks_for_each_database_before_any_runs(
    both: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.call("manticore_migrate", all_databases=True, verbosity=0)
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\nno\n"))
    ran = manage("manticore_migrate", "zero", "--all-databases", "--jobs", "2")
    assert ran.code == 0
    assert ran.out.index("on the database 'other'") < ran.out.index("Reverting V2__name")
    assert (both.versions(), both.versions("other")) == ([], [1, 2])


def test_one_job_is_one_by_one(both: Site) -> None:
    out = both.call("manticore_migrate", all_databases=True, jobs=1)
    assert out == report(both, "default") + report(both, "other")


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_at_least_one_job(manage: Manage, number: str) -> None:
    ran = manage("manticore_migrate", f"--jobs={number}")
    assert ran.code == 2
    assert ran.err.endswith(
        f"argument --jobs: must be a number of databases, at least 1; got '{number}'\n"
    )


def test_receivers_of_the_signals_may_use_the_orm(both: Site) -> None:
    from django.db import connections

    from django_manticore.signals import post_migrate_scripts, pre_migrate_scripts

    heard: list[tuple[str, str, int, bool]] = []

    def hear(signal: Any, using: str, plan: Any, interactive: bool, **_others: Any) -> None:
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'users'")
            ((number,),) = cursor.fetchall()
        name = "pre" if signal is pre_migrate_scripts else "post"
        heard.append((name, using, number, interactive))
        assert [step.version for step in plan] == [1, 2]

    pre_migrate_scripts.connect(hear)
    post_migrate_scripts.connect(hear)
    try:
        both.call("manticore_migrate", all_databases=True, jobs=2, verbosity=0)
    finally:
        pre_migrate_scripts.disconnect(hear)
        post_migrate_scripts.disconnect(hear)
    assert sorted(heard) == [
        ("post", "default", 1, False),
        ("post", "other", 1, False),
        ("pre", "default", 0, False),
        ("pre", "other", 0, False),
    ]


def test_a_receiver_can_keep_one_database_from_being_migrated(both: Site) -> None:
    from django.core.management import CommandError

    from django_manticore.signals import pre_migrate_scripts

    def refuse(using: str, **_others: Any) -> None:
        if using == "other":
            raise CommandError("not this one", returncode=3)

    pre_migrate_scripts.connect(refuse)
    try:
        with pytest.raises(CommandError) as caught:
            both.call("manticore_migrate", all_databases=True, jobs=2)
    finally:
        pre_migrate_scripts.disconnect(refuse)
    assert str(caught.value) == "1 of 2 databases failed: other."
    assert caught.value.returncode == 3
    assert both.versions() == [1, 2]
    assert both.query("SELECT 1 FROM pg_tables WHERE tablename = 'users'", "other") == []


@pytest.mark.needs_postgresql("sessions are told apart by database, which only PostgreSQL shows")
def test_a_signal_stops_all_of_them_and_releases_their_leases(
    site: Site, manage_environment: dict[str, str]
) -> None:
    site.script("V1__slow", "SELECT pg_sleep(300);")
    site.entry("other", MIGRATIONS_DIR=site.folder)
    environment = {
        **manage_environment,
        "TESTS_DJANGO_OTHER_URL": site.urls["other"],
        "TESTS_DJANGO_OTHER_FOLDER": str(site.folder),
    }
    command = [
        sys.executable,
        "-m",
        "django",
        "manticore_migrate",
        "--all-databases",
        "--jobs",
        "2",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(command, env=environment, **pipes) as process:
        until(lambda: ended_or(process, working(site) == working(site, "other") == 1))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    for alias in ("default", "other"):
        assert lines_of(out, alias).endswith("  Applying V1__slow... STOPPED\n")
        assert site.query("SELECT owner FROM _migrations_state", alias) == [(None,)]
    stopped = (
        "{}: Stopped after 0 scripts. The lease was released.\n"
        "V1__slow was running; it is not recorded as applied.\n"
        "Run the same command again to finish: it first checks what happened.\n"
    )
    assert err == "CommandError: " + stopped.format("default") + stopped.format("other")
