"""Folding: what is dropped, renamed or moved, and what goes or is renamed with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .commands import Drop, Rename, SetSchema
from .faults import Fault, exists, gone, missing, remove
from .fold_table import shown_schema
from .schema import Key, Schema, Space
from .values import Name, Namespace, Object, Sequence, Table, View

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


def drop(command: Drop, schema: Schema, faults: list[Fault]) -> None:
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
            if gone(schema, key) and not command.if_exists and space is not Space.FUNCTION:
                missing(faults, command.what.lower(), str(name))
            continue
        _drop_object(schema, key, found, cascade=command.cascade)


def _drop_object(schema: Schema, key: Key, found: Object, *, cascade: bool) -> None:
    """Drop an object, the keys that refer to it, and with CASCADE the views over it."""
    referrers = schema.referrers(key)
    if isinstance(found, Table):
        for other, _ in owned_sequences(schema, key, found.name):
            remove(schema, other)
    remove(schema, key)
    for other in referrers:
        dependent = schema.get(other)
        if isinstance(dependent, View) and cascade:
            _drop_object(schema, other, dependent, cascade=True)
        elif isinstance(dependent, Table):
            _cut(schema, other, dependent, key, cascade=cascade)


def owned_sequences(schema: Schema, key: Key, table: Name) -> list[tuple[Key, Sequence]]:
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
            remove(schema, key)
            return
        kept = tuple(one for one in table.constraints if one.target != name)
        schema.put(key, replace(table, constraints=kept))
    elif cascade:
        shown = Name(shown_schema(gone.schema), gone.name)
        kept_columns = tuple(
            one for one in table.columns if one.type is None or one.type.of_name != shown
        )
        schema.put(key, replace(table, columns=kept_columns))


def _drop_namespace(name: str, schema: Schema, faults: list[Fault], *, if_exists: bool) -> None:
    key = Key(Space.NAMESPACE, "", name)
    if schema.get(key) is None and gone(schema, key) and not if_exists:
        missing(faults, "schema", name)
    for other in [other for other, _ in schema.objects() if other.schema == name]:
        remove(schema, other)
    remove(schema, key)


def rename(command: Rename, schema: Schema, faults: list[Fault]) -> None:
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


def set_schema(command: SetSchema, schema: Schema, faults: list[Fault]) -> None:
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
        if gone(schema, old) and not if_exists:
            missing(faults, what.lower(), str(Name(old.schema, old.name)))
        elif not schema.was(old):
            if what == "TABLE":
                schema.put(new, Table(Name(new.schema, new.name), known=False))
            schema.put(old, None)
        return
    if schema.get(new) is not None:
        exists(faults, what.lower(), str(Name(new.schema, new.name)))
        return
    referrers = schema.referrers(old)
    owned = owned_sequences(schema, old, found.name) if isinstance(found, Table) else []
    remove(schema, old)
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
    shown = Name(shown_schema(old.schema), old.name)
    return replace(
        table,
        columns=tuple(
            replace(one, type=replace(one.type, schema=shown_schema(new.schema), name=new.name))
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
