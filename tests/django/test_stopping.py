"""Ctrl-C and SIGTERM: the lease is released, the message names what is done, the exit code says why."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.django.conftest import Site
from tests.programs import started
from tests.waiting import PATIENCE, until


@pytest.fixture
def sleeping(site: Site, manage_environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A `manticore_migrate` in the middle of its second script."""
    site.script("V1__a", "CREATE TABLE a (id INT)")
    site.script("V2__slow", "SELECT 1;\nSELECT pg_sleep(300);")
    with migrating(manage_environment) as process:
        until(lambda: ended_or(process, working(site) > 0))
        yield process


def migrating(environment: dict[str, str]) -> AbstractContextManager[subprocess.Popen[str]]:
    """A `manticore_migrate` in a separate process."""
    command = [sys.executable, "-m", "django", "manticore_migrate", "--noinput"]
    return started(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended_or(process: subprocess.Popen[str], so: bool) -> bool:
    """Whether it is so; an error if the process has ended before."""
    assert process.poll() is None, process.communicate()
    return so


def working(site: Site, alias: str = "default") -> int:
    """How many sessions of this test's database are asleep in the script."""
    ((number,),) = site.query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND state = 'active' AND query LIKE '%pg_sleep(300)%' AND pid <> pg_backend_pid()",
        alias,
    )
    return int(number)


@pytest.mark.needs_postgresql("sessions are told apart by database, which only PostgreSQL shows")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_releases_the_lease(
    site: Site, sleeping: subprocess.Popen[str], number: signal.Signals, code: int
) -> None:
    sleeping.send_signal(number)
    out, err = sleeping.communicate(timeout=PATIENCE)
    assert sleeping.returncode == code
    assert out.endswith("  Applying V1__a... OK\n  Applying V2__slow... STOPPED\n")
    assert err == (
        "CommandError: Stopped after 1 script. The lease was released.\n"
        "V2__slow was running; it is not recorded as applied.\n"
        "Run the same command again to finish: it first checks what happened.\n"
    )
    assert site.versions() == [1]
    assert site.query("SELECT owner FROM _migrations_state") == [(None,)]


@pytest.mark.needs_postgresql("sessions are told apart by database, which only PostgreSQL shows")
def test_the_statements_that_are_done_are_counted(
    site: Site, manage_environment: dict[str, str]
) -> None:
    site.script(
        "V1__slow",
        "-- manticore: mode=stepwise\nCREATE TABLE a (id INT);\nCREATE TABLE b (id INT);\n"
        "CREATE TABLE c (id INT);\nSELECT pg_sleep(300);\nCREATE TABLE d (id INT);",
    )
    with migrating(manage_environment) as process:
        until(lambda: ended_or(process, working(site) > 0))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == (
        "CommandError: Stopped after 0 scripts, and 3 of 5 statements of V1__slow. The lease was "
        "released.\n"
        "V1__slow was running; it is not recorded as applied.\n"
        "Run the same command again to finish: it first checks what happened.\n"
    )


def test_handlers_are_put_back_and_only_the_main_thread_has_them() -> None:
    import threading

    from django_manticore.management.interrupts import Interrupts, Stopped

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(Stopped) as caught, Interrupts().installed():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    seen: list[object] = []

    def elsewhere() -> None:
        with Interrupts().installed():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before[0]]


def test_the_second_signal_ends_the_process_at_once() -> None:
    program = (
        "import signal\n"
        "from django_manticore.management.interrupts import Interrupts\n"
        "with Interrupts().installed():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    finally:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        print('went on')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (130, "")
    assert ran.stderr == "\nKilled: the lease was not released; it will expire.\n"
