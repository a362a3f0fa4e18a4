"""What another tool's folder and ledger say, as values.

Nothing here reads a disk or a server. Every tool's module turns bytes and rows into these values, and
everything after that works on the values alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

#: Part of every row and name that marks another tool's ledger as handed over.
MARK = "adopted_by_manticore"

Row = Mapping[str, Any]
"""One row of another tool's table: column names to Python values."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of another tool, as one look found them.

    Attributes:
        root: The folder, or the one file, that was named.
        files: Contents by path below the root, with `/` between the parts. Program files are listed
            with empty contents: only their names matter.
        around: Names of the files and folders beside the root.
    """

    root: Path
    files: Mapping[str, bytes]
    around: frozenset[str] = frozenset()

    def path(self, name: str) -> Path:
        """The path of one of the files."""
        return self.root if self.root.name == name and len(self.files) == 1 else self.root / name


class Sure(Enum):
    """How sure it is that a folder is a tool's."""

    CERTAIN = 3
    """It holds what only this tool writes."""
    LIKELY = 2
    """The names are this tool's, though another tool could use them too."""
    POSSIBLE = 1
    """Nothing contradicts it."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """One tool that a folder may belong to.

    Attributes:
        tool: The tool's name.
        sure: How sure that is.
        why: What in the folder says so.
    """

    tool: str
    sure: Sure
    why: str


@dataclass(frozen=True, slots=True)
class Sql:
    """One direction of a migration, with the tool's directives taken out.

    Attributes:
        text: The SQL.
        path: The file it comes from.
        line: The line of that file on which `text` begins, from 1.
    """

    text: str
    path: Path
    line: int = 1


@dataclass(frozen=True, slots=True)
class TheirMigration:
    """One migration of another tool.

    Attributes:
        key: What that tool's ledger calls it.
        name: What its users call it: the file's name.
        description: What it does, in a few words.
        number: Its version where that is a whole number, else None.
        up: What applies it; None where it is not SQL.
        down: What reverts it, if anything does.
        why_not: Why `up` is None.
        checksums: Every checksum that the tool itself would accept for this file, by its own algorithm;
            none where the tool keeps no checksums.
        transactional: Whether the tool runs it in a transaction.
        repeatable: Whether the tool runs it again after each change.
        fills: Whether the tool replaces `${name}` in it.
        parents: Keys of the migrations it comes after, where the tool has a graph.
    """

    key: str
    name: str
    description: str
    number: int | None
    up: Sql | None
    down: Sql | None = None
    why_not: str = ""
    checksums: tuple[str, ...] = ()
    transactional: bool = True
    repeatable: bool = False
    fills: bool = False
    parents: tuple[str, ...] = ()


def shown(path: Path) -> str:
    """A file's name for people; with its folder where every folder has one of that name."""
    return "/".join(path.parts[-2:]) if path.name == "migration.sql" else path.name


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a file that its owner should know.

    Attributes:
        message: What it is, and what to do about it.
        path: The file or folder.
        line: The line in it, from 1, where one can be named.
    """

    message: str
    path: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.path is None:
            return self.message
        name = shown(self.path)
        where = name if self.line is None else f"{name}:{self.line}"
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tool's module found in a folder.

    Attributes:
        migrations: In the order in which the tool runs them on an empty database.
        problems: What makes the folder unusable as it is; nothing is written while there are any.
        left: What is not carried over, with the reason.
        notes: What changes, or should be looked at.
    """

    migrations: tuple[TheirMigration, ...] = ()
    problems: tuple[Remark, ...] = ()
    left: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()


class Trouble(Enum):
    """What is wrong between a tool's ledger and its files."""

    PARTIALLY_APPLIED = "partially applied"
    LOCKED = "locked"
    CHANGED = "changed"
    MISSING_FILE = "file missing"
    OUT_OF_ORDER = "out of order"
    HEADS = "several heads"
    FOREIGN = "another project"
    UNREADABLE = "unreadable"
    SINCE = "changed since"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to put right before the ledger can be taken over.

    Attributes:
        trouble: Its kind.
        message: What the ledger says, and of which migration.
        remedy: What to do with that tool.
    """

    trouble: Trouble
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


@dataclass(frozen=True, slots=True)
class TheirRow:
    """One migration that another tool's ledger calls applied.

    Attributes:
        key: The migration's key.
        applied_at: When, where the ledger says. A time without a zone is taken as UTC.
        applied_by: Who, where it says.
        execution_ms: How long it took, in milliseconds, where it says.
        checksum: The checksum it recorded, as text.
    """

    key: str
    applied_at: datetime | None = None
    applied_by: str | None = None
    execution_ms: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class TheirLedger:
    """What a tool's tables say.

    Attributes:
        applied: In the order in which they were applied, as far as the tables tell.
        findings: Partially applied migrations, locks and the like, as far as the tables alone tell.
        floor: Every migration up to this number counts as applied without a row or a file (a baseline).
    """

    applied: tuple[TheirRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    floor: int | None = None


@dataclass(frozen=True, slots=True)
class TheirTable:
    """One table of a tool.

    Attributes:
        name: Its usual name.
        columns: Columns it must have to be that tool's.
        without: Columns that show that it is another tool's.
        schemas: Schemas where the tool itself puts it, besides those of the search path.
        required: Whether there is no ledger without it.
        order: The column to read it by, for a stable order.
    """

    name: str
    columns: frozenset[str]
    without: frozenset[str] = frozenset()
    schemas: tuple[str, ...] = ()
    required: bool = True
    order: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What the server has of a tool's tables.

    Attributes:
        rows: The rows of each table by the table's usual name; an absent table has no entry.
        columns: The columns of each table that was found.
        names: The quoted full name of each.
        labels: The same for people.
    """

    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Guard:
    """How to stop a tool from running again on a database that was handed over.

    Attributes:
        says: What the tool will say when somebody runs it.
        set: The statement that sets it.
        lift: The statement that removes it.
        is_set: Whether the tables say that it is set.
        schema_change: Whether these change the schema, so that on CockroachDB they are sent alone.
        unmistakable: Whether only an adoption sets it; else it may be the tool's own, too.
    """

    says: str
    set: str
    lift: str
    is_set: bool
    schema_change: bool = False
    unmistakable: bool = True


@dataclass(frozen=True, slots=True)
class Undone:
    """What `undo` did.

    Attributes:
        versions: The versions that left our ledger.
        repeatables: The repeatable scripts that left our table of them.
        guard: The guard that was lifted, if one was set.
    """

    versions: tuple[int, ...]
    guard: Guard | None
    repeatables: tuple[str, ...] = ()
