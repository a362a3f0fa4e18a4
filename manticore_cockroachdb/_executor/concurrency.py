"""What cannot be derived: pairs of names that differ between the two flavors, and nothing else.

`tools/unasync.py` turns every `async_<name>` of this module into `<name>` when it makes the sync twin.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

R = TypeVar("R")
T = TypeVar("T")

#: How often abandoned work is asked to end, and how long it may take to notice each time, in seconds.
_FAREWELLS = 8
_FAREWELL = 1.0
#: How long a cancelled task may still take to leave things in order, in seconds.
_SHIELDED = 30.0

#: Pools that are closed when the program ends, each with the process that opened it.
_pools: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


async def async_sleep(seconds: float) -> None:
    """Pause."""
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    """Pause."""
    time.sleep(seconds)


async def async_in_thread(action: Callable[[], R]) -> R:
    """Do what would block the event loop: read and write files."""
    return await asyncio.to_thread(action)


def in_thread(action: Callable[[], R]) -> R:
    """Do it here: nobody else is kept waiting."""
    return action()


async def async_supervise(
    work: Callable[[Callable[[T], None]], Awaitable[R]],
    *,
    on_item: Callable[[T], None],
    on_tick: Callable[[], Awaitable[None]],
    interval: float,
    abandon: Callable[[], None],
) -> R:
    """Run `work` while this task stays free to supervise it.

    Args:
        work: Is given a function to report items with.
        on_item: Called here for each item, in order.
        on_tick: Called here whenever `interval` seconds pass without an item.
        interval: Seconds.
        abandon: Makes `work` end soon; called, again and again, when this task is interrupted.

    Returns:
        What `work` returned; what it raised is raised here.
    """
    inbox: asyncio.Queue[Callable[[], R | None]] = asyncio.Queue()

    def report(item: T) -> None:
        inbox.put_nowait(lambda: on_item(item))

    task = asyncio.create_task(_ending(work(report), inbox))
    getter: asyncio.Task[Any] | None = None
    try:
        while True:
            getter = getter or asyncio.create_task(inbox.get())
            await asyncio.wait({getter}, timeout=interval)
            if not getter.done():
                await on_tick()
                continue
            act, getter = getter.result(), None
            if act is _END:
                return task.result()
            act()
    except BaseException:
        await async_shield(lambda: _farewell(task, abandon))
        raise
    finally:
        if getter is not None:
            getter.cancel()
        if task.done() and not task.cancelled():
            task.exception()


def _END() -> None:  # noqa: N802 - a sentinel among callables
    """The end of the inbox: no item follows."""


async def _ending(work: Awaitable[R], inbox: asyncio.Queue[Any]) -> R:
    try:
        return await work
    finally:
        inbox.put_nowait(_END)


async def _farewell(task: asyncio.Task[Any], abandon: Callable[[], None]) -> None:
    for _ in range(_FAREWELLS):
        if task.done():
            return
        abandon()
        await asyncio.wait({task}, timeout=_FAREWELL)
    task.cancel()


def supervise(
    work: Callable[[Callable[[T], None]], R],
    *,
    on_item: Callable[[T], None],
    on_tick: Callable[[], None],
    interval: float,
    abandon: Callable[[], None],
) -> R:
    """Run `work` in a thread while this one stays free to supervise it. See `async_supervise`."""
    inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
    outcome: list[R] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(work(lambda item: inbox.put(lambda: on_item(item))))
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread
            failure.append(error)
        finally:
            inbox.put(_END)

    thread = threading.Thread(target=body, name="manticore-statement", daemon=True)
    thread.start()
    try:
        while True:
            try:
                act = inbox.get(timeout=interval)
            except Empty:
                on_tick()
                continue
            if act is _END:
                break
            act()
    except BaseException:
        for _ in range(_FAREWELLS):
            if not thread.is_alive():
                break
            abandon()
            thread.join(_FAREWELL)
        raise
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


async def async_shield(action: Callable[[], Awaitable[R]]) -> R:
    """Finish `action` even if this task is cancelled meanwhile, and raise that only then.

    Some libraries (anyio's scopes) cancel again and again until a task ends: that does not speed it up.
    Once cancelled, it waits for a bounded time.
    """
    task = asyncio.ensure_future(action())
    cancelled: asyncio.CancelledError | None = None
    deadline = left = None
    while not task.done() and (left is None or left > 0):
        try:
            await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
            deadline = deadline or time.monotonic() + _SHIELDED
        left = deadline and deadline - time.monotonic()
    if cancelled is None:
        return task.result()
    if not task.done():
        task.cancel()
    elif not task.cancelled():
        task.exception()  # whatever it is, being cancelled outweighs it
    raise cancelled


def shield(action: Callable[[], R]) -> R:
    """Finish `action`. In threads nothing but a second Ctrl-C interrupts it, and that is meant to."""
    return action()


async def async_close_at_exit(pool: Any) -> None:
    """Do nothing: the tasks of a pool end with their event loop."""


def close_at_exit(pool: Any) -> None:
    """Close a pool when the program ends, if the program has left it open.

    When psycopg deletes an open pool it stops the pool's threads. Since Python 3.13 no thread runs any more
    at that time: psycopg would wait five seconds for each of them, and warn.
    """
    _pools[pool] = os.getpid()


@atexit.register
def _close_pools() -> None:
    # A forked process has the pool's connections, but not its threads.
    for pool in [pool for pool, process in _pools.items() if process == os.getpid()]:
        pool.close()
