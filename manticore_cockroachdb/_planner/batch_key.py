"""Which key a batch follows. Pure: from what the catalogs show of the table's indexes.

Each window is a range of the key, so no row may be missing from the key or be in it twice: the key is a
unique index over columns that cannot be NULL, without a condition and without expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .._backend.protocol import Result
from .._sql.server_kind import ServerKind

_OTHER_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "p": "a partitioned table: name one of its partitions",
    "f": "a foreign table",
}


#: CockroachDB compares intervals by months, days and seconds, and keeps them in an index by their length:
#: v22.1 says that '-86 days +20:00' is more than '-90 days +122:00', which comes after it in the index. A
#: window that is found by one of the two and read by the other would miss rows.
_INTERVAL = "interval"


class NoKey(ValueError):
    """The table has no key that a batch can follow; the message says why and what to write."""


@dataclass(frozen=True, slots=True)
class Index:
    """A valid unique index, as the catalogs show it.

    Attributes:
        primary: Whether it is the primary key.
        columns: Its columns, in order.
        types: Their types, as the server writes them.
        nullable: Those of its columns that may be NULL.
        whole: Whether it covers every row by plain columns: no condition, no expression.
    """

    primary: bool
    columns: tuple[str, ...]
    types: tuple[str, ...]
    nullable: frozenset[str] = frozenset()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class BatchKey:
    """The key that a batch follows.

    Attributes:
        columns: Its columns, in the order of the index.
        types: Their types, as the server writes them.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]


def read_indexes(table: str, indexes: Result, columns: Result) -> tuple[Index, ...]:
    """What `introspection.unique_indexes` answered.

    Raises:
        NoKey: It is not an ordinary table.
    """
    rows = [dict(zip(indexes.columns, row, strict=True)) for row in indexes.rows]
    kind = rows[0]["kind"] if rows else "r"
    if kind != "r":
        what = _OTHER_KINDS.get(kind, "not an ordinary table")
        raise NoKey(f"{table} is {what}, and a batch follows the key of an ordinary table")
    known = {number: rest for number, *rest in columns.rows}
    return tuple(_index(row, known) for row in rows if row["key_columns"] is not None)


def _index(row: dict[str, Any], known: dict[int, list[Any]]) -> Index:
    # Servers that do not tell how many columns are part of the key have no others in it.
    numbers = [int(number) for number in str(row["key_columns"]).split()]
    numbers = numbers[: row.get("indnkeyatts", len(numbers))]
    is_plain = all(number in known for number in numbers)
    whole = bool(row["whole"]) and is_plain
    found = [known[number] for number in numbers] if is_plain else []
    return Index(
        primary=row["indisprimary"],
        columns=tuple(name for name, _, _ in found),
        types=tuple(kind for _, kind, _ in found),
        nullable=frozenset(name for name, _, not_null in found if not not_null),
        whole=whole,
    )


def choose_key(
    table: str,
    indexes: Sequence[Index],
    wanted: Iterable[str],
    assigned: frozenset[str],
    kind: ServerKind,
) -> BatchKey:
    """Choose the key: the one that is asked for, or the primary key.

    Args:
        table: The table, as the script writes it.
        indexes: Its valid unique indexes.
        wanted: The columns that the script asks for, as written; empty means the primary key.
        assigned: The columns that the statement writes.
        kind: The server.

    Raises:
        NoKey: There is none, or it does not do.
    """
    names = tuple(column.lower() if '"' not in column else column.strip('"') for column in wanted)
    if names:
        same = [index for index in indexes if index.columns == names]
        found = next((index for index in same if index.whole), next(iter(same), None))
        if found is None:
            raise NoKey(
                f"key={','.join(names)}: {table} has no unique index over exactly these columns, in this "
                f"order. It has {_shown(indexes)}."
            )
    else:
        found = next((index for index in indexes if index.primary), None)
        if found is None:
            raise NoKey(
                f"{table} has no primary key to follow. Name the columns of a unique index with key=. It "
                f"has {_shown(indexes)}."
            )
    if not found.whole:
        raise NoKey(
            f"the index over {', '.join(found.columns)} covers a part of the rows only; name a unique "
            "index of all rows with key="
        )
    if found.nullable:
        raise NoKey(
            f"{', '.join(sorted(found.nullable))} may be NULL, and such rows belong to no window; name "
            "another key, or set the column NOT NULL first"
        )
    written = assigned.intersection(found.columns)
    if written:
        raise NoKey(
            f"the statement writes {', '.join(sorted(written))}, a column of the key: rows would move "
            "between windows. Name another key with key="
        )
    if kind is ServerKind.COCKROACHDB:
        _check_order(found)
    return BatchKey(found.columns, found.types)


def _check_order(index: Index) -> None:
    intervals = (
        column
        for column, written in zip(index.columns, index.types, strict=True)
        if written.lower().startswith(_INTERVAL)
    )
    column = next(intervals, None)
    if column is not None:
        raise NoKey(
            f"{column} is an INTERVAL, which CockroachDB compares otherwise than it sorts: windows would "
            "miss rows. Name another key with key="
        )


def _shown(indexes: Sequence[Index]) -> str:
    listed = "; ".join(f"({', '.join(index.columns)})" for index in indexes if index.whole)
    return f"unique indexes over {listed}" if listed else "no unique index"
