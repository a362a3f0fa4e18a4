"""Sends segments that are a transaction each: of rows with their mark, or of a whole script."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ..._backend.dialect import PARTIALLY_COMMITTED
from ..._backend.protocol import COMMIT, Command, Refusal, Result
from ..._planner.decisions import outcome_unknown
from ..._planner.segments import Prepared, Segment
from ..._sql.session_effects import defers_constraints, session_wide
from ..._sql.statement import Kind, rows_changed
from ..._store import fenced
from ..._store.transactions import Placed, begin, lock_state, with_write
from ...errors import ConnectionLost
from ...events import TransactionFinished, TransactionStarted
from ..messages import partially_committed
from ..under_way import UnderWay, located
from .run import AsyncRun
from .script_record import AsyncScriptRecord
from .supervision import async_run_transaction


class AsyncScriptTransactions:
    """The transactions of one script.

    Args:
        run: The run it is part of.
        prepared: The script, its direction and its statements.
        record: What the tables say of it.
    """

    def __init__(self, run: AsyncRun, prepared: Prepared, record: AsyncScriptRecord) -> None:
        self._run = run
        self._record = record
        self._step = prepared.step
        self._statements = prepared.statements

    async def send_segment(
        self, segment: Segment, following: Segment | None, *, last: bool
    ) -> None:
        """Send a segment that shares a transaction with its mark, or with the ledger's row."""
        run = self._run
        tables, lease = run.store.tables, run.lease
        opening = begin(run.server, self._step.script.isolation)
        limits = run.lock_limits(self._step, self._statements, segment.start, segment.end)
        statements: list[Placed] = []
        for setting, each in zip(limits.settings, segment.statements, strict=True):
            if setting is not None:
                statements.append(Placed(setting, ours=True))
            statements.append(Placed(Command(session_wide(each), discards=True)))
        mark = await self._record.mark(segment, following) if not last else None
        if run.server.serializable_only:
            # The first write of ours keeps other runners out.
            hold = mark or fenced.renew_lease(tables, lease)
            last_write = None
        else:
            hold, last_write = lock_state(tables), mark
        if mark is None:
            last_write = await self._record.complete(in_transaction=True)
        state, touched = run.session.state, run.session_touched
        run.session_touched |= segment.changes_session(run.server.kind)
        first = state.inside(hold) if touched else (hold,)
        final: tuple[Command, ...] = () if last_write is None else (last_write,)
        if final and run.session_touched:
            final = state.at_end(*final)
        opened = (opening, *first, *self._deferrals(segment))
        commands = [
            *(Placed(command, True) for command in opened),
            *statements,
            *(Placed(command, True) for command in final),
            Placed(COMMIT),
        ]
        number, total = segment.start + 1, len(self._statements)
        run.emit(TransactionStarted(self._step, segment.statements, number, total))
        began = time.monotonic()
        rows = await self._send_commands(segment, commands, limits.seconds)
        seconds = time.monotonic() - began
        run.emit(TransactionFinished(self._step, segment.statements, number, total, seconds, rows))
        if any(each.kind is Kind.SESSION for each in segment.statements):
            await run.read_name_context()

    async def send_script(self, segment: Segment) -> None:
        """Send a whole script as one transaction, on a server whose schema changes outlive that."""
        run = self._run
        await run.allow_schema_changes_in_transactions()
        await self._record.intend(segment)
        run.session_touched = True
        mark = await self._record.mark_script(segment)
        placed = [
            Placed(command, each.ours)
            for each in with_write(segment.statements, mark)
            for command in (run.session.state.inside(mark) if each.ours else (each.command,))
        ]
        # COMMIT waits for the schema changes, and others are no longer kept out then: the answers before it
        # say when that begins.
        placed[-1] = replace(placed[-1], command=replace(placed[-1].command, flushes=True))
        await self._send_commands(
            segment, [Placed(begin(run.server), True), *placed, Placed(COMMIT)], renews=True
        )
        await run.write(await self._record.complete())

    async def _send_commands(
        self,
        segment: Segment,
        commands: Sequence[Placed],
        limits: Sequence[float | None] = (),
        *,
        renews: bool = False,
    ) -> tuple[int | None, ...]:
        """Send a segment's transaction, again and again on 40001 and where a lock was not granted.

        Args:
            segment: The segment.
            commands: The transaction.
            limits: Seconds that its statements wait for a lock at most.
            renews: Whether the lease is renewed while COMMIT runs.

        Returns:
            How many rows each statement changed; None for one that changes none.
        """
        run = self._run
        # Of each command: how many of the segment's statements come before it.
        before = [sum(not each.ours for each in commands[:n]) for n in range(len(commands))]

        def under_way(answered: int) -> UnderWay:
            at = min(answered, len(commands) - 1)
            if renews and answered == len(commands) - 1:
                return UnderWay(self._step, segment.start, committed=segment.statements)
            statement = None
            if not commands[at].ours and before[at] < len(segment.statements):
                statement = segment.statements[before[at]]
            return UnderWay(self._step, segment.start, statement)

        def locate(text: str) -> UnderWay | None:
            each = (UnderWay(self._step, segment.start, s) for s in segment.statements)
            return located(text, each)

        rows: list[int | None] = []

        def answered(number: int, result: Result) -> None:
            if not commands[number].ours and before[number] < len(segment.statements):
                rows.append(rows_changed(segment.statements[before[number]], result.tag))

        while True:
            rows.clear()
            refusal = await async_run_transaction(
                run,
                [each.command for each in commands],
                under_way,
                answered,
                renew=lambda answered: renews and answered == len(commands) - 1,
                locate=locate,
                limits=limits,
            )
            if refusal is None:
                return tuple(rows)
            what = f"{self._step.where()}, a transaction"
            place = UnderWay(self._step, segment.start).place
            if await run.tries_again(refusal.error, place, what):
                continue
            refused = under_way(refusal.index)
            if await run.waits_for_lock(
                refusal.error, self._step, refused.statement, refused.place
            ):
                continue
            raise await self._refused(segment, refusal, commands, before) from refusal.error

    async def _refused(
        self, segment: Segment, refusal: Refusal, commands: Sequence[Placed], before: list[int]
    ) -> Exception:
        """The error for a transaction that was refused; what is true is recorded."""
        error = refusal.error
        at = refusal.index
        if at < len(commands) and commands[at].ours and error.sqlstate is not None:
            why = await self._run.why_refused(error, self._step, committed=segment.start > 0)
            if why is not error:
                return why
        if outcome_unknown(error.sqlstate):
            return ConnectionLost(str(error), sqlstate=error.sqlstate)
        if error.sqlstate == PARTIALLY_COMMITTED:
            await self._record.partially_committed(segment, error)
            return partially_committed(self._step, str(error), error.sqlstate)
        if at < len(commands) and not commands[at].ours and before[at] < len(segment.statements):
            number = segment.start + before[at] + 1
            statement = segment.statements[before[at]]
            return await self._record.fail(statement, error, segment.start, number=number)
        return await self._record.fail(None, error, segment.start)

    def _deferrals(self, segment: Segment) -> tuple[Command, ...]:
        """SET CONSTRAINTS holds for one transaction: what came before is sent again in each of them."""
        before = (s for s in self._statements[: segment.start] if defers_constraints(s))
        return tuple(Command(statement.text) for statement in before)
