"""Brings a run to the place where a script continues, and finds out what happened to what was in flight.

Where that is, is decided in `_planner.entry`.
"""

from __future__ import annotations

from ..._planner.batch_progress import statement_fingerprint
from ..._planner.cursor import RunCursor
from ..._planner.entry import Entry, entry_point
from ..._planner.segments import Prepared, replay
from ..._store.snapshot import BatchState, Progress
from ...errors import PlanRefused, Problem
from ..messages import partially_committed, windows_done
from .recovery import async_await_own, async_await_session, async_recover
from .run import AsyncRun
from .script_record import AsyncScriptRecord
from .script_settings import AsyncScriptSettings


class AsyncScriptEntry:
    """The entry into one script.

    Args:
        run: The run it is part of.
        prepared: The script, its direction and its statements.
        record: What the tables say of it.
        settings: Sends its settings.
    """

    def __init__(
        self,
        run: AsyncRun,
        prepared: Prepared,
        record: AsyncScriptRecord,
        settings: AsyncScriptSettings,
    ) -> None:
        self._run = run
        self._record = record
        self._settings = settings
        self._prepared = prepared
        self._step = prepared.step
        self._statements = prepared.statements

    async def enter(self, cursor: RunCursor) -> tuple[int, Progress | None]:
        """Bring the session to where the script continues; find out what happened to what was in flight.

        Returns:
            How many statements are done; and, where the next one was sent before, the record of that.
        """
        run, resume = self._run, cursor.resume
        mode = self._prepared.mode
        at = entry_point(self._statements, mode, run.server, resume, intended=cursor.intended)
        if resume is None:
            return 0, None
        if not self._record.unchanged(at.guarded, resume.done_hash):
            raise self._changed(at.guarded)
        if resume.batch is not None and resume.batch.windows:
            self._check_batch(resume.batch, at.done)
        await self._settings.send(replay(self._statements, at.start), resumed_at=at.done)
        match at.entry:
            case Entry.NOT_MARKED:
                await async_await_session(run, resume)
            case Entry.MARKED:
                await self._await_own_jobs(resume)
            case Entry.UNKNOWN if at.segment is not None:
                if await async_recover(run, self._step, at.segment.statements[0], resume):
                    return at.segment.end, None
                return at.start, resume
        return at.start, None

    async def _await_own_jobs(self, resume: Progress) -> None:
        """A whole script whose transaction was committed: its jobs say how it ended."""
        await async_await_session(self._run, resume)
        if resume.error is not None:
            raise partially_committed(self._step, resume.error, None)
        if not await async_await_own(self._run, self._step, self._statements, resume):
            raise partially_committed(self._step, "one of its schema-change jobs failed", None)

    def _changed(self, count: int) -> PlanRefused:
        step = self._step
        if count == 1:
            what, restore = (
                "its first statement, which is done or running, was changed",
                "Restore it",
            )
        else:
            what, restore = (
                f"its first {count} statements, which are done or running, were changed",
                "Restore them",
            )
        return PlanRefused(
            "Nothing was run",
            [
                Problem(
                    f"{step.called} is partially {step.direction.participle}, and {what}.",
                    path=step.path,
                    version=step.version or None,
                    hint=f"{restore}; later ones may be edited. Or record what is true with "
                    "manticore_resolve "
                    f"--applied {step.key} or --not-applied {step.key}.",
                )
            ],
        )

    def _check_batch(self, begun: BatchState, done: int) -> None:
        """Refuse to continue with a statement other than the one whose windows are done.

        Raises:
            PlanRefused: It was changed, or does not run in batches any more.
        """
        statement = self._statements[done] if done < len(self._statements) else None
        if (
            statement is not None
            and statement.batch is not None
            and begun.fingerprint.startswith(statement_fingerprint(statement))
        ):
            return
        step = self._step
        where = "its statement in batches" if statement is None else f"statement {done + 1}"
        problem = Problem(
            f"{step.called} is partially {step.direction.participle}, and {where}, of which "
            f"{windows_done(begun.windows)}, was changed.",
            path=step.path,
            line=statement.line if statement is not None else None,
            version=step.version or None,
            hint="Restore it and its batch= option; later ones may be edited. Or start it again from its "
            f"first row with manticore_resolve --restart-batch {step.key}: rows of the windows that are "
            "done are then changed again.",
        )
        raise PlanRefused("Nothing was run", [problem])
