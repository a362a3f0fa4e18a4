"""Ctrl-C and SIGTERM while a command runs: the first lets it give the lease back, the second ends it.

Handlers are installed in the main thread of a program that was started as a command, and restored. Where an
event loop runs, an exception out of nowhere would end every task at once, wherever it is: there the first
signal cancels the main task instead.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar, Final

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


class _Cancelling:
    """What the first signal does instead of raising `Stopped`, while it is not None."""

    cancel: Callable[[], object] | None = None
    code: ClassVar[list[int]] = []


@contextmanager
def cancelling(cancel: Callable[[], object]) -> Iterator[None]:
    """Let the first signal call `cancel`; when the block has ended, `Stopped` is raised all the same.

    Args:
        cancel: Makes the block end soon; called in a signal handler.
    """
    code: list[int] = []
    before, _Cancelling.cancel = _Cancelling.cancel, cancel
    before_code, _Cancelling.code = _Cancelling.code, code
    try:
        yield
    finally:
        _Cancelling.cancel, _Cancelling.code = before, before_code
        if code:
            raise Stopped(code[0])


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into `Stopped`, and let the second end the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal told
        code = _CODES[signal.Signals(number)]
        if told:
            if os.isatty(2):
                os.write(2, _SHOW_CURSOR)
            os.write(2, b"\nEnded at once: the lease was not given back; it runs out by itself.\n")
            os._exit(code)
        told = True
        if _Cancelling.cancel is None:
            raise Stopped(code)
        _Cancelling.code.append(code)
        _Cancelling.cancel()

    before = {number: signal.signal(number, stop) for number in _CODES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
