"""A comparison of a database with its scripts, in words and as JSON values. Pure text, no output.

`manticore_drift --json`, besides `ok` (true if nothing differs), each database:
    `database`, `server`, `version`, `objects` (how many were compared), `unused_ignores`, `differences`:
    a list of `change` ("missing", "extra", "changed"), `kind`, `name`, `details`, `expected`, `found`,
    `repair`, `adopt`: the last four are lists of SQL statements. `repair` and `adopt` of the database are
    those of all differences, each once, in an order in which they can be run.

`manticore_drift --quick --json`, besides `ok` (true if nothing was changed), each database:
    `database`, `answer` ("unchanged", "changed", "unknown"), `reason` (why it is not known).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django_manticore import messages
from manticore_cockroachdb.rehearsal import (
    Change,
    Difference,
    Drift,
    QuickDrift,
    SinceLastRun,
)

from .json_output import FORMAT

_MEANING = {
    Change.MISSING: "the scripts create it; the database does not have it",
    Change.EXTRA: "the database has it; no script creates it",
    Change.CHANGED: "it is not as the scripts create it",
}


def summary(alias: str, drift: Drift) -> str:
    """One line: how much differs."""
    count = len(drift.differences)
    said = (
        "nothing differs"
        if not count
        else f"{count} object{'s differ' if count > 1 else ' differs'}"
    )
    return f"{alias}: {said} ({drift.objects} objects compared at version {drift.version})"


def quick(alias: str, found: QuickDrift) -> str:
    """One line: whether a schema was changed."""
    return " ".join(
        filter(None, (f"{alias}: {messages.SINCE_LAST_RUN[found.answer.value]}", found.reason))
    )


def quick_report(found: Mapping[str, QuickDrift]) -> dict[str, Any]:
    """The report of `manticore_drift --quick`."""
    return {
        "format": FORMAT,
        "ok": all(each.answer is SinceLastRun.UNCHANGED for each in found.values()),
        "databases": [
            {"database": alias, "answer": each.answer.value, "reason": each.reason}
            for alias, each in found.items()
        ],
    }


def in_words(difference: Difference) -> Iterator[str]:
    """The lines for one object."""
    yield f"  {difference.change.value} {difference.name}: {_MEANING[difference.change]}."
    for detail in difference.details:
        yield f"    {detail}"
    if difference.change is Change.CHANGED and not difference.details:
        yield from _block("The scripts create:", difference.expected)
        yield from _block("The database has:", difference.found)
    if difference.repair:
        yield from _block("To make the database match the scripts:", difference.repair)
    if difference.adopt:
        yield from _block("To keep it, put this into a new script:", difference.adopt)
    if not difference.repair and not difference.adopt:
        yield "    No statement certainly changes one into the other: write it by hand."


def together(drift: Drift) -> Iterator[str]:
    """The lines for several objects: how all are made to match, in an order that can be run."""
    if sum(bool(each.repair) for each in drift.differences) < 2:
        return
    yield "  To make all of them match the scripts, in an order that can be run:"
    yield from _statements(drift.repair)


def _block(title: str, statements: Sequence[str]) -> Iterator[str]:
    yield f"    {title}"
    yield from _statements(statements)


def _statements(statements: Sequence[str]) -> Iterator[str]:
    for statement in statements:
        lines = f"{statement};".split("\n")
        yield from (f"      {line}".rstrip() for line in lines)


def report(found: Iterable[tuple[str, Drift]]) -> dict[str, Any]:
    """The report of `manticore_drift`."""
    parts = list(found)
    return {
        "format": FORMAT,
        "ok": not any(drift for _, drift in parts),
        "databases": [
            {
                "database": alias,
                "ok": not drift,
                "server": drift.server,
                "version": drift.version,
                "objects": drift.objects,
                "unused_ignores": list(drift.unused_ignores),
                "differences": [_values(each) for each in drift.differences],
                "repair": list(drift.repair),
                "adopt": list(drift.adopt),
            }
            for alias, drift in parts
        ],
    }


def _values(difference: Difference) -> dict[str, Any]:
    return {
        "change": difference.change.value,
        "kind": difference.name.kind,
        "name": difference.name.name,
        "details": list(difference.details),
        "expected": list(difference.expected),
        "found": list(difference.found),
        "repair": list(difference.repair),
        "adopt": list(difference.adopt),
    }
