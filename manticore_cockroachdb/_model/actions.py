"""What an ALTER TABLE does, one value for each action, and how a column is defined: values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from .values import Column, Constraint, Expression, Name, Type


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column as CREATE TABLE or ADD COLUMN writes it.

    Attributes:
        column: The column itself.
        constraints: What is written beside it: keys, checks, references.
        if_not_exists: Whether ADD COLUMN says so.
        parts: What follows the name, part by part: the word it begins with (`TYPE` for the type), and
            its text.
    """

    column: Column
    constraints: tuple[Constraint, ...] = ()
    if_not_exists: bool = False
    parts: tuple[tuple[str, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class AddColumn:
    """ADD COLUMN."""

    definition: ColumnDefinition


@dataclass(frozen=True, slots=True)
class DropColumn:
    """DROP COLUMN."""

    column: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class SetType:
    """ALTER COLUMN … TYPE; `collation` as it is written, with COLLATE."""

    column: str
    type: Type
    using: Expression | None = None
    collation: str = ""


@dataclass(frozen=True, slots=True)
class SetNotNull:
    """ALTER COLUMN … SET NOT NULL."""

    column: str


@dataclass(frozen=True, slots=True)
class DropNotNull:
    """ALTER COLUMN … DROP NOT NULL."""

    column: str


@dataclass(frozen=True, slots=True)
class SetDefault:
    """ALTER COLUMN … SET DEFAULT, or DROP DEFAULT where there is none."""

    column: str
    default: Expression | None


@dataclass(frozen=True, slots=True)
class SetGenerated:
    """ADD GENERATED, DROP IDENTITY, DROP EXPRESSION, DROP STORED, SET EXPRESSION."""

    column: str
    identity: bool | None = None
    generated: Expression | None = None


@dataclass(frozen=True, slots=True)
class AddConstraint:
    """ADD CONSTRAINT."""

    constraint: Constraint
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropConstraint:
    """DROP CONSTRAINT."""

    name: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class ValidateConstraint:
    """VALIDATE CONSTRAINT."""

    name: str


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """RENAME COLUMN."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class RenameConstraint:
    """RENAME CONSTRAINT."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class AlterPrimaryKey:
    """ALTER PRIMARY KEY USING COLUMNS (CockroachDB)."""

    columns: tuple[str, ...]
    sharded: bool = False


@dataclass(frozen=True, slots=True)
class AttachPartition:
    """ATTACH PARTITION; `takes_rest` where it says DEFAULT."""

    partition: Name
    takes_rest: bool = False


@dataclass(frozen=True, slots=True)
class DetachPartition:
    """DETACH PARTITION."""

    partition: Name
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class SetOptions:
    """SET (…) or RESET (…) of storage parameters.

    Attributes:
        options: In small letters, without spaces; without values where they are reset.
        reset: Whether it is RESET.
    """

    options: tuple[str, ...]
    reset: bool = False


@dataclass(frozen=True, slots=True)
class SetLocality:
    """SET LOCALITY (CockroachDB)."""

    locality: str


@dataclass(frozen=True, slots=True)
class OtherAction:
    """Another action of ALTER TABLE, known to change nothing that is modeled.

    Attributes:
        words: Its words.
    """

    words: tuple[str, ...]


Action = (
    AddColumn
    | DropColumn
    | SetType
    | SetNotNull
    | DropNotNull
    | SetDefault
    | SetGenerated
    | AddConstraint
    | DropConstraint
    | ValidateConstraint
    | RenameColumn
    | RenameConstraint
    | AlterPrimaryKey
    | AttachPartition
    | DetachPartition
    | SetOptions
    | SetLocality
    | OtherAction
)
