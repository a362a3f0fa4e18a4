"""The values that methods return and events carry, in one place to import them from."""

from __future__ import annotations

from ._backend.dialect import Server
from ._backend.jobs import Job, JobState
from ._backend.settings import ConnectionSettings
from ._executor.known import Known
from ._planner.plan import ScriptStatus, State, Step
from ._scripts.direction import Direction
from ._scripts.script import MigrationScript, Mode
from ._sql.server_kind import ServerKind
from ._sql.statement import Kind, Statement

__all__ = [
    "ConnectionSettings",
    "Direction",
    "Job",
    "JobState",
    "Kind",
    "Known",
    "MigrationScript",
    "Mode",
    "ScriptStatus",
    "Server",
    "ServerKind",
    "State",
    "Statement",
    "Step",
]
