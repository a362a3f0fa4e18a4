"""Ctrl-C and SIGTERM: the lease is given back, the message tells what is done, the exit code says why."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.django.conftest import Site

#: How long a process may take for anything, in seconds.
PATIENCE = 60.0


@pytest.fixture
def sleeping(site: Site, manage_environment: dict[str, str]) -> subprocess.Popen[str]:
    """A `manticore_migrate` in the middle of its second script."""
    site.script("V1__a", "CREATE TABLE a (id INT)")
    site.script("V2__slow", "SELECT 1;\nSELECT pg_sleep(300);")
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "manticore_migrate", "--noinput"],
        env=manage_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: working(site) > 0, process)
    return process


def working(site: Site, alias: str = "default") -> int:
    """How many sessions of this test's database are asleep in the script."""
    ((number,),) = site.query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND state = 'active' AND query LIKE '%pg_sleep(300)%' AND pid <> pg_backend_pid()",
        alias,
    )
    return int(number)


def until(so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not so():
        if process.poll() is not None:
            raise AssertionError(f"it ended: {process.communicate()}")
        assert time.monotonic() < deadline
        time.sleep(0.05)  # between two looks at the server


@pytest.mark.needs_postgresql
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_gives_the_lease_back(
    site: Site, sleeping: subprocess.Popen[str], number: signal.Signals, code: int
) -> None:
    sleeping.send_signal(number)
    out, err = sleeping.communicate(timeout=PATIENCE)
    assert sleeping.returncode == code
    assert out.endswith("  Applying V1__a... OK\n  Applying V2__slow... STOPPED\n")
    assert err == (
        "CommandError: Stopped after 1 script. The lease was given back.\n"
        "Under way was V2__slow; the ledger does not count it.\n"
        "Run the same command again: it finds out what became of it and finishes.\n"
    )
    assert site.versions() == [1]
    assert site.query("SELECT owner FROM _migrations_state") == [(None,)]


def test_handlers_are_put_back_and_only_the_main_thread_has_them() -> None:
    import threading

    from django_manticore.management.interrupts import Stopped, stoppable

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(Stopped) as caught, stoppable():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    seen: list[object] = []

    def elsewhere() -> None:
        with stoppable():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before[0]]


def test_the_second_signal_ends_the_process_at_once() -> None:
    program = (
        "import signal\n"
        "from django_manticore.management.interrupts import stoppable\n"
        "with stoppable():\n"
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
    assert ran.stderr == ("\nEnded at once: the lease was not given back; it runs out by itself.\n")
