"""RUN_WITH_MIGRATE: Django's own `migrate` runs the scripts too, test databases included.

Listens to Django's signals. `flush`, which every `TransactionTestCase` ends with, sends `post_migrate` as
well, but without a plan: that is how it is recognized. A `migrate` that unapplies something runs no
scripts. Django sends its signals once per app; the first one counts, so that scripts are there before any
app's own receivers look for their tables.

The signals do not say whether `migrate` fakes. The command of this app does: see `handling`.

A test database that is still empty is built the fast way (`bootstrap`): nothing in it can be lost.
"""

# ruff: noqa: PLC0415 - loaded when there is something to run
from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from django.apps import AppConfig, apps
from django.core.management.base import CommandError, OutputWrapper
from django.core.management.color import color_style, no_style
from django.db import connections, router
from django.db.backends.base.creation import TEST_DATABASE_PREFIX

from manticore_cockroachdb.errors import ManticoreError, PlanRefused

from . import conf
from .setting_values import RunWithMigrate

if TYPE_CHECKING:
    from django.db.migrations import Migration as DjangoMigration

    from manticore_cockroachdb import Migration
    from manticore_cockroachdb.types import Plan

    from .management.tasks import Task


class Handling(Enum):
    """What happens to the scripts in a `migrate`."""

    RUN = "run"
    FAKE = "fake"
    """They are recorded as applied, as Django's own migrations are."""
    LEAVE = "leave"
    """They are neither run nor recorded."""


_HANDLING: Final[ContextVar[Handling]] = ContextVar("manticore_handling", default=Handling.RUN)


@contextmanager
def handling(how: Handling) -> Iterator[None]:
    """Say what happens to the scripts while Django's `migrate` sends its signals."""
    token = _HANDLING.set(how)
    try:
        yield
    finally:
        _HANDLING.reset(token)


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
        if moment_for(using) is moment:
            out = (
                stdout if isinstance(stdout, OutputWrapper) else OutputWrapper(stdout or sys.stdout)
            )
            _migrate(using, out, verbosity, interactive)
    except ManticoreError as error:
        message = f"{error}{_about_test_database(using)}"
        raise CommandError(message, returncode=exit_code(error)) from error


def _migrate(using: str, out: OutputWrapper, verbosity: int, interactive: bool) -> None:
    from .management.runner import Output, Run

    how = _HANDLING.get()
    if how is Handling.LEAVE:
        if verbosity:
            out.write(
                f"SQL scripts of {using!r} were neither run nor recorded: --fake was given with an app. "
                "To record them, run manticore_migrate --fake."
            )
        return
    style = color_style() if out.isatty() else no_style()
    Run(using, _task(using, how), Output(out, style, verbosity, interactive)).run()


def _task(using: str, how: Handling) -> Task:
    from .management import tasks

    if how is Handling.FAKE:
        return tasks.migrate(fake=True)
    if is_test_database(using) and _is_empty(using):
        return replace(tasks.bootstrap(), run=_build)
    return tasks.migrate()


def _build(migration: Migration, _confirmed: Plan | None) -> int:
    """Build it; or migrate, if something is there that Django does not see, such as a sequence."""
    try:
        return migration.bootstrap()
    except PlanRefused:
        return migration.migrate()


def is_test_database(alias: str) -> bool:
    """Whether an alias leads to a test database.

    Django names test databases by `TEST["NAME"]`, or puts `test_` before the database's own name.
    """
    settings = connections[alias].settings_dict
    name = str(settings["NAME"])
    return name.startswith(TEST_DATABASE_PREFIX) or name == settings["TEST"].get("NAME")


def _is_empty(alias: str) -> bool:
    """Whether there is no table or view in a database yet."""
    return not connections[alias].introspection.table_names(include_views=True)


def _about_test_database(alias: str) -> str:
    """What to add to an error on a test database that an earlier test run has left."""
    if not is_test_database(alias):
        return ""
    name = connections[alias].settings_dict["NAME"]
    return (
        f"\nThis is the test database {name!r}. If it was kept by --keepdb (pytest: --reuse-db), create it "
        "again: run the tests once without that option (pytest: with --create-db)."
    )


def moment_for(alias: str) -> RunWithMigrate:
    """When the scripts run on an alias in a `migrate`; NEVER where a router disallows them.

    Raises:
        SettingsError: The setting has problems.
    """
    if alias not in (conf.aliases() if conf.is_given() else ()):
        return RunWithMigrate.NEVER
    moment = conf.entry(alias).run_with_migrate
    if moment is not RunWithMigrate.NEVER and not router.allow_migrate(alias, "django_manticore"):
        return RunWithMigrate.NEVER
    return moment


def _first() -> AppConfig | None:
    """The first app that Django sends these signals for."""
    return next((app for app in apps.get_app_configs() if app.models_module is not None), None)
