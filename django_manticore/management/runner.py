"""One run on one database, with its signals and its lines: what commands and `migrate` have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management.base import OutputWrapper

from django_manticore.conf import entry
from django_manticore.migrators import get_migration
from django_manticore.signals import post_migrate_scripts, pre_migrate_scripts
from manticore_cockroachdb.events import Event, Planned

from .console import Renderer

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration
    from manticore_cockroachdb._planner.plan import Step


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a run writes, and how.

    Attributes:
        stdout: Where to.
        style: Django's styles.
        verbosity: 0 to 3.
        interactive: Whether a person may be asked; passed on to the signals.
    """

    stdout: OutputWrapper
    style: Any
    verbosity: int
    interactive: bool


class Running:
    """Runs one verb on one database.

    Attributes:
        alias: The database.
        renderer: Writes the lines; knows, afterwards, what was done.
    """

    def __init__(
        self, alias: str, screen: Screen, *, operation: tuple[str, str], nothing: str
    ) -> None:
        self.alias = alias
        self._screen = screen
        self._announced = False
        self.renderer = Renderer(
            screen.stdout,
            screen.style,
            screen.verbosity,
            alias=alias,
            operation=operation,
            nothing=nothing,
        )

    def run(self, verb: Callable[[Migration], int], *, lock_timeout: float | None = None) -> int:
        """Run it, and send the signals before and after.

        Args:
            verb: What to do with the engine.
            lock_timeout: Seconds to wait for another runner, instead of the setting's.
        """
        migration = get_migration(self.alias, listener=self._listen, lock_timeout=lock_timeout)
        failed = True
        try:
            done = verb(migration)
            failed = False
        finally:
            self.renderer.end(failed=failed)
        self.send(post_migrate_scripts, tuple(self.renderer.finished))
        return done

    def send(self, signal: Any, plan: tuple[Step, ...]) -> None:
        """Send one of the app's signals about this run."""
        signal.send(
            sender=apps.get_app_config("django_manticore"),
            using=self.alias,
            plan=plan,
            verbosity=self._screen.verbosity,
            interactive=self._screen.interactive,
            stdout=self._screen.stdout,
        )

    def _listen(self, event: Event) -> None:
        # The first plan comes before the lease is taken: a receiver may take its time.
        if isinstance(event, Planned) and not self._announced:
            self._announced = True
            self.send(pre_migrate_scripts, event.steps)
        self.renderer(event)


def folders(alias: str) -> str:
    """The migrations folders of an alias, as short as they can be shown."""
    shown = []
    for folder in entry(alias).migrations_dir:
        relative = os.path.relpath(folder)
        shown.append(str(folder) if relative.startswith(os.pardir) else relative)
    return ", ".join(shown)
