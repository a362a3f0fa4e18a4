# Generated from async_adoption.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Moving in as a user of the library does it: look, write the files, take the ledger over, or return it.

What is to be done is decided in the pure modules beside this one. Here connections are opened, both ledgers
are read, and the one transaction is sent that fills ours and stops the other tool.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from .._backend.dialect import Server
from .._backend.protocol import Command
from .._executor import concurrency
from .._executor._sync.lease import take_lease
from .._executor._sync.session import Session
from .._executor._sync.store import Store, store_of
from .._executor.options import DEFAULT_LEASE, DEFAULT_LOCK_TIMEOUT, Options, new_owner, unheard
from .._scripts.placeholders import filled
from .._scripts.script import ScriptKey
from .._sql.server_kind import ServerKind
from .._store import fenced
from .._store.fenced import Lease
from .._store.ledger import DEFAULT_TABLE, LedgerRow
from .._store.repeatables import RepeatableRow
from .._store.snapshot import Snapshot
from ..database import Database
from ..errors import (
    MigrationFailed,
    PlanRefused,
    Problem,
    SettingsError,
)
from ..events import Event
from . import takeover
from ._sync.proving import compare_schemas, read_schema
from ._sync.their_ledger import read_ledger, write_both
from .conversion import convert
from .disk import read_folder, read_scripts, write_scripts
from .plan import AdoptionPlan, OurRow, Sides, is_adopted
from .plan import plan as plan_adoption
from .printed import baseline_text
from .proof import Proof, not_proved, own_objects
from .table import TOOLS, chosen, read, tool_named
from .takeover import Seen, Table
from .tool import Tool
from .tools.baseline import reading as baseline
from .values import Folder, Guard, Reading, Recognition, Trouble, Undone
from .wording import unfinished, versions_called


class Adoption:
    """Takes over another tool's files and ledger for one database.

    It opens its own connections from the database's settings and closes them before a method returns.

    Args:
        db: The database; it need not be connected.
        source: The other tool's folder; None for a tool whose schema is printed.
        migrations_dir: The folder for our scripts.
        tool: The other tool's name, one of `TOOLS`; None: recognize it.
        ledger: The other tool's table where it has not its usual name, `name` or `schema.name`.
        listener: Called with each `Event`.
        table: Our ledger's table, `name` or `schema.name`.
        lock_timeout: Seconds to wait for a runner at most.
        lease: Seconds the lease lasts.
        placeholders: What `${name}` in a script stands for, where `prove` runs the scripts.
        ignore: Patterns of objects that no script makes, such as `table public.audit_*`: for `prove`, and
            for a schema that is printed.
    """

    def __init__(
        self,
        db: Database,
        source: str | Path | None = None,
        migrations_dir: str | Path = "migrations",
        *,
        tool: str | None = None,
        ledger: str | None = None,
        listener: Callable[[Event], None] | None = None,
        table: str = DEFAULT_TABLE,
        lock_timeout: float = DEFAULT_LOCK_TIMEOUT,
        lease: float = DEFAULT_LEASE,
        placeholders: Mapping[str, str] | None = None,
        ignore: Sequence[str] = (),
    ) -> None:
        self.source = Path(source) if source is not None else None
        self.target = Path(migrations_dir)
        self._db = db
        self._tool = tool_named(tool) if tool is not None else None
        self._named = ledger
        self._emit = listener or unheard
        self._table = table
        self._lock_timeout = lock_timeout
        self._lease = lease
        self._placeholders = placeholders
        self._ignore = tuple(ignore)

    def plan(self, *, offline: bool = False) -> AdoptionPlan:
        """What `apply` would do now. Changes nothing.

        Args:
            offline: Look at the files only, without a server.

        Raises:
            FilesRefused: The folder cannot be read, or ours breaks a rule.
            SettingsError: No tool has such files, or several have.
            ConnectionFailed: No connection.
            LedgerRefused: The other tool's tables may not be read.
        """
        folder = self._folder()
        if offline:
            tool, recognition = self._chosen(folder)
            if tool.prints:
                raise SettingsError(f"{tool.title}'s schema is printed: that needs the database.")
            return self._put_together(
                tool, recognition, lambda: read(tool, folder), lambda _reading: None
            )
        session = Session.open(self._db.settings, f"{new_owner()}/adopt")
        try:
            return self._look(session, folder)[0]
        finally:
            session.close()

    def write(self, *, offline: bool = False) -> AdoptionPlan:
        """Write the files that are new; no ledger is touched.

        Args:
            offline: Do without a server.

        Returns:
            What was to be done.

        Raises:
            FilesRefused: Something is wrong with the files; none was written.
        """
        plan = self.plan(offline=offline)
        plan.check_files()
        concurrency.in_thread(lambda: write_scripts(self.target, plan.new_files))
        return plan

    def prove(self) -> Proof:
        """Compare the live schema with what the scripts make on a scratch database. Writes no file.

        Those scripts are run that are applied. The scratch database is made beside the database, and
        dropped on every path; the database itself is only read.

        Raises:
            FilesRefused: Something is wrong with the files.
            PlanRefused: Something is wrong between files and ledger, or a script failed on the scratch
                database.
            RehearsalRefused: No scratch database can be made.
        """
        folder = self._folder()
        session = Session.open(self._db.settings, f"{new_owner()}/adopt")
        try:
            plan, seen = self._look(session, folder)
            schemas = (session.server.schema, *(table.schema for table in seen.tables.values()))
            alone = [table.schema for table in seen.tables.values() if table.place is None]
        finally:
            session.close()
        plan.check()
        applied = [each.script for each in plan.scripts if each.script.key in plan.applied]
        if self._placeholders is not None:
            applied = list(filled(applied, self._placeholders))
        labels = [table.label for table in seen.tables.values()]
        own = own_objects(seen.tool, labels, tuple(dict.fromkeys(schemas)), alone)
        try:
            return compare_schemas(
                self._db.settings,
                Options(table=self._table, lock_timeout=self._lock_timeout, lease=self._lease),
                self._emit,
                applied,
                (*own, *seen.tool.ignore, *self._ignore),
            )
        except MigrationFailed as error:
            raise not_proved(error) from error

    def apply(self, *, prove: bool = False) -> AdoptionPlan:
        """Write the files, fill our ledger and stop the other tool. A second call finds it done.

        Args:
            prove: Call `prove` first, and refuse if anything differs.

        Raises:
            FilesRefused: Something is wrong with the files; nothing was written.
            PlanRefused: Something is wrong between files and ledger; nothing was written.
            LeaseTimeout: A runner holds the lease.
        """
        if prove:
            self.prove().check()
        folder = self._folder()
        owner = new_owner()
        session = Session.open(self._db.settings, f"{owner}/adopt")
        try:
            plan, _ = self._look(session, folder)
            plan.check()
            if plan.is_done:
                return plan
            concurrency.in_thread(lambda: write_scripts(self.target, plan.new_files))
            self._with_lease(
                session, owner, lambda store, lease: self._fill(store, lease, folder), "adopted"
            )
            return plan
        finally:
            session.close()

    def undo(self) -> Undone:
        """Remove the rows that were adopted from our ledger, and let the other tool run again.

        Our files stay. Needs the other tool's folder, unless its schema was printed: only its files tell
        which version is which of its migrations.

        Raises:
            SettingsError: The folder is not named, or no tool has such files.
            PlanRefused: The two ledgers differ: Manticore has applied or reverted something since.
            LeaseTimeout: A runner holds the lease.
        """
        folder = self._folder()
        owner = new_owner()
        session = Session.open(self._db.settings, f"{owner}/adopt")
        try:
            done: list[Undone] = []

            def work(store: Store, lease: Lease) -> None:
                done.append(self._take_back(store, lease, folder))

            self._with_lease(session, owner, work, "reverted")
            return done[0]
        finally:
            session.close()

    # -- looking -----------------------------------------------------------------------------------

    def _folder(self) -> Folder:
        source = self.source
        if source is None:
            if self._tool is None or not self._tool.prints:
                raise SettingsError("Name the folder with the other tool's files.")
            return Folder(Path(), {})
        return concurrency.in_thread(lambda: read_folder(source))

    def _recognized(
        self, session: Session, folder: Folder
    ) -> tuple[Tool, Recognition | None, tuple[Table, ...]]:
        """The tool, why it is that one, and the tables that have a name of some tool's."""
        tools = [self._tool] if self._tool else list(TOOLS.values())
        names = {table.name for tool in tools for table in tool.tables}
        if self._named:
            names.add(self._named.rpartition(".")[2])
        there = takeover.tables(session.send(takeover.find_tables(names))[0])
        ledgers = [tool.name for tool in tools if takeover.choose(tool, there, self._named)[0]]
        return (*self._chosen(folder, ledgers), there)

    def _chosen(
        self, folder: Folder, ledgers: Sequence[str] = ()
    ) -> tuple[Tool, Recognition | None]:
        """The tool that was named, or the one that the folder belongs to."""
        if self._tool is not None:
            return self._tool, None
        recognition = chosen(folder, ledgers)
        return TOOLS[recognition.tool], recognition

    def _look(self, session: Session, folder: Folder) -> tuple[AdoptionPlan, Seen]:
        tool, recognition, there = self._recognized(session, folder)
        seen = read_ledger(session, tool, there, self._named)
        snapshot =  self._store(session).look()
        ours: tuple[OurRow, ...] = ()
        if snapshot:
            ours = (*snapshot.rows, *snapshot.repeatables)
        printed = self._printed(session.server, seen) if tool.prints else None
        plan = self._put_together(
            tool,
            recognition,
            lambda: read(tool, folder) if printed is None else printed,
            lambda reading: _sides(seen, reading, ours),
        )
        return plan, seen

    def _printed(self, server: Server, seen: Seen) -> Reading:
        """The live schema as one migration."""
        printing = read_schema(self._db.settings, self._table, self._emit)
        labels = [table.label for table in seen.tables.values()]
        own = own_objects(seen.tool, labels, (server.schema,))
        text = baseline_text(printing, (*own, *seen.tool.ignore, *self._ignore))
        return baseline(text, self.target)

    def _put_together(
        self,
        tool: Tool,
        recognition: Recognition | None,
        reader: Callable[[], Reading],
        sides: Callable[[Reading], Sides | None],
    ) -> AdoptionPlan:
        """Read and convert the files, and compare them with what the ledgers say."""

        def work() -> AdoptionPlan:
            reading = reader()
            own = {table.name for table in tool.tables}
            if self._named:
                own.add(self._named.rpartition(".")[2])
            conversion = convert(
                reading, self.target, read_scripts(self.target), own, self._placeholders
            )
            return plan_adoption(
                tool,
                recognition,
                self.source or Path(),
                self.target,
                reading,
                conversion,
                sides(reading),
                self._placeholders,
            )

        return concurrency.in_thread(work)

    # -- writing -----------------------------------------------------------------------------------

    def _store(self, session: Session) -> Store:
        return store_of(session, self._table, self._emit)

    def _with_lease(
        self,
        session: Session,
        owner: str,
        work: Callable[[Store, Lease], None],
        done: str,
    ) -> None:
        """Do something under the lease, and release it whatever happens."""
        store = self._store(session)
        taken = take_lease(
            store,
            owner=owner,
            seconds=self._lease,
            lock_timeout=self._lock_timeout,
            emit=self._emit,
            wanted=lambda _snapshot: True,
        )
        if taken is None:
            return
        lease, snapshot = taken
        try:
            _check_nothing_is_unfinished(snapshot, done)
            work(store, lease)
        finally:
            if session.usable:
                concurrency.shield(lambda: store.release(lease.owner))

    def _fill(self, store: Store, lease: Lease, folder: Folder) -> None:
        """Fill our ledger and stop the other tool, in one transaction where the server allows it."""
        session = store.session
        plan, seen = self._look(session, folder)
        plan.check()
        guard = plan.guard if plan.guard and not plan.guard.is_set else None
        alone = guard if guard and _is_sent_alone(guard, session.server) else None
        if (
            any(isinstance(row, RepeatableRow) for row in plan.rows)
            and not store.tables.has_repeatables
        ):
            store.make_repeatables()
            store.write(fenced.note_repeatables(store.tables, lease))
        writes = [takeover.insert(store.tables, row) for row in plan.rows]
        if guard is not None and alone is None:
            writes.append(Command(guard.set))
        if writes:
            write_both(store, lease, seen, writes)
        if alone is not None:
            # The rows come first, so that a tool that is stopped was always taken over. If this run dies
            # here, the next one finds it running and stops it.
            session.send(Command(alone.set))
            _check_nothing_was_added(plan, self._look(session, folder)[0])

    def _take_back(self, store: Store, lease: Lease, folder: Folder) -> Undone:
        """The opposite: our rows go, the other tool may run again."""
        session = store.session
        tool, recognition, there = self._recognized(session, folder)
        seen = read_ledger(session, tool, there, self._named)
        snapshot = store.look()
        ours = snapshot.rows if snapshot else ()
        again = snapshot.repeatables if snapshot else ()
        theirs: set[int] = set()
        guard = tool.guard(seen.found) if seen.main else None
        adopted = {row.version for row in ours if is_adopted(row, tool)}
        if not (guard and guard.is_set and (adopted or guard.unmistakable)):
            guard = None
        if (adopted or guard) and not tool.prints:
            plan = self._put_together(
                tool,
                recognition,
                lambda: read(tool, folder),
                lambda reading: _sides(seen, reading, (*ours, *again)),
            )
            theirs.update(plan.applied_there)
            _check_it_is_the_same_project(plan)
            _check_nothing_was_reverted_since(plan)
        if adopted or guard:
            _check_nothing_was_applied_since(ours, theirs, tool)
        versions = tuple(row.version for row in ours if row.version in adopted | theirs)
        names = tuple(row.name for row in again if is_adopted(row, tool))
        keys: tuple[ScriptKey, ...] = (*versions, *names)
        writes = [takeover.delete(store.tables, key) for key in keys]
        alone = guard and _is_sent_alone(guard, session.server)
        if guard and not alone:
            writes.append(Command(guard.lift))
        if writes:
            write_both(store, lease, seen, writes)
        if guard and alone:
            session.send(Command(guard.lift))
        return Undone(versions, guard, names)


def _sides(seen: Seen, reading: Reading, ours: Sequence[OurRow]) -> Sides:
    """Both ledgers, for the plan."""
    if seen.main is None and not seen.tool.prints:
        return Sides(ours=ours, findings=seen.findings)
    return Sides(
        theirs=seen.tool.read_ledger(seen.found, reading),
        label=seen.main.label if seen.main else None,
        ours=ours,
        guard=seen.tool.guard(seen.found),
        findings=seen.findings,
    )


def _check_nothing_is_unfinished(snapshot: Snapshot, done: str) -> None:
    progress = snapshot.record.progress
    if progress is not None:
        message = unfinished(progress.key, progress.direction)
        raise PlanRefused(f"Nothing was {done}", [Problem(message)])


def _is_sent_alone(guard: Guard, server: Server) -> bool:
    """Whether the statements of a guard are schema changes that share no transaction."""
    return guard.schema_change and server.kind is ServerKind.COCKROACHDB


def _check_nothing_was_added(before: AdoptionPlan, after: AdoptionPlan) -> None:
    """The tool could still run between our rows and its guard."""
    added = [version for version in after.reverted if version not in before.reverted]
    if added:
        message = (
            f"{before.title} applied {versions_called(added)} meanwhile, and is stopped now. Record that "
            f"(`manticore_resolve --applied {added[0]}`)."
        )
        raise PlanRefused("The rest was adopted", [Problem(message)])


def _check_it_is_the_same_project(plan: AdoptionPlan) -> None:
    foreign = [each for each in plan.findings if each.trouble is Trouble.FOREIGN]
    if foreign:
        raise PlanRefused("Nothing was reverted", [Problem(str(each)) for each in foreign])


def _check_nothing_was_reverted_since(plan: AdoptionPlan) -> None:
    if plan.reverted:
        message = (
            f"{plan.title}'s ledger calls {versions_called(plan.reverted)} applied, and Manticore's does "
            "not. If Manticore reverted that, apply it again first (manticore_migrate). If it is applied, "
            f"record it first (`manticore_resolve --applied {plan.reverted[0]}`)."
        )
        raise PlanRefused("Nothing was reverted", [Problem(message)])


def _check_nothing_was_applied_since(
    ours: Sequence[LedgerRow], theirs: Collection[int], tool: Tool
) -> None:
    own = [row.version for row in ours if not is_adopted(row, tool) and row.version not in theirs]
    if own:
        message = (
            f"Manticore has applied {versions_called(own)} since, which {tool.title} does not know. Roll "
            "it back first (manticore_rollback)."
        )
        raise PlanRefused("Nothing was reverted", [Problem(message)])
