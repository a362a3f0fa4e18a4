"""A router that keeps SQL scripts away from a database."""

from __future__ import annotations

from typing import Any


class NoScriptsOnOther:
    """Only Django's own migrations go to "other"."""

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool | None:
        return False if (db, app_label) == ("other", "django_manticore") else None
