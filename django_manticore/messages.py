"""Events and results in words: what a person reads of a run. Pure text, no colors, no output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from manticore_cockroachdb.events import (
    BatchPaused,
    BatchProgress,
    Event,
    Interrupted,
    JobsAwaited,
    LeaseAwaited,
    LockAwaited,
    SessionAwaited,
    StillRunning,
)
from manticore_cockroachdb.sql import summary
from manticore_cockroachdb.types import (
    BatchStatus,
    Blocker,
    Direction,
    Job,
    JobState,
    Known,
    ScriptKey,
    ScriptStatus,
    State,
    Statement,
    Step,
)

VERBS: Final = {Direction.UP: "Applying", Direction.DOWN: "Reverting"}

#: How many characters of a statement are shown: on a separate line, and in the middle of one.
_WIDTH: Final = 72
_SHORT: Final = 40

#: How many scripts are named in a sentence.
_SHOWN_VERSIONS: Final = 12

#: What comes before a version in a list, as Django has it.
MARKS: Final = {
    State.APPLIED: "[X]",
    State.PENDING: "[ ]",
    State.DRIFTED: "[!]",
    State.MISSING: "[?]",
    State.PARTIALLY_APPLIED: "[~]",
    State.PARTIALLY_REVERTED: "[~]",
    State.UNAVAILABLE: "[-]",
}

#: What a state means or asks for, where its name does not say so.
REMARKS: Final = {
    State.DRIFTED: "changed after it was applied",
    State.MISSING: "applied, but its file is missing",
    State.PARTIALLY_APPLIED: "run manticore_migrate to finish it",
    State.PARTIALLY_REVERTED: "run manticore_rollback to finish it",
    State.UNAVAILABLE: "not applied, and its file was removed: restore it",
}

#: The command that finishes what is partially done.
FINISHED_BY: Final = {
    State.PARTIALLY_APPLIED: "manticore_migrate",
    State.PARTIALLY_REVERTED: "manticore_rollback",
}

#: Whether the schema was changed by hand, by `SinceLastRun`'s values.
SINCE_LAST_RUN: Final = {
    "unchanged": "the schema is as the last run left it.",
    "changed": "the schema was changed after the last run.",
    "unknown": "not known.",
}


def label(state: State) -> str:
    """A state's name: `partially applied`."""
    return state.value.replace("_", " ")


def remark(status: ScriptStatus) -> str:
    """What a script's state means or asks for, where its name does not say so."""
    if status.state is State.PENDING and status.applied_at is not None:
        return "applied before, and runs again"
    return REMARKS.get(status.state, "")


def list_remark(status: ScriptStatus) -> str:
    """What follows a script in a list whose marks do not tell everything."""
    words = remark(status)
    return f"{label(status.state)}: {words}" if status.state in FINISHED_BY else words


def name_of(status: ScriptStatus) -> str:
    """A script's name, as its file has it; made up from the ledger where the file is missing."""
    if status.repeatable is not None:
        return status.repeatable
    if status.script is not None:
        return status.script.path.stem
    return f"V{status.version}__{'_'.join(status.description.split())}"


def doing(step: Step) -> str:
    """`Applying V1__create_users_table`; `Applying B40__schema.sql (stands for versions 1–40)`."""
    checkpoint = step.script.checkpoint
    if checkpoint is not None:
        return f"{VERBS[step.direction]} {step.path.name} (stands for versions {checkpoint.span})"
    return f"{VERBS[step.direction]} {step.name}"


def scripts(number: int) -> str:
    """`1 script`, `2 scripts`."""
    return counted(number, "script")


def statements(number: int) -> str:
    """`1 statement`, `2 statements`."""
    return counted(number, "statement")


def counted(number: int, what: str) -> str:
    """`1 file`, `2 files`, `1,200 rows`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def short_name(key: ScriptKey) -> str:
    """`V7`, or `R__active_users`."""
    return f"V{key}" if isinstance(key, int) else key


def versions(keys: Sequence[ScriptKey]) -> str:
    """`V1, V2, R__active_users`; of a long list the first few and the last."""
    names = [short_name(key) for key in keys]
    if len(names) > _SHOWN_VERSIONS:
        names[_SHOWN_VERSIONS - 2 : -1] = ["…"]
    return ", ".join(names)


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


def how_far(known: Known) -> str:
    """`2 of 5 statements done`; "" if nothing is unfinished."""
    at = known.record.progress
    if at is None:
        return ""
    total = 0
    if known.script is not None:
        total = len(Step(known.script, at.direction).statements())
    return f"{at.done} of {statements(total)} done" if total else f"{statements(at.done)} done"


def statement_line(statement: Statement) -> str:
    """`line 3: CREATE INDEX … (schema)`."""
    return f"line {statement.line}: {summary(statement, _WIDTH)} ({statement.kind.value})"


def waiting(event: Event) -> str | None:
    """What is being waited for, on one line; None for events that tell of no waiting."""
    match event:
        case LeaseAwaited(owner, at, waited, expires_in):
            who = owner or "another runner"
            until = (
                f", its lease expires in {expires_in:.0f}s" if expires_in and expires_in > 0 else ""
            )
            return f"Waiting for {who} ({at}{until}), {duration(waited)} so far"
        case StillRunning(step, statement, elapsed, jobs, remaining):
            where = step.name
            if statement is not None:
                where += f", line {statement.line} ({summary(statement, _SHORT)})"
            left = f", about {duration(remaining)} left" if remaining is not None else ""
            return f"Still running {where}, {duration(elapsed)} so far{left}{_jobs(jobs)}"
        case LockAwaited():
            return _lock(event)
        case BatchProgress(step, statement, windows, rows, size, elapsed, remaining):
            left = f", about {duration(remaining)} left" if remaining is not None else ""
            return (
                f"Still running {step.name}, line {statement.line} ({summary(statement, _SHORT)}): "
                f"{counted(rows, 'row')} in {windows:,} windows{_pace(event.rate)}, next {size:,}, "
                f"{duration(elapsed)} so far{left}"
            )
        case BatchPaused(step, statement, waited):
            return f"{step.name}, line {statement.line}: stop_if is true, waiting {duration(waited)} so far"
        case JobsAwaited(step, jobs, elapsed):
            return f"{step.name} waits for schema changes to end, {duration(elapsed)} so far{_jobs(jobs)}"
        case SessionAwaited(application_name, session_id, elapsed):
            return (
                f"Waiting for the session of a runner that is gone to end ({application_name}, session "
                f"{session_id}), {duration(elapsed)} so far"
            )
        case _:
            return None


def _lock(event: LockAwaited) -> str:
    where = event.step.name
    if event.statement is not None:
        where += f", line {event.statement.line} ({summary(event.statement, _SHORT)})"
    attempt = f"attempt {event.attempt} of {event.attempts}"
    if event.pause is None:
        what = f"waits for a lock, {duration(event.waited)} so far, {attempt}"
    else:
        what = f"did not get its lock; {attempt} in {duration(event.pause)}"
    return f"{where} {what}{blockers_listed(event.blockers)}"


def blockers_listed(blockers: Sequence[Blocker]) -> str:
    """`; in front of it: pid 123 (app, web, idle in transaction for 65 s): SELECT …`"""
    return f"; in front of it: {'; '.join(map(str, blockers))}" if blockers else ""


def blocker_line(blocker: Blocker) -> str:
    """A session in the list of those that hold locks."""
    return f"{blocker.lock or 'in front of a runner that waits'}: {blocker}"


def rows_changed(number: int | None) -> str:
    """`, 1 row`, `, 250 rows`; "" for a statement that changes none."""
    return "" if number is None else f", {counted(number, 'row')}"


def _pace(rate: float | None) -> str:
    return f", {rate:,.0f} rows/s" if rate is not None else ""


def batch_line(batch: BatchStatus) -> str:
    """How far a statement in batches has come: `line 2 in batches: 1,200 rows in 12 windows, …`."""
    where = "its statement" if batch.line is None else f"line {batch.line}"
    windows = counted(batch.windows, "window")
    at = f", up to {', '.join(batch.position)}" if batch.position else ""
    left = f", about {duration(batch.remaining)} left" if batch.remaining is not None else ""
    return f"{where} in batches: {counted(batch.rows, 'row')} in {windows}{at}{_pace(batch.rate)}{left}"


def _jobs(jobs: Sequence[Job]) -> str:
    return "".join(f"; {job}" for job in jobs)


def stopped_in_parallel(events: Mapping[str, Interrupted | None]) -> str:
    """The same as `stopped` for several databases that were worked on at the same time."""
    begun = {alias: event for alias, event in events.items() if event is not None}
    if not begun:
        return stopped(None)
    return "\n".join(f"{alias}: {stopped(event)}" for alias, event in begun.items())


def stopped(event: Interrupted | None) -> str:
    """What a run that was asked to stop has done, what continues without it, and what to do next."""
    if event is None:
        return "Stopped. Nothing was running; you can run the same command again."
    done = scripts(event.done)
    if event.step is not None and event.statements_done:
        total = len(event.step.statements())
        done += f", and {event.statements_done} of {statements(total)} of {event.step.name}"
    lines = [f"Stopped after {done}. The lease was released."]
    if event.step is not None:
        at = f" (line {event.statement.line})" if event.statement else ""
        recorded = event.step.direction.participle
        lines.append(f"{event.step.name}{at} was running; it is not recorded as {recorded}.")
    running = [job for job in event.jobs if job.state is JobState.RUNNING]
    lines += [f"The server continues: {job}." for job in running]
    lines.append("Run the same command again to finish: it first checks what happened.")
    return "\n".join(lines)
