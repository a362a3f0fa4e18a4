"""A printing as text that can be run on an empty database. Pure."""

from __future__ import annotations

import hashlib
from itertools import groupby

from .objects import Printing


def body(printing: Printing) -> str:
    """The statements, a blank line between objects."""
    blocks = ("".join(f"{statement};\n" for statement in block) for _, block in printing.blocks())
    return "\n".join(blocks)


def fingerprint(printing: Printing) -> str:
    """A hash of everything that a comparison would look at."""
    digest = hashlib.sha256(body(printing).encode())
    for name in printing.omitted:
        digest.update(f"{name}\n".encode())
    return digest.hexdigest()


def omitted_lines(printing: Printing) -> list[str]:
    """What is not printed, a kind a line: how many, and their names."""
    found = []
    for kind, names in groupby(printing.omitted, key=lambda name: name.kind):
        listed = [name.name for name in names]
        found.append(f"{len(listed)} of kind {kind}: {', '.join(listed)}")
    return found
