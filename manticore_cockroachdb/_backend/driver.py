"""The driver's errors as ours, and the parameters that libpq would not fill in as our users expect."""

from __future__ import annotations

import os
from collections.abc import Mapping

import psycopg

from ..errors import ConnectionLost, DatabaseError
from .settings import COCKROACHDB_PORT

_DEFAULTS = {
    "host": ("PGHOST", "localhost"),
    "port": ("PGPORT", COCKROACHDB_PORT),
    "user": ("PGUSER", "root"),
    "dbname": ("PGDATABASE", "defaultdb"),
}


def defaults(given: Mapping[str, str]) -> dict[str, str]:
    """CockroachDB's defaults for what neither the caller nor libpq's environment says."""
    if "service" in given or "PGSERVICE" in os.environ:
        return {}
    found = {
        key: default
        for key, (variable, default) in _DEFAULTS.items()
        if key not in given and variable not in os.environ
    }
    if "hostaddr" in given or "PGHOSTADDR" in os.environ:
        found.pop("host", None)
    return found


def translated(error: psycopg.Error) -> DatabaseError:
    """The server's refusal, by its SQLSTATE; without one, a connection that is lost."""
    said = error.diag
    if error.sqlstate is None:
        text = " ".join(str(error).split())
        if isinstance(error, psycopg.OperationalError):
            return ConnectionLost(f"the connection was lost: {text}")
        return DatabaseError(text)
    detail = f"\n  Detail: {said.message_detail}" if said.message_detail else ""
    return DatabaseError(
        f"{said.message_primary} ({error.sqlstate}){detail}",
        sqlstate=error.sqlstate,
        detail=said.message_detail,
        hint=said.message_hint,
        position=int(said.statement_position) if said.statement_position else None,
    )
