"""A fake CockroachDB at the level of the wire: for tests only, no product code knows it.

with FakeCockroach(database_url) as fake_cockroach:
    fake_cockroach.rule("COMMIT", nth=2, then=drop_after())
    job = fake_cockroach.jobs.on("CREATE INDEX", status=["running", "succeeded"])
    …connect to fake_cockroach.url…
    assert fake_cockroach.round_trips == 7
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
from .proxy import V21_1, FakeCockroach

__all__ = [
    "V21_1",
    "Attachment",
    "FakeCockroach",
    "Job",
    "Jobs",
    "Rule",
    "Seen",
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
