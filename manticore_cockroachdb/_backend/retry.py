"""How often, and after what pause, something is tried again. Decides; never sleeps.

`Attempts` is the one counter of failed attempts. A failure is counted at a place, such as a version and
the number of its statements that are done. Progress to another place starts the count again, so a run of
many statements survives many faults, while one statement that never gets on is given up.

Pauses grow by half again and again up to a ceiling, and are drawn at random between nothing and that
("full jitter"), so that runners that failed together do not come back together.
"""

from __future__ import annotations

import random
from collections.abc import Hashable
from dataclasses import dataclass

#: The transaction did nothing and is to be run again, whole.
#: https://www.cockroachlabs.com/docs/stable/transaction-retry-error-reference
SERIALIZATION_FAILURE = "40001"

#: Nothing happened, and trying again is the cure: PostgreSQL's deadlock victim belongs here too.
RETRY = frozenset({SERIALIZATION_FAILURE, "40P01"})

#: The object is being added or dropped by a change not at its end, such as the clearing up after one
#: that failed: CockroachDB asks to come again later.
IN_TRANSITION = "55000"

#: Two sessions created the same object at once and this one lost the race inside the catalog; 42710 is
#: PostgreSQL's word for the row type that comes with every table.
CREATED_MEANWHILE = frozenset({"23505", "42P07", "42701", "42710", "XX000"})


#: A statement did not get its lock within `lock_timeout`, or asked with NOWAIT; nothing of it took effect.
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
LOCK_NOT_AVAILABLE = "55P03"

#: A statement was cancelled, by a person or by statement_timeout.
QUERY_CANCELED = "57014"
#: What a server says to a transaction that is too large for its memory or its limits.
TOO_LARGE = frozenset({"53200", "53400", "54000"})


#: Pauses have reached any ceiling by then, and larger powers would overflow.
_MOST_GROWTHS = 100


@dataclass(frozen=True, slots=True)
class Backoff:
    """A bounded series of pauses.

    Attributes:
        tries: How many attempts there are in all.
        first: Ceiling of the first pause, in seconds.
        longest: Ceiling that no pause exceeds, in seconds.
    """

    tries: int
    first: float
    longest: float

    def pause(self, attempt: int) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 1) failed, or None: give up."""
        if attempt >= self.tries:
            return None
        growth = min(attempt - 1, _MOST_GROWTHS)
        ceiling = min(self.longest, self.first * 1.5**growth)
        return random.uniform(ceiling / 4, ceiling)  # noqa: S311 - jitter, no secret


#: Transactions that the server asks to try again (40001). About half a minute in all.
TRANSACTION = Backoff(tries=24, first=0.02, longest=2.5)

#: An object in transition. About ten seconds in all.
TRANSITION = Backoff(tries=10, first=0.1, longest=2.0)

#: A connection that broke in the middle of a run. About a minute and a half in all.
RECONNECT = Backoff(tries=24, first=0.1, longest=8.0)

#: Sendings of one statement that each lost their connection. A statement may end its own session, or the
#: server (out of memory): it is not sent a third time.
LOST_CONNECTIONS = Backoff(tries=2, first=0.1, longest=0.1)


def lock_waits(retries: int) -> Backoff:
    """Statements that did not get their lock.

    Args:
        retries: How often to try again.
    """
    return Backoff(tries=retries + 1, first=0.5, longest=30.0)


#: Looks at a lease that somebody else holds; endless, bounded by the caller's own time limit.
POLL = Backoff(tries=10**9, first=0.15, longest=1.0)


class Attempts:
    """Counts failed attempts, and says how long to wait before the next one.

    Each backoff is counted separately. A failure at a place other than the last one starts from one again.
    """

    def __init__(self) -> None:
        self._place: Hashable = None
        self._failed: dict[Backoff, int] = {}

    def failed(self, backoff: Backoff, place: Hashable = None) -> float | None:
        """Count one more failure.

        Args:
            backoff: How often to try, and how long to wait.
            place: What was attempted; None where there is one thing only.

        Returns:
            Seconds to wait before the next attempt; None means to give up.
        """
        if place != self._place:
            self._place = place
            self._failed.clear()
        self._failed[backoff] = self._failed.get(backoff, 0) + 1
        return backoff.pause(self._failed[backoff])

    def count(self, backoff: Backoff) -> int:
        """How many attempts have failed at the place of the last failure."""
        return self._failed.get(backoff, 0)
