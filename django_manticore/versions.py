"""Versions as people write them: in commands and in Django migrations. Pure."""

from __future__ import annotations

import re
from typing import Final

_VERSION: Final = re.compile(r"[Vv]?0*([1-9][0-9]*)(?:__.*)?")


def version_in(text: str) -> int | None:
    """The number in `7`, `V7` or `V0007__add_battery.sql`; None where there is none."""
    found = _VERSION.fullmatch(text.strip())
    return int(found[1]) if found else None
