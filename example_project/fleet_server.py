"""A server for as long as it is needed, named to Django by DATABASE_URL as yours would be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from manticore_cockroachdb.testing import RunningServer, server


@contextmanager
def started() -> Iterator[RunningServer]:
    """Start a server (see `manticore_cockroachdb.testing`) and make an empty database on it."""
    with server("DATABASE_URL") as running:
        url = running.new_database("scooters")
        if running.kind == "cockroachdb":
            url = "cockroachdb://" + url.partition("://")[2]
        os.environ["DATABASE_URL"] = url
        try:
            yield running
        finally:
            del os.environ["DATABASE_URL"]
