"""What a comparison of a database with its scripts found, and what speaks against comparing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .._planner.plan import drifted, to_run_again
from .._printing.compare import Difference
from .._scripts.script import MigrationScript, ScriptKey, called
from .._store.ledger import LedgerRow
from .._store.run_state import Snapshot
from ..errors import PlanRefused, Problem


@dataclass(frozen=True, slots=True)
class Drift:
    """A database, compared with what its scripts make.

    Attributes:
        server: The server's kind and version.
        version: The highest applied version.
        objects: How many objects were compared.
        differences: What differs, by name of the object.
        unused_ignores: Patterns of the ignore list that nothing needed.
    """

    server: str
    version: int
    objects: int
    differences: tuple[Difference, ...]
    unused_ignores: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.differences)


def applied_scripts(
    scripts: Sequence[MigrationScript], book: Snapshot, *, to_compare: bool = False
) -> tuple[MigrationScript, ...]:
    """The scripts that the tables say are applied.

    Args:
        scripts: Every script.
        book: The tables.
        to_compare: Whether the database must be just what they make: then no repeatable script that was
            applied may be waiting to run again.

    Raises:
        PlanRefused: A file is missing or was changed, or a script is partially applied: what the database
            should look like is then unknown.
    """
    problems = list(_problems({script.key: script for script in scripts}, book))
    if to_compare:
        problems += _waiting(scripts, book)
    if problems:
        raise PlanRefused("The database cannot be compared with its scripts", problems)
    return tuple(script for script in scripts if book.applied(script))


def _waiting(scripts: Sequence[MigrationScript], book: Snapshot) -> Iterator[Problem]:
    """Repeatable scripts of which the database has another text, which no file tells."""
    half = book.unfinished.key if book.unfinished else None
    for script in to_run_again(scripts, book.repeatables):
        if book.known(script.key) and script.key != half:
            yield Problem(
                f"{script.key} was applied and is to run again: its text was changed, or a version was "
                "reverted. Run manticore_migrate, then compare.",
                path=script.path,
            )


def _problems(known: Mapping[ScriptKey, MigrationScript], book: Snapshot) -> Iterator[Problem]:
    unfinished = book.unfinished
    if book.record.held_from(""):
        yield Problem(
            f"a runner ({book.record.owner}) is {book.record.doing}. Wait for it to end, then compare."
        )
    elif unfinished is not None:
        script = known.get(unfinished.key)
        yield Problem(
            f"{called(unfinished.key)} is partially run. Finish it with manticore_migrate or "
            "manticore_rollback, then compare.",
            path=script.path if script else None,
            version=unfinished.version or None,
        )
    for row in book.rows:
        script = known.get(row.version)
        if script is None:
            yield Problem(
                f"version {row.version} ({row.description}) is applied, but its file is not in the "
                "folder. Restore the file.",
                version=row.version,
            )
        elif drifted(script, row):
            yield _changed_file(script, row)
    for again in book.repeatables:
        if again.name not in known:
            yield Problem(
                f"{again.name} was applied, but its file is not in the folder. Restore the file; or have a "
                "version drop what it made, and forget it: manticore_resolve --not-applied "
                f"{again.name}."
            )


def _changed_file(script: MigrationScript, row: LedgerRow) -> Problem:
    return Problem(
        f"version {script.version} was changed after it was applied: its up part's checksum is "
        f"{script.checksum[:12]}…, the ledger has {(row.checksum or '')[:12]}…. Restore the file; or, "
        f"if the change is harmless, run manticore_resolve --accept-checksum {script.version}.",
        path=script.path,
        version=script.version,
    )
