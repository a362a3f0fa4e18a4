"""One connection of an engine's own: opens it, names it, sends to it, ends it.

The one border where the driver's errors become this package's. Autocommit, no prepared statements, no
pool. Knows nothing of scripts, ledger or lease.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from ..._backend import protocol
from ..._backend.dialect import PINNED, Server, kind_of, version_of
from ..._backend.jobs import noticed
from ..._backend.protocol import Command, Refusal, Result
from ..._backend.retry import RETRY, TRANSACTION
from ..._backend.settings import ConnectionSettings
from ..._sql.server_kind import ServerKind
from ...errors import (
    ConnectionFailed,
    ConnectionLost,
    DatabaseError,
    DatabaseMissing,
    SettingsError,
)
from .. import concurrency

_IDENTITY = Command(
    "SELECT current_database()::TEXT, current_schema()::TEXT, current_user::TEXT, "
    "to_json(current_schemas(false)::TEXT[])::TEXT"
)
_DATABASE_EXISTS = Command(
    "SELECT 1 FROM [SHOW DATABASES] WHERE database_name = current_database()::TEXT"
)
_NO_DATABASE = "3D000"

_NOTHING: Mapping[str, str] = MappingProxyType({})

#: How often a server is asked to cancel before its socket is shut, and how long each asking may take.
_POLITE_TRIES = 3
_POLITE_SECONDS = 2.0


async def async_connect(
    settings: ConnectionSettings, application_name: str, pinned: Mapping[str, str] = _NOTHING
) -> AsyncConnection:
    """Open a connection that is pinned to known session settings.

    Args:
        settings: Where to.
        application_name: What the server's session list shows.
        pinned: Session variables beyond those every engine pins.

    Raises:
        ConnectionFailed: No server, wrong password, no such database.
    """
    parameters = settings.for_engine(application_name, {**PINNED, **pinned})
    try:
        return await AsyncConnection.connect(
            **parameters,  # type: ignore[arg-type]
            autocommit=True,
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        reason = settings.hide(" ".join(str(error).split()))
        if settings.database and f'database "{settings.database}" does not exist' in reason:
            # The one error here that libpq gives no code for and that people want to tell apart.
            raise _missing(settings, settings.database) from error
        raise ConnectionFailed(
            f"Could not connect to {settings.place}: {reason}. Check that the server is up, and host, "
            "port, user, password and database."
        ) from error


class AsyncSession:
    """A connection that knows its server.

    Attributes:
        server: What is at its other end.
        name: Its name in the server's session list.
        noticed_jobs: Ids of jobs that the server told it waits for (CockroachDB v26.1 and later).
    """

    def __init__(self, connection: AsyncConnection, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.noticed_jobs: list[int] = []
        self._connection = connection
        self._abandoned = 0
        connection.add_notice_handler(self._notice)

    @classmethod
    async def open(
        cls, settings: ConnectionSettings, name: str, pinned: Mapping[str, str] = _NOTHING
    ) -> AsyncSession:
        """Connect and find out what is there. One round trip after connecting.

        Raises:
            ConnectionFailed: No connection.
            ConnectionLost: It ended at once.
            DatabaseMissing: The server lets us in, but the database is not there.
        """
        connection = await async_connect(settings, name, pinned)
        try:
            server = await cls._identify(connection, settings)
        except BaseException:
            await connection.close()
            raise
        return cls(connection, server, name)

    @classmethod
    async def _identify(cls, connection: AsyncConnection, settings: ConnectionSettings) -> Server:
        def said(name: bytes) -> str | None:
            value = connection.pgconn.parameter_status(name)
            return value.decode() if value else None

        kind = kind_of(said(b"crdb_version"))
        version = version_of(said(b"crdb_version"), said(b"server_version"))
        probe = cls(connection, Server(kind, version, "", "", ""), "")
        try:
            ((database, schema, user, schemas),) = (await probe.send(_IDENTITY))[0].rows
            exists = schema is not None or (
                kind is ServerKind.POSTGRESQL or bool((await probe.send(_DATABASE_EXISTS))[0].rows)
            )
        except ConnectionLost:
            raise
        except DatabaseError as error:
            if error.sqlstate != _NO_DATABASE:
                raise
            exists, database = False, settings.database or ""
        if not exists:
            raise _missing(settings, database)
        if schema is None:
            raise SettingsError(
                f"The session's search_path at {settings.place} names no schema that exists, so there "
                "is nowhere to create tables. Set search_path for the user, the database or in the "
                "URL's options."
            )
        return Server(kind, version, database, schema, user, tuple(json.loads(schemas)))

    async def ask(self, *commands: Command) -> tuple[list[Result], Refusal | None]:
        """Send commands in one round trip; answers up to the first refusal, and that refusal."""
        results: list[Result] = []
        refusal = await self.stream(commands, lambda number, result: results.append(result))
        return results, refusal

    async def stream(
        self, commands: Iterable[Command], answered: Callable[[int, Result], None]
    ) -> Refusal | None:
        """Send any number of commands without waiting; see `protocol.stream`. Never leaves a transaction.

        Raises:
            ConnectionLost: The connection ended; what was not answered may have taken effect.
        """
        pgconn = self._connection.pgconn
        refusal = await self._wait(protocol.stream(pgconn, commands, answered))
        if refusal is not None and isinstance(refusal.error, ConnectionLost):
            raise refusal.error
        if pgconn.transaction_status != TransactionStatus.IDLE:
            await self.run("ROLLBACK")
        return refusal

    async def send(
        self,
        *commands: Command,
        retried: Callable[[DatabaseError, int, float], None] | None = None,
        retry: frozenset[str] = RETRY,
    ) -> list[Result]:
        """Send commands in one round trip, all of them again when the server says to try again.

        Several commands must be a transaction of their own or bear being sent twice.

        Args:
            *commands: The commands.
            retried: Told of each failed attempt: error, attempt number, pause.
            retry: The SQLSTATEs that mean: nothing happened, try again.

        Raises:
            DatabaseError: The server refused one.
            ConnectionLost: No answer came.
        """
        attempt = 0
        while True:
            attempt += 1
            results, refusal = await self.ask(*commands)
            if refusal is None:
                return results
            pause = TRANSACTION.pause(attempt) if refusal.error.sqlstate in retry else None
            if pause is None:
                raise refusal.error
            if retried is not None:
                retried(refusal.error, attempt, pause)
            await concurrency.async_sleep(pause)

    async def run(self, text: str) -> None:
        """Send one statement of a script by itself.

        Raises:
            DatabaseError: The server refused it.
            ConnectionLost: No answer came; it may have taken effect.
        """
        await self._wait(protocol.simple(self._connection.pgconn, text))

    def abandon(self) -> None:
        """Make whatever is being waited for end soon, from another thread or task; may be called again.

        A server that obeys is asked to cancel the statement, which undoes it. One that does not, or does
        not answer, has its socket shut: CockroachDB then rolls an open transaction back at once, and a
        schema change goes on as its job.
        """
        self._abandoned += 1
        if self.server.obeys_cancel and self._abandoned <= _POLITE_TRIES:
            asking = threading.Thread(target=self._cancel, daemon=True)
            asking.start()
            asking.join(_POLITE_SECONDS)
        else:
            self._shut()

    def _cancel(self) -> None:
        with contextlib.suppress(psycopg.Error, OSError):
            self._connection.cancel()

    def _shut(self) -> None:
        with (
            contextlib.suppress(psycopg.Error, OSError, ValueError),
            socket.socket(fileno=os.dup(self._connection.pgconn.socket)) as twin,
        ):
            twin.shutdown(socket.SHUT_RDWR)

    @property
    def usable(self) -> bool:
        """Whether the connection is open and idle."""
        return (
            not self._connection.closed
            and self._connection.pgconn.transaction_status == TransactionStatus.IDLE
        )

    async def close(self) -> None:
        """End the connection; never raises for what the driver says."""
        with contextlib.suppress(psycopg.Error, OSError):
            await self._connection.close()

    async def _wait(self, generator: protocol.Waiting[protocol.T]) -> protocol.T:
        try:
            return await self._connection.wait(generator)
        except ConnectionLost:
            await self.close()
            raise
        except psycopg.Error as error:
            await self.close()
            raise ConnectionLost(
                "the connection was lost: " + " ".join(str(error).split())
            ) from error

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self.noticed_jobs.extend(noticed(diagnostic.message_primary or ""))


def _missing(settings: ConnectionSettings, database: str) -> DatabaseMissing:
    return DatabaseMissing(
        f"The server at {settings.place} has no database {database!r}. Create it first: "
        f'CREATE DATABASE "{database}".',
        database=database,
    )
