"""PostgreSQL: constraints that are tried on every row, or built, while others wait."""

from __future__ import annotations

from collections.abc import Iterator

from ..._model.actions import (
    AddColumn,
    AddConstraint,
    ColumnDefinition,
    SetNotNull,
    ValidateConstraint,
)
from ..._model.commands import (
    AlterTable,
)
from ..._model.values import Constraint, ConstraintKind, Name, quoted
from ..finding import Severity
from ..locks import table_lock
from ..rule import ON_PG, PG, Example, Remark, Step, rule
from ..safer import VALUES, added, constrained_later, known_not_null, made_not_null
from ..sql import scripts
from .rewriting import is_volatile

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, driver_id BIGINT, city TEXT, price NUMERIC);"
_ALTER_TABLE = "https://www.postgresql.org/docs/current/sql-altertable.html"


@rule(
    "constraint-scan",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE + "#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    Example("ALTER TABLE rides ADD CONSTRAINT price_positive CHECK (price > 0);", _RIDES),
    on=(AlterTable,),
)
def constraint_scan(step: Step) -> Iterator[Remark]:
    """A new CHECK or FOREIGN KEY is tried on every row while the table is locked.

    For a CHECK nobody reads or writes the table meanwhile, for a FOREIGN KEY nobody writes to
    it or to the table it refers to. NOT VALID skips the scan; VALIDATE CONSTRAINT makes up for
    it, in a later transaction, while reads and writes continue.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for one, definition in _scanned(command):
        if one.kind is ConstraintKind.CHECK:
            blocked = f"reads and writes of {command.name}"
        elif not _is_partitioned(step, command.name):
            blocked = f"writes to {command.name} and {one.target}"
        else:
            continue
        yield Remark(
            f"ADD {one.kind.value} reads every row of {command.name}, and blocks {blocked} "
            "meanwhile.",
            constrained_later(step, command.name, definition)
            if definition is not None
            else scripts(*added(step, command.name, one)),
        )


def _scanned(command: AlterTable) -> Iterator[tuple[Constraint, ColumnDefinition | None]]:
    """The constraints that are tried on every row, each with the new column it was written beside.

    A new column that is NULL everywhere breaks no foreign key: PostgreSQL then reads no rows.
    """
    for action in command.actions:
        if isinstance(action, AddConstraint):
            one = action.constraint
            kinds = (ConstraintKind.CHECK, ConstraintKind.FOREIGN_KEY)
            if one.validated and one.kind in kinds:
                yield one, None
        elif isinstance(action, AddColumn):
            definition = action.definition
            filled = any(word in VALUES for word, _ in definition.parts)  # DEFAULT NULL, too
            for one in definition.constraints:
                is_key = one.kind is ConstraintKind.FOREIGN_KEY
                if one.kind is ConstraintKind.CHECK or (is_key and filled):
                    yield one, definition


def _is_partitioned(step: Step, name: Name) -> bool:
    """Whether NOT VALID is refused for a foreign key (before PostgreSQL 18)."""
    table = step.before.table(name)
    return table is not None and table.partitioned and step.target.version < (18,)


@rule(
    "validate-same-transaction",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE + "#SQL-ALTERTABLE-DESC-VALIDATE-CONSTRAINT",
    Example(
        "ALTER TABLE rides ADD CONSTRAINT price_positive CHECK (price > 0) NOT VALID;\n"
        "ALTER TABLE rides VALIDATE CONSTRAINT price_positive;",
        _RIDES,
    ),
    on=(AlterTable,),
)
def validate_same_transaction(step: Step) -> Iterator[Remark]:
    """VALIDATE CONSTRAINT in the transaction of an earlier ALTER TABLE scans under that one's lock.

    The strong lock is kept until the transaction ends. Validate in the next script.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or not step.script.one_transaction:
        return
    names = [one.name for one in command.actions if isinstance(one, ValidateConstraint)]
    if not names or step.is_new(command.name):
        return
    before = [
        earlier
        for earlier in step.script.statements[: step.index]
        if isinstance(earlier.command, AlterTable)
        and earlier.command.name == command.name
        and table_lock(earlier.command, step.before) is not None
    ]
    if before:
        yield Remark(
            f"VALIDATE CONSTRAINT {quoted(names[0])} reads every row of {command.name} under the "
            f"lock that line {before[0].line} took and this transaction keeps.",
            scripts(*(f"{earlier.text};" for earlier in before), f"{step.text};"),
        )


@rule(
    "set-not-null-scan",
    Severity.ERROR,
    {PG: ((12,), None)},
    _ALTER_TABLE + "#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    Example("ALTER TABLE rides ALTER COLUMN city SET NOT NULL;", _RIDES),
    on=(AlterTable,),
)
def set_not_null_scan(step: Step) -> Iterator[Remark]:
    """SET NOT NULL reads every row while nobody can read or write the table.

    It skips the scan where a validated constraint says the same. From PostgreSQL 18 a NOT NULL
    constraint can be added NOT VALID; before, a CHECK is.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if isinstance(action, SetNotNull) and not known_not_null(table, action.column):
            yield Remark(
                f"SET NOT NULL reads every row of {command.name}, and blocks reads and writes "
                "meanwhile.",
                scripts(*made_not_null(step, command.name, action.column)),
            )


@rule(
    "unique-constraint-blocking",
    Severity.ERROR,
    ON_PG,
    _ALTER_TABLE + "#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    Example("ALTER TABLE rides ADD CONSTRAINT one_per_city UNIQUE (city, id);", _RIDES),
    on=(AlterTable,),
)
def unique_constraint_blocking(step: Step) -> Iterator[Remark]:
    """ADD UNIQUE and ADD PRIMARY KEY build their index while nobody can read or write the table.

    An index that was built with CONCURRENTLY before becomes the constraint in no time.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for one, definition in _built(step, command):
        parts = added(step, command.name, one)
        yield Remark(
            f"ADD {one.kind.value} builds an index, and blocks reads and writes of {command.name} "
            "meanwhile.",
            None
            if not parts
            else scripts(*parts)
            if definition is None
            else constrained_later(step, command.name, definition),
        )


def _built(step: Step, command: AlterTable) -> Iterator[tuple[Constraint, ColumnDefinition | None]]:
    """The keys whose index is built, each with the new column it was written beside.

    A column whose addition writes the table again has its own finding, which keeps the key.
    """
    kinds = (ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY)
    for action in command.actions:
        if isinstance(action, AddConstraint):
            one = action.constraint
            if one.index is None and one.kind in kinds:
                yield one, None
        elif isinstance(action, AddColumn):
            made = action.definition.column
            numbered = made.serial or made.identity or made.generated is not None
            for one in action.definition.constraints:
                if one.kind in kinds and not numbered and not is_volatile(step, made.default):
                    yield one, action.definition


@rule(
    "exclusion-constraint-blocking",
    Severity.WARNING,
    ON_PG,
    _ALTER_TABLE,
    Example(
        "ALTER TABLE bookings ADD CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&);",
        "CREATE TABLE bookings (id BIGINT PRIMARY KEY, during TSRANGE);",
        fixed="SELECT 1;",
    ),
    on=(AlterTable,),
)
def exclusion_constraint_blocking(step: Step) -> Iterator[Remark]:
    """ADD EXCLUDE builds its index while nobody can read or write the table.

    There is no way to build it beside the table's use. Run it when the table is small, or quiet.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if isinstance(action, AddConstraint) and action.constraint.kind is ConstraintKind.EXCLUDE:
            yield Remark(
                f"ADD EXCLUDE builds an index, and blocks reads and writes of {command.name} "
                "meanwhile.",
            )
