"""The server that scripts are judged for: which of the two, and which version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .._sql.server_kind import ServerKind
from ..errors import SettingsError

#: What is taken where no version is given: the newest that the rules know.
NEWEST: Final = {ServerKind.COCKROACHDB: (26, 2), ServerKind.POSTGRESQL: (18,)}
_NAMES: Final = {
    "cockroachdb": ServerKind.COCKROACHDB,
    "cockroach": ServerKind.COCKROACHDB,
    "crdb": ServerKind.COCKROACHDB,
    "postgresql": ServerKind.POSTGRESQL,
    "postgres": ServerKind.POSTGRESQL,
    "pg": ServerKind.POSTGRESQL,
}
_FORM: Final = re.compile(r"\s*([a-z]+)\s*(?:[:-]\s*v?(\d+(?:\.\d+)*)[\w.+-]*)?\s*", re.IGNORECASE)
_VERSION: Final = re.compile(r"v?(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True)
class Target:
    """A server and its version.

    Attributes:
        kind: Which server.
        version: Its version, such as `(25, 4)` or `(17,)`.
    """

    kind: ServerKind
    version: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `cockroachdb:25.4`, `postgresql:17` (or `postgresql-17`), or a name alone.

        Raises:
            SettingsError: It is neither.
        """
        match = _FORM.fullmatch(text)
        kind = _NAMES.get(match[1].lower()) if match else None
        if match is None or kind is None:
            raise SettingsError(
                f"{text!r} is not a server; write cockroachdb:25.4 or postgresql:17, or the name "
                "alone"
            )
        return cls(kind, _numbers(match[2]) if match[2] else NEWEST[kind])

    @classmethod
    def of(cls, kind: ServerKind, version: str) -> Target:
        """The target for a server that was connected to.

        Args:
            kind: Which server.
            version: Its version as the server reports it, such as `v25.4.1` or `17.2`.
        """
        match = _VERSION.match(version)
        return cls(kind, _numbers(match[1]) if match else NEWEST[kind])

    def __str__(self) -> str:
        """The server as `parse` reads it."""
        return f"{self.kind.name.lower()}:{'.'.join(map(str, self.version))}"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
