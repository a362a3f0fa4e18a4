"""The live bar of a terminal: how far the run is, and the statement or job it waits for.

Shown only while something is waited for, so that it never gets between other lines. Knows `rich`, which
may be missing: then, and where the output is not a terminal, there is no bar.
"""

# ruff: noqa: PLC0415 - rich may be missing, and is slow to load
from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO, cast

from django.core.management.base import OutputWrapper

from manticore_cockroachdb.events import Event, StepFinished, StepStarted, StillRunning
from manticore_cockroachdb.types import JobState

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Style = Callable[[str], str]


def open_bar(stdout: OutputWrapper, style: Style) -> Bar | None:
    """A bar, or None where none can be shown.

    Args:
        stdout: Where to show it.
        style: Colors a text as DJANGO_COLORS and --no-color ask for.
    """
    if not stdout.isatty() or os.environ.get("TERM", "") in ("", "dumb"):
        return None
    if importlib.util.find_spec("rich") is None:
        return None
    return Bar(cast(TextIO, _Verbatim(stdout)), style)


class _Verbatim(io.TextIOBase):
    """A command's output as a stream that adds nothing: neither a line end nor a style."""

    def __init__(self, out: OutputWrapper) -> None:
        self._out = out

    def write(self, text: str) -> int:
        self._out.write(text, style_func=str, ending="")
        return len(text)

    def flush(self) -> None:
        self._out.flush()

    def close(self) -> None:
        """Do nothing: the output is the command's, and may be closed before this is deleted."""

    def isatty(self) -> bool:
        return self._out.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override] # an attribute there
        return getattr(self._out, "encoding", None) or "utf-8"


class Bar:
    """Two lines: the run by its scripts, and what is waited for.

    Args:
        stream: A terminal.
        style: Colors a text.
    """

    def __init__(self, stream: TextIO, style: Style) -> None:
        self._stream = stream
        self._style = style
        self._progress: Progress | None = None
        self._waiting: TaskID | None = None
        self._done = 0
        self._total = 0

    def follow(self, event: Event) -> None:
        """Note how far the run is."""
        if isinstance(event, StepStarted | StepFinished):
            self._total = event.total
            self._done = event.number - isinstance(event, StepStarted)

    def show(self, text: str) -> bool:
        """Put the bar on the screen; False if it is there."""
        if self._progress is not None:
            return False
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            ProgressColumn,
            SpinnerColumn,
            Task,
            TimeElapsedColumn,
        )
        from rich.text import Text

        style = self._style

        class Description(ProgressColumn):
            """The text of a line, in Django's own colors."""

            def render(self, task: Task) -> Text:
                return Text.from_ansi(style(task.description))

        # Django's style knows --no-color and DJANGO_COLORS; https://no-color.org is read here.
        plain = not colored(style) or bool(os.environ.get("NO_COLOR"))
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            Description(),
            TimeElapsedColumn(),
            console=Console(
                file=self._stream,
                highlight=False,
                force_terminal=True,
                color_system=None if plain else "auto",
            ),
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        if self._total:
            self._progress.add_task(
                f"{self._done} of {self._total} scripts done",
                total=self._total,
                completed=self._done,
            )
        self._waiting = self._progress.add_task(text, total=None)
        return True

    def update(self, event: Event, text: str) -> None:
        """Say what is waited for now."""
        progress, waiting = self._progress, self._waiting
        if progress is None or waiting is None:
            return
        fraction = _fraction(event)
        if fraction is None:
            progress.update(waiting, description=text)
        else:
            progress.update(waiting, description=text, total=1.0, completed=fraction)
        if not progress.live.is_started:
            progress.start()

    def hide(self) -> bool:
        """Take it off the screen; False if it is not there."""
        progress, self._progress = self._progress, None
        if progress is None:
            return False
        progress.stop()
        return True


def colored(style: Style) -> bool:
    """Whether a style of Django's changes a text at all."""
    return style("x") != "x"


def _fraction(event: Event) -> float | None:
    """How much of the back-fill is done, while the server tells a fraction that moves."""
    if not isinstance(event, StillRunning):
        return None
    running = [job.fraction for job in event.jobs if job.state is JobState.RUNNING]
    return max(running, default=0.0) or None
