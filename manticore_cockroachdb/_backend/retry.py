"""How often, and after what pause, something is tried again. Decides; never sleeps.

Pauses grow by half again and again up to a ceiling, and are drawn at random between nothing and that
("full jitter"), so that runners that failed together do not come back together.
"""

from __future__ import annotations

import random
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
        ceiling = min(self.longest, self.first * 1.5 ** (attempt - 1))
        return random.uniform(ceiling / 4, ceiling)  # noqa: S311 - jitter, no secret


#: Transactions told to try again (40001). About half a minute in all.
TRANSACTION = Backoff(tries=24, first=0.02, longest=2.5)

#: An object in transition. About ten seconds in all.
TRANSITION = Backoff(tries=10, first=0.1, longest=2.0)

#: A connection that broke in the middle of a run. About a minute and a half in all.
RECONNECT = Backoff(tries=24, first=0.1, longest=8.0)

#: Looks at a lease that somebody else holds; endless, bounded by the caller's own time limit.
POLL = Backoff(tries=10**9, first=0.15, longest=1.0)
