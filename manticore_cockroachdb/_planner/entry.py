"""Where in a script a run continues, from what the run state says of it. Pure.

| the run state says of the script       | entry      | what the run does                                |
|----------------------------------------|------------|--------------------------------------------------|
| nothing                                | BEGINNING  | sends the first segment                          |
| its first segment is in flight; this   | INTENDED   | sends it; the intent is not recorded again       |
| run wrote that and has not sent it     |            |                                                  |
| `done` statements are done             | NEXT       | sends their settings, then the next segment      |
| … and the next, alone, in flight       | UNKNOWN    | finds out what happened: done, or sent again     |
| … and a transaction of rows in flight  | NEXT       | sends it: it is done only if its mark is there   |
| … and the whole script in flight       | NOT_MARKED | waits for the session that sent it, then sends   |
|                                        |            | the script's one transaction again               |
| every statement is done, and in flight | MARKED     | waits for the jobs of the script's transaction,  |
|                                        |            | which was committed                              |

"In flight" is recorded before a segment is sent that the server cannot commit together with its mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .._backend.dialect import Server
from .._scripts.script import Mode
from .._sql.statement import Statement
from .._store.snapshot import Progress
from .segments import Segment, Sending, segments


class Entry(Enum):
    """How a script is entered; see the table above."""

    BEGINNING = "beginning"
    INTENDED = "intended"
    NEXT = "next"
    UNKNOWN = "unknown"
    NOT_MARKED = "not marked"
    MARKED = "marked"


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """Where and how a script is entered.

    Attributes:
        entry: How.
        done: How many of its statements are done.
        start: The first statement to be sent, from 0; settings between `done` and it are sent as settings.
        guarded: How many statements must be unchanged since the run state was written.
        segment: The segment in flight, where one is.
    """

    entry: Entry
    done: int = 0
    start: int = 0
    guarded: int = 0
    segment: Segment | None = None


def entry_point(
    statements: Sequence[Statement],
    mode: Mode,
    server: Server,
    resume: Progress | None,
    *,
    intended: bool = False,
) -> EntryPoint:
    """Decide where a script is entered.

    Args:
        statements: All its statements.
        mode: The mode it runs in.
        server: The server.
        resume: What the run state says of it; None where it says nothing.
        intended: Whether this run has recorded the intent of its first segment, and not sent that yet.
    """
    if resume is None:
        return EntryPoint(Entry.INTENDED if intended else Entry.BEGINNING)
    done = resume.done
    if not resume.in_flight:
        return EntryPoint(Entry.NEXT, done, done, done)
    left = segments(statements, mode, server, start=done)
    segment = next((each for each in left if each.sending is not Sending.SESSION), None)
    if segment is None:
        return EntryPoint(Entry.MARKED, done, done, done)
    entry = {
        Sending.AUTOCOMMIT: Entry.UNKNOWN,
        Sending.SCRIPT_TRANSACTION: Entry.NOT_MARKED,
    }.get(segment.sending, Entry.NEXT)
    return EntryPoint(entry, done, segment.start, segment.end, segment)
