"""What the scripts make, compared with what the database has: what is left out, and the messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .._printing.compare import Difference
from ..errors import MigrationFailed, PlanRefused, Problem
from .tool import Tool

#: How many differences are shown; a wrong folder differs in everything.
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Proof:
    """Two printings, compared: of the live schema, and of what the scripts make on a scratch database.

    Attributes:
        server: Kind and version of the server of both.
        objects: How many objects were compared.
        differences: The objects that differ; none where the scripts make what is there.
    """

    server: str
    objects: int
    differences: tuple[Difference, ...]

    def check(self) -> None:
        """Refuse while something differs.

        Raises:
            PlanRefused: With the differences.
        """
        if not self.differences:
            return
        problems = [Problem(described(difference)) for difference in self.differences[:_SHOWN]]
        if len(self.differences) > _SHOWN:
            problems.append(Problem(f"{len(self.differences) - _SHOWN} more objects differ."))
        raise PlanRefused(
            "The scripts do not create the live schema, so nothing was adopted", problems
        )


def not_proved(error: MigrationFailed) -> PlanRefused:
    """The error for a script that failed on the scratch database."""
    reason = str(error).partition("\n")[0]
    return PlanRefused(
        "A script fails on an empty scratch database, as it would on a new one, so nothing was adopted",
        [Problem(f"{reason.rstrip('.')}.")],
    )


def described(difference: Difference) -> str:
    """One difference for people, seen from the scripts."""
    said = {
        "missing": "the scripts create it, and the database does not have it",
        "extra": "the database has it, and no script creates it",
        "changed": "it differs",
    }[difference.change.value]
    details = f": {'; '.join(difference.details)}" if difference.details else ""
    return f"{difference.name}: {said}{details}."


def own_objects(tool: Tool, labels: Iterable[str], schemas: Sequence[str]) -> tuple[str, ...]:
    """Patterns for the tool's own objects, which no script makes.

    Args:
        tool: The tool.
        labels: Its tables that were found, as `schema.name`.
        schemas: The schemas that its further tables may be in.
    """
    every = [*labels, *(f"{schema}.{name}" for schema in schemas for name in tool.also)]
    patterns = []
    for label in every:
        schema, _, name = label.rpartition(".")
        patterns += [f"table {label}", f'table {schema}."{name}"', f"sequence {label}_*seq"]
    own = {name for table in tool.tables for name in table.schemas}
    return (*patterns, *(f"schema {name}" for name in sorted(own)))
