"""`RunScript`: an SQL script between two Django migrations.

    class Migration(migrations.Migration):
        atomic = False
        dependencies = [("fleet", "0003_city")]
        operations = [RunScript("V7", state_operations=[…])]

Scripts run on a connection of their own, so the migration must not hold a transaction open: both would
wait for each other's locks for ever.
"""

# ruff: noqa: ARG002 - Django's methods are given more than these need
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import NotSupportedError, router
from django.db.migrations.operations.base import Operation, OperationCategory

from manticore_cockroachdb._planner.plan import State, Step
from manticore_cockroachdb._scripts.direction import Direction
from manticore_cockroachdb.errors import PlanRefused, Problem

from . import conf
from .migrators import get_migration

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

    from manticore_cockroachdb import Migration, MigrationScript

_VERSION = re.compile(r"[Vv]?0*([1-9][0-9]*)(?:__.*)?")


class RunScript(Operation):
    """Bring the SQL scripts to a version at this place in Django's order.

    Forwards, every pending script up to that version is applied; none is reverted, and nothing happens
    if it is applied already. Backwards, that version and every one above it are reverted.

    Args:
        version: `7`, `"V7"` or `"V7__add_battery"`.
        state_operations: What Django's models should know of it, as for `RunSQL`.
        hints: Passed to the database routers.
    """

    category = OperationCategory.SQL
    reduces_to_sql = True
    reversible = True
    atomic = False

    def __init__(
        self,
        version: int | str,
        *,
        state_operations: Sequence[Operation] = (),
        hints: dict[str, Any] | None = None,
    ) -> None:
        found = _VERSION.fullmatch(str(version))
        if found is None:
            raise ValueError(f"RunScript({version!r}): write a version, such as 7 or 'V7'.")
        self.version = version
        self.number = int(found[1])
        self.state_operations = list(state_operations)
        self.hints = hints or {}

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """How the migration writer writes it."""
        options: dict[str, Any] = {}
        if self.state_operations:
            options["state_operations"] = self.state_operations
        if self.hints:
            options["hints"] = self.hints
        return (type(self).__qualname__, [self.version], options)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Tell Django's models."""
        for operation in self.state_operations:
            operation.state_forwards(app_label, state)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Apply what is pending up to the version."""
        migration = self._migration(app_label, schema_editor)
        if migration is None:
            return
        if schema_editor.collect_sql:
            self._collect(migration, schema_editor, Direction.UP)
            return
        statuses = migration.status()
        done = [s for s in statuses if s.state not in (State.PENDING, State.HALF_DONE)]
        if any(status.version == self.number for status in done):
            return
        above = [status for status in done if status.version > self.number]
        if above and any(status.version == self.number for status in statuses):
            raise PlanRefused(
                "Nothing was run",
                [
                    Problem(
                        f"RunScript({self.version!r}): version {self.number} is pending, but version "
                        f"{above[-1].version} is applied already. Apply it with manticore_migrate "
                        "(ALLOW_OUT_OF_ORDER), then run migrate again.",
                        version=self.number,
                    )
                ],
            )
        migration.migrate(self.number)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Revert the version and what is above it."""
        migration = self._migration(app_label, schema_editor)
        if migration is None:
            return
        if schema_editor.collect_sql:
            self._collect(migration, schema_editor, Direction.DOWN)
            return
        known = [s.version for s in migration.status() if s.version < self.number]
        migration.rollback(to_version=max(known, default=0))

    def describe(self) -> str:
        """What `migrate --plan` shows."""
        return f"Run SQL scripts up to version {self.number}"

    @property
    def migration_name_fragment(self) -> str:
        """Part of a migration's name, where Django makes one up."""
        return f"run_script_v{self.number}"

    def _migration(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor
    ) -> Migration | None:
        """The engine, or None where scripts do not go to that database."""
        connection = schema_editor.connection
        alias = connection.alias
        if alias not in conf.aliases():
            return None
        if not router.allow_migrate(alias, app_label, **self.hints):
            return None
        if connection.in_atomic_block and not schema_editor.collect_sql:
            raise NotSupportedError(
                f"RunScript({self.version!r}) runs on a connection of its own, which would wait for "
                "ever for this migration's transaction. Write `atomic = False` into the Migration class."
            )
        return get_migration(alias)

    def _collect(
        self,
        migration: Migration,
        schema_editor: BaseDatabaseSchemaEditor,
        direction: Direction,
    ) -> None:
        """For `sqlmigrate`: the script's own statements."""
        found: list[MigrationScript] = [
            script for script in migration.load_migrations() if script.version == self.number
        ]
        for script in found:
            for statement in Step(script, direction).statements():
                schema_editor.collected_sql.append(f"{statement.text};")
