"""Which scripts to judge: those whose files are new."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .._scripts.script import MigrationScript, ScriptKey


def keys_of(scripts: Iterable[MigrationScript], files: frozenset[Path]) -> frozenset[ScriptKey]:
    """The scripts whose file, or file of the down section, is among these: versions and names.

    Args:
        scripts: The scripts.
        files: Resolved paths.
    """
    return frozenset(
        script.key
        for script in scripts
        if script.path.resolve() in files
        or (script.down_path is not None and script.down_path.resolve() in files)
    )
