"""Where a database is: from a URL or from parameters to what libpq takes, and nothing beyond.

Every libpq option passes through untouched and libpq's own defaults (TLS among them) stay in force.
Nothing here opens a connection, and no text made here shows a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..errors import SettingsError
from .session_state import startup_options

#: URL schemes read; `cockroachdb` differs in its default port and user only.
SCHEMES = ("postgresql", "postgres", "cockroachdb")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")

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

#: The parameters that say which options there are.
_NAMING_OPTIONS = frozenset({"options", "service", "servicefile"})


def _keywords() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in pq.Conninfo.parse(b""))


def _libpq_defaults() -> dict[str, str]:
    """What libpq takes from the environment and the service file that it names."""
    options = pq.Conninfo.get_defaults()
    return {o.keyword.decode(): o.val.decode(errors="replace") for o in options if o.val}


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
            # What is not the name of a scheme may be a password.
            shown = repr(scheme) if separator and _SCHEME.fullmatch(scheme) else "missing"
            raise SettingsError(
                f"The database URL's scheme is {shown}; write postgresql://, postgres:// or "
                "cockroachdb:// in front of user:password@host:port/database."
            )
        if "@" in rest.partition("/")[2].partition("?")[0]:
            # libpq would read the password's head as a port, and the rest as the database's name.
            raise SettingsError(
                "The database URL cannot be read: an '@' comes after its first '/'. Percent-encode "
                "'/' in user name and password (%2F), and '@' in the database's name (%40)."
            )
        try:
            parsed = conninfo_to_dict(f"postgresql://{rest}")
        except (ProgrammingError, UnicodeDecodeError) as error:
            reason = _without_values(str(error), url)
            raise SettingsError(
                f"The database URL cannot be read: {reason}. Percent-encode special characters in "
                "user name and password, and name libpq options only."
            ) from None
        parameters = {key: str(value) for key, value in parsed.items() if value is not None}
        if "@" in parameters.get("host", ""):
            # libpq lets the user's part end at the first '@': the rest of a password became the host.
            raise SettingsError(
                "The database URL cannot be read: more than one '@' comes before its host. "
                "Percent-encode '@' in user name and password (%40)."
            )
        if not all(map(_is_port, filter(None, parameters.get("port", "").split(",")))):
            # It is not shown: `user:password` without a host is read as a host and its port.
            raise SettingsError(
                "The database URL cannot be read: its port is not a number from 1 to 65535. Write "
                "user:password@host:port/database."
            )
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
                f"Unknown connection parameter {', '.join(map(repr, unknown))}: libpq has no "
                "such parameter. See the list of parameter key words in PostgreSQL's libpq documentation."
            )
        for part in given.get("port", "").split(","):
            # Of several hosts' ports some may be left out: libpq's default stands for them.
            if part and (not part.isdigit() or not 0 < int(part) < 65536):
                raise SettingsError(f"The port {part!r} is not a number from 1 to 65535.")
        return cls(MappingProxyType(given))

    def for_engine(
        self, application_name: str, explicit: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, str]:
        """Parameters of a connection that an engine opens for itself.

        Args:
            application_name: What the server's session list shows.
            explicit: Session variables that the run was given as arguments. They win over the user's own
                options, which in turn win over our defaults; `RESET` returns to all of them.
        """
        return {
            **self.for_users(application_name),
            "options": startup_options(self.options, explicit),
        }

    def for_users(self, application_name: str) -> dict[str, str]:
        """Parameters of a connection for the user's own statements.

        Args:
            application_name: What the server's session list shows.
        """
        return {
            **_KEEPALIVE,
            **self.parameters,
            "application_name": application_name,
            "client_encoding": "UTF8",
        }

    @property
    def options(self) -> str:
        """The user's own `options`: from the parameters, the service file, or PGOPTIONS.

        libpq resolves them, on a connection that is not made: its socket does not exist.
        """
        given = {key: self.parameters[key] for key in _NAMING_OPTIONS if key in self.parameters}
        conninfo = make_conninfo(**given, host="/nonexistent", hostaddr="", port="1")
        unmade = pq.PGconn.connect_start(conninfo.encode())
        found = unmade.options.decode()
        unmade.finish()
        return found

    def with_defaults(self, **defaults: str) -> ConnectionSettings:
        """The same settings with some parameters filled in where they are not given."""
        return ConnectionSettings(MappingProxyType({**defaults, **self.parameters}))

    def with_database(self, name: str) -> ConnectionSettings:
        """The same settings for another database of the same server."""
        return ConnectionSettings(MappingProxyType({**self.parameters, "dbname": name}))

    @property
    def database(self) -> str | None:
        """The database's name, where one is given."""
        return self.parameters.get("dbname")

    @property
    def place(self) -> str:
        """Host, port and database for messages, as libpq will find them: never a password."""
        service = self.parameters.get("service") or os.environ.get("PGSERVICE")
        found = {**_libpq_defaults(), **self.parameters}
        hosts = (found.get("host") or found.get("hostaddr") or "local socket").split(",")
        # libpq fills in a default port; it is named only where somebody gave one.
        given = self.parameters.get("port") or os.environ.get("PGPORT", "")
        if service and "host" not in self.parameters:
            hosts, given = [f"service {service}"], ""
        ports = given.split(",")
        if len(ports) == 1:
            ports = ports * len(hosts)
        at = ",".join(
            f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=False)
        )
        database = found.get("dbname")
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


def _is_port(text: str) -> bool:
    return text.isdigit() and 0 < int(text) < 65536


def _without_values(reason: str, url: str) -> str:
    """Libpq's words about a URL, without what they quote of it: anything may be part of a password.

    The name of an unknown option is kept.
    """
    text = " ".join(reason.split())
    options = url.rpartition("@")[2].partition("?")[2].split("&")
    unknown = re.fullmatch(r'invalid URI query parameter: "([a-z_]+)"', text)
    if unknown is not None and unknown[1] in {option.partition("=")[0] for option in options}:
        return text
    if text.startswith("'utf-8' codec"):
        return "its percent-encoding is not UTF-8"
    return re.sub(r'(:| in) ".*"', "", text).rstrip(".")
