"""Programs that tests start: gone when the test is over, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_READY = "Press Ctrl-C"


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a program whose pipes carry text; it is killed where it has not ended.

    Args:
        command: The program and its arguments.
        options: More for `subprocess.Popen`.
    """
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def started_server(
    *arguments: str, **environ: str
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command that starts a server for newcomers, and what it printed until it was ready.

    Args:
        arguments: The command's arguments.
        environ: Variables to add to this process's, less the server that the tests run on.
    """
    command = [sys.executable, "-m", "manticore_cockroachdb.testing", *arguments]
    # A shell's background job has SIGINT ignored; the command must hear it all the same.
    shell = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    with started(
        shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, **environ},
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith(_READY):
            line = process.stdout.readline()
            assert line, process.communicate()
            lines.append(line.rstrip("\n"))
        yield process, lines
