"""Waiting for something to become so, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable

#: How long anything may take, in seconds: only what hangs takes longer, on the busiest machine too.
PATIENCE = 120.0


def until(so: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.05)  # between two looks
