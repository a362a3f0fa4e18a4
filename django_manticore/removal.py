"""Which files of scripts may be removed, because a checkpoint stands for them. Pure, except for the
plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from manticore_cockroachdb.errors import ManticoreError
from manticore_cockroachdb.scripts import load_checkpoints
from manticore_cockroachdb.types import MigrationScript, ScriptStatus, State, span

from . import conf
from .migrators import get_migration


def advice(found: Mapping[str, Sequence[ScriptStatus]]) -> Iterator[str]:
    """Which files may go, in words, for each set of folders whose databases were all looked at.

    Args:
        found: The status of each database, by alias.
    """
    for folders, aliases in _by_folders().items():
        if not aliases.issubset(found):
            continue
        checkpoint, files = _removable(folders, {alias: found[alias] for alias in aliases})
        if checkpoint is not None:
            one = len(files) == 1
            yield (
                f"The {'file of version' if one else 'files of versions'} {span(files)} may be removed: "
                f"every configured database has {'it' if one else 'them'}, or is empty and starts from "
                f"{checkpoint.path.name}."
            )


def _by_folders() -> dict[tuple[Path, ...], set[str]]:
    """The aliases that share folders."""
    shared: dict[tuple[Path, ...], set[str]] = {}
    for alias in conf.aliases():
        shared.setdefault(tuple(conf.entry(alias).migrations_dir), set()).add(alias)
    return shared


def _removable(
    folders: Sequence[Path], found: Mapping[str, Sequence[ScriptStatus]]
) -> tuple[MigrationScript | None, list[int]]:
    """The highest checkpoint that stands for files nobody needs, and the versions of those files."""
    present = {
        status.version for statuses in found.values() for status in statuses if status.script
    }
    for checkpoint in reversed(load_checkpoints(folders)):
        numbers = {each.version for each in checkpoint.stands_for}
        files = sorted(numbers & present)
        if files and all(_is_past(alias, found[alias], numbers) for alias in found):
            return checkpoint, files
    return None, []


def _is_past(alias: str, statuses: Iterable[ScriptStatus], numbers: set[int]) -> bool:
    """Whether a database has every one of these versions, or starts from a checkpoint."""
    states = {status.version: status.state for status in statuses}
    if all(states.get(number) is State.APPLIED for number in numbers):
        return True
    if set(states.values()) != {State.PENDING}:
        return False
    try:
        steps = get_migration(alias).plan().steps
    except ManticoreError:  # A plan that is refused does not start from a checkpoint.
        return False
    return bool(steps) and numbers.issubset(each.version for each in steps[0].script.stands_for)
