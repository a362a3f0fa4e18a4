"""How many rows the next window of a batch has. Decides; sends nothing.

Windows that take longer than their target shrink in proportion; quick ones grow, at most twofold, up to
what the script allows. A window that the server refused to serialize (40001) is tried again with half the
rows.
"""

from __future__ import annotations

#: A window this much quicker than its target lets the next one grow.
_QUICK = 0.7


class WindowSize:
    """The number of rows in the next window.

    Args:
        most: Rows in one window at most.
        target: Seconds that one window should take.

    Attributes:
        rows: Rows in the next window; at least one.
    """

    def __init__(self, most: int, target: float) -> None:
        self.rows = most
        self._most = most
        self._target = target

    def took(self, seconds: float) -> None:
        """Learn from the window that was just done."""
        if seconds > self._target:
            self.rows = max(1, int(self.rows * self._target / seconds))
        elif seconds < self._target * _QUICK:
            self.rows = min(self._most, self.rows * 2)

    def refused(self) -> None:
        """Halve the window after a refusal, down to one row."""
        self.rows = max(1, self.rows // 2)
