"""A rehearsal in words and as JSON values. Pure text, no output.

`manticore_rehearse --json`, besides `ok` (true if every script could be rehearsed and none is to be
fixed): `database`, `server`, `planned` (how many scripts were to be rehearsed), and `scripts`: a list of
`version` (null for a repeatable script), `name`, `path`, `ok`, `outcome`, `after_down`,
`after_up_again` (lists of `change`, `kind`, `name`, `place`, `details`), `lost_rows`, `failed_assertions`,
`crashes` (a list of `direction`, `line`, `statement`, `cut`, `recovery`, `message`), `error`, `seconds`;
and `left_out`: statements that change the server and not the database, and were not run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from manticore_cockroachdb.rehearsal import Change, Difference, Outcome, Rehearsal, Rehearsed

from .. import messages
from .json_output import FORMAT

_AFTER_DOWN = {
    Change.MISSING: "was there before and is gone after the down section",
    Change.EXTRA: "is left behind by the down section",
    Change.CHANGED: "is not as before after the down section",
}
_AFTER_UP = {
    Change.MISSING: "is missing after the second up",
    Change.EXTRA: "is there only after the second up",
    Change.CHANGED: "is not the same after the second up",
}
_ADVICE = {
    Outcome.NO_DOWN: "Add a '-- DOWN' line and the statements that revert it, or mark it with "
    "'-- manticore: irreversible'.",
}


def line(number: int, total: int, name: str, outcome: str, seconds: float) -> str:
    """One script's line during the rehearsal."""
    return f"  [{number}/{total}] {name} {outcome} ({messages.duration(seconds)})"


def in_words(result: Rehearsed) -> Iterator[str]:
    """What is to be fixed in one script."""
    if result.outcome in _ADVICE:
        yield f"    {_ADVICE[result.outcome]}"
    for differences, words in (
        (result.after_down, _AFTER_DOWN),
        (result.after_up_again, _AFTER_UP),
    ):
        for each in differences:
            yield f"    {result.place(each.name)}: {each.name} {words[each.change]}."
            yield from (f"      {detail}" for detail in each.details)
    for text in (*result.lost_rows, *result.failed_assertions):
        yield f"    {text}"
    for crash in result.crashes:
        if not crash.ok:
            yield f"    {result.script.path.name}: {crash}"
    if result.error is not None:
        yield from (f"    {text}" for text in result.error.split("\n"))


def recoveries(result: Rehearsed) -> str:
    """How the runs whose connection was cut ended, counted."""
    counts = Counter(crash.recovery for crash in result.crashes)
    said = ", ".join(f"{count} {recovery.value}" for recovery, count in counts.items())
    return f"{len(result.crashes)} cuts: {said}"


def summary(alias: str, found: Rehearsal) -> str:
    """One line for the whole."""
    if not found.planned:
        return f"{alias}: there is nothing to rehearse."
    good = sum(each.ok for each in found.scripts)
    total = messages.scripts(found.planned)
    text = f"{alias}: {good} of {total} can be applied, reverted and applied again"
    left = found.planned - len(found.scripts)
    return text + (f"; {left} were not reached." if left else ".")


def left_out(found: Rehearsal) -> Iterator[str]:
    """What was not run, and how it can be."""
    for each in found.left_out:
        yield f"  {each} changes the server and not the database: it was left out."
    if found.left_out:
        yield "  Name a server where it may run with --scratch URL."


def report(parts: Iterable[tuple[str, Rehearsal]]) -> dict[str, Any]:
    """The report of `manticore_rehearse`."""
    found = list(parts)
    return {
        "format": FORMAT,
        "ok": all(each.ok for _, each in found),
        "databases": [
            {
                "database": alias,
                "ok": each.ok,
                "server": each.server,
                "planned": each.planned,
                "scripts": [_values(result) for result in each.scripts],
                "left_out": list(each.left_out),
            }
            for alias, each in found
        ],
    }


def _values(result: Rehearsed) -> dict[str, Any]:
    def differing(differences: Iterable[Difference]) -> list[dict[str, Any]]:
        return [
            {
                "change": each.change.value,
                "kind": each.name.kind,
                "name": each.name.name,
                "place": result.place(each.name),
                "details": list(each.details),
            }
            for each in differences
        ]

    return {
        "version": result.script.version or None,
        "name": result.script.path.stem,
        "path": str(result.script.path),
        "ok": result.ok,
        "outcome": result.outcome.value,
        "after_down": differing(result.after_down),
        "after_up_again": differing(result.after_up_again),
        "lost_rows": list(result.lost_rows),
        "failed_assertions": list(result.failed_assertions),
        "crashes": [
            {
                "direction": crash.direction.value,
                "line": crash.line,
                "statement": crash.statement,
                "cut": crash.cut,
                "recovery": crash.recovery.value,
                "message": crash.message,
            }
            for crash in result.crashes
        ],
        "error": result.error,
        "seconds": round(result.seconds, 3),
    }
