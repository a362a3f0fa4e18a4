"""The files of a folder of scripts, by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        for entry in found:
            if not entry.name.startswith(".") and not entry.is_dir():
                yield entry
