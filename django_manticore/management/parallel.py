"""Runs one verb on many databases at the same time, and keeps what they write apart.

Each database writes into a stream of its own, which passes on whole lines with the alias before them, so
lines of different databases never mix. Receivers of the app's signals are called in one other thread, one
after the other: they may use Django's database functions, which refuse to work beside an event loop.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO, cast

from django.core.management.base import CommandError, OutputWrapper
from django.db import connections

from django_manticore.migrators import get_async_migrator
from django_manticore.signals import post_migrate_scripts, pre_migrate_scripts
from manticore_cockroachdb.errors import ManticoreError
from manticore_cockroachdb.many import run_many

from .base import Failure
from .console import operation
from .interrupts import cancelling
from .runner import Running, Screen, folders

if TYPE_CHECKING:
    from django.dispatch import Signal

    from manticore_cockroachdb import AsyncMigrator
    from manticore_cockroachdb._planner.plan import Step

Verb = Callable[["AsyncMigrator"], Awaitable[int]]


class Lines(io.TextIOBase):
    """A stream that passes on whole lines only, each with the same words before it.

    Args:
        out: Where to.
        before: What stands before each line.
    """

    def __init__(self, out: OutputWrapper, before: str) -> None:
        self._out = out
        self._before = before
        self._begun = ""

    def write(self, text: str) -> int:
        """Pass on the lines that are whole; keep the rest until it is."""
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._out.write(f"{self._before}{line}".rstrip(" ") + "\n", ending="")
        return len(text)

    def flush(self) -> None:
        """Show what was passed on. A line that is begun still waits for its end."""
        self._out.flush()

    def end(self) -> None:
        """Pass on what has no end of line."""
        if self._begun:
            self.write("\n")


class SideBySide:
    """One run on each of several databases.

    Attributes:
        running: Each database's run, in the order given; known while they run.

    Args:
        aliases: The databases.
        screen: Where and how to write. Nobody is asked anything: there is one keyboard.
        jobs: How many run at the same time at most.
        lock_timeout: Seconds to wait for another runner, instead of the setting's.
    """

    def __init__(
        self, aliases: list[str], screen: Screen, jobs: int, lock_timeout: float | None
    ) -> None:
        self.running: list[Running] = []
        self._aliases = aliases
        self._screen = replace(screen, interactive=False)
        self._jobs = jobs
        self._lock_timeout = lock_timeout
        self._width = max(map(len, aliases))
        self._lines: dict[str, Lines] = {}
        self._by_alias: dict[str, Running] = {}
        self._failures: dict[str, Failure] = {}

    def run(self, goal: int | None, verb: Verb) -> dict[str, Failure]:
        """Run `verb` on every database.

        Args:
            goal: The version to end at, for headings and for the signals' plan.
            verb: What to do with each engine.

        Returns:
            What failed, by alias, in the order given.
        """
        engines: dict[str, AsyncMigrator] = {}
        for alias in self._aliases:
            try:
                engines[alias] = self._engine(alias, goal)
            except ManticoreError as error:
                self._failures[alias] = error
        # psycopg needs an event loop that watches sockets one by one; on Windows that is not the usual one.
        with (
            ThreadPoolExecutor(1) as receivers,
            asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
        ):
            loop = runner.get_loop()
            work = loop.create_task(self._all(engines, goal, verb, receivers))
            try:
                with cancelling(lambda: loop.call_soon_threadsafe(work.cancel)):
                    loop.run_until_complete(work)
            finally:
                receivers.submit(connections.close_all).result()
        return {alias: self._failures[alias] for alias in self._aliases if alias in self._failures}

    def _engine(self, alias: str, goal: int | None) -> AsyncMigrator:
        lines = Lines(self._screen.stdout, f"{alias:<{self._width}} | ")
        running = Running(
            alias,
            replace(self._screen, stdout=OutputWrapper(cast(TextIO, lines))),
            operation=operation(goal, folders(alias)),
            nothing="No migrations to apply.",
        )
        engine = get_async_migrator(
            alias, listener=running.renderer, lock_timeout=self._lock_timeout
        )
        self.running.append(running)
        self._lines[alias], self._by_alias[alias] = lines, running
        return engine

    async def _all(
        self,
        engines: dict[str, AsyncMigrator],
        goal: int | None,
        verb: Verb,
        receivers: ThreadPoolExecutor,
    ) -> None:
        aliases = {id(engine): alias for alias, engine in engines.items()}

        async def one(engine: AsyncMigrator) -> int:
            alias = aliases[id(engine)]
            try:
                return await self._one(self._by_alias[alias], engine, goal, verb, receivers)
            except CommandError as error:
                self._failures[alias] = error
                return 0
            finally:
                self._lines[alias].end()

        outcomes = await run_many(engines, one, jobs=self._jobs)
        for alias, outcome in outcomes.items():
            if outcome.error is not None:
                self._failures[alias] = outcome.error

    async def _one(
        self,
        running: Running,
        engine: AsyncMigrator,
        goal: int | None,
        verb: Verb,
        receivers: ThreadPoolExecutor,
    ) -> int:
        async def send(signal: Signal, plan: tuple[Step, ...]) -> None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(receivers, running.send, signal, plan)

        failed = True
        try:
            if pre_migrate_scripts.has_listeners():
                await send(pre_migrate_scripts, await engine.plan(goal))
            done = await verb(engine)
            failed = False
        finally:
            running.renderer.end(failed=failed)
        if post_migrate_scripts.has_listeners():
            await send(post_migrate_scripts, tuple(running.renderer.finished))
        return done
