"""What does not fit a schema, and how a name is looked up in one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .schema import Key, Schema, Space
from .values import Name, Table


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


def missing(faults: list[Fault], what: str, name: str, table: Name | None = None) -> None:
    faults.append(Fault(FaultKind.MISSING, what, name, table))


def exists(faults: list[Fault], what: str, name: str, table: Name | None = None) -> None:
    faults.append(Fault(FaultKind.EXISTS, what, name, table))


def remove(schema: Schema, key: Key) -> None:
    schema.put(key, None)


def gone(schema: Schema, key: Key) -> bool:
    """Whether a script dropped or renamed what was here (and nothing took its place)."""
    return schema.was(key) and schema.get(key) is None


def table_at(
    schema: Schema, name: Name, faults: list[Fault], *, if_exists: bool = False
) -> tuple[Key, Table] | None:
    """The table of a name; one that no script made is taken for an unknown table."""
    key = schema.key(Space.RELATION, name)
    found = schema.get(key)
    if isinstance(found, Table):
        return key, found
    if found is not None:
        return None  # a view or a sequence
    if gone(schema, key):
        if not if_exists:
            missing(faults, "table", str(name))
        return None
    table = Table(Name(key.schema, key.name), known=False)
    schema.put(key, table)
    return key, table


def need_table(schema: Schema, name: Name, faults: list[Fault]) -> None:
    key = schema.key(Space.RELATION, name)
    if gone(schema, key):
        missing(faults, "table", str(name))
