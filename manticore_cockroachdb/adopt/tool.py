"""What a tool's module must offer: one value of `Tool`, which `table` registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .values import (
    MARK,
    Folder,
    Found,
    Guard,
    Reading,
    Recognition,
    TheirLedger,
    TheirTable,
    Trouble,
)


def no_ledger(_found: Found, _reading: Reading) -> TheirLedger:
    """A tool whose tables say nothing."""
    return TheirLedger()


def no_guard(_found: Found) -> Guard | None:
    """A tool that nothing needs to stop, or that nothing can."""
    return None


def no_lock_ids(_database: str, _schema: str) -> tuple[int, ...]:
    """A tool that takes no advisory lock whose number is known."""
    return ()


def column_renamed(found: Found, table: str, column: str, says: str) -> Guard:
    """A guard for tools that no row can stop: without its column the tool cannot read its table.

    Args:
        found: The tool's tables.
        table: Which of them.
        column: The column.
        says: What the tool says then.
    """
    name = found.names[table]
    return Guard(
        says=says,
        set=f"ALTER TABLE {name} RENAME COLUMN {column} TO {MARK}",
        lift=f"ALTER TABLE {name} RENAME COLUMN {MARK} TO {column}",
        is_set=MARK in found.columns[table],
        schema_change=True,
    )


@dataclass(frozen=True, slots=True)
class Tool:
    """One other tool.

    Attributes:
        name: What is typed to choose it.
        title: What its users call it.
        recognize: Whether a folder is this tool's, and why; None where it is not.
        read: Reads the folder's files.
        tables: The tables of its ledger; none where it has no ledger to take over.
        read_ledger: What the rows of those tables say.
        guard: How to stop the tool on a database that was handed over.
        lock_ids: Numbers of the advisory locks that a run of the tool holds on PostgreSQL, for a
            database and a schema.
        also: Further tables that it makes and that say nothing here.
        prints: Whether its migrations are programs, so that the live schema is printed instead.
        ignore: Patterns of objects that stay with the tool, where the schema is printed.
        remedies: What to do with the tool about each kind of trouble; `{name}` stands for the migration.
    """

    name: str
    title: str
    recognize: Callable[[Folder], Recognition | None]
    read: Callable[[Folder], Reading]
    tables: tuple[TheirTable, ...] = ()
    read_ledger: Callable[[Found, Reading], TheirLedger] = no_ledger
    guard: Callable[[Found], Guard | None] = no_guard
    lock_ids: Callable[[str, str], tuple[int, ...]] = no_lock_ids
    also: tuple[str, ...] = ()
    prints: bool = False
    ignore: tuple[str, ...] = ()
    remedies: Mapping[Trouble, str] = field(default_factory=dict)

    def remedy(self, trouble: Trouble, name: str = "") -> str:
        """What to do about a kind of trouble with the migration `name`."""
        return self.remedies.get(trouble, _REMEDIES[trouble]).replace("{name}", name)


_REMEDIES: Mapping[Trouble, str] = {
    Trouble.PARTIALLY_APPLIED: "Finish or revert {name} with that tool first.",
    Trouble.LOCKED: "Wait for that tool's run to end, or clear its lock.",
    Trouble.CHANGED: "Restore the file of {name} as it was when it was applied.",
    Trouble.MISSING_FILE: "Restore the file of {name}, or name the folder that has it.",
    Trouble.OUT_OF_ORDER: "Apply {name} with that tool first, or remove its file.",
    Trouble.HEADS: "Merge the heads with that tool first.",
    Trouble.FOREIGN: "Check the folder, the database and the schema.",
    Trouble.UNREADABLE: "Check that the table is that tool's.",
    Trouble.SINCE: "Compare both ledgers with the database.",
}
