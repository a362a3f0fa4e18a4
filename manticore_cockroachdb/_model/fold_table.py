"""Folding: how a table is made, with its columns, constraints, indexes and sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .._sql.server_kind import ServerKind
from . import naming
from .commands import CreateTable
from .faults import Fault, FaultKind, exists
from .schema import Key, Schema, Space
from .values import Column, Constraint, ConstraintKind, Index, Name, Sequence, Table, UserType


def create_table(command: CreateTable, schema: Schema, faults: list[Fault]) -> None:
    if command.temporary:
        return
    key = schema.key_to_make(Space.RELATION, command.name)
    found = schema.get(key)
    table = Table(
        Name(key.schema, key.name),
        known=command.complete,
        partitioned=command.partitioned,
        partition_key=command.partition_key,
        parent=resolved(schema, command.parent) if command.parent else None,
        takes_rest=command.takes_rest,
        options=command.options,
    )
    if command.parent is not None:
        parent = schema.table(command.parent)
        if parent is not None and not command.columns:
            table = replace(table, columns=parent.columns)
    for definition in command.columns:
        table = with_column(schema, table, definition.column)
    for constraint in _merged(command):
        table = with_constraint(schema, key, table, constraint)
    for index in command.indexes:
        table = with_index(schema, key, table, index)
    if found is None:
        schema.put(key, table)
        make_sequences(schema, table)
    elif not command.if_not_exists:
        exists(faults, "table", str(command.name))
    elif isinstance(found, Table) and found.known and table.known and _differs(found, table):
        faults.append(Fault(FaultKind.OTHER_SHAPE, "table", str(command.name)))


def _differs(one: Table, other: Table) -> bool:
    """Whether two tables have different columns."""
    return {(c.name, c.type) for c in one.columns} != {(c.name, c.type) for c in other.columns}


def resolved(schema: Schema, name: Name) -> Name:
    key = schema.key(Space.RELATION, name)
    return Name(key.schema, key.name)


def make_sequences(schema: Schema, table: Table) -> None:
    """The sequences of SERIAL and identity columns, on PostgreSQL."""
    if schema.server is not ServerKind.POSTGRESQL:
        return
    for column in table.columns:
        if column.serial or column.identity:
            name = naming.choose(
                table.name.name,
                column.name,
                "seq",
                lambda name: schema.is_free(table.name.schema or "", name),
            )
            key = Key(Space.RELATION, table.name.schema or "", name)
            schema.put(key, Sequence(Name(key.schema, name), table.name, column.name))


def free_names(schema: Schema, key: Key, table: Table) -> Callable[[str], bool]:
    """Whether a name is free for an index or a constraint of a table."""
    taken = {one.name for one in table.constraints} | {one.name for one in table.indexes}
    if schema.server is ServerKind.COCKROACHDB:
        return lambda name: name not in taken
    return lambda name: name not in taken and schema.is_free(key.schema, name, key)


def _merged(command: CreateTable) -> list[Constraint]:
    """The constraints of a new table; UNIQUE over the columns of the primary key is the same index.

    https://www.postgresql.org/docs/current/sql-createtable.html, at UNIQUE.
    """
    found = [one for each in command.columns for one in each.constraints]
    found += command.constraints
    kinds = (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE)
    key = next((one for one in found if one.kind is kinds[0]), None)
    if key is None:
        return found
    same = [one for one in found if one.kind is kinds[1] and one.columns == key.columns]
    name = key.name or next((one.name for one in same if one.name), None)
    return [replace(one, name=name) if one is key else one for one in found if one not in same]


def with_column(schema: Schema, table: Table, column: Column) -> Table:
    kind: UserType | None = schema.type(column.type.of_name) if column.type else None
    if kind is not None and column.type is not None:
        column = replace(column, type=replace(column.type, schema=shown_schema(kind.name.schema)))
    return replace(table, columns=(*table.columns, column))


def shown_schema(schema: str | None) -> str | None:
    return None if schema == "public" else schema


def with_constraint(schema: Schema, key: Key, table: Table, constraint: Constraint) -> Table:
    """A table with one more constraint, which gets a name if it has none."""
    if constraint.target is not None:
        target = resolved(schema, constraint.target)
        columns = constraint.target_columns
        if not columns:
            other = table if target == table.name else schema.table(target)
            columns = other.key_columns() if other is not None else ()
        constraint = replace(constraint, target=target, target_columns=columns)
    indexes = table.indexes
    if constraint.index is not None:
        index = table.index(constraint.index)
        indexes = tuple(one for one in indexes if one.name != constraint.index)
        constraint = replace(
            constraint,
            name=constraint.name or constraint.index,
            columns=index.columns if index else (),
        )
    if constraint.kind is ConstraintKind.NOT_NULL:
        return map_column(table, constraint.columns[0], lambda c: replace(c, not_null=True))
    if constraint.name is None:
        constraint = replace(constraint, name=chosen_name(schema, key, table, constraint))
    table = replace(table, constraints=(*table.constraints, constraint), indexes=indexes)
    if constraint.kind is ConstraintKind.PRIMARY_KEY:
        for name in constraint.columns:
            table = map_column(table, name, lambda c: replace(c, not_null=True))
    return table


def chosen_name(schema: Schema, key: Key, table: Table, constraint: Constraint) -> str:
    """The name that the server gives a constraint without one."""
    columns = [column.name for column in table.columns]
    is_free = free_names(schema, key, table)
    condition = constraint.expression if constraint.kind is ConstraintKind.CHECK else None
    if schema.server is ServerKind.COCKROACHDB:
        if condition is not None:
            return naming.for_check_on_cockroachdb(columns, condition, is_free)
        constraint = replace(constraint, storing=())
    return naming.for_constraint(table.name.name, columns, constraint, is_free)


def with_index(schema: Schema, key: Key, table: Table, index: Index) -> Table:
    if index.name is None:
        index = replace(index, name=chosen_index_name(schema, key, table, index))
    return replace(table, indexes=(*table.indexes, index))


def chosen_index_name(schema: Schema, key: Key, table: Table, index: Index) -> str:
    """The name that the server gives an index without one; CockroachDB leaves STORING out of it."""
    named = index if schema.server is ServerKind.POSTGRESQL else replace(index, storing=())
    return naming.for_index(table.name.name, named, free_names(schema, key, table))


def map_column(table: Table, name: str, change: Callable[[Column], Column]) -> Table:
    return replace(
        table,
        columns=tuple(change(one) if one.name == name else one for one in table.columns),
    )
