"""What the tables of a scratch database hold, compared before and after. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

#: Of each table, how many rows and a hash of them.
Rows = dict[str, tuple[int, str]]


def hash_of(rows: Sequence[tuple[object, ...]]) -> str:
    """A hash of rows, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(repr, rows))).encode()).hexdigest()


def lost_rows(before: Rows, after: Rows) -> tuple[str, ...]:
    """Tables that hold other rows than before, in words; missing tables are reported elsewhere."""
    found = []
    for name, (count, digest) in sorted(before.items()):
        if name in after and after[name][1] != digest:
            now = after[name][0]
            what = f"has {now} rows instead of {count}" if now != count else "has other values"
            found.append(f"table {name} {what}")
    return tuple(found)
