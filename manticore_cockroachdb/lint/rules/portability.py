"""What one of the two servers does not have, or reads otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from ..._model.actions import (
    AddColumn,
    AddConstraint,
    AlterPrimaryKey,
    ColumnDefinition,
    SetLocality,
    SetType,
)
from ..._model.commands import (
    AlterTable,
    Command,
    CreateFunction,
    CreateIndex,
    CreateTable,
    CreateTrigger,
    CreateType,
    DropIndex,
    ImportInto,
    Opaque,
    Understood,
    Unknown,
    Write,
)
from ..._model.values import Column, Constraint, ConstraintKind, Index, Type, TypeKind, quoted
from ..._sql.lexer import TokenKind, tokens
from ..._sql.tokens import head, upper
from ..finding import Severity
from ..rule import ON_CRDB, ON_PG, PG, Example, Remark, Step, rule

_UNSUPPORTED = "https://www.cockroachlabs.com/docs/stable/postgresql-compatibility"
_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT, price NUMERIC);"

#: Types of PostgreSQL that CockroachDB does not have.
_PG_TYPES: Final = frozenset(
    (
        "xml",
        "money",
        "macaddr",
        "macaddr8",
        "cidr",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "hstore",
        "int4range",
        "int8range",
        "numrange",
        "tsrange",
        "tstzrange",
        "daterange",
        "int4multirange",
        "int8multirange",
        "nummultirange",
        "tsmultirange",
        "tstzmultirange",
        "datemultirange",
    )
)
#: Types that CockroachDB has since the version named.
_NEWER_TYPES: Final = {"tsvector": (23, 1), "tsquery": (23, 1), "vector": (24, 2), "ltree": (25, 4)}
#: Spellings of types that PostgreSQL does not know.
_CRDB_TYPES: Final = frozenset(("string", "bytes", "blob", "int64", "nvarchar"))
_CRDB_STATEMENTS: Final = frozenset(
    ("BACKUP", "RESTORE", "EXPORT", "SHOW CREATE", "PAUSE", "RESUME")
)


@rule(
    "not-on-cockroachdb",
    Severity.ERROR,
    ON_CRDB,
    _UNSUPPORTED,
    Example(
        "CREATE DOMAIN stars AS INT CHECK (VALUE BETWEEN 1 AND 5);",
        fixed="ALTER TABLE rides ADD COLUMN stars INT8;",
        given=_RIDES,
    ),
    on=(AlterTable, CreateTable, CreateType, CreateTrigger, CreateFunction, Opaque, Understood),
)
def not_on_cockroachdb(step: Step) -> Iterator[Remark]:
    """CockroachDB speaks PostgreSQL's SQL, but not all of it.

    It has no domains, range types, exclusion constraints, deferrable constraints, foreign
    tables, rules, table inheritance, privileges of single columns, XML or money; triggers only for
    each row, BEFORE and AFTER, without UPDATE OF.
    """
    for what in _lacking_on_cockroachdb(step):
        yield Remark(f"CockroachDB has no {what}.")


def _lacking_on_cockroachdb(step: Step) -> Iterator[str]:
    command, version = step.read.command, step.target.version
    match command:
        case CreateType(kind=TypeKind.DOMAIN):
            yield "CREATE DOMAIN"
        case CreateType(kind=TypeKind.OTHER):
            yield "range types and base types"
        case CreateType(kind=TypeKind.COMPOSITE) if version < (23, 1):
            yield "composite types before v23.1"
        case CreateTrigger():
            replaces = head(step.text, 3) == ("CREATE", "OR", "REPLACE")
            yield from _lacking_trigger(command, version, replaces=replaces)
        case CreateFunction() if version < (22, 2):
            yield "functions before v22.2"
        case Opaque(words="DO") if version < (24, 1):
            yield "DO before v24.1"
        case Understood(words="CREATE USER") if _USER_MAPPING.match(step.text):
            yield "CREATE USER MAPPING"
        case Understood(words="GRANT" | "REVOKE") if _OF_COLUMNS.match(step.text):
            yield "privileges of single columns"
        case Understood(words=words) if words in _PG_OBJECTS:
            yield words
        case CreateTable(parent=parent) if parent is not None:
            yield "INHERITS and PARTITION OF"
        case _:
            pass
    yield from _lacking_in_columns(command, version)


def _lacking_in_columns(command: Command, version: tuple[int, ...]) -> Iterator[str]:
    """Types and constraints that CockroachDB does not have."""
    for column in _columns(command):
        if column.type is not None:
            if column.type.name in _PG_TYPES:
                yield f"type {column.type.name}"
            newer = _NEWER_TYPES.get(column.type.name)
            if newer is not None and version < newer:
                yield f"type {column.type.name} before v{newer[0]}.{newer[1]}"
    for one in _constraints(command):
        if one.kind is ConstraintKind.EXCLUDE:
            yield "EXCLUDE constraints"
        elif one.deferrable:
            yield "deferrable constraints"


_USER_MAPPING: Final = re.compile(r"\s*CREATE\s+USER\s+MAPPING\b", re.IGNORECASE)
#: GRANT SELECT (city) ON …: the columns come before ON.
_OF_COLUMNS: Final = re.compile(
    r"\s*(?:GRANT|REVOKE)\b[^()'\"]*\b(?:SELECT|INSERT|UPDATE|REFERENCES|PRIVILEGES|ALL)\s*\(",
    re.IGNORECASE,
)
_PG_OBJECTS: Final = frozenset(
    (
        "CREATE RULE",
        "CREATE FOREIGN",
        "CREATE SERVER",
        "CREATE COLLATION",
        "CREATE CONVERSION",
        "CREATE OPERATOR",
        "CREATE AGGREGATE",
        "CREATE CAST",
        "CREATE LANGUAGE",
        "CREATE PUBLICATION",
        "CREATE SUBSCRIPTION",
        "CREATE TEXT",
        "CREATE EVENT",
        "CREATE ACCESS",
        "CREATE TABLESPACE",
        "CREATE TRANSFORM",
    )
)


def _lacking_trigger(
    command: CreateTrigger, version: tuple[int, ...], *, replaces: bool
) -> Iterator[str]:
    words = command.words
    if version < (24, 3):
        yield "triggers before v24.3"
    elif version < (26, 2) and replaces:
        yield "OR REPLACE of triggers before v26.2; drop it first with IF EXISTS"
    elif command.timing == "INSTEAD OF":
        yield "INSTEAD OF triggers"
    elif "STATEMENT" in words or "ROW" not in words:
        yield "statement-level triggers; write FOR EACH ROW"
    elif ("UPDATE", "OF") in pairwise(words):
        yield "UPDATE OF in triggers"


def _definitions(command: Command) -> Iterable[ColumnDefinition]:
    if isinstance(command, CreateTable):
        return command.columns
    if isinstance(command, AlterTable):
        return [one.definition for one in command.actions if isinstance(one, AddColumn)]
    return ()


def _columns(command: Command) -> list[Column]:
    """The columns a statement makes, and those it gives another type."""
    found = [one.column for one in _definitions(command)]
    if isinstance(command, AlterTable):
        found += [
            Column(one.column, one.type) for one in command.actions if isinstance(one, SetType)
        ]
    return found


def _constraints(command: Command) -> list[Constraint]:
    found = [one for definition in _definitions(command) for one in definition.constraints]
    if isinstance(command, CreateTable):
        found += command.constraints
    if isinstance(command, AlterTable):
        found += [one.constraint for one in command.actions if isinstance(one, AddConstraint)]
    return found


@rule(
    "not-on-postgresql",
    Severity.ERROR,
    ON_PG,
    "https://www.postgresql.org/docs/current/sql-commands.html",
    Example(
        "CREATE TABLE trips (id BIGINT PRIMARY KEY, city STRING, INDEX (city));",
        fixed="CREATE TABLE trips (id BIGINT PRIMARY KEY, city TEXT);",
    ),
    on=(
        AlterTable,
        CreateTable,
        CreateIndex,
        DropIndex,
        ImportInto,
        Write,
        Understood,
        Unknown,
    ),
)
def not_on_postgresql(step: Step) -> Iterator[Remark]:
    """PostgreSQL does not know CockroachDB's own words.

    STRING and BYTES, indexes inside CREATE TABLE, STORING, USING HASH of primary keys, column
    families, LOCALITY, UPSERT, `table@index`, ALTER PRIMARY KEY, row-level TTL.
    """
    for what in dict.fromkeys(_lacking_on_postgresql(step)):
        yield Remark(f"PostgreSQL has no {what}.")


def _lacking_on_postgresql(step: Step) -> Iterator[str]:
    command = step.read.command
    match command:
        case CreateTable():
            if command.indexes:
                yield "indexes inside CREATE TABLE; write CREATE INDEX"
            if any(option.startswith("ttl") for option in command.options):
                yield "row-level TTL"
            yield from _words_of_cockroachdb(step.text)
        case CreateIndex(index=Index(method="inverted" | "vector" as method)):
            yield f"{method.upper()} INDEX"
        case CreateIndex(index=Index(sharded=True)):
            yield "hash-sharded indexes"
        case CreateIndex() if command.index.storing and "INCLUDE" not in step.text.upper():
            yield "STORING; write INCLUDE"
        case DropIndex() if any(table is not None for table, _ in command.names):
            yield "table@index; write the index's name"
        case ImportInto():
            yield "IMPORT INTO; write COPY"
        case Write(verb="UPSERT"):
            yield "UPSERT; write INSERT … ON CONFLICT"
        case Understood(words=words) if words in _CRDB_STATEMENTS:
            yield words
        case _:
            pass
    yield from _crdb_in_columns(command)


def _crdb_in_columns(command: Command) -> Iterator[str]:
    """CockroachDB's own types, keys and actions of ALTER TABLE."""
    for action in command.actions if isinstance(command, AlterTable) else ():
        if isinstance(action, AlterPrimaryKey):
            yield "ALTER PRIMARY KEY; write DROP CONSTRAINT and ADD CONSTRAINT"
        elif isinstance(action, SetLocality):
            yield "SET LOCALITY"
    for column in _columns(command):
        if column.type is not None and column.type.written in _CRDB_TYPES:
            yield f"type {column.type.written.upper()}; write {column.type}"
        if column.default is not None and "unique_rowid" in column.default.calls:
            yield "unique_rowid()"
    if any(one.sharded for one in _constraints(command)):
        yield "hash-sharded keys"


def _words_of_cockroachdb(text: str) -> Iterator[str]:
    """FAMILY and LOCALITY where they can only be CockroachDB's."""
    capitals = text.upper()
    if "FAMILY" not in capitals and "LOCALITY" not in capitals:
        return
    depth = 0
    before = ""
    for token in tokens(text):
        if token.kind is TokenKind.WORD:
            word = upper(token)
            if word == "FAMILY" and depth == 1 and before == ",":
                yield "column families"
            elif word == "LOCALITY" and depth == 0:
                yield "LOCALITY"
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        before = token.text


@rule(
    "integer-width",
    Severity.WARNING,
    ON_CRDB,
    "https://www.cockroachlabs.com/docs/stable/int",
    Example(
        "CREATE TABLE trips (id INT8 PRIMARY KEY, seats INT);",
        server="cockroachdb,postgresql",
        fixed="CREATE TABLE trips (id INT8 PRIMARY KEY, seats INT4);",
    ),
    on=(AlterTable, CreateTable),
)
def integer_width(step: Step) -> Iterator[Remark]:
    """INT and INTEGER have 8 bytes on CockroachDB and 4 on PostgreSQL.

    Reported where scripts are checked for both servers. Write INT8 or INT4.
    """
    if not any(target.kind is PG for target in step.script.targets):
        return
    for column in _columns(step.read.command):
        if column.type is not None and column.type.written in ("int", "integer"):
            yield Remark(
                f"The column {quoted(column.name)} is {column.type.written.upper()}: 8 bytes on "
                "CockroachDB, 4 on PostgreSQL. Write INT8 or INT4.",
            )


@rule(
    "short-key",
    Severity.NOTE,
    ON_PG,
    "https://www.postgresql.org/docs/current/datatype-numeric.html#DATATYPE-INT",
    Example(
        "CREATE TABLE trips (id SERIAL PRIMARY KEY);",
        fixed="CREATE TABLE trips (id BIGSERIAL PRIMARY KEY);",
    ),
    on=(CreateTable,),
)
def short_key(step: Step) -> Iterator[Remark]:
    """A numbered key of 4 bytes ends at 2,147,483,647; then every INSERT fails.

    Changing its type later writes the whole table again. BIGINT costs 4 bytes a row.
    """
    command = step.read.command
    if not isinstance(command, CreateTable) or command.temporary:
        return
    keys = {
        one.columns[0]
        for one in _constraints(command)
        if one.kind is ConstraintKind.PRIMARY_KEY and len(one.columns) == 1
    }
    for column in _columns(command):
        short = column.type in (Type("integer"), Type("smallint"))
        if column.name in keys and short and (column.serial or column.identity):
            yield Remark(
                f"The numbers of {quoted(column.name)} end at "
                f"{'2,147,483,647' if column.type == Type('integer') else '32,767'}; use a BIGINT.",
            )


@rule(
    "json-column",
    Severity.WARNING,
    ON_PG,
    "https://www.postgresql.org/docs/current/datatype-json.html",
    Example(
        "CREATE TABLE trips (id BIGINT PRIMARY KEY, extra JSON);",
        fixed="CREATE TABLE trips (id BIGINT PRIMARY KEY, extra JSONB);",
    ),
    on=(AlterTable, CreateTable),
)
def json_column(step: Step) -> Iterator[Remark]:
    """JSON has no equality: SELECT DISTINCT, UNION and GROUP BY over the table fail. JSONB has
    it.
    """
    for column in _columns(step.read.command):
        if column.type is not None and column.type.name == "json" and not column.type.array:
            yield Remark(
                f"The column {quoted(column.name)} is JSON, which has no equality: SELECT "
                "DISTINCT fails. Use JSONB.",
            )
