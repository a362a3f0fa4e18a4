# Generated from _async/session.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""One connection of an engine's own: opens it, names it, sends to it, ends it.

The one border where the driver's errors become this package's. Autocommit, no prepared statements, no
pool. Knows nothing of scripts, ledger or lease.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from ..._backend import introspection, protocol
from ..._backend.dialect import Server, kind_of, version_of
from ..._backend.jobs import noticed
from ..._backend.protocol import Command, Refusal, Result
from ..._backend.retry import RETRY, TRANSACTION, Attempts
from ..._backend.session_state import SessionState
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

_DATABASE_EXISTS = Command(
    "SELECT 1 FROM [SHOW DATABASES] WHERE database_name = current_database()::TEXT"
)
_NO_DATABASE = "3D000"
#: PgBouncer's words for an option it does not pass on. https://www.pgbouncer.org/config.html
_OPTIONS_REFUSED = "unsupported startup parameter"

_NOTHING: Mapping[str, str] = MappingProxyType({})

#: How often a server is asked to cancel before its socket is shut, and how long each asking may take.
_POLITE_TRIES = 3
_POLITE_SECONDS = 2.0


def connect(
    settings: ConnectionSettings, application_name: str, pinned: Mapping[str, str] = _NOTHING
) -> Connection:
    """Open a connection that is pinned to known session settings.

    Args:
        settings: Where to.
        application_name: What the server's session list shows.
        pinned: Session variables that the run was given as arguments.

    Raises:
        ConnectionFailed: No server, wrong password, no such database.
    """
    try:
        try:
            return _async_connected(settings.for_engine(application_name, pinned))
        except psycopg.OperationalError as error:
            if settings.options or _OPTIONS_REFUSED not in str(error):
                raise
            # A pooler that takes no options: what they hold is set after connecting.
            return _async_connected(settings.for_users(application_name))
    except psycopg.Error as error:
        reason = settings.hide(_in_sentences(str(error)))
        if _OPTIONS_REFUSED in reason:
            raise ConnectionFailed(
                f"Could not connect to {settings.place}: {reason} A connection pooler is in "
                "between, and it does not accept the options of this connection. Connect migrations to "
                "the server itself, or put the options into the database or the role "
                "(ALTER ROLE … SET …)."
            ) from error
        if settings.database and f'database "{settings.database}" does not exist' in reason:
            # The one error here that libpq gives no code for and that people want to tell apart.
            raise _missing(settings, settings.database) from error
        raise ConnectionFailed(
            f"Could not connect to {settings.place}: {reason} Check that the server is up, and host, "
            "port, user, password and database."
        ) from error


def _in_sentences(text: str) -> str:
    """The lines of an error of libpq in one, each a sentence with a mark at its end."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return " ".join(line if line.endswith((".", "?", "!")) else f"{line}." for line in lines)


def _async_connected(parameters: Mapping[str, str]) -> Connection:
    return Connection.connect(
        **parameters,  # type: ignore[arg-type]
        autocommit=True,
        prepare_threshold=None,
    )


class Session:
    """A connection that knows its server.

    Attributes:
        server: What is at its other end.
        name: Its name in the server's session list.
        session_id: The server's own id of it, which no statement can change.
        state: How it is kept as it began.
        read_only: Why nothing can be written through it, or None.
        is_pooled: Whether a pooler is between us and the server.
        first_answers: What the commands answered that `open` was given.
        on_notice: Called with severity and message of each notice that the server sends, in the thread that
            waits for the server.
        noticed_jobs: Ids of jobs that the server said it waits for (CockroachDB v26.1 and later).
    """

    def __init__(self, connection: Connection, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.session_id = ""
        self.state = SessionState(server.kind, _NOTHING, _NOTHING, has_role=False, resets=False)
        self.read_only: str | None = None
        self.is_pooled = False
        self.first_answers: list[Result] = []
        self.on_notice: Callable[[str, str], None] | None = None
        self.noticed_jobs: list[int] = []
        self._last_words = ""
        self._connection = connection
        self._abandoned = 0
        connection.add_notice_handler(self._notice)

    @classmethod
    def open(
        cls,
        settings: ConnectionSettings,
        name: str,
        pinned: Mapping[str, str] = _NOTHING,
        *,
        asking: Iterable[Command] = (),
    ) -> Session:
        """Connect, find out what is there, and pin the settings. One or two round trips after connecting.

        Args:
            settings: Where to.
            name: Its name in the server's session list.
            pinned: Session variables that the run was given as arguments.
            asking: Questions that go along; see `first_answers`.

        Raises:
            ConnectionFailed: No connection.
            ConnectionLost: It ended at once.
            DatabaseMissing: The server lets us in, but the database is not there.
        """
        connection = connect(settings, name, pinned)
        try:
            return cls._identify(connection, settings, name, pinned, asking)
        except BaseException:
            connection.close()
            raise

    @classmethod
    def _identify(
        cls,
        connection: Connection,
        settings: ConnectionSettings,
        name: str,
        pinned: Mapping[str, str],
        asking: Iterable[Command],
    ) -> Session:
        def said(parameter: bytes) -> str | None:
            value = connection.pgconn.parameter_status(parameter)
            return value.decode() if value else None

        kind = kind_of(said(b"crdb_version"))
        version = version_of(said(b"crdb_version"), said(b"server_version"))
        session = cls(connection, Server(kind, version, "", "", ""), name)
        extra, questions = tuple(asking), introspection.session_questions(kind)
        first = (introspection.identity(kind), *extra)
        answers, refusal = session._ask_until_served(first + questions)  # reads only
        resets = True
        last = len(first) + len(questions) - 1
        if kind is ServerKind.COCKROACHDB and refusal is not None and refusal.index == last:
            resets, refusal = False, None  # RESET ALL is unknown before v22.1
        if refusal is not None and refusal.error.sqlstate != _NO_DATABASE:
            raise refusal.error
        who = introspection.read_identity(answers[0]) if answers else None
        database, schema = (who.database, who.schema) if who else (settings.database or "", None)
        exists = refusal is None and (
            schema is not None
            or kind is ServerKind.POSTGRESQL
            or bool(session.send(_DATABASE_EXISTS)[0].rows)
        )
        if who is None or not exists:
            raise _missing(settings, database)
        if schema is None:
            raise SettingsError(
                f"The session's search_path at {settings.place} names no schema that exists, so there "
                "is nowhere to create tables. Set search_path for the user, the database or in the "
                "URL's options."
            )
        session.server = Server(kind, version, database, schema, who.user, who.schemas)
        session.session_id, session.read_only = who.session_id, who.read_only
        session.is_pooled = who.backend_pid not in (None, connection.pgconn.backend_pid)
        session.first_answers = answers[1 : len(first)]
        session.state = SessionState.found(
            kind,
            dict(answers[len(first)].rows),
            options=settings.options,
            explicit=pinned,
            resets=resets,
        )
        if session.state.pins:
            session.send(*session.state.pin())
        return session

    def ask(self, *commands: Command) -> tuple[list[Result], Refusal | None]:
        """Send commands in one round trip; answers up to the first refusal, and that refusal."""
        results: list[Result] = []
        refusal = self.stream(commands, lambda number, result: results.append(result))
        return results, refusal

    def stream(
        self, commands: Iterable[Command], answered: Callable[[int, Result], None]
    ) -> Refusal | None:
        """Send any number of commands without waiting; see `protocol.stream`. Never leaves a transaction.

        Raises:
            ConnectionLost: The connection ended; what was not answered may have taken effect.
        """
        pgconn = self._connection.pgconn
        refusal = self._wait(protocol.stream(pgconn, commands, answered))
        if refusal is not None and isinstance(refusal.error, ConnectionLost):
            raise refusal.error
        if pgconn.transaction_status != TransactionStatus.IDLE:
            self.run("ROLLBACK")
        return refusal

    def send(
        self,
        *commands: Command,
        retried: Callable[[DatabaseError, int, float], None] | None = None,
        retry: frozenset[str] = RETRY,
    ) -> list[Result]:
        """Send commands in one round trip, all of them again when the server says to try again.

        Several commands must be one transaction, or safe to send twice.

        Args:
            *commands: The commands.
            retried: Called with each failed attempt: error, attempt number, pause.
            retry: The SQLSTATEs that mean: nothing happened, try again.

        Raises:
            DatabaseError: The server refused one.
            ConnectionLost: No answer came.
        """
        results, refusal = self._ask_until_served(commands, retried=retried, retry=retry)
        if refusal is not None:
            raise refusal.error
        return results

    def _ask_until_served(
        self,
        commands: Sequence[Command],
        *,
        retried: Callable[[DatabaseError, int, float], None] | None = None,
        retry: frozenset[str] = RETRY,
    ) -> tuple[list[Result], Refusal | None]:
        attempts = Attempts()
        while True:
            results, refusal = self.ask(*commands)
            again = refusal is not None and refusal.error.sqlstate in retry
            pause = attempts.failed(TRANSACTION) if again else None
            if refusal is None or pause is None:
                return results, refusal
            if retried is not None:
                retried(refusal.error, attempts.count(TRANSACTION), pause)
            concurrency.sleep(pause)

    def run(self, text: str) -> str:
        """Send one statement of a script alone.

        Returns:
            The command tag, such as `UPDATE 3`.

        Raises:
            DatabaseError: The server refused it.
            ConnectionLost: No answer came; it may have taken effect.
        """
        return self._wait(protocol.simple(self._connection.pgconn, text))

    def abandon(self) -> None:
        """Make whatever is being waited for end soon, from another thread or task; may be called again.

        A server that obeys is asked to cancel the statement, which ends it without effect. One that does
        not, or does not answer, has its socket shut: CockroachDB then rolls an open transaction back at
        once, and a schema change continues as its job.
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

    def close(self) -> None:
        """End the connection; never raises for what the driver says."""
        with contextlib.suppress(psycopg.Error, OSError):
            self._connection.close()

    def _wait(self, generator: protocol.Waiting[protocol.T]) -> protocol.T:
        try:
            return self._connection.wait(generator)
        except ConnectionLost as error:
            self.close()
            if not self._last_words:
                raise
            raise ConnectionLost(f"the server ended the connection: {self._last_words}") from error
        except psycopg.Error as error:
            self.close()
            raise ConnectionLost(
                "the connection was lost: " + " ".join(str(error).split())
            ) from error

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        message = diagnostic.message_primary or ""
        severity = diagnostic.severity_nonlocalized or diagnostic.severity or ""
        if severity in protocol.ENDING:
            # The server ended an idle connection: its reason comes before the next statement is sent.
            self._last_words = f"{message} ({diagnostic.sqlstate})"
        elif self.on_notice is not None:
            self.on_notice(severity, message)
        self.noticed_jobs.extend(noticed(message))


def _missing(settings: ConnectionSettings, database: str) -> DatabaseMissing:
    return DatabaseMissing(
        f"The server at {settings.place} has no database {database!r}. Create it first: "
        f'CREATE DATABASE "{database}".',
        database=database,
    )
