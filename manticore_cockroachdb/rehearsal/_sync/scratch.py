# Generated from _async/scratch.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Makes a scratch database beside another one, and drops it on every path.

What was left by a process that was killed is swept before a new one is made. A scratch database is never
the target: its name is made here, nobody connects to anything else through this module, and scripts are
confined to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from ..._backend.dialect import INSUFFICIENT_PRIVILEGE
from ..._backend.settings import ConnectionSettings
from ..._executor import concurrency
from ..._executor._sync.session import Session
from ..._executor.options import new_owner
from ..._scripts.script import MigrationScript
from ..._sql.server_kind import ServerKind
from ...errors import ConnectionFailed, DatabaseError, Problem, RehearsalRefused
from ...events import Event, ScratchCreated, ScratchDropped, Warned
from .. import scratch
from ..confinement import Confined, leave_out_server, left_out_words, refuse_other_databases


class Scratches:
    """The scratch databases of one verb; all are dropped at the end of `async with`.

    Args:
        beside: The database beside which they are made; it is not touched.
        emit: Called with each event.
        is_named: Whether the server was named for them: then scripts may change it.
    """

    def __init__(
        self,
        beside: ConnectionSettings,
        emit: Callable[[Event], None],
        *,
        is_named: bool = False,
    ) -> None:
        self._beside = beside
        self._emit = emit
        self._is_named = is_named
        self._owner = new_owner()
        self._keeper: Session | None = None
        self._names: list[str] = []
        self._number = 0

    def __enter__(self) -> Self:
        self._keeper = Session.open(self._beside, scratch.keeper_name(self._owner))
        try:
            if self._keeper.read_only:
                server, place = self._keeper.server, self._beside.place
                raise RehearsalRefused(scratch.read_only(server, place, self._keeper.read_only))
            self._sweep(self._keeper)
        except BaseException:
            self._keeper.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            concurrency.shield(self._drop_all)
        except Exception:
            raise
        except BaseException:
            if error is not None and not isinstance(error, Exception):
                raise  # This is the second interrupt.
            # The first one came while they were dropped: what it cut short is done again.
            self._reopen()
            concurrency.shield(self._drop_all)
            raise

    @property
    def server(self) -> str:
        """Kind and version of the server they are on."""
        return self._keeper.server.name if self._keeper is not None else ""

    @property
    def server_kind(self) -> str:
        """The kind of the server they are on."""
        return self.server.partition(" ")[0]

    def make(self) -> ConnectionSettings:
        """Make an empty scratch database.

        Returns:
            How to connect to it.

        Raises:
            RehearsalRefused: The user may not create databases.
            DatabaseError: The server refused for another reason.
        """
        keeper = self._alive()
        self._number += 1
        name = scratch.scratch_name(self._owner, self._number)
        self._names.append(name)
        self._create(keeper, name)
        keeper.send(scratch.mark(name))
        self._make_alike(keeper, name)
        self._emit(ScratchCreated(name))
        return self._settings(name)

    def confine(
        self,
        scripts: Sequence[MigrationScript],
        texts: Iterable[tuple[str, Problem]] = (),
    ) -> Confined:
        """Scripts as they may run here: they change nothing but their scratch database.

        Args:
            scripts: The scripts.
            texts: Other statements that run here, each with where it stands.

        Raises:
            PlanRefused: A statement names another database.
        """
        keeper = self._alive()
        if keeper.server.kind is ServerKind.COCKROACHDB:
            answers = keeper.send(scratch.DATABASES)
            names = {str(name) for (name,) in answers[0].rows}
            refuse_other_databases(scripts, names, texts)
        if self._is_named:
            return Confined(tuple(scripts))
        confined = leave_out_server(scripts)
        if confined.left_out:
            self._emit(Warned(left_out_words(confined.left_out)))
        return confined

    def drop(self, settings: ConnectionSettings) -> None:
        """Drop one of them now.

        Args:
            settings: What `make` returned.
        """
        if settings.database in self._names:
            self._drop(self._alive(), settings.database)

    def _settings(self, name: str) -> ConnectionSettings:
        return self._beside.with_database(name)

    def _alive(self) -> Session:
        """The keeper; connected again if its connection was lost."""
        if self._keeper is None or not self._keeper.usable:
            self._keeper = Session.open(self._beside, scratch.keeper_name(self._owner))
        return self._keeper

    def _reopen(self) -> None:
        """A new keeper: an interrupt may have left the old one in the middle of an answer."""
        if self._keeper is not None:
            self._keeper.close()
        self._keeper = None

    def _create(self, keeper: Session, name: str) -> None:
        server, form = keeper.server, None
        if server.kind is ServerKind.POSTGRESQL:
            form = keeper.send(scratch.TARGET_FORM)[0].rows[0]
        for plain in (True, False):
            try:
                keeper.send(scratch.create(server, name, form, plain=plain))
            except DatabaseError as error:
                if error.sqlstate == INSUFFICIENT_PRIVILEGE:
                    raise RehearsalRefused(scratch.no_right(server, self._beside.place)) from error
                if error.sqlstate != scratch.TEMPLATE_BUSY or not plain:
                    raise
            else:
                return

    def _make_alike(self, keeper: Session, name: str) -> None:
        """Give it what every session of the target begins with."""
        results, refusal = keeper.ask(scratch.TARGET_SETTINGS)
        if refusal is None:
            for (setting,) in results[0].rows:
                keeper.send(scratch.same_setting(name, setting))
        if keeper.server.kind is ServerKind.COCKROACHDB:
            question = scratch.target_grants(keeper.server.database)
            for grantee, privilege in keeper.send(question)[0].rows:
                keeper.send(scratch.same_grant(name, grantee, privilege))

    def _sweep(self, keeper: Session) -> None:
        """Drop scratch databases whose makers are gone."""
        server = keeper.server
        for name, comment in keeper.send(scratch.existing(server))[0].rows:
            if not scratch.is_scratch_name(name):
                continue
            if keeper.send(scratch.keepers_of(server, name))[0].rows:
                continue
            # Its maker may have been killed before it could mark it; then it is empty.
            if comment == scratch.MARK or self._is_empty(name):
                self._drop(keeper, name)

    def _is_empty(self, name: str) -> bool:
        try:
            session = Session.open(
                self._settings(name), scratch.keeper_name(self._owner)
            )
        except ConnectionFailed:  # Somebody else swept it.
            return False
        try:
            found = session.send(scratch.holds_anything(session.server))
            return not found[0].rows
        finally:
            session.close()

    def _drop(self, keeper: Session, name: str) -> None:
        keeper.send(scratch.drop(keeper.server, name))
        if name in self._names:
            self._names.remove(name)
        self._emit(ScratchDropped(name))

    def _drop_all(self) -> None:
        try:
            for name in tuple(self._names):
                self._drop(self._alive(), name)
        finally:
            if self._keeper is not None:
                self._keeper.close()
