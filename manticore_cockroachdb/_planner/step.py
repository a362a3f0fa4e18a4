"""One script to be run in one direction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .._scripts.direction import Direction
from .._scripts.script import MigrationScript, ScriptKey, called
from .._sql.statement import Statement


@dataclass(frozen=True, slots=True)
class Step:
    """One script to be run in one direction.

    Attributes:
        script: The script.
        direction: Up or down.
    """

    script: MigrationScript
    direction: Direction

    @property
    def version(self) -> int:
        """The script's version; 0 for a repeatable script."""
        return self.script.version

    @property
    def key(self) -> ScriptKey:
        """What the tables and the commands call the script: its version, or a repeatable one's name."""
        return self.script.key

    @property
    def called(self) -> str:
        """The script in messages: "version 7", or "R__active_users"."""
        return called(self.script.key)

    @property
    def name(self) -> str:
        """The script's name, as on disk but without its ending."""
        return self.script.path.stem

    @property
    def path(self) -> Path:
        """The file of the section that is run."""
        if self.direction is Direction.DOWN and self.script.down_path is not None:
            return self.script.down_path
        return self.script.path

    def where(self, statement: Statement | None = None) -> str:
        """The file in messages, and the line of one of its statements: "V7__users.sql:3"."""
        name = self.path.name
        return name if statement is None else f"{name}:{statement.line}"

    def statements(self) -> tuple[Statement, ...]:
        """The statements of the part that is run, read from the script's text at each call."""
        if self.direction is Direction.UP:
            return self.script.up_statements()
        return self.script.down_statements()
