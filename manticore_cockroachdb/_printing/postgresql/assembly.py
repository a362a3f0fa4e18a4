"""Nodes and objects as they are put together, and where the addresses of the catalogs lead. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from ..names import Row, identifier
from ..objects import Kind, ObjectName, SchemaObject
from ..ordering import Node

Rows = Mapping[str, Sequence[Row]]
Address = tuple[str, int]


class Phase(IntEnum):
    """When what has no needs is printed."""

    SCHEMA = 0
    EXTENSION = 1
    COLLATION = 2
    TYPE = 3
    TEXT_SEARCH = 4
    SEQUENCE = 5
    FUNCTION = 6
    TABLE = 7
    VIEW = 8
    #: What calls people's own functions: their bodies may need any table.
    CALLING = 9
    FOREIGN_KEY = 10
    REFRESH = 11
    EVENT_TRIGGER = 12
    DEFAULT_PRIVILEGES = 13


class Place(IntEnum):
    """The order of what belongs to one table."""

    ITSELF = 0
    SEQUENCE_OWNER = 1
    ATTACHED = 2
    CONSTRAINT = 3
    INDEX = 4
    STATISTICS = 5
    RULE = 6
    TRIGGER = 7
    POLICY = 8


class Aspect(IntEnum):
    """The order of statements about one object."""

    ITSELF = 0
    OWNER = 1
    COMMENT = 2
    GRANTS = 3


#: Kinds that pg_class knows, by its letters.
RELATIONS = {
    "r": Kind.TABLE,
    "p": Kind.TABLE,
    "v": Kind.VIEW,
    "m": Kind.MATERIALIZED_VIEW,
    "c": Kind.TYPE,
}
#: Kinds that pg_proc knows, by its letters.
ROUTINES = {"f": Kind.FUNCTION, "w": Kind.FUNCTION, "p": Kind.PROCEDURE}


class Assembly:
    """What is known of a schema while its printing is put together.

    Attributes:
        rows: The answers of the catalogs, by the names of `catalog.QUESTIONS`.
        own: Schema and name of tables that are left out.
        ourselves: The role that owns what has no OWNER statement.
        nodes: The statements so far.
        objects: The objects so far, without their statements.
        at: The node that makes what is at an address of the catalogs.
        words: How ALTER and COMMENT name what is at an address; mostly GRANT as well.
        granted: How GRANT names it, where that is not so.
        owned: The OWNER statements of a node's object.
        relations: Tables, views and composite types, by oid.
        columns: Their columns.
        identities: The sequences of identity columns, by table and column number.
        attached: The statements that attach partitions, by parent.
        bonds: The same, by partition.
        stubs: Views that are made twice.
        bodies: The statements of views, by oid.
        refreshes: The statements that fill materialized views, by what makes them.
    """

    def __init__(self, rows: Rows, own: frozenset[tuple[str, str]], ourselves: str) -> None:
        self.rows = rows
        self.own = own
        self.ourselves = ourselves
        self.nodes: list[Node] = []
        self.objects: dict[ObjectName, SchemaObject] = {}
        self.at: dict[Address, Node] = {}
        self.words: dict[Address, str] = {}
        self.granted: dict[Address, str] = {}
        self.owned: dict[Node, list[Node]] = defaultdict(list)
        self.relations: dict[int, Row] = {
            row["oid"]: row
            for row in rows["relations"]
            if (row["raw_schema"], row["raw_name"]) not in own
        }
        self.columns: dict[int, list[Row]] = defaultdict(list)
        for column in rows["columns"]:
            self.columns[column["relation"]].append(column)
        self.identities = {
            (row["table_oid"], row["column_number"]): row
            for row in rows["sequences"]
            if row["ownership"] == "i"
        }
        self.attached: dict[int, list[Node]] = defaultdict(list)
        self.bonds: dict[int, Node] = {}
        self.stubs: set[int] = set()
        self.bodies: dict[int, Node] = {}
        self.refreshes: dict[Node, Node] = {}

    def add(
        self,
        kind: Kind,
        name: str,
        statements: Sequence[str],
        rank: tuple[int, str, int, str],
        *,
        addresses: Iterable[Address] = (),
        words: str | None = None,
        drop: str | None = None,
        parent: ObjectName | None = None,
        parts: Sequence[tuple[str, str]] = (),
        owner: str | None = None,
        replaceable: bool = False,
        aspect: Aspect = Aspect.ITSELF,
    ) -> Node:
        """Add statements of one object, and its OWNER statement where it is not ours.

        Args:
            kind: Its kind.
            name: Its name, see `ObjectName`.
            statements: Its statements; an object may be added to several times.
            rank: Its place: phase, group, place in the group, name.
            addresses: Where the catalogs know it.
            words: How ALTER and COMMENT name it; None: by kind and name.
            drop: The statement that removes it.
            parent: The object it belongs to.
            parts: Its columns, by name.
            owner: Its owner.
            replaceable: Whether its statements also change an existing object.
            aspect: What the statements say of it.
        """
        named = ObjectName(kind.value, name)
        node = Node(named, list(statements), (*rank, aspect))
        self.nodes.append(node)
        if named not in self.objects:
            self.objects[named] = SchemaObject(
                named, (), tuple(parts), parent, drop, replaceable=replaceable
            )
        words = words or f"{kind.value.upper()} {name}"
        for address in addresses:
            self.at[address] = node
            self.words[address] = words
        if owner is not None and owner != self.ourselves:
            statement = f"ALTER {words} OWNER TO {identifier(owner)}"
            added = self.add(
                Kind.OWNER,
                str(named),
                [statement],
                rank,
                drop=f"ALTER {words} OWNER TO {identifier(self.ourselves)}",
                parent=named,
                aspect=Aspect.OWNER,
            )
            added.needs.add(node)
            self.owned[node].append(added)
        return node

    def column(self, relation: int, number: int) -> Row:
        """A column by its table's oid and its own number."""
        return next(column for column in self.columns[relation] if column["number"] == number)

    def simple(self, kind: Kind, row: Row, phase: Phase, catalog: str, body: str) -> Node:
        """Add an object that one CREATE statement makes."""
        words = kind.value.upper()
        return self.add(
            kind,
            row["name"],
            [f"CREATE {words} {row['name']} {body}"],
            (phase, row["name"], 0, ""),
            addresses=[(catalog, row["oid"])],
            drop=f"DROP {words} {row['name']}",
            owner=row["owner"],
        )
