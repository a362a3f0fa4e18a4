"""The disk: reads another tool's folder once, into a `Folder`; reads and writes our scripts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .._scripts.loader import load
from .._scripts.script import MigrationScript, ScriptKey
from ..errors import FilesRefused, Problem
from .conversion import Converted
from .values import Folder

#: Files whose contents matter. Of program files only the names do.
_TEXT: Final = (".sql", ".sum", ".conf", ".toml", ".yml", ".yaml", ".xml")
_SKIPPED: Final = frozenset({"node_modules", "__pycache__", "vendor", "target"})
_DEPTH: Final = 6
_MOST_BYTES: Final = 256 * 1024 * 1024


def read_folder(root: Path) -> Folder:
    """Read a folder with its subfolders, or one file.

    Hidden files and folders, and those of packages and builds, are left alone.

    Raises:
        FilesRefused: It is not there, cannot be read, or is too large for a folder of migrations.
    """
    try:
        if root.is_file():
            files = {root.name: root.read_bytes()}
        elif root.is_dir():
            files = dict(_walk(root))
        else:
            message = f"{root} does not exist. Name the folder with the other tool's files."
            raise FilesRefused("No files were read", [Problem(message)])
        parent = root.resolve().parent
        around = frozenset(os.listdir(parent))  # noqa: PTH208 - names are enough
    except OSError as error:
        message = f"{root} cannot be read: {error.strerror or error}. Check its permissions."
        raise FilesRefused("No files were read", [Problem(message)]) from error
    return Folder(root, files, around)


def _walk(root: Path) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    total = 0
    for here, folders, names in os.walk(root):
        place = Path(here)
        parts = place.relative_to(root).parts
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in _SKIPPED
        )
        if len(parts) >= _DEPTH:
            folders.clear()
        for name in sorted(names):
            if name.startswith("."):
                continue
            raw = b""
            if name.lower().endswith(_TEXT):
                raw = (place / name).read_bytes()
            total += len(raw)
            if total > _MOST_BYTES:
                message = (
                    f"{root} holds more than {_MOST_BYTES // 2**20} MiB of text. Name the folder of "
                    "the migrations alone."
                )
                raise FilesRefused("No files were read", [Problem(message)])
            found.append(("/".join((*parts, name)), raw))
    return found


def read_scripts(folder: Path) -> dict[ScriptKey, MigrationScript]:
    """Our scripts in a folder, by version or name; none where there is no folder.

    Raises:
        FilesRefused: With every problem of every file.
    """
    if not folder.exists():
        return {}
    return {script.key: script for script in load([folder])}


def read_texts(folder: Path) -> dict[str, str]:
    """The text files at the top of a folder; none where there is no folder."""
    if not folder.is_dir():
        return {}
    return {
        path.name: path.read_text("utf-8", errors="replace")
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name.lower().endswith(_TEXT)
    }


def write_scripts(folder: Path, scripts: Sequence[Converted]) -> tuple[Path, ...]:
    """Write the scripts that are new; see `write_texts`."""
    return write_texts(
        folder,
        [(each.script.path.name, each.text) for each in scripts if each.text is not None],
    )


def write_texts(folder: Path, texts: Sequence[tuple[str, str]]) -> tuple[Path, ...]:
    """Write files. Nothing is ever overwritten.

    Each file gets its name only when it is whole. Where writing ends in the middle, a second run finds the
    files that were written and writes the others.

    Raises:
        FilesRefused: The folder cannot be written to, or a file is there after all.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts:
            path = folder / name
            _publish(path, text)
            written.append(path)
    except FileExistsError as error:
        message = "exists now and is not overwritten. Run this again."
        problem = Problem(message, Path(str(error.filename2 or error.args[0])))
        raise FilesRefused("Not every file was written", [problem]) from error
    except OSError as error:
        message = (
            f"{folder} cannot be written to: {error.strerror or error}. Check its permissions."
        )
        raise FilesRefused("Not every file was written", [Problem(message)]) from error
    return tuple(written)


def _publish(path: Path, text: str) -> None:
    """Give a whole file its name, unless another has it."""
    hidden = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        with hidden.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(hidden, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if path.exists():
                raise FileExistsError(str(path)) from None
            hidden.rename(path)
    finally:
        hidden.unlink(missing_ok=True)
