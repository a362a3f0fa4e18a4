"""What is known of an unfinished script and of the lease, for a person who must decide. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from .._backend.jobs import Job
from .._scripts.script import MigrationScript
from .._sql.statement import Statement
from .._store.snapshot import RunState


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an unfinished script and of the lease.

    Attributes:
        record: The run state.
        script: The unfinished script, if there is one and its file is there.
        statement: Its statement in flight, or the one it stopped at, if the file still has it.
        jobs: The schema-change jobs of that statement that the server shows.
        sessions: Ids of the lease owner's sessions that are still connected.
    """

    record: RunState
    script: MigrationScript | None
    statement: Statement | None
    jobs: tuple[Job, ...]
    sessions: tuple[str, ...]
