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
from ..._executor._async.session import AsyncSession
from ..._executor.options import new_owner
from ..._scripts.script import MigrationScript
from ..._sql.server_kind import ServerKind
from ...errors import ConnectionFailed, DatabaseError, Problem, RehearsalRefused
from ...events import Event, ScratchCreated, ScratchDropped, Warned
from .. import scratch
from ..confinement import Confined, leave_out_server, left_out_words, refuse_other_databases


class AsyncScratches:
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
        self._keeper: AsyncSession | None = None
        self._names: list[str] = []
        self._number = 0

    async def __aenter__(self) -> Self:
        self._keeper = await AsyncSession.open(self._beside, scratch.keeper_name(self._owner))
        try:
            if self._keeper.read_only:
                server, place = self._keeper.server, self._beside.place
                raise RehearsalRefused(scratch.read_only(server, place, self._keeper.read_only))
            await self._sweep(self._keeper)
        except BaseException:
            await self._keeper.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await concurrency.async_shield(self._drop_all)
        except Exception:
            raise
        except BaseException:
            if error is not None and not isinstance(error, Exception):
                raise  # This is the second interrupt.
            # The first one came while they were dropped: what it cut short is done again.
            await self._reopen()
            await concurrency.async_shield(self._drop_all)
            raise

    @property
    def server(self) -> str:
        """Kind and version of the server they are on."""
        return self._keeper.server.name if self._keeper is not None else ""

    @property
    def server_kind(self) -> str:
        """The kind of the server they are on."""
        return self.server.partition(" ")[0]

    async def make(self) -> ConnectionSettings:
        """Make an empty scratch database.

        Returns:
            How to connect to it.

        Raises:
            RehearsalRefused: The user may not create databases.
            DatabaseError: The server refused for another reason.
        """
        keeper = await self._alive()
        self._number += 1
        name = scratch.scratch_name(self._owner, self._number)
        self._names.append(name)
        await self._create(keeper, name)
        await keeper.send(scratch.mark(name))
        await self._make_alike(keeper, name)
        self._emit(ScratchCreated(name))
        return self._settings(name)

    async def confine(
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
        keeper = await self._alive()
        if keeper.server.kind is ServerKind.COCKROACHDB:
            answers = await keeper.send(scratch.DATABASES)
            names = {str(name) for (name,) in answers[0].rows}
            refuse_other_databases(scripts, names, texts)
        if self._is_named:
            return Confined(tuple(scripts))
        confined = leave_out_server(scripts)
        if confined.left_out:
            self._emit(Warned(left_out_words(confined.left_out)))
        return confined

    async def drop(self, settings: ConnectionSettings) -> None:
        """Drop one of them now.

        Args:
            settings: What `make` returned.
        """
        if settings.database in self._names:
            await self._drop(await self._alive(), settings.database)

    def _settings(self, name: str) -> ConnectionSettings:
        return self._beside.with_database(name)

    async def _alive(self) -> AsyncSession:
        """The keeper; connected again if its connection was lost."""
        if self._keeper is None or not self._keeper.usable:
            self._keeper = await AsyncSession.open(self._beside, scratch.keeper_name(self._owner))
        return self._keeper

    async def _reopen(self) -> None:
        """A new keeper: an interrupt may have left the old one in the middle of an answer."""
        if self._keeper is not None:
            await self._keeper.close()
        self._keeper = None

    async def _create(self, keeper: AsyncSession, name: str) -> None:
        server, form = keeper.server, None
        if server.kind is ServerKind.POSTGRESQL:
            form = (await keeper.send(scratch.TARGET_FORM))[0].rows[0]
        for plain in (True, False):
            try:
                await keeper.send(scratch.create(server, name, form, plain=plain))
            except DatabaseError as error:
                if error.sqlstate == INSUFFICIENT_PRIVILEGE:
                    raise RehearsalRefused(scratch.no_right(server, self._beside.place)) from error
                if error.sqlstate != scratch.TEMPLATE_BUSY or not plain:
                    raise
            else:
                return

    async def _make_alike(self, keeper: AsyncSession, name: str) -> None:
        """Give it what every session of the target begins with."""
        results, refusal = await keeper.ask(scratch.TARGET_SETTINGS)
        if refusal is None:
            for (setting,) in results[0].rows:
                await keeper.send(scratch.same_setting(name, setting))
        if keeper.server.kind is ServerKind.COCKROACHDB:
            question = scratch.target_grants(keeper.server.database)
            for grantee, privilege in (await keeper.send(question))[0].rows:
                await keeper.send(scratch.same_grant(name, grantee, privilege))

    async def _sweep(self, keeper: AsyncSession) -> None:
        """Drop scratch databases whose makers are gone."""
        server = keeper.server
        for name, comment in (await keeper.send(scratch.existing(server)))[0].rows:
            if not scratch.is_scratch_name(name):
                continue
            if (await keeper.send(scratch.keepers_of(server, name)))[0].rows:
                continue
            # Its maker may have been killed before it could mark it; then it is empty.
            if comment == scratch.MARK or await self._is_empty(name):
                await self._drop(keeper, name)

    async def _is_empty(self, name: str) -> bool:
        try:
            session = await AsyncSession.open(
                self._settings(name), scratch.keeper_name(self._owner)
            )
        except ConnectionFailed:  # Somebody else swept it.
            return False
        try:
            found = await session.send(scratch.holds_anything(session.server))
            return not found[0].rows
        finally:
            await session.close()

    async def _drop(self, keeper: AsyncSession, name: str) -> None:
        await keeper.send(scratch.drop(keeper.server, name))
        if name in self._names:
            self._names.remove(name)
        self._emit(ScratchDropped(name))

    async def _drop_all(self) -> None:
        try:
            for name in tuple(self._names):
                await self._drop(await self._alive(), name)
        finally:
            if self._keeper is not None:
                await self._keeper.close()
