"""How long a statement's schema-change jobs still take. Pure: from the fraction that the server reports."""

from __future__ import annotations

from collections.abc import Iterable

from .._backend.jobs import Job, JobState


class JobPace:
    """The pace of the jobs of one statement, from the first look at which they had begun."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def remaining(self, jobs: Iterable[Job], now: float) -> float | None:
        """Seconds left at the pace seen so far; None until the server's fraction moves.

        Args:
            jobs: The jobs, as one look found them.
            now: When that was, in seconds by a clock that only goes forward.
        """
        fraction = max((job.fraction for job in jobs if job.state is JobState.RUNNING), default=0.0)
        if not 0 < fraction < 1:
            return None
        if self._first is None or fraction < self._first[1]:
            self._first = (now, fraction)  # the first look, or another job
            return None
        since, first = self._first
        pace = (fraction - first) / (now - since) if now > since else 0.0
        return (1 - fraction) / pace if pace > 0 else None
