"""Which error ends a command with which exit code. Pure.

====  =====================================================================================
code  meaning
====  =====================================================================================
0     done
1     an error, or `--check` found something
2     invalid arguments, nobody answered a question, or `--check` could not check a database
3     the lease could not be acquired, or was lost
4     a migration failed
5     migration files and ledger disagree
130   stopped by Ctrl-C
143   stopped by SIGTERM
====  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from manticore_cockroachdb.errors import (
    LeaseError,
    LedgerRefused,
    ManticoreError,
    MigrationFailed,
    OutcomeUnknown,
    PlanRefused,
)

ERROR: Final = 1
USAGE: Final = 2
CANNOT_CHECK: Final = 2
NO_LEASE: Final = 3
FAILED: Final = 4
DISAGREE: Final = 5
CTRL_C: Final = 130
SIGTERM: Final = 143

#: What the help of each command says of them.
SUMMARY: Final = (
    "Exit codes: 0 done; 1 an error, or a check found something; 2 invalid arguments, nobody answered a "
    "question, or a check could not be completed; 3 another runner holds the lease; 4 a migration failed; "
    "5 migration files and ledger disagree."
)

#: From the failure that needs a person most to the one that needs one least.
_WORST_FIRST: Final = (FAILED, DISAGREE, NO_LEASE, ERROR, USAGE)


def exit_code(error: ManticoreError) -> int:
    """The exit code for an error of the library."""
    match error:
        case LeaseError():
            return NO_LEASE
        case MigrationFailed() | OutcomeUnknown():
            return FAILED
        case PlanRefused() | LedgerRefused():
            return DISAGREE
        case _:
            return ERROR


def worst(codes: Iterable[int]) -> int:
    """The exit code of several databases' failures: that of the worst of them."""
    given = set(codes)
    return next((code for code in _WORST_FIRST if code in given), ERROR)
