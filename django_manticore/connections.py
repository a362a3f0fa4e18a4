"""From an entry of the setting to where its database is, as the library takes it.

Asks Django's connection object for its parameters at call time: so test databases, OPTIONS, service
files and certificates are as Django has them. Opens no connection.
"""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import pq

from manticore_cockroachdb.errors import SettingsError
from manticore_cockroachdb.types import ConnectionSettings

from .conf import Entry

#: What a database wrapper calls itself: subclasses (GIS, instrumented ones) keep it.
VENDORS: Final = frozenset({"cockroachdb", "postgresql"})

#: What Django and psycopg understand and libpq does not. The library opens its own connections, without
#: a pool or prepared statements, at the server's isolation level and with its own cursors.
DJANGOS_OWN: Final = frozenset(
    {
        "assume_role",
        "autocommit",
        "context",
        "cursor_factory",
        "isolation_level",
        "pool",
        "prepare_threshold",
        "row_factory",
        "server_side_binding",
    }
)


def is_supported(alias: str) -> bool:
    """Whether an alias of DATABASES leads to a server this project runs on."""
    return connections[alias].vendor in VENDORS


def connection_settings(entry: Entry) -> ConnectionSettings:
    """Where the database of an entry is.

    Raises:
        SettingsError: Its ENGINE is not supported, or its parameters are invalid.
    """
    in_django = entry.alias in connections
    if entry.url is not None:
        given = ConnectionSettings.from_url(entry.url)
        if not in_django or not is_supported(entry.alias):
            return given
        # The alias's own database, whatever its name is now: in a test it is the test database.
        name = _django_parameters(entry.alias).get("dbname")
        return ConnectionSettings.from_parameters({**given.parameters, "dbname": name})
    if not in_django:
        raise SettingsError(
            f"DATABASES has no {entry.alias!r}, and its entry in MANTICORE has no URL."
        )
    return ConnectionSettings.from_parameters(_django_parameters(entry.alias))


def _django_parameters(alias: str) -> dict[str, Any]:
    wrapper: BaseDatabaseWrapper = connections[alias]
    if wrapper.vendor not in VENDORS:
        raise SettingsError(unsupported(alias))
    try:
        given = dict(wrapper.get_connection_params())
    except ImproperlyConfigured as error:
        raise SettingsError(f"DATABASES[{alias!r}]: {error}") from error
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    unknown = sorted(set(given) - known - DJANGOS_OWN)
    if unknown:
        raise SettingsError(
            f"DATABASES[{alias!r}]['OPTIONS'] has {', '.join(map(repr, unknown))}, which is neither a "
            "connection parameter of libpq nor one of Django's own options."
        )
    parameters = {key: value for key, value in given.items() if key in known}
    role = wrapper.settings_dict["OPTIONS"].get("assume_role")
    if role:
        escaped = str(role).replace("\\", "\\\\").replace(" ", "\\ ")
        parameters["options"] = f"{parameters.get('options', '')} -c role={escaped}".strip()
    return parameters


def unsupported(alias: str) -> str:
    """Why the engine of an alias cannot be used."""
    engine = connections[alias].settings_dict["ENGINE"]
    return (
        f"DATABASES[{alias!r}] has the engine {engine!r}; SQL scripts run on CockroachDB "
        "('django_cockroachdb') and PostgreSQL ('django.db.backends.postgresql') only."
    )
