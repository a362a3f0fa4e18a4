"""Durations as options of scripts write them: `50ms`, `2s`, `5min`. Pure."""

from __future__ import annotations

import re
from typing import Final

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0}


def read_duration(text: str) -> float | None:
    """Seconds; None where the text is not a duration."""
    found = _DURATION.fullmatch(text)
    return None if found is None else float(found[1]) * _SECONDS[found[2]]
