"""Many databases at the same time: a bounded number, and a failure in one does not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from .async_migration import AsyncMigrator
from .errors import ManticoreError


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one database.

    Attributes:
        count: How many scripts were applied or reverted; None if the run failed.
        error: Why it failed, or None.
    """

    count: int | None = None
    error: ManticoreError | None = None


async def run_many(
    migrators: Mapping[str, AsyncMigrator],
    verb: Callable[[AsyncMigrator], Awaitable[int]],
    *,
    jobs: int = 8,
) -> dict[str, Outcome]:
    """Call one method on many migrators.

    Args:
        migrators: The migrators by name.
        verb: Called with each, such as `lambda migrator: migrator.migrate()`.
        jobs: How many may run at the same time.

    Returns:
        Each database's outcome, in the order given.

    Raises:
        ValueError: `jobs` is below 1.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; it must be 1 or more.")
    free = asyncio.Semaphore(jobs)

    async def one(migrator: AsyncMigrator) -> Outcome:
        async with free:
            try:
                return Outcome(count=await verb(migrator))
            except ManticoreError as error:
                return Outcome(error=error)

    # Collecting exceptions makes a cancelled gather wait until every run has released its lease.
    ended = await asyncio.gather(
        *(one(migrator) for migrator in migrators.values()), return_exceptions=True
    )
    outcomes: dict[str, Outcome] = {}
    for name, outcome in zip(migrators, ended, strict=True):
        if isinstance(outcome, BaseException):
            raise outcome
        outcomes[name] = outcome
    return outcomes
