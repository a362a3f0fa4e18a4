"""SQL migrations for CockroachDB and PostgreSQL that recover from crashes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._planner.preview import Plan
    from ._planner.status import ScriptStatus, State
    from ._planner.step import Step
    from ._scripts.direction import Direction
    from ._scripts.script import MigrationScript, Mode
    from .async_database import AsyncDatabase, AsyncTransaction
    from .async_migration import AsyncMigrator
    from .database import Database, Transaction
    from .errors import ManticoreError
    from .migration import Migration

__version__ = "0.1.0"

__all__ = [
    "AsyncDatabase",
    "AsyncMigrator",
    "AsyncTransaction",
    "Database",
    "Direction",
    "ManticoreError",
    "Migration",
    "MigrationScript",
    "Mode",
    "Plan",
    "ScriptStatus",
    "State",
    "Step",
    "Transaction",
    "__version__",
]

# Loaded when first asked for: a synchronous program never imports the asynchronous half.
_HOMES = {
    "AsyncDatabase": "async_database",
    "AsyncMigrator": "async_migration",
    "AsyncTransaction": "async_database",
    "Database": "database",
    "Direction": "types",
    "ManticoreError": "errors",
    "Migration": "migration",
    "MigrationScript": "types",
    "Mode": "types",
    "Plan": "types",
    "ScriptStatus": "types",
    "State": "types",
    "Step": "types",
    "Transaction": "database",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
