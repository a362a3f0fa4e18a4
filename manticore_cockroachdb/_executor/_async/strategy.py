"""What the ways to run scripts have in common: each accepts a cursor, runs from there, and moves it."""

from __future__ import annotations

from typing import Protocol

from ..._planner.cursor import RunCursor


class AsyncStrategy(Protocol):
    """A way to run the steps of one run."""

    def accepts(self, cursor: RunCursor) -> bool:
        """Whether the step that comes next can be run in this way."""
        ...

    async def run(self, cursor: RunCursor) -> RunCursor:
        """Run that step, and as many after it as belong together.

        Args:
            cursor: Where the run is.

        Returns:
            Where it is now. The place is unchanged where the server refused this way for the step; the
            strategy does not accept it again.
        """
        ...
