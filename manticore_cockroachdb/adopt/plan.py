"""What moving in comes to: files, ledger rows, and what prevents it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from .._scripts.placeholders import filled
from .._scripts.script import MigrationScript, ScriptKey
from .._store.ledger import LedgerRow
from .._store.repeatables import RepeatableRow
from ..errors import FilesRefused, PlanRefused, Problem
from .conversion import Conversion, Converted, FileState
from .numbering import is_repeatable
from .tool import Tool
from .values import (
    Finding,
    Guard,
    Reading,
    Recognition,
    Remark,
    Sure,
    TheirLedger,
    TheirMigration,
    TheirRow,
    Trouble,
)
from .wording import words

OurRow = LedgerRow | RepeatableRow
"""A row of our ledger, or of our table of repeatable scripts."""


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """What `apply` would do now.

    Attributes:
        tool: The other tool's name.
        title: What its users call it.
        why: Why the folder was taken for that tool's; "" where it was named.
        sure: How sure that is; None where it was named.
        source: The other tool's folder.
        target: The folder for our scripts.
        scripts: Every script, by version.
        problems: What is wrong with the files; nothing is written while there are any.
        findings: What is wrong between files and ledger; nothing is applied while there are any.
        left: What is not carried over, with the reason.
        notes: What changes.
        ledger: The other tool's table, for people; None where there is none, or nobody looked.
        rows: The rows to be added to our ledger, and to the table of repeatable scripts.
        recorded: Scripts that our tables have already: versions, and names of repeatable ones.
        applied_there: Versions that the other tool's ledger calls applied.
        guard: How the other tool is stopped; None where nothing stops it.
    """

    tool: str
    title: str
    why: str
    sure: Sure | None
    source: Path
    target: Path
    scripts: tuple[Converted, ...]
    problems: tuple[Remark, ...]
    findings: tuple[Finding, ...] = ()
    left: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()
    ledger: str | None = None
    rows: tuple[OurRow, ...] = ()
    recorded: tuple[ScriptKey, ...] = ()
    applied_there: tuple[int, ...] = ()
    guard: Guard | None = None

    @property
    def new_files(self) -> tuple[Converted, ...]:
        """The scripts whose files are to be written."""
        return tuple(script for script in self.scripts if script.state is FileState.NEW)

    @property
    def applied(self) -> tuple[ScriptKey, ...]:
        """The scripts that are applied there, and so here: versions, then names of repeatable ones."""
        keys = {*self.recorded, *(row.key for row in self.rows)}
        return tuple(each.script.key for each in self.scripts if each.script.key in keys)

    @property
    def pending(self) -> tuple[ScriptKey, ...]:
        """The scripts that are applied on neither side."""
        applied = set(self.applied)
        keys = (each.script.key for each in self.scripts)
        return tuple(key for key in keys if key not in applied)

    @property
    def reverted(self) -> tuple[int, ...]:
        """Versions that are applied there, and not here although the ledger was taken over."""
        known = {*self.recorded, *(row.key for row in self.rows)}
        return tuple(version for version in self.applied_there if version not in known)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do: files written, rows recorded, the other tool stopped."""
        guarded = self.guard is None or self.guard.is_set
        return self.is_ready and not (self.new_files or self.rows) and guarded

    @property
    def is_ready(self) -> bool:
        """Whether nothing prevents the move."""
        return not (self.problems or self.findings)

    def check_files(self) -> None:
        """Refuse to write while something is wrong with the files.

        Raises:
            FilesRefused: With every problem.
        """
        if self.problems:
            raise FilesRefused("No file was written", map(_problem, self.problems))

    def check(self) -> None:
        """Refuse to apply while something prevents the move.

        Raises:
            FilesRefused: Something is wrong with the files.
            PlanRefused: Something is wrong between files and ledger.
        """
        self.check_files()
        if self.findings:
            raise PlanRefused(
                "Nothing was adopted", [Problem(str(finding)) for finding in self.findings]
            )


def _problem(remark: Remark) -> Problem:
    return Problem(remark.message, remark.path, remark.line)


@dataclass(frozen=True, slots=True)
class Sides:
    """Both ledgers, as they were read.

    Attributes:
        theirs: What the other tool's tables say.
        label: The other tool's table, for people; None where it has none.
        ours: The rows of our ledger, and of the table of repeatable scripts.
        guard: How the other tool is stopped.
        findings: What was found while looking for the tables.
    """

    theirs: TheirLedger = field(default_factory=TheirLedger)
    label: str | None = None
    ours: Sequence[OurRow] = ()
    guard: Guard | None = None
    findings: tuple[Finding, ...] = ()


def plan(
    tool: Tool,
    recognition: Recognition | None,
    source: Path,
    target: Path,
    reading: Reading,
    conversion: Conversion,
    sides: Sides | None = None,
    placeholders: Mapping[str, str] | None = None,
) -> AdoptionPlan:
    """Put together what is to be done.

    Args:
        tool: The other tool.
        recognition: Why it is that tool; None where it was named.
        source: Its folder.
        target: The folder for our scripts.
        reading: What was read there.
        conversion: The same as our scripts.
        sides: Both ledgers; None where only the files matter.
        placeholders: What `${name}` in a script stands for: a repeatable script's checksum is of its text
            with that filled in.
    """
    sides = sides or Sides()
    adopted = [row.key for row in sides.ours if is_adopted(row, tool)]
    applied = _applied(reading, sides.theirs)
    findings = [*sides.findings, *_compared(tool, reading, conversion, sides.theirs, applied)]
    # Once handed over, the tool's own flag is the guard that was set here.
    findings += [
        finding
        for finding in sides.theirs.findings
        if not (adopted and sides.guard and sides.guard.is_set)
    ]
    rows = _Rows(tool, conversion, sides, applied, placeholders)
    return AdoptionPlan(
        tool=tool.name,
        title=tool.title,
        why=recognition.why if recognition else "",
        sure=recognition.sure if recognition else None,
        source=source,
        target=target,
        scripts=conversion.scripts,
        problems=conversion.problems,
        findings=(*findings, *rows.findings),
        left=conversion.left,
        notes=(*conversion.notes, *_own_tables(tool, conversion), *rows.notes),
        ledger=sides.label,
        rows=tuple(rows.new),
        recorded=tuple(rows.recorded),
        applied_there=tuple(
            each.version
            for each in conversion.scripts
            if each.theirs.key in applied and not each.script.is_repeatable
        ),
        guard=sides.guard,
    )


def _own_tables(tool: Tool, conversion: Conversion) -> list[Remark]:
    """Scripts about the tool's own tables, which a new database will not have."""
    names = {table.name for table in tool.tables}
    notes = []
    for script in conversion.scripts:
        sql = script.theirs.up
        text = sql.text if sql else ""
        if sql is None or not any(name in text for name in names):
            continue
        for statement in script.script.up_statements():
            about = names & {token.strip('"').lower() for token in words(statement.text)}
            if about:
                message = (
                    f"mentions {min(about)}, which {tool.title} makes and a new database will not "
                    "have. Look at the script before you migrate one."
                )
                notes.append(Remark(message, sql.path))
                break
    return notes


def _applied(reading: Reading, theirs: TheirLedger) -> dict[str, TheirRow]:
    """The applied migrations by key; those up to a baseline have no rows."""
    found = {row.key: row for row in theirs.applied}
    if theirs.floor is not None:
        for migration in reading.migrations:
            if migration.number is not None and migration.number <= theirs.floor:
                found.setdefault(migration.key, TheirRow(migration.key))
    return found


def _compared(
    tool: Tool,
    reading: Reading,
    conversion: Conversion,
    theirs: TheirLedger,
    applied: dict[str, TheirRow],
) -> list[Finding]:
    """Files against ledger: missing, changed and late ones."""
    files = {migration.key: migration for migration in reading.migrations}
    missing = [key for key in applied if key not in files]
    if missing and len(missing) == len(applied) and files:
        message = (
            f"The ledger names {len(applied)} migrations and the folder has {len(files)}, but they "
            "have none in common."
        )
        return [Finding(Trouble.FOREIGN, message, tool.remedy(Trouble.FOREIGN))]
    findings = [
        Finding(
            Trouble.MISSING_FILE,
            f"{key} is applied, but its file is missing.",
            tool.remedy(Trouble.MISSING_FILE, key),
        )
        for key in missing
        if theirs.floor is None or not key.isdigit() or int(key) > theirs.floor
    ]
    for key, row in applied.items():
        migration = files.get(key)
        if migration is not None and not is_repeatable(migration) and _differs(migration, row):
            message = f"{migration.name} was changed after it was applied: its checksum differs."
            findings.append(
                Finding(Trouble.CHANGED, message, tool.remedy(Trouble.CHANGED, migration.name))
            )
    newest = max((s.version for s in conversion.scripts if s.theirs.key in applied), default=0)
    for script in conversion.scripts:
        pending = script.theirs.key not in applied and not script.script.is_repeatable
        if script.version < newest and pending:
            message = f"{script.theirs.name} is not applied, though later ones are."
            remedy = tool.remedy(Trouble.OUT_OF_ORDER, script.theirs.name)
            findings.append(Finding(Trouble.OUT_OF_ORDER, message, remedy))
    return findings


def _differs(migration: TheirMigration, row: TheirRow) -> bool:
    known = bool(migration.checksums) and row.checksum is not None
    return known and row.checksum not in migration.checksums


class _Rows:
    """The rows to add, the scripts that are there, and rows of ours that say something else.

    Once a ledger was taken over, the other tool is stopped and its ledger stays as it was then. A script
    that it has and ours has no more was reverted here since: it is never recorded a second time.
    """

    def __init__(
        self,
        tool: Tool,
        conversion: Conversion,
        sides: Sides,
        applied: Mapping[str, TheirRow],
        placeholders: Mapping[str, str] | None,
    ) -> None:
        self.recorded: list[ScriptKey] = []
        self.missing: list[Converted] = []
        self.findings: list[Finding] = []
        self.new: list[OurRow] = []
        self._tool = tool
        there = {row.key: row for row in sides.ours}
        was_adopted = False
        missing: list[Converted] = []
        for script in conversion.scripts:
            own = there.get(script.script.key)
            if own is not None:
                was_adopted |= is_adopted(own, tool)
                self._compare(script, own)
            elif script.theirs.key in applied:
                missing.append(script)
        stopped = sides.guard is not None and sides.guard.is_set
        self.is_handed_over = stopped and (
            was_adopted or bool(sides.guard and sides.guard.unmistakable)
        )
        if not (was_adopted or self.is_handed_over):
            self.new += (
                _row(tool, each, applied[each.theirs.key], placeholders) for each in missing
            )
            return
        # A repeatable script that was forgotten on purpose runs again.
        self.missing += (each for each in missing if not each.script.is_repeatable)
        if not self.is_handed_over:
            self.findings += map(self._since, self.missing)

    @property
    def notes(self) -> list[Remark]:
        """What was reverted here since."""
        if not self.is_handed_over:
            return []
        return [
            Remark(
                f"{each.theirs.name} is applied in {self._tool.title}'s ledger and not in Manticore's: it "
                "was reverted here since the adoption, and is pending. If it was not reverted, record it "
                f"with `manticore_resolve --applied {each.version}`."
            )
            for each in self.missing
        ]

    def _compare(self, script: Converted, own: OurRow) -> None:
        """A row of ours that is there must be about this script."""
        self.recorded.append(script.script.key)
        if isinstance(own, LedgerRow) and own.checksum not in (None, script.script.checksum):
            message = (
                f"Our ledger has version {script.version} as {own.description!r}, which is not "
                f"{script.theirs.name}."
            )
            remedy = (
                "Set TABLE to give this project its own ledger, or find out whose rows these are."
            )
            self.findings.append(Finding(Trouble.FOREIGN, message, remedy))

    def _since(self, script: Converted) -> Finding:
        """A script that the other tool, which is not stopped, has and we do not have."""
        title = self._tool.title
        message = (
            f"{script.theirs.name} is applied in {title}'s ledger and not in Manticore's, though this "
            "database was adopted before."
        )
        remedy = (
            f"If {title} applied it since, record it with `manticore_resolve --applied {script.version}`. "
            f"If Manticore reverted it, apply it again with manticore_migrate."
        )
        return Finding(Trouble.SINCE, message, remedy)


def _row(
    tool: Tool, script: Converted, theirs: TheirRow, placeholders: Mapping[str, str] | None
) -> OurRow:
    """Our row for a migration that was applied there: its time, user and duration are kept.

    A repeatable script that was changed since is to run again here, as it would have there.
    """
    name = script.script.repeatable
    if name is not None:
        return RepeatableRow(
            name=name,
            checksum=None
            if _differs(script.theirs, theirs)
            else _checksum(script.script, placeholders),
            applied_at=_in_utc(theirs.applied_at),
            execution_ms=theirs.execution_ms,
            applied_by=adopted_by(tool, theirs.applied_by),
        )
    return LedgerRow(
        version=script.version,
        description=script.script.description,
        applied_at=_in_utc(theirs.applied_at),
        checksum=script.script.checksum,
        execution_ms=theirs.execution_ms,
        applied_by=adopted_by(tool, theirs.applied_by),
    )


def _checksum(script: MigrationScript, placeholders: Mapping[str, str] | None) -> str | None:
    """A repeatable script's checksum; None, so that it runs again, where a placeholder has no value."""
    if placeholders is None:
        return script.checksum
    try:
        return filled((script,), placeholders)[0].checksum
    except FilesRefused:
        return None


def _in_utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def adopted_by(tool: Tool, user: str | None) -> str:
    """What our ledger says of who applied it."""
    return f"{user} (adopted from {tool.title})" if user else f"adopted from {tool.title}"


def is_adopted(row: OurRow, tool: Tool) -> bool:
    """Whether a row of our tables was taken over from a tool."""
    mark = f"adopted from {tool.title}"
    return row.applied_by is not None and row.applied_by.removesuffix(")").endswith(mark)


def nothing_adopted(message: str) -> PlanRefused:
    """The error for an adoption that was refused."""
    return PlanRefused("Nothing was adopted", [Problem(message)])
