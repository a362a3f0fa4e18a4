"""The public class `AsyncMigrator`: thin methods over files, plan and executor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ._backend.blockers import Blocker
from ._executor import concurrency
from ._executor._async.executor import AsyncExecutor
from ._executor._async.lock_holders import async_lock_holders
from ._executor._async.look import PATIENCE, async_with_snapshot
from ._executor._async.resolve import AsyncResolve
from ._executor._async.store import AsyncStore, takes_no_writes
from ._executor.options import (
    DEFAULT_LEASE,
    DEFAULT_LOCK_RETRIES,
    DEFAULT_LOCK_TIMEOUT,
    Options,
    mode_named,
    unheard,
)
from ._planner.plan import Rollback, plan_migrate, renumberable
from ._planner.preview import ConfirmedGoal, Plan, plan_for
from ._planner.status import ScriptStatus, statuses
from ._planner.step import Step
from ._scripts import loader, writer
from ._scripts.filenames import file_name
from ._scripts.loader import Loaded
from ._scripts.placeholders import filled
from ._scripts.script import MigrationScript, Mode
from ._store.ledger import DEFAULT_TABLE, highest
from ._store.own_tables import refuse_own_tables
from ._store.snapshot import Snapshot
from .async_database import AsyncDatabase
from .errors import ManticoreError, SettingsError
from .events import Event, Warned

if TYPE_CHECKING:  # Rehearsing is a third of everything there is to import: a run does without it.
    from .rehearsal._async.verbs import AsyncScratchVerbs
    from .rehearsal.drift import Drift, QuickDrift
    from .rehearsal.results import Rehearsal
    from .rehearsal.seeds import Seed
    from .rehearsal.snapshot import SchemaSnapshot
    from .rehearsal.squash import Squash
    from .rehearsal.surroundings import Surroundings

R = TypeVar("R")


class AsyncMigrator:
    """Creates, applies and reverts SQL migrations on one database.

    It uses the database's settings, opens its own connections, and closes them before a method returns.

    Args:
        db: The database. It does not have to be connected.
        migrations_dir: The folder of the scripts, or several folders with unique versions across them. New
            scripts are written to the first.
        listener: Called with each `Event` of a run.
        table: The ledger's table, `name` or `schema.name`.
        lock_timeout: Seconds to wait for another runner; 0 fails immediately.
        lease: Seconds until the lease expires unless it is extended, at least 1: how soon another runner
            can take over from a dead one.
        statement_timeout: Seconds the server may work on one statement; None means no limit.
        ddl_lock_timeout: Seconds that a statement which changes the schema waits for a lock on PostgreSQL,
            before it is rolled back and retried; None means as the session has it.
        lock_retries: How often a statement that did not get its lock is retried.
        mode: The mode of scripts that do not set one: `atomic`, `stepwise` or `autocommit`; None means
            that server and script decide.
        allow_out_of_order: Apply pending scripts below the highest applied one, too.
        record_schema: Record a hash of the schema at the end of each run, for `quick_drift`.
        placeholders: The values of `${name}` in scripts; with None, `${` has no special meaning.

    Raises:
        SettingsError: An argument is invalid.
    """

    def __init__(
        self,
        db: AsyncDatabase,
        migrations_dir: str | Path | Sequence[str | Path] = "migrations",
        *,
        listener: Callable[[Event], None] | None = None,
        table: str = DEFAULT_TABLE,
        lock_timeout: float = DEFAULT_LOCK_TIMEOUT,
        lease: float = DEFAULT_LEASE,
        statement_timeout: float | None = None,
        ddl_lock_timeout: float | None = None,
        lock_retries: int = DEFAULT_LOCK_RETRIES,
        mode: str | Mode | None = None,
        allow_out_of_order: bool = False,
        record_schema: bool = False,
        placeholders: Mapping[str, str] | None = None,
    ) -> None:
        folders = [migrations_dir] if isinstance(migrations_dir, str | Path) else migrations_dir
        self.folders: tuple[Path, ...] = tuple(Path(folder) for folder in folders)
        self.options = Options(
            table=table,
            lock_timeout=lock_timeout,
            lease=lease,
            statement_timeout=statement_timeout,
            ddl_lock_timeout=ddl_lock_timeout,
            lock_retries=lock_retries,
            mode=mode_named(mode),
            allow_out_of_order=allow_out_of_order,
            record_schema=record_schema,
            placeholders=placeholders,
        )
        self._db = db
        self._listener = listener or unheard

    @property
    def db(self) -> AsyncDatabase:
        """The database."""
        return self._db

    async def initialize(self) -> None:
        """Create the ledger's tables if they do not exist. Optional: a run does it, too.

        The table of repeatable scripts is created where a folder has such scripts.

        Raises:
            ConnectionFailed: No connection.
            LedgerRefused: A table of that name belongs to another tool.
        """
        wants = await concurrency.async_in_thread(lambda: loader.has_repeatables(self.folders))

        async def prepare(store: AsyncStore, snapshot: Snapshot) -> None:
            lacking = snapshot.missing or snapshot.missing_state
            repeatables = wants and not store.tables.has_repeatables
            if snapshot.has_ledger and snapshot.has_state and not lacking and not repeatables:
                return
            if store.session.read_only:
                raise takes_no_writes(store.session, store.session.read_only)
            await store.prepare(snapshot)
            if repeatables:
                await store.make_repeatables()

        await self._with_snapshot(prepare)

    async def create_migration(
        self,
        description: str,
        up_sql: str,
        down_sql: str | None = None,
        *,
        timestamp: bool | None = None,
        folder: str | Path | None = None,
    ) -> Path:
        """Write a new script: `V{next version}__{description}.sql`.

        Args:
            description: A few words that say what it does.
            up_sql: The statements that apply it.
            down_sql: The statements that revert it. With None it cannot be rolled back.
            timestamp: Use the time (UTC) as the version instead of the next number; None does what the
                newest script did.
            folder: The folder to write to, one of the migrations folders; None means the first.

        Returns:
            The file's path. An existing file is never overwritten.

        Raises:
            SettingsError: The description is not usable as a file name, or the folder is not one of the
                migrations folders.
            FilesRefused: The SQL is not a valid script, or the folder cannot be written.
            ConnectionFailed: The ledger could not be read for its highest version.
        """
        chosen = self.folder(folder)
        snapshot = await self._snapshot()
        return await concurrency.async_in_thread(
            lambda: writer.create(
                chosen,
                description,
                up_sql,
                down_sql,
                at_least=highest(snapshot.rows),
                others=[each for each in self.folders if each is not chosen],
                timestamp=timestamp,
            )
        )

    async def create_repeatable(
        self, description: str, sql: str, *, folder: str | Path | None = None
    ) -> Path:
        """Write a new repeatable script: `R__{description}.sql`. It runs again whenever it has changed.

        Args:
            description: What it makes, in a few words.
            sql: Its statements, such as CREATE OR REPLACE VIEW.
            folder: The folder to write to, one of the migrations folders; None means the first.

        Returns:
            The file's path. An existing file is never overwritten.

        Raises:
            SettingsError: The description is not usable as a file name, or the folder is not one of the
                migrations folders.
            FilesRefused: The name is taken, the SQL makes no script, or the folder cannot be written to.
        """
        chosen = self.folder(folder)
        return await concurrency.async_in_thread(
            lambda: writer.create_repeatable(chosen, description, sql, others=self.folders)
        )

    def folder(self, folder: str | Path | None = None) -> Path:
        """One of the migrations folders.

        Args:
            folder: The folder; None means the first, to which new scripts are written.

        Raises:
            SettingsError: It is not one of them.
        """
        if folder is None:
            return self.folders[0]
        for each in self.folders:
            if Path(folder).absolute() == each.absolute():
                return each
        known = ", ".join(map(str, self.folders))
        raise SettingsError(f"{folder} is not one of the migrations folders; they are {known}.")

    async def renumber_migration(
        self, script: int | str | Path, *, timestamp: bool | None = None
    ) -> Path:
        """Give a script the next free version, because another one took its number or was applied first.

        Args:
            script: Its current version, or its file name if two scripts have that version.
            timestamp: Use the time (UTC) as the version; None does what the newest script did.

        Returns:
            The file's new path.

        Raises:
            PlanRefused: There is no such version, or it is applied.
            FilesRefused: There is no such file, a file is not a valid script, or the folder cannot be
                written to.
            ConnectionFailed: The ledger could not be read.
        """
        if isinstance(script, int):
            version, scripts = script, (await self._load_unfilled()).scripts
        else:
            named = await concurrency.async_in_thread(
                lambda: loader.load_file(self.folders, str(script))
            )
            version, scripts = named.version, (named,)
        snapshot = await self._snapshot()
        chosen = renumberable(version, scripts, snapshot.rows)
        return await concurrency.async_in_thread(
            lambda: writer.renumber(
                chosen, self.folders, at_least=highest(snapshot.rows), timestamp=timestamp
            )
        )

    async def load_migrations(self) -> list[MigrationScript]:
        """Read every script: versions in their order, then repeatable scripts in theirs.

        Raises:
            FilesRefused: With every problem of every file.
        """
        return list((await self._load()).scripts)

    async def load_checkpoints(self) -> list[MigrationScript]:
        """Read every checkpoint (`B40__schema.sql`), by version.

        Raises:
            FilesRefused: With every problem of every file.
        """
        return list((await self._load()).checkpoints)

    async def _load(self) -> Loaded:
        found = await self._load_unfilled()
        if self.options.placeholders is not None:
            found = replace(found, scripts=filled(found.scripts, self.options.placeholders))
        refuse_own_tables(found.scripts, self.options.table)
        return found

    async def _load_unfilled(self) -> Loaded:
        return await concurrency.async_in_thread(lambda: loader.load_all(self.folders))

    async def migrate(
        self,
        target_version: int | None = None,
        *,
        fake: bool = False,
        confirmed: Plan | None = None,
    ) -> int:
        """Bring the database to a version: apply what is pending, revert what is above.

        Repeatable scripts whose text has changed run after the versions, and only without a target.

        Args:
            target_version: The version to migrate to. None applies everything, 0 reverts everything.
            fake: Only change the ledger; run none of the scripts' statements.
            confirmed: The result of `plan(target_version)`: run exactly that plan, or refuse.

        Returns:
            How many scripts this run applied or reverted.

        Raises:
            FilesRefused: A file breaks a rule. Nothing was run.
            PlanRefused: Files, ledger and target disagree, or the plan is not the one that was confirmed.
                Nothing was run.
            MigrationFailed: A statement failed. The message says what is done and how to continue.
            LeaseError: Another runner held the lease for all of `lock_timeout`, or took it over.
            ConnectionFailed: The connection failed, or was lost and could not be reestablished.
        """
        found = await self._load()
        done = await self._engine(found).run(
            _held(lambda snapshot: self._up(found, snapshot, target_version), confirmed), fake=fake
        )
        return await self._recorded(found, done)

    async def apply(self, to_version: int | None = None, *, fake: bool = False) -> int:
        """Apply what is pending up to a version, and revert nothing.

        Unlike `migrate(to_version)`, this never reverts higher versions, such as those that another runner
        applies at the same time.

        Args:
            to_version: The last version to apply; None means the highest, and then the repeatable scripts.
            fake: Only change the ledger; run none of the scripts' statements.

        Returns:
            How many scripts this run applied.

        Raises:
            FilesRefused: A file breaks a rule. Nothing was run.
            PlanRefused: Files and ledger disagree, or there is no such version. Nothing was run.
            MigrationFailed: A statement failed. The message says what is done and how to continue.
            LeaseError: Another runner held the lease for all of `lock_timeout`, or took it over.
            ConnectionFailed: The connection failed, or was lost and could not be reestablished.
        """
        found = await self._load()
        done = await self._engine(found).run(
            lambda snapshot: self._up(found, snapshot, to_version, revert=False), fake=fake
        )
        return await self._recorded(found, done)

    async def bootstrap(self) -> int:
        """Apply every script to an empty database, as fast as the server allows.

        Use it for test databases and new environments. On CockroachDB many scripts share a transaction, as
        long as they only change what that transaction created. On PostgreSQL this is `migrate`.

        Returns:
            How many scripts were applied.

        Raises:
            PlanRefused: The database is not empty. Nothing was run.
            MigrationFailed: A statement failed.
        """
        found = await self._load()
        done = await self._engine(found).run(
            lambda snapshot: self._up(found, snapshot, None), bootstrap=True
        )
        return await self._recorded(found, done)

    async def rollback(
        self,
        count: int = 1,
        *,
        to_version: int | None = None,
        fake: bool = False,
        confirmed: Plan | None = None,
    ) -> int:
        """Revert the highest applied migrations.

        Args:
            count: How many to revert, at least 1. If fewer are applied, all of them.
            to_version: Revert all above this version instead; 0 reverts all.
            fake: Only change the ledger; run none of the scripts' statements.
            confirmed: The result of `plan_rollback` with the same arguments: run exactly that plan, or
                refuse.

        Returns:
            How many scripts this run reverted.

        Raises:
            PlanRefused: One of them has no down section or no file, or the plan is not the one that was
                confirmed. Nothing was run.
            MigrationFailed: A statement failed. The message says what is done and how to continue.
            LeaseError: Another runner held the lease for all of `lock_timeout`, or took it over.
        """
        found = await self._load()
        goal = _rollback(found, count, to_version)
        done = await self._engine(found).run(
            _held(lambda snapshot: goal.steps(snapshot.rows, snapshot.unfinished), confirmed),
            fake=fake,
        )
        return await self._recorded(found, done)

    async def plan(self, target_version: int | None = None, *, patience: float = PATIENCE) -> Plan:
        """Return what `migrate` would do now, and on which server. Changes nothing.

        Args:
            target_version: As for `migrate`.
            patience: As for `status`.

        Raises:
            PlanRefused: `migrate` would refuse to run.
            LeaseTimeout: A runner's transaction held the tables for longer than `patience`.
        """
        found = await self._load()
        return await self._planned(
            lambda snapshot: self._up(found, snapshot, target_version), found, patience=patience
        )

    async def plan_rollback(self, count: int = 1, *, to_version: int | None = None) -> Plan:
        """Return what `rollback` would do now, and on which server. Changes nothing.

        Args:
            count: As for `rollback`.
            to_version: As for `rollback`.

        Raises:
            PlanRefused: `rollback` would refuse to run.
        """
        found = await self._load()
        goal = _rollback(found, count, to_version)
        return await self._planned(
            lambda snapshot: goal.steps(snapshot.rows, snapshot.unfinished), found
        )

    async def status(self, *, patience: float = PATIENCE) -> list[ScriptStatus]:
        """Return every script of the folder and the tables, with its state. Changes nothing.

        Versions come in their order, then repeatable scripts in the order in which they run.

        Args:
            patience: Seconds to wait while a runner's open transaction locks the tables, as on CockroachDB.
                The wait may end up to 2 seconds later.

        Raises:
            LeaseTimeout: A runner's transaction held the tables for longer than `patience`.
        """
        found = await self._load()
        snapshot = await self._snapshot(patience, surveys=bool(found.checkpoints))
        return statuses(
            found.scripts,
            snapshot.rows,
            snapshot.record.progress,
            snapshot.repeatables,
            checkpoints=found.checkpoints,
            blank=snapshot.blank,
        )

    async def blockers(self, target_version: int | None = None) -> tuple[Blocker, ...]:
        """Who holds locks that the pending scripts need, or that a runner waits for now. Changes nothing.

        Args:
            target_version: As for `migrate`.

        Returns:
            The sessions, those in front of a waiting runner first. None on CockroachDB, whose schema
            changes do not wait for such locks.

        Raises:
            PlanRefused: `migrate` would refuse to run.
        """
        found = await self._load()

        async def look(store: AsyncStore, snapshot: Snapshot) -> tuple[Blocker, ...]:
            return await async_lock_holders(
                store, snapshot, self._up(found, snapshot, target_version)
            )

        return await self._with_snapshot(look, surveys=bool(found.checkpoints))

    async def snapshot(
        self, *, scratch: AsyncDatabase | None = None, surroundings: Surroundings | None = None
    ) -> SchemaSnapshot:
        """Print the schema that the scripts create, for review.

        The scripts are applied to a scratch database, which is dropped afterwards. The database itself is
        not changed.

        Args:
            scratch: The database on whose server the scratch database is created; None means this one.
            surroundings: What else the database contains, such as another tool's tables. What exists before
                the scripts run is left out of the snapshot.

        Raises:
            FilesRefused: A file breaks a rule.
            RehearsalRefused: The user may not create databases, or the schema cannot be printed.
            MigrationFailed: A script failed on the scratch database.
        """
        found = await self._load()
        return await self._rehearsal(found, scratch, surroundings).snapshot(found.scripts)

    async def drift(
        self,
        *,
        ignore: Sequence[str] = (),
        scratch: AsyncDatabase | None = None,
        surroundings: Surroundings | None = None,
    ) -> Drift:
        """Compare the database with what its applied scripts create. Changes nothing.

        The scripts are applied to a scratch database, which is dropped afterwards; then both schemas are
        read and compared, object by object.

        Args:
            ignore: Patterns of objects that may differ, such as `table public.audit_*`.
            scratch: The database on whose server the scratch database is created; None means this one.
            surroundings: What else the database contains, such as another tool's tables.

        Raises:
            FilesRefused: A file breaks a rule.
            PlanRefused: Files and ledger disagree, or a script is partially applied.
            RehearsalRefused: The user may not create databases, the scratch's server has another version,
                or the schema cannot be printed.
            MigrationFailed: A script failed on the scratch database.
        """
        found = await self._load()
        rehearsal = self._rehearsal(found, scratch, surroundings)
        drift = await rehearsal.drift(found.scripts, ignore)
        if self.options.record_schema and not drift and not ignore:
            await rehearsal.record()
        return drift

    async def quick_drift(self) -> QuickDrift:
        """Whether the schema was changed after the last run that recorded it. Changes nothing.

        Needs `record_schema=True`, and no scratch database: the hash that was recorded at the end of that
        run is compared with the schema now. It does not say what was changed; `drift` does. What another
        tool changes in the database counts, too.

        Raises:
            ConnectionFailed: No connection.
            RehearsalRefused: The schema cannot be printed.
        """
        return await self._rehearsal(await self._load(), None, None).quick_drift()

    async def rehearse(
        self,
        *,
        all_scripts: bool = False,
        crash: bool = False,
        seeds: str | Path | None = None,
        scratch: AsyncDatabase | None = None,
        surroundings: Surroundings | None = None,
    ) -> Rehearsal:
        """Run each pending script up, down and up again on a scratch database. Changes nothing else.

        After the down section the schema must equal the schema before, and after the second up section the
        schema after the first.

        Args:
            all_scripts: Rehearse applied scripts, too, starting with an empty database.
            crash: Cut the connection before and after each statement in turn, too, and compare what
                the run ends in.
            seeds: A folder with files `V7__name.sql`: rows that are there before script 7, and SELECT
                statements whose values must be true after it. If given, rows are compared, too.
            scratch: The database on whose server the scratch database is created; None means this one.
            surroundings: What else the database contains, such as another tool's tables.

        Raises:
            FilesRefused: A file breaks a rule.
            PlanRefused: Files and ledger disagree, or a script is partially applied.
            RehearsalRefused: The user may not create databases, a seed failed, or the schema cannot be
                printed.
            MigrationFailed: A script that is applied already failed on the scratch database.
        """
        found = await self._load()
        sown: Mapping[int, Seed] = {}
        if seeds is not None:
            from .rehearsal.seeds import load_seeds  # noqa: PLC0415 - see above

            folder = Path(seeds)
            sown = await concurrency.async_in_thread(lambda: load_seeds(folder, found.scripts))
        rehearsal = self._rehearsal(found, scratch, surroundings)
        return await rehearsal.rehearse(found.scripts, sown, all_scripts=all_scripts, crash=crash)

    async def squash(
        self,
        version: int,
        *,
        description: str = "schema",
        max_rows: int = 10_000,
        leave_out_server: bool = False,
        scratch: AsyncDatabase | None = None,
        surroundings: Surroundings | None = None,
    ) -> Squash:
        """Write a checkpoint `B40__schema.sql`: what the scripts up to a version make, in one file.

        The scripts are applied to a scratch database; its schema and the rows that they inserted become the
        file. The file is then applied to another scratch database, and is kept only if both are equal. Both
        databases are dropped afterwards. Empty databases start from the checkpoint; others never use it.

        Args:
            version: The version to squash to; its script must be in the folder.
            description: What its file is called. A checkpoint of that version that is there keeps its name.
            max_rows: How many rows the file may have.
            leave_out_server: Leave out statements that change the server and not the database, such as
                CREATE ROLE, instead of refusing the scripts that have them.
            scratch: A database beside which the scratch databases are made; None: beside this one.
            surroundings: What else the database contains, such as another tool's tables.

        Raises:
            SettingsError: The description makes no file name, or `max_rows` is below 0.
            FilesRefused: A file breaks a rule, or the folder cannot be written to.
            PlanRefused: There is no such version, or the scripts cannot be squashed.
            RehearsalRefused: The user may not create databases, the schema cannot be printed, there are too
                many rows, or the checkpoint does not make what the scripts make. No file was written.
            MigrationFailed: A script, or the checkpoint, failed on a scratch database.
        """
        from .rehearsal.squash import scripts_to_squash  # noqa: PLC0415 - see above

        if max_rows < 0:
            raise SettingsError(f"max_rows must be 0 or more; got {max_rows}.")
        unfilled = (await self._load_unfilled()).scripts
        found = await self._load()
        wanted = scripts_to_squash(found.scripts, unfilled, version)
        there = next((each.path for each in found.checkpoints if each.version == version), None)
        path = there or wanted[-1].path.with_name(file_name(version, description, "B"))
        below = replace(
            found,
            checkpoints=tuple(each for each in found.checkpoints if each.version < version),
        )
        text, squash = await self._rehearsal(below, scratch, surroundings).squash(
            wanted, path, most_rows=max_rows, leave_out_server=leave_out_server
        )
        is_new = await concurrency.async_in_thread(lambda: writer.write_checkpoint(path, text))
        return replace(squash, is_new=is_new)

    @property
    def resolve(self) -> AsyncResolve:
        """Methods that record the outcome of a migration when it cannot be determined."""
        return AsyncResolve(self._db.settings, self.options, self._listener, self._load)

    def _up(
        self,
        found: Loaded,
        snapshot: Snapshot,
        target: int | None,
        *,
        revert: bool = True,
    ) -> tuple[Step, ...]:
        return plan_migrate(
            found.scripts,
            snapshot.rows,
            target=target,
            unfinished=snapshot.unfinished,
            allow_out_of_order=self.options.allow_out_of_order,
            revert=revert,
            checkpoints=found.checkpoints,
            blank=snapshot.blank,
            repeatables=snapshot.repeatables,
        )

    async def _recorded(self, found: Loaded, done: int) -> int:
        """Record the schema after a run, where that is wanted; how many steps the run has done."""
        if done and self.options.record_schema:
            try:
                await self._rehearsal(found, None, None).record()
            except ManticoreError as error:
                self._listener(
                    Warned(f"The scripts are done, but the schema could not be recorded: {error}")
                )
        return done

    async def _planned(
        self,
        goal: Callable[[Snapshot], tuple[Step, ...]],
        found: Loaded,
        *,
        patience: float = PATIENCE,
    ) -> Plan:
        async def planned(store: AsyncStore, snapshot: Snapshot) -> Plan:
            return plan_for(store.session.server, goal(snapshot), snapshot, self.options.mode)

        return await self._with_snapshot(planned, patience, surveys=bool(found.checkpoints))

    def _engine(self, found: Loaded) -> AsyncExecutor:
        return AsyncExecutor(
            self._db.settings, self.options, self._listener, surveys=bool(found.checkpoints)
        )

    def _rehearsal(
        self,
        found: Loaded,
        scratch: AsyncDatabase | None,
        surroundings: Surroundings | None,
    ) -> AsyncScratchVerbs:
        from .rehearsal._async.verbs import AsyncScratchVerbs  # noqa: PLC0415 - see above

        beside = scratch.settings if scratch is not None else None
        return AsyncScratchVerbs(
            self._db.settings,
            self.options,
            self._listener,
            beside,
            surroundings,
            found.checkpoints,
        )

    async def _snapshot(self, patience: float = PATIENCE, *, surveys: bool = False) -> Snapshot:
        async def just_look(_store: AsyncStore, snapshot: Snapshot) -> Snapshot:
            return snapshot

        return await self._with_snapshot(just_look, patience, surveys=surveys)

    async def _with_snapshot(
        self,
        use: Callable[[AsyncStore, Snapshot], Awaitable[R]],
        patience: float = PATIENCE,
        *,
        surveys: bool = False,
    ) -> R:
        return await async_with_snapshot(
            self._db.settings, self.options, self._listener, use, patience, surveys=surveys
        )


def _rollback(found: Loaded, count: int, to_version: int | None) -> Rollback:
    return Rollback(
        found.scripts, count=count, to_version=to_version, checkpoints=found.checkpoints
    )


def _held(
    goal: Callable[[Snapshot], tuple[Step, ...]], confirmed: Plan | None
) -> Callable[[Snapshot], tuple[Step, ...]]:
    return goal if confirmed is None else ConfirmedGoal(goal, confirmed)
