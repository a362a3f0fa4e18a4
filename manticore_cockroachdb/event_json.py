"""Events as plain values for JSON: one dict for each event, in a shape that stays. Pure.

The keys are the names of the event's attributes, and `event`, its kind: `step_started` for `StepStarted`.
What attributes hold is written so:

    a step or script    `version` (null for a repeatable script), `name`, `path`; a step: `direction`
    a statement         `line`, `kind`, and `summary`: one line, literals that may be passwords masked
    a server            `name`, `database`
    a job               `id`, `kind`, `description`, `status`, `fraction`, `error`
    a blocking session  `pid`, `user`, `application`, `state`, `since` (seconds), `statement`, `lock`
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ._backend.blockers import Blocker
from ._backend.dialect import Server
from ._backend.jobs import Job
from ._planner.step import Step
from ._scripts.script import MigrationScript
from ._sql.statement import Statement, summary
from .events import Event

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


def event_values(event: Event) -> dict[str, Any]:
    """An event as plain values: dicts, lists, texts, numbers, booleans and None.

    Raises:
        TypeError: It holds something that has no such form.
    """
    values = {each.name: _plain(getattr(event, each.name)) for each in fields(event)}
    return {"event": event_kind(type(event)), **values}


def event_kind(event: type[Event]) -> str:
    """The kind of an event, as `event_values` names it: `step_started`."""
    return _CAPITAL.sub("_", event.__name__).lower()


def blocker_values(blocker: Blocker) -> dict[str, Any]:
    """A blocking session as plain values."""
    return {each.name: getattr(blocker, each.name) for each in fields(blocker)}


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON.")


def _script(script: MigrationScript) -> dict[str, Any]:
    return {"version": script.version or None, "name": script.path.stem, "path": str(script.path)}


def _step(step: Step) -> dict[str, Any]:
    return {**_script(step.script), "path": str(step.path), "direction": step.direction.value}


def _statement(statement: Statement) -> dict[str, Any]:
    return {
        "line": statement.line,
        "kind": statement.kind.value,
        "summary": summary(statement),
    }


def _server(server: Server) -> dict[str, Any]:
    return {"name": server.name, "database": server.database}


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "kind": job.kind,
        "description": job.description,
        "status": job.status,
        "fraction": job.fraction,
        "error": job.error,
    }


def _error(error: BaseException) -> dict[str, Any]:
    return {"class": type(error).__name__, "message": str(error)}


_WRITERS: Final[Mapping[type, Callable[[Any], dict[str, Any]]]] = MappingProxyType(
    {
        Step: _step,
        MigrationScript: _script,
        Statement: _statement,
        Server: _server,
        Job: _job,
        Blocker: blocker_values,
        BaseException: _error,
    }
)
