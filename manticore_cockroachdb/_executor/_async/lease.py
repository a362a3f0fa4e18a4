"""Waits for the lease, and takes it. Who may have it is decided by the server, in one upsert."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..._backend import introspection
from ..._backend.retry import POLL, Attempts
from ..._store.fenced import Lease
from ..._store.snapshot import Snapshot
from ...errors import LeaseTimeout
from ...events import Event, LeaseAwaited, LeaseTaken
from .. import concurrency
from .session import AsyncSession
from .store import AsyncStore, takes_no_writes

#: How long this runner waits for its own session that it lost, in seconds.
OWN_SESSION_ENDS = 60.0


async def async_take_lease(
    store: AsyncStore,
    *,
    owner: str,
    seconds: float,
    lock_timeout: float,
    emit: Callable[[Event], None],
    wanted: Callable[[Snapshot], bool],
    earlier: Sequence[str] = (),
) -> tuple[Lease, Snapshot] | None:
    """Take the lease, waiting for whoever holds it.

    Args:
        store: The tables.
        owner: Our name in it.
        seconds: How long it lasts unless extended.
        lock_timeout: Seconds to wait for another runner at most; 0: not at all.
        emit: Called with who is waited for.
        wanted: Looks at the tables as they are now and says whether there is anything left to do.
        earlier: Sessions that this runner lost, by the server's own ids. The server may still be at work
            for them. They are no other runner, and are waited for even with a `lock_timeout` of 0.

    Returns:
        The lease and the tables as they are under it; None as soon as there is nothing left to do.

    Raises:
        LeaseTimeout: Somebody else held it all the time.
        DatabaseError: Something is to be done, and the session is read-only.
    """
    started = time.monotonic()
    holder: str | None = None
    looks = Attempts()
    while True:
        snapshot = await store.look()
        if snapshot is not None:
            held = snapshot.record.held_from(owner)
            # What a living runner is in the middle of is not unfinished: it is finishing it.
            in_good_hands = held and snapshot.record.progress is not None
            if not in_good_hands and not wanted(snapshot):
                return None
            if not in_good_hands and store.session.read_only:
                raise takes_no_writes(store.session, store.session.read_only)
            if not held:
                await store.prepare(snapshot)
                taken = await store.acquire(owner, seconds)
                if taken is not None:
                    emit(LeaseTaken(owner, taken[0].epoch))
                    return taken[0], await _whole(store, taken[1])
                looks = Attempts()  # it is being handed over: look again soon
            else:
                holder = snapshot.record.owner
        waited = time.monotonic() - started
        doing = snapshot.record.doing if snapshot else "in the middle of a transaction"
        expires_in = snapshot.record.expires_in if snapshot else None
        if waited >= lock_timeout and not (
            waited < OWN_SESSION_ENDS and await async_alive(store.session, earlier)
        ):
            raise LeaseTimeout(
                _timed_out(holder, doing, waited, expires_in), owner=holder, waited=waited
            )
        emit(LeaseAwaited(holder, doing, waited, expires_in))
        pause = looks.failed(POLL) or POLL.longest
        await concurrency.async_sleep(min(pause, max(0.05, lock_timeout - waited)))


async def async_alive(session: AsyncSession, session_ids: Sequence[str]) -> bool:
    """Whether the server still has any of these sessions."""
    if not session_ids:
        return False
    found = await session.send(introspection.sessions_alive(session.server, session_ids))
    return bool(found[0].rows)


async def _whole(store: AsyncStore, snapshot: Snapshot) -> Snapshot:
    """Wait for the columns that another runner is adding to an older ledger now."""
    while snapshot.missing or snapshot.missing_state:
        await store.prepare(snapshot)
        await concurrency.async_sleep(POLL.first)
        snapshot = await store.look() or snapshot
    return snapshot


def _timed_out(holder: str | None, doing: str, waited: float, expires_in: float | None) -> str:
    who = holder or "another runner"
    until = f"; its lease expires in {expires_in:.0f} s unless it is renewed" if expires_in else ""
    return (
        f"Timed out after {waited:.0f} s waiting for the lease, which {who} holds ({doing}{until}). If "
        "that runner is alive, wait for it to end, or allow more time (lock_timeout, --lock-timeout). If "
        "it is dead, wait for its lease to expire, or run manticore_resolve --unlock."
    )
