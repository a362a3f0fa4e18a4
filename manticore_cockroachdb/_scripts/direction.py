"""Which section of a script is run."""

from __future__ import annotations

from enum import Enum


class Direction(Enum):
    """Which section of a script is run."""

    UP = "up"
    DOWN = "down"

    @property
    def participle(self) -> str:
        """What a migration is once this section has run."""
        return "applied" if self is Direction.UP else "reverted"
