"""Reads the actions of ALTER TABLE.

Each function leaves the cursor after what it read. What does not have the expected form raises
`NotUnderstoodError`; `reading` turns that into `Unknown`.
https://www.postgresql.org/docs/current/sql-altertable.html
https://www.cockroachlabs.com/docs/stable/alter-table
"""

# ruff: noqa: ARG001 - the functions of a table are all called alike
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from .._sql.server_kind import ServerKind
from .._sql.tokens import word_set
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
    OtherAction,
    RenameColumn,
    RenameConstraint,
    SetDefault,
    SetGenerated,
    SetLocality,
    SetNotNull,
    SetOptions,
    SetType,
    ValidateConstraint,
)
from .cursor import Cursor, NotUnderstoodError
from .read_table import (
    TABLE_CONSTRAINT,
    read_column,
    read_constraint,
    read_default,
    read_hash_clause,
    read_options,
)
from .types import read_type


def read_actions(cursor: Cursor, server: ServerKind) -> tuple[Action, ...]:
    """Read everything an ALTER TABLE does, from its first action on."""
    return tuple(_action(part, server) for part in cursor.split())


def _action(part: Cursor, server: ServerKind) -> Action:
    words = tuple(part.words())
    verb = part.word()
    read = _ACTIONS.get(verb)
    found = read(part, server) if read is not None else None
    if found is not None:
        return found
    if verb in _UNMODELLED:
        return OtherAction(words)
    raise NotUnderstoodError


#: Actions that change nothing modeled.
_UNMODELLED: Final = word_set(
    "CLUSTER CONFIGURE DISABLE ENABLE EXPERIMENTAL_AUDIT EXPERIMENTAL_RELOCATE FORCE INHERIT "
    "NO NOT OF OWNER PARTITION REPLICA RESET SCATTER SET SPLIT UNSPLIT"
)


def _add(part: Cursor, server: ServerKind) -> Action | None:
    if part.peek() in TABLE_CONSTRAINT or (part.peek() == "NOT" and part.peek(1) == "NULL"):
        exists = part.peek() == "CONSTRAINT" and part.peek(1) == "IF"
        return AddConstraint(read_constraint(part), exists)
    part.take("COLUMN")
    condition = part.condition()
    return AddColumn(replace(read_column(part, server), if_not_exists=condition))


def _drop(part: Cursor, server: ServerKind) -> Action | None:
    constraint = part.take("CONSTRAINT")
    if not constraint:
        part.take("COLUMN")
    condition = part.condition()
    name = part.identifier()
    cascade = part.take("CASCADE")
    if constraint:
        return DropConstraint(name, condition, cascade)
    return DropColumn(name, condition, cascade)


def _alter(part: Cursor, server: ServerKind) -> Action | None:
    if part.take("PRIMARY", "KEY"):
        part.expect("USING", "COLUMNS")
        columns = part.group().names()
        return AlterPrimaryKey(columns, read_hash_clause(part))
    if part.take("CONSTRAINT"):
        return OtherAction(("ALTER", "CONSTRAINT"))
    part.take("COLUMN")
    column = part.identifier()
    if part.take("TYPE") or part.take("SET", "DATA", "TYPE"):
        kind, _ = read_type(part, server)
        start = part.at
        if part.take("COLLATE"):
            part.name()
        collation = part.since(start).on_one_line
        using = part.expression() if part.take("USING") else None
        return SetType(column, kind, using, collation)
    if part.take("SET", "NOT", "NULL"):
        return SetNotNull(column)
    if part.take("DROP", "NOT", "NULL"):
        return DropNotNull(column)
    if part.take("SET", "DEFAULT"):
        return SetDefault(column, read_default(part))
    if part.take("DROP", "DEFAULT"):
        return SetDefault(column, None)
    if part.take("ADD", "GENERATED"):
        return SetGenerated(column, identity=True)
    if part.take("DROP", "IDENTITY"):
        return SetGenerated(column, identity=False)
    if part.take("DROP", "EXPRESSION") or part.take("DROP", "STORED"):
        return SetGenerated(column)
    if part.take("SET", "EXPRESSION", "AS"):
        return SetGenerated(column, generated=part.group().expression())
    if part.peek() in ("SET", "RESET", "RESTART"):
        return OtherAction(("ALTER", "COLUMN", column, *part.words()))
    return None


def _rename(part: Cursor, server: ServerKind) -> Action | None:
    if part.take("CONSTRAINT"):
        old = part.identifier()
        part.expect("TO")
        return RenameConstraint(old, part.identifier())
    part.take("COLUMN")
    old = part.identifier()
    part.expect("TO")
    return RenameColumn(old, part.identifier())


def _validate(part: Cursor, server: ServerKind) -> Action | None:
    part.expect("CONSTRAINT")
    return ValidateConstraint(part.identifier())


def _attach(part: Cursor, server: ServerKind) -> Action | None:
    part.expect("PARTITION")
    return AttachPartition(part.name(), part.take("DEFAULT"))


def _detach(part: Cursor, server: ServerKind) -> Action | None:
    part.expect("PARTITION")
    return DetachPartition(part.name(), part.take("CONCURRENTLY"))


def _set(part: Cursor, server: ServerKind) -> Action | None:
    if part.peek() == "(":
        return SetOptions(read_options(part.group()))
    if part.take("LOCALITY"):
        return SetLocality(part.text)
    return None


def _reset(part: Cursor, server: ServerKind) -> Action | None:
    return SetOptions(read_options(part.group()), reset=True) if part.peek() == "(" else None


_Reader = Callable[[Cursor, ServerKind], Action | None]


_ACTIONS: Final[dict[str, _Reader]] = {
    "ADD": _add,
    "ALTER": _alter,
    "ATTACH": _attach,
    "DETACH": _detach,
    "DROP": _drop,
    "RENAME": _rename,
    "RESET": _reset,
    "SET": _set,
    "VALIDATE": _validate,
}
