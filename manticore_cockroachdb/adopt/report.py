"""A plan for people and for programs: lines of text, or an object for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .._wording import counted
from .plan import AdoptionPlan
from .table import TOOLS
from .values import Remark, Sure

#: Longer lists are cut; JSON has all of them.
_SHOWN = 12
_SURE = {Sure.CERTAIN: "", Sure.LIKELY: "probably ", Sure.POSSIBLE: "possibly "}


class Kind(Enum):
    """What a line is."""

    HEADING = "heading"
    TEXT = "text"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One line for people.

    Attributes:
        kind: What it is.
        text: The line.
    """

    kind: Kind
    text: str


def report(plan: AdoptionPlan, *, whole: bool = False) -> Iterator[ReportLine]:
    """The plan for people.

    Args:
        plan: The plan.
        whole: Leave nothing out.
    """
    most = None if whole else _SHOWN
    yield _heading(_recognized(plan))
    yield from _files(plan, most)
    yield from _ledger(plan)
    yield from _list("Cannot be written:", plan.problems, most, Kind.WARNING)
    findings = [Remark(str(finding)) for finding in plan.findings]
    yield from _list(f"Fix with {plan.title} first:", findings, most, Kind.WARNING)
    yield from _list("Not carried over:", plan.left, most, Kind.TEXT)
    yield from _list("To look at:", plan.notes, most, Kind.TEXT)


def _recognized(plan: AdoptionPlan) -> str:
    """The folder, the tool, and how sure that is."""
    if plan.sure is None:
        return f"{plan.source}: {plan.title}"
    sure = _SURE[plan.sure]
    why = f"{plan.why}, and its table is there" if sure and plan.ledger else plan.why
    return f"{plan.source}: {sure}{plan.title} ({why})"


def _files(plan: AdoptionPlan, most: int | None) -> Iterator[ReportLine]:
    ups = sum(script.up_statements for script in plan.scripts)
    downs = sum(script.down_statements for script in plan.scripts)
    new = len(plan.new_files)
    yield _text(
        f"{counted(len(plan.scripts), 'script')} for {plan.target}: {new} to be written, "
        f"{len(plan.scripts) - new} exist already."
    )
    yield _text(
        f"Compared: {ups} statements of up sections and {downs} of down sections are the same."
    )
    changed = [script for script in plan.scripts if script.renumbered]
    if changed:
        yield _heading("New versions:")
        for script in changed[:most]:
            yield _text(f"  {script.theirs.name} -> {script.script.path.name}")
        yield from _more(len(changed), most)


def _ledger(plan: AdoptionPlan) -> Iterator[ReportLine]:
    if plan.ledger is None and not plan.applied:
        names = [table.name for table in TOOLS[plan.tool].tables if table.required]
        named = f" If it is not named {names[0]}, add --ledger NAME." if names else ""
        yield _text(f"No ledger of {plan.title} was found; every script is pending.{named}")
        return
    recorded = f", {len(plan.recorded)} of them recorded here" if plan.recorded else ""
    ledger = f"Ledger {plan.ledger}" if plan.ledger else "The schema as it is"
    yield _text(f"{ledger}: {len(plan.applied)} applied{recorded}, {len(plan.pending)} pending.")
    if any(row.applied_at is None for row in plan.rows):
        yield _text(f"{plan.title} does not record when: the time of adoption is recorded instead.")
    if plan.guard is None:
        yield _text(f"Nothing will stop {plan.title} here: take it out of the deployment.")
    elif plan.guard.is_set:
        yield _text(f"{plan.title} is stopped: {plan.guard.says}")
    else:
        yield _text(f"{plan.title} will be stopped. It then says: {plan.guard.says}")


def _list(
    title: str, remarks: Sequence[Remark], most: int | None, kind: Kind
) -> Iterator[ReportLine]:
    if not remarks:
        return
    yield _heading(title)
    for remark in remarks[:most]:
        yield ReportLine(kind, f"  {remark}")
    yield from _more(len(remarks), most)


def _more(count: int, most: int | None) -> Iterator[ReportLine]:
    if most is not None and count > most:
        yield _text(f"  … and {count - most} more (--verbosity 2 shows all)")


def _heading(text: str) -> ReportLine:
    return ReportLine(Kind.HEADING, text)


def _text(text: str) -> ReportLine:
    return ReportLine(Kind.TEXT, text)


def as_dict(plan: AdoptionPlan) -> dict[str, Any]:
    """The plan for programs: plain values, ready for JSON."""
    return {
        "tool": plan.tool,
        "why": plan.why or None,
        "sure": plan.sure.name.lower() if plan.sure else None,
        "source": str(plan.source),
        "target": str(plan.target),
        "ready": plan.is_ready,
        "done": plan.is_done,
        "ledger": plan.ledger,
        "applied": list(plan.applied),
        "pending": list(plan.pending),
        "scripts": [
            {
                "version": script.version or None,
                "name": script.script.path.stem,
                "path": str(script.script.path),
                "file": script.state.value,
                "from": script.theirs.name,
                "renumbered": script.renumbered,
                "up_statements": script.up_statements,
                "down_statements": script.down_statements,
            }
            for script in plan.scripts
        ],
        "problems": [_remark(remark) for remark in plan.problems],
        "findings": [
            {
                "kind": finding.trouble.value,
                "message": finding.message,
                "remedy": finding.remedy,
            }
            for finding in plan.findings
        ],
        "left": [_remark(remark) for remark in plan.left],
        "notes": [_remark(remark) for remark in plan.notes],
        "guard": None
        if plan.guard is None
        else {"says": plan.guard.says, "is_set": plan.guard.is_set},
    }


def _remark(remark: Remark) -> dict[str, Any]:
    return {
        "message": remark.message,
        "path": str(remark.path) if remark.path else None,
        "line": remark.line,
    }
