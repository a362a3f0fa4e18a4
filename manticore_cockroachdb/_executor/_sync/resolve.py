# Generated from _async/resolve.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Resolves by hand: a person says what is true, and the tables are changed to say it.

Runs none of a script's statements. Refuses while another runner is alive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..._backend import introspection
from ..._backend.job_match import match_jobs
from ..._backend.jobs import Job
from ..._backend.protocol import Command
from ..._backend.settings import ConnectionSettings
from ..._planner import resolutions
from ..._scripts.loader import Loaded
from ..._scripts.script import ScriptKey
from ..._sql.likeness import ANYBODY, NameContext
from ..._sql.statement import Statement
from ..._store import run_state
from ..._store.fenced import Lease
from ..._store.ledger import Tables
from ..._store.snapshot import RunState, Snapshot
from ...errors import LeaseTimeout, PlanRefused, Problem
from ...events import Event
from ..known import Known
from ..options import Options, new_owner
from .executor import Executor
from .job_list import list_jobs
from .session import Session
from .store import Store, open_store, takes_no_writes

Load = Callable[[], Loaded]


class Resolve:
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

    def known(self) -> Known:
        """Return what the tables, the jobs and the sessions show. Changes nothing."""
        found = self._load()
        session, store = self._open()
        try:
            snapshot = self._look(store)
            progress = snapshot.record.progress
            script = resolutions.begun_script(found, progress) if progress else None
            statement = resolutions.statement_at(script, progress) if script and progress else None
            jobs: tuple[Job, ...] = ()
            if statement and progress and progress.sent_at is not None:
                jobs = _jobs_of(session, statement, progress.sent_at)
            return Known(
                record=snapshot.record,
                script=script,
                statement=statement,
                jobs=jobs,
                sessions=self._sessions(session, snapshot.record),
            )
        finally:
            session.close()

    def applied(self, script: ScriptKey, *, known: Known | None = None) -> None:
        """Say that a script is applied: it goes into its table and is no longer unfinished.

        Args:
            script: The version, or a repeatable script's name: it is applied as its file is now.
            known: The result of `known()` on which the decision was based; refused if a runner has held
                the lease since.

        Raises:
            PlanRefused: There is no such script, or a runner has run since `known`.
            LeaseTimeout: A runner is alive.
        """
        loaded = self._load()
        found = resolutions.script_of(loaded, script)

        self._settle(
            lambda snapshot, tables, lease: resolutions.applied(
                loaded, found, snapshot, tables, lease
            ),
            known,
            repeatable=found.is_repeatable,
        )

    def not_applied(self, script: ScriptKey, *, known: Known | None = None) -> None:
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
        loaded = self._load()
        self._settle(
            lambda snapshot, tables, lease: resolutions.not_applied(
                loaded, script, snapshot, tables, lease
            ),
            known,
        )

    def restart_batch(self, script: ScriptKey, *, known: Known | None = None) -> None:
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
        self._settle(
            lambda snapshot, tables, lease: resolutions.batch_restarted(
                script, snapshot, tables, lease
            ),
            known,
        )

    def accept_checksum(self, version: int, *, known: Known | None = None) -> None:
        """Accept a harmless change in the file of an applied script: record its new checksum.

        Args:
            version: The version.
            known: The result of `known()` on which the decision was based; refused if a runner has held
                the lease since.

        Raises:
            PlanRefused: There is no such script, or it is not applied, or a runner has run since `known`.
            LeaseTimeout: A runner is alive.
        """
        script = resolutions.script_on_disk(self._load(), version)
        self._settle(
            lambda snapshot, tables, lease: resolutions.checksum_accepted(
                script, snapshot, tables, lease
            ),
            known,
        )

    def unlock(self, *, known: Known | None = None) -> str | None:
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
        session, store = self._open()
        try:
            record = self._look(store).record
            if record.owner is None:
                return None
            if known is not None and record.epoch != known.record.epoch:
                raise _stale()
            sessions = self._sessions(session, record)
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
            session.send(run_state.break_lease(store.tables, record.owner, record.epoch))
            return record.owner
        finally:
            session.close()

    def _settle(
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
        executor = Executor(self._settings, at_once, self._emit)
        executor.settle(unless_stale, repeatable=repeatable)

    def _open(self) -> tuple[Session, Store]:
        store = open_store(
            self._settings, f"{new_owner()}/resolve", self._options.table, self._emit
        )
        return store.session, store

    def _look(self, store: Store) -> Snapshot:
        snapshot = store.look()
        if snapshot is None:
            raise LeaseTimeout(
                "A runner is alive: its transaction holds the run state. Wait for it to end.",
                owner=None,
                waited=0.0,
            )
        return snapshot

    def _sessions(self, session: Session, record: RunState) -> tuple[str, ...]:
        if record.owner is None:
            return ()
        ids = [record.session_id] if record.session_id else []
        alive = introspection.sessions_alive(session.server, ids, f"{record.owner}/")
        return tuple(row[0] for row in session.send(alive)[0].rows)


def _jobs_of(session: Session, statement: Statement, sent_at: float) -> tuple[Job, ...]:
    """Whoever runs this need not be the user who sent it: anybody's jobs are looked at."""
    server = session.server
    found = list_jobs(session, sent_at)
    context = NameContext(server.database, server.schemas, ANYBODY)
    jobs = match_jobs(found, (statement,), context, since=sent_at)
    return jobs.own or jobs.unclear


def _stale() -> PlanRefused:
    problem = Problem(
        "A runner has run since the database was looked at.",
        hint="Look again (manticore_resolve without an option), and decide again.",
    )
    return PlanRefused("Nothing was changed", [problem])
