"""The way out: our scripts as another tool's files, our ledger as that tool's rows. Pure.

What is written is read again by the same module that reads that tool's folders, converted back, and
compared statement by statement with the scripts it came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .._backend.protocol import Command
from .._scripts.repeatables import by_name
from .._scripts.script import MigrationScript, Mode, ScriptKey
from .._sql.lexer import tokens
from .._sql.server_kind import ServerKind
from .._sql.statement import refuses_transaction
from .._store.ledger import LedgerRow
from ..errors import FilesRefused, PlanRefused, Problem, SettingsError
from . import checksums
from .conversion import convert
from .plan import OurRow
from .table import TOOLS
from .values import Folder, Remark
from .wording import words

_OPTION_LINE: Final = re.compile(r"^[ \t]*--[ \t]*manticore[ \t]*:.*\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file for the other tool.

    Attributes:
        name: Its name.
        text: Its contents.
        is_new: Whether it is to be written; else it is there with these contents.
    """

    name: str
    text: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What leaving for another tool comes to.

    Attributes:
        tool: The tool's name.
        title: What its users call it.
        target: The folder for its files.
        files: Its files, by version.
        applied: The scripts that its ledger will say are applied: versions, and names of repeatable ones.
        ledger: Its table.
        columns: The columns that its table must have.
        problems: What prevents it; nothing is written while there are any.
        notes: What changes.
        create: The statement that makes its table.
        rows: The statements that fill it.
    """

    tool: str
    title: str
    target: Path
    files: tuple[ExportFile, ...]
    applied: tuple[ScriptKey, ...]
    ledger: str
    columns: frozenset[str]
    problems: tuple[Remark, ...]
    notes: tuple[Remark, ...]
    create: Command
    rows: tuple[Command, ...]

    @property
    def new_files(self) -> tuple[ExportFile, ...]:
        """The files that are to be written."""
        return tuple(file for file in self.files if file.is_new)

    def check_files(self) -> None:
        """Refuse while something prevents the export.

        Raises:
            FilesRefused: With every problem.
        """
        if self.problems:
            problems = [Problem(each.message, each.path, each.line) for each in self.problems]
            raise FilesRefused("No file was written", problems)


@dataclass(frozen=True, slots=True)
class _Form:
    """How one tool wants things.

    Attributes:
        files: The files for one script: names and texts.
        ledger: Its table.
        create: The statement that makes it.
        rows: The statements that fill it, from the applied scripts and their rows, by version.
        columns: The columns that its table must have.
        needs_all: Whether its ledger can only say "everything up to this version".
        options: Whether a file can ask to run without a transaction.
        repeats: Whether it has repeatable scripts.
    """

    files: Callable[[MigrationScript], dict[str, str]]
    ledger: str
    create: str
    rows: Callable[[Sequence[tuple[MigrationScript, OurRow]], Mapping[str, str]], list[Command]]
    columns: frozenset[str]
    needs_all: bool
    options: bool
    repeats: bool


def _slug(script: MigrationScript) -> str:
    return re.sub(r"\W+", "_", script.description).strip("_") or "migration"


def _up(script: MigrationScript) -> str:
    """The up section without our options, which are comments: what looks like one in quotes stays."""
    text, last = script.up_sql, 0
    kept = []
    for token in tokens(text):
        kept += [_OPTION_LINE.sub("", text[last : token.start]), token.text]
        last = token.end
    text = "".join((*kept, _OPTION_LINE.sub("", text[last:])))
    return f"{text}\n" if text else ""


def _down(script: MigrationScript) -> str:
    return f"{script.down_sql}\n" if script.down_sql else ""


def _golang_files(script: MigrationScript) -> dict[str, str]:
    stem = f"{script.version:06d}_{_slug(script)}"
    files = {f"{stem}.up.sql": _up(script)}
    if script.down_sql is not None:
        files[f"{stem}.down.sql"] = _down(script)
    return files


def _golang_rows(
    applied: Sequence[tuple[MigrationScript, OurRow]], _files: Mapping[str, str]
) -> list[Command]:
    if not applied:
        return []
    version = applied[-1][0].version
    return [
        Command(
            "INSERT INTO schema_migrations (version, dirty) VALUES ($1::INT8, false)",
            (str(version),),
        )
    ]


def _flyway_files(script: MigrationScript) -> dict[str, str]:
    stem = f"{script.version}__{_slug(script)}"
    name = _flyway_name(script)
    files = {name: _up(script)}
    files |= _flyway_options(script, name, script.up_sql)
    if script.down_sql is not None:
        files[f"U{stem}.sql"] = _down(script)
        files |= _flyway_options(script, f"U{stem}.sql", script.down_sql)
    return files


def _flyway_options(script: MigrationScript, name: str, text: str) -> dict[str, str]:
    """The file beside a script that says how Flyway runs it, where that is needed."""
    options = []
    if _has_no_transaction(script):
        options.append("executeInTransaction=false")
    if "${" in text:
        options.append("placeholderReplacement=false")
    return {f"{name}.conf": "".join(f"{option}\n" for option in options)} if options else {}


def _has_no_transaction(script: MigrationScript) -> bool:
    return script.mode in (Mode.STEPWISE, Mode.AUTOCOMMIT)


def _flyway_name(script: MigrationScript) -> str:
    if script.is_repeatable:
        return script.path.name
    return f"V{script.version}__{_slug(script)}.sql"


def _flyway_rows(
    applied: Sequence[tuple[MigrationScript, OurRow]], files: Mapping[str, str]
) -> list[Command]:
    commands = []
    for rank, (script, row) in enumerate(applied, 1):
        name = _flyway_name(script)
        slug = script.path.stem.removeprefix("R__") if script.is_repeatable else _slug(script)
        commands.append(
            Command(
                "INSERT INTO flyway_schema_history (installed_rank, version, description, type, script, "
                "checksum, installed_by, installed_on, execution_time, success) VALUES ($1::INT8, $2, $3, "
                "'SQL', $4, $5::INT8, coalesce($6, current_user), coalesce(($7::TIMESTAMPTZ AT TIME ZONE "
                "'UTC'), now() AT TIME ZONE 'UTC'), $8::INT8, true)",
                (
                    str(rank),
                    None if script.is_repeatable else str(script.version),
                    slug.replace("_", " "),
                    name,
                    checksums.flyway(files[name].encode()),
                    row.applied_by[:100] if row.applied_by else None,
                    row.applied_at.isoformat() if row.applied_at else None,
                    str(row.execution_ms or 0),
                ),
            )
        )
    return commands


_FORMS: Final[Mapping[str, _Form]] = {
    "golang-migrate": _Form(
        files=_golang_files,
        ledger="schema_migrations",
        create="CREATE TABLE IF NOT EXISTS schema_migrations (version INT8 NOT NULL PRIMARY KEY, "
        "dirty BOOL NOT NULL)",
        rows=_golang_rows,
        columns=frozenset({"version", "dirty"}),
        needs_all=True,
        options=False,
        repeats=False,
    ),
    "flyway": _Form(
        files=_flyway_files,
        ledger="flyway_schema_history",
        create="CREATE TABLE IF NOT EXISTS flyway_schema_history (installed_rank INT NOT NULL, "
        "version VARCHAR(50), description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL, "
        "script VARCHAR(1000) NOT NULL, checksum INT, installed_by VARCHAR(100) NOT NULL, "
        "installed_on TIMESTAMP NOT NULL DEFAULT now(), execution_time INT NOT NULL, "
        "success BOOL NOT NULL, CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank))",
        rows=_flyway_rows,
        columns=frozenset({"installed_rank", "version", "script", "checksum", "success"}),
        needs_all=False,
        options=True,
        repeats=True,
    ),
}

EXPORTS: Final = tuple(_FORMS)
"""The tools that can be left for."""


def export(
    tool: str,
    target: Path,
    scripts: Sequence[MigrationScript],
    rows: Sequence[OurRow],
    existing: Mapping[str, str],
    checkpoints: Sequence[MigrationScript] = (),
) -> ExportPlan:
    """Put together what is to be done.

    Args:
        tool: One of `EXPORTS`.
        target: The folder for its files.
        scripts: Our scripts with their placeholders filled in: versions, then repeatable ones.
        rows: Our ledger, and the rows of our table of repeatable scripts.
        existing: The files in that folder: names and texts.
        checkpoints: Our checkpoints.

    Raises:
        SettingsError: There is no such tool, or it cannot be left for.
    """
    if tool not in _FORMS:
        raise SettingsError(
            f"{tool!r} is not a tool that can be exported to; known: {', '.join(EXPORTS)}."
        )
    form = _FORMS[tool]
    there = {row.key: row for row in rows}
    texts: dict[str, str] = {}
    title = TOOLS[tool].title
    notes = _left(form, title, (*scripts, *checkpoints))
    scripts = [script for script in scripts if form.repeats or not script.is_repeatable]
    for script in scripts:
        texts.update(form.files(script))
        notes += _changed(form, title, script)
    problems = [
        Remark("exists with other contents and is not overwritten. Move it away.", target / name)
        for name, text in texts.items()
        if name in existing and existing[name] != text
    ]
    problems += _same(tool, target, scripts, texts)
    found, clashes = _beside(tool, target, texts, existing)
    problems += clashes
    notes += found
    applied = [
        (script, row)
        for script in scripts
        if (row := there.get(script.key)) is not None and _holds(row, script)
    ]
    problems += _gaps(form, scripts, there, checkpoints)
    return ExportPlan(
        tool=tool,
        title=title,
        target=target,
        files=tuple(ExportFile(name, text, name not in existing) for name, text in texts.items()),
        applied=tuple(script.key for script, _ in applied),
        ledger=form.ledger,
        columns=form.columns,
        problems=tuple(problems),
        notes=tuple(notes),
        create=Command(form.create),
        rows=tuple(form.rows(applied, texts)),
    )


def _holds(row: OurRow, script: MigrationScript) -> bool:
    """Whether the other tool may take a script for applied: a repeatable one as its file is now."""
    return isinstance(row, LedgerRow) or row.holds(script)


def _left(form: _Form, title: str, scripts: Sequence[MigrationScript]) -> list[Remark]:
    """What cannot go as it is: checkpoints, and what repeatable scripts have that others do not."""
    notes = [
        Remark(
            f"is a checkpoint for empty databases: it is left out, and {title} runs the versions.",
            script.path,
        )
        for script in scripts
        if script.checkpoint is not None
    ]
    if form.repeats:
        return notes + [
            Remark(
                f"runs after {each.file} here; {title} runs by name alone.", script.path, each.line
            )
            for script in scripts
            for each in script.after
            if by_name(each.file) > by_name(script.path.name)
        ]
    message = (
        f"is a repeatable script, which {title} does not have: it is left out. Put what it makes "
        "into a version first."
    )
    return notes + [Remark(message, script.path) for script in scripts if script.is_repeatable]


def _changed(form: _Form, title: str, script: MigrationScript) -> list[Remark]:
    """What a script asks for and runs without there."""
    notes = []
    statements = script.up_statements()
    alone = any(refuses_transaction(each, ServerKind.POSTGRESQL) for each in statements)
    if not form.options and len(statements) > 1 and (alone or _has_no_transaction(script)):
        asks = (
            "has a statement that PostgreSQL runs only alone"
            if alone
            else f"asks for mode={script.mode.value if script.mode else ''}"
        )
        message = f"{asks}; {title} sends a file whole, as one transaction."
        notes.append(Remark(message, script.path))
    if script.isolation is not None:
        message = (
            f"asks for isolation={script.isolation.value}; {title} runs it at the server's default."
        )
        notes.append(Remark(message, script.path))
    if script.lock_timeout is not None:
        message = f"limits its waits for locks; {title} waits as the server's settings say."
        notes.append(Remark(message, script.path))
    notes += [
        Remark(f"runs in batches here; {title} runs it as one statement.", script.path, each.line)
        for each in statements
        if each.batch is not None
    ]
    return notes


def _beside(
    tool: str, target: Path, texts: Mapping[str, str], existing: Mapping[str, str]
) -> tuple[list[Remark], list[Remark]]:
    """Files of that tool that are in the folder already: what they add, and where they clash."""
    others = {name: text for name, text in existing.items() if name not in texts}
    read = TOOLS[tool].read
    alone, together = (
        read(Folder(target, {name: text.encode() for name, text in files.items()}))
        for files in (others, {**others, **texts})
    )
    notes = [
        Remark(
            f"is there already and none of these scripts: {TOOLS[tool].title} runs it as pending.",
            target / each.name,
        )
        for each in alone.migrations
    ]
    known = {str(remark) for remark in alone.problems}
    return notes, [each for each in together.problems if str(each) not in known]


def _gaps(
    form: _Form,
    scripts: Sequence[MigrationScript],
    there: Mapping[ScriptKey, OurRow],
    checkpoints: Sequence[MigrationScript],
) -> list[Remark]:
    """Versions that the other tool's ledger could not tell the truth about."""
    versions = {script.version for script in scripts}
    applied = [row.version for row in there.values() if isinstance(row, LedgerRow)]
    squashed = {each.version: made.path.name for made in checkpoints for each in made.stands_for}
    problems = [
        Remark(
            f"version {version} is applied, but its file is missing. Restore it first"
            f"{f': {squashed[version]} stands for it here alone' if version in squashed else ''}."
        )
        for version in applied
        if version not in versions
    ]
    newest = max(applied, default=0)
    if form.needs_all:
        problems += [
            Remark(
                f"is not applied, and {newest} is: this tool would take it for applied. Apply it first.",
                script.path,
            )
            for script in scripts
            if script.version < newest and script.version not in there
        ]
    return problems


def _same(
    tool: str, target: Path, scripts: Sequence[MigrationScript], texts: Mapping[str, str]
) -> list[Remark]:
    """Read the files back as that tool's, and compare them with the scripts."""
    folder = Folder(target, {name: text.encode() for name, text in texts.items()})
    back = convert(TOOLS[tool].read(folder), target)
    found = {each.script.key: each.script for each in back.scripts}
    return [
        Remark("could not be written with the same statements.", script.path)
        for script in scripts
        if script.key not in found or _said(found[script.key]) != _said(script)
    ] + list(back.problems)


def _said(script: MigrationScript) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]] | None]:
    ups = [words(statement.text) for statement in script.up_statements()]
    if script.down_sql is None:
        return ups, None
    return ups, [words(statement.text) for statement in script.down_statements()]


def refused(message: str) -> PlanRefused:
    """The error for a ledger that cannot be filled."""
    return PlanRefused("Nothing was exported", [Problem(message)])
