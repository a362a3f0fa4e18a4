"""What the scripts themselves say about each other: names that are not there, down sections
that do not revert.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ..._model.commands import (
    AddEnumValue,
    AlterTable,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateTable,
    CreateType,
    CreateView,
    Drop,
    Rename,
    SetSchema,
    Truncate,
    Write,
)
from ..._model.faults import Fault, FaultKind
from ..._model.schema import Key, Space
from ..._model.values import (
    Constraint,
    ConstraintKind,
    Function,
    Object,
    Sequence,
    Table,
    View,
    quoted,
)
from ..finding import Severity
from ..rule import BOTH, CRDB, Example, Remark, Script, Step, rule

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT);"
_FOLDED = (
    AddEnumValue,
    AlterTable,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateTable,
    CreateType,
    CreateView,
    Drop,
    Rename,
    SetSchema,
    Truncate,
    Write,
)
_ERRORS = "https://www.postgresql.org/docs/current/errcodes-appendix.html"
_SCRIPTS = "https://www.postgresql.org/docs/current/sql-createtable.html"


def _shown(fault: Fault) -> str:
    name = quoted(fault.name) if fault.what in ("column", "constraint", "index") else fault.name
    return f"{fault.what} {fault.table}.{name}" if fault.table else f"{fault.what} {name}"


@rule(
    "missing-object",
    Severity.ERROR,
    BOTH,
    _ERRORS,
    Example(
        "ALTER TABLE rides ADD CONSTRAINT by_town UNIQUE (town);",
        _RIDES,
        fixed="CREATE TABLE trips (id BIGINT PRIMARY KEY);",
    ),
    on=_FOLDED,
)
def missing_object(step: Step) -> Iterator[Remark]:
    """The statement names what earlier scripts dropped or renamed, or what their table does not
    have.

    Objects that no script made (Django's tables, say) are never reported, nor is anything after
    a statement that may have made it: DO, CALL, a function call.
    """
    for fault in step.faults:
        if fault.kind is FaultKind.MISSING:
            yield Remark(
                f"The {_shown(fault)} does not exist here, by the scripts before this one."
            )


@rule(
    "existing-object",
    Severity.ERROR,
    BOTH,
    _ERRORS,
    Example(
        "ALTER TABLE rides ADD COLUMN city TEXT;",
        _RIDES,
        fixed="ALTER TABLE rides ADD COLUMN town TEXT;",
    ),
    on=_FOLDED,
)
def existing_object(step: Step) -> Iterator[Remark]:
    """The statement makes what earlier scripts made already."""
    for fault in step.faults:
        if fault.kind is FaultKind.EXISTS:
            yield Remark(f"The {_shown(fault)} exists already, by the scripts before this one.")


@rule(
    "skipped-definition",
    Severity.WARNING,
    BOTH,
    _SCRIPTS,
    Example(
        "CREATE TABLE IF NOT EXISTS rides (id BIGINT PRIMARY KEY, town TEXT);",
        _RIDES,
        fixed="CREATE TABLE IF NOT EXISTS rides (id BIGINT PRIMARY KEY, city TEXT);",
    ),
    on=_FOLDED,
)
def skipped_definition(step: Step) -> Iterator[Remark]:
    """IF NOT EXISTS skips the statement, and what is there has another definition.

    Databases where it was there and databases where it was not then differ.
    """
    for fault in step.faults:
        if fault.kind is FaultKind.OTHER_SHAPE:
            yield Remark(
                f"The {_shown(fault)} exists already with another definition: this statement does "
                "nothing.",
            )


@rule(
    "missing-down",
    Severity.WARNING,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-altertable.html",
    Example(
        "ALTER TABLE rides ADD COLUMN note TEXT;",
        _RIDES,
        down=None,
        fixed="-- manticore: allow=missing-down it stays\nALTER TABLE rides ADD COLUMN note TEXT;",
    ),
)
def missing_down(script: Script) -> Iterator[Remark]:
    """A script without a down section cannot be rolled back.

    Write `-- DOWN` and what reverts it. Where nothing can, say so in the allowance.
    """
    if script.script.is_repeatable:
        return
    if script.script.down_sql is None and script.statements:
        yield Remark("The script has no down section, so it cannot be rolled back.")


@rule(
    "down-does-not-revert",
    Severity.WARNING,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-altertable.html",
    Example(
        "ALTER TABLE rides ADD COLUMN note TEXT, ADD COLUMN seats BIGINT;",
        _RIDES,
        down="ALTER TABLE rides DROP COLUMN note;",
        fixed="SELECT 1;",
    ),
)
def down_does_not_revert(script: Script) -> Iterator[Remark]:
    """After up and down the schema should be what it was before.

    Otherwise the script cannot be applied a second time, and databases that were rolled back
    differ from the others. What the up section drops, the down section makes again, empty.
    """
    if script.reverted is None or script.reverted.opaque != script.before.opaque:
        return  # what one of its statements did is not known
    parts = [
        f"{_named(key)} {_difference(before, after)}"
        for key, (before, after) in script.reverted.changes(script.before).items()
        if _is_clear(before)
        and _is_clear(after)
        and not _alike(_as_shown(before, script), _as_shown(after, script))
    ]
    if not parts:
        return
    more = f" (and {len(parts) - _SHOWN} more)" if len(parts) > _SHOWN else ""
    yield Remark(
        f"The down section leaves {'; '.join(parts[:_SHOWN])}{more}.",
        line=script.down[0].line if script.down and script.script.down_path is None else None,
    )


#: How many differences one finding lists.
_SHOWN: Final = 3


def _is_clear(value: Object | None) -> bool:
    """Whether an object is known well enough to be compared; a SERIAL's sequence goes with its table."""
    if isinstance(value, Sequence):
        return value.owner is None
    return not (isinstance(value, Table) and not value.known)


def _as_shown(value: Object | None, script: Script) -> Object | None:
    """An object as its server keeps it: to CockroachDB a unique index is a UNIQUE constraint."""
    if script.target.kind is not CRDB or not isinstance(value, Table):
        return value
    unique = [
        Constraint(ConstraintKind.UNIQUE, one.name, one.columns)
        for one in value.indexes
        if one.unique and one.predicate is None and len(one.columns) == len(one.keys)
    ]
    names = {one.name for one in unique}
    return replace(
        value,
        constraints=(*value.constraints, *unique),
        indexes=tuple(one for one in value.indexes if one.name not in names),
    )


def _named(key: Key) -> str:
    name = quoted(key.name) if key.schema in ("", "public") else f"{key.schema}.{quoted(key.name)}"
    return f"{'' if key.space is Space.RELATION else key.space.value + ' '}{name}"


def _alike(before: Object | None, after: Object | None) -> bool:
    """Whether two objects differ at most in order, in texts that were written, or in what is
    not modeled.
    """
    if isinstance(before, Table) and isinstance(after, Table):
        return _plain(before) == _plain(after)
    if isinstance(before, View) and isinstance(after, View):
        return before.materialized == after.materialized
    if isinstance(before, Function | None) and isinstance(after, Function | None):
        return (before is None or not before.bodies) == (after is None or not after.bodies)
    return before == after


def _plain(table: Table) -> tuple[object, ...]:
    return (
        frozenset(
            (one.name, one.type, one.not_null, one.default is None, one.identity)
            for one in table.columns
        ),
        frozenset((one.kind, one.columns, one.target) for one in table.constraints),
        frozenset(replace(one, name=None, predicate=None, keys=()) for one in table.indexes),
        frozenset((one.name, one.columns, one.unique) for one in table.indexes),
    )


def _difference(before: Object | None, after: Object | None) -> str:
    """How the object after differs from the one before."""
    if before is None:
        return "where there was none"
    if after is None:
        return "missing"
    if not isinstance(before, Table) or not isinstance(after, Table):
        return "changed"
    parts = []
    for what, old, new in (
        ("column", {one.name for one in before.columns}, {one.name for one in after.columns}),
        (
            "constraint",
            {one.name for one in before.constraints},
            {one.name for one in after.constraints},
        ),
        ("index", {one.name for one in before.indexes}, {one.name for one in after.indexes}),
    ):
        parts += [f"without its {what} {name}" for name in sorted(map(str, old - new))]
        parts += [f"with the {what} {name}" for name in sorted(map(str, new - old))]
    if not parts:
        changed = [
            one.name
            for one in before.columns
            if (other := after.column(one.name)) is not None and other != one
        ]
        parts = [f"with another definition of {name}" for name in changed]
    return ", ".join(parts) or "changed"
