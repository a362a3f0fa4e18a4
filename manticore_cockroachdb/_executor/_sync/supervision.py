# Generated from _async/supervision.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Supervises what is running: the lease is renewed, jobs are followed, and events emitted meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ..._backend.jobs import Job, JobState, described
from ..._backend.protocol import Command, Refusal, Result
from ..._planner.job_pace import JobPace
from ..._planner.lock_limits import session_restored, session_setting
from ..._planner.step import Step
from ..._sql.session_effects import session_wide
from ..._sql.statement import Statement, rows_changed
from ...events import Noticed, StillRunning, Warned
from .. import concurrency
from ..job_messages import job_failed, what_to_do
from ..under_way import UnderWay
from .run import Run

R = TypeVar("R")
T = TypeVar("T")

#: How long a paused job is waited for before the run gives up, in seconds: somebody may resume it.
PAUSED_GRACE = 30.0
#: How often a waiting statement is looked at before its limit is reached, and how quickly at most.
_LOOKS = 4
_QUICKEST_TICK = 0.05
#: Ticks are never exact.
_NEARLY = 0.9


def _not_located(_text: str) -> UnderWay | None:
    """What the server shows as running is not looked for."""
    return None


def _keeps_others_out(_answered: int) -> bool:
    """An open transaction that has written the run state's row needs no renewing of the lease."""
    return False


def run_supervised(
    run: Run,
    work: Callable[[Callable[[T], None]], R],
    *,
    under_way: Callable[[], UnderWay],
    on_item: Callable[[T], None],
    renew: Callable[[], bool],
    locate: Callable[[str], UnderWay | None] = _not_located,
    limits: Iterable[float | None] = (),
) -> R:
    """Let `work` use the session while this side renews the lease, follows jobs and emits events.

    Args:
        run: The run.
        work: What to do; see `concurrency.supervise`.
        under_way: What the server is working on, asked at each sign of life and at the end.
        on_item: Called for each item that `work` reports.
        renew: Whether the lease needs renewing meanwhile, asked at each sign of life.
        locate: What a statement belongs to that the server shows as running, by its text.
        limits: Seconds that the statements wait for a lock at most: who holds it is seen before that.
    """
    monitor = _ProgressMonitor(run, under_way, renew, locate)

    def with_notices(report: Callable[[T | Noticed], None]) -> R:
        def notice(severity: str, message: str) -> None:
            now = under_way()
            report(Noticed(now.step, now.statement, severity, message))

        run.session.on_notice = notice
        try:
            return work(report)
        finally:
            run.session.on_notice = None

    def handle(reported: T | Noticed) -> None:
        if isinstance(reported, Noticed):
            run.emit(reported)
        else:
            on_item(reported)

    shortest = min((limit for limit in limits if limit), default=run.interval * _LOOKS)
    run.jobs_seen = ()
    run.session.noticed_jobs.clear()
    run.under_way, run.sending = under_way(), True
    try:
        outcome = concurrency.supervise(
            with_notices,
            on_item=handle,
            on_tick=monitor.tick,
            interval=max(_QUICKEST_TICK, min(run.interval, shortest / _LOOKS)),
            abandon=run.session.abandon,
        )
    except BaseException:
        run.under_way = under_way()
        raise
    run.sending = False
    return outcome


def run_statement(
    run: Run,
    step: Step,
    statements: Sequence[Statement],
    done: int,
    *,
    instead: str | None = None,
) -> int | None:
    """Send one statement alone, supervised.

    Args:
        run: The run.
        step: Its script.
        statements: The script's statements.
        done: How many of them are done: the next one is sent.
        instead: What is sent in its place, under the same limit: what clears the way for it.

    Returns:
        How many rows it changed; None for what changes none.
    """
    statement = statements[done]
    text = session_wide(statement) if instead is None else instead
    (limit,) = run.lock_limits(step, statements, done, done + 1).seconds

    def work(_report: Callable[[None], None]) -> str:
        return run.session.run(text)

    if limit is not None:
        run.session.run(session_setting(limit))
    under_way = UnderWay(step, done, statement, by_itself=True)
    try:
        tag = run_supervised(
            run,
            work,
            under_way=lambda: under_way,
            on_item=_ignore,
            renew=lambda: True,
            limits=(limit,),
        )
    finally:
        if limit is not None and run.session.usable:
            run.session.run(session_restored(statements[:done]))
    return rows_changed(statement, tag)


def run_transaction(
    run: Run,
    commands: Sequence[Command],
    under_way: Callable[[int], UnderWay],
    on_answer: Callable[[int, Result], None] | None = None,
    *,
    renew: Callable[[int], bool] = _keeps_others_out,
    locate: Callable[[str], UnderWay | None] = _not_located,
    limits: Iterable[float | None] = (),
) -> Refusal | None:
    """Send a transaction that keeps other runners out itself, supervised.

    Args:
        run: The run.
        commands: The whole transaction.
        under_way: What it is working on when so many of the commands have been answered.
        on_answer: Called with the number of each command, from 0, and its answer.
        renew: Whether the lease needs renewing when so many of the commands have been answered.
        locate: As for `run_supervised`.
        limits: As for `run_supervised`.
    """
    answered = 0

    def answer(number: int, result: Result) -> None:
        nonlocal answered
        answered = number + 1
        if on_answer is not None:
            on_answer(number, result)

    def work(_report: Callable[[None], None]) -> Refusal | None:
        return run.session.stream(commands, answer)

    return run_supervised(
        run,
        work,
        under_way=lambda: under_way(answered),
        on_item=_ignore,
        renew=lambda: renew(answered),
        locate=locate,
        limits=limits,
    )


def _ignore(item: None) -> None:
    """Nothing is reported while one thing runs."""


class _ProgressMonitor:
    """What is looked at while the session is busy: the lease, the jobs, and who holds a lock."""

    def __init__(
        self,
        run: Run,
        under_way: Callable[[], UnderWay],
        renew: Callable[[], bool],
        locate: Callable[[str], UnderWay | None],
    ) -> None:
        self._run = run
        self._under_way = under_way
        self._renew = renew
        self._locate = locate
        self._pace = JobPace()
        self._started = self._reported = time.monotonic()
        self._paused_since: float | None = None

    def tick(self) -> None:
        moment = time.monotonic()
        if moment - self._reported >= self._run.interval * _NEARLY:
            self._reported = moment
            self._report(moment - self._started)
        if not self._run.server.has_jobs:
            session_id = self._run.session.session_id
            self._run.locks.look(session_id, self._under_way(), self._locate)

    def _report(self, elapsed: float) -> None:
        sent_at, found = self._run.look(renew=self._renew())
        now = self._under_way()
        statement = now.statement if now.by_itself else None
        jobs = self._run.own_jobs(now.changes, found, sent_at)
        if jobs:
            self._run.jobs_seen = jobs
        remaining = self._pace.remaining(jobs, time.monotonic())
        self._run.emit(StillRunning(now.step, statement, elapsed, jobs, remaining))
        self._check_paused(now.step, statement, jobs)

    def _check_paused(self, step: Step, statement: Statement | None, jobs: tuple[Job, ...]) -> None:
        """A paused job never ends unless somebody acts, and older servers let its client wait forever."""
        stuck = [job for job in jobs if job.state is JobState.BLOCKED]
        if not stuck:
            self._paused_since = None
            return
        now = time.monotonic()
        if self._paused_since is None:
            self._paused_since = now
            self._run.emit(Warned(f"{described(stuck[0])}. {what_to_do(stuck[0])}"))
        elif now - self._paused_since > PAUSED_GRACE:
            raise job_failed(step, statement, stuck[0])
