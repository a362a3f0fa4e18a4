"""Events and results in words: what a person reads of a run. Pure text, no colours, no output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manticore_cockroachdb._backend.jobs import Job, JobState, described
from manticore_cockroachdb._planner.plan import ScriptStatus, State, Step
from manticore_cockroachdb._scripts.direction import Direction
from manticore_cockroachdb._sql.statement import Statement, summary
from manticore_cockroachdb.events import (
    Event,
    Interrupted,
    JobsAwaited,
    LeaseAwaited,
    SessionAwaited,
    StillRunning,
)

VERBS = {Direction.UP: "Applying", Direction.DOWN: "Reverting"}

#: How long a statement is shown on one line.
_WIDTH = 72

#: What stands before a version in a list, as Django has it, and what is said behind it.
MARKS = {
    State.APPLIED: ("[X]", ""),
    State.PENDING: ("[ ]", ""),
    State.DRIFTED: ("[!]", "changed after it was applied"),
    State.MISSING: ("[?]", "applied, but its file is missing"),
    State.HALF_DONE: ("[~]", "half done: run manticore_migrate or manticore_rollback to finish it"),
}


def name_of(status: ScriptStatus) -> str:
    """A version's name, as its file has it; made up from the ledger where the file is missing."""
    if status.script is not None:
        return status.script.path.stem
    return f"V{status.version}__{'_'.join(status.description.split())}"


def doing(step: Step) -> str:
    """`Applying V1__create_users_table`."""
    return f"{VERBS[step.direction]} {step.name}"


def scripts(number: int) -> str:
    """`1 script`, `2 scripts`."""
    return f"{number} script" if number == 1 else f"{number} scripts"


def duration(seconds: float) -> str:
    """`0.012s`, `3.4s`, `2m 05s`, `1h 04m`."""
    if seconds < 1:
        return f"{seconds:.3f}s"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    return f"{minutes // 60}h {minutes % 60:02}m"


def statement_line(statement: Statement) -> str:
    """`line 3: CREATE INDEX … (schema)`."""
    return f"line {statement.line}: {summary(statement, _WIDTH)} ({statement.kind.value})"


def waiting(event: Event) -> str | None:
    """What is being waited for, on one line; None for events that tell of no waiting."""
    match event:
        case LeaseAwaited(owner, at, waited, expires_in):
            who = owner or "another runner"
            until = (
                f", lease runs out in {expires_in:.0f}s" if expires_in and expires_in > 0 else ""
            )
            return f"Waiting for {who} ({at}{until}), {duration(waited)} so far"
        case StillRunning(step, statement, elapsed, jobs, remaining):
            where = f"{step.name}, line {statement.line}" if statement else step.name
            left = f", about {duration(remaining)} left" if remaining is not None else ""
            return f"Still running {where}, {duration(elapsed)} so far{left}{_jobs(jobs)}"
        case JobsAwaited(step, jobs, elapsed):
            return f"{step.name} waits for schema changes to end, {duration(elapsed)} so far{_jobs(jobs)}"
        case SessionAwaited(application_name, session_id, elapsed):
            return (
                f"The server still works for a runner that is gone ({application_name}, session "
                f"{session_id}), waiting for {duration(elapsed)} so far"
            )
        case _:
            return None


def _jobs(jobs: Sequence[Job]) -> str:
    return "".join(f"; {described(job)}" for job in jobs)


def stopped_side_by_side(events: Mapping[str, Interrupted | None]) -> str:
    """The same for several databases that were worked on at the same time."""
    told = {alias: event for alias, event in events.items() if event is not None}
    if not told:
        return stopped(None)
    return "\n".join(f"{alias}: {stopped(event)}" for alias, event in told.items())


def stopped(event: Interrupted | None) -> str:
    """What a run that was told to stop has done, what goes on without it, and what to do next."""
    if event is None:
        return "Stopped. Nothing was under way; the same command can be run again at any time."
    lines = [f"Stopped after {scripts(event.done)}. The lease was given back."]
    if event.step is not None:
        at = f", line {event.statement.line}" if event.statement else ""
        done = ""
        if event.statements_done:
            of_it = (
                "1 statement of it is"
                if event.statements_done == 1
                else (f"{event.statements_done} statements of it are")
            )
            done = f" {of_it} done and recorded;"
        lines.append(f"Under way was {event.step.name}{at};{done} the ledger does not count it.")
    running = [job for job in event.jobs if job.state is JobState.RUNNING]
    lines += [f"Goes on in the background: {described(job)}." for job in running]
    lines.append("Run the same command again: it finds out what became of it and finishes.")
    return "\n".join(lines)
