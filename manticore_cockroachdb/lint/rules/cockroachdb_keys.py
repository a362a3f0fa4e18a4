"""CockroachDB: primary keys, indexes, and what a table is stored by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..._model.actions import (
    AddConstraint,
    AlterPrimaryKey,
    DropConstraint,
    SetLocality,
    SetOptions,
)
from ..._model.commands import AlterTable, CreateIndex, CreateTable, DropIndex
from ..._model.cursor import Cursor, NotUnderstoodError
from ..._model.values import Column, Constraint, ConstraintKind, quoted
from ..._sql.lexer import TokenKind, tokens
from ..._sql.tokens import upper
from ..finding import Severity
from ..rule import CRDB, ON_CRDB, Example, Remark, Step, rule
from ..safer import made_not_null, name_there
from ..sql import listed, literal, scripts

_RIDES = "CREATE TABLE rides (id UUID PRIMARY KEY DEFAULT gen_random_uuid(), city STRING, at TIMESTAMPTZ);"
_INDEXES = "https://www.cockroachlabs.com/docs/stable/schema-design-indexes"
_PRIMARY_KEY = "https://www.cockroachlabs.com/docs/stable/alter-table#alter-primary-key"
_NUMBERED: Final = frozenset(("unique_rowid", "nextval"))
_CLOCKS: Final = frozenset(("now", "current_timestamp", "clock_timestamp", "statement_timestamp"))


@rule(
    "sequential-key",
    Severity.WARNING,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/serial",
    Example("CREATE TABLE rides (id SERIAL PRIMARY KEY, city STRING);"),
    on=(CreateTable, CreateIndex),
)
def sequential_key(step: Step) -> Iterator[Remark]:
    """Rows with rising keys are all written to the same range: one node does all the work.

    A UUID by gen_random_uuid() spreads them. So does a key that begins with another column, or
    a hash-sharded index (USING HASH).
    """
    command = step.read.command
    if isinstance(command, CreateTable):
        columns = {one.column.name: one.column for one in command.columns}
        constraints = [
            *command.constraints,
            *(c for one in command.columns for c in one.constraints),
        ]
        for one in constraints:
            if one.kind is not ConstraintKind.PRIMARY_KEY or one.sharded or not one.columns:
                continue
            column = columns.get(one.columns[0])
            if column is not None and _rises(column):
                yield Remark(
                    f"The primary key of {command.name} begins with {quoted(column.name)}, whose "
                    "values rise: all new rows go to one range.",
                    _with_uuid(step, command, column)
                    if len(one.columns) == 1 and not _is_clock(column)
                    else _sharded(step, "KEY"),
                )
    elif isinstance(command, CreateIndex) and not command.index.sharded:
        table = step.before.table(command.table)
        first = command.index.keys[0].column if command.index.keys else None
        found = table.column(first) if table is not None and first is not None else None
        if found is not None and _rises(found) and command.index.method == "btree":
            yield Remark(
                f"The index begins with {quoted(found.name)}, whose values rise: all new entries "
                "go to one range.",
                _sharded(step, "ON"),
            )


def _with_uuid(step: Step, command: CreateTable, key: Column) -> str | None:
    """The table with a UUID for its key; None where other columns of it hold the numbers."""
    for part in _elements(step.text):
        start = part.at
        if not part.at_name() or part.identifier() != key.name:
            continue
        part.at = start
        beside = next(
            (one for one in command.columns if one.column.name == key.name and one.constraints),
            None,
        )
        kind = "UUID PRIMARY KEY" if beside is not None else "UUID NOT NULL"
        made = f"{quoted(key.name)} {kind} DEFAULT gen_random_uuid()"
        return f"{step.text[: part.start]}{made}{step.text[part.stop :]};"
    return None


def _elements(text: str) -> Iterator[Cursor]:
    """The elements in the parentheses of CREATE TABLE."""
    cursor = Cursor(text)
    cursor.until(frozenset("("))
    try:
        yield from cursor.group().split()
    except NotUnderstoodError:
        return


def _sharded(step: Step, after: str) -> str | None:
    """The statement with USING HASH after the columns of the primary key, or of the index.

    https://www.cockroachlabs.com/docs/stable/hash-sharded-indexes; before v22.1 a session variable
    and a number of buckets are wanted.
    """
    at = _end_of_keys(step.text, after)
    if at is None:
        return None
    if step.target.version >= (22, 1):
        return f"{step.text[:at]} USING HASH{step.text[at:]};"
    return (
        "SET experimental_enable_hash_sharded_indexes = true;\n"
        f"{step.text[:at]} USING HASH WITH BUCKET_COUNT = 8{step.text[at:]};"
    )


def _end_of_keys(text: str, after: str) -> int | None:
    """Where PRIMARY KEY (…) or ON table (…) ends in a text; PRIMARY KEY beside a column has no list."""
    found = list(tokens(text))
    for at, token in enumerate(found):
        if token.kind is not TokenKind.WORD or upper(token) != after:
            continue
        if after == "KEY" and (at + 1 == len(found) or found[at + 1].text != "("):
            return token.end
        depth = 0
        for other in found[at + 1 :]:
            depth += {"(": 1, ")": -1}.get(other.text, 0)
            if other.text == ")" and depth == 0:
                return other.end
    return None


def _is_clock(column: Column) -> bool:
    return column.type is not None and column.type.name.startswith(("timestamp", "date"))


def _rises(column: Column) -> bool:
    if column.serial or column.identity:
        return True
    if column.default is None:
        return False
    calls = column.default.calls
    if calls & _NUMBERED:
        return True
    return _is_clock(column) and bool(column.default.mentions & _CLOCKS)


@rule(
    "no-primary-key",
    Severity.WARNING,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/primary-key",
    Example(
        "CREATE TABLE rides (city STRING);",
        fixed="CREATE TABLE rides (id UUID PRIMARY KEY DEFAULT gen_random_uuid(), city STRING);",
    ),
    on=(CreateTable,),
)
def no_primary_key(step: Step) -> Iterator[Remark]:
    """A table without a primary key gets a hidden column `rowid`, whose values rise.

    Its rows cannot be named by it from outside, and all new rows go to one range. Changing the
    key later writes the whole table again. CREATE TABLE AS makes such a table unless it names
    the key.
    """
    command = step.read.command
    if not isinstance(command, CreateTable) or command.temporary or command.parent is not None:
        return
    if command.from_query and "PRIMARY" in step.text.upper():
        return
    constraints = [*command.constraints, *(c for one in command.columns for c in one.constraints)]
    if any(one.kind is ConstraintKind.PRIMARY_KEY for one in constraints):
        return
    if not command.complete and not command.from_query:
        return
    yield Remark(
        f"The table {command.name} has no primary key: CockroachDB gives it a hidden rowid, whose "
        "values rise.",
    )


@rule(
    "primary-key-leftover",
    Severity.WARNING,
    ON_CRDB,
    _PRIMARY_KEY,
    Example("ALTER TABLE rides ALTER PRIMARY KEY USING COLUMNS (city, id);", _RIDES),
    on=(AlterTable,),
)
def primary_key_leftover(step: Step) -> Iterator[Remark]:
    """ALTER PRIMARY KEY keeps the old key as a UNIQUE index, which every write then maintains.

    Dropping the old constraint and adding the new one in one statement leaves no such index.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if not isinstance(action, AlterPrimaryKey):
            continue
        key = table.primary_key if table is not None else None
        if table is not None and table.known and key is None:
            continue  # the hidden rowid leaves nothing
        old = key or Constraint(ConstraintKind.PRIMARY_KEY, f"{command.name.name}_pkey")
        name = quoted(name_there(step, command.name, old))
        sharded = _hash_clause(step.text) if action.sharded else ""
        first = [part for one in action.columns for part in made_not_null(step, command.name, one)]
        yield Remark(
            f"The old primary key of {command.name} stays as a UNIQUE index.",
            scripts(
                *first,
                f"ALTER TABLE {command.name} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} PRIMARY "
                f"KEY ({listed(action.columns)}){sharded};",
            ),
        )


def _hash_clause(text: str) -> str:
    """USING HASH … as a statement writes it."""
    cursor = Cursor(text)
    cursor.until(frozenset(("HASH",)))
    return f" USING {cursor.part(cursor.at, cursor.end).on_one_line}"


@rule(
    "schema-locked",
    Severity.ERROR,
    {CRDB: ((26, 1), None)},
    "https://www.cockroachlabs.com/docs/releases/v26.1",
    Example("ALTER TABLE rides SET LOCALITY REGIONAL BY ROW;", _RIDES),
    on=(AlterTable,),
)
def schema_locked(step: Step) -> Iterator[Remark]:
    """From v26.1 new tables are locked against schema changes, and some changes do not
    unlock them automatically.

    SET LOCALITY and changes of the primary key fail with 57000. Unlock the table, change it,
    and lock it again, each in a separate statement.
    """
    command = step.read.command
    if not isinstance(command, AlterTable):
        return
    options = [one for one in command.actions if isinstance(one, SetOptions)]
    locking = any("schema_locked" in option for one in options for option in one.options)
    unlock = f"ALTER TABLE {command.name} SET (schema_locked = false);"
    lock = f"ALTER TABLE {command.name} SET (schema_locked = true);"
    if locking:
        if len(command.actions) > 1:
            yield Remark(
                "schema_locked cannot be set beside other changes of the table.",
                f"{unlock}\n-- the other changes\n{lock}",
            )
        return
    table = step.before.table(command.name)
    if table is not None and "schema_locked=false" in table.options:
        return
    if any(_needs_unlocking(action) for action in command.actions):
        yield Remark(
            f"CockroachDB refuses it while {command.name} is schema_locked, which new tables are "
            "from v26.1.",
            f"{unlock}\n{step.text};\n{lock}",
        )


def _needs_unlocking(action: object) -> bool:
    if isinstance(action, AddConstraint):
        return action.constraint.kind is ConstraintKind.PRIMARY_KEY
    return isinstance(action, SetLocality | AlterPrimaryKey)


@rule(
    "drop-unique-constraint",
    Severity.ERROR,
    {CRDB: (None, (26, 2))},
    "https://www.cockroachlabs.com/docs/v25.4/alter-table#drop-constraint",
    Example(
        "ALTER TABLE rides DROP CONSTRAINT one_per_city;",
        "CREATE TABLE rides (id INT8 PRIMARY KEY, city STRING, CONSTRAINT one_per_city UNIQUE "
        "(city));",
        server="cockroachdb:25.4",
    ),
    on=(AlterTable,),
)
def drop_unique_constraint(step: Step) -> Iterator[Remark]:
    """Before v26.2 CockroachDB refuses DROP CONSTRAINT for a UNIQUE constraint: its index is
    dropped instead.
    """
    command = step.read.command
    if not isinstance(command, AlterTable):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if not isinstance(action, DropConstraint) or table is None:
            continue
        there = table.constraint(action.name)
        if there is not None and there.kind is ConstraintKind.UNIQUE:
            yield Remark(
                "CockroachDB before v26.2 refuses to drop the UNIQUE constraint "
                f"{quoted(action.name)} this way.",
                f"DROP INDEX {command.name}@{quoted(action.name)} CASCADE;",
            )


@rule(
    "drop-unique-index",
    Severity.ERROR,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/drop-index",
    Example(
        "DROP INDEX rides@one_per_city;",
        "CREATE TABLE rides (id INT8 PRIMARY KEY, city STRING, CONSTRAINT one_per_city UNIQUE "
        "(city));",
    ),
    on=(DropIndex,),
)
def drop_unique_index(step: Step) -> Iterator[Remark]:
    """CockroachDB refuses to drop the index of a UNIQUE constraint without CASCADE."""
    command = step.read.command
    if not isinstance(command, DropIndex) or command.cascade:
        return
    for on, name in command.names:
        table = step.before.table_of_index(name, on)
        there = table.constraint(name.name) if table is not None else None
        if table is not None and there is not None and there.kind is ConstraintKind.UNIQUE:
            yield Remark(
                f"The index {name.name} is that of a UNIQUE constraint, which CockroachDB drops "
                "only with CASCADE.",
                f"DROP INDEX {table.name}@{quoted(name.name)} CASCADE;",
            )


@rule(
    "locality-blocks-writes",
    Severity.WARNING,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/alter-table#set-locality",
    Example(
        "ALTER TABLE rides SET LOCALITY REGIONAL BY ROW;",
        _RIDES,
        fixed="ALTER TABLE rides SET LOCALITY REGIONAL BY ROW AS region;",
    ),
    on=(AlterTable,),
)
def locality_blocks_writes(step: Step) -> Iterator[Remark]:
    """SET LOCALITY REGIONAL BY ROW adds a column to the key; UPDATE and DELETE may fail until
    it is done.

    Add the region column first, fill it, and name it: REGIONAL BY ROW AS region.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    for action in command.actions:
        words = action.locality.upper().split() if isinstance(action, SetLocality) else []
        if words[:3] == ["REGIONAL", "BY", "ROW"] and "AS" not in words:
            yield Remark(
                f"UPDATE and DELETE of {command.name} may fail until its new primary key is built.",
            )


@rule(
    "vector-index-blocks-writes",
    Severity.WARNING,
    {CRDB: ((25, 2), None)},
    "https://www.cockroachlabs.com/docs/stable/vector-indexes",
    Example(
        "CREATE VECTOR INDEX rides_by_likeness ON rides (likeness);",
        "CREATE TABLE rides (id UUID PRIMARY KEY, likeness VECTOR(3));",
        fixed="CREATE TABLE trips (id UUID PRIMARY KEY, likeness VECTOR(3), VECTOR INDEX (likeness));",
    ),
    on=(CreateIndex,),
)
def vector_index_blocks_writes(step: Step) -> Iterator[Remark]:
    """Nobody can write to a table while a vector index is built on it.

    Make the index together with the table, or when nobody writes.
    """
    command = step.read.command
    if not isinstance(command, CreateIndex) or step.is_new(command.table):
        return
    if command.index.method in ("vector", "cspann", "hnsw"):
        yield Remark(f"Nobody can write to {command.table} while the vector index is built.")


@rule(
    "ttl-rewrites",
    Severity.WARNING,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/row-level-ttl",
    Example("ALTER TABLE rides SET (ttl_expire_after = '30 days');", _RIDES),
    on=(AlterTable,),
)
def ttl_rewrites(step: Step) -> Iterator[Remark]:
    """`ttl_expire_after` adds a column to every row: the whole table is written again.

    `ttl_expiration_expression` over a column that is there does not; it is known from v22.2.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    table = step.before.table(command.name)
    stamps = [
        one.name
        for one in (table.columns if table is not None else ())
        if one.type is not None and one.type.name == "timestamp with time zone"
    ]
    for action in command.actions:
        if isinstance(action, SetOptions) and not action.reset:
            given = next(
                (one for one in action.options if one.startswith("ttl_expire_after")), None
            )
            there = table is not None and any(
                one.startswith("ttl_expire_after") for one in table.options
            )
            if given is not None and not there:
                age = _AGE.search(step.text)
                known = age is not None and stamps and step.target.version >= (22, 2)
                expression = f"{quoted(stamps[0])} + INTERVAL {age[1]}" if known and age else ""
                yield Remark(
                    f"ttl_expire_after adds a column to every row of {command.name}.",
                    f"ALTER TABLE {command.name} SET (ttl_expiration_expression = "
                    f"{literal(expression)});"
                    if expression
                    else None,
                )


_AGE: Final = re.compile(r"ttl_expire_after\s*=\s*('[^']*')", re.IGNORECASE)
