"""Folding: a command changes a schema; what does not fit is handed back as a fault.

`fold` never raises and never stops: after a fault the schema holds what the server would hold if it
had accepted the statement. A table that no script made is taken for one that has more columns,
indexes and constraints than are known (`Table.known`), and nothing is reported about what it lacks.
"""

# ruff: noqa: ARG001 - the functions of a table are all called alike
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .commands import (
    AddEnumValue,
    AlterTable,
    Command,
    CreateExtension,
    CreateFunction,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateTable,
    CreateType,
    CreateView,
    Drop,
    DropEnumValue,
    DropIndex,
    Opaque,
    OwnSequence,
    Rename,
    RenameEnumValue,
    SetSchema,
    SetVariable,
    Truncate,
    Unknown,
    Write,
)
from .faults import Fault, need_table
from .fold_action import alter_table
from .fold_object import (
    add_value,
    create_extension,
    create_function,
    create_index,
    create_namespace,
    create_sequence,
    create_type,
    create_view,
    drop_index,
    drop_value,
    own_sequence,
    rename_value,
)
from .fold_removal import drop, rename, set_schema
from .fold_table import create_table
from .schema import DEFAULT_PATH, Schema


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


def _write(command: Write, schema: Schema, faults: list[Fault]) -> None:
    need_table(schema, command.table, faults)


def _truncate(command: Truncate, schema: Schema, faults: list[Fault]) -> None:
    for name in command.tables:
        need_table(schema, name, faults)


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
    AddEnumValue: add_value,
    AlterTable: alter_table,
    CreateExtension: create_extension,
    CreateFunction: create_function,
    CreateIndex: create_index,
    CreateSchema: create_namespace,
    CreateSequence: create_sequence,
    CreateTable: create_table,
    CreateType: create_type,
    CreateView: create_view,
    Drop: drop,
    DropEnumValue: drop_value,
    DropIndex: drop_index,
    Opaque: _opaque,
    OwnSequence: own_sequence,
    Rename: rename,
    RenameEnumValue: rename_value,
    SetSchema: set_schema,
    SetVariable: _set_variable,
    Truncate: _truncate,
    Unknown: _opaque,
    Write: _write,
}
