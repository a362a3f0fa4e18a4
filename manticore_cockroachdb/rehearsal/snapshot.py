"""The snapshot of a schema: a text for pull requests, and when it is stale. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._printing import head
from .._scripts.script import MigrationScript


@dataclass(frozen=True, slots=True)
class SchemaSnapshot:
    """The schema that scripts make, printed.

    Attributes:
        server: The kind and version of the server that printed it.
        text: The text, with a head that says what it was made from.
    """

    server: str
    text: str

    @property
    def file_name(self) -> str:
        """The file's usual name: `schema.postgresql.sql` or `schema.cockroachdb.sql`."""
        return f"schema.{self.server.partition(' ')[0].lower()}.sql"


def checksums(scripts: Sequence[MigrationScript]) -> list[tuple[int, str]]:
    """Version and checksum of each script, and of each one that a checkpoint stands for."""
    return [
        (each.version, each.checksum)
        for script in scripts
        for each in (script.stands_for or (script,))
    ]


def staleness(text: str, scripts: Sequence[MigrationScript]) -> str | None:
    """Why a snapshot is not what the scripts make, in words; None if it is. Needs no server.

    Args:
        text: The snapshot's text.
        scripts: Every script.
    """
    return head.staleness(text, checksums(scripts))
