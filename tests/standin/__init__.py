"""A stand-in for CockroachDB at the level of the wire: for tests only, no product code knows it.

with StandIn(database_url) as standin:
    standin.rule("COMMIT", nth=2, then=drop_after())
    job = standin.jobs.on("CREATE INDEX", status=["running", "succeeded"])
    …connect to standin.url…
    assert standin.round_trips == 7
"""

from manticore_cockroachdb.testing.proxy import (
    Rule,
    Seen,
    Traffic,
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

from .jobs import Attachment, Job, Jobs, State
from .proxy import V21_1, StandIn

__all__ = [
    "V21_1",
    "Attachment",
    "Job",
    "Jobs",
    "Rule",
    "Seen",
    "StandIn",
    "State",
    "Traffic",
    "When",
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
