"""PostgreSQL: indexes and materialized views that are built while others wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..._model.actions import (
    DetachPartition,
)
from ..._model.commands import (
    AlterTable,
    Command,
    CreateIndex,
    DropIndex,
    RefreshView,
    Reindex,
    SetVariable,
)
from ..._model.values import Table
from ..finding import Severity
from ..rule import ON_PG, PG, Example, Remark, Script, Step, rule
from ..sql import put_in

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, driver_id BIGINT, city TEXT, price NUMERIC);"
_CREATE_INDEX = (
    "https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY"
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
        put_in(step.text, "INDEX", "CONCURRENTLY"),
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
        if table is None and command.if_exists:
            continue  # no script made it
        if table is not None and (step.is_new(table.name) or _is_key(table, name.name)):
            continue
        if table is not None and table.partitioned:
            continue  # CONCURRENTLY is refused there
        tail = f" of {table.name}" if table is not None else ""
        yield Remark(
            f"DROP INDEX {name}{tail} waits for every query on the table, and blocks reads and "
            "writes meanwhile.",
            "\n".join(_drops(command)),
        )
        return


def _drops(command: DropIndex) -> Iterator[str]:
    """One statement for each index: CONCURRENTLY takes no list."""
    condition = "IF EXISTS " if command.if_exists else ""
    for _, name in command.names:
        yield f"DROP INDEX CONCURRENTLY {condition}{name};"


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
            put_in(step.text, command.what, "CONCURRENTLY"),
        )


@rule(
    "refresh-view-blocking",
    Severity.ERROR,
    ON_PG,
    "https://www.postgresql.org/docs/current/sql-refreshmaterializedview.html",
    Example(
        "REFRESH MATERIALIZED VIEW prices;",
        _RIDES
        + "\nCREATE MATERIALIZED VIEW prices AS SELECT city, avg(price) FROM rides GROUP BY city;"
        "\nCREATE UNIQUE INDEX prices_by_city ON prices (city);",
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
    if command.concurrently or command.empties:
        return
    view = step.before.view(command.name)
    first = "" if view is None or view.has_key else _NEEDS_KEY
    yield Remark(
        f"REFRESH MATERIALIZED VIEW {command.name} blocks every read of it until it is filled "
        "again.",
        f"{first}REFRESH MATERIALIZED VIEW CONCURRENTLY {command.name};",
    )


_NEEDS_KEY: Final = "-- after a CREATE UNIQUE INDEX over columns of the view:\n"


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

    Manticore then runs every statement of the script separately. A failure in the middle leaves
    the ones before it applied. In a separate script, CONCURRENTLY does not affect the
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
            "transaction any more. Move it into a separate script.",
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
