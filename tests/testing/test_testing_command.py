"""`python -m manticore_cockroachdb.testing`: a server for a newcomer, until Ctrl-C."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from manticore_cockroachdb import testing
from tests.programs import started_server

REPOSITORY = Path(testing.__file__).parents[2]
COMMAND = [sys.executable, "-m", "manticore_cockroachdb.testing"]
#: Without a cockroach program, so that it is a PostgreSQL everywhere.
WITHOUT = {"PATH": "", "COCKROACH_BINARY": ""}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_a_url_that_works_and_ends_by_a_signal(number: signal.Signals) -> None:
    with started_server("--database", "shop", **WITHOUT) as (process, lines):
        url = lines[2].strip()
        parts = conninfo_to_dict(url)
        assert re.fullmatch(r"PostgreSQL \d+\S* \(its own server, .*\)", lines[0])
        assert lines[1:] == [
            "",
            f"    {url}",
            "",
            "Paste these lines into another terminal to use it:",
            "",
            f"    export DATABASE_URL={shlex.quote(url)}",
            "    export PGHOST=127.0.0.1",
            f"    export PGPORT={parts['port']}",
            "    export PGUSER=postgres",
            f"    export PGPASSWORD={parts['password']}",
            "    export PGDATABASE=shop",
            "    export PGSSLMODE=disable",
            "",
            "Press Ctrl-C to stop it. Its databases are then deleted.",
        ]
        with psycopg.connect(url) as connection:
            assert connection.info.dbname == "shop"
        process.send_signal(number)
        assert process.communicate() == ("", "")
        assert process.returncode == 0
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=120)


def test_a_server_of_the_environment_is_not_taken_in_its_place() -> None:
    nowhere = {"MANTICORE_TEST_URL": "postgresql://127.0.0.1:1/nowhere"}
    with started_server(**WITHOUT, **nowhere) as (_process, lines):
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
            env={**os.environ, **WITHOUT},
            check=False,
        )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"error: The port {port} is used by another program. Name another port, or leave it out to use "
        "a free one.\n"
    )


def test_a_port_that_is_none_is_a_usage_error() -> None:
    ran = subprocess.run(
        [*COMMAND, "--port", "x"], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr.endswith("argument --port: must be a number from 1 to 65535; got 'x'.\n")


def test_a_database_that_is_there_already_is_named() -> None:
    ran = subprocess.run(
        [*COMMAND, "--database", "postgres"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **WITHOUT},
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == 'error: database "postgres" already exists\n'
