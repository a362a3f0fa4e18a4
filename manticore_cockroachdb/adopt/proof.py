"""What the scripts make, compared with what the database has: what is left out, and the messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from textwrap import shorten

from .._printing.compare import Difference
from ..errors import MigrationFailed, PlanRefused, Problem
from .tool import Tool

#: A statement that commits, or that no transaction may hold.
_NOT_IN_TRANSACTION = frozenset({"2D000", "25001"})
_UNSUPPORTED = "0A000"
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
        [Problem(f"{reason.rstrip('.')}.", hint=_hint(error))],
    )


def _hint(error: MigrationFailed) -> str:
    """What a script needs that its tool ran in another way, or ""."""
    if error.sqlstate in _NOT_IN_TRANSACTION:
        mode = "autocommit"
    elif error.sqlstate == _UNSUPPORTED and "same transaction" in str(error):
        mode = "atomic"  # CockroachDB swaps a primary key in one transaction only
    else:
        return ""
    return (
        f"Write the files (--write), put `-- manticore: mode={mode}` at the top of that script, and run "
        "this again"
    )


def described(difference: Difference) -> str:
    """One difference for people, seen from the scripts."""
    said = {
        "missing": "the scripts create it, and the database does not have it",
        "extra": "the database has it, and no script creates it",
        "changed": "it differs",
    }[difference.change.value]
    details = "; ".join(difference.details) or _apart(difference)
    return f"{difference.name}: {said}{f': {details}' if details else ''}."


def _apart(difference: Difference) -> str:
    """Where the statements of both differ; "" where one has none."""
    if not (difference.expected and difference.found):
        return ""
    ours, theirs = ("; ".join(each).split() for each in (difference.expected, difference.found))
    same = _shared(ours, theirs)
    end = _shared(ours[same:][::-1], theirs[same:][::-1])
    made, has = (
        repr(shorten(" ".join(each[same : len(each) - end]), 100, placeholder=" …"))
        for each in (ours, theirs)
    )
    return f"the database has {has} where the scripts have {made}".replace("''", "nothing")


def _shared(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """With how many equal words both begin."""
    pairs = zip(ours, theirs, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def own_objects(
    tool: Tool, labels: Iterable[str], schemas: Sequence[str], own_schemas: Iterable[str] = ()
) -> tuple[str, ...]:
    """Patterns for the tool's own objects, which no script makes.

    Args:
        tool: The tool.
        labels: Its tables that were found, as `schema.name`.
        schemas: The schemas that its further tables may be in.
        own_schemas: Schemas that hold the tool's tables alone, and no script's.
    """
    every = [*labels, *(f"{schema}.{name}" for schema in schemas for name in tool.also)]
    patterns = []
    for label in every:
        schema, _, name = label.rpartition(".")
        patterns += [f"table {label}", f'table {schema}."{name}"', f"sequence {label}_*seq"]
    own = {*own_schemas, *(name for table in tool.tables for name in table.schemas)}
    return (*patterns, *(f"schema {name}" for name in sorted(own)))
