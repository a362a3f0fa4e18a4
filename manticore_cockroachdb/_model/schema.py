"""A schema: objects by name, in layers, so that "before" and "after" stand side by side.

A schema is never changed in place by those who read it: `fork` makes another that begins equal, and
what is put into the fork leaves the first as it was. A fork costs nothing however large the schema
is; `absorb` makes the fork's changes the schema's own. So folding is linear in the scripts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final, NamedTuple

from .._sql.server_kind import ServerKind
from .types import BUILT_IN
from .values import (
    ConstraintKind,
    Name,
    Object,
    Sequence,
    Table,
    UserType,
    View,
)


class Space(Enum):
    """What shares names: a view cannot be called as a table is."""

    RELATION = "relation"
    INDEX = "index"
    TYPE = "type"
    FUNCTION = "function"
    NAMESPACE = "schema"

    # Keys are hashed all the time; an Enum's own way goes through its name, in Python.
    __hash__ = object.__hash__


class Key(NamedTuple):
    """Where an object is found.

    Attributes:
        space: What it shares names with.
        schema: Its schema; "" for a schema itself.
        name: Its name.
    """

    space: Space
    schema: str
    name: str


#: Where unqualified names are looked for unless a script sets `search_path`.
DEFAULT_PATH: Final = ("public",)
_NONE: Final[frozenset[Key]] = frozenset()


class Schema:
    """The objects that the scripts so far have made.

    Args:
        server: The server they are for.
        base: The schema this one is a fork of.

    Attributes:
        server: The server they are for.
        path: The search path of the script that is being folded.
        opaque: How many statements were met that may have made or dropped anything.
    """

    __slots__ = ("_base", "_indexes", "_objects", "_referrers", "opaque", "path", "server")

    def __init__(self, server: ServerKind, base: Schema | None = None) -> None:
        self.server = server
        self._base = base
        self._objects: dict[Key, Object | None] = {}
        self._indexes: dict[Key, Key | None] = {}
        self._referrers: dict[Key, frozenset[Key]] = {}
        self.path: tuple[str, ...] = DEFAULT_PATH if base is None else base.path
        self.opaque: int = 0 if base is None else base.opaque

    # -- layers ------------------------------------------------------------------------------------

    def fork(self) -> Schema:
        """A schema that begins equal to this one."""
        return Schema(self.server, self)

    def absorb(self, fork: Schema) -> None:
        """Take over what a fork of this schema changed."""
        self._objects.update(fork._objects)
        self._indexes.update(fork._indexes)
        self._referrers.update(fork._referrers)
        self.path, self.opaque = fork.path, fork.opaque

    def changes(self, since: Schema) -> Mapping[Key, tuple[Object | None, Object | None]]:
        """What this schema holds other than the one it is a fork of: each object before and after.

        Args:
            since: The schema that this one, or the one it is a fork of, was forked from.
        """
        keys: set[Key] = set()
        layer: Schema | None = self
        while layer is not None and layer is not since:
            keys.update(layer._objects)
            layer = layer._base
        pairs = {key: (since.get(key), self.get(key)) for key in keys}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    # -- reading -----------------------------------------------------------------------------------

    def get(self, key: Key) -> Object | None:
        """The object at a key."""
        layer: Schema | None = self
        while layer is not None:
            if key in layer._objects:
                return layer._objects[key]
            layer = layer._base
        return None

    def objects(self) -> Iterator[tuple[Key, Object]]:
        """Every object, in no order that matters."""
        seen: set[Key] = set()
        layer: Schema | None = self
        while layer is not None:
            for key, value in layer._objects.items():
                if key not in seen:
                    seen.add(key)
                    if value is not None:
                        yield key, value
            layer = layer._base

    def key(self, space: Space, name: Name) -> Key:
        """Where a name leads: to what is there on the search path, else where it would be made."""
        if name.schema is not None:
            return Key(space, name.schema, name.name)
        for schema in self.path:
            key = Key(space, schema, name.name)
            if self.get(key) is not None:
                return key
        return Key(space, self.path[0] if self.path else "", name.name)

    def key_to_make(self, space: Space, name: Name) -> Key:
        """Where an object of this name would be made: in the schema named, or the path's first."""
        schema = name.schema or (self.path[0] if self.path else "")
        return Key(space, schema, name.name)

    def was(self, key: Key) -> bool:
        """Whether a script ever put something at a key, or took it away."""
        layer: Schema | None = self
        while layer is not None:
            if key in layer._objects:
                return True
            layer = layer._base
        return False

    def relation(self, name: Name) -> Table | View | Sequence | None:
        """The table, view or sequence of a name."""
        found = self.get(self.key(Space.RELATION, name))
        return found if isinstance(found, Table | View | Sequence) else None

    def table(self, name: Name) -> Table | None:
        """The table of a name."""
        found = self.get(self.key(Space.RELATION, name))
        return found if isinstance(found, Table) else None

    def view(self, name: Name) -> View | None:
        """The view of a name."""
        found = self.get(self.key(Space.RELATION, name))
        return found if isinstance(found, View) else None

    def type(self, name: Name) -> UserType | None:
        """The type of a name that a script made."""
        found = self.get(self.key(Space.TYPE, name))
        return found if isinstance(found, UserType) else None

    def has_namespace(self, name: str) -> bool:
        """Whether a script made this schema, or it is always there."""
        return name == "public" or self.get(Key(Space.NAMESPACE, "", name)) is not None

    def table_of_index(self, name: Name, table: Name | None = None) -> Table | None:
        """The table an index is on, by the index's name (and the table's, where it is named)."""
        if table is not None:
            return self.table(table)
        schemas = (name.schema,) if name.schema is not None else self.path
        for schema in schemas:
            found = self._index(Key(Space.INDEX, schema, name.name))
            if found is not None:
                value = self.get(found)
                return value if isinstance(value, Table) else None
        return None

    def _index(self, key: Key) -> Key | None:
        layer: Schema | None = self
        while layer is not None:
            if key in layer._indexes:
                return layer._indexes[key]
            layer = layer._base
        return None

    def referrers(self, key: Key) -> frozenset[Key]:
        """What depends on an object: views that select from it, tables whose keys refer to it."""
        layer: Schema | None = self
        while layer is not None:
            if key in layer._referrers:
                return layer._referrers[key]
            layer = layer._base
        return _NONE

    # -- changing ----------------------------------------------------------------------------------

    def put(self, key: Key, value: Object | None) -> None:
        """Put an object at a key, or take it away."""
        before = self.get(key)
        self._objects[key] = value
        old, new = self._references(before), self._references(value)
        for gone in old - new:
            self._referrers[gone] = self.referrers(gone) - {key}
        for added in new - old:
            self._referrers[added] = self.referrers(added) | {key}
        for name in _index_names(before):
            self._indexes[Key(Space.INDEX, key.schema, name)] = None
        for name in _index_names(value):
            self._indexes[Key(Space.INDEX, key.schema, name)] = key

    def _references(self, value: Object | None) -> frozenset[Key]:
        """What an object depends on, as far as that is modeled."""
        if isinstance(value, Table):
            found = {
                self.key(Space.RELATION, one.target)
                for one in value.constraints
                if one.kind is ConstraintKind.FOREIGN_KEY and one.target is not None
            }
            found |= {
                key
                for column in value.columns
                if column.type is not None and column.type.name not in BUILT_IN
                if self.get(key := self.key(Space.TYPE, column.type.of_name)) is not None
            }
            if value.parent is not None:
                found.add(self.key(Space.RELATION, value.parent))
            return frozenset(found)
        if isinstance(value, Sequence) and value.owner is not None:
            return frozenset((self.key(Space.RELATION, value.owner),))
        if isinstance(value, View):
            names = value.query.names
            schemas = (None, *filter(self.has_namespace, names))
            return frozenset(
                key
                for name in names
                for schema in schemas
                if self.get(key := self.key(Space.RELATION, Name(schema, name))) is not None
            )
        return _NONE

    def is_free(self, schema: str, name: str, table: Key | None = None) -> bool:
        """Whether no relation and no index of a schema has this name (PostgreSQL's rule).

        Args:
            schema: The schema.
            name: The name.
            table: A table whose own indexes do not count.
        """
        if self.get(Key(Space.RELATION, schema, name)) is not None:
            return False
        return self._index(Key(Space.INDEX, schema, name)) in (None, table)


def _index_names(value: Object | None) -> tuple[str, ...]:
    """The names of a table's indexes, those of its keys included."""
    if not isinstance(value, Table):
        return ()
    keys = (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE, ConstraintKind.EXCLUDE)
    return tuple(
        name
        for name in (
            *(index.name for index in value.indexes),
            *(one.name for one in value.constraints if one.kind in keys),
        )
        if name is not None
    )
