"""What a statement says, as a value: one class for each kind of statement that matters.

`Understood` stands for a statement that is known and changes nothing modeled; `Unknown` for one
that is not understood.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .actions import Action, ColumnDefinition
from .values import Constraint, Expression, Index, Name, Type, TypeKind


@dataclass(frozen=True, slots=True)
class Unknown:
    """A statement that is not understood.

    Attributes:
        words: Its first words.
    """

    words: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A statement that may do anything: DO, CALL, EXECUTE, a query that calls functions.

    Attributes:
        words: Its first words.
        names: The names its text holds.
    """

    words: str
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Understood:
    """A statement that is known and changes nothing that is modeled.

    Attributes:
        words: Its first words.
        name: The object it is about, where a rule may ask for it.
    """

    words: str
    name: Name | None = None


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE.

    Attributes:
        name: The table.
        columns: Its columns.
        constraints: The constraints written for the whole table.
        indexes: The indexes written inside (CockroachDB).
        if_not_exists: Whether it says so.
        temporary: Whether it is a temporary table.
        from_query: Whether its rows come from a query (CREATE TABLE AS, SELECT INTO).
        complete: Whether all its columns are listed (not so with LIKE, INHERITS, AS).
        partitioned: Whether it says PARTITION BY.
        partition_key: The columns it names, where they are plain columns.
        parent: The table of PARTITION OF or INHERITS.
        takes_rest: Whether it is the DEFAULT partition.
        options: Its storage parameters, in small letters, without spaces.
    """

    name: Name
    columns: tuple[ColumnDefinition, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    if_not_exists: bool = False
    temporary: bool = False
    from_query: bool = False
    complete: bool = True
    partitioned: bool = False
    partition_key: tuple[str, ...] = ()
    parent: Name | None = None
    takes_rest: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlterTable:
    """ALTER TABLE with everything it does.

    Attributes:
        name: The table.
        actions: What it does to it, in this order.
        if_exists: Whether it says so.
        what: TABLE, VIEW, MATERIALIZED VIEW, …
    """

    name: Name
    actions: tuple[Action, ...]
    if_exists: bool = False
    what: str = "TABLE"


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """CREATE INDEX."""

    table: Name
    index: Index
    concurrently: bool = False
    if_not_exists: bool = False
    only: bool = False


@dataclass(frozen=True, slots=True)
class DropIndex:
    """DROP INDEX.

    Attributes:
        names: Each with the table it names (`t@i`), if it names one.
        concurrently: Whether it says so.
        if_exists: Whether it says so.
        cascade: Whether it says so.
    """

    names: tuple[tuple[Name | None, Name], ...]
    concurrently: bool = False
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Reindex:
    """REINDEX."""

    name: Name | None
    what: str
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class CreateView:
    """CREATE [MATERIALIZED] VIEW."""

    name: Name
    query: Expression
    materialized: bool = False
    replace: bool = False
    if_not_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class RefreshView:
    """REFRESH MATERIALIZED VIEW; `empties` where it says WITH NO DATA."""

    name: Name
    concurrently: bool = False
    empties: bool = False


@dataclass(frozen=True, slots=True)
class CreateSequence:
    """CREATE SEQUENCE."""

    name: Name
    if_not_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class OwnSequence:
    """ALTER SEQUENCE … OWNED BY.

    Attributes:
        name: The sequence.
        table: The table it goes with from now on; None: with none.
        column: The column it numbers.
    """

    name: Name
    table: Name | None
    column: str | None


@dataclass(frozen=True, slots=True)
class CreateType:
    """CREATE TYPE or CREATE DOMAIN."""

    name: Name
    kind: TypeKind
    values: tuple[str, ...] = ()
    checked: bool = False
    if_not_exists: bool = False
    base: Type | None = None
    condition: Expression | None = None
    not_null: bool = False


@dataclass(frozen=True, slots=True)
class AddEnumValue:
    """ALTER TYPE … ADD VALUE."""

    name: Name
    value: str
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropEnumValue:
    """ALTER TYPE … DROP VALUE (CockroachDB)."""

    name: Name
    value: str


@dataclass(frozen=True, slots=True)
class RenameEnumValue:
    """ALTER TYPE … RENAME VALUE."""

    name: Name
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class CreateFunction:
    """CREATE FUNCTION or PROCEDURE.

    Attributes:
        name: Its name.
        arguments: What is in its parentheses.
        body: Its text.
        replace: Whether it says OR REPLACE.
    """

    name: Name
    arguments: str
    body: str
    replace: bool = False


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """CREATE SCHEMA."""

    name: str
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateTrigger:
    """CREATE TRIGGER.

    Attributes:
        name: Its name.
        table: Its table.
        timing: BEFORE, AFTER or INSTEAD OF.
        words: All its words.
    """

    name: str
    table: Name
    timing: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateExtension:
    """CREATE EXTENSION."""

    name: str


@dataclass(frozen=True, slots=True)
class Drop:
    """DROP of anything but an index.

    Attributes:
        what: TABLE, VIEW, MATERIALIZED VIEW, SEQUENCE, TYPE, DOMAIN, SCHEMA, FUNCTION, …
        names: What is dropped.
        if_exists: Whether it says so.
        cascade: Whether it says so.
    """

    what: str
    names: tuple[Name, ...]
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Rename:
    """ALTER … RENAME TO of a whole object.

    Attributes:
        what: TABLE, VIEW, INDEX, SEQUENCE, TYPE, SCHEMA, FUNCTION, …
        name: Its name before.
        new: Its name after.
        table: The table of an index, where it is named (`t@i`).
        if_exists: Whether it says so.
    """

    what: str
    name: Name
    new: str
    table: Name | None = None
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class SetSchema:
    """ALTER … SET SCHEMA."""

    what: str
    name: Name
    schema: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """INSERT, UPSERT, UPDATE, DELETE or MERGE.

    Attributes:
        verb: Its verb.
        table: The table written to.
        where: Its condition; None where it has none.
        from_query: Whether the rows of an INSERT come from a query.
        limited: Whether it says LIMIT.
        mentions: The strings in it, for enum values.
    """

    verb: str
    table: Name
    where: Expression | None = None
    from_query: bool = False
    limited: bool = False
    mentions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Truncate:
    """TRUNCATE."""

    tables: tuple[Name, ...]
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class ImportInto:
    """IMPORT INTO (CockroachDB)."""

    table: Name


@dataclass(frozen=True, slots=True)
class Rebuild:
    """VACUUM FULL or CLUSTER: a table is written again."""

    verb: str
    table: Name | None


@dataclass(frozen=True, slots=True)
class SetVariable:
    """SET of a session variable.

    Attributes:
        name: The variable, in small letters.
        values: Its values, without quotes.
        local: Whether it is SET LOCAL.
    """

    name: str
    values: tuple[str, ...] = field(default=())
    local: bool = False


Command = (
    Unknown
    | Opaque
    | Understood
    | CreateTable
    | AlterTable
    | CreateIndex
    | DropIndex
    | Reindex
    | CreateView
    | RefreshView
    | CreateSequence
    | OwnSequence
    | CreateType
    | AddEnumValue
    | DropEnumValue
    | RenameEnumValue
    | CreateFunction
    | CreateSchema
    | CreateTrigger
    | CreateExtension
    | Drop
    | Rename
    | SetSchema
    | Write
    | Truncate
    | ImportInto
    | Rebuild
    | SetVariable
)
