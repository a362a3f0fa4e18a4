"""Carries plans out: connections, lease, heartbeat, statements, recovery.

`_async` is written by hand, `_sync` is generated from it; `concurrency` holds what differs between the
two. Must not know Django, and prints nothing: it emits events.
"""
