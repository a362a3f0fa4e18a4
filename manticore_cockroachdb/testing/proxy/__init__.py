"""A proxy at the level of the wire: counts what passes, and cuts, fails or holds a chosen statement.

    with Proxy(database_url) as proxy:
        proxy.rule("CREATE INDEX", then=drop_after())
        …connect to proxy.url…
        assert proxy.round_trips == 7

For tests and rehearsals. It speaks the protocol of PostgreSQL and CockroachDB without TLS.
"""

from .proxy import Proxy, Seen
from .response_relay import Traffic
from .rules import (
    Rule,
    When,
    drop_after,
    drop_before,
    drop_during,
    error,
    error_after,
    fatal,
    hold,
    hold_answer,
    notice,
)
from .words import Rewritten, SameWords, Words

__all__ = [
    "Proxy",
    "Rewritten",
    "Rule",
    "SameWords",
    "Seen",
    "Traffic",
    "When",
    "Words",
    "drop_after",
    "drop_before",
    "drop_during",
    "error",
    "error_after",
    "fatal",
    "hold",
    "hold_answer",
    "notice",
]
