"""The rows that scripts insert: what is asked for them, and the statements that insert them again. Pure.

Values are read as text and written as literals: a column's own type reads them back. What they look like
depends on settings, so those are always the same. Rows are in the order of their values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from .._backend.protocol import Command
from .._printing.cockroachdb import qualified
from .._sql.server_kind import ServerKind

#: Rows that one INSERT has, at most.
_MOST_AT_ONCE = 100
#: Types whose values need no quotes.
_PLAIN = frozenset({"smallint", "integer", "bigint", "boolean"})
_PLAIN_VALUE = re.compile(r"-?\d+|true|false")
_NUMBER = re.compile(r"-?\d+")
_SPECIAL = re.compile(r"[\x00-\x1f\x7f\\]")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column for which each row has its own value.

    Attributes:
        name: Its name, quoted where SQL needs that.
        is_plain: Whether its values are written without quotes.
        is_always: Whether the server would rather generate its values.
    """

    name: str
    is_plain: bool = False
    is_always: bool = False


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows of one table.

    Attributes:
        name: The table's name, as a printing has it.
        columns: Its columns.
        rows: The values of each row, as text, in order.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | None, ...], ...]

    def statements(self) -> Iterator[str]:
        """The statements that insert the rows."""
        names = ", ".join(column.name for column in self.columns)
        over = (
            " OVERRIDING SYSTEM VALUE" if any(column.is_always for column in self.columns) else ""
        )
        for start in range(0, len(self.rows), _MOST_AT_ONCE):
            lines = (
                f"({', '.join(map(_literal, row, self.columns))})"
                for row in self.rows[start : start + _MOST_AT_ONCE]
            )
            values = ",\n\t".join(lines)
            yield f"INSERT INTO {self.name} ({names}){over} VALUES\n\t{values}"


@dataclass(frozen=True, slots=True)
class SequenceValue:
    """Where a sequence that was used stands.

    Attributes:
        name: Its name, quoted where SQL needs that.
        last: The last value, as text.
        is_called: Whether that was given out.
    """

    name: str
    last: str
    is_called: bool

    @property
    def statement(self) -> str:
        """The statement that brings it there."""
        name = sql.Literal(self.name).as_string(None)
        return f"SELECT setval({name}, {self.last}, {'true' if self.is_called else 'false'})"


@dataclass(frozen=True, slots=True)
class Contents:
    """What tables hold.

    Attributes:
        tables: The tables that hold rows, by name.
        sequences: The sequences that were used, by name.
    """

    tables: tuple[TableRows, ...] = ()
    sequences: tuple[SequenceValue, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(len(table.rows) for table in self.tables)


def differences(expected: Contents, found: Contents) -> list[str]:
    """What differs, in words."""
    ours = {table.name: table.rows for table in expected.tables}
    theirs = {table.name: table.rows for table in found.tables}
    words = []
    for name in sorted({*ours, *theirs}):
        wanted, there = ours.get(name, ()), theirs.get(name, ())
        if len(wanted) != len(there):
            words.append(f"table {name} has {len(there)} rows instead of {len(wanted)}")
        elif wanted != there:
            words.append(f"table {name} has other values")
    before = {each.name: each for each in expected.sequences}
    after = {each.name: each for each in found.sequences}
    words += (
        f"sequence {name} has another position"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )
    return words


# Questions.

_POSTGRESQL_SETTINGS = (
    "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL search_path = ''",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 1",
    # Rows that a policy hides would be lost: reading them is an error instead.
    "SET LOCAL row_security = off",
)
_COCKROACHDB_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET bytea_output = 'hex'",
    "SET extra_float_digits = 3",
)

_POSTGRESQL_COLUMNS = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(a.attname),
    format_type(a.atttypid, NULL), a.attidentity = 'a'
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, a.attnum
"""
_POSTGRESQL_SEQUENCES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), s.seqstart::TEXT, s.seqincrement::TEXT
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.deptype = 'e'
    AND x.classid = 'pg_class'::regclass AND x.objid = c.oid)
ORDER BY 1
"""
_COCKROACHDB_COLUMNS = (
    "SELECT table_schema::TEXT, table_name::TEXT, column_name::TEXT, data_type::TEXT, "
    "coalesce(identity_generation, '') ILIKE '%always%' FROM information_schema.columns "
    "WHERE table_catalog = current_database() AND is_hidden = 'NO' "
    "AND coalesce(generation_expression, '') = '' "
    "AND table_schema NOT IN ('crdb_internal', 'information_schema', 'pg_catalog', 'pg_extension') "
    "ORDER BY table_schema, table_name, ordinal_position"
)
_COCKROACHDB_SEQUENCES = (
    "SELECT sequence_schema::TEXT, sequence_name::TEXT, start_value::TEXT, increment::TEXT "
    "FROM information_schema.sequences WHERE sequence_catalog = current_database() ORDER BY 1, 2"
)


def settings(kind: ServerKind) -> tuple[Command, ...]:
    """What makes values look the same at each reading; on PostgreSQL they are one transaction."""
    texts = _POSTGRESQL_SETTINGS if kind is ServerKind.POSTGRESQL else _COCKROACHDB_SETTINGS
    return tuple(map(Command, texts))


def columns_question(kind: ServerKind) -> Command:
    """The columns of every table; see `columns_of`."""
    return Command(_POSTGRESQL_COLUMNS if kind is ServerKind.POSTGRESQL else _COCKROACHDB_COLUMNS)


def unreadable(
    kind: ServerKind, counts: Mapping[str, int], columns: Mapping[str, Sequence[Column]]
) -> str | None:
    """Why rows could not be inserted again, in words; None if they can."""
    for name, count in counts.items():
        if count and name not in columns:
            return f"table {name} has {count} rows and no column that could be read"
        # CockroachDB has no OVERRIDING SYSTEM VALUE.
        if count and kind is ServerKind.COCKROACHDB:
            for column in columns[name]:
                if column.is_always:
                    return (
                        f"table {name} has rows, and CockroachDB accepts no values for its column "
                        f"{column.name}, which is GENERATED ALWAYS AS IDENTITY"
                    )
    return None


def columns_of(
    kind: ServerKind, rows: Iterable[Sequence[object]], tables: Iterable[str]
) -> dict[str, list[Column]]:
    """The columns of some tables, from what the server answered."""
    wanted = set(tables)
    found: dict[str, list[Column]] = {}
    for row in rows:
        if kind is ServerKind.POSTGRESQL:
            table, name, type_name, always = row
        else:
            schema, relation, bare, type_name, always = row
            table, name = (
                qualified(str(schema), str(relation)),
                sql.Identifier(str(bare)).as_string(None),
            )
        if table in wanted:
            column = Column(str(name), type_name in _PLAIN, bool(always))
            found.setdefault(str(table), []).append(column)
    return found


def sequences_question(kind: ServerKind) -> Command:
    """Every sequence, its start and its increment; see `sequences_of`."""
    return Command(
        _POSTGRESQL_SEQUENCES if kind is ServerKind.POSTGRESQL else _COCKROACHDB_SEQUENCES
    )


def sequences_of(kind: ServerKind, rows: Iterable[Sequence[object]]) -> dict[str, tuple[int, int]]:
    """Start and increment of each sequence, from what the server answered."""
    found = {}
    for row in rows:
        *name, start, increment = map(str, row)
        whole = name[0] if kind is ServerKind.POSTGRESQL else qualified(*name)
        found[whole] = (int(start), int(increment))
    return found


def position_question(sequence: str) -> Command:
    """Where a sequence stands; see `position`."""
    return Command(f"SELECT last_value::TEXT, is_called FROM {sequence}")


def position(name: str, start: int, increment: int, row: Sequence[object]) -> SequenceValue | None:
    """Where a sequence stands, or None if nobody has used it.

    CockroachDB before v23 says that a new sequence was called at one step before its start.
    """
    last, called = str(row[0]), bool(row[1])
    if int(last) == start - increment or (int(last) == start and not called):
        return None
    return SequenceValue(name, last, called)


def _only(kind: ServerKind) -> str:
    """Rows of tables that inherit from a table are theirs."""
    return "ONLY " if kind is ServerKind.POSTGRESQL else ""


def count_question(kind: ServerKind, table: str) -> Command:
    """How many rows a table has."""
    return Command(f"SELECT count(*) FROM {_only(kind)}{table}")


def rows_question(kind: ServerKind, table: str, columns: Sequence[Column]) -> Command:
    """The rows of a table, each value as text."""
    values = ", ".join(f"{column.name}::TEXT" for column in columns)
    return Command(f"SELECT {values} FROM {_only(kind)}{table}")


def in_order(rows: Iterable[Sequence[object]]) -> tuple[tuple[str | None, ...], ...]:
    """Rows by their values; whole numbers by their size."""
    texts = (tuple(None if each is None else str(each) for each in row) for row in rows)
    return tuple(sorted(texts, key=lambda row: tuple(map(_rank, row))))


def _rank(value: str | None) -> tuple[int, int, str]:
    if value is None:
        return (2, 0, "")
    return (0, int(value), "") if _NUMBER.fullmatch(value) else (1, 0, value)


def _literal(value: str | None, column: Column) -> str:
    if value is None:
        return "NULL"
    if column.is_plain and _PLAIN_VALUE.fullmatch(value):
        return value
    doubled = value.replace("'", "''")
    if not _SPECIAL.search(value):
        return f"'{doubled}'"
    # Line ends and trailing spaces must survive editors and version control.
    return "E'" + _SPECIAL.sub(_escaped, doubled) + "'"


def _escaped(found: re.Match[str]) -> str:
    char = found.group()
    return _ESCAPES.get(char) or f"\\x{ord(char):02x}"


def most(counts: Mapping[str, int]) -> str:
    """The tables with the most rows, in words."""
    largest = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:3]
    return ", ".join(f"{name}: {count}" for name, count in largest)
