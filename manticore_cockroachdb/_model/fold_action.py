"""Folding: what each action of an ALTER TABLE does."""

# ruff: noqa: ARG001 - the functions of a table are all called alike
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from .._sql.server_kind import ServerKind
from .actions import (
    Action,
    AddColumn,
    AddConstraint,
    AlterPrimaryKey,
    AttachPartition,
    DetachPartition,
    DropColumn,
    DropConstraint,
    DropNotNull,
    RenameColumn,
    RenameConstraint,
    SetDefault,
    SetGenerated,
    SetNotNull,
    SetOptions,
    SetType,
    ValidateConstraint,
)
from .commands import AlterTable
from .faults import Fault, FaultKind, exists, gone, missing, remove, table_at
from .fold_removal import owned_sequences
from .fold_table import make_sequences, map_column, with_column, with_constraint
from .schema import Key, Schema, Space
from .values import Column, Constraint, ConstraintKind, Expression, Index, Name, Table


def alter_table(command: AlterTable, schema: Schema, faults: list[Fault]) -> None:
    if command.what != "TABLE":
        return
    found = table_at(schema, command.name, faults, if_exists=command.if_exists)
    if found is None:
        return
    key, table = found
    for action in command.actions:
        act = _ACT.get(type(action))
        if act is not None:
            table = act(action, schema, key, table, faults)
    schema.put(key, table)


def need_column(table: Table, name: str, faults: list[Fault]) -> None:
    if table.known and table.column(name) is None:
        missing(faults, "column", name, table.name)


def _add_column(
    action: AddColumn, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    column = action.definition.column
    there = table.column(column.name)
    if there is not None:
        if not action.definition.if_not_exists:
            exists(faults, "column", column.name, table.name)
        elif there.type != column.type and None not in (there.type, column.type):
            faults.append(Fault(FaultKind.OTHER_SHAPE, "column", column.name, table.name))
        return table
    table = with_column(schema, table, column)
    for constraint in action.definition.constraints:
        table = with_constraint(schema, key, table, constraint)
    make_sequences(schema, replace(table, columns=(column,)))
    return table


def _drop_column(
    action: DropColumn, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    name = action.column
    if not action.if_exists:
        need_column(table, name, faults)
    for other, sequence in owned_sequences(schema, key, table.name):
        if sequence.column == name:
            remove(schema, other)
    return replace(
        table,
        columns=tuple(one for one in table.columns if one.name != name),
        constraints=tuple(one for one in table.constraints if not _constraint_uses(one, name)),
        indexes=tuple(index for index in table.indexes if not _index_goes(index, name)),
    )


def _constraint_uses(constraint: Constraint, column: str) -> bool:
    used = constraint.expression.names if constraint.expression is not None else frozenset()
    return column in used or column in constraint.columns


def _index_goes(index: Index, column: str) -> bool:
    return index.uses(column) or column in index.storing


def _set_type(
    action: SetType, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    need_column(table, action.column, faults)
    return map_column(table, action.column, lambda one: replace(one, type=action.type))


def _set_not_null(
    action: SetNotNull, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    need_column(table, action.column, faults)
    return map_column(table, action.column, lambda one: replace(one, not_null=True))


def _drop_not_null(
    action: DropNotNull, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    need_column(table, action.column, faults)
    return map_column(table, action.column, lambda one: replace(one, not_null=False))


def _set_default(
    action: SetDefault, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    need_column(table, action.column, faults)
    return map_column(
        table, action.column, lambda one: replace(one, default=action.default, serial=False)
    )


def _set_generated(
    action: SetGenerated, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    need_column(table, action.column, faults)

    def change(column: Column) -> Column:
        if action.identity is not None:
            return replace(column, identity=action.identity)
        return replace(column, generated=action.generated)

    return map_column(table, action.column, change)


def _add_constraint(
    action: AddConstraint, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    constraint = action.constraint
    for name in constraint.columns:
        need_column(table, name, faults)
    if constraint.target is not None:
        _need_target(schema, constraint, faults)
    if constraint.name is not None and table.constraint(constraint.name) is not None:
        if not action.if_not_exists:
            exists(faults, "constraint", constraint.name, table.name)
        return table
    return with_constraint(schema, key, table, constraint)


def _need_target(schema: Schema, constraint: Constraint, faults: list[Fault]) -> None:
    """The table a foreign key refers to, and its columns."""
    target = constraint.target
    if target is None:
        return
    key = schema.key(Space.RELATION, target)
    table = schema.get(key)
    if gone(schema, key):
        missing(faults, "table", str(target))
    elif isinstance(table, Table):
        for name in constraint.target_columns:
            need_column(table, name, faults)


def _drop_constraint(
    action: DropConstraint, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    there = table.constraint(action.name)
    # CockroachDB's names for unnamed constraints differ by version.
    sure = schema.server is ServerKind.POSTGRESQL and not action.name.endswith("_not_null")
    if there is None and not action.if_exists and table.known and sure:
        missing(faults, "constraint", action.name, table.name)
    if there is not None and action.cascade:
        drop_references(schema, key, there.columns)
    return replace(
        table, constraints=tuple(one for one in table.constraints if one.name != action.name)
    )


def drop_references(schema: Schema, key: Key, columns: tuple[str, ...]) -> None:
    """Drop the foreign keys that refer to these columns, whose unique key goes with CASCADE."""
    name = Name(key.schema, key.name)
    for other in schema.referrers(key):
        value = schema.get(other)
        if isinstance(value, Table) and other != key:
            kept = tuple(
                one
                for one in value.constraints
                if one.target != name or one.target_columns != columns
            )
            schema.put(other, replace(value, constraints=kept))


def _validate(
    action: ValidateConstraint, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    there = table.constraint(action.name)
    if there is None:
        return table
    return replace(
        table,
        constraints=tuple(
            replace(one, validated=True) if one is there else one for one in table.constraints
        ),
    )


def _rename_column(
    action: RenameColumn, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    need_column(table, action.old, faults)
    if table.column(action.new) is not None:
        exists(faults, "column", action.new, table.name)
        return table
    if table.column(action.old) is None:
        return replace(table, columns=(*table.columns, Column(action.new, None)))

    def renamed(name: str) -> str:
        return action.new if name == action.old else name

    def reworded(expression: Expression | None) -> Expression | None:
        """The server rewrites its own copy; the text here stays as it was written."""
        if expression is None or action.old not in expression.names:
            return expression
        return replace(expression, names=(expression.names - {action.old}) | {action.new})

    return replace(
        table,
        columns=tuple(
            replace(one, name=renamed(one.name), generated=reworded(one.generated))
            for one in table.columns
        ),
        constraints=tuple(
            replace(
                one,
                columns=tuple(map(renamed, one.columns)),
                expression=reworded(one.expression),
                storing=tuple(map(renamed, one.storing)),
            )
            for one in table.constraints
        ),
        indexes=tuple(
            replace(
                index,
                keys=tuple(
                    replace(
                        one,
                        column=one.column and renamed(one.column),
                        expression=reworded(one.expression),
                    )
                    for one in index.keys
                ),
                predicate=reworded(index.predicate),
                storing=tuple(map(renamed, index.storing)),
            )
            for index in table.indexes
        ),
    )


def _rename_constraint(
    action: RenameConstraint, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    if table.constraint(action.old) is None:
        return table
    return replace(
        table,
        constraints=tuple(
            replace(one, name=action.new) if one.name == action.old else one
            for one in table.constraints
        ),
    )


def _alter_primary_key(
    action: AlterPrimaryKey, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    old = table.primary_key
    kept = tuple(one for one in table.constraints if one is not old)
    table = replace(table, constraints=kept)
    made = Constraint(
        ConstraintKind.PRIMARY_KEY,
        old.name if old else None,
        action.columns,
        sharded=action.sharded,
    )
    return with_constraint(schema, key, table, made)


def _attach(
    action: AttachPartition, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    _set_parent(schema, action.partition, table.name, takes_rest=action.takes_rest)
    return table


def _detach(
    action: DetachPartition, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    _set_parent(schema, action.partition, None)
    return table


def _set_parent(
    schema: Schema, partition: Name, parent: Name | None, *, takes_rest: bool = False
) -> None:
    key = schema.key(Space.RELATION, partition)
    found = schema.get(key)
    if isinstance(found, Table):
        schema.put(key, replace(found, parent=parent, takes_rest=takes_rest))


def _set_options(
    action: SetOptions, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    names = {option.partition("=")[0] for option in action.options}
    kept = tuple(one for one in table.options if one.partition("=")[0] not in names)
    return replace(table, options=kept if action.reset else (*kept, *action.options))


_ACT: Final[dict[type[Action], Callable[[Any, Schema, Key, Table, list[Fault]], Table]]] = {
    AddColumn: _add_column,
    AddConstraint: _add_constraint,
    AlterPrimaryKey: _alter_primary_key,
    AttachPartition: _attach,
    DetachPartition: _detach,
    DropColumn: _drop_column,
    DropConstraint: _drop_constraint,
    DropNotNull: _drop_not_null,
    RenameColumn: _rename_column,
    RenameConstraint: _rename_constraint,
    SetDefault: _set_default,
    SetGenerated: _set_generated,
    SetNotNull: _set_not_null,
    SetOptions: _set_options,
    SetType: _set_type,
    ValidateConstraint: _validate,
}
