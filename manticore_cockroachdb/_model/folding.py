"""Folding: a command changes a schema; what does not fit is handed back as a fault.

`fold` never raises and never stops: after a fault the schema holds what the server would hold if it
had accepted the statement. A table that no script made is taken for one that has more columns,
indexes and constraints than are known (`Table.known`), and nothing is said of what it lacks.
"""

# ruff: noqa: ARG001 - the functions of a table are all called alike
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from .._sql.server_kind import ServerKind
from .._sql.tokens import word_set
from . import naming
from .commands import (
    Action,
    AddColumn,
    AddConstraint,
    AddEnumValue,
    AlterPrimaryKey,
    AlterTable,
    AttachPartition,
    Command,
    CreateExtension,
    CreateFunction,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateTable,
    CreateType,
    CreateView,
    DetachPartition,
    Drop,
    DropColumn,
    DropConstraint,
    DropEnumValue,
    DropIndex,
    DropNotNull,
    Opaque,
    OwnSequence,
    Rename,
    RenameColumn,
    RenameConstraint,
    RenameEnumValue,
    SetDefault,
    SetGenerated,
    SetNotNull,
    SetOptions,
    SetSchema,
    SetType,
    SetVariable,
    Truncate,
    Unknown,
    ValidateConstraint,
    Write,
)
from .schema import DEFAULT_PATH, Key, Schema, Space
from .values import (
    Column,
    Constraint,
    ConstraintKind,
    Expression,
    Function,
    Index,
    Name,
    Namespace,
    Object,
    Sequence,
    Table,
    UserType,
    View,
)


class FaultKind(Enum):
    """Why a command does not fit the schema."""

    MISSING = "does not exist"
    """It names what an earlier script dropped or renamed, or what its known table does not have."""
    EXISTS = "already exists"
    """It makes what is there."""
    OTHER_SHAPE = "exists with another definition"
    """IF NOT EXISTS skips it, and what is there is something else."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing in a command that does not fit the schema.

    Attributes:
        kind: Why.
        what: The kind of object: "table", "column", …
        name: Its name as SQL takes it.
        table: The table it is on, for a column, an index or a constraint.
    """

    kind: FaultKind
    what: str
    name: str
    table: Name | None = None


#: Extensions that bring no tables; others may make anything.
_PLAIN_EXTENSIONS: Final = word_set(
    "btree_gin btree_gist citext cube fuzzystrmatch hstore intarray isn ltree pg_buffercache "
    "pg_prewarm pg_stat_statements pg_trgm pgcrypto plpgsql postgres_fdw tablefunc unaccent "
    "uuid-ossp vector"
)


def fold(command: Command, schema: Schema) -> tuple[Fault, ...]:
    """Change a schema as a command does.

    Args:
        command: The command.
        schema: The schema, usually a fork of the one before.

    Returns:
        What does not fit; nothing once a statement was met that may have made or dropped anything.
    """
    apply = _APPLY.get(type(command))
    if apply is None:
        return ()
    faults: list[Fault] = []
    apply(command, schema, faults)
    return () if schema.opaque else tuple(faults)


def begin_script(schema: Schema) -> None:
    """Each script begins with the session's own settings."""
    schema.path = DEFAULT_PATH


# -- helpers -------------------------------------------------------------------------------------


def _missing(faults: list[Fault], what: str, name: str, table: Name | None = None) -> None:
    faults.append(Fault(FaultKind.MISSING, what, name, table))


def _exists(faults: list[Fault], what: str, name: str, table: Name | None = None) -> None:
    faults.append(Fault(FaultKind.EXISTS, what, name, table))


def _remove(schema: Schema, key: Key) -> None:
    schema.put(key, None)


def _gone(schema: Schema, key: Key) -> bool:
    """Whether a script dropped or renamed what was here (and nothing took its place)."""
    return schema.was(key) and schema.get(key) is None


def _table_at(
    schema: Schema, name: Name, faults: list[Fault], *, if_exists: bool = False
) -> tuple[Key, Table] | None:
    """The table of a name; one that no script made is taken for an unknown table."""
    key = schema.key(Space.RELATION, name)
    found = schema.get(key)
    if isinstance(found, Table):
        return key, found
    if found is not None:
        return None  # a view or a sequence
    if _gone(schema, key):
        if not if_exists:
            _missing(faults, "table", str(name))
        return None
    table = Table(Name(key.schema, key.name), known=False)
    schema.put(key, table)
    return key, table


# -- tables --------------------------------------------------------------------------------------


def _create_table(command: CreateTable, schema: Schema, faults: list[Fault]) -> None:
    if command.temporary:
        return
    key = schema.key_to_make(Space.RELATION, command.name)
    found = schema.get(key)
    table = Table(
        Name(key.schema, key.name),
        known=command.complete,
        partitioned=command.partitioned,
        partition_key=command.partition_key,
        parent=_resolved(schema, command.parent) if command.parent else None,
        options=command.options,
    )
    if command.parent is not None:
        parent = schema.table(command.parent)
        if parent is not None and not command.columns:
            table = replace(table, columns=parent.columns)
    for definition in command.columns:
        table = _with_column(schema, table, definition.column)
    for constraint in _merged(command):
        table = _with_constraint(schema, key, table, constraint)
    for index in command.indexes:
        table = _with_index(schema, key, table, index)
    if found is None:
        schema.put(key, table)
        _make_sequences(schema, table)
    elif not command.if_not_exists:
        _exists(faults, "table", str(command.name))
    elif isinstance(found, Table) and found.known and table.known and _differs(found, table):
        faults.append(Fault(FaultKind.OTHER_SHAPE, "table", str(command.name)))


def _differs(one: Table, other: Table) -> bool:
    """Whether two tables have different columns."""
    return {(c.name, c.type) for c in one.columns} != {(c.name, c.type) for c in other.columns}


def _resolved(schema: Schema, name: Name) -> Name:
    key = schema.key(Space.RELATION, name)
    return Name(key.schema, key.name)


def _make_sequences(schema: Schema, table: Table) -> None:
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


def _free_names(schema: Schema, key: Key, table: Table) -> Callable[[str], bool]:
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


def _with_column(schema: Schema, table: Table, column: Column) -> Table:
    kind: UserType | None = schema.type(column.type.of_name) if column.type else None
    if kind is not None and column.type is not None:
        column = replace(column, type=replace(column.type, schema=_shown(kind.name.schema)))
    return replace(table, columns=(*table.columns, column))


def _shown(schema: str | None) -> str | None:
    return None if schema == "public" else schema


def _with_constraint(schema: Schema, key: Key, table: Table, constraint: Constraint) -> Table:
    """A table with one more constraint, which gets a name if it has none."""
    if constraint.target is not None:
        target = _resolved(schema, constraint.target)
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
        return _map_column(table, constraint.columns[0], lambda c: replace(c, not_null=True))
    if constraint.name is None:
        named = naming.for_constraint(
            table.name.name,
            [column.name for column in table.columns],
            constraint,
            _free_names(schema, key, table),
        )
        constraint = replace(constraint, name=named)
    table = replace(table, constraints=(*table.constraints, constraint), indexes=indexes)
    if constraint.kind is ConstraintKind.PRIMARY_KEY:
        for name in constraint.columns:
            table = _map_column(table, name, lambda c: replace(c, not_null=True))
    return table


def _with_index(schema: Schema, key: Key, table: Table, index: Index) -> Table:
    if index.name is None:
        name = naming.for_index(table.name.name, index, _free_names(schema, key, table))
        index = replace(index, name=name)
    return replace(table, indexes=(*table.indexes, index))


def _map_column(table: Table, name: str, change: Callable[[Column], Column]) -> Table:
    return replace(
        table,
        columns=tuple(change(one) if one.name == name else one for one in table.columns),
    )


def _alter_table(command: AlterTable, schema: Schema, faults: list[Fault]) -> None:
    if command.what != "TABLE":
        return
    found = _table_at(schema, command.name, faults, if_exists=command.if_exists)
    if found is None:
        return
    key, table = found
    for action in command.actions:
        act = _ACT.get(type(action))
        if act is not None:
            table = act(action, schema, key, table, faults)
    schema.put(key, table)


def _need_column(table: Table, name: str, faults: list[Fault]) -> None:
    if table.known and table.column(name) is None:
        _missing(faults, "column", name, table.name)


def _add_column(
    action: AddColumn, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    column = action.definition.column
    there = table.column(column.name)
    if there is not None:
        if not action.definition.if_not_exists:
            _exists(faults, "column", column.name, table.name)
        elif there.type != column.type and None not in (there.type, column.type):
            faults.append(Fault(FaultKind.OTHER_SHAPE, "column", column.name, table.name))
        return table
    table = _with_column(schema, table, column)
    for constraint in action.definition.constraints:
        table = _with_constraint(schema, key, table, constraint)
    _make_sequences(schema, replace(table, columns=(column,)))
    return table


def _drop_column(
    action: DropColumn, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    name = action.column
    if not action.if_exists:
        _need_column(table, name, faults)
    for other, sequence in _owned(schema, key, table.name):
        if sequence.column == name:
            _remove(schema, other)
    return replace(
        table,
        columns=tuple(one for one in table.columns if one.name != name),
        constraints=tuple(one for one in table.constraints if not _constraint_uses(one, name)),
        indexes=tuple(index for index in table.indexes if not _index_goes(index, name)),
    )


def _constraint_uses(constraint: Constraint, column: str) -> bool:
    if constraint.kind is ConstraintKind.CHECK and constraint.expression is not None:
        return column in constraint.expression.names
    return column in constraint.columns


def _index_goes(index: Index, column: str) -> bool:
    return index.uses(column) or column in index.storing


def _set_type(
    action: SetType, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    _need_column(table, action.column, faults)
    return _map_column(table, action.column, lambda one: replace(one, type=action.type))


def _set_not_null(
    action: SetNotNull, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    _need_column(table, action.column, faults)
    return _map_column(table, action.column, lambda one: replace(one, not_null=True))


def _drop_not_null(
    action: DropNotNull, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    _need_column(table, action.column, faults)
    return _map_column(table, action.column, lambda one: replace(one, not_null=False))


def _set_default(
    action: SetDefault, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    _need_column(table, action.column, faults)
    return _map_column(
        table, action.column, lambda one: replace(one, default=action.default, serial=False)
    )


def _set_generated(
    action: SetGenerated, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    _need_column(table, action.column, faults)

    def change(column: Column) -> Column:
        if action.identity is not None:
            return replace(column, identity=action.identity)
        return replace(column, generated=action.generated)

    return _map_column(table, action.column, change)


def _add_constraint(
    action: AddConstraint, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    constraint = action.constraint
    for name in constraint.columns:
        _need_column(table, name, faults)
    if constraint.target is not None:
        _need_target(schema, constraint, faults)
    if constraint.name is not None and table.constraint(constraint.name) is not None:
        if not action.if_not_exists:
            _exists(faults, "constraint", constraint.name, table.name)
        return table
    return _with_constraint(schema, key, table, constraint)


def _need_target(schema: Schema, constraint: Constraint, faults: list[Fault]) -> None:
    """The table a foreign key refers to, and its columns."""
    target = constraint.target
    if target is None:
        return
    key = schema.key(Space.RELATION, target)
    table = schema.get(key)
    if _gone(schema, key):
        _missing(faults, "table", str(target))
    elif isinstance(table, Table):
        for name in constraint.target_columns:
            _need_column(table, name, faults)


def _drop_constraint(
    action: DropConstraint, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    there = table.constraint(action.name)
    # CockroachDB's names for unnamed constraints differ by version.
    sure = schema.server is ServerKind.POSTGRESQL and not action.name.endswith("_not_null")
    if there is None and not action.if_exists and table.known and sure:
        _missing(faults, "constraint", action.name, table.name)
    if there is not None and action.cascade:
        _drop_references(schema, key, there.columns)
    return replace(
        table, constraints=tuple(one for one in table.constraints if one.name != action.name)
    )


def _drop_references(schema: Schema, key: Key, columns: tuple[str, ...]) -> None:
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
    _need_column(table, action.old, faults)
    if table.column(action.new) is not None:
        _exists(faults, "column", action.new, table.name)
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
    return _with_constraint(schema, key, table, made)


def _attach(
    action: AttachPartition, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    _set_parent(schema, action.partition, table.name)
    return table


def _detach(
    action: DetachPartition, schema: Schema, key: Key, table: Table, faults: list[Fault]
) -> Table:
    _set_parent(schema, action.partition, None)
    return table


def _set_parent(schema: Schema, partition: Name, parent: Name | None) -> None:
    key = schema.key(Space.RELATION, partition)
    found = schema.get(key)
    if isinstance(found, Table):
        schema.put(key, replace(found, parent=parent))


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


# -- indexes -------------------------------------------------------------------------------------


def _create_index(command: CreateIndex, schema: Schema, faults: list[Fault]) -> None:
    view = schema.view(command.table)
    if view is not None:
        return
    found = _table_at(schema, command.table, faults)
    if found is None:
        return
    key, table = found
    for column in command.index.columns:
        _need_column(table, column, faults)
    name = command.index.name
    taken = name is not None and not _free_names(schema, key, table)(name)
    if taken and not command.if_not_exists:
        _exists(faults, "index", str(name), table.name)
    if taken:
        return
    schema.put(key, _with_index(schema, key, table, command.index))


def _drop_index(command: DropIndex, schema: Schema, faults: list[Fault]) -> None:
    for on, name in command.names:
        table = schema.table_of_index(name, on)
        if table is None:
            continue
        key = schema.key(Space.RELATION, table.name)
        index = table.index(name.name) or table.constraint(name.name)
        if index is not None and command.cascade:
            _drop_references(schema, key, index.columns)
        schema.put(
            key,
            replace(
                table,
                indexes=tuple(index for index in table.indexes if index.name != name.name),
                constraints=tuple(
                    one
                    for one in table.constraints
                    if one.name != name.name or one.kind is not ConstraintKind.UNIQUE
                ),
            ),
        )


# -- other objects -------------------------------------------------------------------------------


def _create_view(command: CreateView, schema: Schema, faults: list[Fault]) -> None:
    if command.temporary:
        return
    key = schema.key_to_make(Space.RELATION, command.name)
    if schema.get(key) is not None and not command.replace:
        if not command.if_not_exists:
            _exists(faults, "view", str(command.name))
        return
    view = View(Name(key.schema, key.name), command.query, command.materialized)
    schema.put(key, view)


def _create_sequence(command: CreateSequence, schema: Schema, faults: list[Fault]) -> None:
    if command.temporary:
        return
    key = schema.key_to_make(Space.RELATION, command.name)
    if schema.get(key) is not None:
        if not command.if_not_exists:
            _exists(faults, "sequence", str(command.name))
        return
    schema.put(key, Sequence(Name(key.schema, key.name)))


def _own_sequence(command: OwnSequence, schema: Schema, faults: list[Fault]) -> None:
    key = schema.key(Space.RELATION, command.name)
    found = schema.get(key)
    if isinstance(found, Sequence):
        owner = _resolved(schema, command.table) if command.table is not None else None
        schema.put(key, replace(found, owner=owner, column=command.column))


def _create_type(command: CreateType, schema: Schema, faults: list[Fault]) -> None:
    key = schema.key_to_make(Space.TYPE, command.name)
    there = schema.get(key)
    if there is not None:
        if not command.if_not_exists:
            _exists(faults, "type", str(command.name))
        elif isinstance(there, UserType) and there.values != command.values:
            faults.append(Fault(FaultKind.OTHER_SHAPE, "type", str(command.name)))
        return
    made = UserType(
        Name(key.schema, key.name),
        command.kind,
        command.values,
        command.checked,
        command.base,
        command.condition,
    )
    schema.put(key, made)


def _add_value(command: AddEnumValue, schema: Schema, faults: list[Fault]) -> None:
    found = _type_at(schema, command.name)
    if found is None:
        return
    key, kind = found
    if command.value in kind.values:
        if not command.if_not_exists:
            _exists(faults, "enum value", f"'{command.value}'")
        return
    schema.put(key, replace(kind, values=(*kind.values, command.value)))


def _drop_value(command: DropEnumValue, schema: Schema, faults: list[Fault]) -> None:
    found = _type_at(schema, command.name)
    if found is not None:
        key, kind = found
        kept = tuple(value for value in kind.values if value != command.value)
        schema.put(key, replace(kind, values=kept))


def _rename_value(command: RenameEnumValue, schema: Schema, faults: list[Fault]) -> None:
    found = _type_at(schema, command.name)
    if found is not None:
        key, kind = found
        values = tuple(command.new if one == command.old else one for one in kind.values)
        schema.put(key, replace(kind, values=values))


def _type_at(schema: Schema, name: Name) -> tuple[Key, UserType] | None:
    key = schema.key(Space.TYPE, name)
    found = schema.get(key)
    return (key, found) if isinstance(found, UserType) else None


def _create_function(command: CreateFunction, schema: Schema, faults: list[Fault]) -> None:
    key = schema.key_to_make(Space.FUNCTION, command.name)
    there = schema.get(key)
    bodies = there.bodies if isinstance(there, Function) else ()
    kept = tuple(one for one in bodies if one[0] != command.arguments)
    schema.put(
        key,
        Function(Name(key.schema, key.name), (*kept, (command.arguments, command.body))),
    )


def _create_namespace(command: CreateSchema, schema: Schema, faults: list[Fault]) -> None:
    key = Key(Space.NAMESPACE, "", command.name)
    if schema.has_namespace(command.name):
        if not command.if_not_exists and command.name != "public":
            _exists(faults, "schema", command.name)
        return
    schema.put(key, Namespace(command.name))


def _create_extension(command: CreateExtension, schema: Schema, faults: list[Fault]) -> None:
    if command.name not in _PLAIN_EXTENSIONS:
        schema.opaque += 1


_SPACES: Final = {
    "TABLE": Space.RELATION,
    "VIEW": Space.RELATION,
    "MATERIALIZED VIEW": Space.RELATION,
    "SEQUENCE": Space.RELATION,
    "TYPE": Space.TYPE,
    "DOMAIN": Space.TYPE,
    "FUNCTION": Space.FUNCTION,
    "PROCEDURE": Space.FUNCTION,
    "ROUTINE": Space.FUNCTION,
    "AGGREGATE": Space.FUNCTION,
}


def _drop(command: Drop, schema: Schema, faults: list[Fault]) -> None:
    if command.what == "SCHEMA":
        for name in command.names:
            _drop_namespace(name.name, schema, faults, if_exists=command.if_exists)
        return
    space = _SPACES.get(command.what)
    if space is None:
        return
    for name in command.names:
        key = schema.key(space, name)
        found = schema.get(key)
        if found is None:
            if _gone(schema, key) and not command.if_exists and space is not Space.FUNCTION:
                _missing(faults, command.what.lower(), str(name))
            continue
        _drop_object(schema, key, found, cascade=command.cascade)


def _drop_object(schema: Schema, key: Key, found: Object, *, cascade: bool) -> None:
    """Drop an object, the keys that refer to it, and with CASCADE the views over it."""
    referrers = schema.referrers(key)
    if isinstance(found, Table):
        for other, _ in _owned(schema, key, found.name):
            _remove(schema, other)
    _remove(schema, key)
    for other in referrers:
        dependent = schema.get(other)
        if isinstance(dependent, View) and cascade:
            _drop_object(schema, other, dependent, cascade=True)
        elif isinstance(dependent, Table):
            _cut(schema, other, dependent, key, cascade=cascade)


def _owned(schema: Schema, key: Key, table: Name) -> list[tuple[Key, Sequence]]:
    """The sequences of a table's SERIAL and identity columns."""
    pairs = [(other, schema.get(other)) for other in schema.referrers(key)]
    return [
        (other, value)
        for other, value in pairs
        if isinstance(value, Sequence) and value.owner == table
    ]


def _cut(schema: Schema, key: Key, table: Table, gone: Key, *, cascade: bool) -> None:
    """Take from a table what depends on an object that goes."""
    name = Name(gone.schema, gone.name)
    if gone.space is Space.RELATION:
        if table.parent == name:
            _remove(schema, key)
            return
        kept = tuple(one for one in table.constraints if one.target != name)
        schema.put(key, replace(table, constraints=kept))
    elif cascade:
        shown = Name(_shown(gone.schema), gone.name)
        kept_columns = tuple(
            one for one in table.columns if one.type is None or one.type.of_name != shown
        )
        schema.put(key, replace(table, columns=kept_columns))


def _drop_namespace(name: str, schema: Schema, faults: list[Fault], *, if_exists: bool) -> None:
    key = Key(Space.NAMESPACE, "", name)
    if schema.get(key) is None and _gone(schema, key) and not if_exists:
        _missing(faults, "schema", name)
    for other in [other for other, _ in schema.objects() if other.schema == name]:
        _remove(schema, other)
    _remove(schema, key)


def _rename(command: Rename, schema: Schema, faults: list[Fault]) -> None:
    if command.what == "INDEX":
        _rename_index(command, schema)
    elif command.what == "SCHEMA":
        _rename_namespace(command, schema)
    elif command.what in _SPACES:
        key = schema.key(_SPACES[command.what], command.name)
        _move(
            schema,
            key,
            Key(key.space, key.schema, command.new),
            command.what,
            faults,
            if_exists=command.if_exists,
        )


def _set_schema(command: SetSchema, schema: Schema, faults: list[Fault]) -> None:
    if command.what in _SPACES:
        key = schema.key(_SPACES[command.what], command.name)
        _move(
            schema,
            key,
            Key(key.space, command.schema, key.name),
            command.what,
            faults,
            if_exists=command.if_exists,
        )


def _move(
    schema: Schema, old: Key, new: Key, what: str, faults: list[Fault], *, if_exists: bool
) -> None:
    found = schema.get(old)
    if found is None:
        if _gone(schema, old) and not if_exists:
            _missing(faults, what.lower(), str(Name(old.schema, old.name)))
        elif not schema.was(old):
            if what == "TABLE":
                schema.put(new, Table(Name(new.schema, new.name), known=False))
            schema.put(old, None)
        return
    if schema.get(new) is not None:
        _exists(faults, what.lower(), str(Name(new.schema, new.name)))
        return
    referrers = schema.referrers(old)
    owned = _owned(schema, old, found.name) if isinstance(found, Table) else []
    _remove(schema, old)
    if isinstance(found, Namespace):
        return
    schema.put(new, replace(found, name=Name(new.schema, new.name)))
    for key in referrers:
        value = schema.get(new if key == old else key)
        if isinstance(value, Table):
            schema.put(new if key == old else key, _redirected(value, old, new))
        elif isinstance(value, View) and old.space is Space.RELATION:
            names = (value.query.names - {old.name}) | {new.name}
            schema.put(key, replace(value, query=replace(value.query, names=names)))
    for key, sequence in owned:
        schema.put(key, replace(sequence, owner=Name(new.schema, new.name)))


def _redirected(table: Table, old: Key, new: Key) -> Table:
    """A table whose references to `old` lead to `new`."""
    if old.space is Space.RELATION:
        name, target = Name(old.schema, old.name), Name(new.schema, new.name)
        return replace(
            table,
            parent=target if table.parent == name else table.parent,
            constraints=tuple(
                replace(one, target=target) if one.target == name else one
                for one in table.constraints
            ),
        )
    shown = Name(_shown(old.schema), old.name)
    return replace(
        table,
        columns=tuple(
            replace(one, type=replace(one.type, schema=_shown(new.schema), name=new.name))
            if one.type is not None and one.type.of_name == shown
            else one
            for one in table.columns
        ),
    )


def _rename_index(command: Rename, schema: Schema) -> None:
    table = schema.table_of_index(command.name, command.table)
    if table is None:
        return
    old, new = command.name.name, command.new
    schema.put(
        schema.key(Space.RELATION, table.name),
        replace(
            table,
            indexes=tuple(
                replace(index, name=new) if index.name == old else index for index in table.indexes
            ),
            constraints=tuple(
                replace(one, name=new) if one.name == old else one for one in table.constraints
            ),
        ),
    )


def _rename_namespace(command: Rename, schema: Schema) -> None:
    old, new = command.name.name, command.new
    for key, value in list(schema.objects()):
        if key.schema == old and not isinstance(value, Namespace):
            _move(schema, key, key._replace(schema=new), "", [], if_exists=True)
    schema.put(Key(Space.NAMESPACE, "", old), None)
    schema.put(Key(Space.NAMESPACE, "", new), Namespace(new))


# -- the rest ------------------------------------------------------------------------------------


def _write(command: Write, schema: Schema, faults: list[Fault]) -> None:
    _need_table(schema, command.table, faults)


def _truncate(command: Truncate, schema: Schema, faults: list[Fault]) -> None:
    for name in command.tables:
        _need_table(schema, name, faults)


def _need_table(schema: Schema, name: Name, faults: list[Fault]) -> None:
    key = schema.key(Space.RELATION, name)
    if _gone(schema, key):
        _missing(faults, "table", str(name))


def _opaque(command: Opaque | Unknown, schema: Schema, faults: list[Fault]) -> None:
    schema.opaque += 1


def _set_variable(command: SetVariable, schema: Schema, faults: list[Fault]) -> None:
    if command.name == "search_path":
        schema.path = tuple(
            value for value in command.values if value and value not in ("$user", "pg_catalog")
        )
        if command.values in (("DEFAULT",), ("default",)):
            schema.path = DEFAULT_PATH


_APPLY: Final[dict[type[Command], Callable[[Any, Schema, list[Fault]], None]]] = {
    AddEnumValue: _add_value,
    AlterTable: _alter_table,
    CreateExtension: _create_extension,
    CreateFunction: _create_function,
    CreateIndex: _create_index,
    CreateSchema: _create_namespace,
    CreateSequence: _create_sequence,
    CreateTable: _create_table,
    CreateType: _create_type,
    CreateView: _create_view,
    Drop: _drop,
    DropEnumValue: _drop_value,
    DropIndex: _drop_index,
    Opaque: _opaque,
    OwnSequence: _own_sequence,
    Rename: _rename,
    RenameEnumValue: _rename_value,
    SetSchema: _set_schema,
    SetVariable: _set_variable,
    Truncate: _truncate,
    Unknown: _opaque,
    Write: _write,
}
