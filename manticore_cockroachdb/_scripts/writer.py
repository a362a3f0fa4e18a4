"""Adds a script to a folder.

Adding never overwrites, never shows a half-written file under a script's name, and never gives two
creators the same version, whether they are threads, processes or machines that share the folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ..errors import FilesRefused, Problem
from .filenames import HIGHEST_VERSION, file_name, read_name
from .folder import scan
from .renderer import render

_NOT_WRITTEN: Final = "No file was written"
_TRIES: Final = 10_000


def create(
    folder: Path,
    description: str,
    up: str,
    down: str | None,
    *,
    at_least: int = 0,
    others: Sequence[Path] = (),
    timestamp: bool = False,
) -> Path:
    """Write a new script and return its path.

    Args:
        folder: Where to; it is made, with its parents, if it is not there.
        description: What the script does, in a few words: becomes the file's name.
        up: The up part.
        down: The down part; None for a script that cannot be rolled back.
        at_least: The highest version known elsewhere (the ledger's): the new one is higher.
        others: Further folders whose versions are taken.
        timestamp: Use the time (UTC, YYYYMMDDHHMMSS) as the version, where that is higher.

    Raises:
        SettingsError: The description makes no file name.
        FilesRefused: A part is no good SQL script, or the folder cannot be written to.
    """
    file_name(1, description)
    data = render(up, down).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write(folder, description, data, at_least, (folder, *others), timestamp=timestamp)
    except OSError as error:
        message = (
            f"{folder} cannot be written to: {error.strerror or error}; "
            "check the path, its permissions and the space left"
        )
        raise FilesRefused(_NOT_WRITTEN, [Problem(message)]) from error


def _write(
    folder: Path,
    description: str,
    data: bytes,
    at_least: int,
    folders: Sequence[Path],
    *,
    timestamp: bool,
) -> Path:
    """Reserve a version, write the text into the reservation, give it the script's name.

    The reservation is a hidden file that only one creator can make. A creator that dies leaves it
    behind: its number is then skipped, nothing else. Whoever gets one looks at the folder again:
    another may have finished that version between the first look and the reservation.
    """
    version = at_least
    for _ in range(_TRIES):
        version = max(version, _highest(folders)) + 1
        if timestamp:
            version = max(version, int(datetime.now(UTC).strftime("%Y%m%d%H%M%S")))
        while (reservation := _reserve(folder, version)) is None:
            version += 1
        try:
            if version > max(at_least, _highest(folders)):
                return _publish(folder, description, data, version, reservation)
        finally:
            reservation.unlink(missing_ok=True)
    message = f"{folder}: others took every version for {_TRIES} tries; try again"
    raise FilesRefused(_NOT_WRITTEN, [Problem(message)])


def _highest(folders: Sequence[Path]) -> int:
    highest = 0
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            for entry in scan(folder):
                name = read_name(entry.name)
                if name is not None:
                    highest = max(highest, name.version)
    return highest


def _reserve(folder: Path, version: int) -> Path | None:
    """The path of the reservation, or None where another has it."""
    if version > HIGHEST_VERSION:
        message = (
            f"{folder}: the next version would be {version}, beyond {HIGHEST_VERSION}, "
            "the highest possible; renumber the newest script"
        )
        raise FilesRefused(_NOT_WRITTEN, [Problem(message)])
    reservation = folder / f".V{version}.reserved"
    try:
        os.close(os.open(reservation, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return None
    return reservation


def _publish(folder: Path, description: str, data: bytes, version: int, reservation: Path) -> Path:
    path = folder / file_name(version, description)
    with reservation.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(reservation, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links. Only the owner of the reservation gets here for this version,
        # and no file had it a moment ago.
        reservation.rename(path)
    return path
