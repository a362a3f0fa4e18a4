"""Wait until a server that was just started answers, or has ended without."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from manticore_cockroachdb.errors import ConnectionFailed
from manticore_cockroachdb.testing.keeper import Keeper

READY_SECONDS = 60.0
_POLL_SECONDS = 0.01


def wait_until_ready(keeper: Keeper, find_url: Callable[[], str | None]) -> str:
    """Wait for the server the keeper started last, and return its URL.

    Args:
        keeper: Who started it.
        find_url: Gives the server's URL, or None as long as that is not known.

    Raises:
        ConnectionFailed: It ended, or did not answer in time; says what it printed.
    """
    deadline = time.monotonic() + READY_SECONDS
    refusal: Exception | None = None
    while not keeper.ended():
        try:
            if (url := find_url()) is not None:
                psycopg.connect(url, connect_timeout=2).close()
                return url
        except psycopg.OperationalError as error:
            refusal = error
        if time.monotonic() > deadline:
            raise ConnectionFailed(
                f"The test server did not answer within {READY_SECONDS:.0f} seconds. It printed:\n"
                f"{keeper.log().rstrip()}"
            ) from refusal
        time.sleep(_POLL_SECONDS)
    raise ConnectionFailed(
        f"The test server ended before it was ready. It printed:\n{keeper.log().rstrip()}"
    )
