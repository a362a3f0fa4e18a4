"""Two printings of servers of one version, compared object by object. Pure.

Text that a person wrote is never compared with text that a server prints: both sides come from a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from .objects import Kind, ObjectName, Printing, SchemaObject


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


#: What can be dropped and made again without anything else being lost.
_REMAKABLE = frozenset(
    kind.value
    for kind in (
        Kind.INDEX,
        Kind.TRIGGER,
        Kind.POLICY,
        Kind.RULE,
        Kind.STATISTICS,
        Kind.EVENT_TRIGGER,
    )
)
_KEYS = re.compile(r" (?:PRIMARY KEY|UNIQUE|EXCLUDE) ?")
_DEFAULT = re.compile(r"(?P<head>.*?)(?: DEFAULT (?P<default>.*?))?(?P<null> NOT NULL)?", re.DOTALL)


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
    return _beyond_parts(ours) == _beyond_parts(theirs)


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
        made = _with_children(theirs, found)
        return Difference(Change.EXTRA, name, (), made, (), _removal(theirs), made)
    if theirs is None and ours is not None:
        made = _with_children(ours, expected)
        return Difference(Change.MISSING, name, made, (), (), made, _removal(ours))
    assert ours is not None and theirs is not None  # noqa: S101, PT018 - one of them is there
    details, repair, adopt = _changed(ours, theirs)
    return Difference(
        Change.CHANGED, name, ours.statements, theirs.statements, details, repair, adopt
    )


def _with_children(made: SchemaObject, printing: Printing) -> tuple[str, ...]:
    """The statements that make an object and all that belongs to it, in the printing's order."""
    family = {made.name}
    grown = True
    while grown:
        more = {
            child.name
            for child in printing.objects.values()
            if child.parent in family and child.name not in family
        }
        family |= more
        grown = bool(more)
    return tuple(text for name, text in printing.statements if name in family)


def _removal(made: SchemaObject) -> tuple[str, ...]:
    if made.drop is not None:
        return (made.drop,)
    if made.name.kind in (Kind.GRANTS.value, Kind.DEFAULT_PRIVILEGES.value):
        return _inverses(made.statements)
    return ()


def _inverses(statements: Sequence[str]) -> tuple[str, ...]:
    """GRANT and REVOKE statements that take others back; none unless all can be."""
    found = tuple(_inverse(statement) for statement in reversed(statements))
    return found if all(found) else ()


def _inverse(statement: str) -> str:
    head, verb, rest = re.split(r"(?<![\w\"])(GRANT|REVOKE) (?!OPTION)", statement, maxsplit=1)
    if verb == "GRANT":
        rest, _, grantee = rest.rpartition(" TO ")
        return f"{head}REVOKE {rest} FROM {grantee.removesuffix(' WITH GRANT OPTION')}"
    rest, _, grantee = rest.rpartition(" FROM ")
    return "" if rest.startswith("GRANT OPTION FOR ") else f"{head}GRANT {rest} TO {grantee}"


def _changed(
    ours: SchemaObject, theirs: SchemaObject
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What differs in words, and how to bring either side to the other."""
    kind = ours.name.kind
    if ours.parts or theirs.parts:
        return _parts(ours, theirs)
    if kind in (Kind.GRANTS.value, Kind.DEFAULT_PRIVILEGES.value):
        return (), _granting(ours, theirs), _granting(theirs, ours)
    if (ours.replaceable and theirs.replaceable) or kind == Kind.COMMENT.value:
        return (), ours.statements, theirs.statements
    remade = kind in _REMAKABLE or (
        kind == Kind.CONSTRAINT.value
        and not any(_KEYS.search(side.statements[0]) for side in (ours, theirs))
    )
    if remade and ours.drop is not None and theirs.drop is not None:
        return (), (theirs.drop, *ours.statements), (ours.drop, *theirs.statements)
    return (), (), ()


def _granting(to: SchemaObject, having: SchemaObject) -> tuple[str, ...]:
    surplus = [each for each in having.statements if each not in to.statements]
    lacking = [each for each in to.statements if each not in having.statements]
    inverses = _inverses(surplus)
    return (*inverses, *lacking) if inverses or not surplus else ()


def _parts(
    ours: SchemaObject, theirs: SchemaObject
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    wanted, had = dict(ours.parts), dict(theirs.parts)
    details, repair, adopt = [], list[str](), list[str]()
    certain = True
    for part in sorted({*wanted, *had}):
        ours_text, theirs_text = wanted.get(part), had.get(part)
        if ours_text == theirs_text or _follows_columns(part, wanted, had):
            continue
        label = part if " " in part.replace('"', "") and _is_labeled(part) else f"column {part}"
        if theirs_text is None:
            details.append(f"{label} is missing: {ours_text}")
        elif ours_text is None:
            details.append(f"{label} is extra: {theirs_text}")
        else:
            details.append(f"{label} should be {ours_text!r} and is {theirs_text!r}")
        forth = _altering(ours.name, part, theirs_text, ours_text)
        back = _altering(ours.name, part, ours_text, theirs_text)
        certain = certain and bool(forth) and bool(back)
        repair += forth
        adopt += back
    others = _other_statements(ours, theirs)
    if others:
        details += others
        certain = False
    if not details:
        details.append("its definition differs")
        certain = False
    return tuple(details), tuple(repair) if certain else (), tuple(adopt) if certain else ()


def _follows_columns(part: str, wanted: dict[str, str], had: dict[str, str]) -> bool:
    """Whether a column family differs only in columns that are missing or extra themselves."""
    if not part.startswith("family ") or part not in wanted or part not in had:
        return False
    columns = {each.removeprefix("column ") for each in wanted.keys() ^ had.keys()}

    def others(text: str) -> list[str]:
        return [each for each in re.split(r"[(), ]+", text) if each not in columns]

    return others(wanted[part]) == others(had[part])


_LABELS = ("column ", "constraint ", "index ", "family ")


def _is_labeled(part: str) -> bool:
    return part.startswith(_LABELS)


def _other_statements(ours: SchemaObject, theirs: SchemaObject) -> list[str]:
    """What differs beyond the parts: options of the table, and statements after it."""
    wanted, had = (_beyond_parts(side) for side in (ours, theirs))
    found = [f"missing: {text}" for text in wanted if text not in had]
    return found + [f"extra: {text}" for text in had if text not in wanted]


def _beyond_parts(side: SchemaObject) -> list[str]:
    head = side.statements[0]
    for _, text in sorted(side.parts, key=lambda part: -len(part[1])):
        head = head.replace(text, "", 1)
    head = " ".join(re.sub(r"[(,\s]+", " ", head).split())
    return [head, *side.statements[1:]]


def _altering(table: ObjectName, part: str, old: str | None, new: str | None) -> list[str]:
    """How a table's part becomes another one; empty where one statement does not do it for certain."""
    if table.kind != Kind.TABLE.value:
        return []
    label, _, name = part.partition(" ") if _is_labeled(part) else ("column", "", part)
    alter = f"ALTER TABLE {table.name}"
    if label == "column":
        if new is None:
            return [f"{alter} DROP COLUMN {name}"]
        if old is None:
            return [f"{alter} ADD COLUMN {new}"]
        return _altering_column(alter, name, old, new)
    if label == "index":
        return _remaking_index(table.name, name, old, new)
    if label == "constraint" and not any(_KEYS.search(text or "") for text in (old, new)):
        dropped = [f"{alter} DROP CONSTRAINT {name}"] if old is not None else []
        return dropped + ([f"{alter} ADD {new}"] if new is not None else [])
    return []


def _altering_column(alter: str, name: str, old: str, new: str) -> list[str]:
    if any(" GENERATED " in text for text in (old, new)):
        return []
    before, after = _DEFAULT.fullmatch(old), _DEFAULT.fullmatch(new)
    if before is None or after is None or before["head"] != after["head"]:
        return []
    found = []
    column = f"{alter} ALTER COLUMN {name}"
    if before["default"] != after["default"]:
        default = after["default"]
        found.append(
            f"{column} DROP DEFAULT" if default is None else f"{column} SET DEFAULT {default}"
        )
    if before["null"] != after["null"]:
        found.append(f"{column} {'SET' if after['null'] else 'DROP'} NOT NULL")
    return found


def _remaking_index(table: str, name: str, old: str | None, new: str | None) -> list[str]:
    """CockroachDB prints indexes inside their table."""
    found = []
    if old is not None:
        cascade = " CASCADE" if old.startswith("UNIQUE ") else ""
        found.append(f"DROP INDEX {table}@{name}{cascade}")
    if new is not None:
        words, _, rest = new.partition(f" {name} ")
        found.append(f"CREATE {words} {name} ON {table} {rest}")
    return found
