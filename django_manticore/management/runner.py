"""One run on one database, with its signals and its lines: what commands and `migrate` have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management.base import CommandError, OutputWrapper

from django_manticore.conf import entry
from django_manticore.migrators import get_migration
from django_manticore.signals import post_migrate_scripts, pre_migrate_scripts
from manticore_cockroachdb.errors import ManticoreError

from .console import Renderer
from .json_lines import JsonLines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.dispatch import Signal

    from manticore_cockroachdb.types import Plan, Step

    from .tasks import Task


@dataclass(frozen=True, slots=True)
class Output:
    """Where a run writes, and how.

    Attributes:
        stdout: Where to.
        style: Django's styles.
        verbosity: 0 to 3.
        interactive: Whether a person may be asked; passed on to the signals.
        as_json: Whether each event is a line of JSON.
    """

    stdout: OutputWrapper
    style: Any
    verbosity: int
    interactive: bool
    as_json: bool = False


class Run:
    """A task on one database.

    Attributes:
        alias: The database.
        task: What to do.
        renderer: Writes the lines; knows, afterwards, what was done.

    Args:
        alias: The database.
        task: What to do.
        output: Where and how to write.
        confirmed: The plan that a person has confirmed: it is run exactly, or refused.
    """

    def __init__(
        self, alias: str, task: Task, output: Output, *, confirmed: Plan | None = None
    ) -> None:
        self.alias = alias
        self.task = task
        self.confirmed = confirmed
        self._output = output
        where = folders(alias)
        self.renderer: Renderer | JsonLines
        if output.as_json:
            self.renderer = JsonLines(output.stdout, alias)
            return
        self.renderer = Renderer(
            output.stdout,
            output.style,
            output.verbosity,
            alias=alias,
            operation=(task.label, f"{task.detail}, from {where}" if task.detail else where),
            nothing=task.nothing,
        )

    def run(self, *, lock_timeout: float | None = None) -> int:
        """Run it, and send the signals before and after.

        Args:
            lock_timeout: Seconds to wait for another runner, instead of the setting's.

        Returns:
            How many scripts were applied or reverted.
        """
        with self.rendered():
            migration = get_migration(self.alias, listener=self.renderer, lock_timeout=lock_timeout)
            if self.has_receivers:
                confirmed = self.confirmed
                self.announce(self.task.plan(migration) if confirmed is None else confirmed)
            done: int = self.task.run(migration, self.confirmed)
        self.report()
        return done

    # The parts of it, for callers that cannot call `run`: an event loop has other ways to wait.

    @property
    def has_receivers(self) -> bool:
        """Whether anybody wants to know the plan: making it takes a look at the database."""
        return pre_migrate_scripts.has_listeners()

    def announce(self, plan: Plan) -> None:
        """Send the signal before the run: a receiver that raises stops it."""
        self._send(pre_migrate_scripts, plan)

    @contextmanager
    def rendered(self) -> Iterator[None]:
        """Leave the screen tidy, however the run ends."""
        failed = True
        try:
            yield
            failed = False
        except (ManticoreError, CommandError) as error:
            self.renderer.fail(error)
            raise
        finally:
            self.renderer.end(failed=failed)

    def report(self) -> None:
        """Send the signal after the run."""
        self._send(post_migrate_scripts, self.renderer.finished)

    def _send(self, signal: Signal, steps: Iterable[Step]) -> None:
        signal.send(
            sender=apps.get_app_config("django_manticore"),
            using=self.alias,
            plan=tuple(steps),
            verbosity=self._output.verbosity,
            interactive=self._output.interactive,
            # Among lines of JSON, nobody else's text is written.
            stdout=OutputWrapper(sys.stderr) if self._output.as_json else self._output.stdout,
        )


def folders(alias: str) -> str:
    """The migrations folders of an alias, as short as they can be shown."""
    shown = []
    for folder in entry(alias).migrations_dir:
        relative = os.path.relpath(folder)
        shown.append(str(folder) if relative.startswith(os.pardir) else relative)
    return ", ".join(shown)
