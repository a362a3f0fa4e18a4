"""Where a database is: from a URL or from parameters to what libpq takes, and nothing beyond.

Every libpq option passes through untouched and libpq's own defaults (TLS among them) stay in force.
Nothing here opens a connection, and no text made here shows a password.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict

from ..errors import SettingsError

#: URL schemes read; `cockroachdb` differs in its default port and user only.
SCHEMES = ("postgresql", "postgres", "cockroachdb")

COCKROACHDB_PORT = "26257"

_SECRET = frozenset({"password", "sslpassword", "passfile", "oauth_client_secret", "sslkey"})

#: What every engine connection asks of libpq unless the user said otherwise. Cloud services and load
#: balancers cut idle sockets silently, and a schema change can keep a socket idle for hours.
_KEEPALIVE = {
    "keepalives": "1",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "35000",
    "connect_timeout": "10",
}


def _keywords() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """libpq parameters of one database.

    Attributes:
        parameters: libpq keywords and their values, as text.
    """

    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_url(cls, url: str, **overrides: object) -> ConnectionSettings:
        """Read a URL.

        Args:
            url: `postgresql://`, `postgres://` or `cockroachdb://`, as libpq reads it: several hosts,
                percent-encoding and every libpq option in the query part included.
            **overrides: libpq parameters that win over the URL's.

        Raises:
            SettingsError: The scheme is another one, or libpq does not take the URL.
        """
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in SCHEMES:
            shown = scheme if separator else "none"
            raise SettingsError(
                f"The database URL's scheme is {shown!r}; write postgresql://, postgres:// or "
                "cockroachdb:// in front of user:password@host:port/database."
            )
        if "@" in rest.partition("/")[2].partition("?")[0]:
            # libpq would read the password's head as a port, and the rest as the database's name.
            raise SettingsError(
                "The database URL cannot be read: an '@' stands behind its first '/'. Percent-encode "
                "'/' in user name and password (%2F), and '@' in the database's name (%40)."
            )
        try:
            parsed = conninfo_to_dict(f"postgresql://{rest}")
        except ProgrammingError as error:
            reason = _without(str(error).strip(), url)
            raise SettingsError(
                f"The database URL cannot be read: {reason}. Percent-encode special characters in "
                "user name and password, and name libpq options only."
            ) from None
        parameters = {key: str(value) for key, value in parsed.items() if value is not None}
        if scheme == "cockroachdb":
            parameters.setdefault("port", os.environ.get("PGPORT", COCKROACHDB_PORT))
            parameters.setdefault("user", os.environ.get("PGUSER", "root"))
        return cls.from_parameters({**parameters, **overrides})

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> ConnectionSettings:
        """Take libpq parameters as they are; `None` means not given.

        Raises:
            SettingsError: A name that libpq does not know.
        """
        given = {key: str(value) for key, value in parameters.items() if value is not None}
        unknown = sorted(set(given) - _keywords())
        if unknown:
            raise SettingsError(
                f"Unknown connection parameter {', '.join(map(repr, unknown))}: libpq knows no such "
                "keyword. See the list of parameter key words in PostgreSQL's libpq documentation."
            )
        port = given.get("port", "")
        for part in port.split(",") if port else ():
            if not part.isdigit() or not 0 < int(part) < 65536:
                raise SettingsError(f"The port {part!r} is not a number from 1 to 65535.")
        return cls(MappingProxyType(given))

    def for_engine(self, application_name: str, options: Mapping[str, str]) -> dict[str, str]:
        """Parameters of a connection that an engine opens for itself.

        Args:
            application_name: What the server's session list shows.
            options: Session variables to set from the start; they come behind the user's own
                `options`, so they win, and `RESET ALL` returns to them.
        """
        ours = " ".join(f"-c {name}={_escape(value)}" for name, value in options.items())
        theirs = self.parameters.get("options", "")
        return {
            **_KEEPALIVE,
            **self.parameters,
            "application_name": application_name,
            "client_encoding": "UTF8",
            "options": f"{theirs} {ours}".strip(),
        }

    def with_defaults(self, **defaults: str) -> ConnectionSettings:
        """The same settings with some parameters filled in where they are not given."""
        return ConnectionSettings(MappingProxyType({**defaults, **self.parameters}))

    @property
    def database(self) -> str | None:
        """The database's name, where one is given."""
        return self.parameters.get("dbname")

    @property
    def place(self) -> str:
        """Host, port and database for messages: never a password."""
        host = self.parameters.get("host") or self.parameters.get("hostaddr") or "local socket"
        port = self.parameters.get("port")
        service = self.parameters.get("service")
        if service and "host" not in self.parameters:
            host, port = f"service {service}", None
        database = self.parameters.get("dbname")
        at = f"{host}:{port}" if port else host
        return f"{at}/{database}" if database else at

    def hide(self, text: str) -> str:
        """`text` with every secret of these settings replaced by `***`."""
        for key in _SECRET:
            value = self.parameters.get(key)
            if value:
                text = text.replace(value, "***")
        return text

    def __repr__(self) -> str:
        return f"<ConnectionSettings {self.place}>"


def _escape(value: str) -> str:
    """A value inside libpq's `options`: blanks and backslashes are escaped by a backslash."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def _without(text: str, url: str) -> str:
    """`text` without the URL and without its password."""
    text = text.replace(url, "the URL").rstrip(".")
    try:
        password = urlsplit(url).password
    except ValueError:
        password = None
    if not password and "@" in url:
        userinfo = url.partition("://")[2].rpartition("@")[0]
        password = userinfo.partition(":")[2]
    return text.replace(password, "***") if password else text
