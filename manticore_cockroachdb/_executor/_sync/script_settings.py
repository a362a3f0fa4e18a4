# Generated from _async/script_settings.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Sends the settings of a script. They are recorded nowhere, and are sent again whenever a run resumes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..._planner.decisions import outcome_unknown
from ..._planner.segments import Prepared, Segment
from ..._sql.session_effects import session_wide
from ..._sql.statement import Statement
from ...errors import DatabaseError
from ...events import StatementFinished, StatementStarted
from ..under_way import UnderWay
from .run import Run
from .script_record import ScriptRecord


class ScriptSettings:
    """The settings of one script.

    Args:
        run: The run it is part of.
        prepared: The script, its direction and its statements.
        record: What the tables say of it.
    """

    def __init__(self, run: Run, prepared: Prepared, record: ScriptRecord) -> None:
        self._run = run
        self._record = record
        self._step = prepared.step
        self._statements = prepared.statements

    def send_segment(self, segment: Segment) -> None:
        """Send the settings of a segment, and tell of each."""
        total = len(self._statements)
        for number, statement in enumerate(segment.statements, segment.start + 1):
            self._run.emit(StatementStarted(self._step, statement, number, total))
            began = time.monotonic()
            self.send((statement,))
            seconds = time.monotonic() - began
            self._run.emit(StatementFinished(self._step, statement, number, total, seconds))

    def send(self, statements: Sequence[Statement], *, resumed_at: int | None = None) -> None:
        """Send settings; with `resumed_at`, those of a script already past them (its record stays)."""
        for statement in statements:
            number = 1 + next(i for i, s in enumerate(self._statements) if s is statement)
            while True:
                try:
                    self._run.session_touched = True
                    self._run.session.run(session_wide(statement))
                except DatabaseError as error:
                    if self._tries_again(error, number - 1, statement):
                        continue
                    if outcome_unknown(error.sqlstate):
                        raise
                    if resumed_at is not None:
                        failed = self._record.failure(statement, error, resumed_at, number)
                    else:
                        failed = self._record.fail(statement, error, number - 1)
                    raise failed from error
                break
        if statements:
            self._run.read_name_context()

    def _tries_again(self, error: DatabaseError, done: int, statement: Statement) -> bool:
        place = UnderWay(self._step, done).place
        return self._run.tries_again(error, place, self._step.where(statement))
