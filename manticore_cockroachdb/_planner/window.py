"""One window of a batch: the conditions that cut it out of its table, and how the next is found. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from .._backend.protocol import Command
from .._sql.server_kind import ServerKind
from .._sql.tokens import quoted
from .._sql.windowed import Windowed
from .batch_key import BatchKey

#: A key's values as text; the empty tuple is the place before the first row.
Position = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A range of a key: above `lower`, up to and including `upper`.

    Attributes:
        lower: The last row of the window before; empty for the first window.
        upper: The last row of this window; None for the last window, which is open upwards.
    """

    lower: Position
    upper: Position | None


def written(position: Position) -> str:
    """A position as it is recorded."""
    return json.dumps(position)


def read(text: str) -> Position:
    """A position as it was recorded."""
    return tuple(json.loads(text))


#: Types whose text CockroachDB rounds to 15 digits; as a decimal it has them all.
#: https://www.cockroachlabs.com/docs/stable/session-variables (extra_float_digits)
_FLOATS = ("double precision", "real")


def next_upper(
    batched: Windowed, key: BatchKey, lower: Position, rows: int, kind: ServerKind
) -> Command:
    """Ask for the last row of the next window; no row means that fewer than `rows` are left."""
    columns = [f"batched.{quoted(column)}" for column in key.columns]
    condition, params = _above(columns, key, lower, 1)
    where = f" WHERE {condition}" if condition else ""
    # Only the row that is found is written as text, not those that are passed over.
    names = [f"k{number}" for number in range(1, len(columns) + 1)]
    found = ", ".join(f"{column} AS {name}" for column, name in zip(columns, names, strict=True))
    is_rounded = [kind is ServerKind.COCKROACHDB and each in _FLOATS for each in key.types]
    values = ", ".join(
        f"{name}{'::DECIMAL' * rounded}::TEXT"
        for name, rounded in zip(names, is_rounded, strict=True)
    )
    return Command(
        f"SELECT {values} FROM (SELECT {found} FROM {batched.table} AS batched{where} "
        f"ORDER BY {', '.join(columns)} LIMIT 1 OFFSET {rows - 1:d}) AS last_row",
        params,
    )


def narrowed(batched: Windowed, key: BatchKey, window: Window) -> Command:
    """The statement for the rows of one window."""
    columns = [f"{batched.reference}.{quoted(column)}" for column in key.columns]
    lower, params = _above(columns, key, window.lower, 1)
    conditions = [lower] if lower else []
    if window.upper is not None:
        values = _values(key, len(params) + 1)
        conditions.append(f"({', '.join(columns)}) <= ({values})")
        params = (*params, *window.upper)
    if not conditions:
        return Command(batched.text)
    return Command(batched.narrowed(" AND ".join(conditions)), params)


def _above(
    columns: Sequence[str], key: BatchKey, lower: Position, first: int
) -> tuple[str, tuple[str, ...]]:
    if not lower:
        return "", ()
    return f"({', '.join(columns)}) > ({_values(key, first)})", lower


def _values(key: BatchKey, first: int) -> str:
    return ", ".join(f"${number}::{name}" for number, name in enumerate(key.types, first))
