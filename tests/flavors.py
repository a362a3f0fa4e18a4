"""One test text for both flavors of the library.

A test is async and speaks to what `flavour` gives it. For the async flavor that is the real
object; for the sync one, a fake CockroachDB whose every method runs the real one's in a thread, so that
tests can do two things at once in either flavor.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

#: Attributes that are objects whose methods are to be awaited, too.
_FACES = frozenset({"resolve"})


class Threaded:
    """A sync object with async methods: each method is awaited while it runs in a thread."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.wrapped, name)
        if name in _FACES:
            return Threaded(attribute)
        return _in_thread(attribute) if callable(attribute) else attribute

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "wrapped":
            super().__setattr__(name, value)
        else:
            setattr(self.wrapped, name, value)

    async def __aenter__(self) -> Any:
        entered = await _in_thread(self.wrapped.__enter__)()
        return self if entered is self.wrapped else _faced(entered)

    async def __aexit__(self, *error: Any) -> Any:
        return await _in_thread(self.wrapped.__exit__)(*error)


class Flavour:
    """Makes databases and migrations of one flavor: `flavour.name` is "sync" or "async"."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._made: list[Any] = []

    def database(self, url: str, **options: Any) -> Any:
        """A database by its URL, not connected yet; closed after the test."""
        library = importlib.import_module("manticore_cockroachdb")
        if self.name == "async":
            made = library.AsyncDatabase.from_url(url, **options)
        else:
            made = Threaded(library.Database.from_url(url, **options))
        self._made.append(made)
        return made

    def migration(self, database: Any, folder: Path, **options: Any) -> Any:
        """An engine for the scripts of a folder, on a database of the same flavor."""
        library = importlib.import_module("manticore_cockroachdb")
        if self.name == "async":
            return library.AsyncMigrator(database, migrations_dir=folder, **options)
        return Threaded(library.Migration(database.wrapped, migrations_dir=folder, **options))

    async def close(self) -> None:
        """Close every database that was made."""
        for made in self._made:
            await made.close()


@pytest.fixture(params=["sync", "async"])
async def flavour(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Flavour]:
    """Runs the test twice: with the sync flavor of the library, and with the async one."""
    made = Flavour(request.param)
    yield made
    await made.close()


def _in_thread(method: Callable[..., Any]) -> Callable[..., Any]:
    async def run(*arguments: Any, **options: Any) -> Any:
        call = partial(method, *arguments, **options)
        return _faced(await anyio.to_thread.run_sync(call, abandon_on_cancel=True))

    return run


def _faced(result: Any) -> Any:
    """A context manager becomes an async one; any other result is itself."""
    is_plain = isinstance(result, Path) or not hasattr(type(result), "__enter__")
    return result if is_plain else Threaded(result)
