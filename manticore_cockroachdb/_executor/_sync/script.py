# Generated from _async/script.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Runs one script segment by segment, so that the run state is true at every moment in between.

Where a script is entered is decided in `_planner.entry`, how it is cut in `_planner.segments`, and what is
recorded when in `script_record`. Each way to send a segment has its own module.
"""

from __future__ import annotations

from ..._planner.cursor import RunCursor
from ..._planner.segments import Prepared, Segment, Sending, segments
from ..._scripts.script import Mode
from ..._sql.session_effects import sets_inside_block
from ..._store.snapshot import Progress
from ...events import Warned
from .batch import BatchedStatement
from .run import Run
from .script_entry import ScriptEntry
from .script_record import ScriptRecord
from .script_settings import ScriptSettings
from .script_statement import ScriptStatements
from .script_transaction import ScriptTransactions


class Script:
    """One script on its way.

    Args:
        run: The run it is part of.
        prepared: The script, its direction and its statements; its mode is STEPWISE or AUTOCOMMIT, or
            ATOMIC where the server cannot do that in one transaction with the ledger.
        record: What the tables say of it.
    """

    def __init__(self, run: Run, prepared: Prepared, record: ScriptRecord) -> None:
        self._run = run
        self._record = record
        self._prepared = prepared
        self._step = prepared.step
        self._statements = prepared.statements
        self._settings = ScriptSettings(run, prepared, record)
        self._entry = ScriptEntry(run, prepared, record, self._settings)
        self._transactions = ScriptTransactions(run, prepared, record)
        self._alone = ScriptStatements(run, prepared, record)

    def run(self, cursor: RunCursor) -> None:
        """Run what is left of it and move the ledger.

        Args:
            cursor: What is recorded of it.
        """
        done, sent_before = self._entry.enter(cursor)
        left = segments(self._statements, self._prepared.mode, self._run.server, start=done)
        self._warn_of_blocks(done)
        for index, segment in enumerate(left):
            last = index + 1 == len(left)
            following = next(
                (s for s in left[index + 1 :] if s.sending is not Sending.SESSION), None
            )
            match segment.sending:
                case Sending.SESSION:
                    self._settings.send_segment(segment)
                case Sending.TRANSACTION:
                    self._transactions.send_segment(segment, following, last=last)
                case Sending.SCRIPT_TRANSACTION:
                    self._transactions.send_script(segment)
                case Sending.BATCH:
                    self._send_batch(segment, following, cursor.resume, last=last)
                case Sending.AUTOCOMMIT:
                    self._alone.send_segment(segment, following, sent_before, last=last)
                    sent_before = None
        if not left or left[-1].sending is Sending.SESSION:
            self._run.write(self._record.complete())

    def _send_batch(
        self, segment: Segment, following: Segment | None, resume: Progress | None, *, last: bool
    ) -> None:
        """Send a statement in batches; its last window shares a transaction with its mark."""
        begun = resume if resume is not None and resume.done == segment.start else None
        batch = BatchedStatement(
            self._run,
            self._step,
            segment,
            self._record,
            following=following,
            last=last,
            statements=self._statements,
        )
        batch.run(begun)

    def _warn_of_blocks(self, done: int) -> None:
        """A setting that a DO block makes for its transaction ends with the block."""
        if self._prepared.mode is Mode.ATOMIC:
            return
        for statement in self._statements[done:]:
            if sets_inside_block(statement):
                self._run.emit(
                    Warned(
                        f"{self._step.where(statement)}: what this DO block sets for its transaction "
                        "(SET LOCAL, set_config(…, true)) ends with the block: in "
                        f"mode={self._prepared.mode.value} a script is more than one transaction. Set "
                        "what later statements need outside the block."
                    )
                )
