"""Scripts as people name them: in commands and in Django migrations. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_VERSION: Final = re.compile(r"[Vv]?0*([1-9][0-9]*)(?:__.*)?")


_REPEATABLE: Final = re.compile(r"(R__.*?)(?:\.sql)?", re.DOTALL)


def repeatable_in(text: str) -> str | None:
    """The name in `R__active_users` or `R__active_users.sql`; None where there is none."""
    found = _REPEATABLE.fullmatch(text.strip())
    return unicodedata.normalize("NFC", found[1]) if found and found[1] != "R__" else None


def version_in(text: str) -> int | None:
    """The number in `7`, `V7` or `V0007__add_battery.sql`; None where there is none."""
    found = _VERSION.fullmatch(text.strip())
    return int(found[1]) if found else None
