"""PostgreSQL: statements that keep others from reading or writing a table while they work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..._model.commands import (
    AddConstraint,
    AlterTable,
    AttachPartition,
    Command,
    CreateIndex,
    CreateTrigger,
    DetachPartition,
    Drop,
    DropIndex,
    Rebuild,
    RefreshView,
    Reindex,
    Rename,
    SetNotNull,
    SetSchema,
    SetVariable,
    Truncate,
    ValidateConstraint,
    Write,
)
from ..._model.values import Constraint, ConstraintKind, Name, Table, quoted
from ..finding import Severity
from ..locks import BLOCKS, table_lock
from ..rule import ON_PG, PG, Example, Remark, Script, Step, rule
from ..sql import concurrently, listed, name_for, scripts

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, driver_id BIGINT, city TEXT, price NUMERIC);"
_DRIVERS = "CREATE TABLE drivers (id BIGINT PRIMARY KEY);\n" + _RIDES
_CREATE_INDEX = (
    "https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY"
)
_ALTER_TABLE = "https://www.postgresql.org/docs/current/sql-altertable.html"
_LOCKS = "https://www.postgresql.org/docs/current/explicit-locking.html"


#: What waits for a strong lock and then is quick: CREATE INDEX has a rule of its own.
_WAITING: Final = (
    AlterTable,
    CreateTrigger,
    Drop,
    DropIndex,
    Rebuild,
    RefreshView,
    Rename,
    SetSchema,
    Truncate,
)


@rule(
    "lock-timeout",
    Severity.WARNING,
    ON_PG,
    "https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT",
    Example("ALTER TABLE rides ADD COLUMN note TEXT;", _RIDES),
    on=_WAITING,
)
def lock_timeout(step: Step) -> Iterator[Remark]:
    """A statement that waits for a strong lock makes everybody after it wait, too.

    While an ALTER TABLE waits for one long SELECT, every new query on the table has to
    wait for both. With `lock_timeout` it gives up after that time, and the script is
    run again later. Reported once for each script.
    """
    lock = table_lock(step.read.command, step.before)
    if lock is None or step.is_new(lock.table) or step.waits_limited:
        return
    if any(isinstance(read.command, _WAITING) for read, _ in step.script.locks):
        return
    table, mode = lock
    yield Remark(
        f"It waits for an {mode} lock on {table} without a limit, and new queries on the table "
        "have to wait for it."
        if mode.startswith("A")
        else f"It waits for a {mode} lock on {table} without a limit, and new writes have to wait for it.",
        f"SET lock_timeout = '2s';\n{step.text};",
    )


@rule(
    "create-index-blocking",
    Severity.ERROR,
    ON_PG,
    _CREATE_INDEX,
    Example("CREATE INDEX rides_by_city ON rides (city);", _RIDES),
    on=(CreateIndex,),
)
def create_index_blocking(step: Step) -> Iterator[Remark]:
    """CREATE INDEX blocks every write to the table until the index is built.

    With CONCURRENTLY it does not. Such a statement cannot run in a transaction: Manticore runs
    its script statement by statement, and clears away what a failed build leaves.
    """
    command = step.read.command
    if not isinstance(command, CreateIndex) or command.concurrently or step.is_new(command.table):
        return
    table = step.before.table(command.table)
    if table is not None and table.partitioned:
        return  # CONCURRENTLY is refused there
    yield Remark(
        f"CREATE INDEX on {command.table} blocks writes to it until the index is built.",
        concurrently(step.text, "INDEX"),
    )


@rule(
    "drop-index-blocking",
    Severity.ERROR,
    ON_PG,
    "https://www.postgresql.org/docs/current/sql-dropindex.html",
    Example("DROP INDEX rides_by_city;", _RIDES + "\nCREATE INDEX rides_by_city ON rides (city);"),
    on=(DropIndex,),
)
def drop_index_blocking(step: Step) -> Iterator[Remark]:
    """DROP INDEX blocks reads and writes of the table, and waits for every query that uses it.

    The drop itself takes no time, but while it waits, everybody else has to wait, too. With
    CONCURRENTLY nobody does.
    """
    command = step.read.command
    if not isinstance(command, DropIndex) or command.concurrently or command.cascade:
        return
    for on, name in command.names:
        table = step.before.table_of_index(name, on)
        if table is None and command.if_exists and not step.before.opaque:
            continue  # nothing is dropped
        if table is not None and (step.is_new(table.name) or _is_key(table, name.name)):
            continue
        tail = f" of {table.name}" if table is not None else ""
        yield Remark(
            f"DROP INDEX {name}{tail} waits for every query on the table, and blocks reads and "
            "writes meanwhile.",
            concurrently(step.text, "INDEX"),
        )
        return


def _is_key(table: Table, index: str) -> bool:
    """Whether an index belongs to a constraint: DROP INDEX is refused for it."""
    return table.index(index) is None and table.constraint(index) is not None


@rule(
    "reindex-blocking",
    Severity.ERROR,
    {PG: ((12,), None)},
    "https://www.postgresql.org/docs/current/sql-reindex.html",
    Example("REINDEX TABLE rides;", _RIDES),
    on=(Reindex,),
)
def reindex_blocking(step: Step) -> Iterator[Remark]:
    """REINDEX blocks writes to the table, and reads that would use the index, until it is done."""
    command = step.read.command
    if isinstance(command, Reindex) and not command.concurrently and command.what != "SYSTEM":
        shown = f" {command.name}" if command.name is not None else ""
        yield Remark(
            f"REINDEX {command.what}{shown} blocks writes until the index is built again.",
            concurrently(step.text, command.what),
        )


@rule(
    "detach-partition-blocking",
    Severity.ERROR,
    {PG: ((14,), None)},
    _ALTER_TABLE + "#SQL-ALTERTABLE-DETACH-PARTITION",
    Example(
        "ALTER TABLE events DETACH PARTITION events_2020;",
        "CREATE TABLE events (at DATE) PARTITION BY RANGE (at);\n"
        "CREATE TABLE events_2020 PARTITION OF events "
        "FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');",
    ),
    on=(AlterTable,),
)
def detach_partition_blocking(step: Step) -> Iterator[Remark]:
    """DETACH PARTITION blocks reads and writes of the whole table while it waits for its lock."""
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if isinstance(action, DetachPartition) and not action.concurrently:
            yield Remark(
                f"DETACH PARTITION blocks reads and writes of {command.name} while it waits for "
                "its lock.",
                f"ALTER TABLE {command.name} DETACH PARTITION {action.partition} CONCURRENTLY;",
            )


@rule(
    "attach-partition-scan",
    Severity.WARNING,
    ON_PG,
    _ALTER_TABLE + "#SQL-ALTERTABLE-ATTACH-PARTITION",
    Example(
        "ALTER TABLE events ATTACH PARTITION events_2020 FOR VALUES FROM ('2020-01-01') TO "
        "('2021-01-01');",
        "CREATE TABLE events (at DATE NOT NULL) PARTITION BY RANGE (at);\n"
        "CREATE TABLE events_2020 (at DATE NOT NULL);",
    ),
    on=(AlterTable,),
)
def attach_partition_scan(step: Step) -> Iterator[Remark]:
    """ATTACH PARTITION reads every row of the partition under an ACCESS EXCLUSIVE lock on it.

    A CHECK constraint that says what the partition's bounds say, validated before, spares the scan.
    """
    command = step.read.command
    if not isinstance(command, AlterTable):
        return
    for action in command.actions:
        if not isinstance(action, AttachPartition) or step.is_new(action.partition):
            continue
        table = step.before.table(action.partition)
        checked = table is not None and any(
            one.kind is ConstraintKind.CHECK and one.validated for one in table.constraints
        )
        if checked:
            continue
        name = name_for(action.partition, ("bounds",), "check")
        yield Remark(
            f"ATTACH PARTITION reads every row of {action.partition}, which nobody can use "
            "meanwhile.",
            scripts(
                f"ALTER TABLE {action.partition} ADD CONSTRAINT {name} CHECK "
                f"({_bounds(step, command.name)}) NOT VALID;",
                f"ALTER TABLE {action.partition} VALIDATE CONSTRAINT {name};",
                f"{step.text};",
            ),
        )


def _bounds(step: Step, name: Name) -> str:
    """What FOR VALUES says, as a condition; "…" where that is not plain."""
    table = step.before.table(name)
    key = table.partition_key if table is not None else ()
    match = _FOR_VALUES.search(step.text)
    if match is None or len(key) != 1:
        return "…"
    column = quoted(key[0])
    if match["values"]:
        return f"{column} IN ({match['values']})"
    return f"{column} >= {match['first']} AND {column} < {match['end']}"


_FOR_VALUES: Final = re.compile(
    r"FOR\s+VALUES\s+(?:IN\s*\((?P<values>[^()]*)\)"
    r"|FROM\s*\((?P<first>[^(),]*)\)\s*TO\s*\((?P<end>[^(),]*)\))",
    re.IGNORECASE,
)


@rule(
    "refresh-view-blocking",
    Severity.ERROR,
    ON_PG,
    "https://www.postgresql.org/docs/current/sql-refreshmaterializedview.html",
    Example(
        "REFRESH MATERIALIZED VIEW prices;",
        _RIDES
        + "\nCREATE MATERIALIZED VIEW prices AS SELECT city, avg(price) FROM rides GROUP BY city;",
    ),
    on=(RefreshView,),
)
def refresh_view_blocking(step: Step) -> Iterator[Remark]:
    """REFRESH MATERIALIZED VIEW blocks every read of the view until it is filled again.

    CONCURRENTLY does not; it needs a unique index over columns of the view, without a condition.
    """
    command = step.read.command
    if not isinstance(command, RefreshView) or step.is_new(command.name):
        return
    if not command.concurrently:
        yield Remark(
            f"REFRESH MATERIALIZED VIEW {command.name} blocks every read of it until it is filled "
            "again.",
            f"REFRESH MATERIALIZED VIEW CONCURRENTLY {command.name};",
        )


@rule(
    "concurrently-mixed",
    Severity.WARNING,
    ON_PG,
    _CREATE_INDEX,
    Example(
        "ALTER TABLE rides ADD COLUMN note TEXT;\n"
        "CREATE INDEX CONCURRENTLY rides_by_city ON rides (city);",
        _RIDES,
        fixed="CREATE INDEX CONCURRENTLY rides_by_city ON rides (city);",
    ),
)
def concurrently_mixed(script: Script) -> Iterator[Remark]:
    """One statement that cannot run in a transaction takes the transaction from its whole
    script.

    Manticore then runs every statement of the script by itself. A failure in the middle leaves
    the ones before it applied. In a script of its own, CONCURRENTLY takes nothing from the
    others.
    """
    alone = [read for read in script.statements if _is_concurrent(read.command)]
    others = [
        read
        for read in script.statements
        if not _is_concurrent(read.command) and not isinstance(read.command, SetVariable)
    ]
    if alone and others:
        yield Remark(
            "CONCURRENTLY beside other statements: none of the script's statements shares a "
            "transaction any more. Move it into a script of its own.",
            line=alone[0].line,
        )


def _is_concurrent(command: Command) -> bool:
    match command:
        case CreateIndex(concurrently=True) | DropIndex(concurrently=True):
            return True
        case Reindex(concurrently=True):
            return True
        case AlterTable():
            return any(
                isinstance(action, DetachPartition) and action.concurrently
                for action in command.actions
            )
        case _:
            return False


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
    it, in a later transaction, while reads and writes go on.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        if not isinstance(action, AddConstraint) or not action.constraint.validated:
            continue
        one = action.constraint
        if one.kind is ConstraintKind.CHECK:
            name = quoted(one.name) if one.name else name_for(command.name, (), "check")
            what = f"CHECK ({one.expression.text if one.expression else ''})"
            blocked = f"reads and writes of {command.name}"
        elif one.kind is ConstraintKind.FOREIGN_KEY and not _is_partitioned(step, command.name):
            name = quoted(one.name) if one.name else name_for(command.name, one.columns, "fkey")
            what = foreign_key(one)
            blocked = f"writes to {command.name} and {one.target}"
        else:
            continue
        yield Remark(
            f"ADD {one.kind.value} reads every row of {command.name}, and blocks {blocked} "
            "meanwhile.",
            scripts(
                f"ALTER TABLE {command.name} ADD CONSTRAINT {name} {what} NOT VALID;",
                f"ALTER TABLE {command.name} VALIDATE CONSTRAINT {name};",
            ),
        )


def _is_partitioned(step: Step, name: Name) -> bool:
    """Whether NOT VALID is refused for a foreign key (before PostgreSQL 18)."""
    table = step.before.table(name)
    return table is not None and table.partitioned and step.target.version < (18,)


def foreign_key(one: Constraint) -> str:
    """A foreign key as SQL writes it."""
    target = f"({listed(one.target_columns)})" if one.target_columns else ""
    return f"FOREIGN KEY ({listed(one.columns)}) REFERENCES {one.target} {target}".rstrip()


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
        if isinstance(action, SetNotNull) and not _known_not_null(table, action.column):
            yield Remark(
                f"SET NOT NULL reads every row of {command.name}, and blocks reads and writes "
                "meanwhile.",
                not_null_steps(step, command.name, action.column),
            )


def _known_not_null(table: Table | None, column: str) -> bool:
    if table is None:
        return False
    found = table.column(column)
    if found is not None and found.not_null:
        return True
    return any(
        one.kind is ConstraintKind.CHECK
        and one.validated
        and one.expression is not None
        and one.expression.names >= {column, "is", "not", "null"}
        and not one.expression.names & {"or"}
        for one in table.constraints
    )


def not_null_steps(step: Step, table: Name, column: str) -> str:
    """The scripts that make a column NOT NULL without a long lock, for the server's version."""
    name = name_for(table, (column,), "not_null")
    if step.target.version >= (18,):
        return scripts(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {quoted(column)} NOT VALID;",
            f"ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
        )
    return scripts(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({quoted(column)} IS NOT NULL) NOT "
        "VALID;",
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
        f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} SET NOT NULL;\n"
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
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
    for action in command.actions:
        if not isinstance(action, AddConstraint) or action.constraint.index is not None:
            continue
        one = action.constraint
        if one.kind not in (ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY):
            continue
        label = "key" if one.kind is ConstraintKind.UNIQUE else "pkey"
        columns = one.columns if one.kind is ConstraintKind.UNIQUE else ()
        name = quoted(one.name) if one.name else name_for(command.name, columns, label)
        yield Remark(
            f"ADD {one.kind.value} builds an index, and blocks reads and writes of {command.name} "
            "meanwhile.",
            scripts(
                f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {command.name} "
                f"({listed(one.columns)});",
                f"ALTER TABLE {command.name} ADD CONSTRAINT {name} {one.kind.value} USING INDEX "
                f"{name};",
            ),
        )


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


@rule(
    "change-then-write",
    Severity.WARNING,
    ON_PG,
    _LOCKS,
    Example(
        "ALTER TABLE rides ADD COLUMN note TEXT;\n"
        "-- manticore: allow=large-write there are few rides\n"
        "UPDATE rides SET note = '' WHERE city = 'Rome';",
        _RIDES,
    ),
    on=(Write,),
)
def change_then_write(step: Step) -> Iterator[Remark]:
    """Rows written after a schema change in one transaction are written under its lock.

    The lock is kept until the transaction ends, so everybody waits for the writing, too. Write
    the rows in the next script.
    """
    command = step.read.command
    if not isinstance(command, Write) or not step.script.one_transaction:
        return
    if command.verb == "INSERT" and not command.from_query:
        return
    for earlier, lock in step.script.locks:
        if step.before.table(lock.table) is not None:
            yield Remark(
                f"This {command.verb} runs while the transaction holds the {lock.mode} lock of line "
                f"{earlier.line}, which blocks {BLOCKS[lock.mode]} of {lock.table}.",
                scripts(f"{earlier.text};", f"{step.text};"),
            )
            return
