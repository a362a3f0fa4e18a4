"""What else a database holds besides what its scripts make. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .._backend.settings import ConnectionSettings

#: Makes something on the database of these settings.
Maker = Callable[[ConnectionSettings], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else a database holds besides what scripts make: another tool's tables, such as Django's.

    Attributes:
        before: Makes it on a scratch database before the scripts are run there.
        after: The same, after them.
    """

    before: Maker | None = None
    after: Maker | None = None
