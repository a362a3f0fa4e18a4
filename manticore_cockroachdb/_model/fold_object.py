"""Folding: indexes, views, sequences, types, functions, schemas and extensions that are made or changed."""

# ruff: noqa: ARG001 - the functions of a table are all called alike
from __future__ import annotations

from dataclasses import replace
from typing import Final

from .._sql.tokens import word_set
from .commands import (
    AddEnumValue,
    CreateExtension,
    CreateFunction,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateType,
    CreateView,
    DropEnumValue,
    DropIndex,
    OwnSequence,
    RenameEnumValue,
)
from .faults import Fault, FaultKind, exists, table_at
from .fold_action import drop_references, need_column
from .fold_table import free_names, resolved, with_index
from .schema import Key, Schema, Space
from .values import ConstraintKind, Function, Name, Namespace, Sequence, UserType, View

#: Extensions that bring no tables; others may make anything.
_PLAIN_EXTENSIONS: Final = word_set(
    "btree_gin btree_gist citext cube fuzzystrmatch hstore intarray isn ltree pg_buffercache "
    "pg_prewarm pg_stat_statements pg_trgm pgcrypto plpgsql postgres_fdw tablefunc unaccent "
    "uuid-ossp vector"
)


def create_index(command: CreateIndex, schema: Schema, faults: list[Fault]) -> None:
    view = schema.view(command.table)
    if view is not None:
        if command.index.unique and command.index.predicate is None:
            schema.put(schema.key(Space.RELATION, command.table), replace(view, has_key=True))
        return
    found = table_at(schema, command.table, faults)
    if found is None:
        return
    key, table = found
    for column in command.index.columns:
        need_column(table, column, faults)
    name = command.index.name
    taken = name is not None and not free_names(schema, key, table)(name)
    if taken and not command.if_not_exists:
        exists(faults, "index", str(name), table.name)
    if taken:
        return
    schema.put(key, with_index(schema, key, table, command.index))


def drop_index(command: DropIndex, schema: Schema, faults: list[Fault]) -> None:
    for on, name in command.names:
        table = schema.table_of_index(name, on)
        if table is None:
            continue
        key = schema.key(Space.RELATION, table.name)
        index = table.index(name.name) or table.constraint(name.name)
        if index is not None and command.cascade:
            drop_references(schema, key, index.columns)
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


def create_view(command: CreateView, schema: Schema, faults: list[Fault]) -> None:
    if command.temporary:
        return
    key = schema.key_to_make(Space.RELATION, command.name)
    if schema.get(key) is not None and not command.replace:
        if not command.if_not_exists:
            exists(faults, "view", str(command.name))
        return
    view = View(Name(key.schema, key.name), command.query, command.materialized)
    schema.put(key, view)


def create_sequence(command: CreateSequence, schema: Schema, faults: list[Fault]) -> None:
    if command.temporary:
        return
    key = schema.key_to_make(Space.RELATION, command.name)
    if schema.get(key) is not None:
        if not command.if_not_exists:
            exists(faults, "sequence", str(command.name))
        return
    schema.put(key, Sequence(Name(key.schema, key.name)))


def own_sequence(command: OwnSequence, schema: Schema, faults: list[Fault]) -> None:
    key = schema.key(Space.RELATION, command.name)
    found = schema.get(key)
    if isinstance(found, Sequence):
        owner = resolved(schema, command.table) if command.table is not None else None
        schema.put(key, replace(found, owner=owner, column=command.column))


def create_type(command: CreateType, schema: Schema, faults: list[Fault]) -> None:
    key = schema.key_to_make(Space.TYPE, command.name)
    there = schema.get(key)
    if there is not None:
        if not command.if_not_exists:
            exists(faults, "type", str(command.name))
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
        command.not_null,
    )
    schema.put(key, made)


def add_value(command: AddEnumValue, schema: Schema, faults: list[Fault]) -> None:
    found = _type_at(schema, command.name)
    if found is None:
        return
    key, kind = found
    if command.value in kind.values:
        if not command.if_not_exists:
            exists(faults, "enum value", f"'{command.value}'")
        return
    schema.put(key, replace(kind, values=(*kind.values, command.value)))


def drop_value(command: DropEnumValue, schema: Schema, faults: list[Fault]) -> None:
    found = _type_at(schema, command.name)
    if found is not None:
        key, kind = found
        kept = tuple(value for value in kind.values if value != command.value)
        schema.put(key, replace(kind, values=kept))


def rename_value(command: RenameEnumValue, schema: Schema, faults: list[Fault]) -> None:
    found = _type_at(schema, command.name)
    if found is not None:
        key, kind = found
        values = tuple(command.new if one == command.old else one for one in kind.values)
        schema.put(key, replace(kind, values=values))


def _type_at(schema: Schema, name: Name) -> tuple[Key, UserType] | None:
    key = schema.key(Space.TYPE, name)
    found = schema.get(key)
    return (key, found) if isinstance(found, UserType) else None


def create_function(command: CreateFunction, schema: Schema, faults: list[Fault]) -> None:
    key = schema.key_to_make(Space.FUNCTION, command.name)
    there = schema.get(key)
    bodies = there.bodies if isinstance(there, Function) else ()
    kept = tuple(one for one in bodies if one[0] != command.arguments)
    schema.put(
        key,
        Function(Name(key.schema, key.name), (*kept, (command.arguments, command.body))),
    )


def create_namespace(command: CreateSchema, schema: Schema, faults: list[Fault]) -> None:
    key = Key(Space.NAMESPACE, "", command.name)
    if schema.has_namespace(command.name):
        if not command.if_not_exists and command.name != "public":
            exists(faults, "schema", command.name)
        return
    schema.put(key, Namespace(command.name))


def create_extension(command: CreateExtension, schema: Schema, faults: list[Fault]) -> None:
    if command.name not in _PLAIN_EXTENSIONS:
        schema.opaque += 1
