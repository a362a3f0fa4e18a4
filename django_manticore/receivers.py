"""RUN_WITH_MIGRATE: Django's own `migrate` runs the scripts too, test databases included.

Listens to Django's signals: `migrate --plan` and `--check` send none, so they run nothing. `flush`, which
every `TransactionTestCase` ends with, sends `post_migrate` as well, but with no plan: that is how it is
told apart. A `migrate` that unapplies something runs no scripts. Django sends its signals once per app;
the first one counts, so that scripts are there before any app's own receivers look for their tables.

A test database that is still empty is built the fast way (`bootstrap`): nothing in it can be lost.
"""

# ruff: noqa: PLC0415 - loaded when there is something to run
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.core.management.base import CommandError, OutputWrapper
from django.core.management.color import color_style, no_style
from django.db import connections, router
from django.db.backends.base.creation import TEST_DATABASE_PREFIX

from manticore_cockroachdb.errors import ManticoreError, PlanRefused

from . import conf
from .conf import RunWithMigrate

if TYPE_CHECKING:
    from django.db.migrations import Migration as DjangoMigration

    from manticore_cockroachdb import Migration


def before_migrate(sender: AppConfig, **kwargs: Any) -> None:
    """Run the scripts before Django's migrations, where the setting says so."""
    _run(RunWithMigrate.BEFORE, sender, **kwargs)


def after_migrate(sender: AppConfig, **kwargs: Any) -> None:
    """Run the scripts after Django's migrations, where the setting says so."""
    _run(RunWithMigrate.AFTER, sender, **kwargs)


def _run(
    moment: RunWithMigrate,
    sender: AppConfig,
    *,
    using: str,
    verbosity: int = 1,
    interactive: bool = True,
    plan: list[tuple[DjangoMigration, bool]] | None = None,
    stdout: Any = None,
    **_kwargs: Any,
) -> None:
    if plan is None or sender is not _first() or any(backwards for _, backwards in plan):
        return
    from .management.exit_codes import exit_code

    try:
        if wanted(using, moment) and router.allow_migrate(using, "django_manticore"):
            out = (
                stdout if isinstance(stdout, OutputWrapper) else OutputWrapper(stdout or sys.stdout)
            )
            _migrate(using, out, verbosity, interactive)
    except ManticoreError as error:
        raise CommandError(str(error), returncode=exit_code(error)) from error


def _migrate(using: str, out: OutputWrapper, verbosity: int, interactive: bool) -> None:
    from .management.console import operation
    from .management.runner import Running, Screen, folders

    style = color_style() if out.isatty() else no_style()
    Running(
        using,
        Screen(out, style, verbosity, interactive),
        operation=operation(None, folders(using)),
        nothing="No migrations to apply.",
    ).run(_build if is_empty_test_database(using) else _go_on)


def _go_on(migration: Migration) -> int:
    return migration.migrate()


def _build(migration: Migration) -> int:
    """Build it; or go on, if something is there that Django does not see, such as a sequence."""
    try:
        return migration.bootstrap()
    except PlanRefused:
        return migration.migrate()


def is_empty_test_database(alias: str) -> bool:
    """Whether an alias leads to a test database in which there is no table yet.

    Django names test databases by `TEST["NAME"]`, or puts `test_` before the database's own name.
    """
    connection = connections[alias]
    name = str(connection.settings_dict["NAME"])
    is_test = name.startswith(TEST_DATABASE_PREFIX) or name == connection.settings_dict["TEST"].get(
        "NAME"
    )
    return is_test and not connection.introspection.table_names(include_views=True)


def wanted(alias: str, moment: RunWithMigrate) -> bool:
    """Whether the setting asks for a run at this moment; a setting with problems is an error then."""
    given = conf.aliases() if conf.is_given() else ()
    return alias in given and conf.entry(alias).run_with_migrate is moment


def _first() -> AppConfig | None:
    """The first app that Django sends these signals for."""
    return next((app for app in apps.get_app_configs() if app.models_module is not None), None)
