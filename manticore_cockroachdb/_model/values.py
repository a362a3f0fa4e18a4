"""What a schema consists of: frozen values, compared by what they say.

Names are as the server keeps them: without quotes, in small letters where they were not quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from .._sql.tokens import word_set

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_$]*")
# The words that both servers reserve most strictly; quoting one too many does no harm.
_RESERVED: Final = word_set(
    "all analyse analyze and any array as asc asymmetric both case cast check collate column "
    "constraint create current_date current_role current_time current_timestamp current_user "
    "default deferrable desc distinct do else end except false fetch for foreign from grant "
    "group having in index initially intersect into lateral leading limit localtime "
    "localtimestamp not null offset on only or order placing primary references returning "
    "select session_user some symmetric table then to trailing true union unique user using "
    "variadic when where window with"
)


def quoted(name: str) -> str:
    """A name as SQL takes it: in quotes where it needs them."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


class Name(NamedTuple):
    """The name of an object.

    Attributes:
        schema: Its schema; None where the statement leaves it to the search path.
        name: Its own name.
    """

    schema: str | None
    name: str

    def __str__(self) -> str:
        """The name as SQL takes it; the schema `public` is left out."""
        if self.schema in (None, "public"):
            return quoted(self.name)
        return f"{quoted(self.schema or '')}.{quoted(self.name)}"


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of a statement.

    Attributes:
        text: As it is written.
        names: The names in it that are not called: columns, types, and keywords in small letters.
        calls: The names in front of a parenthesis.
    """

    text: str
    names: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()

    @property
    def mentions(self) -> frozenset[str]:
        """Every name in it."""
        return self.names | self.calls


@dataclass(frozen=True, slots=True)
class Type:
    """A data type, spelled as PostgreSQL's `format_type` spells it.

    Attributes:
        name: `bigint`, `character varying`, or the name of a type that a script made.
        modifier: What is in its parentheses: `("10", "2")`.
        array: Whether it is an array.
        schema: The schema of a type that names one.
        written: Its name as it is written, in small letters; two spellings of a type are equal.
    """

    name: str
    modifier: tuple[str, ...] = ()
    array: bool = False
    schema: str | None = None
    written: str = field(default="", compare=False)

    @property
    def of_name(self) -> Name:
        """Its name, to look for a type that a script made."""
        return Name(self.schema, self.name)

    def __str__(self) -> str:
        """The type as SQL takes it."""
        plain = self.name.replace(" ", "_")  # the words of character varying are no one name
        base, zone, rest = self.name if _PLAIN.fullmatch(plain) else quoted(self.name), "", ""
        if self.modifier:
            # The precision of timestamp(3) with time zone is in the middle.
            base, zone, rest = base.partition(" with")
            base += f"({','.join(self.modifier)})"
        spelled = f"{base}{zone}{rest}{'[]' if self.array else ''}"
        return f"{quoted(self.schema)}.{spelled}" if self.schema else spelled


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        type: Its type; None where it is not known (`CREATE TABLE … AS`).
        not_null: Whether it refuses NULL, alone or as part of the primary key.
        default: Its default, if it has one.
        generated: What it is computed from, if it is.
        stored: Whether a computed column is stored.
        identity: Whether the server numbers it (`GENERATED … AS IDENTITY`).
        serial: Whether it was written as one of the SERIAL types.
    """

    name: str
    type: Type | None
    not_null: bool = False
    default: Expression | None = None
    generated: Expression | None = None
    stored: bool = False
    identity: bool = False
    serial: bool = False


class ConstraintKind(Enum):
    """What a constraint demands."""

    PRIMARY_KEY = "PRIMARY KEY"
    UNIQUE = "UNIQUE"
    CHECK = "CHECK"
    FOREIGN_KEY = "FOREIGN KEY"
    EXCLUDE = "EXCLUDE"
    NOT_NULL = "NOT NULL"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table.

    Attributes:
        kind: What it demands.
        name: Its name; None where a statement leaves it to the server.
        columns: Its columns, where it lists any.
        expression: What a CHECK demands; the condition of a UNIQUE that has one (CockroachDB).
        target: The table a foreign key refers to.
        target_columns: The columns it refers to; empty: that table's primary key.
        validated: Whether the rows that were there are known to obey it.
        index: The index it was made from (`USING INDEX`).
        sharded: Whether its index is hash-sharded (CockroachDB).
        deferrable: Whether it is DEFERRABLE.
        storing: Columns its index stores besides (`STORING`, `INCLUDE`).
        nulls_equal: Whether two NULLs are equal to a UNIQUE (NULLS NOT DISTINCT).
        written: The constraint as ADD CONSTRAINT takes it after the name, without NOT VALID.
    """

    kind: ConstraintKind
    name: str | None = None
    columns: tuple[str, ...] = ()
    expression: Expression | None = None
    target: Name | None = None
    target_columns: tuple[str, ...] = ()
    validated: bool = True
    index: str | None = None
    sharded: bool = False
    deferrable: bool = False
    storing: tuple[str, ...] = ()
    nulls_equal: bool = False
    written: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class IndexKey:
    """One key of an index.

    Attributes:
        column: The column, or None for an expression.
        expression: The expression, or None for a column.
        descending: Whether it is sorted downwards.
        collation: Its COLLATE clause, as it is written.
    """

    column: str | None
    expression: Expression | None = None
    descending: bool = False
    collation: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a table.

    Attributes:
        name: Its name; None where a statement leaves it to the server.
        keys: What it is sorted by, in this order.
        unique: Whether it refuses equal keys.
        predicate: The condition of a partial index.
        storing: Columns it stores besides (`STORING`, `INCLUDE`).
        method: `btree`, `gin`, `inverted`, `vector`, …
        sharded: Whether it is hash-sharded (CockroachDB).
        nulls_equal: Whether two NULLs are equal to it (NULLS NOT DISTINCT).
    """

    name: str | None
    keys: tuple[IndexKey, ...]
    unique: bool = False
    predicate: Expression | None = None
    storing: tuple[str, ...] = ()
    method: str = "btree"
    sharded: bool = False
    nulls_equal: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns among its keys."""
        return tuple(key.column for key in self.keys if key.column is not None)

    def uses(self, column: str) -> bool:
        """Whether a column is among its keys, in their expressions, or in its predicate."""
        return (
            column in self.columns
            or any(key.expression and column in key.expression.names for key in self.keys)
            or (self.predicate is not None and column in self.predicate.names)
        )


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        name: Its name and schema.
        columns: Its columns, in their order.
        constraints: Its constraints.
        indexes: Its indexes, without those of its constraints.
        known: Whether a script made it; where False, it has more than is listed here.
        partitioned: Whether it is partitioned (PostgreSQL).
        partition_key: The columns it is partitioned by, where these are plain columns.
        parent: The table it is a partition or a child of.
        takes_rest: Whether it is the DEFAULT partition of its parent.
        options: The storage parameters that matter here, such as `schema_locked=true`.
    """

    name: Name
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    known: bool = True
    partitioned: bool = False
    partition_key: tuple[str, ...] = ()
    parent: Name | None = None
    takes_rest: bool = False
    options: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """A column by its name."""
        return next((column for column in self.columns if column.name == name), None)

    def constraint(self, name: str) -> Constraint | None:
        """A constraint by its name."""
        return next((one for one in self.constraints if one.name == name), None)

    def index(self, name: str) -> Index | None:
        """An index by its name."""
        return next((index for index in self.indexes if index.name == name), None)

    @property
    def primary_key(self) -> Constraint | None:
        """Its primary key."""
        wanted = ConstraintKind.PRIMARY_KEY
        return next((one for one in self.constraints if one.kind is wanted), None)

    def key_columns(self) -> tuple[str, ...]:
        """The columns of its primary key; none where it has none or it is not known."""
        key = self.primary_key
        return key.columns if key else ()


@dataclass(frozen=True, slots=True)
class View:
    """A view.

    Attributes:
        name: Its name and schema.
        query: What it selects.
        materialized: Whether its rows are kept.
        has_key: Whether a unique index is on it, without a condition.
    """

    name: Name
    query: Expression
    materialized: bool = False
    has_key: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence.

    Attributes:
        name: Its name and schema.
        owner: The table it goes with.
        column: The column it numbers.
    """

    name: Name
    owner: Name | None = None
    column: str | None = None


class TypeKind(Enum):
    """The kinds of types that scripts make."""

    ENUM = "enum"
    COMPOSITE = "composite"
    DOMAIN = "domain"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class UserType:
    """A type that a script made.

    Attributes:
        name: Its name and schema.
        kind: What it is.
        values: The values of an enum.
        checked: Whether a domain has a constraint, NOT NULL included.
        base: The type under a domain.
        condition: What the CHECKs of a domain demand of VALUE.
        not_null: Whether a domain says NOT NULL.
    """

    name: Name
    kind: TypeKind
    values: tuple[str, ...] = ()
    checked: bool = False
    base: Type | None = None
    condition: Expression | None = None
    not_null: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """The functions and procedures of one name.

    Attributes:
        name: Their name and schema.
        bodies: The text of each, by what is between its parentheses.
    """

    name: Name
    bodies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    """A schema that a script made."""

    name: str


Object = Table | View | Sequence | UserType | Function | Namespace
