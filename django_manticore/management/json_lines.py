"""A run as JSON lines: one object for each event, in the shape of `manticore_cockroachdb.event_json`.

Each line has `format` (1), `database` (the alias), `at` (when it was written, ISO 8601, UTC) and `event`.
The last line of a database is `finished` or `failed`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import CommandError, OutputWrapper

from manticore_cockroachdb.errors import ManticoreError, MigrationFailed
from manticore_cockroachdb.event_json import event_values
from manticore_cockroachdb.events import Event, Interrupted, StepFinished
from manticore_cockroachdb.types import Step

from . import exit_codes
from .json_output import FORMAT

#: The lines that are not an event of the library, and their keys.
LAST_LINES: Final = {
    "finished": ("scripts",),
    "failed": ("error", "message", "exit_code", "version", "path", "line", "sqlstate"),
}


class JsonLines:
    """Writes one run's events.

    Attributes:
        interrupted: What the run said when it was asked to stop.
        finished: The steps that were done.

    Args:
        stdout: Where to write.
        alias: The database's name in the settings.
    """

    def __init__(self, stdout: OutputWrapper, alias: str) -> None:
        self.interrupted: Interrupted | None = None
        self.finished: list[Step] = []
        self._out = stdout
        self._alias = alias

    def __call__(self, event: Event) -> None:
        """Write an event."""
        if isinstance(event, Interrupted):
            self.interrupted = event
        if isinstance(event, StepFinished):
            self.finished.append(event.step)
        self._write(event_values(event))

    def end(self, *, failed: bool) -> None:
        """Write that the run ended well; how it failed is written by `fail`."""
        if not failed:
            self._write({"event": "finished", "scripts": len(self.finished)})

    def fail(self, error: ManticoreError | CommandError) -> None:
        """Write why the run failed."""
        code = error.returncode if isinstance(error, CommandError) else exit_codes.exit_code(error)
        failed = error if isinstance(error, MigrationFailed) else None
        self._write(
            {
                "event": "failed",
                "error": type(error).__name__,
                "message": str(error),
                "exit_code": code,
                "version": (failed.version or None) if failed else None,
                "path": str(failed.path) if failed else None,
                "line": failed.line if failed else None,
                "sqlstate": getattr(error, "sqlstate", None),
            }
        )

    def _write(self, values: dict[str, Any]) -> None:
        line = {
            "format": FORMAT,
            "database": self._alias,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        line = {**line, **{key: value for key, value in values.items() if key not in line}}
        self._out.write(json.dumps(line, ensure_ascii=False))
        self._out.flush()
