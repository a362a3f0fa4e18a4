"""Resolves by hand: a person says what is true, and the tables are changed to say it.

Runs none of a script's statements. Refuses while another runner is alive.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from ..._backend import introspection
from ..._backend.job_match import match_jobs
from ..._backend.jobs import Job
from ..._backend.protocol import Command
from ..._backend.settings import ConnectionSettings
from ..._planner.checkpoints import replaced_versions, standing_for
from ..._planner.plan import replaced
from ..._planner.step import Step
from ..._scripts.direction import Direction
from ..._scripts.loader import Loaded
from ..._scripts.script import MigrationScript, ScriptKey, called
from ..._sql.likeness import ANYBODY, NameContext
from ..._sql.statement import Statement
from ..._store import fenced, run_state
from ..._store.fenced import Lease
from ..._store.ledger import Tables
from ..._store.snapshot import Progress, RunState, Snapshot
from ...errors import LeaseTimeout, PlanRefused, Problem
from ...events import Event
from ..known import Known
from ..options import Options, new_owner
from .executor import AsyncExecutor
from .job_list import async_list_jobs
from .session import AsyncSession
from .store import AsyncStore, async_open_store, takes_no_writes

Load = Callable[[], Awaitable[Loaded]]


class AsyncResolve:
    """Records the outcome of a migration that Manticore could not determine.

    Args:
        settings: Where.
        options: How.
        emit: Called with each event.
        load: Reads the scripts and checkpoints.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        options: Options,
        emit: Callable[[Event], None],
        load: Load,
    ) -> None:
        self._settings = settings
        self._options = options
        self._emit = emit
        self._load = load

    async def known(self) -> Known:
        """Return what the tables, the jobs and the sessions show. Changes nothing."""
        found = await self._load()
        session, store = await self._open()
        try:
            snapshot = await self._look(store)
            progress = snapshot.record.progress
            script = _begun(found, progress) if progress else None
            statement = _statement(script, progress) if script and progress else None
            jobs: tuple[Job, ...] = ()
            if statement and progress and progress.sent_at is not None:
                jobs = await _jobs_of(session, statement, progress.sent_at)
            return Known(
                record=snapshot.record,
                script=script,
                statement=statement,
                jobs=jobs,
                sessions=await self._sessions(session, snapshot.record),
            )
        finally:
            await session.close()

    async def applied(self, script: ScriptKey, *, known: Known | None = None) -> None:
        """Say that a script is applied: it goes into its table and is no longer unfinished.

        Args:
            script: The version, or a repeatable script's name: it is applied as its file is now.
            known: The result of `known()` on which the decision was based; refused if a runner has held
                the lease since.

        Raises:
            PlanRefused: There is no such script, or a runner has run since `known`.
            LeaseTimeout: A runner is alive.
        """
        loaded = await self._load()
        found = _of_key(loaded, script)

        def change(snapshot: Snapshot, tables: Tables, lease: Lease) -> list[Command]:
            if snapshot.applied(found):
                return _forget(snapshot, script, tables, lease)
            keep = _another(snapshot, script)
            progress = snapshot.record.progress
            begun = _begun(loaded, progress) if progress is not None and not keep else None
            done = begun or found
            return [fenced.complete(tables, lease, done, Direction.UP, keep=keep)]

        await self._settle(change, known, repeatable=found.is_repeatable)

    async def not_applied(self, script: ScriptKey, *, known: Known | None = None) -> None:
        """Say that a script is not applied: it leaves its table and is no longer unfinished.

        A repeatable script then runs again; one without a file is forgotten.

        Args:
            script: The version, or a repeatable script's name.
            known: The result of `known()` on which the decision was based; refused if a runner has held
                the lease since.

        Raises:
            PlanRefused: Neither the folder nor the tables know that script, or a runner has run since
                `known`.
            LeaseTimeout: A runner is alive.
        """
        loaded = await self._load()
        on_disk = {*(each.key for each in loaded.scripts), *standing_for(loaded.checkpoints)}

        def change(snapshot: Snapshot, tables: Tables, lease: Lease) -> list[Command]:
            half = snapshot.record.progress is not None and snapshot.record.progress.key == script
            if not (snapshot.known(script) or half or script in on_disk):
                raise _unknown(script)
            if not snapshot.known(script):
                return _forget(snapshot, script, tables, lease)
            return [fenced.remove(tables, lease, script, keep=_another(snapshot, script))]

        await self._settle(change, known)

    async def restart_batch(self, script: ScriptKey, *, known: Known | None = None) -> None:
        """Let a statement in batches start again from its first row, as the file has it now.

        Rows of the windows that are done are changed again by the next run.

        Args:
            script: Its version, or a repeatable script's name.
            known: The result of `known()` on which the decision was based; refused if a runner has held
                the lease since.

        Raises:
            PlanRefused: No batch of that script is unfinished, or a runner has run since `known`.
            LeaseTimeout: A runner is alive.
        """

        def change(snapshot: Snapshot, tables: Tables, lease: Lease) -> list[Command]:
            progress = snapshot.record.progress
            if progress is None or progress.key != script or progress.batch is None:
                problem = Problem(
                    f"no statement of {called(script)} has begun in batches",
                    version=script if isinstance(script, int) else None,
                    hint="see status (manticore_showmigrations).",
                )
                raise PlanRefused("Nothing was changed", [problem])
            return [fenced.forget_batch(tables, lease)]

        await self._settle(change, known)

    async def accept_checksum(self, version: int, *, known: Known | None = None) -> None:
        """Accept a harmless change in the file of an applied script: record its new checksum.

        Args:
            version: The version.
            known: The result of `known()` on which the decision was based; refused if a runner has held
                the lease since.

        Raises:
            PlanRefused: There is no such script, or it is not applied, or a runner has run since `known`.
            LeaseTimeout: A runner is alive.
        """
        script = await self._script(version)

        def change(snapshot: Snapshot, tables: Tables, lease: Lease) -> list[Command]:
            row = next((row for row in snapshot.rows if row.version == version), None)
            if row is None:
                problem = Problem(
                    f"version {version} is not applied, so there is no checksum to accept.",
                    path=script.path,
                    version=version,
                )
                raise PlanRefused("Nothing was changed", [problem])
            if replaced(script, row):
                problem = Problem(
                    f"version {version} is applied as another script ({row.description!r}), and this one "
                    "would never run.",
                    path=script.path,
                    version=version,
                    hint="Give it the next free number with manticore_makemigration --renumber "
                    f"{version}.",
                )
                raise PlanRefused("Nothing was changed", [problem])
            return [fenced.accept_checksum(tables, lease, script)]

        await self._settle(change, known)

    async def unlock(self, *, known: Known | None = None) -> str | None:
        """Break the lease of a runner that is gone, without waiting for it to expire.

        Args:
            known: The result of `known()` on which the decision was based; refused if the lease has
                changed since.

        Returns:
            The runner whose lease was broken, or None if nobody holds it.

        Raises:
            PlanRefused: The lease is not the one in `known`.
            LeaseTimeout: That runner's session is still connected.
        """
        session, store = await self._open()
        try:
            record = (await self._look(store)).record
            if record.owner is None:
                return None
            if known is not None and record.epoch != known.record.epoch:
                raise _stale()
            sessions = await self._sessions(session, record)
            if sessions:
                end = introspection.how_to_end(session.server, sessions[0])
                raise LeaseTimeout(
                    f"{record.owner} holds the lease and is alive: its session {sessions[0]} is "
                    f"connected ({record.doing}). Stop that runner; or, if its host is gone, end the "
                    f"session with {end} and unlock again.",
                    owner=record.owner,
                    waited=0.0,
                )
            if session.read_only:
                raise takes_no_writes(session, session.read_only)
            await session.send(run_state.break_lease(store.tables, record.owner, record.epoch))
            return record.owner
        finally:
            await session.close()

    async def _settle(
        self,
        change: Callable[[Snapshot, Tables, Lease], list[Command]],
        known: Known | None,
        *,
        repeatable: bool = False,
    ) -> None:
        def unless_stale(snapshot: Snapshot, tables: Tables, lease: Lease) -> list[Command]:
            # Each lease has the next number: one in between was a runner's, who changed what was known.
            if known is not None and lease.epoch != known.record.epoch + 1:
                raise _stale()
            return change(snapshot, tables, lease)

        at_once = replace(self._options, lock_timeout=0.0)
        executor = AsyncExecutor(self._settings, at_once, self._emit)
        await executor.settle(unless_stale, repeatable=repeatable)

    async def _script(self, key: ScriptKey) -> MigrationScript:
        for script in (await self._load()).scripts:
            if script.key == key:
                return script
        raise _unknown(key)

    async def _open(self) -> tuple[AsyncSession, AsyncStore]:
        store = await async_open_store(
            self._settings, f"{new_owner()}/resolve", self._options.table, self._emit
        )
        return store.session, store

    async def _look(self, store: AsyncStore) -> Snapshot:
        snapshot = await store.look()
        if snapshot is None:
            raise LeaseTimeout(
                "A runner is alive: its transaction holds the run state. Wait for it to end.",
                owner=None,
                waited=0.0,
            )
        return snapshot

    async def _sessions(self, session: AsyncSession, record: RunState) -> tuple[str, ...]:
        if record.owner is None:
            return ()
        ids = [record.session_id] if record.session_id else []
        alive = introspection.sessions_alive(session.server, ids, f"{record.owner}/")
        return tuple(row[0] for row in (await session.send(alive))[0].rows)


def _begun(loaded: Loaded, progress: Progress) -> MigrationScript | None:
    """The script, or the checkpoint, that is partially run."""
    scripts = loaded.checkpoints if progress.checkpoint else loaded.scripts
    return next((script for script in scripts if script.key == progress.key), None)


def _of_key(loaded: Loaded, key: ScriptKey) -> MigrationScript:
    """What is recorded for a script, also where only a checkpoint has it.

    Raises:
        PlanRefused: Neither a script nor a checkpoint has it.
    """
    script = next((script for script in loaded.scripts if script.key == key), None)
    if script is not None:
        return script
    checkpoint = standing_for(loaded.checkpoints).get(key) if isinstance(key, int) else None
    if checkpoint is None:
        raise _unknown(key)
    each = replaced_versions(loaded.checkpoints)[int(key)]
    return MigrationScript(
        version=each.version,
        description=each.description,
        up_sql="",
        down_sql=None,
        path=checkpoint.path,
        checksum=each.checksum,
    )


def _another(snapshot: Snapshot, key: ScriptKey) -> bool:
    """Whether the unfinished script is another one."""
    progress = snapshot.record.progress
    return progress is not None and progress.key != key


def _forget(snapshot: Snapshot, key: ScriptKey, tables: Tables, lease: Lease) -> list[Command]:
    """Nothing of that script is unfinished; another one's record is left alone."""
    progress = snapshot.record.progress
    if progress is not None and progress.key == key:
        return [fenced.clear_progress(tables, lease)]
    return []


def _statement(script: MigrationScript, progress: Progress) -> Statement | None:
    statements = Step(script, progress.direction).statements()
    return statements[progress.done] if progress.done < len(statements) else None


async def _jobs_of(session: AsyncSession, statement: Statement, sent_at: float) -> tuple[Job, ...]:
    """Whoever runs this need not be the user who sent it: anybody's jobs are looked at."""
    server = session.server
    found = await async_list_jobs(session, sent_at)
    context = NameContext(server.database, server.schemas, ANYBODY)
    jobs = match_jobs(found, (statement,), context, since=sent_at)
    return jobs.own or jobs.unclear


def _stale() -> PlanRefused:
    problem = Problem(
        "A runner has run since the database was looked at.",
        hint="Look again (manticore_resolve without an option), and decide again.",
    )
    return PlanRefused("Nothing was changed", [problem])


def _unknown(key: ScriptKey) -> PlanRefused:
    problem = Problem(
        f"There is no {called(key)} in the folder or the tables",
        version=key if isinstance(key, int) else None,
        hint="see status (manticore_showmigrations).",
    )
    return PlanRefused("Nothing was changed", [problem])
