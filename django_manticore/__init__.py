"""Plain-SQL migrations in a Django project: settings, commands, checks, signals, admin.

    from django_manticore import get_migration

    get_migration("default").migrate()

Contains no SQL: `manticore_cockroachdb` does what happens on a server.
"""

# ruff: noqa: PLC0415 - see `__getattr__`
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .migrators import get_async_migrator, get_migration

__all__ = ["get_async_migrator", "get_migration"]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: Django imports this package before its settings are ready.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import migrators

    return getattr(migrators, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
