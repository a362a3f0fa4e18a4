# Generated from _async/verbs.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""The verbs that need a scratch database: snapshot and drift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..._backend.settings import ConnectionSettings
from ..._executor import concurrency
from ..._executor._sync.look import with_snapshot
from ..._executor._sync.store import Store
from ..._executor.options import Options
from ..._printing.compare import compare
from ..._printing.head import snapshot
from ..._printing.objects import Printing
from ..._scripts.script import MigrationScript
from ..._store.ledger import highest, split_table
from ..._store.run_state import Snapshot
from ...errors import RehearsalRefused
from ...events import Event
from ..drift import Drift, applied_scripts
from ..results import Rehearsal
from ..seeds import Seed
from ..snapshot import SchemaSnapshot, checksums
from ..surroundings import Maker, Surroundings
from .building import apply, read, scratch_options
from .crashes import refuse_tls
from .scratch import Scratches
from .staircase import Staircase


class ScratchVerbs:
    """What is done with scratch databases for one target.

    Args:
        target: The database; it is only read.
        options: How runs are made.
        emit: Called with each event, those of runs on scratch databases included.
        beside: The database beside which scratch databases are made; None: the target.
        surroundings: What else the target holds.
    """

    def __init__(
        self,
        target: ConnectionSettings,
        options: Options,
        emit: Callable[[Event], None],
        beside: ConnectionSettings | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._target = target
        self._options = options
        self._emit = emit
        self._beside = beside or target
        self._surroundings = surroundings or Surroundings()

    def snapshot(self, scripts: Sequence[MigrationScript]) -> SchemaSnapshot:
        """Build the scripts' schema and print it.

        Raises:
            RehearsalRefused: No scratch database can be made.
            MigrationFailed: A script failed on the scratch database.
        """
        with Scratches(self._beside, self._emit) as scratches:
            settings = scratches.make()
            around = None
            if self._surroundings.before is not None:
                self._make(self._surroundings.before, settings)
                around = self._read(settings)
            apply(settings, self._options, self._emit, scripts)
            printing = self._read(settings)
        if around is not None:
            printing = printing.without(around)
        return SchemaSnapshot(printing.server, snapshot(printing, checksums(scripts)))

    def drift(self, scripts: Sequence[MigrationScript], ignore: Iterable[str]) -> Drift:
        """Compare the target with what the scripts of its ledger make.

        Raises:
            PlanRefused: Files and ledger do not fit together, or a script is partially applied.
            RehearsalRefused: No scratch database can be made, or its server has another version.
            MigrationFailed: A script failed on the scratch database.
        """

        def just_look(_store: Store, book: Snapshot) -> Snapshot:
            return book

        book = with_snapshot(self._target, self._options, self._emit, just_look)
        applied = applied_scripts(scripts, book, to_compare=True)
        found = read(self._target, self._options.table, self._emit)
        expected = self._expected(applied, found)
        schema, _ = split_table(self._options.table)
        if schema is not None and not _makes_schema(expected, schema):
            ignore = (*ignore, f"schema {schema}", f"grants schema {schema}")
        differences, unused = compare(expected, found, ignore)
        return Drift(
            server=found.server,
            version=highest(book.rows),
            objects=len({*expected.objects, *found.objects}),
            differences=differences,
            unused_ignores=tuple(each for each in unused if not each.endswith(f"schema {schema}")),
        )

    def rehearse(
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
            PlanRefused: Files and ledger do not fit together, or a script is partially applied.
            RehearsalRefused: No scratch database can be made, or a seed failed.
            MigrationFailed: A script that is applied already failed on the scratch database.
        """
        if crash:
            refuse_tls(self._beside)
        base: tuple[MigrationScript, ...] = ()
        if not all_scripts:

            def just_look(_store: Store, book: Snapshot) -> Snapshot:
                return book

            book = with_snapshot(self._target, self._options, self._emit, just_look)
            base = applied_scripts(scripts, book)
        done = {script.key for script in base}
        pending = [script for script in scripts if script.key not in done]
        with Scratches(self._beside, self._emit) as scratches:
            stairs = Staircase(
                scratches, self._options, self._emit, self._surroundings, seeds, crash=crash
            )
            results = stairs.run(base, pending) if pending else ()
            return Rehearsal(scratches.server, results, len(pending))

    def _expected(
        self, scripts: Sequence[MigrationScript], alike: Printing | None = None
    ) -> Printing:
        """The schema that scripts make."""
        with Scratches(self._beside, self._emit) as scratches:
            if alike is not None and scratches.server != alike.server:
                raise RehearsalRefused(
                    f"The target runs on {alike.server} and the scratch database would be on "
                    f"{scratches.server}: two versions print the same schema differently. Name a server "
                    "of the target's version as the scratch. The target was not changed."
                )
            settings = scratches.make()
            self._make(self._surroundings.before, settings)
            apply(settings, self._options, self._emit, scripts)
            self._make(self._surroundings.after, settings)
            return self._read(settings)

    def _make(self, maker: Maker | None, settings: ConnectionSettings) -> None:
        if maker is not None:
            concurrency.in_thread(lambda: maker(settings))

    def _read(self, scratch: ConnectionSettings) -> Printing:
        return read(scratch, scratch_options(self._options).table, self._emit)


def _makes_schema(printing: Printing, schema: str) -> bool:
    return any(
        name.kind == "schema" and name.name.strip('"') == schema for name in printing.objects
    )
