"""`python -m manticore_cockroachdb.testing`: start a server to try things on, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from types import FrameType

from manticore_cockroachdb.errors import ManticoreError
from manticore_cockroachdb.testing.running import server

_VARIABLE = "MANTICORE_TEST_URL"


def main(arguments: list[str] | None = None) -> int:
    """Start a server, print its URL and how to use it, and stay until a signal; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m manticore_cockroachdb.testing",
        description="Start a server on this machine to try things on: a CockroachDB if there is a "
        "cockroach program (COCKROACH_BINARY, or on the PATH), else a PostgreSQL. It keeps nothing: "
        "when it stops, its databases are gone.",
    )
    parser.add_argument("--port", type=_port, help="The port to listen on. Default: a free one.")
    parser.add_argument(
        "--database", default="app", help="The name of the empty database it makes. Default: app."
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
            _say(f"Use it in another terminal:\n\n    export DATABASE_URL='{url}'\n")
            _say("Press Ctrl-C to stop it. Its databases are then gone.")
            stopped.wait()
    except ManticoreError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is a command
        return 1
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 1 to 65535.")
    return port


if __name__ == "__main__":
    raise SystemExit(main())
