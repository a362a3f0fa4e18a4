"""The head of a snapshot: what it was made from, so that a stale one is found without a server. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .objects import Printing
from .text import body, omitted_lines

#: Changes when the form of the text does, so that older snapshots are found to be stale.
FORMAT = 1

_LINE = re.compile(r"-- (Server|Version|Scripts|Schema): (.*)")
_PREAMBLE = {"PostgreSQL": "SET check_function_bodies = off;\n\n"}


@dataclass(frozen=True, slots=True)
class Head:
    """What a snapshot says of itself.

    Attributes:
        server: The server's kind and version.
        version: The highest version of the scripts it was made from.
        scripts: A hash of those scripts.
        schema: A hash of the text below the head.
    """

    server: str
    version: int
    scripts: str
    schema: str


def scripts_hash(scripts: Sequence[tuple[int, str]]) -> str:
    """One hash for versions and their checksums."""
    text = "".join(f"{version} {checksum}\n" for version, checksum in sorted(scripts))
    return _short(f"{FORMAT}\n{text}")


def snapshot(printing: Printing, scripts: Sequence[tuple[int, str]]) -> str:
    """The whole text of a snapshot.

    Args:
        printing: The schema.
        scripts: Version and checksum of each script that made it.
    """
    text = preamble(printing.server) + body(printing)
    highest = max((version for version, _ in scripts), default=0)
    lines = [
        "-- The schema that the migration scripts make. Written by manticore_snapshot; do not edit it.",
        f"-- Server: {printing.server}",
        f"-- Version: {highest}",
        f"-- Scripts: {scripts_hash(scripts)}",
        f"-- Schema: {_short(text)}",
        *(f"-- Not printed: {line}" for line in omitted_lines(printing)),
    ]
    return "\n".join(lines) + "\n\n" + text


def preamble(server: str) -> str:
    """What comes before a printing's statements where they are run.

    Args:
        server: The server's kind and version.
    """
    return _PREAMBLE.get(server.partition(" ")[0], "")


def read(text: str) -> Head | None:
    """The head of a snapshot's text; None if it is none."""
    head, _, _ = text.partition("\n\n")
    found = {match[1]: match[2] for match in map(_LINE.fullmatch, head.split("\n")) if match}
    if set(found) != {"Server", "Version", "Scripts", "Schema"} or not found["Version"].isdigit():
        return None
    return Head(found["Server"], int(found["Version"]), found["Scripts"], found["Schema"])


def staleness(text: str, scripts: Sequence[tuple[int, str]]) -> str | None:
    """Why a snapshot is not what the scripts make; None if it is.

    Needs no server: the head says which scripts the text was made from.
    """
    text = text.replace("\r\n", "\n")
    found = read(text)
    if found is None:
        return "it has no head by which it could be compared"
    if _short(text.partition("\n\n")[2]) != found.schema:
        return "its text was edited, or merged from two versions"
    if scripts_hash(scripts) != found.scripts:
        highest = max((version for version, _ in scripts), default=0)
        if highest != found.version:
            return f"it was made at version {found.version}, and the scripts end at {highest}"
        return "a script was changed after it was made"
    return None


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
