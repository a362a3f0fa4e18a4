"""Two printings of servers of one version, compared object by object. Pure.

Text that a person wrote is never compared with text that a server prints: both sides come from a server.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from .objects import Kind, ObjectName, Printing, SchemaObject
from .suggestions import becoming, beyond_parts, follows_columns, is_labeled, making, removing


class Change(Enum):
    """How an object of the database differs from what the scripts make."""

    MISSING = "missing"
    """The scripts make it; the database does not have it."""
    EXTRA = "extra"
    """The database has it; no script makes it."""
    CHANGED = "changed"
    """Both have it, and it is not the same."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that differs.

    Attributes:
        change: How.
        name: The object.
        expected: The statements by which the scripts' object is made; empty if it is extra.
        found: The statements by which the database's object is made; empty if it is missing.
        details: What differs inside it, such as a table's columns, in words.
        repair: Statements that bring the database to what the scripts say; empty where none are certain.
        adopt: Statements for a new script that brings the scripts to what the database has; empty where
            none are certain.
    """

    change: Change
    name: ObjectName
    expected: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    repair: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.change.value} {self.name}"


def compare(
    expected: Printing, found: Printing, ignore: Iterable[str] = ()
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """What differs.

    Args:
        expected: What the scripts make.
        found: What the database has.
        ignore: Patterns of names that may differ, such as `table public.audit_*`, with `*` and `?` as in
            file names. What belongs to an ignored object is ignored, too.

    Returns:
        The differences by name, and the patterns that no difference needed.
    """
    patterns = dict.fromkeys(ignore, 0)
    differences = []
    for name in sorted({*expected.objects, *found.objects}):
        ours, theirs = expected.objects.get(name), found.objects.get(name)
        if _same(ours, theirs):
            continue
        if _ignored(name, (ours, theirs), (expected, found), patterns):
            continue
        if not _told_by_parent(ours, theirs, expected, found):
            differences.append(_difference(name, ours, theirs, expected, found))
    for name in sorted({*expected.omitted} ^ {*found.omitted}):
        if not _matches(name, patterns):
            change = Change.MISSING if name in expected.omitted else Change.EXTRA
            said = "objects of this kind are not printed, so only their names are compared"
            differences.append(Difference(change, name, details=(said,)))
    return tuple(differences), tuple(p for p, used in patterns.items() if not used)


def _same(ours: SchemaObject | None, theirs: SchemaObject | None) -> bool:
    """Whether two objects are alike except for the order of columns.

    A column that was dropped and added again stands last: a rollback does so, and no hand.
    """
    if ours is None or theirs is None:
        return False
    if ours.statements == theirs.statements:
        return True
    if ours.name.kind != Kind.TABLE.value or sorted(ours.parts) != sorted(theirs.parts):
        return False
    return beyond_parts(ours) == beyond_parts(theirs)


def _ignored(
    name: ObjectName,
    sides: Iterable[SchemaObject | None],
    printings: Iterable[Printing],
    patterns: dict[str, int],
) -> bool:
    if _matches(name, patterns):
        return True
    for side, printing in zip(sides, printings, strict=True):
        above = side.parent if side is not None else None
        while above is not None:
            if _matches(above, patterns):
                return True
            above = printing.objects[above].parent if above in printing.objects else None
    return False


def _matches(name: ObjectName, patterns: dict[str, int]) -> bool:
    matching = [pattern for pattern in patterns if fnmatchcase(str(name), pattern)]
    for pattern in matching:
        patterns[pattern] += 1
    return bool(matching)


def _told_by_parent(
    ours: SchemaObject | None, theirs: SchemaObject | None, expected: Printing, found: Printing
) -> bool:
    """Whether it is missing, or extra, together with the object it belongs to."""
    if ours is None and theirs is not None and theirs.parent is not None:
        return theirs.parent not in expected.objects
    if theirs is None and ours is not None and ours.parent is not None:
        return ours.parent not in found.objects
    return False


def _difference(
    name: ObjectName,
    ours: SchemaObject | None,
    theirs: SchemaObject | None,
    expected: Printing,
    found: Printing,
) -> Difference:
    if ours is None and theirs is not None:
        made = making(theirs, found)
        return Difference(Change.EXTRA, name, (), made, (), removing(theirs), made)
    if theirs is None and ours is not None:
        made = making(ours, expected)
        return Difference(Change.MISSING, name, made, (), (), made, removing(ours))
    assert ours is not None and theirs is not None  # noqa: S101, PT018 - one of them is there
    return Difference(
        Change.CHANGED,
        name,
        ours.statements,
        theirs.statements,
        _details(ours, theirs),
        becoming(theirs, ours, expected),
        becoming(ours, theirs, found),
    )


def _details(ours: SchemaObject, theirs: SchemaObject) -> tuple[str, ...]:
    """What differs inside a table or a type, in words."""
    if ours.name.kind not in (Kind.TABLE.value, Kind.TYPE.value):
        return ()
    if not ours.parts and not theirs.parts:
        return ()
    wanted, had = dict(ours.parts), dict(theirs.parts)
    details = []
    for part in sorted({*wanted, *had}):
        ours_text, theirs_text = wanted.get(part), had.get(part)
        if ours_text == theirs_text or follows_columns(part, wanted, had):
            continue
        label = part if " " in part.replace('"', "") and is_labeled(part) else f"column {part}"
        if theirs_text is None:
            details.append(f"{label} is missing: {ours_text}")
        elif ours_text is None:
            details.append(f"{label} is extra: {theirs_text}")
        else:
            details.append(f"{label} should be {ours_text!r} and is {theirs_text!r}")
    details += _other_statements(ours, theirs)
    return tuple(details) or ("its definition differs",)


def _other_statements(ours: SchemaObject, theirs: SchemaObject) -> list[str]:
    """What differs beyond the parts: options of the table, and statements after it."""
    wanted, had = (beyond_parts(side) for side in (ours, theirs))
    found = [f"missing: {text}" for text in wanted if text not in had]
    return found + [f"extra: {text}" for text in had if text not in wanted]
