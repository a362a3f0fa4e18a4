"""Reads the folders of scripts. Every problem of every file is reported at once."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ..errors import FilesRefused, Problem
from .checkpoint_file import missing_files, parse_checkpoint
from .filenames import (
    FORM,
    HIGHEST_VERSION,
    REPEATABLE_FORM,
    ScriptName,
    read_checkpoint_name,
    read_name,
)
from .folder import scan
from .parser import parse_script
from .repeatables import in_order, repeated_names
from .script import MigrationScript

_REFUSED: Final = "Nothing was run"


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    name: ScriptName


@dataclass(frozen=True, slots=True)
class Loaded:
    """What folders hold.

    Attributes:
        scripts: The scripts, by version.
        checkpoints: The checkpoints, by version.
    """

    scripts: tuple[MigrationScript, ...]
    checkpoints: tuple[MigrationScript, ...] = ()


def load(folders: Sequence[Path]) -> tuple[MigrationScript, ...]:
    """Read every script of these folders; see `load_all`."""
    return load_all(folders).scripts


def load_all(folders: Sequence[Path]) -> Loaded:
    """Read every script and checkpoint of these folders.

    Versions come in their order, then repeatable scripts in theirs; checkpoints by version.

    Subfolders, hidden files and files that do not end in .sql are left alone.

    Raises:
        FilesRefused: With every problem of every file, in the order of the files.
    """
    problems: list[Problem] = []
    found: list[_Entry] = []
    for folder in _distinct(folders):
        found += _entries(folder, problems)
    repeatable = [entry.path for entry in found if entry.name.is_repeatable]
    problems += repeated_names(repeatable)
    entries = [entry for entry in found if not (entry.name.is_repeatable or _is_checkpoint(entry))]
    ups = _by_version([entry for entry in entries if not entry.name.is_down], problems)
    downs = _by_version([entry for entry in entries if entry.name.is_down], problems)
    problems += [
        Problem(
            f"is a down section, but there is no V{entry.name.version}__….sql it belongs to",
            entry.path,
            version=version,
            hint="add that file or remove this one",
        )
        for version, entry in downs.items()
        if version not in ups
    ]
    scripts = []
    for version in sorted(ups):
        script = _read(ups[version].path, downs.get(version), problems)
        if script is not None:
            scripts.append(script)
    checkpoints = _checkpoints([each for each in found if _is_checkpoint(each)], problems)
    problems += missing_files(checkpoints, ups)
    again = [_read(path, None, problems) for path in repeatable]
    scripts += in_order([each for each in again if each is not None], repeatable, problems)
    if problems:
        raise FilesRefused(_REFUSED, _in_file_order(problems))
    return Loaded(tuple(scripts), checkpoints)


def _is_checkpoint(entry: _Entry) -> bool:
    return entry.path.name.startswith("B")


def _checkpoints(entries: list[_Entry], problems: list[Problem]) -> tuple[MigrationScript, ...]:
    checkpoints = []
    for _, entry in sorted(_by_version(entries, problems).items()):
        raw = _bytes(entry.path, problems)
        if raw is not None:
            script, wrong = parse_checkpoint(entry.path, entry.name, raw)
            problems += wrong
            checkpoints += [script] if script else []
    return tuple(checkpoints)


def load_file(folders: Sequence[Path], name: str) -> MigrationScript:
    """Read one script by its file's name, whatever else is in the folders.

    Two scripts of one version, as after a merge, can be distinguished by it.

    Args:
        folders: The folders.
        name: The file's name, with or without a folder in front.

    Raises:
        FilesRefused: There is no such script, or it is not a valid one.
    """
    problems: list[Problem] = []
    for folder in _distinct(folders):
        path = folder / Path(name).name
        if not path.is_file():
            continue
        entry = next(iter(_entry(path, problems)), None)
        if entry is None or entry.name.is_down or _is_checkpoint(entry):
            break
        if entry.name.is_repeatable:
            message = "is a repeatable script, which has no number"
            problems.append(
                Problem(message, path, hint="rename its file, if it needs another name")
            )
            break
        own = path.with_name(f"U{path.name[1:]}")
        down = _Entry(own, replace(entry.name, is_down=True)) if own.is_file() else None
        script = _read(path, down, problems)
        if script is not None:
            return script
    where = ", ".join(map(str, folders))
    missing = Problem(f"There is no script {Path(name).name} in {where}", hint="check the name")
    raise FilesRefused(_REFUSED, problems or [missing])


def _distinct(folders: Sequence[Path]) -> list[Path]:
    return list({os.path.realpath(folder): folder for folder in reversed(folders)}.values())[::-1]


def _entries(folder: Path, problems: list[Problem]) -> list[_Entry]:
    """The scripts' names in one folder; whatever else ends in .sql is a problem."""
    entries: list[_Entry] = []
    try:
        names = sorted(entry.name for entry in scan(folder))
    except FileNotFoundError:
        hint = (
            f"create it with `mkdir -p {shlex.quote(str(folder))}`, or create the first script, "
            "which creates it too"
        )
        problems.append(Problem(f"The migrations folder {folder} does not exist", hint=hint))
        return []
    except NotADirectoryError:
        message = f"{folder} is a file, not a folder of migrations"
        problems.append(Problem(message, hint="check the path"))
        return []
    except OSError as error:
        message = f"The migrations folder {folder} cannot be read: {error.strerror or error}"
        problems.append(Problem(message, hint="check its permissions"))
        return []
    for file in names:
        if not file.lower().endswith(".sql"):
            continue
        entries += _entry(folder / file, problems)
    return entries


def _entry(path: Path, problems: list[Problem]) -> Iterator[_Entry]:
    """The script a file's name says it is, or the problem with that name."""
    shown = path.name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    name = read_name(path.name) or read_checkpoint_name(path.name)
    if shown != path.name:
        message = "its name is not UTF-8, so it cannot be recorded; rename it"
        problems.append(Problem(message, path.with_name(shown)))
    elif name is None:
        message = (
            f"is not a valid script name: expected {FORM} (a capital V, a whole number, two "
            "underscores), for a down section alone the same with U, a checkpoint with B, a repeatable "
            f"script {REPEATABLE_FORM}"
        )
        problems.append(Problem(message, path, hint="rename it or move it away"))
    elif not name.is_repeatable and not 0 < name.version <= HIGHEST_VERSION:
        message = (
            "version 0 stands for the empty database: versions begin at 1"
            if name.version == 0
            else f"its version is beyond {HIGHEST_VERSION}, the highest possible"
        )
        problems.append(Problem(message, path, hint="rename it"))
    else:
        yield _Entry(path, name)


def _by_version(entries: list[_Entry], problems: list[Problem]) -> dict[int, _Entry]:
    found: dict[int, _Entry] = {}
    for entry in entries:
        version = entry.name.version
        first = found.setdefault(version, entry)
        if first is not entry:
            other = first.path.name
            if first.path.parent != entry.path.parent:
                other = str(first.path)
            what = "the down section of version" if entry.name.is_down else "version"
            hint = (
                "remove one of them, or give the one that is not applied anywhere another number: "
                "manticore_makemigration --renumber FILE"
            )
            if _is_checkpoint(entry):
                what, hint = "a checkpoint of version", "remove one of them"
            message = f"is {what} {version}, and so is {other}"
            problems.append(Problem(message, entry.path, version=version, hint=hint))
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
        message = f"cannot be read: {error.strerror or error}"
        problems.append(Problem(message, path, hint="check its permissions"))
        return None


def _in_file_order(problems: list[Problem]) -> list[Problem]:
    """By version, then name and line; what is about a folder comes first, repeatable scripts last."""

    def place(problem: Problem) -> tuple[int, int, str, int]:
        if problem.path is None:
            return (0, 0, "", 0)
        name = read_name(problem.path.name) or read_checkpoint_name(problem.path.name)
        if name is not None and name.is_repeatable:
            return (2, 0, problem.path.name, problem.line or 0)
        return (1, name.version if name else -1, problem.path.name, problem.line or 0)

    return sorted(problems, key=place)
