"""Statements that write many rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..._model.commands import AddEnumValue, ImportInto, Write
from ..._model.cursor import Cursor, NotUnderstoodError
from ..._model.values import Name
from ..._sql.windowed import NotWindowed, windowed
from ..finding import Severity
from ..rows import unique_keys
from ..rule import BOTH, CRDB, ON_CRDB, Example, Remark, Step, rule
from ..sql import BATCHED, scripts

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT, price NUMERIC);"


@rule(
    "large-write",
    Severity.WARNING,
    BOTH,
    "https://www.cockroachlabs.com/docs/stable/bulk-update-data",
    Example(
        "UPDATE rides SET price = price * 100 WHERE price IS NOT NULL;",
        _RIDES,
    ),
    on=(Write,),
)
def large_write(step: Step) -> Iterator[Remark]:
    """One statement that writes many rows is one transaction over all of them.

    On PostgreSQL it holds a lock on every row until it ends. On CockroachDB it meets every
    other write, is retried from the start (40001), and above a few hundred thousand rows may
    never commit. With `-- manticore: batch=5000` before it, Manticore runs it in windows over the
    primary key, each in its own transaction and each row exactly once.
    """
    command = step.read.command
    if not isinstance(command, Write) or step.is_new(command.table) or step.is_batched:
        return
    if _is_catalog(command.table):
        return
    if command.verb in ("INSERT", "UPSERT"):
        if command.from_query:
            yield Remark(
                f"{command.verb} … SELECT writes as many rows to {command.table} as its query "
                "finds, in one transaction.",
                _in_batches(step),
            )
        return
    if command.verb == "MERGE" or command.limited:
        return
    key = _key(step, command.table)
    if command.where is None:
        yield Remark(
            f"{command.verb} without WHERE writes every row of {command.table} in one transaction.",
            _in_batches(step),
        )
    elif not (key and set(key) <= command.where.names) and not _names_one_row(step, command):
        yield Remark(
            f"{command.verb} writes every row of {command.table} that its WHERE finds, in one "
            "transaction.",
            _in_batches(step),
        )


def _is_catalog(name: Name) -> bool:
    """Whether a table is the server's own, which has a row for each object."""
    return name.schema in _CATALOGS or (name.schema is None and name.name.startswith("pg_"))


_CATALOGS: Final = frozenset(("pg_catalog", "information_schema", "crdb_internal", "system"))


def _names_one_row(step: Step, command: Write) -> bool:
    """Whether the WHERE pins every column of a unique key to a constant."""
    table, where = step.before.table(command.table), command.where
    if table is None or where is None or "or" in where.names:
        return False
    return any(
        all(re.search(_EQUALS.format(re.escape(column)), where.text) for column in key)
        for key in unique_keys(table)
    )


#: `name = 'x'`, `"name" = 7`: a column that equals a constant.
_EQUALS: Final = r"""(?i)(?<![\w."])"?{}"?\s*=\s*(?:'(?:[^']|'')*'|\d+)\s*(?=$|\)|AND\b)"""


def _key(step: Step, name: Name) -> tuple[str, ...]:
    table = step.before.table(name)
    return table.key_columns() if table is not None else ()


def _in_batches(step: Step) -> str | None:
    """The statement in batches; None where it cannot be cut along a key that is known."""
    try:
        cut = windowed(step.text)
        name = Cursor(cut.table).name()
    except (NotWindowed, NotUnderstoodError):
        return None
    key = _key(step, name)
    if not key or step.is_new(name) or set(key) & cut.assigned:
        return None
    return f"{BATCHED}\n{step.text};"


@rule(
    "import-takes-offline",
    Severity.ERROR,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/import-into",
    Example(
        "IMPORT INTO rides (id, city) CSV DATA ('s3://bucket/rides.csv');",
        _RIDES,
        fixed="INSERT INTO rides (id, city) VALUES (1, 'Rome');",
    ),
    on=(ImportInto,),
)
def import_takes_offline(step: Step) -> Iterator[Remark]:
    """IMPORT INTO takes the whole table offline until it is done: nobody can read or write it.

    Import into a new table and switch, or insert in batches.
    """
    command = step.read.command
    if isinstance(command, ImportInto) and not step.is_new(command.table):
        yield Remark(f"IMPORT INTO takes {command.table} offline until it is done.")


@rule(
    "new-enum-value-used",
    Severity.ERROR,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-altertype.html",
    Example(
        "ALTER TYPE status ADD VALUE 'cancelled';\nUPDATE rides SET state = 'cancelled' WHERE id "
        "= 7;",
        "CREATE TYPE status AS ENUM ('open', 'done');\n"
        "CREATE TABLE rides (id BIGINT PRIMARY KEY, state status);",
        server="postgresql",
    ),
    on=(Write,),
)
def new_enum_value_used(step: Step) -> Iterator[Remark]:
    """A new enum value cannot be used in the transaction that adds it.

    PostgreSQL answers 55P04. Use it in the next script.
    """
    if not step.script.one_transaction:
        return
    where = "CockroachDB" if step.target.kind is CRDB else "PostgreSQL"
    for read in step.script.enum_values:
        command = read.command
        if isinstance(command, AddEnumValue) and f"'{command.value}'" in step.text:
            yield Remark(
                f"{where} refuses the new value '{command.value}' of {command.name} in the transaction "
                f"that adds it (line {read.line}).",
                scripts(f"{read.text};", f"{step.text};"),
            )
