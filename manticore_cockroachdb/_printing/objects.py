"""What a printed schema consists of. Values only; knows no server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """Kinds of objects that are printed, by the words SQL has for them."""

    SCHEMA = "schema"
    EXTENSION = "extension"
    COLLATION = "collation"
    TYPE = "type"
    DOMAIN = "domain"
    SEQUENCE = "sequence"
    FUNCTION = "function"
    PROCEDURE = "procedure"
    AGGREGATE = "aggregate"
    TEXT_SEARCH_DICTIONARY = "text search dictionary"
    TEXT_SEARCH_CONFIGURATION = "text search configuration"
    TABLE = "table"
    CONSTRAINT = "constraint"
    INDEX = "index"
    STATISTICS = "statistics"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    TRIGGER = "trigger"
    RULE = "rule"
    POLICY = "policy"
    EVENT_TRIGGER = "event trigger"
    DEFAULT_PRIVILEGES = "default privileges"
    COMMENT = "comment"
    GRANTS = "grants"
    OWNER = "owner"


@dataclass(frozen=True, slots=True, order=True)
class ObjectName:
    """What an object is called: enough to find it in both of two printings.

    Attributes:
        kind: The value of its `Kind`.
        name: Its name, quoted and with its schema where SQL needs that; for what belongs to a table
            (an index, a constraint, a trigger), the name and the table's.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """One object of a schema.

    Attributes:
        name: What it is called.
        statements: The statements that make it, in order, without their semicolons.
        parts: What a table or type consists of, by name: its columns and their definitions.
        parent: The object it belongs to, such as an index's table.
        drop: The statement that removes it, where one statement does.
        replaceable: Whether `statements` also change an existing object into this one.
    """

    name: ObjectName
    statements: tuple[str, ...]
    parts: tuple[tuple[str, str], ...] = ()
    parent: ObjectName | None = None
    drop: str | None = None
    replaceable: bool = False


@dataclass(frozen=True, slots=True)
class Printing:
    """A schema as one server described it.

    Attributes:
        server: The server's kind and version.
        statements: Every statement with the object it belongs to, in an order that can be run on an
            empty database.
        objects: The objects by name.
        omitted: Objects of kinds that are not printed: kind and name, sorted.
    """

    server: str
    statements: tuple[tuple[ObjectName, str], ...]
    objects: dict[ObjectName, SchemaObject] = field(repr=False)
    omitted: tuple[ObjectName, ...] = ()

    def without(self, other: Printing) -> Printing:
        """What `other` does not have, or has otherwise."""
        objects = {
            name: made
            for name, made in self.objects.items()
            if name not in other.objects or other.objects[name].statements != made.statements
        }
        return Printing(
            self.server,
            tuple(each for each in self.statements if each[0] in objects),
            objects,
            tuple(name for name in self.omitted if name not in other.omitted),
        )

    def only_of_server(self) -> Printing:
        """Privileges on objects of the server, such as its catalogs: some servers begin with their own."""
        objects = {
            name: made
            for name, made in self.objects.items()
            if name.kind == Kind.GRANTS.value and made.parent is None
        }
        return Printing(
            self.server, tuple(each for each in self.statements if each[0] in objects), objects
        )

    def blocks(self) -> Iterator[tuple[ObjectName, list[str]]]:
        """Neighboring statements of one object together, in order."""
        block: list[str] = []
        current: ObjectName | None = None
        for name, statement in self.statements:
            if name != current and current is not None:
                yield current, block
                block = []
            current = name
            block.append(statement)
        if current is not None:
            yield current, block
