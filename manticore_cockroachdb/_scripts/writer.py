"""Adds a script to a folder, and gives a script another number.

Neither overwrites a file, shows a half-written one under a script's name, or gives two callers the same
version, whether they are threads, processes or machines that share the folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ..errors import FilesRefused, Problem
from .filenames import (
    HIGHEST_VERSION,
    file_name,
    is_timestamp,
    read_checkpoint_name,
    read_name,
    repeatable_file_name,
    timestamp_version,
)
from .folder import scan
from .renderer import render
from .repeatables import repeated_names
from .script import MigrationScript

_NOT_WRITTEN: Final = "No file was written"
_NOT_RENAMED: Final = "No file was renamed"
_TRIES: Final = 10_000


def create(
    folder: Path,
    description: str,
    up: str,
    down: str | None,
    *,
    at_least: int = 0,
    others: Sequence[Path] = (),
    timestamp: bool | None = None,
) -> Path:
    """Write a new script and return its path.

    Args:
        folder: Where to; it is made, with its parents, if it is not there.
        description: Describe the script in a few words: becomes the file's name.
        up: The up section.
        down: The down section; None for a script that cannot be rolled back.
        at_least: The highest version known elsewhere (the ledger's): the new one is higher.
        others: Further folders whose versions are taken; they are made, too, if they are not there.
        timestamp: Use the time (UTC, YYYYMMDDHHMMSS) as the version, where that is higher. None follows
            the folders: the time if their highest version is one.

    Raises:
        SettingsError: The description makes no file name.
        FilesRefused: A section is not a valid SQL script, or the folder cannot be written to.
    """
    file_name(1, description)
    data = render(up, down).encode()

    def publish(version: int, reservation: Path) -> Path:
        return _publish(folder, description, data, version, reservation)

    with _writable(folder, _NOT_WRITTEN):
        for each in (folder, *others):
            each.mkdir(parents=True, exist_ok=True)
        return _with_version(
            folder, (folder, *others), publish, _NOT_WRITTEN, at_least=at_least, timestamp=timestamp
        )


def create_repeatable(
    folder: Path, description: str, sql: str, *, others: Sequence[Path] = ()
) -> Path:
    """Write a new repeatable script and return its path.

    Args:
        folder: Where to; it is made, with its parents, if it is not there.
        description: What the script makes, in a few words: becomes the file's name.
        sql: The script.
        others: All folders, where the name must not be taken either.

    Raises:
        SettingsError: The description makes no file name.
        FilesRefused: The name is taken, the text is not a valid SQL script, or the folder cannot be
            written to.
    """
    path = folder / repeatable_file_name(description)
    data = render(sql, None, repeatable=True).encode()
    with _writable(folder, _NOT_WRITTEN):
        folder.mkdir(parents=True, exist_ok=True)
        reservation = folder / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            _write(reservation, data)
            taken = list(repeated_names([*_repeatable_scripts((folder, *others)), path]))
            if not taken:
                with contextlib.suppress(FileExistsError):
                    _link(reservation, path)
                    return path
        finally:
            reservation.unlink(missing_ok=True)
    problem = Problem(
        f"{path} exists already", hint="edit that file: it runs again when it has changed"
    )
    raise FilesRefused(_NOT_WRITTEN, taken if taken and not path.exists() else [problem])


def _repeatable_scripts(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in {os.path.realpath(each): each for each in folders}.values():
        with contextlib.suppress(FileNotFoundError):
            for entry in scan(folder):
                name = read_name(entry.name)
                if name is not None and name.is_repeatable:
                    yield folder / entry.name


def renumber(
    script: MigrationScript,
    folders: Sequence[Path],
    *,
    at_least: int = 0,
    timestamp: bool | None = None,
) -> Path:
    """Give a script the next free version and return its new path.

    Args:
        script: The script; a down section in a separate file goes with it.
        folders: Every folder whose versions are taken.
        at_least: The highest version known elsewhere (the ledger's): the new one is higher.
        timestamp: As for `create`.

    Raises:
        FilesRefused: The folder cannot be written to.
    """
    folder = script.path.parent

    def rename(version: int, _reservation: Path) -> Path:
        # The down section first: a crash in between leaves a set of files that is refused, and never
        # one in which two scripts do the same.
        if script.down_path is not None:
            script.down_path.rename(_renumbered(script.down_path, version))
        return script.path.rename(_renumbered(script.path, version))

    with _writable(folder, _NOT_RENAMED):
        return _with_version(
            folder, folders, rename, _NOT_RENAMED, at_least=at_least, timestamp=timestamp
        )


def write_checkpoint(path: Path, text: str) -> bool:
    """Write a checkpoint's file: the whole of it or nothing, in place of an older one.

    Args:
        path: Its file.
        text: Its text.

    Returns:
        Whether it was written; False if the file says the same already.

    Raises:
        FilesRefused: The folder cannot be written to.
    """
    data = text.encode()
    with _writable(path.parent, _NOT_WRITTEN):
        for left in path.parent.glob(".B*.sql.*.new"):  # by a process that was killed
            left.unlink(missing_ok=True)
        if path.is_file() and path.read_bytes() == data:
            return False
        beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    return True


def _renumbered(path: Path, version: int) -> Path:
    """The path with another version, as many digits wide as before."""
    number, separator, rest = path.name.partition("__")
    return path.with_name(f"{number[0]}{version:0{len(number) - 1}d}{separator}{rest}")


@contextlib.contextmanager
def _writable(folder: Path, headline: str) -> Iterator[None]:
    """Report what the disk refuses."""
    try:
        yield
    except OSError as error:
        problem = Problem(
            f"{error.filename or folder} cannot be written to: {error.strerror or error}",
            hint="check the path, its permissions and the space left",
        )
        raise FilesRefused(headline, [problem]) from error


def _with_version(
    folder: Path,
    folders: Sequence[Path],
    use: Callable[[int, Path], Path],
    headline: str,
    *,
    at_least: int,
    timestamp: bool | None,
) -> Path:
    """Reserve the next version and use it.

    The reservation is a hidden file that only one caller can make. A caller that dies leaves it behind:
    its number is then skipped, nothing else. Whoever gets one looks at the folders again: another may
    have finished that version between the first look and the reservation.
    """
    version = at_least
    for _ in range(_TRIES):
        highest = _highest(folders)
        version = max(version, highest) + 1
        if timestamp or (timestamp is None and is_timestamp(highest)):
            version = max(version, timestamp_version(datetime.now(UTC)))
        while (reservation := _reserve(folder, version, headline)) is None:
            version += 1
        try:
            if version > max(at_least, _highest(folders)):
                return use(version, reservation)
        finally:
            reservation.unlink(missing_ok=True)
    message = f"{folder}: others took every version for {_TRIES} tries"
    raise FilesRefused(headline, [Problem(message, hint="try again")])


def _highest(folders: Sequence[Path]) -> int:
    highest = 0
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            for entry in scan(folder):
                name = read_name(entry.name) or read_checkpoint_name(entry.name)
                if name is not None:
                    highest = max(highest, name.version)
    return highest


def _reserve(folder: Path, version: int, headline: str) -> Path | None:
    """The path of the reservation, or None where another has it."""
    if version > HIGHEST_VERSION:
        problem = Problem(
            f"{folder}: the next version would be {version}, beyond {HIGHEST_VERSION}, "
            "the highest possible",
            hint="renumber the newest script",
        )
        raise FilesRefused(headline, [problem])
    reservation = folder / f".V{version}.reserved"
    try:
        os.close(os.open(reservation, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return None
    return reservation


def _publish(folder: Path, description: str, data: bytes, version: int, reservation: Path) -> Path:
    path = folder / file_name(version, description)
    _write(reservation, data)
    _link(reservation, path)
    return path


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _link(reservation: Path, path: Path) -> None:
    """Show a whole file under its name.

    Raises:
        FileExistsError: Another one has that name.
    """
    try:
        os.link(reservation, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links. No file had that name a moment ago; for a version, only the owner of
        # its reservation gets here.
        reservation.rename(path)
