"""`RunScript`: SQL scripts between two Django migrations.

    class Migration(migrations.Migration):
        atomic = False
        dependencies = [("fleet", "0003_city")]
        operations = [RunScript("V7", state_operations=[…])]

Scripts use a separate connection, so the migration must not hold a transaction open: each would
wait for the other's locks.
"""

# ruff: noqa: ARG002 - Django's methods are given more than these need
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from django.db import NotSupportedError, router
from django.db.migrations.operations.base import Operation, OperationCategory

from manticore_cockroachdb.types import Direction, State, Step

from . import conf
from .migrators import get_migration
from .versions import version_in

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

    from manticore_cockroachdb import Migration

_APPLIED: Final = (State.APPLIED, State.DRIFTED, State.MISSING)


class RunScript(Operation):
    """Apply the SQL scripts up to a version at this place in Django's order.

    Forwards, every pending script up to that version is applied. None is ever reverted, and nothing happens
    if that version is applied already. Backwards, that version and every one above it are reverted.

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
        number = version_in(str(version))
        if number is None:
            raise ValueError(f"RunScript({version!r}): write a version, such as 7 or 'V7'.")
        self.version = version
        self.number = number
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
        migration = self._migration(app_label, schema_editor, Direction.UP)
        if migration is not None and not self._is_applied(migration):
            migration.apply(self.number)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Revert the version and what is above it."""
        migration = self._migration(app_label, schema_editor, Direction.DOWN)
        if migration is not None:
            below = [s.version for s in migration.status() if s.version < self.number]
            migration.rollback(to_version=max(below, default=0))

    def describe(self) -> str:
        """What `migrate --plan` shows."""
        return f"Run SQL scripts up to version {self.number}"

    @property
    def migration_name_fragment(self) -> str:
        """Part of a migration's name, where Django makes one up."""
        return f"run_script_v{self.number}"

    def _is_applied(self, migration: Migration) -> bool:
        return any(
            status.version == self.number and status.state in _APPLIED
            for status in migration.status()
        )

    def _migration(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, direction: Direction
    ) -> Migration | None:
        """The migration to run; None where there is nothing to run.

        That is so on a database that scripts do not go to, and for `sqlmigrate`, which is given the
        script's statements here.
        """
        connection = schema_editor.connection
        alias = connection.alias
        if alias not in conf.aliases():
            return None
        if not router.allow_migrate(alias, app_label, **self.hints):
            return None
        migration = get_migration(alias)
        if schema_editor.collect_sql:
            schema_editor.collected_sql.extend(self._statements(migration, direction))
            return None
        if connection.in_atomic_block:
            raise NotSupportedError(
                f"RunScript({self.version!r}) uses its own connection and would deadlock with this "
                "migration's transaction. Set `atomic = False` in the Migration class."
            )
        return migration

    def _statements(self, migration: Migration, direction: Direction) -> list[str]:
        return [
            f"{statement.text};"
            for script in migration.load_migrations()
            if script.version == self.number
            for statement in Step(script, direction).statements()
        ]
