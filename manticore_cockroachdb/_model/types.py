"""The servers' data types: many spellings, one name each.

The names are those of PostgreSQL's `format_type`. CockroachDB's own words are read as the
PostgreSQL types they stand for there: INT is eight bytes wide on CockroachDB and four on PostgreSQL.
https://www.postgresql.org/docs/current/datatype.html
https://www.cockroachlabs.com/docs/stable/data-types
"""

from __future__ import annotations

from typing import Final

from .._sql.server_kind import ServerKind
from .._sql.tokens import word_set
from .cursor import Cursor, NotUnderstoodError
from .values import Type

_SPELLINGS: Final = {
    "bool": "boolean",
    "bytes": "bytea",
    "blob": "bytea",
    "char": "character",
    "bpchar": "character",
    "nchar": "character",
    "national character": "character",
    "national char": "character",
    "character": "character",
    "varchar": "character varying",
    "nvarchar": "character varying",
    "char varying": "character varying",
    "national character varying": "character varying",
    "national char varying": "character varying",
    "string": "text",
    "dec": "numeric",
    "decimal": "numeric",
    "float": "double precision",
    "float4": "real",
    "float8": "double precision",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "int64": "bigint",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "varbit": "bit varying",
    "json": "json",
}
_SERIALS: Final = {
    "smallserial": "smallint",
    "serial2": "smallint",
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
}
_INTERVAL_FIELDS: Final = frozenset(("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"))
#: What both servers know without a script making it; an unknown name may be an extension's.
BUILT_IN: Final = frozenset(_SPELLINGS.values()) | word_set(
    "bigint bit boolean box bytea cidr circle citext date daterange geography geometry hstore "
    "inet int4range int8range integer interval json jsonb jsonpath line lseg ltree macaddr "
    "macaddr8 money name numeric numrange oid path point polygon real regclass regtype "
    "smallint text tsquery tsrange tstzrange tsvector txid_snapshot uuid vector xml"
)


def read_type(cursor: Cursor, server: ServerKind) -> tuple[Type, bool]:
    """Read a type where a column's or a cast's begins; the cursor is then after it.

    Returns:
        The type, and whether it was one of the SERIAL types.

    Raises:
        NotUnderstoodError: No type comes next.
    """
    if cursor.peek() == "SETOF":
        raise NotUnderstoodError
    quoted = cursor.peek().startswith('"')
    name = cursor.name()
    base, schema = name.name, name.schema
    if schema == "pg_catalog":
        schema = None
    if schema is None and not quoted:
        base = _long_name(cursor, base)
    written = base
    serial = base in _SERIALS and schema is None
    modifier = _modifier(cursor)
    if schema is None and not quoted:
        base = _zoned(cursor, base)
        base = _canonical(base, server)
        if base == "character" and not modifier:
            modifier = ("1",)
        if base == "double precision" and modifier:  # float(24)
            base = "real" if int(modifier[0]) <= 24 else base
            modifier = ()
        if base == "bit" and not modifier:
            modifier = ("1",)
        if base == "numeric" and len(modifier) == 1:
            modifier = (*modifier, "0")
        if base == "interval":
            modifier = _interval(cursor) or modifier
    array = _array(cursor)
    return Type(base, modifier, array, schema, written), serial


def _long_name(cursor: Cursor, base: str) -> str:
    """The further words of `double precision`, `character varying`, `national char varying`."""
    if base == "double" and cursor.take("PRECISION"):
        return "double precision"
    if base == "national":
        base += " " + cursor.identifier()
    if base in ("character", "char", "bit", "national character", "national char") and cursor.take(
        "VARYING"
    ):
        return base + " varying"
    return base


def _modifier(cursor: Cursor) -> tuple[str, ...]:
    if cursor.peek() != "(":
        return ()
    return tuple(part.text.replace(" ", "") for part in cursor.group().split())


def _zoned(cursor: Cursor, base: str) -> str:
    if base not in ("time", "timestamp"):
        return base
    if cursor.take("WITH", "TIME", "ZONE"):
        return f"{base} with time zone"
    cursor.take("WITHOUT", "TIME", "ZONE")
    return base


def _canonical(base: str, server: ServerKind) -> str:
    if base in ("int", "integer"):
        return "bigint" if server is ServerKind.COCKROACHDB else "integer"
    if base in _SERIALS:
        # https://www.cockroachlabs.com/docs/stable/serial: every SERIAL is an INT8 by default.
        return "bigint" if server is ServerKind.COCKROACHDB else _SERIALS[base]
    if base == "json" and server is ServerKind.COCKROACHDB:
        return "jsonb"
    return _SPELLINGS.get(base, base)


def _interval(cursor: Cursor) -> tuple[str, ...]:
    """The fields of `interval day to second(3)`; only the precision is kept."""
    precision: tuple[str, ...] = ()
    while cursor.take_any(_INTERVAL_FIELDS):
        precision = _modifier(cursor) or precision
        cursor.take("TO")
    return precision


def _array(cursor: Cursor) -> bool:
    found = False
    if cursor.take("ARRAY"):
        found = True
    while cursor.take("["):
        found = True
        while cursor.peek() not in ("]", ""):
            cursor.word()
        cursor.expect("]")
    return found
