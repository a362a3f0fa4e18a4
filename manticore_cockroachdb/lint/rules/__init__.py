"""Every rule, by theme. Loading this package registers them."""

from __future__ import annotations

from typing import Final

from ..rule import Rule, registered
from . import (  # noqa: F401 - each registers its rules
    allowances,
    blocking,
    blocking_constraints,
    blocking_indexes,
    blocking_partitions,
    checking_data,
    cockroachdb_columns,
    cockroachdb_keys,
    cockroachdb_space,
    cockroachdb_transactions,
    compatibility,
    destructive,
    folding,
    indexing,
    naming,
    portability,
    repeating,
    rewriting,
    writing,
)

#: Every rule by its id.
RULES: Final[dict[str, Rule]] = registered()
