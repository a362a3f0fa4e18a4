"""Removes what a statement that failed in the middle left, before it is sent again and before it counts.

What that may be, and what is done about it, is decided by `_backend.leftovers`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..._backend import leftovers
from ..._backend.leftovers import Kind, Leftover
from ..._planner.decisions import outcome_unknown
from ..._planner.step import Step
from ..._sql.statement import Statement, has_if_exists
from ...errors import ConnectionLost, DatabaseError
from ...events import Warned
from .. import concurrency
from .run import AsyncRun
from .supervision import async_run_statement

#: Seconds between two looks at an index that another session is building.
_PAUSE = 0.5


class AsyncLeftovers:
    """What one statement may leave behind.

    Args:
        run: The run.
        step: Its script.
        statements: The script's statements.
        done: How many of them are done: the next one is meant.
        sent_before: Whether it was sent before, by another connection or another run.
    """

    def __init__(
        self,
        run: AsyncRun,
        step: Step,
        statements: Sequence[Statement],
        done: int,
        *,
        sent_before: bool,
    ) -> None:
        statement = statements[done]
        self._run = run
        self._place = (step, statements, done)
        self._where = step.where(statement)
        self._suspect = leftovers.suspect(run.server, statement)
        self._may_be_skipped = has_if_exists(statement)
        self._sent_before = sent_before
        self._strangers: frozenset[str] | None = None

    async def settle(self) -> bool:
        """Remove what is left behind, and complete what can only be completed.

        Nothing is removed that another session is working on.

        Returns:
            Whether the statement is done by that, and must not be sent.

        Raises:
            DatabaseError: The server refused the removal.
            LeaseLost: The lease is another runner's.
        """
        done = False
        for left in await self._look():
            if left.removal is None or left.busy:
                continue
            await self._run.renew_lease()
            # It waits for locks no longer than the statement may, and as visibly.
            await async_run_statement(self._run, *self._place, instead=left.removal)
            done = done or left.kind is Kind.PENDING_DETACH
            self._run.emit(Warned(f"{self._where}: {_said(left)}"))
        return done

    async def settle_after_failure(self) -> tuple[Leftover, ...]:
        """Remove what the statement that just failed left behind; what could not be removed.

        A pending detach is left to the next run: its cause may have to be fixed first.
        """
        left = await self._look()
        if not left or left[0].kind is Kind.PENDING_DETACH:
            return left
        try:
            await self.settle()
        except ConnectionLost:
            raise
        except DatabaseError as error:
            if outcome_unknown(error.sqlstate):
                raise
        return await self._look()

    async def await_valid(self) -> bool:
        """Whether the index is valid that IF NOT EXISTS may have found; waits while a session builds it."""
        if not self._may_be_skipped or not self._suspect:
            return True
        if self._suspect.kind is not Kind.INVALID_INDEX:
            return True
        warned = False
        while left := await self._look():
            if not any(each.busy for each in left):
                return False
            if not warned:
                warned = True
                names = ", ".join(each.name for each in left)
                self._run.emit(
                    Warned(f"{self._where}: waiting for the session that is building {names}.")
                )
            await self._run.renew_lease()
            await concurrency.async_sleep(_PAUSE)
        return True

    async def _look(self) -> tuple[Leftover, ...]:
        """What is left behind now."""
        if self._suspect is None:
            return ()
        results = await self._run.session.send(self._suspect.question)
        found = leftovers.found(self._suspect, results[0])
        if self._strangers is None:
            # What the server names was there before the statement was ever sent: it is not this one's.
            keep = not self._suspect.named and not self._sent_before
            self._strangers = frozenset(each.name for each in found) if keep else frozenset()
        return tuple(each for each in found if each.name not in self._strangers)


def _said(left: Leftover) -> str:
    if left.kind is Kind.PENDING_DETACH:
        return f"completed the detach of the partition {left.name}, which an earlier attempt had begun."
    return f"dropped the invalid index {left.name}, which a failed attempt had left."
