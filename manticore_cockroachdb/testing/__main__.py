"""`python -m manticore_cockroachdb.testing`: start a server to try things on, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
from types import FrameType

import psycopg
from psycopg.conninfo import conninfo_to_dict

from manticore_cockroachdb.errors import ManticoreError
from manticore_cockroachdb.testing.running import server

_VARIABLE = "MANTICORE_TEST_URL"

#: Where libpq, and so psql and Django, look for what a URL does not say.
_LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
}


def main(arguments: list[str] | None = None) -> int:
    """Start a server, print how to use it, and wait for a signal.

    Returns:
        The exit code: 0 after a signal, 1 if no server could be started.
    """
    parser = argparse.ArgumentParser(
        prog="python -m manticore_cockroachdb.testing",
        description="Start a server on this machine to try things on, and print how to connect to it: "
        "CockroachDB if there is a cockroach program (COCKROACH_BINARY, or on the PATH), else "
        "PostgreSQL. When it stops, its databases are deleted.",
    )
    parser.add_argument("--port", type=_port, help="Listen on this port. Default: a free one.")
    parser.add_argument(
        "--database", default="app", help="Create an empty database with this name. Default: app."
    )
    options = parser.parse_args(arguments)
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    environ = {name: value for name, value in os.environ.items() if name != _VARIABLE}
    try:
        with server(_VARIABLE, environ=environ, port=options.port) as running:
            url = running.new_database(options.database)
            _say(f"{running.description}\n\n    {url}\n")
            _say(f"Paste these lines into another terminal to use it:\n\n{_exports(url)}")
            _say("Press Ctrl-C to stop it. Its databases are then deleted.")
            stopped.wait()
    except (ManticoreError, psycopg.Error) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is a command
        return 1
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command


def _exports(url: str) -> str:
    """The shell's lines that make this server the one programs connect to: by URL, and by libpq."""
    parts = conninfo_to_dict(url)
    values = {"DATABASE_URL": url}
    values |= {name: str(parts[key]) for key, name in _LIBPQ.items() if parts.get(key)}
    return "".join(f"    export {name}={shlex.quote(value)}\n" for name, value in values.items())


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 65535; got {text!r}.")
    return port


if __name__ == "__main__":
    raise SystemExit(main())
