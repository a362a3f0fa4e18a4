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
    AddConstraint,
    DropColumn,
    RenameColumn,
    SetNotNull,
    SetType,
    ValidateConstraint,
)
from .._model.commands import (
    AlterTable,
    Command,
    CreateIndex,
    Drop,
    Rename,
    SetSchema,
    Truncate,
    Write,
)
from .._model.folding import begin_script, fold
from .._model.reading import read
from .._model.schema import Key, Schema, Space
from .._model.values import Constraint, ConstraintKind, Expression, Name, Table, quoted
from .._scripts.script import MigrationScript, ScriptKey
from .._sql.lexer import split
from .finding import Finding, Report, Severity
from .rules import RULES
from .sql import keys as index_keys
from .sql import listed
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What the data says.

    Attributes:
        probe: The question.
        rows: The rows of the query, each by the columns' names.
        error: Why it could not be read: the server's words. None where it was.
    """

    probe: Probe
    rows: tuple[dict[str, Any], ...] = ()
    error: str | None = None

    @property
    def in_the_way(self) -> bool:
        """Whether the statement would fail."""
        return self.probe.fails and bool(self.rows)

    def __str__(self) -> str:
        """What was found, in one sentence."""
        probe = self.probe
        if self.error is not None:
            return f"The data of {probe.table} could not be read: {self.error}"
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
                found += _of_statement(script, raw.text, raw.line, command, touched)
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """The parts of a question, before it is known whether it can be asked."""

    rule: str
    table: Name
    columns: frozenset[str]
    condition: str
    meaning: str
    others: tuple[Name, ...] = ()
    alias: str = ""


def _of_statement(
    script: MigrationScript, text: str, line: int, command: Command, touched: _Touched
) -> Iterator[Probe]:
    for asked in _asked(command, touched.schema):
        tables = (asked.table, *asked.others)
        if not all(touched.allows(name, asked.columns) for name in tables):
            continue
        table = touched.schema.table(asked.table)
        keys = table.key_columns() if table is not None else ()
        prefix = f"{asked.alias}." if asked.alias else ""
        columns = [f"{prefix}{quoted(key)} AS k{number}" for number, key in enumerate(keys)]
        source = f"{asked.table} {asked.alias}".rstrip()
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
        )
    for rule, name, condition, meaning in _counted(text, command):
        names = condition.names if condition is not None else frozenset[str]()
        if not touched.allows(name, names) or touched.schema.view(name) is not None:
            continue
        where = f" WHERE {condition.text}" if condition is not None else ""
        inner = f"SELECT 1 FROM {name}{where} LIMIT {COUNTED}"
        yield Probe(
            rule=rule,
            path=script.path,
            line=line,
            version=script.version,
            query=f"SELECT count(*) AS n FROM ({inner}) AS found",
            keys=(),
            meaning=meaning,
            fails=False,
            table=str(name),
        )


def _asked(command: Command, schema: Schema) -> Iterator[_Asked]:
    """What would make a statement fail."""
    if isinstance(command, CreateIndex):
        if command.index.unique:
            columns = index_keys(command.index).replace(" DESC", "")
            names = frozenset(command.index.columns)
            yield _equal(command.table, names, columns, command.index.predicate)
    elif isinstance(command, AlterTable) and command.what == "TABLE":
        table = schema.table(command.name)
        for action in command.actions:
            yield from _asked_of_action(command.name, table, action, schema)


def _asked_of_action(
    name: Name, table: Table | None, action: object, schema: Schema
) -> Iterator[_Asked]:
    match action:
        case SetNotNull(column=column):
            one = quoted(column)
            yield _Asked(
                "not-null-on-data", name, frozenset((column,)), f"{one} IS NULL", f"has no {one}"
            )
        case AddColumn(definition=definition):
            added = definition.column
            filled = added.default or added.generated or added.identity or added.serial
            if added.not_null and not filled:
                one = quoted(added.name)
                yield _Asked("required-column", name, frozenset(), "", f"would have no {one}")
        case AddConstraint(constraint=constraint) if constraint.validated:
            yield from _asked_of_constraint(name, constraint, schema)
        case ValidateConstraint(name=label) if table is not None:
            there = table.constraint(label)
            if there is not None and not there.validated:
                yield from _asked_of_constraint(name, there, schema)
        case SetType(column=column, type=kind) if kind.modifier and kind.name.startswith("char"):
            one = quoted(column)
            yield _Asked(
                "narrow-column",
                name,
                frozenset((column,)),
                f"length({one}) > {kind.modifier[0]}",
                f"has a {one} longer than {kind.modifier[0]}",
            )
        case _:
            pass


def _asked_of_constraint(name: Name, one: Constraint, schema: Schema) -> Iterator[_Asked]:
    columns = frozenset(one.columns)
    if one.kind in (ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY) and one.columns:
        yield _equal(name, columns, listed(one.columns), None)
    elif one.kind is ConstraintKind.NOT_NULL:
        column = quoted(one.columns[0])
        yield _Asked("not-null-on-data", name, columns, f"{column} IS NULL", f"has no {column}")
    elif one.kind is ConstraintKind.CHECK and one.expression is not None:
        yield _Asked(
            "check-on-data",
            name,
            one.expression.names,
            f"NOT ({one.expression.text})",
            f"does not obey CHECK ({one.expression.text})",
        )
    elif one.kind is ConstraintKind.FOREIGN_KEY and one.target is not None:
        target = schema.table(one.target)
        theirs = one.target_columns or (target.key_columns() if target is not None else ())
        yield from _orphans(name, one, one.target, theirs)


def _orphans(
    name: Name, one: Constraint, target: Name, theirs: tuple[str, ...]
) -> Iterator[_Asked]:
    if len(theirs) != len(one.columns):
        return  # the key it refers to is not known
    filled = " AND ".join(f"c.{quoted(column)} IS NOT NULL" for column in one.columns)
    pairs = zip(one.columns, theirs, strict=True)
    joined = " AND ".join(f"p.{quoted(there)} = c.{quoted(here)}" for here, there in pairs)
    yield _Asked(
        "foreign-key-on-data",
        name,
        frozenset(one.columns),
        f"{filled} AND NOT EXISTS (SELECT 1 FROM {target} p WHERE {joined})",
        f"refers by {listed(one.columns)} to a row that is not in {target}",
        others=(target,),
        alias="c",
    )


def _equal(name: Name, columns: frozenset[str], shown: str, predicate: Expression | None) -> _Asked:
    """Two rows with the same key; rows with a NULL in it are never the same."""
    where = f"({predicate.text}) AND " if predicate is not None else ""
    filled = " AND ".join(f"{quoted(column)} IS NOT NULL" for column in sorted(columns))
    inner = f"SELECT {shown} FROM {name} WHERE {where}{filled or 'true'}"
    return _Asked(
        "unique-on-data",
        name,
        columns | (predicate.names if predicate is not None else frozenset()),
        f"{where}({shown}) IN ({inner} GROUP BY {shown} HAVING count(*) > 1 LIMIT 1)",
        f"has the same {shown} as another",
    )


def _counted(text: str, command: Command) -> Iterator[tuple[str, Name, Expression | None, str]]:
    """Statements that write or delete rows: how many?"""
    match command:
        case Write(verb="UPDATE" | "DELETE" as verb, limited=False) if _is_plain(text, command):
            yield "large-write", command.table, command.where, f"{verb.capitalize()}s"
        case Drop(what="TABLE"):
            for name in command.names:
                yield "drop-table", name, None, "Deletes"
        case Truncate():
            for name in command.tables:
                yield "truncate-table", name, None, "Deletes"
        case AlterTable():
            for action in command.actions:
                if isinstance(action, DropColumn):
                    filled = Expression(
                        f"{quoted(action.column)} IS NOT NULL", frozenset((action.column,))
                    )
                    yield "drop-column", command.name, filled, f"Deletes {quoted(action.column)} of"
        case _:
            pass


def _is_plain(text: str, command: Write) -> bool:
    """Whether an UPDATE or DELETE has nothing but its table in reach: no alias, no FROM, no USING."""
    words = text.upper().split()
    if command.verb == "DELETE":
        return "USING" not in words and (len(words) == 3 or words[3:4] == ["WHERE"])
    at = words.index("SET") if "SET" in words else 0
    where = words.index("WHERE") if "WHERE" in words else len(words)
    return at == 2 and "FROM" not in words[:where]


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
    by_place: dict[tuple[str, Path, int], list[Answer]] = {}
    for answer in answers:
        probe = answer.probe
        by_place.setdefault((probe.rule, probe.path, probe.line), []).append(answer)
    kept: list[Finding] = []
    for finding in report.findings:
        heard = by_place.pop((finding.rule, finding.path, finding.line), None)
        if heard is None:
            kept.append(finding)
        else:
            kept += _settled(finding, heard)
    for (rule, _, _), heard in by_place.items():
        # Allowed in the text, or too mild to be shown: what would fail is reported all the same.
        if accepts(rule) is not None:
            kept += [_finding(answer, report.servers) for answer in heard if answer.in_the_way]
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
    for answer in heard:
        if answer.in_the_way:
            yield replace(finding, severity=Severity.ERROR, message=str(answer))
        elif answer.error is not None or not answer.probe.fails:
            yield replace(finding, message=f"{finding.message} {answer}")


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
    )
