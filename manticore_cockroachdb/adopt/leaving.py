# Generated from async_leaving.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Leaving for another tool: write its files, fill its ledger from ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .._backend.protocol import COMMIT
from .._executor import concurrency
from .._executor._sync.lease import take_lease
from .._executor._sync.session import Session
from .._executor._sync.store import Store, store_of
from .._executor.options import DEFAULT_LEASE, DEFAULT_LOCK_TIMEOUT, new_owner, unheard
from .._scripts.loader import load_all
from .._scripts.placeholders import filled
from .._store import fenced
from .._store.ledger import DEFAULT_TABLE
from .._store.transactions import begin
from ..database import Database
from ..events import Event
from . import takeover
from .disk import read_texts, write_texts
from .export import ExportPlan, export, refused
from .plan import OurRow
from .values import Remark
from .wording import unfinished


class Export:
    """Hands our files and our ledger to another tool.

    Args:
        db: The database; it need not be connected.
        tool: The other tool's name, one of `EXPORTS`.
        target: The folder for its files.
        migrations_dir: The folder of our scripts, or several.
        listener: Called with each `Event`.
        table: Our ledger's table, `name` or `schema.name`.
        lock_timeout: Seconds to wait for a runner at most.
        lease: Seconds the lease lasts.
        placeholders: What `${name}` in a script stands for: the files get the values.
    """

    def __init__(
        self,
        db: Database,
        tool: str,
        target: str | Path,
        migrations_dir: str | Path | Sequence[str | Path] = "migrations",
        *,
        listener: Callable[[Event], None] | None = None,
        table: str = DEFAULT_TABLE,
        lock_timeout: float = DEFAULT_LOCK_TIMEOUT,
        lease: float = DEFAULT_LEASE,
        placeholders: Mapping[str, str] | None = None,
    ) -> None:
        self.tool = tool
        self.target = Path(target)
        folders = [migrations_dir] if isinstance(migrations_dir, str | Path) else migrations_dir
        self.folders = tuple(Path(folder) for folder in folders)
        self._db = db
        self._emit = listener or unheard
        self._table = table
        self._lock_timeout = lock_timeout
        self._lease = lease
        self._placeholders = placeholders

    def plan(self) -> ExportPlan:
        """What `apply` would do now. Changes nothing.

        Raises:
            FilesRefused: Our scripts break a rule.
            SettingsError: That tool cannot be exported to.
            ConnectionFailed: No connection.
        """
        session = Session.open(self._db.settings, f"{new_owner()}/export")
        try:
            return self._look(self._store(session))
        finally:
            session.close()

    def write(self) -> ExportPlan:
        """Write the files that are new; no ledger is touched.

        Raises:
            FilesRefused: Something is wrong with the files; none was written.
        """
        plan = self.plan()
        plan.check_files()
        concurrency.in_thread(lambda: _write(plan))
        return plan

    def apply(self) -> ExportPlan:
        """Write the files and fill the other tool's ledger. Ours is left as it is.

        Raises:
            FilesRefused: Something is wrong with the files; nothing was written.
            PlanRefused: The other tool's ledger has rows already, or a version is partially applied here.
            LeaseTimeout: A runner holds the lease.
        """
        owner = new_owner()
        session = Session.open(self._db.settings, f"{owner}/export")
        try:
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
                raise refused("The lease could not be acquired.")
            lease, snapshot = taken
            try:
                progress = snapshot.record.progress
                if progress is not None:
                    raise refused(unfinished(progress.key, progress.direction))
                plan = self._look(store)
                plan.check_files()
                self._check_their_ledger(session, plan)
                concurrency.in_thread(lambda: _write(plan))
                session.send(plan.create)
                fence = fenced.renew_lease(store.tables, lease)
                store.write(begin(session.server), fence, *plan.rows, COMMIT)
                return plan
            finally:
                if session.usable:
                    concurrency.shield(lambda: store.release(lease.owner))
        finally:
            session.close()

    def _look(self, store: Store) -> ExportPlan:
        snapshot = store.look()
        rows: tuple[OurRow, ...] = ()
        if snapshot:
            rows = (*snapshot.rows, *snapshot.repeatables)
        return concurrency.in_thread(lambda: self._put_together(rows))

    def _put_together(self, rows: Sequence[OurRow]) -> ExportPlan:
        loaded = load_all(self.folders)
        scripts = loaded.scripts
        if self._placeholders is not None:
            scripts = filled(scripts, self._placeholders)
        existing = read_texts(self.target)
        plan = export(self.tool, self.target, scripts, rows, existing, loaded.checkpoints)
        changed = [
            each.path for each, raw in zip(scripts, loaded.scripts, strict=True) if each != raw
        ]
        notes = [
            Remark("its placeholders are replaced by the values of this database.", path)
            for path in changed
        ]
        return replace(plan, notes=(*plan.notes, *notes))

    def _check_their_ledger(self, session: Session, plan: ExportPlan) -> None:
        """Rows that are there are somebody's, and so is a table of another form: neither is touched."""
        there = takeover.tables(session.send(takeover.find_tables([plan.ledger]))[0])
        for table in there:
            if table.place is not None:
                missing = sorted(plan.columns - table.columns)
                if missing:
                    raise refused(
                        f"The table {table.label} is not {plan.title}'s: it has no column "
                        f"{missing[0]}. Rename it, or export to a database without it."
                    )
                count = session.send(takeover.count(table))[0].rows[0][0]
                if count:
                    raise refused(
                        f"{plan.title}'s ledger {table.label} has {count} rows already. If they were "
                        "adopted, run `manticore_adopt --undo` instead; else drop or rename the table."
                    )

    def _store(self, session: Session) -> Store:
        return store_of(session, self._table, self._emit)


def _write(plan: ExportPlan) -> None:
    write_texts(plan.target, [(file.name, file.text) for file in plan.new_files])
