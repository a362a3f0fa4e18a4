"""Ctrl-C and SIGTERM while a command runs: the first lets it release the lease, the second ends it.

Handlers are installed in the main thread of a program that was started as a command, and restored. Where an
event loop runs, an exception at an arbitrary place would end every task at once: there the first signal
cancels the main task instead.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from . import exit_codes

_CODES: Final = {signal.SIGINT: exit_codes.CTRL_C, signal.SIGTERM: exit_codes.SIGTERM}

#: A live bar hides the cursor; nobody else shows it again when the process ends at once.
_SHOW_CURSOR: Final = b"\x1b[?25h"


class Stopped(KeyboardInterrupt):
    """A signal asked to stop.

    Attributes:
        code: The exit code that says so.
    """

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


class Interrupts:
    """What the signals of one command do.

    Until `installed`, signals keep their usual meaning and `cancelling` changes nothing.
    """

    def __init__(self) -> None:
        self._code: int | None = None
        self._cancel: Callable[[], object] | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Turn the first SIGINT or SIGTERM into `Stopped`, and let the second end the process at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in _CODES}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def cancelling(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Let the first signal call `cancel`; when the block has ended, `Stopped` is raised all the same.

        Args:
            cancel: Makes the block end soon; called in a signal handler.
        """
        self._cancel = cancel
        try:
            yield
        finally:
            self._cancel = None
            if self._code is not None:
                raise Stopped(self._code)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._code is not None:
            if os.isatty(2):
                os.write(2, _SHOW_CURSOR)
            os.write(2, b"\nKilled: the lease was not released; it will expire.\n")
            os._exit(self._code)
        self._code = _CODES[signal.Signals(number)]
        if self._cancel is None:
            raise Stopped(self._code)
        self._cancel()
