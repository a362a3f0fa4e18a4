"""Which scripts to judge: those whose files are new."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .._scripts.script import MigrationScript


def versions_of(scripts: Iterable[MigrationScript], files: frozenset[Path]) -> frozenset[int]:
    """The versions whose file, or file of the down section, is among these.

    Args:
        scripts: The scripts.
        files: Resolved paths.
    """
    return frozenset(
        script.version
        for script in scripts
        if script.path.resolve() in files
        or (script.down_path is not None and script.down_path.resolve() in files)
    )
