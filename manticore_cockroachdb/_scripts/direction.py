"""Which section of a script is run."""

from __future__ import annotations

from enum import Enum


class Direction(Enum):
    """Which section of a script is run."""

    UP = "up"
    DOWN = "down"
