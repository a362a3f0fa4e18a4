"""What the rows are asked about a statement: would it fail, and how much does it write? Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .._model.actions import (
    AddColumn,
    AddConstraint,
    DropColumn,
    SetNotNull,
    SetType,
    ValidateConstraint,
)
from .._model.commands import AlterTable, Command, CreateIndex, Drop, Truncate, Write
from .._model.cursor import Cursor, NotUnderstoodError
from .._model.schema import DEFAULT_PATH, Schema, Space
from .._model.values import Constraint, ConstraintKind, Expression, Index, Name, Table, quoted
from .sql import each_key, listed


@dataclass(frozen=True, slots=True)
class Question:
    """The parts of a question, before it is known whether it can be asked."""

    rule: str
    table: Name
    columns: frozenset[str]
    condition: str
    meaning: str
    others: tuple[Name, ...] = ()
    alias: str = ""
    subject: str = ""


def questions(command: Command, schema: Schema) -> Iterator[Question]:
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
            yield from _of_action(command.name, table, action, schema)


def _names_of(index: Index) -> frozenset[str]:
    """The columns of an index, in its expressions and its condition too."""
    expressions = (*(one.expression for one in index.keys), index.predicate)
    used = (one.names for one in expressions if one is not None)
    return frozenset(index.columns).union(*used)


def _of_action(
    name: Name, table: Table | None, action: object, schema: Schema
) -> Iterator[Question]:
    match action:
        case SetNotNull(column=column):
            yield _without_value("not-null-on-data", name, column)
        case AddColumn(definition=definition):
            added = definition.column
            filled = added.default or added.generated or added.identity or added.serial
            if added.not_null and not filled:
                one = quoted(added.name)
                yield Question(
                    "required-column",
                    name,
                    frozenset(),
                    "",
                    f"would have no {one}",
                    subject=added.name,
                )
        case AddConstraint(constraint=constraint) if constraint.validated:
            yield from _of_constraint(name, constraint, schema)
        case ValidateConstraint(name=label) if table is not None:
            there = table.constraint(label)
            if there is not None and not there.validated:
                yield from _of_constraint(name, there, schema)
        case SetType(column=column, type=kind) if kind.modifier and kind.name.startswith("char"):
            one = quoted(column)
            yield Question(
                "narrow-column",
                name,
                frozenset((column,)),
                f"length({one}) > {kind.modifier[0]}",
                f"has a {one} longer than {kind.modifier[0]}",
                subject=column,
            )
        case _:
            pass


def _without_value(rule: str, name: Name, column: str, subject: str | None = None) -> Question:
    one = quoted(column)
    return Question(
        rule,
        name,
        frozenset((column,)),
        f"{one} IS NULL",
        f"has no {one}",
        subject=column if subject is None else subject,
    )


def _of_constraint(name: Name, one: Constraint, schema: Schema) -> Iterator[Question]:
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
        yield Question(
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
) -> Iterator[Question]:
    if len(theirs) != len(one.columns):
        return  # the key it refers to is not known
    filled = " AND ".join(f"c.{quoted(column)} IS NOT NULL" for column in one.columns)
    pairs = zip(one.columns, theirs, strict=True)
    joined = " AND ".join(f"p.{quoted(there)} = c.{quoted(here)}" for here, there in pairs)
    source = placed(target, schema)
    yield Question(
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
) -> Question:
    """Two rows with the same key; rows with a NULL in it are never the same, unless it says so."""
    shown = ", ".join(keys)
    where = f"({predicate.text}) AND " if predicate is not None else ""
    source = placed(name, schema)
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
    return Question(
        "unique-on-data",
        name,
        columns,
        condition,
        f"has the same {shown} as another",
        subject=shown,
    )


@dataclass(frozen=True, slots=True)
class Count:
    """What a statement writes or deletes."""

    rule: str
    table: Name
    condition: Expression | None
    meaning: str
    subject: str = ""
    may_be_gone: bool = False


def counts(text: str, command: Command) -> Iterator[Count]:
    """Statements that write or delete rows: how many?"""
    match command:
        case Write(verb="UPDATE" | "DELETE" as verb, limited=False) if _is_plain(text):
            yield Count("large-write", command.table, command.where, f"{verb.capitalize()}s")
        case Drop(what="TABLE"):
            for name in command.names:
                yield Count(
                    "drop-table", name, None, "Deletes", str(name), may_be_gone=command.if_exists
                )
        case Truncate():
            for name in command.tables:
                yield Count("truncate-table", name, None, "Deletes")
        case AlterTable():
            for action in command.actions:
                if isinstance(action, DropColumn):
                    column = quoted(action.column)
                    filled = Expression(f"{column} IS NOT NULL", frozenset((action.column,)))
                    yield Count(
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


def placed(name: Name, schema: Schema) -> Name:
    """A name as it leads to its object in a session that has not run the script's SET search_path."""
    if name.schema is not None or schema.path == DEFAULT_PATH:
        return name
    key = schema.key(Space.RELATION, name)
    return Name(key.schema or None, key.name)
