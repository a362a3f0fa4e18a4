"""CockroachDB: schema changes are jobs, and a transaction does not hold them together."""

from __future__ import annotations

from collections.abc import Iterator

from ..._model.commands import (
    AddEnumValue,
    AlterTable,
    Command,
    CreateIndex,
    CreateTable,
    Drop,
    DropIndex,
    Rename,
    RenameEnumValue,
    Truncate,
)
from ..._model.values import Name
from ..._scripts.script import Mode
from ..finding import Severity
from ..rule import ON_CRDB, Example, Remark, Step, rule

_RIDES = "CREATE TABLE rides (id UUID PRIMARY KEY, city STRING);"
_TRANSACTIONS = "https://www.cockroachlabs.com/docs/stable/online-schema-changes#schema-changes-within-transactions"


@rule(
    "atomic-schema-change",
    Severity.ERROR,
    ON_CRDB,
    _TRANSACTIONS,
    Example(
        "CREATE UNIQUE INDEX one_per_city ON rides (city);",
        _RIDES,
        mode=Mode.ATOMIC,
        fixed="CREATE TABLE trips (id UUID PRIMARY KEY);",
    ),
    on=(AlterTable, CreateIndex, DropIndex, Rename, Truncate),
)
def atomic_schema_change(step: Step) -> Iterator[Remark]:
    """In a transaction, CockroachDB commits first and changes the schema afterwards.

    If the change then fails (XXA00), the rest of the transaction is committed and the change is
    not there: half a script. Remove mode=atomic: stepwise, each statement is recorded when its
    job has ended.
    """
    if step.script.script.mode is not Mode.ATOMIC:
        return
    name = _changed(step, step.read.command)
    if name is not None and not step.is_new(name):
        yield Remark(
            f"In mode=atomic the change of {name} is made after COMMIT; if it fails, the rest of "
            "the script is committed without it. Remove mode=atomic.",
        )


def _changed(step: Step, command: Command) -> Name | None:
    match command:
        case AlterTable() | Rename(what="TABLE"):
            return command.name
        case CreateIndex():
            return command.table
        case DropIndex():
            on, name = command.names[0]
            table = step.before.table_of_index(name, on)
            return table.name if table is not None else on or name
        case Truncate():
            return command.tables[0]
        case _:
            return None


@rule(
    "truncate-is-schema-change",
    Severity.WARNING,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/truncate",
    Example(
        "-- manticore: allow=truncate-table its rows are not needed any more\nTRUNCATE rides;",
        _RIDES,
        fixed="-- manticore: batch=5000\nDELETE FROM rides WHERE city = 'Rome';",
    ),
    on=(Truncate,),
)
def truncate_is_schema_change(step: Step) -> Iterator[Remark]:
    """On CockroachDB TRUNCATE is a schema change: it makes new, empty indexes, and a job
    deletes the old ones.

    It waits for other schema changes of the table, drops statistics and split points, and is
    not rolled back when its transaction fails. For a table of a few thousand rows, use DELETE.
    """
    command = step.read.command
    if isinstance(command, Truncate):
        names = [name for name in command.tables if not step.is_new(name)]
        if names:
            yield Remark(
                f"TRUNCATE {', '.join(map(str, names))} is a schema change on CockroachDB: it is "
                "not rolled back with its transaction, and it drops split points and statistics.",
            )


@rule(
    "not-cancelable",
    Severity.NOTE,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/cancel-job",
    Example("ALTER TABLE rides RENAME TO trips;", _RIDES, fixed="SELECT 1;"),
    on=(Rename, CreateTable, AddEnumValue, RenameEnumValue, Drop),
)
def not_cancelable(step: Step) -> Iterator[Remark]:
    """The job of a DROP, a RENAME, a CREATE TABLE AS or an ALTER TYPE cannot be canceled once
    it runs.

    On a large table you can only wait for it to end. Choose the time of the run accordingly.
    """
    command = step.read.command
    match command:
        case Rename(what="TABLE") if not step.is_new(command.name):
            shown = f"RENAME of {command.name}"
        case Drop(what="TABLE") if not all(map(step.is_new, command.names)):
            shown = f"DROP of {', '.join(map(str, command.names))}"
        case CreateTable(from_query=True, temporary=False):
            shown = "CREATE TABLE … AS"
        case AddEnumValue() | RenameEnumValue():
            shown = f"ALTER TYPE {command.name}"
        case _:
            return
    yield Remark(f"The job of this {shown} cannot be canceled.")
