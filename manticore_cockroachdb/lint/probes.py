"""Questions to the data: would a script fail on the rows that are there? Pure: texts and answers.

Each question is one SELECT that reads the tables a script names and returns at most the keys of two rows
that are in the way, never values of other columns. A question is asked only of what is there before
the scripts run: where an earlier statement of theirs writes to the table, or makes or renames what
is asked for, the answer today would say nothing, and it is not asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from .._model.actions import (
    AddColumn,
    RenameColumn,
    SetType,
)
from .._model.commands import (
    AlterTable,
    Command,
    Rename,
    SetSchema,
    Truncate,
    Write,
)
from .._model.folding import begin_script, fold
from .._model.reading import read
from .._model.schema import Key, Schema, Space
from .._model.values import Name, quoted
from .._scripts.script import MigrationScript, ScriptKey
from .._sql.lexer import split
from .._sql.server_kind import ServerKind
from .finding import Finding, Report, Severity
from .questions import counts, placed, questions
from .rules import RULES
from .rules.cockroachdb_space import written_again
from .target import Target

#: A count is not continued beyond this: more is "at least" so many.
COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Probe:
    """One question.

    Attributes:
        rule: The rule whose finding the answer decides.
        path: The script's file.
        line: The line of the statement, from 1.
        version: The script's version.
        query: The SELECT. Its rows are keys of what is in the way; or one row with a count.
        keys: The names of the key's columns, in the order of the query's.
        meaning: What a row means, such as "has no city".
        fails: Whether the statement fails if a row is found; else the query counts what it would
            write or delete.
        table: The table it is about, as SQL takes it.
        subject: What of the statement it is about: the subject of the finding.
        sizes: Whether its row has the size of the table, by the server's statistics.
        may_be_gone: Whether the statement does nothing where the table is not there.
    """

    rule: str
    path: Path
    line: int
    version: int
    query: str
    keys: tuple[str, ...]
    meaning: str
    fails: bool
    table: str
    subject: str = ""
    sizes: bool = False
    may_be_gone: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the data says.

    Attributes:
        probe: The question.
        rows: The rows of the query, each by the columns' names.
        error: Why it could not be read: the server's words. None where it was.
        is_gone: Whether the table is not there.
    """

    probe: Probe
    rows: tuple[dict[str, Any], ...] = ()
    error: str | None = None
    is_gone: bool = False

    @property
    def refutes(self) -> bool:
        """Whether the finding is wrong for this database."""
        if self.is_gone and self.probe.may_be_gone:
            return True
        return self.probe.fails and self.error is None and not self.rows

    @property
    def in_the_way(self) -> bool:
        """Whether the statement would fail."""
        return self.probe.fails and bool(self.rows)

    def __str__(self) -> str:
        """What was found, in one sentence."""
        probe = self.probe
        if self.is_gone and probe.may_be_gone:
            return f"There is no {probe.table}."
        if self.error is not None:
            return f"The data of {probe.table} could not be read: {self.error}"
        if probe.sizes:
            return _sized(probe.table, self.rows)
        if not probe.fails:
            count = int(self.rows[0]["n"]) if self.rows else 0
            most = "at least " if count >= COUNTED else ""
            return (
                f"{probe.meaning} {most}{count:,} row{'' if count == 1 else 's'} of {probe.table}."
            )
        if not self.rows:
            return f"No row of {probe.table} {probe.meaning}."
        shown = " and ".join(_shown(row, probe.keys) for row in self.rows)
        such = f", such as {shown}" if probe.keys else ""
        return f"A row of {probe.table} {probe.meaning}{such}."


def _sized(table: str, rows: Sequence[dict[str, Any]]) -> str:
    count, size = (rows[0]["n"], rows[0]["bytes"]) if rows else (None, None)
    if count is None:
        return f"The server has no statistics of {table} yet."
    shown = f", about {int(size) / 1_000_000:,.1f} MB" if size is not None else ""
    return (
        f"By the server's statistics, {table} has {int(count):,} rows{shown}, without its indexes."
    )


def _shown(row: dict[str, Any], keys: Sequence[str]) -> str:
    pairs = (f"{key} = {row[f'k{number}']}" for number, key in enumerate(keys))
    return ", ".join(pairs)


def probes(
    scripts: Sequence[MigrationScript], only: Container[ScriptKey], target: Target
) -> tuple[Probe, ...]:
    """The questions for the scripts that are about to run.

    Args:
        scripts: Every script, by version; those not in `only` are applied.
        only: The scripts that are about to run, by version or a repeatable script's name.
        target: The server.
    """
    schema = Schema(target.kind)
    found: list[Probe] = []
    touched = _Touched(schema)
    for script in scripts:
        begin_script(schema)
        pending = script.key in only and script.checkpoint is None
        for raw in split(script.up_sql, script.up_line).up:
            command = read(raw.text, target.kind)
            if pending:
                found += _of_statement(script, raw.text, raw.line, command, touched, target)
                touched.note(command)
            fold(command, schema)
    return tuple(found)


class _Touched:
    """What the scripts that are about to run have changed so far.

    Args:
        schema: The schema, as it is folded on.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._tables: set[Key] = set()
        self._columns: set[tuple[Key, str]] = set()

    def note(self, command: Command) -> None:
        """Remember what a statement changes."""
        match command:
            case Write():
                self._add(command.table)
            case Truncate():
                for name in command.tables:
                    self._add(name)
            case Rename(what="TABLE") | SetSchema(what="TABLE"):
                self._add(command.name)
                schema = command.schema if isinstance(command, SetSchema) else command.name.schema
                new = command.new if isinstance(command, Rename) else command.name.name
                self._add(Name(schema, new))
            case AlterTable():
                key = self.schema.key(Space.RELATION, command.name)
                for action in command.actions:
                    if isinstance(action, AddColumn):
                        self._columns.add((key, action.definition.column.name))
                    elif isinstance(action, RenameColumn):
                        self._columns |= {(key, action.old), (key, action.new)}
                    elif isinstance(action, SetType):
                        self._columns.add((key, action.column))
            case _:
                made = getattr(command, "name", None)
                if isinstance(made, Name):  # CREATE TABLE, VIEW, …
                    self._add(made)

    def _add(self, name: Name) -> None:
        self._tables.add(self.schema.key(Space.RELATION, name))

    def allows(self, name: Name, columns: Iterable[str]) -> bool:
        """Whether a table and columns of it are as they were before the scripts."""
        key = self.schema.key(Space.RELATION, name)
        return key not in self._tables and not any((key, one) in self._columns for one in columns)


def _of_statement(
    script: MigrationScript,
    text: str,
    line: int,
    command: Command,
    touched: _Touched,
    target: Target,
) -> Iterator[Probe]:
    schema = touched.schema
    for asked in questions(command, schema):
        tables = (asked.table, *asked.others)
        if not all(touched.allows(name, asked.columns) for name in tables):
            continue
        table = schema.table(asked.table)
        keys = table.key_columns() if table is not None else ()
        prefix = f"{asked.alias}." if asked.alias else ""
        columns = [f"{prefix}{quoted(key)} AS k{number}" for number, key in enumerate(keys)]
        source = f"{placed(asked.table, schema)} {asked.alias}".rstrip()
        where = f" WHERE {asked.condition}" if asked.condition else ""
        yield Probe(
            rule=asked.rule,
            path=script.path,
            line=line,
            version=script.version,
            query=f"SELECT {', '.join(columns) or '1 AS found'} FROM {source}{where} LIMIT 2",
            keys=keys,
            meaning=asked.meaning,
            fails=True,
            table=str(asked.table),
            subject=asked.subject,
        )
    for one in counts(text, command):
        names = one.condition.names if one.condition is not None else frozenset[str]()
        if not touched.allows(one.table, names) or schema.view(one.table) is not None:
            continue
        where = f" WHERE {one.condition.text}" if one.condition is not None else ""
        inner = f"SELECT 1 FROM {placed(one.table, schema)}{where} LIMIT {COUNTED}"
        yield Probe(
            rule=one.rule,
            path=script.path,
            line=line,
            version=script.version,
            query=f"SELECT count(*) AS n FROM ({inner}) AS found",
            keys=(),
            meaning=one.meaning,
            fails=False,
            table=str(one.table),
            subject=one.subject,
            may_be_gone=one.may_be_gone,
        )
    name = written_again(command, schema) if target.kind is ServerKind.COCKROACHDB else None
    if name is not None and touched.allows(name, ()):
        yield Probe(
            rule="needs-space",
            path=script.path,
            line=line,
            version=script.version,
            query=_size(placed(name, schema), target),
            keys=(),
            meaning="",
            fails=False,
            table=str(name),
            sizes=True,
        )


def _size(name: Name, target: Target) -> str:
    """A table's rows and bytes by the newest statistics of each column.

    SHOW STATISTICS needs a privilege on the table and reads none of its ranges; SHOW RANGES, which
    knows the size with the indexes, needs more rights. Bytes are there from v22.1.
    https://www.cockroachlabs.com/docs/stable/show-statistics
    """
    bytes_ = "sum(avg_size * row_count)" if target.version >= (22, 1) else "NULL"
    size = ", avg_size" if target.version >= (22, 1) else ""
    return (
        f"SELECT max(row_count)::INT8 AS n, {bytes_}::INT8 AS bytes "
        f"FROM (SELECT DISTINCT ON (column_names) row_count{size} "
        f"FROM [SHOW STATISTICS FOR TABLE {name}] "
        "WHERE array_length(column_names, 1) = 1 ORDER BY column_names, created DESC) AS latest"
    )


# -- answers -------------------------------------------------------------------------------------


def weighed(
    report: Report, answers: Sequence[Answer], accepts: Callable[[str], Severity | None]
) -> Report:
    """A report after the data was asked: what the data refutes goes, what it confirms becomes an error.

    Args:
        report: The report from the text alone.
        answers: What the data said.
        accepts: The severity of a rule's findings by the settings; None where the rule is off.
    """
    by_place: dict[tuple[str, Path, int, str], list[Answer]] = {}
    for answer in answers:
        probe = answer.probe
        place = (probe.rule, probe.path, probe.line, probe.subject)
        by_place.setdefault(place, []).append(answer)
    heard = dict(by_place)
    kept: list[Finding] = []
    for finding in report.findings:
        place = (finding.rule, finding.path, finding.line, finding.subject)
        heard.pop(place, None)
        kept += _settled(finding, by_place.get(place, ()))
    for (rule, *_), unheard in heard.items():
        # Allowed in the text, or too mild to be shown: what would fail is reported all the same.
        if accepts(rule) is not None:
            kept += [_finding(answer, report.servers) for answer in unheard if answer.in_the_way]
    kept.sort(
        key=lambda one: (
            one.version or math.inf,
            one.path.name,
            one.line,
            one.severity.rank,
            one.rule,
        )
    )
    return replace(report, findings=tuple(kept))


def _settled(finding: Finding, heard: Sequence[Answer]) -> Iterator[Finding]:
    """A finding after what the data says of it: one at most."""
    failing = [str(answer) for answer in heard if answer.in_the_way]
    if failing:
        yield replace(finding, severity=Severity.ERROR, message=" ".join(failing))
    elif not heard or not all(answer.refutes for answer in heard):
        told = [str(answer) for answer in heard if not answer.refutes]
        yield replace(finding, message=" ".join((finding.message, *told)))


def _finding(answer: Answer, servers: tuple[str, ...]) -> Finding:
    probe = answer.probe
    return Finding(
        rule=probe.rule,
        severity=Severity.ERROR,
        message=str(answer),
        safer=None,
        path=probe.path,
        line=probe.line,
        version=probe.version,
        source=RULES[probe.rule].source,
        servers=servers,
        subject=probe.subject,
    )
