"""Checkpoints: what a file `B40__schema.sql` says of itself. Values and text; touches no disk, no server.

The head of the file lists the versions it stands for, with their checksums: they go into the ledger of a
database that starts from the file, also when the scripts themselves have been removed. A checksum over
everything else tells an edited file from the one that was proved.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_FIRST_LINE: Final = (
    "-- Checkpoint: what versions {span} make, for empty databases. Written and proved by "
    "manticore_squash; do not edit it."
)
_BEGINNING: Final = "-- Checkpoint: "
_SERVER: Final = "-- Server: "
_CHECKSUM: Final = "-- Checksum: "
_VERSION = re.compile(r"-- V(?P<version>[0-9]+) (?P<checksum>[0-9a-f]{64}) (?P<description>.+)")


@dataclass(frozen=True, slots=True)
class Replaced:
    """One version that a checkpoint stands for.

    Attributes:
        version: The version.
        description: Its script's description.
        checksum: Its script's checksum.
    """

    version: int
    description: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint stands for.

    Attributes:
        server: The kind and version of the server it was proved on, such as `PostgreSQL 18.1`.
        versions: The versions it stands for, in order; at least one.
    """

    server: str
    versions: tuple[Replaced, ...]

    @property
    def server_kind(self) -> str:
        """The kind of server alone: the other kind cannot run the file."""
        return self.server.partition(" ")[0]

    @property
    def numbers(self) -> frozenset[int]:
        """The versions' numbers."""
        return frozenset(each.version for each in self.versions)

    @property
    def span(self) -> str:
        """`1–40`; with gaps between them, `3–977, 40 in all`."""
        return span([each.version for each in self.versions])


def span(versions: Sequence[int]) -> str:
    """Versions in few words: `7`, `1–40`, or with gaps `3–977, 40 in all`."""
    first, last = min(versions), max(versions)
    if first == last:
        return f"{first}"
    gaps = last - first + 1 > len(versions)
    return f"{first}–{last}, {len(versions)} in all" if gaps else f"{first}–{last}"


def render(checkpoint: Checkpoint, body: str) -> str:
    """The text of a checkpoint's file.

    Args:
        checkpoint: What it stands for.
        body: Its statements.
    """
    head = [
        _FIRST_LINE.format(span=checkpoint.span),
        f"{_SERVER}{checkpoint.server}",
        *(f"-- V{each.version} {each.checksum} {each.description}" for each in checkpoint.versions),
    ]
    checksum = _checksum([*head, "", *body.strip("\n").split("\n")])
    head.insert(2, f"{_CHECKSUM}{checksum}")
    return "\n".join(head) + "\n\n" + body.strip("\n") + "\n"


class BadCheckpoint(ValueError):
    """The text is not one that `render` wrote."""


def read(text: str) -> Checkpoint:
    r"""What a checkpoint's file says of itself.

    Args:
        text: Its text, line ends as `\n`.

    Raises:
        BadCheckpoint: It has no such head, or was edited; the message says which.
    """
    head = text.partition("\n\n")[0].split("\n")
    server = [line.removeprefix(_SERVER) for line in head if line.startswith(_SERVER)]
    recorded = [line.removeprefix(_CHECKSUM) for line in head if line.startswith(_CHECKSUM)]
    versions = tuple(
        Replaced(int(found["version"]), found["description"], found["checksum"])
        for found in map(_VERSION.fullmatch, head)
        if found is not None
    )
    if not head[0].startswith(_BEGINNING) or len(server) != 1 or not recorded or not versions:
        raise BadCheckpoint("has no head that says which versions it stands for")
    others = [line for line in text.strip("\n").split("\n") if not line.startswith(_CHECKSUM)]
    if [_checksum(others)] != recorded:
        raise BadCheckpoint("was edited since it was proved")
    return Checkpoint(server[0], versions)


def _checksum(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()
