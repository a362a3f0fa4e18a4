"""Runs one task on many databases at the same time, and keeps what they write apart.

Each database writes into a separate stream, which passes on whole lines with the alias before them, so
lines of different databases never mix. Receivers of the app's signals are called in one other thread, one
at a time: they may use Django's database functions, which refuse to work beside an event loop.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO, cast

from django.core.management.base import CommandError, OutputWrapper
from django.db import connections

from django_manticore.migrators import get_async_migrator
from manticore_cockroachdb.errors import ManticoreError
from manticore_cockroachdb.many import run_many

from .base import Failure
from .runner import Output, Run

if TYPE_CHECKING:
    from manticore_cockroachdb import AsyncMigrator
    from manticore_cockroachdb.types import Plan

    from .interrupts import Interrupts
    from .tasks import Task


class PrefixedStream(io.TextIOBase):
    """A stream that passes on whole lines only, each with the same text before it.

    Args:
        out: Where to.
        prefix: What comes before each line.
    """

    def __init__(self, out: OutputWrapper, prefix: str) -> None:
        self._out = out
        self._prefix = prefix
        self._begun = ""

    def write(self, text: str) -> int:
        """Pass on the lines that are whole; keep the rest until it is."""
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._out.write(f"{self._prefix}{line}".rstrip(" ") + "\n", ending="")
        return len(text)

    def flush(self) -> None:
        """Show what was passed on. A line that is begun still waits for its end."""
        self._out.flush()

    def close(self) -> None:
        """Do nothing: the stream that it passes lines on to is others', and may be closed before it.

        Python closes every stream that is no longer used, which flushes it, and reports what fails then.
        """

    def end(self) -> None:
        """Pass on what has no end of line."""
        if self._begun:
            self.write("\n")


class ParallelRuns:
    """One run of a task on each of several databases.

    Attributes:
        runs: Each database's run, in the order given; known while they run.

    Args:
        task: What to do.
        output: Where and how to write. Nobody is asked anything: there is one keyboard.
        jobs: How many run at the same time at most.
        lock_timeout: Seconds to wait for another runner, instead of the setting's.
    """

    def __init__(
        self, task: Task, output: Output, *, jobs: int, lock_timeout: float | None
    ) -> None:
        self.runs: list[Run] = []
        self._task = task
        self._output = replace(output, interactive=False)
        self._jobs = jobs
        self._lock_timeout = lock_timeout
        self._streams: dict[str, PrefixedStream] = {}
        self._failures: dict[str, Failure] = {}

    def run(self, aliases: Mapping[str, Plan | None], interrupts: Interrupts) -> dict[str, Failure]:
        """Run the task on every database.

        Args:
            aliases: The databases, each with the plan that was confirmed for it, if any.
            interrupts: The command's signals: the first one cancels the runs.

        Returns:
            What failed, by alias, in the order given.
        """
        migrators: dict[str, AsyncMigrator] = {}
        width = max(map(len, aliases))
        for alias, confirmed in aliases.items():
            try:
                migrators[alias] = self._prepared(alias, confirmed, width)
            except ManticoreError as error:
                self._failures[alias] = error
        # psycopg needs an event loop that watches sockets one by one; on Windows that is not the usual one.
        with (
            ThreadPoolExecutor(1) as receivers,
            asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
        ):
            loop = runner.get_loop()
            work = loop.create_task(self._all(migrators, receivers))
            try:
                with interrupts.cancelling(lambda: loop.call_soon_threadsafe(work.cancel)):
                    loop.run_until_complete(work)
            finally:
                receivers.submit(connections.close_all).result()
        return {alias: self._failures[alias] for alias in aliases if alias in self._failures}

    def _prepared(self, alias: str, confirmed: Plan | None, width: int) -> AsyncMigrator:
        prefix = "" if self._output.as_json else f"{alias:<{width}} | "
        stream = PrefixedStream(self._output.stdout, prefix)
        output = replace(self._output, stdout=OutputWrapper(cast(TextIO, stream)))
        run = Run(alias, self._task, output, confirmed=confirmed)
        migrator = get_async_migrator(alias, listener=run.renderer, lock_timeout=self._lock_timeout)
        self.runs.append(run)
        self._streams[alias] = stream
        return migrator

    async def _all(
        self, migrators: dict[str, AsyncMigrator], receivers: ThreadPoolExecutor
    ) -> None:
        runs = {id(migrators[run.alias]): run for run in self.runs}

        async def one(migrator: AsyncMigrator) -> int:
            run = runs[id(migrator)]
            try:
                return await self._one(run, migrator, receivers)
            except CommandError as error:
                self._failures[run.alias] = error
                return 0
            finally:
                self._streams[run.alias].end()

        outcomes = await run_many(migrators, one, jobs=self._jobs)
        for alias, outcome in outcomes.items():
            if outcome.error is not None:
                self._failures[alias] = outcome.error

    async def _one(self, run: Run, migrator: AsyncMigrator, receivers: ThreadPoolExecutor) -> int:
        """`Run.run`, awaited."""

        async def elsewhere(send: Callable[..., None], *arguments: Any) -> None:
            await asyncio.get_running_loop().run_in_executor(receivers, send, *arguments)

        with run.rendered():
            if run.has_receivers:
                confirmed = run.confirmed
                plan = await run.task.plan(migrator) if confirmed is None else confirmed
                await elsewhere(run.announce, plan)
            done: int = await run.task.run(migrator, run.confirmed)
        await elsewhere(run.report)
        return done
