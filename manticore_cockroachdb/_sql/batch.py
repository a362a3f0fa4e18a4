"""The options of a statement that runs in batches: `-- manticore: batch=5000 key=id pause=50ms`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .duration import read_duration

#: A window is sized so that its transaction takes about this long, in seconds, unless asked otherwise.
DEFAULT_TARGET: Final = 0.5
_KNOWN: Final = (
    "known: batch=ROWS, key=COLUMN[,COLUMN…], pause=50ms, target=500ms, stop_if=SELECT …"
)


class BadBatch(ValueError):
    """Options of a batch that cannot be read; the message says why and what to write."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How a statement runs in batches.

    Attributes:
        rows: Rows in one window at most.
        key: The columns of the key to follow; empty means the table's primary key.
        pause: Seconds between two windows.
        target: Seconds that one window should take.
        stop_if: A SELECT; while its first value is true, no window is started. None means never.
    """

    rows: int
    key: tuple[str, ...] = ()
    pause: float = 0.0
    target: float = DEFAULT_TARGET
    stop_if: str | None = None


def read_batch(text: str) -> Batch:
    """Read the options of a batch.

    Args:
        text: What follows `-- manticore:`.

    Raises:
        BadBatch: An option is unknown or has no valid value.
    """
    text, _, stop_if = text.partition("stop_if=")
    values: dict[str, str] = {}
    for option in text.split():
        name, separator, value = option.partition("=")
        if name.lower() == "lock_timeout":
            raise BadBatch("lock_timeout= must be on a separate line")
        if not separator or name.lower() not in ("batch", "key", "pause", "target"):
            raise BadBatch(f"unknown option {option!r}; {_KNOWN}")
        if values.setdefault(name.lower(), value) is not value:
            raise BadBatch(f"{name} is given twice; remove one of them")
    rows = values.get("batch", "")
    if not rows.isdecimal() or int(rows) < 1:
        raise BadBatch(f"batch={rows}: write the number of rows in a window, 1 or more")
    stop_if = stop_if.strip()
    if stop_if and not stop_if.upper().startswith("SELECT"):
        raise BadBatch("stop_if= takes a SELECT, up to the end of the line")
    return Batch(
        rows=int(rows),
        key=tuple(filter(None, values.get("key", "").split(","))),
        pause=_seconds("pause", values.get("pause", "0s")),
        target=_seconds("target", values.get("target", f"{DEFAULT_TARGET}s")) or DEFAULT_TARGET,
        stop_if=stop_if or None,
    )


def _seconds(name: str, value: str) -> float:
    found = read_duration(value)
    if found is None:
        raise BadBatch(f"{name}={value}: write a duration, such as 50ms or 2s")
    return found
