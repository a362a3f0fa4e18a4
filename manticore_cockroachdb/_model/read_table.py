"""Reads the body of CREATE TABLE: columns, constraints, indexes.

One function for each production of the grammar; each leaves the cursor after what it read. What
does not have the expected form raises `NotUnderstoodError`; `reading` turns that into `Unknown`.
https://www.postgresql.org/docs/current/sql-createtable.html
https://www.cockroachlabs.com/docs/stable/create-table
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Final

from .._sql.server_kind import ServerKind
from .._sql.tokens import word_set
from .actions import (
    ColumnDefinition,
)
from .cursor import Cursor, NotUnderstoodError
from .types import read_type
from .values import Column, Constraint, ConstraintKind, Expression, Index, IndexKey, quoted

#: What begins a constraint of the whole table.
TABLE_CONSTRAINT: Final = frozenset(
    ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE")
)


#: What may follow a column's type or default.
_COLUMN_WORDS: Final = word_set(
    "AS CHECK COLLATE COMPRESSION CONSTRAINT CREATE DEFAULT DEFERRABLE FAMILY GENERATED IF "
    "INITIALLY INVISIBLE NOT NULL ON OPTIONS PRIMARY REFERENCES STORAGE STORED UNIQUE USING "
    "VIRTUAL VISIBLE"
)


_ORDER: Final = frozenset(("ASC", "DESC"))


def read_elements(
    body: Cursor, server: ServerKind
) -> tuple[list[ColumnDefinition], list[Constraint], list[Index], bool]:
    """Read the parentheses of CREATE TABLE.

    Returns:
        Its columns, its constraints, its indexes, and whether that is all the table has (no LIKE).
    """
    columns: list[ColumnDefinition] = []
    constraints: list[Constraint] = []
    indexes: list[Index] = []
    complete = True
    for part in body.split():
        word = part.peek()
        if word == "LIKE":
            complete = False
        elif word == "FAMILY" and part.peek(1) != "" and _is_family(part):
            continue
        elif word == "UNIQUE" and part.peek(1) == "INDEX":
            part.word()
            indexes.append(replace(_inline_index(part), unique=True))
        elif word in ("INDEX", "INVERTED", "VECTOR") and _is_inline_index(part):
            indexes.append(_inline_index(part))
        elif _is_constraint(part):
            constraints.append(read_constraint(part))
        else:
            columns.append(read_column(part, server))
    return columns, constraints, indexes, complete


def _is_constraint(part: Cursor) -> bool:
    """Whether this is a constraint of the table; a column may be called `exclude` without quotes."""
    word, after = part.peek(), part.peek(1)
    if word == "EXCLUDE":
        return after in ("USING", "(")
    return word in TABLE_CONSTRAINT or (word == "NOT" and after == "NULL")


def _is_family(part: Cursor) -> bool:
    return part.peek(1) == "(" or part.peek(2) == "("


def _is_inline_index(part: Cursor) -> bool:
    ahead = 2 if part.peek() != "INDEX" and part.peek(1) == "INDEX" else 1
    return "(" in (part.peek(ahead), part.peek(ahead + 1))


def _inline_index(part: Cursor) -> Index:
    method = "btree"
    if part.take("INVERTED"):
        method = "inverted"
    elif part.take("VECTOR"):
        method = "vector"
    part.expect("INDEX")
    part.condition()
    name = None if part.peek() in ("(", "USING") else part.identifier()
    return read_index(part, name, method=method)


def read_index(cursor: Cursor, name: str | None, *, method: str = "btree") -> Index:
    """Read an index from its USING or its keys on."""
    if cursor.take("USING"):
        method = cursor.identifier()
    keys = tuple(_index_key(part) for part in cursor.group().split())
    storing: tuple[str, ...] = ()
    predicate: Expression | None = None
    sharded = nulls_equal = False
    while not cursor.done:
        word = cursor.word()
        if word in ("STORING", "COVERING", "INCLUDE"):
            storing = cursor.group().names()
        elif word == "WHERE":
            predicate = cursor.until(frozenset(("WITH", "VISIBILITY"))).expression()
        elif word == "USING" and cursor.take("HASH"):
            sharded = True
        elif word == "NULLS" and cursor.take("NOT", "DISTINCT"):
            nulls_equal = True
    return Index(
        name,
        keys,
        predicate=predicate,
        storing=storing,
        method=method,
        sharded=sharded,
        nulls_equal=nulls_equal,
    )


def _index_key(part: Cursor) -> IndexKey:
    if part.peek() == "(":
        inner = part.group()
        return IndexKey(None, inner.expression(), part.has("DESC"), _collation(part))
    if part.peek(1) in ("(", ".", "-"):
        expression = part.until(_ORDER | {"COLLATE"})
        return IndexKey(None, expression.expression(), part.has("DESC"), _collation(part))
    return IndexKey(part.identifier(), None, part.has("DESC"), _collation(part))


def _collation(part: Cursor) -> str:
    start = part.at
    if not part.take("COLLATE"):
        return ""
    part.name()
    return part.since(start).on_one_line


def read_column(part: Cursor, server: ServerKind) -> ColumnDefinition:
    """Read a column with everything that is written beside it."""
    name = part.identifier()
    parts: list[tuple[str, str]] = []
    if part.done or part.peek() in ("GENERATED", "AS"):  # no type: a partition's, or computed
        column = Column(name, None)
    else:
        start = part.at
        kind, serial = read_type(part, server)
        column = Column(name, kind, serial=serial, not_null=serial)
        parts.append(("TYPE", part.since(start).on_one_line))
    constraints: list[Constraint] = []
    while not part.done:
        start = part.at
        label = part.identifier() if part.take("CONSTRAINT") else None
        word, said = part.peek(), part.at
        column, constraint = _column_part(part, column, label)
        parts.append((word, part.since(start).on_one_line))
        if constraint is not None:
            written = _of_table(part.since(said), name)
            constraints.append(replace(constraint, written=written))
    return ColumnDefinition(column, tuple(constraints), parts=tuple(parts))


def _of_table(part: Cursor, column: str) -> str:
    """A constraint beside a column as one of the table."""
    start = part.at
    if part.peek() == "CHECK":
        return part.on_one_line
    if part.peek() == "REFERENCES":
        return f"FOREIGN KEY ({quoted(column)}) {part.on_one_line}"
    part.word()
    part.take("KEY")
    part.take("NULLS", "NOT", "DISTINCT")
    part.take("WITHOUT", "INDEX")
    kind = part.since(start).on_one_line
    part.take_any(_ORDER)
    return f"{kind} ({quoted(column)}) {part.on_one_line}".rstrip()


def _column_part(
    part: Cursor, column: Column, label: str | None
) -> tuple[Column, Constraint | None]:
    """One of the things beside a column's type."""
    word = part.word()
    match word:
        case "NOT" if part.take("NULL"):
            part.take("NO", "INHERIT")
            return replace(column, not_null=True), None
        case "NOT" if part.take("VISIBLE") or part.take("DEFERRABLE") or part.take("ENFORCED"):
            return column, None
        case "NULL" | "VISIBLE" | "INVISIBLE" | "DEFERRABLE" | "STORED" | "VIRTUAL":
            stored = column.stored or word == "STORED"
            return replace(column, stored=stored), None
        case "DEFAULT":
            return replace(column, default=read_default(part.until(_COLUMN_WORDS, least=1))), None
        case "ON" if part.take("UPDATE"):
            part.until(_COLUMN_WORDS, least=1)
            return column, None
        case "PRIMARY":
            part.expect("KEY")
            _order_and_options(part)
            sharded = read_hash_clause(part)
            key = Constraint(ConstraintKind.PRIMARY_KEY, label, (column.name,), sharded=sharded)
            return replace(column, not_null=True), key
        case "UNIQUE":
            nulls_equal = part.take("NULLS", "NOT", "DISTINCT")
            part.take("WITHOUT", "INDEX")
            _order_and_options(part)
            return column, Constraint(
                ConstraintKind.UNIQUE,
                label,
                (column.name,),
                sharded=read_hash_clause(part),
                nulls_equal=nulls_equal,
            )
        case "CHECK":
            condition = part.group().expression()
            part.take("NO", "INHERIT")
            return column, Constraint(ConstraintKind.CHECK, label, (), condition)
        case "REFERENCES":
            return column, _references(part, label, (column.name,))
        case "GENERATED" | "AS":
            return _generated(part, column, word), None
        case "COLLATE" | "STORAGE" | "COMPRESSION":
            part.name()
            return column, None
        case "FAMILY" | "CREATE":  # CREATE IF NOT EXISTS FAMILY f
            _skip_family(part)
            return column, None
        case "INITIALLY" | "OPTIONS" | "WITH" | "USING":
            part.until(_COLUMN_WORDS)
            return column, None
        case _:
            raise NotUnderstoodError


def read_default(part: Cursor) -> Expression | None:
    """A default; NULL is none at all."""
    return None if part.peek() == "NULL" and part.peek(1) in ("", ":") else part.expression()


def _order_and_options(part: Cursor) -> None:
    part.take_any(_ORDER)
    if part.take("WITH"):
        part.group()
    if part.take("USING", "INDEX", "TABLESPACE"):
        part.identifier()


def read_hash_clause(part: Cursor) -> bool:
    if not part.take("USING", "HASH"):
        return False
    if part.take("WITH") and part.peek() != "(":
        part.take("BUCKET_COUNT")
        part.take("=")
        part.word()
    part.skip_group()
    return True


def _skip_family(part: Cursor) -> None:
    part.condition()
    part.take("FAMILY")
    if part.at_name() and part.peek() not in _COLUMN_WORDS:
        part.identifier()


def _generated(part: Cursor, column: Column, word: str) -> Column:
    if word == "GENERATED":
        if part.take("BY"):
            part.expect("DEFAULT")
        else:
            part.expect("ALWAYS")
        part.expect("AS")
        if part.take("IDENTITY"):
            part.skip_group()
            return replace(column, identity=True, not_null=True)
    expression = part.group().expression()
    return replace(column, generated=expression, stored=part.take("STORED"))


def read_constraint(part: Cursor) -> Constraint:
    """Read a constraint of the whole table, as CREATE TABLE and ADD CONSTRAINT write it."""
    label = None
    if part.take("CONSTRAINT"):
        part.condition()
        label = part.identifier()
    written = _without_not_valid(part)
    return replace(_table_constraint(part, label), written=written)


def _table_constraint(part: Cursor, label: str | None) -> Constraint:
    word = part.word()
    match word:
        case "PRIMARY":
            part.expect("KEY")
            return _key(part, ConstraintKind.PRIMARY_KEY, label)
        case "UNIQUE":
            nulls_equal = part.take("NULLS", "NOT", "DISTINCT")
            part.take("NULLS", "DISTINCT")
            part.take("WITHOUT", "INDEX")
            return replace(_key(part, ConstraintKind.UNIQUE, label), nulls_equal=nulls_equal)
        case "CHECK":
            condition = part.group().expression()
            return Constraint(
                ConstraintKind.CHECK, label, (), condition, validated=not _not_valid(part)
            )
        case "FOREIGN":
            part.expect("KEY")
            if part.at_name():  # an index's name is read and ignored by CockroachDB
                part.identifier()
            columns = part.group().names()
            part.expect("REFERENCES")
            return _references(part, label, columns)
        case "EXCLUDE":
            part.until(frozenset("("))
            part.group()
            return Constraint(ConstraintKind.EXCLUDE, label)
        case "NOT":
            part.expect("NULL")
            column = part.identifier()
            return Constraint(
                ConstraintKind.NOT_NULL, label, (column,), validated=not _not_valid(part)
            )
        case _:
            raise NotUnderstoodError


def _without_not_valid(part: Cursor) -> str:
    """What is left, without NOT VALID."""
    words = part.words()
    for at, pair in enumerate(pairwise(words), part.at):
        if pair == ("NOT", "VALID"):
            before, after = part.part(part.at, at), part.part(at + 2, part.end)
            return f"{before.on_one_line} {after.on_one_line}".rstrip()
    return part.on_one_line


def _not_valid(part: Cursor) -> bool:
    words = part.words()
    part.at = part.end
    return ("NOT", "VALID") in pairwise(words)


def _key(part: Cursor, kind: ConstraintKind, label: str | None) -> Constraint:
    if part.take("USING", "INDEX"):
        return Constraint(kind, label, index=part.identifier())
    keys = tuple(
        key.column or (key.expression.text if key.expression else "")
        for key in map(_index_key, part.group().split())
    )
    storing: tuple[str, ...] = ()
    predicate: Expression | None = None
    sharded = deferrable = False
    while not part.done:
        word = part.word()
        if word in ("STORING", "COVERING", "INCLUDE"):
            storing = part.group().names()
        elif word == "USING" and part.take("HASH"):
            sharded = True
        elif word == "NOT":
            part.word()
        elif word == "DEFERRABLE":
            deferrable = True
        elif word == "WHERE":
            predicate = part.part(part.at, part.end).expression()
            part.at = part.end
    return Constraint(
        kind,
        label,
        keys,
        predicate,
        sharded=sharded,
        deferrable=deferrable,
        storing=storing,
    )


def _references(part: Cursor, label: str | None, columns: tuple[str, ...]) -> Constraint:
    target = part.name()
    target_columns = part.group().names() if part.peek() == "(" else ()
    validated, deferrable = True, False
    while not part.done:
        if part.take("MATCH"):
            part.word()
        elif part.take("ON", "DELETE") or part.take("ON", "UPDATE"):
            if part.take("SET"):
                part.word()
                part.skip_group()
            elif not part.take("NO", "ACTION"):
                part.word()
        elif part.take("NOT", "VALID"):
            validated = False
        elif part.take("DEFERRABLE"):
            deferrable = True
        elif part.take("NOT", "DEFERRABLE") or part.take("NOT", "ENFORCED"):
            deferrable = False
        elif part.take("INITIALLY"):
            deferrable = part.word() == "DEFERRED" or deferrable
        else:
            break
    return Constraint(
        ConstraintKind.FOREIGN_KEY,
        label,
        columns,
        target=target,
        target_columns=target_columns,
        validated=validated,
        deferrable=deferrable,
    )


def read_options(group: Cursor) -> tuple[str, ...]:
    """Read storage parameters: `ttl_expire_after='1 day'`, in small letters, without spaces."""
    return tuple("".join(part.words()).lower() for part in group.split())
