# Generated from async_database.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""A database for your own statements: a pool, rows as dicts, and transactions that are retried.

Migrations do not use its pool. They take its settings and open their own connections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from ._backend.dialect import Server
from ._backend.driver import defaults, translated
from ._backend.retry import RETRY, TRANSACTION, Attempts
from ._backend.settings import ConnectionSettings
from ._executor import concurrency
from ._executor._sync.session import Session
from .errors import ConnectionFailed, DatabaseError, SettingsError

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

R = TypeVar("R")
Row = dict[str, Any]
Parameters = Sequence[Any] | Mapping[str, Any]


class Transaction:
    """Sends the statements of a function that `run_in_transaction` calls."""

    def __init__(self, connection: Connection[Row]) -> None:
        self._connection = connection

    def execute(self, query: str, params: Parameters | None = None) -> list[Row]:
        """Run one statement in the transaction; see `Database.execute`."""
        return _execute(self._connection, query, params)


class Database:
    """A database on CockroachDB or PostgreSQL.

    Parameters that are left out come from libpq's environment variables (`PGHOST`, …). If those are not
    set either, the host is localhost, the port 26257, the user root and the database defaultdb. libpq
    decides about TLS. Every other libpq parameter (`sslmode`, `sslrootcert`, `options`, …) is accepted.

    Args:
        database: The database's name.
        host: The server's host.
        port: Its port.
        user: The user's name.
        password: The password, if one is needed.
        min_connections: Connections the pool keeps open.
        max_connections: The highest number of connections in the pool.
        timeout: Seconds to wait for a connection of the pool.
        application_name: The name in the server's list of sessions.
        **options: Any other libpq parameter.

    Raises:
        SettingsError: libpq has no such parameter.
    """

    def __init__(
        self,
        database: str | None = None,
        host: str | None = None,
        port: int | str | None = None,
        user: str | None = None,
        password: str | None = None,
        *,
        min_connections: int = 0,
        max_connections: int = 10,
        timeout: float = 30.0,
        application_name: str = "manticore",
        **options: Any,
    ) -> None:
        given = {"dbname": database, "host": host, "port": port, "user": user}
        settings = ConnectionSettings.from_parameters({**options, **given, "password": password})
        self._set_up(
            settings.with_defaults(**defaults(settings.parameters)),
            min_connections,
            max_connections,
            timeout,
            application_name,
        )

    def _set_up(
        self,
        settings: ConnectionSettings,
        min_connections: int,
        max_connections: int,
        timeout: float,
        application_name: str,
    ) -> None:
        if not 0 <= min_connections <= max_connections or max_connections < 1:
            raise SettingsError(
                f"min_connections is {min_connections} and max_connections is {max_connections}; the "
                "first must not be negative nor above the second, the second at least 1."
            )
        self._settings = settings
        self._server: Server | None = None
        self._sizes = (min_connections, max_connections)
        self._timeout = timeout
        self._application_name = application_name
        self._pool: ConnectionPool[Connection[Row]] | None = None

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        min_connections: int = 0,
        max_connections: int = 10,
        timeout: float = 30.0,
        application_name: str = "manticore",
    ) -> Self:
        """A database by its URL: `postgresql://`, `postgres://` or `cockroachdb://`.

        Args:
            url: The URL, with any libpq option in its query part.
            min_connections: Connections the pool keeps open.
            max_connections: The highest number of connections in the pool.
            timeout: Seconds to wait for a connection of the pool.
            application_name: The name in the server's list of sessions.

        Raises:
            SettingsError: The URL cannot be read.
        """
        database = cls.__new__(cls)
        settings = ConnectionSettings.from_url(url)
        database._set_up(settings, min_connections, max_connections, timeout, application_name)
        return database

    @classmethod
    def from_settings(cls, settings: ConnectionSettings) -> Self:
        """A database by settings made elsewhere, with the default pool."""
        database = cls.__new__(cls)
        database._set_up(settings, 0, 10, 30.0, "manticore")
        return database

    @property
    def settings(self) -> ConnectionSettings:
        """The connection's parameters, which migrations use, too."""
        return self._settings

    @property
    def server(self) -> Server | None:
        """The server, once connected."""
        return self._server

    def connect(self) -> None:
        """Connect, and check that the database exists. Does nothing if it is connected.

        Raises:
            ConnectionFailed: There is no server, or the password is wrong.
            DatabaseMissing: The database does not exist.
        """
        self._opened()

    def execute(self, query: str, params: Parameters | None = None) -> list[Row]:
        """Run a statement and commit it at once.

        Args:
            query: SQL. With `params`, `%s` and `%(name)s` stand for them, and `%%` for a percent sign.
            params: The parameters.

        Returns:
            The rows, each a dict by column name, or an empty list if the statement returns none.

        Raises:
            DatabaseError: The server refused it; its code is in `sqlstate`.
            ConnectionFailed: The pool has no connection.
        """
        return self._with_connection(lambda connection: _execute(connection, query, params))

    def run_in_transaction(self, work: Callable[[Transaction], R]) -> R:
        """Run `work` in a SERIALIZABLE transaction, and retry it whenever the server asks to.

        Args:
            work: Called with the transaction, possibly several times, so it should only send statements
                through it. If it raises, the transaction is rolled back.

        Returns:
            What `work` returned in the transaction that was committed.

        Raises:
            DatabaseError: With `sqlstate` 40001 if all attempts were refused.
        """
        return self._with_connection(lambda connection: _transact(connection, work))

    def close(self) -> None:
        """Close every connection. You can connect again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._settings.place}>"

    def _opened(self) -> ConnectionPool[Connection[Row]]:
        if self._pool is not None:
            return self._pool
        # Imported when first needed: engines take the settings and never open a pool.
        from psycopg_pool import ConnectionPool  # noqa: PLC0415 - see above

        # A pool would try for long and then tell of a timeout only; this tells why.
        probe = Session.open(self._settings, self._application_name)
        self._server = probe.server
        probe.close()
        parameters: dict[str, Any] = self._settings.for_users(self._application_name)
        pool = ConnectionPool[Connection[Row]](
            connection_class=Connection[Row],
            kwargs={
                **parameters,
                "autocommit": True,
                "prepare_threshold": None,
                "row_factory": dict_row,
            },
            min_size=self._sizes[0],
            max_size=self._sizes[1],
            timeout=self._timeout,
            num_workers=1,
            open=False,
            check=ConnectionPool.check_connection,
        )
        pool.open()
        concurrency.close_at_exit(pool)
        self._pool = pool
        return pool

    def _with_connection(self, use: Callable[[Connection[Row]], R]) -> R:
        from psycopg_pool import PoolClosed, PoolTimeout  # noqa: PLC0415 - imported when needed

        pool = self._opened()
        try:
            with pool.connection() as connection:
                return use(connection)
        except (PoolTimeout, PoolClosed) as error:
            raise ConnectionFailed(
                f"No connection to {self._settings.place} is available: {error}. Check that the server "
                "is up, or allow the pool more connections (max_connections)."
            ) from error


def _execute(
    connection: Connection[Row], query: str, params: Parameters | None
) -> list[Row]:
    try:
        cursor = connection.execute(query, params)
        rows: list[Row] = []
        while True:
            if cursor.description is not None:
                rows = cursor.fetchall()
            if not cursor.nextset():
                return rows
    except psycopg.Error as error:
        raise translated(error) from error


def _transact(
    connection: Connection[Row], work: Callable[[Transaction], R]
) -> R:
    attempts = Attempts()
    while True:
        try:
            _execute(connection, "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE", None)
            result = work(Transaction(connection))
            _execute(connection, "COMMIT", None)
        except DatabaseError as error:
            _roll_back(connection)
            pause = attempts.failed(TRANSACTION) if error.sqlstate in RETRY else None
            if pause is None:
                raise
            concurrency.sleep(pause)
        except BaseException:
            _roll_back(connection)
            raise
        else:
            return result


def _roll_back(connection: Connection[Row]) -> None:
    if not connection.closed:
        connection.rollback()
