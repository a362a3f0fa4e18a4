"""The servers that scripts are written for."""

from __future__ import annotations

from enum import Enum


class ServerKind(Enum):
    """The servers that are supported."""

    COCKROACHDB = "CockroachDB"
    POSTGRESQL = "PostgreSQL"
