"""Start a CockroachDB of one's own: a single node that keeps everything in memory.

It knows the options of the `cockroach` program; folders and processes are the keeper's.
"""

from __future__ import annotations

from pathlib import Path

from manticore_cockroachdb.testing.keeper import Keeper
from manticore_cockroachdb.testing.waiting import wait_until_ready

MEMORY = "1GiB"


def start_cockroach(program: Path, port: int | None = None) -> tuple[Keeper, str]:
    """Start a server by the `cockroach` program.

    Args:
        program: The program.
        port: The port to listen on; None: a free one.

    Returns:
        The keeper to close when done, and the URL of the server's empty database.

    Raises:
        ConnectionFailed: It did not come up; says what it printed.
    """
    keeper = Keeper(user=None, stop_signal="SIGKILL")  # In memory: nothing to write before it ends.
    try:
        # The server takes free ports itself and writes down which: nobody can come between.
        url_file = keeper.folder / "url"
        keeper.start(
            [
                program,
                "start-single-node",
                "--insecure",
                f"--store=type=mem,size={MEMORY}",
                f"--listen-addr=127.0.0.1:{port or 0}",
                "--http-addr=127.0.0.1:0",
                f"--listening-url-file={url_file}",
                f"--log-dir={keeper.folder / 'logs'}",
                f"--temp-dir={keeper.folder}",  # It is left behind otherwise.
            ]
        )
        return keeper, wait_until_ready(keeper, lambda: _written(url_file))
    except BaseException:
        keeper.close()
        raise


def _written(url_file: Path) -> str | None:
    try:
        lines = url_file.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return None
    # The line's end is written last: without it, the URL may be cut short.
    return lines[0].strip() if lines and lines[0].endswith("\n") else None
