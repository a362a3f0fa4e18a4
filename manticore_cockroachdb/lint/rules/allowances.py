"""Allowances that are wrong: these are found while allowances are used, not by separate
functions.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Severity
from ..rule import BOTH, Example, Remark, Script, rule

_DOCS = "https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS"
_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT);"

#: The ids of the findings that `engine` makes itself.
UNUSED = "unused-allowance"
WITHOUT_REASON = "allowance-without-reason"
UNKNOWN = "unknown-allowance"


@rule(
    UNUSED,
    Severity.WARNING,
    BOTH,
    _DOCS,
    Example(
        "-- manticore: allow=drop-table no release uses it any more\n"
        "ALTER TABLE rides ADD COLUMN note TEXT;",
        _RIDES,
        fixed="ALTER TABLE rides ADD COLUMN note TEXT;",
    ),
)
def unused_allowance(_script: Script) -> Iterator[Remark]:
    """An allowance that nothing needs would hide the next finding of its rule: remove it."""
    yield from ()


@rule(
    WITHOUT_REASON,
    Severity.WARNING,
    BOTH,
    _DOCS,
    Example(
        "-- manticore: allow=drop-table\nDROP TABLE rides;",
        _RIDES,
        fixed="-- manticore: allow=drop-table no release uses it any more\nDROP TABLE rides;",
    ),
)
def allowance_without_reason(_script: Script) -> Iterator[Remark]:
    """The next reader of the script needs to know why the finding was accepted: write the
    reason after the rule's id.
    """
    yield from ()


@rule(
    UNKNOWN,
    Severity.ERROR,
    BOTH,
    _DOCS,
    Example(
        "-- manticore: allow=dropp-table no release uses it any more\nSELECT 1;",
        _RIDES,
        fixed="SELECT 1;",
    ),
)
def unknown_allowance(_script: Script) -> Iterator[Remark]:
    """There is no rule of this name, so the comment allows nothing."""
    yield from ()
