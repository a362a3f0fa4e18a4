"""The verbs that need a scratch database: snapshot, drift, rehearse and squash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..._backend.settings import ConnectionSettings
from ..._executor import concurrency
from ..._executor._async.look import async_with_snapshot
from ..._executor._async.session import AsyncSession
from ..._executor._async.store import AsyncStore
from ..._executor.options import Options, new_owner
from ..._planner.checkpoints import replaced_versions, sources
from ..._printing.compare import compare
from ..._printing.head import snapshot
from ..._printing.objects import Kind, Printing
from ..._printing.suggestions import in_order
from ..._printing.text import fingerprint
from ..._scripts.checkpoint import span
from ..._scripts.checkpoint_file import parse_checkpoint
from ..._scripts.filenames import read_checkpoint_name
from ..._scripts.script import MigrationScript
from ..._store import run_state
from ..._store.ledger import highest, split_table
from ..._store.snapshot import RecordedSchema, Snapshot
from ...errors import FilesRefused, PlanRefused, Problem, RehearsalRefused
from ...events import Event, SquashAdvanced
from ..contents import Contents, differences
from ..drift import (
    Drift,
    QuickDrift,
    SinceLastRun,
    applied_scripts,
    compared,
    since_last_run,
)
from ..results import Rehearsal
from ..seeds import Seed
from ..snapshot import SchemaSnapshot, checksums
from ..squash import (
    Squash,
    Stage,
    described,
    refuse_difference,
    refuse_server_changes,
    refuse_unprinted,
    server_changes,
    text_of,
    versions_of,
)
from ..surroundings import Maker, Surroundings
from .building import async_apply, async_read, scratch_options
from .contents import async_read_contents, async_sequence_names
from .crashes import async_refuse_tls
from .scratch import AsyncScratches
from .staircase import AsyncStaircase


class AsyncScratchVerbs:
    """What is done with scratch databases for one target.

    Args:
        target: The database; it is only read.
        options: How runs are made.
        emit: Called with each event, those of runs on scratch databases included.
        beside: The database beside which scratch databases are made; None: the target.
        surroundings: What else the target holds.
        checkpoints: Every checkpoint, by version: what is built where the files of scripts are gone.
    """

    def __init__(
        self,
        target: ConnectionSettings,
        options: Options,
        emit: Callable[[Event], None],
        beside: ConnectionSettings | None = None,
        surroundings: Surroundings | None = None,
        checkpoints: Sequence[MigrationScript] = (),
    ) -> None:
        self._checkpoints = checkpoints
        self._target = target
        self._options = options
        self._emit = emit
        self._beside = beside or target
        self._surroundings = surroundings or Surroundings()

    async def snapshot(self, scripts: Sequence[MigrationScript]) -> SchemaSnapshot:
        """Build the scripts' schema and print it.

        Raises:
            RehearsalRefused: No scratch database can be made.
            MigrationFailed: A script failed on the scratch database.
        """
        async with self._scratches() as scratches:
            base = self._all(scripts, scratches.server_kind)
            confined = await scratches.confine(base)
            settings = await scratches.make()
            await self._make(self._surroundings.before, settings)
            around = await self._read(settings)
            await async_apply(settings, self._options, self._emit, confined.scripts)
            printing = await self._read(settings)
        if self._surroundings.before is None:
            around = around.only_of_server()
        printing = printing.without(around)
        return SchemaSnapshot(printing.server, snapshot(printing, checksums(base)))

    async def drift(self, scripts: Sequence[MigrationScript], ignore: Iterable[str]) -> Drift:
        """Compare the target with what the scripts of its ledger make.

        Raises:
            PlanRefused: Files and ledger disagree, or a script is partially applied.
            RehearsalRefused: No scratch database can be made, or its server has another version.
            MigrationFailed: A script failed on the scratch database.
        """
        snapshot, kind = await self._snapshot()
        applied = applied_scripts(scripts, self._checkpoints, snapshot, kind, to_compare=True)
        found = await async_read(self._target, self._options.table, self._emit)
        expected = await self._expected(applied, found)
        schema, _ = split_table(self._options.table)
        if schema is not None and not _makes_schema(expected, schema):
            ignore = (*ignore, f"schema {schema}", f"grants schema {schema}")
        differences, unused = compare(expected, found, ignore)
        return Drift(
            server=found.server,
            version=highest(snapshot.rows),
            objects=len({*expected.objects, *found.objects}),
            differences=differences,
            unused_ignores=tuple(each for each in unused if not each.endswith(f"schema {schema}")),
            repair=in_order(((each.name, each.repair) for each in differences), expected, found),
            adopt=in_order(((each.name, each.adopt) for each in differences), found, expected),
        )

    async def record(self) -> bool:
        """Record a hash of the target's schema; whether that was possible: nobody else has run since."""
        snapshot, _ = await self._snapshot()
        printing = await async_read(self._target, self._options.table, self._emit)
        schema = RecordedSchema(fingerprint(printing), printing.server, snapshot.record.epoch)

        async def write(store: AsyncStore, _snapshot: Snapshot) -> bool:
            answers = await store.session.send(run_state.record_schema(store.tables, schema))
            return bool(answers[0].rows)

        return await async_with_snapshot(self._target, self._options, self._emit, write)

    async def quick_drift(self) -> QuickDrift:
        """Compare the target with what it was at the end of the last run.

        Raises:
            ConnectionFailed: No connection.
            Unprintable: The schema cannot be printed.
        """
        snapshot, _ = await self._snapshot()
        unknown = since_last_run(snapshot.record)
        if unknown is not None or snapshot.record.schema is None:
            return unknown or QuickDrift(SinceLastRun.UNKNOWN)
        printing = await async_read(self._target, self._options.table, self._emit)
        return compared(snapshot.record.schema, fingerprint(printing), printing.server)

    async def rehearse(
        self,
        scripts: Sequence[MigrationScript],
        seeds: Mapping[int, Seed],
        *,
        all_scripts: bool,
        crash: bool,
    ) -> Rehearsal:
        """Run scripts up, down and up again on a scratch database.

        Args:
            scripts: Every script.
            seeds: Rows and assertions, by version.
            all_scripts: Rehearse the applied ones too, from an empty database on.
            crash: Cut the connection before and after each statement in turn, too.

        Raises:
            PlanRefused: Files and ledger disagree, or a script is partially applied.
            RehearsalRefused: No scratch database can be made, or a seed failed.
            MigrationFailed: A script that is applied already failed on the scratch database.
        """
        if crash:
            await async_refuse_tls(self._beside)
        base: tuple[MigrationScript, ...] = ()
        if not all_scripts:
            snapshot, kind = await self._snapshot()
            base = applied_scripts(scripts, self._checkpoints, snapshot, kind)
        async with self._scratches() as scratches:
            confined = await scratches.confine((*base, *scripts), _statements_of(seeds))
            base, scripts = confined.scripts[: len(base)], confined.scripts[len(base) :]
            if all_scripts:
                every = self._all(scripts, scratches.server_kind)
                base = tuple(script for script in every if script.checkpoint is not None)
            done = {
                *(script.key for script in base),
                *(each.version for each in versions_of(base)),
            }
            pending = [script for script in scripts if script.key not in done]
            stairs = AsyncStaircase(
                scratches, self._options, self._emit, self._surroundings, seeds, crash=crash
            )
            results = await stairs.run(base, pending) if pending else ()
            left_out = confined.left_out_of(pending)
            return Rehearsal(scratches.server, results, len(pending), left_out)

    async def squash(
        self,
        scripts: Sequence[MigrationScript],
        path: Path,
        *,
        most_rows: int,
        leave_out_server: bool,
    ) -> tuple[str, Squash]:
        """Make a checkpoint from scripts, and prove it.

        Args:
            scripts: The scripts up to the version that is squashed to.
            path: The file that it is going to be; not written here.
            most_rows: How many rows it may have.
            leave_out_server: Leave out statements that change the server and not the database.

        Returns:
            The file's text, and what was found.

        Raises:
            PlanRefused: Files are missing, or scripts change the server.
            RehearsalRefused: No scratch database can be made, the schema cannot be printed, or the
                checkpoint does not make what the scripts make.
            MigrationFailed: A script, or the checkpoint, failed on a scratch database.
        """
        changing = server_changes(scripts)
        if not leave_out_server:
            refuse_server_changes(changing)
        left_out = tuple(described(changing))
        async with self._scratches() as scratches:
            if self._beside is not self._target:
                await self._refuse_other_server(scratches.server)
            self._at(Stage.BUILD)
            base = self._all(scripts, scratches.server_kind)
            confined = await scratches.confine(base)
            first = await scratches.make()
            around, before = await self._around(first)
            others = await async_sequence_names(first)
            await async_apply(first, self._options, self._emit, confined.scripts)
            self._at(Stage.READ)
            printing = await self._read(first)
            made = printing.without(around)
            refuse_unprinted(made)
            tables = _tables(made)
            rows = await async_read_contents(first, tables, others, most_rows=most_rows)
            await self._refuse_other_tools_rows(first, around, before)
            await scratches.drop(first)
            versions = versions_of(base)
            text = text_of(made, rows, versions, left_out)
            script = _read_back(path, text)
            self._at(Stage.PROVE)
            second = await scratches.make()
            await self._around(second)
            await async_apply(second, self._options, self._emit, (script,))
            self._at(Stage.COMPARE)
            again = await self._read(second)
            found = await async_read_contents(second, tables, others, most_rows=None)
            refuse_difference(printing, again, rows, found)
        squash = Squash(
            path=path,
            version=script.version,
            span=span([each.version for each in versions]),
            server=printing.server,
            objects=len(made.objects),
            rows=rows.rows,
            left_out=left_out,
        )
        return text, squash

    def _scratches(self) -> AsyncScratches:
        is_named = self._beside is not self._target
        return AsyncScratches(self._beside, self._emit, is_named=is_named)

    def _at(self, stage: Stage) -> None:
        stages = list(Stage)
        self._emit(SquashAdvanced(stage.value, stages.index(stage) + 1, len(stages)))

    async def _around(self, settings: ConnectionSettings) -> tuple[Printing, Contents]:
        """Make what else the target holds before its scripts run; its schema and its rows.

        What every new database holds, such as the schema `public` and its grants, is among it.
        """
        await self._make(self._surroundings.before, settings)
        around = await self._read(settings)
        if self._surroundings.before is None:
            return around, Contents()
        return around, await async_read_contents(settings, _tables(around), (), most_rows=None)

    async def _refuse_other_tools_rows(
        self, settings: ConnectionSettings, around: Printing, before: Contents
    ) -> None:
        if self._surroundings.before is None:
            return
        now = await async_read_contents(settings, _tables(around), (), most_rows=None)
        changed = differences(Contents(before.tables), Contents(now.tables))
        if changed:
            raise RehearsalRefused(
                f"The scripts change rows of tables that they did not make: {', '.join(changed)}. A "
                "checkpoint holds the scripts' own tables only. Squash to a version before the script "
                "that does so. No file was written."
            )

    async def _refuse_other_server(self, server: str) -> None:
        session = await AsyncSession.open(self._target, f"{new_owner()}/look")
        try:
            name = session.server.name
        finally:
            await session.close()
        if name != server:
            raise RehearsalRefused(
                f"The target runs on {name} and the scratch database would be on {server}: a checkpoint "
                "that is proved on one version is not proved on another. Name a server of the target's "
                "version as the scratch. No file was written."
            )

    def _all(
        self, scripts: Sequence[MigrationScript], server_kind: str
    ) -> tuple[MigrationScript, ...]:
        """What builds every version: scripts, after a checkpoint where files are gone.

        Raises:
            PlanRefused: Files are gone, and no checkpoint was made on this kind of server.
        """
        numbered = [script for script in scripts if not script.is_repeatable]
        repeatable = [script for script in scripts if script.is_repeatable]
        highest = max((script.version for script in numbered), default=None)
        covered = {
            version
            for version in replaced_versions(self._checkpoints)
            if highest is None or version <= highest
        }
        versions = {*(script.version for script in numbered), *covered}
        found, missing = sources(scripts, self._checkpoints, versions, server_kind)
        if missing:
            names = ", ".join(each.path.name for each in self._checkpoints)
            problem = Problem(
                f"the files of versions {span(missing)} are not in the folder, and none of its "
                f"checkpoints ({names}) can be built on {server_kind}.",
                version=missing[0],
                hint="Restore the files from version control.",
            )
            raise PlanRefused("The scripts cannot be built", [problem])
        return (*found, *repeatable)

    async def _snapshot(self) -> tuple[Snapshot, str]:
        """The target's tables, and the kind of its server."""

        async def just_look(store: AsyncStore, snapshot: Snapshot) -> tuple[Snapshot, str]:
            return snapshot, store.session.server.kind.value

        return await async_with_snapshot(self._target, self._options, self._emit, just_look)

    async def _expected(
        self, scripts: Sequence[MigrationScript], alike: Printing | None = None
    ) -> Printing:
        """The schema that scripts make."""
        async with self._scratches() as scratches:
            if alike is not None and scratches.server != alike.server:
                raise RehearsalRefused(
                    f"The target runs on {alike.server} and the scratch database would be on "
                    f"{scratches.server}: two versions print the same schema differently. Name a server "
                    "of the target's version as the scratch. The target was not changed."
                )
            confined = await scratches.confine(scripts)
            settings = await scratches.make()
            await self._make(self._surroundings.before, settings)
            await async_apply(settings, self._options, self._emit, confined.scripts)
            await self._make(self._surroundings.after, settings)
            return await self._read(settings)

    async def _make(self, maker: Maker | None, settings: ConnectionSettings) -> None:
        if maker is not None:
            await concurrency.async_in_thread(lambda: maker(settings))

    async def _read(self, scratch: ConnectionSettings) -> Printing:
        return await async_read(scratch, scratch_options(self._options).table, self._emit)


def _makes_schema(printing: Printing, schema: str) -> bool:
    return any(
        name.kind == "schema" and name.name.strip('"') == schema for name in printing.objects
    )


def _statements_of(seeds: Mapping[int, Seed]) -> Iterator[tuple[str, Problem]]:
    """The statements of seeds, each with where it stands."""
    for version, seed in seeds.items():
        for statement in (*seed.rows, *seed.assertions):
            yield statement.text, Problem("", seed.path, statement.line, version)


def _tables(printing: Printing) -> list[str]:
    return [name.name for name in printing.objects if name.kind == Kind.TABLE.value]


def _read_back(path: Path, text: str) -> MigrationScript:
    """The checkpoint as every run is going to read it.

    Raises:
        FilesRefused: It breaks a rule of scripts.
    """
    name = read_checkpoint_name(path.name)
    script, problems = (None, []) if name is None else parse_checkpoint(path, name, text.encode())
    if script is None:
        raise FilesRefused("No checkpoint was written", problems)
    return script
