"""Listeners that turn a run's events into log records and OpenTelemetry spans.

    from manticore_cockroachdb import Database, Migration
    from manticore_cockroachdb.telemetry import LogListener, SpanListener, combine

    listener = combine(LogListener(), SpanListener())
    Migration(Database(database="shop"), "migrations", listener=listener).migrate()

`SpanListener` needs `opentelemetry-api` (extra `telemetry`). Both read events only: they know nothing of
connections, and a run does not know of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from ._wording import counted
from .events import (
    BatchPaused,
    BatchProgress,
    Connected,
    Event,
    Interrupted,
    JobsAwaited,
    LeaseAwaited,
    LeaseTaken,
    Planned,
    Reconciled,
    Reconnecting,
    Retrying,
    RunEnded,
    SessionAwaited,
    StatementFinished,
    StatementStarted,
    StepFinished,
    StepStarted,
    StillRunning,
    TransactionFinished,
    TransactionStarted,
    Warned,
)
from .sql import summary
from .types import Direction, Server, Statement, Step

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["LogListener", "SpanListener", "combine"]

#: Emitted about once a second for as long as something takes.
_FREQUENT: Final = (
    BatchPaused,
    BatchProgress,
    JobsAwaited,
    LeaseAwaited,
    SessionAwaited,
    StillRunning,
)
_DETAILS: Final = (StatementStarted, StatementFinished, TransactionStarted, TransactionFinished)
_PREFIX: Final = "manticore_"


def combine(*listeners: Callable[[Event], None]) -> Callable[[Event], None]:
    """One listener that calls several, in their order.

    Args:
        listeners: The listeners.
    """

    def each(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return each


class LogListener:
    """Writes one log record for each event.

    The record's message is a sentence; its fields begin with `manticore_`: `manticore_event` (the class's
    name), and by event `manticore_version`, `manticore_script`, `manticore_direction`, `manticore_line`,
    `manticore_seconds` and the like. Formatters for JSON write them as keys.

    Levels: ERROR for a run that failed, WARNING for warnings, retries and lost connections, INFO for the
    run and its scripts, DEBUG for statements and for what is emitted every second.

    Args:
        logger: The logger; `manticore` by default.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("manticore")

    def __call__(self, event: Event) -> None:
        """Log an event."""
        level = _level(event)
        if self._logger.isEnabledFor(level):
            named = {f"{_PREFIX}{key}": value for key, value in _fields(event).items()}
            self._logger.log(level, _sentence(event), extra=named)


class SpanListener:
    """Makes OpenTelemetry spans: one for the run, one for each script, one for each statement.

    A statement has its own span where it is sent alone or in a transaction of neighbors (stepwise mode).
    In atomic mode a script is one transaction, and its span has no children. Retries, lost connections,
    warnings and recoveries are events of the innermost open span. A run that fails records the exception
    on every open span and sets their status.

    Args:
        tracer: The tracer; that of the global tracer provider by default.

    Raises:
        ImportError: `opentelemetry-api` is not installed.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        try:
            from opentelemetry import trace  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            raise ImportError(
                "SpanListener needs opentelemetry-api: "
                'pip install "django-manticore-cockroachdb[telemetry]".'
            ) from error
        self._trace = trace
        self._tracer = tracer or trace.get_tracer("manticore_cockroachdb")
        self._open: list[Span] = []
        self._server: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Begin, end or extend spans by an event."""
        match event:
            case RunEnded(done, error):
                self._end_run(done, error)
                return
            case _ if not self._open:
                self._begin("manticore run", {})
        match event:
            case Connected(server):
                self._server = _server(server)
                self._open[0].set_attributes(self._server)
            case Planned(steps):
                self._open[0].set_attribute("manticore.scripts", len(steps))
            case StepStarted(step, _, _, mode, resumed_at):
                self._begin(
                    f"{_verb(step)} {step.name}",
                    {
                        **{f"manticore.{key}": value for key, value in _step(step).items()},
                        "manticore.mode": mode.value,
                        "manticore.resumed_at": resumed_at,
                    },
                )
            case StepFinished():
                self._end(down_to=1)
            case StatementStarted(step, statement, number, _):
                self._begin(
                    f"statement {step.name}:{statement.line}", _statement(statement, number)
                )
            case TransactionStarted(step, statements, number, _):
                attributes = {
                    **_statement(statements[0], number),
                    "manticore.statements": len(statements),
                }
                self._begin(f"transaction {step.name}:{statements[0].line}", attributes)
            case StatementFinished() | TransactionFinished():
                self._end(down_to=2)
            case BatchProgress(_, _, windows, rows):
                self._open[-1].set_attributes(
                    {"manticore.windows": windows, "manticore.rows": rows}
                )
            case Retrying() | Reconnecting() | Reconciled() | Warned() | Interrupted():
                self._open[-1].add_event(type(event).__name__, _scalars(_fields(event)))

    def _begin(self, name: str, attributes: dict[str, Any]) -> None:
        parent = self._trace.set_span_in_context(self._open[-1]) if self._open else None
        kind = self._trace.SpanKind.CLIENT if len(self._open) > 1 else self._trace.SpanKind.INTERNAL
        span = self._tracer.start_span(
            name, context=parent, kind=kind, attributes={**self._server, **attributes}
        )
        self._open.append(span)

    def _end(self, *, down_to: int) -> None:
        while len(self._open) > down_to:
            self._open.pop().end()

    def _end_run(self, done: int, error: BaseException | None) -> None:
        if self._open:
            self._open[0].set_attribute("manticore.scripts_done", done)
        if error is not None:
            for span in self._open:
                span.record_exception(error)
                span.set_status(self._trace.StatusCode.ERROR, str(error))
        self._end(down_to=0)
        self._server = {}


def _level(event: Event) -> int:
    match event:
        case RunEnded(error=error) if error is not None:
            return logging.ERROR
        case Warned() | Retrying() | Reconnecting() | Interrupted():
            return logging.WARNING
        case _ if isinstance(event, (*_FREQUENT, *_DETAILS)):
            return logging.DEBUG
        case _:
            return logging.INFO


def _sentence(event: Event) -> str:
    match event:
        case Connected(server):
            return f"Connected to {server.name}, database {server.database}."
        case Planned(steps):
            return f"{counted(len(steps), 'script')} to run."
        case LeaseTaken(owner, epoch):
            return f"{owner} holds the lease, epoch {epoch}."
        case StepStarted(step, number, total):
            return f"{_verb(step).capitalize()} {step.name} ({number} of {total}): started."
        case StepFinished(step, number, total, seconds):
            return f"{_verb(step).capitalize()} {step.name} ({number} of {total}): done in {seconds:.3f} s."
        case Warned(message):
            return message
        case Retrying(what, sqlstate, attempt, pause):
            return f"Retrying {what} in {pause:.1f} s after {sqlstate}, attempt {attempt}."
        case Reconnecting(reason, attempt, pause):
            return f"Connection lost ({reason}); attempt {attempt} to reconnect in {pause:.1f} s."
        case RunEnded(done, error):
            finished = counted(done, "script")
            return (
                f"Run failed after {finished}: {error}" if error else f"Run ended: {finished} done."
            )
        case _:
            return f"{type(event).__name__}."


def _fields(event: Event) -> dict[str, Any]:
    """What an event holds, flat: a script, a statement and a server as their own fields."""
    found: dict[str, Any] = {"event": type(event).__name__}
    for each in fields(event):
        value = getattr(event, each.name)
        match value:
            case Step():
                found |= _step(value)
            case Statement():
                found |= {"line": value.line, "kind": value.kind.value, "statement": summary(value)}
            case Server():
                found |= {"server": value.name, "database": value.database}
            case BaseException():
                found |= {"error": str(value), "error_class": type(value).__name__}
            case tuple():
                found[each.name] = len(value)
            case _ if hasattr(value, "value"):
                found[each.name] = value.value
            case _:
                found[each.name] = value
    return found


def _scalars(found: dict[str, Any]) -> dict[str, Any]:
    return {
        f"manticore.{key}": value
        for key, value in found.items()
        if isinstance(value, str | bool | int | float)
    }


def _verb(step: Step) -> str:
    return "apply" if step.direction is Direction.UP else "revert"


def _step(step: Step) -> dict[str, Any]:
    return {"version": step.version, "script": step.name, "direction": step.direction.value}


def _statement(statement: Statement, number: int) -> dict[str, Any]:
    return {
        "db.query.summary": summary(statement),
        "manticore.line": statement.line,
        "manticore.statement": number,
    }


def _server(server: Server) -> dict[str, str]:
    return {"db.system.name": server.kind.name.lower(), "db.namespace": server.database}
