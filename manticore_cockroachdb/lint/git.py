"""Which files are new, by git. Runs git, and nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..errors import GitFailed

#: Where a branch began, where nobody says: the first of these that is there.
_MAIN: Final = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
_TIMEOUT: Final = 60.0
#: Lines of an error of git: the reason comes first, then what to type.
_LINES: Final = 3


def changed_files(folders: Sequence[Path], since: str | None = None) -> frozenset[Path]:
    """The files in these folders that are new or changed: committed, staged, or not yet.

    Args:
        folders: The folders, which may be in different repositories.
        since: A revision to compare with; None: where this branch left the main one.

    Raises:
        GitFailed: There is no git, no repository, or no such revision.
    """
    found: set[Path] = set()
    for folder in folders:
        if folder.is_dir():
            found |= _changed(folder, since)
    return frozenset(found)


def top_of(folder: Path) -> Path | None:
    """The top folder of the repository that a folder is in; None where git knows of none."""
    try:
        process = _started(folder, "rev-parse", "--show-toplevel")
    except GitFailed:
        return None
    name = os.fsdecode(process.stdout.rstrip(b"\n"))
    return Path(name) if process.returncode == 0 and name else None


def _changed(folder: Path, since: str | None) -> set[Path]:
    base = _base(folder, since)
    # --no-relative: names are from the top, whatever the user's diff.relative says.
    shape = ("--name-only", "--no-relative", "--no-renames", "--diff-filter=d", "-z")
    named = _run(folder, "diff", *shape, base, "--", ".")
    others = _run(
        folder, "ls-files", "--others", "--exclude-standard", "-z", "--full-name", "--", "."
    )
    top = Path(os.fsdecode(_run(folder, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    names = [name for name in (named + others).split(b"\0") if name]
    return {(top / os.fsdecode(name)).resolve() for name in names}


def _base(folder: Path, since: str | None) -> str:
    """The commit to compare with."""
    if since is not None:
        if since.startswith("-") or not _knows(folder, since):
            _run(folder, "rev-parse", "--git-dir")  # says where there is no repository at all
            raise GitFailed(
                f"git does not know the revision {since!r} in {folder}. Name a branch, a tag or a "
                "commit; in a pipeline, fetch it first: git fetch origin main."
            )
        return _merge_base(folder, since)
    _run(folder, "rev-parse", "--git-dir")
    for name in _MAIN:
        if _knows(folder, name):
            return _merge_base(folder, name)
    if _knows(folder, "HEAD"):
        return "HEAD"
    # A repository without a commit: every file is new.
    return os.fsdecode(_run(folder, "hash-object", "-t", "tree", os.devnull).strip())


def _merge_base(folder: Path, name: str) -> str:
    """Where HEAD and a revision parted; the revision itself where they never met."""
    process = _started(folder, "merge-base", name, "HEAD")
    return os.fsdecode(process.stdout.strip()) if process.returncode == 0 else name


def _knows(folder: Path, name: str) -> bool:
    process = _started(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )
    return process.returncode == 0


def _run(folder: Path, *arguments: str) -> bytes:
    process = _started(folder, *arguments)
    if process.returncode != 0:
        lines = [line.strip() for line in os.fsdecode(process.stderr).splitlines() if line.strip()]
        words = " ".join(lines[:_LINES]) or "no reason given"
        raise GitFailed(
            f"git could not say what is new in {folder}: {words}. Name the scripts another way: "
            "--all checks every script."
        )
    return process.stdout


def _started(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", os.fspath(folder), *arguments],
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitFailed(
            f"git could not be run: {error}. Install git, or check every script with --all."
        ) from error
