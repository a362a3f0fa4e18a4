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
from .._model.cursor import Cursor, NotUnderstoodError
from .._model.folding import begin_script, fold
from .._model.reading import read
from .._model.schema import DEFAULT_PATH, Key, Schema, Space
from .._model.values import Constraint, ConstraintKind, Expression, Index, Name, Table, quoted
from .._scripts.script import MigrationScript, ScriptKey
from .._sql.lexer import split
from .._sql.server_kind import ServerKind
from .finding import Finding, Report, Severity
from .rules import RULES
from .rules.cockroachdb_space import written_again
from .sql import each_key, listed
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
    subject: str = ""


def _of_statement(
    script: MigrationScript,
    text: str,
    line: int,
    command: Command,
    touched: _Touched,
    target: Target,
) -> Iterator[Probe]:
    schema = touched.schema
    for asked in _asked(command, schema):
        tables = (asked.table, *asked.others)
        if not all(touched.allows(name, asked.columns) for name in tables):
            continue
        table = schema.table(asked.table)
        keys = table.key_columns() if table is not None else ()
        prefix = f"{asked.alias}." if asked.alias else ""
        columns = [f"{prefix}{quoted(key)} AS k{number}" for number, key in enumerate(keys)]
        source = f"{_placed(asked.table, schema)} {asked.alias}".rstrip()
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
    for one in _counted(text, command):
        names = one.condition.names if one.condition is not None else frozenset[str]()
        if not touched.allows(one.table, names) or schema.view(one.table) is not None:
            continue
        where = f" WHERE {one.condition.text}" if one.condition is not None else ""
        inner = f"SELECT 1 FROM {_placed(one.table, schema)}{where} LIMIT {COUNTED}"
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
            query=_size(_placed(name, schema), target),
            keys=(),
            meaning="",
            fails=False,
            table=str(name),
            sizes=True,
        )


def _placed(name: Name, schema: Schema) -> Name:
    """A name as it leads to its object in a session that has not run the script's SET search_path."""
    if name.schema is not None or schema.path == DEFAULT_PATH:
        return name
    key = schema.key(Space.RELATION, name)
    return Name(key.schema or None, key.name)


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


def _asked(command: Command, schema: Schema) -> Iterator[_Asked]:
    """What would make a statement fail."""
    if isinstance(command, CreateIndex):
        index = command.index
        if index.unique:
            names = _names_of(index)
            yield _equal(
                command.table,
                schema,
                names,
                each_key(index),
                index.predicate,
                nulls_equal=index.nulls_equal,
            )
    elif isinstance(command, AlterTable) and command.what == "TABLE":
        table = schema.table(command.name)
        for action in command.actions:
            yield from _asked_of_action(command.name, table, action, schema)


def _names_of(index: Index) -> frozenset[str]:
    """The columns of an index, in its expressions and its condition too."""
    expressions = (*(one.expression for one in index.keys), index.predicate)
    used = (one.names for one in expressions if one is not None)
    return frozenset(index.columns).union(*used)


def _asked_of_action(
    name: Name, table: Table | None, action: object, schema: Schema
) -> Iterator[_Asked]:
    match action:
        case SetNotNull(column=column):
            yield _without_value("not-null-on-data", name, column)
        case AddColumn(definition=definition):
            added = definition.column
            filled = added.default or added.generated or added.identity or added.serial
            if added.not_null and not filled:
                one = quoted(added.name)
                yield _Asked(
                    "required-column",
                    name,
                    frozenset(),
                    "",
                    f"would have no {one}",
                    subject=added.name,
                )
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
                subject=column,
            )
        case _:
            pass


def _without_value(rule: str, name: Name, column: str, subject: str | None = None) -> _Asked:
    one = quoted(column)
    return _Asked(
        rule,
        name,
        frozenset((column,)),
        f"{one} IS NULL",
        f"has no {one}",
        subject=column if subject is None else subject,
    )


def _asked_of_constraint(name: Name, one: Constraint, schema: Schema) -> Iterator[_Asked]:
    columns = frozenset(one.columns)
    if one.kind in (ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY) and one.columns:
        keys = [quoted(column) for column in one.columns]
        yield _equal(name, schema, columns, keys, one.expression, nulls_equal=one.nulls_equal)
        if one.kind is ConstraintKind.PRIMARY_KEY:
            table = schema.table(name)
            for column in one.columns:
                known = table.column(column) if table is not None else None
                if known is None or not known.not_null:
                    yield _without_value("unique-on-data", name, column, ", ".join(keys))
    elif one.kind is ConstraintKind.NOT_NULL:
        yield _without_value("not-null-on-data", name, one.columns[0])
    elif one.kind is ConstraintKind.CHECK and one.expression is not None:
        yield _Asked(
            "check-on-data",
            name,
            one.expression.names,
            f"NOT ({one.expression.text})",
            f"does not obey CHECK ({one.expression.text})",
            subject=one.expression.text,
        )
    elif one.kind is ConstraintKind.FOREIGN_KEY and one.target is not None:
        target = schema.table(one.target)
        theirs = one.target_columns or (target.key_columns() if target is not None else ())
        yield from _orphans(name, one, one.target, theirs, schema)


def _orphans(
    name: Name, one: Constraint, target: Name, theirs: tuple[str, ...], schema: Schema
) -> Iterator[_Asked]:
    if len(theirs) != len(one.columns):
        return  # the key it refers to is not known
    filled = " AND ".join(f"c.{quoted(column)} IS NOT NULL" for column in one.columns)
    pairs = zip(one.columns, theirs, strict=True)
    joined = " AND ".join(f"p.{quoted(there)} = c.{quoted(here)}" for here, there in pairs)
    source = _placed(target, schema)
    yield _Asked(
        "foreign-key-on-data",
        name,
        frozenset(one.columns),
        f"{filled} AND NOT EXISTS (SELECT 1 FROM {source} p WHERE {joined})",
        f"refers by {listed(one.columns)} to a row that is not in {target}",
        others=(target,),
        alias="c",
        subject=listed(one.columns),
    )


def _equal(
    name: Name,
    schema: Schema,
    columns: frozenset[str],
    keys: Sequence[str],
    predicate: Expression | None,
    *,
    nulls_equal: bool,
) -> _Asked:
    """Two rows with the same key; rows with a NULL in it are never the same, unless it says so."""
    shown = ", ".join(keys)
    where = f"({predicate.text}) AND " if predicate is not None else ""
    source = _placed(name, schema)
    if nulls_equal:
        named = ", ".join(f"{key} AS d{number}" for number, key in enumerate(keys))
        same = " AND ".join(
            f"d.d{number} IS NOT DISTINCT FROM {key}" for number, key in enumerate(keys)
        )
        inner = f"SELECT {named} FROM {source} WHERE {where}true GROUP BY {shown}"
        inner += " HAVING count(*) > 1 LIMIT 1"
        condition = f"{where}EXISTS (SELECT 1 FROM ({inner}) AS d WHERE {same})"
    else:
        filled = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        inner = f"SELECT {shown} FROM {source} WHERE {where}{filled}"
        condition = f"{where}({shown}) IN ({inner} GROUP BY {shown} HAVING count(*) > 1 LIMIT 1)"
    return _Asked(
        "unique-on-data",
        name,
        columns,
        condition,
        f"has the same {shown} as another",
        subject=shown,
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a statement writes or deletes."""

    rule: str
    table: Name
    condition: Expression | None
    meaning: str
    subject: str = ""
    may_be_gone: bool = False


def _counted(text: str, command: Command) -> Iterator[_Counted]:
    """Statements that write or delete rows: how many?"""
    match command:
        case Write(verb="UPDATE" | "DELETE" as verb, limited=False) if _is_plain(text):
            yield _Counted("large-write", command.table, command.where, f"{verb.capitalize()}s")
        case Drop(what="TABLE"):
            for name in command.names:
                yield _Counted(
                    "drop-table", name, None, "Deletes", str(name), may_be_gone=command.if_exists
                )
        case Truncate():
            for name in command.tables:
                yield _Counted("truncate-table", name, None, "Deletes")
        case AlterTable():
            for action in command.actions:
                if isinstance(action, DropColumn):
                    column = quoted(action.column)
                    filled = Expression(f"{column} IS NOT NULL", frozenset((action.column,)))
                    yield _Counted(
                        "drop-column",
                        command.name,
                        filled,
                        f"Deletes {column} of",
                        action.column,
                    )
        case _:
            pass


def _is_plain(text: str) -> bool:
    """Whether an UPDATE or DELETE has nothing but its table in reach: no alias, no FROM, no USING."""
    cursor = Cursor(text)
    verb = cursor.word()
    if verb == "DELETE":
        cursor.take("FROM")
    cursor.take("ONLY")
    try:
        cursor.name()
    except NotUnderstoodError:
        return False
    if verb == "DELETE":
        return cursor.peek() in ("", "WHERE", "RETURNING")
    return cursor.take("SET") and not cursor.seek("FROM")


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
