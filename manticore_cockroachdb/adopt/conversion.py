"""Their migrations as our scripts, each proved to say the same.

What is written is read again by the script parser, and its statements are compared, token by token, with
those of the text that came from the other tool; both are split by the one lexer. A script that fails this
is reported and not written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from textwrap import shorten
from typing import Final

from .._scripts.filenames import file_name
from .._scripts.parser import parse_script
from .._scripts.script import MigrationScript, ScriptKey, called, repeatable_name
from .._scripts.text import trim
from .._sql.lexer import LexError, RawStatement, split
from .._sql.statement import Kind, classify
from .._sql.tokens import head
from ..errors import Problem, SettingsError
from .numbering import numbered
from .own_tables import is_about
from .templates import unfilled
from .values import Reading, Remark, Sql, TheirMigration, shown
from .wording import located, without, words

_STEPWISE: Final = "-- manticore: mode=stepwise\n"
_AUTOCOMMIT: Final = "-- manticore: mode=autocommit\n"
_DOWN: Final = "-- DOWN\n"
_COMMITS: Final = re.compile(r"\b(?:COMMIT|ROLLBACK)\b[\w\s]*;", re.IGNORECASE)
#: Statements that only frame a file: Manticore opens and closes the transactions.
_FRAMES: Final = frozenset({"BEGIN", "START", "COMMIT", "END"})


class FileState(Enum):
    """What is to be done about a script's file."""

    NEW = "new"
    """It is to be written."""
    THERE = "there"
    """It is there already and says the same."""
    BY_HAND = "by hand"
    """It is there and was written by hand, for a migration that is not SQL."""


@dataclass(frozen=True, slots=True)
class Converted:
    """One of their migrations and our script for it.

    Attributes:
        theirs: The migration.
        version: Its version here; 0 for a repeatable script.
        script: The script as its file will be read.
        text: What is to be written; None where the file is there.
        state: What is to be done about the file.
        up_statements: How many statements were compared in the up section.
        down_statements: The same for the down section.
    """

    theirs: TheirMigration
    version: int
    script: MigrationScript
    text: str | None
    state: FileState
    up_statements: int
    down_statements: int

    @property
    def renumbered(self) -> bool:
        """Whether its version is another than there."""
        return not self.script.is_repeatable and self.theirs.number != self.version


@dataclass(frozen=True, slots=True)
class Conversion:
    """A whole folder, converted.

    Attributes:
        scripts: In the order of their versions.
        problems: What prevents writing; nothing is written while there are any.
        left: What is not carried over.
        notes: What changes.
    """

    scripts: tuple[Converted, ...]
    problems: tuple[Remark, ...]
    left: tuple[Remark, ...]
    notes: tuple[Remark, ...]


def convert(
    reading: Reading,
    target: Path,
    existing: Mapping[ScriptKey, MigrationScript] | None = None,
    own: Collection[str] = (),
    placeholders: Mapping[str, str] | None = None,
) -> Conversion:
    """Convert what was read from a folder.

    Args:
        reading: The other tool's migrations.
        target: The folder for our scripts.
        existing: The scripts that are there already, by version or name.
        own: The names of the tool's own tables: statements about them are left out.
        placeholders: What `${name}` in a script stands for; None: nothing is replaced.
    """
    converter = _Converter(target, existing or {}, own, placeholders)
    for theirs, version in zip(reading.migrations, numbered(reading.migrations), strict=True):
        converter.take(theirs, version)
    return Conversion(
        tuple(converter.scripts),
        (*reading.problems, *converter.problems),
        (*reading.left, *converter.left),
        (*reading.notes, *converter.notes),
    )


class _Converter:
    """Converts one migration after the other."""

    def __init__(
        self,
        target: Path,
        existing: Mapping[ScriptKey, MigrationScript],
        own: Collection[str],
        placeholders: Mapping[str, str] | None,
    ) -> None:
        self.target = target
        self.existing = existing
        self.own = own
        self.placeholders = placeholders
        self.scripts: list[Converted] = []
        self.problems: list[Remark] = []
        self.left: list[Remark] = []
        self.notes: list[Remark] = []

    def take(self, theirs: TheirMigration, version: int) -> None:
        path = self.target / _name(theirs, version)
        key: ScriptKey = version or repeatable_name(path)
        there = self.existing.get(key)
        part = self._part(theirs.up, theirs) if theirs.up else _Part("", [], theirs.why_not)
        if part.refused:
            self._by_hand(theirs, version, path, part.refused, there, part.remedy)
            return
        down = self._part(theirs.down, theirs) if theirs.down else None
        if down is not None and down.refused:
            where = theirs.down or theirs.up
            message = f"its down section cannot be converted: {down.refused}"
            self.left.append(Remark(message, where.path if where else None, down.line))
            down = None
        header = _header(theirs, part, down)
        text = _text(part.text, None if down is None else down.text, header)
        text, script, problems = _readable(path, text)
        if script is None:
            reason = "; ".join(_in_source(problem, theirs, text, part) for problem in problems)
            self._by_hand(theirs, version, path, reason, there)
        elif not _same(script, part, down):
            message = f"{theirs.name} could not be written with the same statements."
            self.problems.append(Remark(message, theirs.up.path if theirs.up else None))
        elif there is None:
            self._add(theirs, version, script, text, FileState.NEW, part, down)
        elif _same(there, part, down):
            self._add(theirs, version, there, None, FileState.THERE, part, down)
        else:
            message = (
                f"is {called(key)} already and says something else than {theirs.name}. It is not "
                f"overwritten: move it away, or give it another {'version' if version else 'name'}."
            )
            self.problems.append(Remark(message, there.path))

    def _add(
        self,
        theirs: TheirMigration,
        version: int,
        script: MigrationScript,
        text: str | None,
        state: FileState,
        part: _Part | None = None,
        down: _Part | None = None,
    ) -> None:
        up_count = len(part.statements) if part else 0
        down_count = len(down.statements) if down else 0
        self.scripts.append(Converted(theirs, version, script, text, state, up_count, down_count))

    def _by_hand(
        self,
        theirs: TheirMigration,
        version: int,
        path: Path,
        reason: str,
        there: MigrationScript | None,
        remedy: str = "",
    ) -> None:
        """What cannot be converted needs a script from its owner, who knows what it does."""
        if there is not None:
            self._add(theirs, version, there, None, FileState.BY_HAND)
            return
        remedy = remedy or (
            f"Write what it does to a new database as SQL into {path} (empty if nothing), and run this "
            "again."
        )
        self.problems.append(Remark(f"{theirs.name} cannot be converted: {reason}. {remedy}"))

    def _part(self, sql: Sql, theirs: TheirMigration) -> _Part:
        """One direction without the statements that only frame it."""
        text = sql.text
        found = split(text)
        if found.down is not None:  # a comment for that tool; a marker here
            text = _neutral(text, found.down_line - 1)
            return self._part(Sql(text, sql.path, sql.line), theirs)
        if found.fault is not None:
            line = sql.line + found.fault.line - 1
            return _Part("", [], f"{shown(sql.path)}:{line}: {_with_hint(found.fault)}", line=line)
        wrong = unfilled(text, self.placeholders, fills=theirs.fills)
        if wrong is not None:
            line = sql.line + wrong.line - 1
            return _Part(
                "", [], f"{shown(sql.path)}:{line}: {wrong.reason}", wrong.remedy, line=line
            )
        text, statements = self._without_own_tables(text, found.up, sql)
        kinds = [classify(raw).kind for raw in statements]
        if Kind.TRANSACTION not in kinds:
            return _Part(text, [words(raw.text) for raw in statements])
        frames = []
        for statement in located(text):
            if classify(statement.raw).kind is not Kind.TRANSACTION:
                continue
            verb = head(statement.raw.text, 1)[0]
            if verb not in _FRAMES:
                line = sql.line + statement.raw.line - 1
                said = shorten(statement.raw.text, 40, placeholder=" …")
                reason = f"{shown(sql.path)}:{line}: '{said}' is part of a transaction"
                return _Part("", [], reason, line=line)
            frames.append(statement)
        several = _is_several([raw.text for raw in statements], kinds)
        first = sql.line + frames[0].raw.line - 1
        message = (
            "BEGIN and COMMIT are left out: Manticore opens and closes the transactions."
            if not several
            else "several transactions: they are left out, and the script runs statement by statement."
        )
        self.notes.append(Remark(message, sql.path, first))
        kept = [
            words(raw.text)
            for raw, kind in zip(statements, kinds, strict=True)
            if kind is not Kind.TRANSACTION
        ]
        return _Part(without(text, frames), kept, several=several)

    def _without_own_tables(
        self, text: str, statements: Sequence[RawStatement], sql: Sql
    ) -> tuple[str, Sequence[RawStatement]]:
        """A text without its statements about the tool's own tables, on as many lines as before."""
        unwanted = [each for each in located(text) if is_about(each.raw.text, self.own)]
        if not unwanted:
            return text, statements
        for each in unwanted:
            message = (
                f"'{shorten(each.raw.text, 60, placeholder=' …')}' is about that tool's own table, which "
                "a new database will not have: it is left out."
            )
            self.left.append(Remark(message, sql.path, sql.line + each.raw.line - 1))
        text = without(text, unwanted)
        return text, split(text).up


@dataclass(frozen=True, slots=True)
class _Part:
    """One direction, ready to be written.

    Attributes:
        text: What is to be written.
        statements: The statements it must say.
        refused: Why it cannot be written, or "".
        remedy: What to do then, where that is not to write it by hand.
        several: Whether it was several transactions.
        line: The line that `refused` is about.
    """

    text: str
    statements: list[tuple[str, ...]]
    refused: str = ""
    remedy: str = ""
    several: bool = False
    line: int | None = None


def _is_several(statements: Sequence[str], kinds: Sequence[Kind]) -> bool:
    """Whether statements with BEGIN and COMMIT among them were more than one transaction."""
    blocks = outside = 0
    is_open = False
    for statement, kind in zip(statements, kinds, strict=True):
        if kind is not Kind.TRANSACTION:
            outside += not is_open
        else:
            is_open = head(statement, 1)[0] in ("BEGIN", "START")
            blocks += is_open
    return blocks > 1 or (blocks == 1 and outside > 0)


def _name(theirs: TheirMigration, version: int) -> str:
    if not version:
        return theirs.name
    try:
        return file_name(version, theirs.description)
    except SettingsError:
        return file_name(version, "migration")


def _header(theirs: TheirMigration, up: _Part, down: _Part | None) -> str:
    """The mode that a script needs to run as it did there, as its first line."""
    statements = [each for part in (up, down) if part for each in part.statements]
    if any(_commits(each, in_transaction=theirs.transactional) for each in statements):
        return _AUTOCOMMIT
    return _STEPWISE if up.several or not theirs.transactional else ""


def _commits(statement: Sequence[str], *, in_transaction: bool) -> bool:
    """Whether a statement may commit: a block that says so, or a procedure outside a transaction."""
    verb = statement[0].upper() if statement else ""
    if verb == "CALL":
        return not in_transaction
    return verb == "DO" and any(_COMMITS.search(word) for word in statement[1:])


def _text(up: str, down: str | None, header: str) -> str:
    parts = [header] if header else []
    up_text = trim(up, 1)[0]
    parts.append(f"{up_text}\n" if up_text else "")
    if down is not None:
        down_text = trim(down, 1)[0]
        parts.append(f"\n{_DOWN}" + (f"{down_text}\n" if down_text else ""))
    return "".join(parts)


def _readable(path: Path, text: str) -> tuple[str, MigrationScript | None, list[Problem]]:
    """The text so that it can be read back, and the script that it is then.

    A comment that the parser takes for a marker or an option of ours gets a word in front: for the other
    tool it was a comment.
    """
    while True:
        script, problems = parse_script(path, text.encode())
        if script is not None:
            return text, script, problems
        refused = {problem.line for problem in problems}
        comments = split(text, wanted=_ANY_COMMENT).comments
        changed = text
        for comment in comments:
            if comment.line in refused:
                changed = _neutral(changed, comment.line)
        if changed == text:
            return text, None, problems
        text = changed


def _with_hint(fault: LexError | Problem) -> str:
    separator = " " if fault.message.endswith(".") else "; "
    return separator.join(filter(None, (fault.message, fault.hint)))


def _in_source(problem: Problem, theirs: TheirMigration, text: str, up: _Part) -> str:
    """A problem of what would be written, with the file and line that it comes from."""
    before = text.split("\n")[: (problem.line or 1) - 1]
    sql, part = theirs.up, up.text
    first = 1 if text.startswith((_STEPWISE, _AUTOCOMMIT)) else 0
    if _DOWN.strip() in before and theirs.down is not None:
        sql, part = theirs.down, theirs.down.text
        first = before.index(_DOWN.strip()) + 1
    if sql is None or problem.line is None:
        return _with_hint(problem)
    line = problem.line - first + trim(part, 1)[1] - 1 + sql.line - 1
    return f"{shown(sql.path)}:{line}: {_with_hint(problem)}"


_ANY_COMMENT: Final = re.compile(r"--|/\*")


def _neutral(text: str, line: int) -> str:
    """The text with the comments of one line made ordinary ones; unchanged where they are already."""
    split_lines = text.split("\n")
    own = split_lines[line - 1]
    found = [each.text for each in split(text, wanted=_ANY_COMMENT).comments if each.line == line]
    for comment in found or [own.lstrip()]:
        mark, first = comment[:2], comment.split("\n")[0]
        if first.startswith(f"{mark} note:"):
            continue
        # The same characters may be in a quote before the comment: what is there must stay.
        at = own.rfind(first)
        own = own[:at] + f"{mark} note:" + own[at + len(mark) :]
    split_lines[line - 1] = own
    return "\n".join(split_lines)


def _same(script: MigrationScript, up: _Part, down: _Part | None) -> bool:
    """Whether a script says what it must, in both directions."""
    ups = [words(statement.text) for statement in script.up_statements()]
    downs = [words(statement.text) for statement in script.down_statements()]
    has_down = script.down_sql is not None
    return (
        ups == up.statements
        and has_down == (down is not None)
        and downs == (down.statements if down else [])
    )
