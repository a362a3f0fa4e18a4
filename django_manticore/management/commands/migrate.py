"""Django's own `migrate`, which also minds the SQL scripts where RUN_WITH_MIGRATE is set.

Scripts are run by receivers of Django's signals, and those do not know of the command's options: `--plan`
and `--check` send none, and none says that `--fake` was given. So this command takes the place of Django's,
or of the one that the next app in INSTALLED_APPS brings, and adds just that.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management import find_commands
from django.core.management.base import CommandError
from django.core.management.commands import migrate as django_migrate
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from django_manticore import receivers
from django_manticore.management import checking, exit_codes, findings, plan_output, tasks
from django_manticore.management.runner import Output
from django_manticore.migrators import get_migration
from django_manticore.receivers import Handling
from django_manticore.setting_values import RunWithMigrate
from manticore_cockroachdb.errors import ManticoreError

if TYPE_CHECKING:
    Base = django_migrate.Command
else:

    def _next_command() -> type[django_migrate.Command]:
        """The command that would run if this app had none: of the first app below it that has one."""
        configs = list(apps.get_app_configs())
        below = configs.index(apps.get_app_config("django_manticore")) + 1
        for config in configs[below:]:
            if "migrate" in find_commands(Path(config.path, "management")):
                return import_module(f"{config.name}.management.commands.migrate").Command
        return django_migrate.Command

    Base = _next_command()


class Command(Base):
    """Django's `migrate`, and the SQL scripts in it."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it; with `--plan` and `--check`, tell of the scripts too; with `--fake`, fake them too."""
        alias: str = options.get("database") or DEFAULT_DB_ALIAS
        try:
            moment = receivers.moment_for(alias)
        except ManticoreError as error:
            raise CommandError(str(error), returncode=exit_codes.exit_code(error)) from error
        if options["plan"] or options["check_unapplied"]:
            self._look(moment, alias, args, options)
            return
        how = Handling.RUN
        if options["fake"]:
            how = Handling.LEAVE if options["app_label"] else Handling.FAKE
        with receivers.handling(how):
            super().handle(*args, **options)

    def _look(
        self, moment: RunWithMigrate, alias: str, args: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        """Show or check Django's migrations and the scripts, in the order in which they would run."""
        code, found = 0, False
        if moment is RunWithMigrate.BEFORE:
            found = self._look_at_scripts(alias, options)
        try:
            super().handle(*args, **options)
        except SystemExit as stop:
            code = int(stop.code or 0)
        if moment is RunWithMigrate.AFTER:
            found = self._look_at_scripts(alias, options)
        if code or found:
            sys.exit(code or exit_codes.ERROR)

    def _look_at_scripts(self, alias: str, options: dict[str, Any]) -> bool:
        """Show or check the scripts; whether `--check` found something in them."""
        if _unapplies(alias, options):
            return False
        output = Output(self.stdout, self.style, options["verbosity"], options["interactive"])
        try:
            if options["plan"]:
                plan = tasks.migrate().plan(get_migration(alias))
                plan_output.show(output, alias, plan)
                return bool(plan) and options["check_unapplied"]
            found = checking.checked(alias)
        except ManticoreError as error:
            raise CommandError(str(error), returncode=exit_codes.exit_code(error)) from error
        for line in findings.in_words(found):
            self.stderr.write(line)
        return not found.ok


def _unapplies(alias: str, options: dict[str, Any]) -> bool:
    """Whether `migrate` would take a Django migration back: then it runs no scripts."""
    app, name = options["app_label"], options["migration_name"]
    if not app or not name:
        return False
    executor = MigrationExecutor(connections[alias])
    target = None if name == "zero" else executor.loader.get_migration_by_prefix(app, name).name
    return any(backwards for _, backwards in executor.migration_plan([(app, target)]))
