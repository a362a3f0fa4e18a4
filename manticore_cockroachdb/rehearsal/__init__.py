"""Scripts known before they run, and databases compared with what their scripts make.

Scratch databases are made beside the target, named and marked as such, and dropped on every path. The
target itself is only read.
"""

from .._printing.compare import Change, Difference
from .._printing.objects import ObjectName
from .drift import Drift, QuickDrift, SinceLastRun
from .results import Crash, Outcome, Recovery, Rehearsal, Rehearsed
from .snapshot import SchemaSnapshot, staleness
from .squash import Squash
from .surroundings import Surroundings

__all__ = [
    "Change",
    "Crash",
    "Difference",
    "Drift",
    "ObjectName",
    "Outcome",
    "QuickDrift",
    "Recovery",
    "Rehearsal",
    "Rehearsed",
    "SchemaSnapshot",
    "SinceLastRun",
    "Squash",
    "Surroundings",
    "staleness",
]
