"""The folders of scripts: reading all of them, and adding one.

Knows names, versions and the disk; what stands in a file is `script`'s business. Reading reports
every problem of every file at once. Adding never overwrites, never shows a half-written file under
a script's name, and never gives two creators the same version, whether they are threads, processes
or machines that share the folder.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .errors import FilesRefused, Problem
from .script import (
    FORM,
    HIGHEST_VERSION,
    MigrationScript,
    ScriptName,
    file_name,
    parse_script,
    read_name,
    render,
)

_REFUSED: Final = "Migration files refused"
_NOT_WRITTEN: Final = "No file was written"
_TRIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    name: ScriptName


def load(folders: Sequence[Path]) -> tuple[MigrationScript, ...]:
    """Read every script of these folders, by version.

    Subfolders, hidden files and files that do not end in .sql are left alone.

    Raises:
        FilesRefused: With every problem of every file, in the order of the files.
    """
    problems: list[Problem] = []
    entries: list[_Entry] = []
    for folder in _distinct(folders):
        entries += _entries(folder, problems)
    ups = _by_version([entry for entry in entries if not entry.name.is_down], problems)
    downs = _by_version([entry for entry in entries if entry.name.is_down], problems)
    problems += [
        Problem(
            f"is a down part, but there is no V{entry.name.version}__….sql it belongs to; "
            "add that file or remove this one",
            entry.path,
            version=version,
        )
        for version, entry in downs.items()
        if version not in ups
    ]
    scripts = []
    for version in sorted(ups):
        script = _read(ups[version].path, downs.get(version), problems)
        if script is not None:
            scripts.append(script)
    if problems:
        raise FilesRefused(_REFUSED, _in_file_order(problems))
    return tuple(scripts)


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


def _distinct(folders: Sequence[Path]) -> list[Path]:
    return list({os.path.realpath(folder): folder for folder in reversed(folders)}.values())[::-1]


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        for entry in found:
            if not entry.name.startswith(".") and not entry.is_dir():
                yield entry


def _entries(folder: Path, problems: list[Problem]) -> list[_Entry]:
    """The scripts' names in one folder; whatever else ends in .sql is a problem."""
    entries = []
    try:
        names = sorted(entry.name for entry in _scan(folder))
    except FileNotFoundError:
        message = (
            f"the migrations folder {folder} does not exist; make it with "
            f"`mkdir -p {shlex.quote(str(folder))}`, or create the first script, which makes it too"
        )
        problems.append(Problem(message))
        return []
    except NotADirectoryError:
        problems.append(Problem(f"{folder} is a file, not a folder of migrations; check the path"))
        return []
    except OSError as error:
        message = f"the migrations folder {folder} cannot be read: {error.strerror or error}"
        problems.append(Problem(f"{message}; check its permissions"))
        return []
    for file in names:
        if not file.lower().endswith(".sql"):
            continue
        path = folder / file
        name = read_name(file)
        if name is None:
            message = (
                f"fits no rule: a script is named {FORM} (a capital V, a whole number, two "
                "underscores), a down part of its own the same with U; rename it or move it away"
            )
            problems.append(Problem(message, path))
        elif not 0 < name.version <= HIGHEST_VERSION:
            message = (
                "version 0 stands for the empty database: versions begin at 1; rename it"
                if name.version == 0
                else f"its version is beyond {HIGHEST_VERSION}, the highest possible; rename it"
            )
            problems.append(Problem(message, path))
        else:
            entries.append(_Entry(path, name))
    return entries


def _by_version(entries: list[_Entry], problems: list[Problem]) -> dict[int, _Entry]:
    found: dict[int, _Entry] = {}
    for entry in entries:
        version = entry.name.version
        first = found.setdefault(version, entry)
        if first is not entry:
            other = first.path.name
            if first.path.parent != entry.path.parent:
                other = str(first.path)
            what = "the down part of version" if entry.name.is_down else "version"
            message = f"is {what} {version}, and so is {other}; renumber or remove one of them"
            problems.append(Problem(message, entry.path, version=version))
    return found


def _read(path: Path, down: _Entry | None, problems: list[Problem]) -> MigrationScript | None:
    raw = _bytes(path, problems)
    down_raw = _bytes(down.path, problems) if down else None
    if raw is None or (down is not None and down_raw is None):
        return None
    own = (down.path, down_raw) if down is not None and down_raw is not None else None
    script, found = parse_script(path, raw, own)
    problems += found
    return script


def _bytes(path: Path, problems: list[Problem]) -> bytes | None:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - Path.open is half as fast
            return file.read()
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}; check its permissions"
        problems.append(Problem(message, path))
        return None


def _in_file_order(problems: list[Problem]) -> list[Problem]:
    """By version, then name and line; what is about a folder comes first."""

    def place(problem: Problem) -> tuple[int, int, str, int]:
        if problem.path is None:
            return (0, 0, "", 0)
        name = read_name(problem.path.name)
        return (1, name.version if name else -1, problem.path.name, problem.line or 0)

    return sorted(problems, key=place)


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
            for entry in _scan(folder):
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
