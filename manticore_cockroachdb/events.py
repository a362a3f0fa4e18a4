"""The events of a run: frozen values, in the order in which things happen.

The library prints nothing. Pass a listener, any callable that takes an `Event`, and turn events into
lines, a progress bar, log records or spans (`manticore_cockroachdb.telemetry`). The listener is called
in the thread (or task) that called the method, one event at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._backend.blockers import Blocker
    from ._backend.dialect import Server
    from ._backend.jobs import Job
    from ._planner.step import Step
    from ._scripts.script import MigrationScript, Mode
    from ._sql.statement import Statement


@dataclass(frozen=True, slots=True)
class Event:
    """The base class of all events."""


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """The run is connected.

    Attributes:
        server: The server it is connected to.
    """

    server: Server


@dataclass(frozen=True, slots=True)
class Planned(Event):
    """The plan of this run; emitted again if another runner did part of it meanwhile.

    Attributes:
        steps: The steps, in order; empty when there is nothing to do.
    """

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class LeaseAwaited(Event):
    """Another runner holds the lease; emitted once a second while waiting.

    Attributes:
        owner: Who holds it: host, pid and a random part; None where it could not be read now.
        doing: What that runner is doing, according to the run state.
        waited: Seconds waited so far.
        expires_in: Seconds until its lease expires unless it is renewed, by the server's clock.
    """

    owner: str | None
    doing: str
    waited: float
    expires_in: float | None


@dataclass(frozen=True, slots=True)
class LeaseTaken(Event):
    """This runner holds the lease.

    Attributes:
        owner: Its name in the lease.
        epoch: The lease's number.
    """

    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """A script is about to run.

    Attributes:
        step: The script and its direction.
        number: Which step of the run, from 1.
        total: How many steps the run has.
        mode: How it is going to run.
        resumed_at: How many of its statements were done by an earlier run.
    """

    step: Step
    number: int
    total: int
    mode: Mode
    resumed_at: int = 0


@dataclass(frozen=True, slots=True)
class StatementStarted(Event):
    """A statement is about to be sent alone (stepwise mode).

    Attributes:
        step: Its script.
        statement: The statement.
        number: Which statement of the script, from 1.
        total: How many statements the script has.
    """

    step: Step
    statement: Statement
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class StatementFinished(Event):
    """A statement succeeded.

    Attributes:
        step: Its script.
        statement: The statement.
        number: Which statement of the script, from 1.
        total: How many statements the script has.
        seconds: How long it took, measured by the client.
        rows: How many rows it changed; None for what changes none.
    """

    step: Step
    statement: Statement
    number: int
    total: int
    seconds: float
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class TransactionStarted(Event):
    """Neighboring statements of a script are about to be sent as one transaction (stepwise mode).

    Attributes:
        step: Their script.
        statements: The statements, at least one.
        number: Which statement of the script the first of them is, from 1.
        total: How many statements the script has.
    """

    step: Step
    statements: tuple[Statement, ...]
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class TransactionFinished(Event):
    """A transaction of neighboring statements was committed.

    Attributes:
        step: Their script.
        statements: The statements, at least one.
        number: Which statement of the script the first of them is, from 1.
        total: How many statements the script has.
        seconds: How long the transaction took, measured by the client.
        rows: How many rows each of them changed; None for one that changes none.
    """

    step: Step
    statements: tuple[Statement, ...]
    number: int
    total: int
    seconds: float
    rows: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Noticed(Event):
    """The server sent a notice or a warning while it ran a script: RAISE NOTICE, IF NOT EXISTS.

    Attributes:
        step: The script.
        statement: The statement, as far as it is known which one it was.
        severity: The server's word: `NOTICE`, `WARNING`, `INFO`, …
        message: What it said.
    """

    step: Step
    statement: Statement | None
    severity: str
    message: str


@dataclass(frozen=True, slots=True)
class StillRunning(Event):
    """The server is still working on a statement; emitted about once a second.

    Attributes:
        step: Its script.
        statement: The statement, or None while a whole script runs as one transaction.
        elapsed: Seconds since it was sent.
        jobs: The schema-change jobs it started, where the server shows any.
        remaining: Estimated seconds left; None unless a job reports its progress.
    """

    step: Step
    statement: Statement | None
    elapsed: float
    jobs: tuple[Job, ...] = ()
    remaining: float | None = None


@dataclass(frozen=True, slots=True)
class BatchProgress(Event):
    """A window of a batch is done.

    Attributes:
        step: The script.
        statement: The statement that runs in batches.
        windows: How many windows are done, those of earlier runs included.
        rows: How many rows they changed.
        size: Rows in the next window at most.
        elapsed: Seconds since this run began with the statement.
        remaining: Estimated seconds left, or None if unknown.
        position: The key of the last row of this window, as text.
        rate: Rows changed in a second, over all runs.
    """

    step: Step
    statement: Statement
    windows: int
    rows: int
    size: int
    elapsed: float
    remaining: float | None = None
    position: tuple[str, ...] = ()
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class BatchPaused(Event):
    """A batch is waiting, because its `stop_if` is true.

    Attributes:
        step: The script.
        statement: The statement that runs in batches.
        waited: Seconds waited so far.
    """

    step: Step
    statement: Statement
    waited: float


@dataclass(frozen=True, slots=True)
class JobsAwaited(Event):
    """Schema-change jobs of an earlier run or of somebody else must end before the run continues.

    Attributes:
        step: The script that needs them to end.
        jobs: The jobs.
        elapsed: Seconds waited so far.
    """

    step: Step
    jobs: tuple[Job, ...]
    elapsed: float


@dataclass(frozen=True, slots=True)
class SessionAwaited(Event):
    """The server is still working for a runner that is gone, whose session must end first.

    Attributes:
        application_name: The name of that session in the server's session list.
        session_id: The server's id of it.
        elapsed: Seconds waited so far.
    """

    application_name: str
    session_id: str
    elapsed: float


@dataclass(frozen=True, slots=True)
class LockAwaited(Event):
    """A statement waits for a lock, or for its next attempt to get it (PostgreSQL).

    Attributes:
        step: The script.
        statement: The statement, as far as it is known which one of a transaction waits.
        blockers: The sessions in front of it, as last seen.
        attempt: Which attempt this is, from 1; during a pause the one that comes next.
        attempts: How many there are at most.
        waited: Seconds since the first attempt began to wait.
        pause: Seconds until the next attempt; None while the statement waits in the server's queue.
    """

    step: Step
    statement: Statement | None
    blockers: tuple[Blocker, ...]
    attempt: int
    attempts: int
    waited: float
    pause: float | None = None


@dataclass(frozen=True, slots=True)
class Retrying(Event):
    """The server asked to retry (40001); the attempt had no effect.

    Attributes:
        what: What is retried.
        sqlstate: The code it answered.
        attempt: Which attempt failed, from 1.
        pause: Seconds until the next.
    """

    what: str
    sqlstate: str
    attempt: int
    pause: float


@dataclass(frozen=True, slots=True)
class Reconnecting(Event):
    """The connection is gone; a new one is being made.

    Attributes:
        reason: What the driver or the server said.
        attempt: Which attempt comes next, from 1.
        pause: Seconds until then.
    """

    reason: str
    attempt: int
    pause: float


@dataclass(frozen=True, slots=True)
class Reconciled(Event):
    """The outcome of a statement whose answer was lost has been determined.

    Attributes:
        step: Its script.
        statement: The statement.
        finding: What was found, in words.
    """

    step: Step
    statement: Statement
    finding: str


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """A warning; the run continues.

    Attributes:
        message: What happened, and what to do.
    """

    message: str


@dataclass(frozen=True, slots=True)
class StepFinished(Event):
    """A script is done and recorded in the ledger.

    Attributes:
        step: The script and its direction.
        number: Which step of the run, from 1.
        total: How many steps the run has.
        seconds: How long it took, measured by the client.
        faked: Only the ledger was changed; none of the script's statements was sent.
        rows: Of a script that ran as one transaction, how many rows each of its statements changed; None
            for one that changes none. Of others the events of their statements tell.
    """

    step: Step
    number: int
    total: int
    seconds: float
    faked: bool = False
    rows: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Interrupted(Event):
    """The run was asked to stop (Ctrl-C, SIGTERM, cancellation), and has released its lease.

    Attributes:
        done: How many steps this run finished.
        step: The script that was running, if any.
        statement: The statement that was running alone, if any.
        jobs: Its schema-change jobs as last seen. The server continues them.
        statements_done: How many statements of that script are done and recorded.
    """

    done: int
    step: Step | None
    statement: Statement | None
    jobs: tuple[Job, ...]
    statements_done: int = 0


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """The run is over, its lease released and its connections closed: always its last event.

    Attributes:
        done: How many steps it finished.
        error: What ended it, or None if it reached its goal.
    """

    done: int
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class ScratchCreated(Event):
    """A scratch database was created.

    Attributes:
        name: Its name.
    """

    name: str


@dataclass(frozen=True, slots=True)
class ScratchDropped(Event):
    """A scratch database was dropped, this run's own or one left by a process that was killed.

    Attributes:
        name: Its name.
    """

    name: str


@dataclass(frozen=True, slots=True)
class ScriptRehearsed(Event):
    """A script was rehearsed.

    Attributes:
        script: The script.
        outcome: The outcome, in words.
        seconds: How long it took.
        number: Which script of the rehearsal it was, from 1.
        total: How many there are.
    """

    script: MigrationScript
    outcome: str
    seconds: float
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class SchemaRead(Event):
    """The schema of a database was read from its catalogs.

    Attributes:
        database: The database's name.
        objects: How many objects it has.
    """

    database: str
    objects: int


@dataclass(frozen=True, slots=True)
class SquashAdvanced(Event):
    """A squash goes on to its next stage.

    Attributes:
        stage: What it does now, in words.
        number: Which stage that is, from 1.
        total: How many there are.
    """

    stage: str
    number: int
    total: int
