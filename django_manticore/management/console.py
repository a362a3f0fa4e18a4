"""A run on screen: events in, lines out, as Django's `migrate` writes them.

Verbosity 0 says nothing, 1 a line per script, 2 adds timings and statements, 3 the statements' full text.
While something is waited for, a terminal shows a live bar, and anything else gets a line every so often.
"""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import OutputWrapper

from manticore_cockroachdb.events import (
    BatchProgress,
    Connected,
    Event,
    Interrupted,
    Noticed,
    Planned,
    Reconciled,
    Reconnecting,
    Retrying,
    StatementFinished,
    StatementStarted,
    StepFinished,
    StepStarted,
    StillRunning,
    TransactionFinished,
    TransactionStarted,
    Warned,
)
from manticore_cockroachdb.types import Mode, Statement, Step

from .. import messages
from .progress import Bar, open_bar

#: Seconds of silence after which a line tells that the run is alive, where no bar does.
SILENCE = 15.0


class Renderer:
    """Writes one run's events.

    Attributes:
        interrupted: What the run said when it was asked to stop.
        finished: The steps that were done.

    Args:
        stdout: Where to write.
        style: Django's styles.
        verbosity: 0 to 3.
        alias: The database's name in the settings.
        operation: What was asked for: a label and what follows it.
        nothing: What to say when there is nothing to do.
    """

    def __init__(
        self,
        stdout: OutputWrapper,
        style: Any,
        verbosity: int,
        *,
        alias: str,
        operation: tuple[str, str],
        nothing: str,
    ) -> None:
        self.interrupted: Interrupted | None = None
        self.finished: list[Step] = []
        self._out = stdout
        self._style = style
        self._verbosity = verbosity
        self._alias = alias
        self._operation = operation
        self._nothing = nothing
        self._connected = False
        self._planned: tuple[Step, ...] | None = None
        self._step: Step | None = None
        self._open: str | None = None
        self._spoke = time.monotonic()
        self._waits_for: type[Event] | None = None
        self._bar: Bar | None = open_bar(stdout, style.WARNING) if verbosity else None

    def __call__(self, event: Event) -> None:
        """Write what an event has to say."""
        if isinstance(event, Interrupted):
            self.interrupted = event
        if isinstance(event, StepFinished):
            self.finished.append(event.step)
        if not self._verbosity:
            return
        line = messages.waiting(event)
        if line is not None:
            self._wait(event, line)
            return
        self._waits_for = None
        if self._bar is not None:
            self._bar.follow(event)
            if self._bar.hide() and self._open is not None:
                self._write(self._style.MIGRATE_LABEL(self._open), ending="")
        if isinstance(event, Noticed):
            self._server_notice(event)
        else:
            self._tell(event)

    def end(self, *, failed: bool) -> None:
        """Leave the screen tidy, on every path out of a run."""
        if self._bar is not None:
            self._bar.hide()
        if self._step is not None and failed and self._verbosity:
            self._reopen(self._step)
            self._write(self._style.ERROR(" STOPPED" if self.interrupted else " FAILED"))
        self._step = self._open = None

    def fail(self, error: Exception) -> None:
        """Nothing: the command writes the error itself."""

    def _tell(self, event: Event) -> None:
        style = self._style
        match event:
            case Connected(server) if not self._connected:
                self._connected = True
                where = f"{server.name}, database {server.database} ({self._alias})"
                self._line(style.MIGRATE_HEADING(where))
                self._line(style.MIGRATE_HEADING("Operations to perform:"))
                label, rest = self._operation
                self._line(style.MIGRATE_LABEL(f"  {label}: ") + rest)
            case Planned(steps):
                self._plan(steps)
            case StepStarted():
                self._start(event)
            case StatementStarted(_, statement, number, total) if self._verbosity >= 3:
                self._line(f"    {number}/{total} {messages.statement_line(statement)}")
                self._text(statement)
            case StatementFinished(_, statement, number, total, seconds, rows) if (
                self._verbosity >= 2
            ):
                done = f" {messages.duration(seconds)}{messages.rows_changed(rows)}"
                if self._verbosity == 2:
                    done = f" {messages.statement_line(statement)}{done}"
                self._line(f"    {number}/{total}{done}")
            case TransactionStarted(_, statements, number, total) if self._verbosity >= 3:
                for position, statement in enumerate(statements, number):
                    self._line(f"    {position}/{total} {messages.statement_line(statement)}")
                    self._text(statement)
            case TransactionFinished() if self._verbosity >= 2:
                self._transaction(event)
            case StepFinished():
                self._finish(event)
            case Retrying(what, sqlstate, attempt, pause):
                self._notice(
                    f"{what}: the server asked to retry ({sqlstate}); attempt {attempt + 1} in "
                    f"{messages.duration(pause)}"
                )
            case Reconnecting(reason, attempt, pause):
                self._notice(
                    f"The connection was lost ({reason}); attempt {attempt} to connect again in "
                    f"{messages.duration(pause)}"
                )
            case Reconciled(step, statement, finding):
                self._notice(f"{step.path.name}:{statement.line}: {finding}")
            case Warned(message):
                self._notice(f"Warning: {message}")
            case _:
                pass

    def _plan(self, steps: tuple[Step, ...]) -> None:
        if steps == self._planned:
            return
        if self._planned is None:
            self._line(self._style.MIGRATE_HEADING("Running migrations:"))
        elif steps:
            self._line(f"  Another runner did part of it; {messages.scripts(len(steps))} left.")
        self._planned = steps
        if not steps:
            self._line(f"  {self._nothing}")

    def _start(self, event: StepStarted) -> None:
        self._close()
        self._step = event.step
        resumed = f" (from statement {event.resumed_at + 1} on)" if event.resumed_at else ""
        label = f"  {messages.doing(event.step)}{resumed}..."
        if self._verbosity >= 2:
            self._line(self._style.MIGRATE_LABEL(f"{label} {event.mode.value}"))
            if event.mode is Mode.ATOMIC:
                for statement in event.step.statements():
                    self._line(f"    {messages.statement_line(statement)}")
                    if self._verbosity >= 3:
                        self._text(statement)
            return
        self._open = label
        self._write(self._style.MIGRATE_LABEL(label), ending="")

    def _server_notice(self, event: Noticed) -> None:
        where = f" (line {event.statement.line})" if event.statement is not None else ""
        text = f"{event.severity}: {event.message}{where}"
        if event.severity == "WARNING" and self._verbosity == 1:
            self._notice(f"{event.step.path.name}: {text}")
        elif self._verbosity >= 2:
            self._line(f"    {text}")

    def _finish(self, event: StepFinished) -> None:
        if self._verbosity >= 2:
            for statement, rows in zip(event.step.statements(), event.rows, strict=False):
                if rows is not None:
                    self._line(f"    line {statement.line}{messages.rows_changed(rows)}")
        self._reopen(event.step)
        self._step = self._open = None
        took = f" ({messages.duration(event.seconds)})" if self._verbosity >= 2 else ""
        self._write(self._style.SUCCESS((" FAKED" if event.faked else " OK") + took))

    def _reopen(self, step: Step) -> None:
        """Write the beginning of a step's line again, if something else was written since."""
        if self._open is None:
            self._write(self._style.MIGRATE_LABEL(f"  {messages.doing(step)}..."), ending="")

    def _transaction(self, event: TransactionFinished) -> None:
        count, took = len(event.statements), messages.duration(event.seconds)
        rows = [messages.rows_changed(number) for number in event.rows] or [""] * count
        last = event.number + count - 1
        if self._verbosity == 2:
            for position, statement in enumerate(event.statements, event.number):
                line = f"    {position}/{event.total} {messages.statement_line(statement)}"
                changed = rows[position - event.number]
                self._line(f"{line} {took}{changed}" if count == 1 else f"{line}{changed}")
            if count > 1:
                self._line(f"    {event.number}-{last}/{event.total} in one transaction {took}")
        else:
            numbers = f"{event.number}-{last}" if count > 1 else f"{last}"
            self._line(f"    {numbers}/{event.total} {took}{', '.join(filter(None, rows))}")

    def _wait(self, event: Event, line: str) -> None:
        if self._bar is not None:
            if self._bar.show(line):
                self._out.write("\r\x1b[2K" if self._open else "", ending="")
            self._bar.update(event, line)
            return
        now = time.monotonic()
        at_once = not isinstance(
            event, StillRunning | BatchProgress
        ) and self._waits_for is not type(event)
        if at_once or now - self._spoke >= SILENCE:
            self._waits_for = type(event)
            self._notice(line)

    def _notice(self, text: str) -> None:
        self._close()
        self._line(self._style.WARNING(f"    {text}"))

    def _text(self, statement: Statement) -> None:
        for line in statement.text.splitlines():
            self._line(f"      {line}")

    def _close(self) -> None:
        """End the line that waits for its OK."""
        if self._open is not None:
            self._open = None
            self._write("")

    def _line(self, text: str) -> None:
        self._close()
        self._write(text)

    def _write(self, text: str, *, ending: str = "\n") -> None:
        self._out.write(text, ending=ending)
        self._out.flush()
        self._spoke = time.monotonic()
