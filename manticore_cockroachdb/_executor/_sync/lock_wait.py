# Generated from _async/lock_wait.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Waits for a lock on PostgreSQL: names who holds it, and tries a statement again that did not get it.

A statement that gave up after `lock_timeout` took no effect: its transaction is rolled back, or it was one
alone. So it is sent again after a pause. Meanwhile nobody waits because of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from ..._backend.blockers import Blocker, Waiting
from ..._backend.retry import LOCK_NOT_AVAILABLE, Attempts, lock_waits
from ..._planner.lock_limits import asks_at_once
from ..._planner.step import Step
from ..._sql.statement import Statement
from ...errors import DatabaseError
from ...events import Event, LockAwaited
from .. import concurrency
from ..messages import LockWait
from ..under_way import UnderWay
from .heartbeat import Heartbeat

#: Seconds between two looks at the sessions that hold the lock, during a pause.
_LOOK = 0.5


class Locks:
    """The waits for locks of one run.

    Args:
        watch: The second connection: ours waits.
        emit: Called with each event.
        retries: How often a statement is tried again.
        renew_lease: Extends the lease during a pause.
    """

    def __init__(
        self,
        watch: Heartbeat,
        emit: Callable[[Event], None],
        retries: int,
        renew_lease: Callable[[], None],
    ) -> None:
        self._watch = watch
        self._emit = emit
        self._backoff = lock_waits(retries)
        self._renew_lease = renew_lease
        self._attempts = Attempts()
        self._place: Hashable = None
        self._began: float | None = None
        self._waiting: Waiting | None = None

    def look(
        self, session_id: str, under_way: UnderWay, locate: Callable[[str], UnderWay | None]
    ) -> None:
        """Emit who is in front of our session, if it waits for a lock now.

        Args:
            session_id: Our session, by the server's own id.
            under_way: What the server is working on, as far as its answers tell.
            locate: Finds what a statement belongs to whose text begins so.
        """
        waiting = self._watch.waiting(session_id)
        if waiting is None:
            return
        now = locate(waiting.statement) or under_way
        self._go_to(now.place)
        self._waiting = waiting
        self._emit(self._event(now.step, now.statement, None))

    def tries_again(
        self, error: DatabaseError, step: Step, statement: Statement | None, place: Hashable
    ) -> bool:
        """Pause, if a lock was not granted in time and the statement may be sent again.

        Args:
            error: What the server said.
            step: The script.
            statement: The statement; None where it is one of ours.
            place: What failed; progress to another place starts the count of attempts again.
        """
        if error.sqlstate != LOCK_NOT_AVAILABLE or asks_at_once(statement):
            return False
        self._go_to(place)
        pause = self._attempts.failed(self._backoff, place)
        if pause is None:
            return False
        self._pause(step, statement, pause)
        return True

    def failure(self, error: DatabaseError, statement: Statement | None) -> LockWait | None:
        """What is known of a statement that was given up because of a lock; None of any other."""
        if error.sqlstate != LOCK_NOT_AVAILABLE or asks_at_once(statement):
            return None
        attempts = max(1, self._attempts.count(self._backoff))
        return LockWait(self._blockers, attempts, self._waited)

    def _pause(self, step: Step, statement: Statement | None, seconds: float) -> None:
        """Pause, but no longer than the sessions that were in front of us need."""
        end = time.monotonic() + seconds
        sessions = self._waiting.sessions if self._waiting is not None else frozenset()
        while (left := end - time.monotonic()) > 0:
            self._emit(self._event(step, statement, left))
            concurrency.sleep(min(left, _LOOK))
            if self._watch.is_due:
                self._renew_lease()
            if sessions and not self._watch.any_in_transaction(sessions):
                return

    def _event(self, step: Step, statement: Statement | None, pause: float | None) -> LockAwaited:
        attempt = self._attempts.count(self._backoff) + 1
        return LockAwaited(
            step, statement, self._blockers, attempt, self._backoff.tries, self._waited, pause
        )

    def _go_to(self, place: Hashable) -> None:
        if self._began is None or place != self._place:
            self._place, self._began, self._waiting = place, time.monotonic(), None
            self._attempts = Attempts()

    @property
    def _blockers(self) -> tuple[Blocker, ...]:
        return self._waiting.blockers if self._waiting is not None else ()

    @property
    def _waited(self) -> float:
        return time.monotonic() - self._began if self._began is not None else 0.0
