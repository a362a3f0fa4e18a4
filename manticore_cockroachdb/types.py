"""The values that methods take and return and that events carry: the one place to import them from."""

from __future__ import annotations

from ._backend.blockers import Blocker
from ._backend.dialect import Server
from ._backend.jobs import Job, JobState
from ._backend.settings import ConnectionSettings
from ._executor.known import Known
from ._executor.options import Options
from ._planner.batch_progress import BatchStatus, batch_status
from ._planner.preview import Plan, PlannedStep
from ._planner.status import ScriptStatus, State
from ._planner.step import Step
from ._scripts.checkpoint import Checkpoint, Replaced, span
from ._scripts.direction import Direction
from ._scripts.script import MigrationScript, Mode, ScriptKey, called
from ._sql.server_kind import ServerKind
from ._sql.statement import Kind, Statement
from ._store.snapshot import BatchState, Progress, RunState

__all__ = [
    "BatchState",
    "BatchStatus",
    "Blocker",
    "Checkpoint",
    "ConnectionSettings",
    "Direction",
    "Job",
    "JobState",
    "Kind",
    "Known",
    "MigrationScript",
    "Mode",
    "Options",
    "Plan",
    "PlannedStep",
    "Progress",
    "Replaced",
    "RunState",
    "ScriptKey",
    "ScriptStatus",
    "Server",
    "ServerKind",
    "State",
    "Statement",
    "Step",
    "batch_status",
    "called",
    "span",
]
