"""Changes that the previous release does not know of, while it still runs."""

from __future__ import annotations

from collections.abc import Iterator

from ..._model.actions import RenameColumn
from ..._model.commands import AlterTable, Rename, RenameEnumValue, SetSchema
from ..._model.schema import Space
from ..._model.values import Name, Table, View, quoted
from ..ahead import column_returns, table_returns
from ..finding import Severity
from ..rule import BOTH, CRDB, Example, Remark, Step, rule
from ..sql import filled, listed, literal, scripts

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT);"
_RENAME = "https://www.postgresql.org/docs/current/sql-altertable.html"


@rule(
    "rename-table",
    Severity.WARNING,
    BOTH,
    _RENAME,
    Example("ALTER TABLE rides RENAME TO trips;", _RIDES),
    on=(Rename, SetSchema),
)
def rename_table(step: Step) -> Iterator[Remark]:
    """Programs of the previous release still use the old name, and fail.

    A view under the old name keeps them working. CockroachDB refuses to rename a table that a
    view uses.
    """
    command = step.read.command
    if not isinstance(command, Rename | SetSchema) or command.what != "TABLE":
        return
    table = step.table(command.name)
    if step.is_new(command.name) or (table is None and step.before.relation(command.name)):
        return
    if table_returns(step, command.name) or _is_passing(command.name.name):
        return
    new = command.new if isinstance(command, Rename) else f"{command.schema}.{command.name.name}"
    views = _views(step, command.name) if step.target.kind is CRDB else []
    refused = f" CockroachDB refuses it while {', '.join(views)} selects from it." if views else ""
    target = (
        Name(command.name.schema, new)
        if isinstance(command, Rename)
        else Name(command.schema, command.name.name)
    )
    known = table is not None and table.known and table.columns
    # CockroachDB refuses `*` in a view before v23.1.
    columns = listed(one.name for one in table.columns) if table is not None and known else "*"
    yield Remark(
        f"Programs that use the name {command.name} fail from now on.{refused}",
        scripts(
            f"CREATE VIEW {target} AS SELECT {columns} FROM {command.name};",
            f"-- when no release uses {command.name} any more, drop the view and rename the table",
        ),
    )


def _views(step: Step, name: Name) -> list[str]:
    referrers = step.before.referrers(step.before.key(Space.RELATION, name))
    return sorted(key.name for key in referrers if isinstance(step.before.get(key), View))


@rule(
    "rename-column",
    Severity.WARNING,
    BOTH,
    _RENAME,
    Example("ALTER TABLE rides RENAME COLUMN city TO town;", _RIDES),
    on=(AlterTable,),
)
def rename_column(step: Step) -> Iterator[Remark]:
    """Programs of the previous release still use the old name, and fail.

    Add a column with the new name, keep both filled, and drop the old one when nothing uses it
    any more.
    """
    command = step.read.command
    if not isinstance(command, AlterTable) or step.is_new(command.name):
        return
    table = step.before.table(command.name)
    for action in command.actions:
        if not isinstance(action, RenameColumn) or _is_unused(step, table, action.old):
            continue
        if column_returns(step, command.name, action.old):
            continue
        old, new = quoted(action.old), quoted(action.new)
        column = table.column(action.old) if table is not None else None
        known = column is not None and column.type is not None
        kind = column.type if column is not None and known else f"<the type of {old}>"
        added = f"ALTER TABLE {command.name} ADD COLUMN {new} {kind};"
        views = _views(step, command.name) if step.target.kind is CRDB else []
        refused = f" CockroachDB refuses it while {', '.join(views)} uses it." if views else ""
        yield Remark(
            f"Programs that use {command.name}.{old} fail from now on.{refused}",
            scripts(
                added if known else f"-- {added}",
                f"-- every release writes both from here on; then:\n"
                f"{filled(command.name, new, old)}",
                f"-- when nothing uses {old} any more:\n-- ALTER TABLE {command.name} DROP COLUMN "
                f"{old};",
            ),
        )


def _is_passing(name: str) -> bool:
    """Whether a name says that it is not to stay."""
    return name.endswith(("_tmp", "_temp", "_new"))


def _is_unused(step: Step, table: Table | None, column: str) -> bool:
    """Whether no release can know the column: the script made it, or its name says it is temporary."""
    if column.startswith("_") or _is_passing(column):
        return True
    before = step.script.before.table(table.name) if table is not None else None
    return before is not None and before.known and before.column(column) is None


@rule(
    "rename-enum-value",
    Severity.WARNING,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-altertype.html",
    Example(
        "ALTER TYPE status RENAME VALUE 'open' TO 'started';",
        "CREATE TYPE status AS ENUM ('open', 'done');",
    ),
    on=(RenameEnumValue,),
)
def rename_enum_value(step: Step) -> Iterator[Remark]:
    """Programs of the previous release still write the old value, and fail."""
    command = step.read.command
    if isinstance(command, RenameEnumValue):
        yield Remark(
            f"Programs that write '{command.old}' fail from now on.",
            scripts(
                f"ALTER TYPE {command.name} ADD VALUE {literal(command.new)};",
                f"-- when no release writes '{command.old}' any more, change the rows in batches",
            ),
        )


@rule(
    "rename-schema",
    Severity.WARNING,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-alterschema.html",
    Example(
        "ALTER SCHEMA billing RENAME TO payments;",
        "CREATE SCHEMA billing;",
        fixed="CREATE SCHEMA payments;",
    ),
    on=(Rename,),
)
def rename_schema(step: Step) -> Iterator[Remark]:
    """Every name in the schema changes at once; programs of the previous release fail."""
    command = step.read.command
    if isinstance(command, Rename) and command.what == "SCHEMA":
        yield Remark(f"Programs that use names in {command.name} fail from now on.")
