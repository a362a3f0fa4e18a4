"""One statement on its way through the fake CockroachDB, with the schema-change jobs that it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from manticore_cockroachdb.testing.proxy.interception import Interception
from manticore_cockroachdb.testing.proxy.protocol import ServerError

from .jobs import Attachment, Job


@dataclass(slots=True, eq=False)
class JobPassage(Interception):
    """What happens to one statement of CockroachDB's.

    Attributes:
        database: The database of its connection.
        began: When the explicit transaction began that it is part of, in UTC.
        attachments: The jobs that it will start.
        jobs: The jobs that it has started.
    """

    database: str = ""
    began: datetime | None = None
    attachments: list[Attachment] = field(default_factory=list)
    jobs: list[tuple[Attachment, Job]] = field(default_factory=list)

    @property
    def withholds(self) -> bool:
        """Whether its answer is not just passed on."""
        waits = any(attachment.waits for attachment, _ in self.jobs)
        return bool(self.answer_holds or self.error_after or waits)

    def start(self) -> None:
        """It is about to reach the server: its jobs begin."""
        self.jobs = [
            (each, job)
            for each in self.attachments
            for job in each.start(self.sql, self.database, self.began)
        ]
        told = [str(job.job_id) for attachment, job in self.jobs if attachment.notice]
        if told:
            self.notices.append(f"waiting for job(s) to complete: {', '.join(told)}")

    def fail(self, reason: str) -> None:
        """The server refused it: so did its jobs fail."""
        self.failed = True
        for attachment, job in self.jobs:
            if not job.is_final or not attachment.waits:
                job.to("failed", error=reason)

    def gates(self) -> Iterable[Callable[[], bool]]:
        """What must be true, in this order, before its answer may go."""
        for rule, hold in self.answer_holds:
            rule.reach()
            yield hold.event.is_set
        for attachment, job in self.jobs:
            if attachment.waits:
                yield lambda job=job: job.is_final  # type: ignore[misc]

    def verdict(self) -> ServerError | None:
        """The error its client receives although the server did it."""
        if self.failed:
            return None
        for attachment, job in self.jobs:
            if attachment.waits and (failure := attachment.failure_of(job)):
                return failure
        return self.error_after
