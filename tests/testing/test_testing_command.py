"""`python -m manticore_cockroachdb.testing`: a server for a newcomer, until Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb import testing

REPOSITORY = Path(testing.__file__).parents[2]
COMMAND = [sys.executable, "-m", "manticore_cockroachdb.testing"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@contextmanager
def started(*arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command, and what it printed until it was ready."""
    with subprocess.Popen(
        # A shell's background job has SIGINT ignored; the command must hear it all the same.
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", *COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PATH": "", "COCKROACH_BINARY": "", **environ},
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        try:
            while not lines or not lines[-1].startswith("Press Ctrl-C"):
                line = process.stdout.readline()
                assert line, process.communicate()
                lines.append(line.rstrip("\n"))
            yield process, lines
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_a_url_that_works_and_ends_by_a_signal(number: signal.Signals) -> None:
    with started("--database", "shop") as (process, lines):
        url = lines[2].strip()
        assert re.fullmatch(r"PostgreSQL \d+\S* \(a PostgreSQL of its own, .*\)", lines[0])
        assert lines[1:] == [
            "",
            f"    {url}",
            "",
            "Use it in another terminal:",
            "",
            f"    export DATABASE_URL='{url}'",
            "",
            "Press Ctrl-C to stop it. Its databases are then gone.",
        ]
        with psycopg.connect(url) as connection:
            assert connection.info.dbname == "shop"
        process.send_signal(number)
        assert process.communicate() == ("", "")
        assert process.returncode == 0
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=5)


def test_a_server_of_the_environment_is_not_taken_in_its_place() -> None:
    with started(MANTICORE_TEST_URL="postgresql://127.0.0.1:1/nowhere") as (_process, lines):
        assert "/app?" in lines[2]


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = subprocess.run(
            [*COMMAND, "--port", str(port)],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "PATH": "", "COCKROACH_BINARY": ""},
            check=False,
        )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"error: The port {port} is taken by another program. Name another one, or none for a free "
        "one.\n"
    )


def test_a_port_that_is_none_is_a_usage_error() -> None:
    ran = subprocess.run(
        [*COMMAND, "--port", "x"], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr.endswith("argument --port: 'x' is not a port: a number from 1 to 65535.\n")
