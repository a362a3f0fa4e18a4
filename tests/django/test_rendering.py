"""What a person sees while waiting: lines in a pipe, a live bar on a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import OutputWrapper
from django.core.management.color import make_style, no_style

from django_manticore import messages
from django_manticore.management import console
from django_manticore.management.console import Renderer
from django_manticore.management.progress import open_bar
from manticore_cockroachdb._scripts.parser import parse_script
from manticore_cockroachdb.events import (
    Connected,
    Event,
    Interrupted,
    JobsAwaited,
    LeaseAwaited,
    Planned,
    Reconciled,
    Reconnecting,
    Retrying,
    SessionAwaited,
    StatementFinished,
    StatementStarted,
    StepFinished,
    StepStarted,
    StillRunning,
    Warned,
)
from manticore_cockroachdb.types import Direction, Job, Mode, Server, ServerKind, Step

SCRIPT, _ = parse_script(
    Path("V3__index.sql"), b"CREATE TABLE t (v INT);\nCREATE INDEX i ON t (v);"
)
assert SCRIPT is not None
STEP = Step(SCRIPT, Direction.UP)
STATEMENT = STEP.statements()[1]
JOB = Job(77, "SCHEMA CHANGE", "CREATE INDEX i ON app.public.t (v)", "running", "", 0.0, 0.42, "")
STATEMENT_SHOWN = "line 2 (CREATE INDEX i ON t (v))"
STARTED = StepStarted(STEP, 1, 2, Mode.STEPWISE)
FINISHED = StepFinished(STEP, 1, 2, 0.5)


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Time as a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(console.time, "monotonic", lambda: self.now)


def renderer(out: io.StringIO, verbosity: int = 1) -> Renderer:
    wrapper: Any = OutputWrapper(out)  # type: ignore[arg-type]
    return Renderer(
        wrapper,
        no_style(),
        verbosity,
        alias="default",
        operation=("Apply all scripts", "sql"),
        nothing="No migrations to apply.",
    )


def shown(*events: Event, verbosity: int = 1) -> list[str]:
    out = io.StringIO()
    written = renderer(out, verbosity)
    for event in events:
        written(event)
    written.end(failed=False)
    return out.getvalue().splitlines()


def running(elapsed: float, *jobs: Job, remaining: float | None = None) -> StillRunning:
    return StillRunning(STEP, STATEMENT, elapsed, jobs, remaining)


def test_in_a_pipe_a_long_statement_is_reported_every_15_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, out = Clock(monkeypatch), io.StringIO()
    written = renderer(out)
    written(STARTED)
    for second in range(1, 41):
        clock.now = float(second)
        written(running(float(second), JOB))
    written(FINISHED)
    job = "job 77, running, 42%: CREATE INDEX i ON app.public.t (v)"
    assert out.getvalue().splitlines() == [
        "  Applying V3__index...",
        f"    Still running V3__index, {STATEMENT_SHOWN}, 15.0s so far; {job}",
        f"    Still running V3__index, {STATEMENT_SHOWN}, 30.0s so far; {job}",
        "  Applying V3__index... OK",
    ]


def test_in_a_pipe_waiting_for_others_is_reported_at_once_and_then_every_15_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, out = Clock(monkeypatch), io.StringIO()
    written = renderer(out)
    for second in range(20):
        clock.now = float(second)
        written(LeaseAwaited("ci:7:ab", "applying version 3, statement 1", second, 25.0))
    assert out.getvalue().splitlines() == [
        (
            "    Waiting for ci:7:ab (applying version 3, statement 1, its lease expires in 25s), 0.000s "
            "so far"
        ),
        (
            "    Waiting for ci:7:ab (applying version 3, statement 1, its lease expires in 25s), 15.0s "
            "so far"
        ),
    ]


def test_every_kind_of_waiting_has_its_words() -> None:
    assert messages.waiting(running(75.0, remaining=3700)) == (
        f"Still running V3__index, {STATEMENT_SHOWN}, 1m 15s so far, about 1h 01m left"
    )
    assert messages.waiting(StillRunning(STEP, None, 2.0)) == "Still running V3__index, 2.0s so far"
    assert messages.waiting(JobsAwaited(STEP, (JOB,), 2.0)) == (
        "V3__index waits for schema changes to end, 2.0s so far; job 77, running, 42%: CREATE INDEX i "
        "ON app.public.t (v)"
    )
    assert messages.waiting(SessionAwaited("ci:7:ab/1", "4711", 2.0)) == (
        "Waiting for the session of a runner that is gone to end (ci:7:ab/1, session 4711), 2.0s so far"
    )
    assert messages.waiting(LeaseAwaited(None, "in the middle of a transaction", 1.0, None)) == (
        "Waiting for another runner (in the middle of a transaction), 1.0s so far"
    )


def test_what_goes_wrong_during_a_run_is_reported() -> None:
    assert shown(
        STARTED,
        Retrying("V3__index.sql", "40001", 1, 0.25),
        Reconnecting("server closed the connection", 1, 1.5),
        Reconciled(STEP, STATEMENT, "its job 77 succeeded"),
        Warned("mind the gap"),
        FINISHED,
    ) == [
        "  Applying V3__index...",
        "    V3__index.sql: the server asked to retry (40001); attempt 2 in 0.250s",
        "    The connection was lost (server closed the connection); attempt 1 to connect again in 1.5s",
        "    V3__index.sql:2: its job 77 succeeded",
        "    Warning: mind the gap",
        "  Applying V3__index... OK",
    ]


def test_a_plan_that_is_made_again_says_why() -> None:
    server = Server(ServerKind.COCKROACHDB, "v25.2.1", "app", "public", "me")
    assert shown(Connected(server), Planned((STEP, STEP)), Planned((STEP,)), Planned(())) == [
        "CockroachDB v25.2.1, database app (default)",
        "Operations to perform:",
        "  Apply all scripts: sql",
        "Running migrations:",
        "  Another runner did part of it; 1 script left.",
        "  No migrations to apply.",
    ]


def test_a_resumed_script_says_where_it_continues() -> None:
    assert shown(StepStarted(STEP, 1, 2, Mode.STEPWISE, resumed_at=1), FINISHED) == [
        "  Applying V3__index (from statement 2 on)... OK"
    ]


def test_verbosity_2_shows_each_statement_that_is_sent_alone() -> None:
    assert shown(
        STARTED,
        StatementStarted(STEP, STATEMENT, 2, 2),
        StatementFinished(STEP, STATEMENT, 2, 2, 0.25),
        FINISHED,
        verbosity=2,
    ) == [
        "  Applying V3__index... stepwise",
        "    2/2 line 2: CREATE INDEX i ON t (v) (schema) 0.250s",
        "  Applying V3__index... OK (0.500s)",
    ]


def test_verbosity_0_says_nothing_whatever_happens() -> None:
    events: list[Event] = [STARTED, running(99.0), Warned("x"), Interrupted(0, None, None, ())]
    assert shown(*events, verbosity=0) == []


def test_on_a_terminal_a_bar_shows_the_back_fill_and_goes_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    out = Terminal()
    written = renderer(out)
    written(STARTED)
    written(running(3.0, JOB, remaining=60.0))
    written(running(4.0, JOB, remaining=59.0))
    written(FINISHED)
    written.end(failed=False)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert "0 of 2 scripts done" in plain
    assert plain.count("\n") == 4  # the bar's two lines, the cursor below them, the OK
    assert (
        f"Still running V3__index, {STATEMENT_SHOWN}, 3.0s so far, about 1m 00s left; job 77"
        in plain
    )
    assert out.getvalue().endswith("  Applying V3__index... OK\n")
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("style", "no_color", "colors"),
    [
        (make_style("dark;notice=blue"), "", True),
        (make_style("dark"), "1", False),
        (make_style("nocolor"), "", False),
        (no_style(), "", False),
    ],
    ids=["DJANGO_COLORS=dark", "NO_COLOR", "DJANGO_COLORS=nocolor", "--no-color"],
)
def test_the_bar_has_colors_where_django_has_them(
    monkeypatch: pytest.MonkeyPatch, style: Any, no_color: str, colors: bool
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    out = Terminal()
    bar = open_bar(OutputWrapper(out), style.NOTICE)  # type: ignore[arg-type]
    assert bar is not None
    bar.show("waiting")
    bar.update(running(1.0), "waiting")
    bar.hide()
    styled = re.findall(r"\x1b\[([0-9;]*)m", out.getvalue())
    assert bool(styled) is colors
    assert any("34" in codes.split(";") for codes in styled) is colors  # blue, as NOTICE is


def test_a_terminal_that_can_nothing_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    clock, out = Clock(monkeypatch), Terminal()
    written = renderer(out)
    clock.now = 15.0
    written(running(15.0))
    assert out.getvalue() == (f"    Still running V3__index, {STATEMENT_SHOWN}, 15.0s so far\n")


def test_a_stopped_run_reports_what_continues_without_it() -> None:
    assert messages.stopped(Interrupted(2, STEP, STATEMENT, (JOB,))) == (
        "Stopped after 2 scripts. The lease was released.\n"
        "V3__index (line 2) was running; it is not recorded as applied.\n"
        "The server continues: job 77, running, 42%: CREATE INDEX i ON app.public.t (v).\n"
        "Run the same command again to finish: it first checks what happened."
    )
    assert messages.stopped(Interrupted(0, STEP, STATEMENT, (), statements_done=1)).startswith(
        "Stopped after 0 scripts, and 1 of 2 statements of V3__index. The lease was released.\n"
    )
    assert messages.stopped(None) == (
        "Stopped. Nothing was running; you can run the same command again."
    )
