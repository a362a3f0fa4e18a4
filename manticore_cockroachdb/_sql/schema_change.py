"""What a schema statement changes, and what a second sending of it would say.

Reads the words of CREATE, ALTER, DROP and their like: the objects they name and what happens to each,
the answers that tell that the first sending took effect, and whether sending it twice is safe. Where it
does not know a statement it says so (`Repeat.UNSAFE`) and never guesses. It asks no server.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple


class Repeat(Enum):
    """Whether a statement whose outcome is unknown may be sent again."""

    SAFE = "safe"
    """It does the same again, or the server answers with one of `Change.answers`."""
    DESTRUCTIVE = "destructive"
    """It takes rows away: a second sending would take away what was made after the first."""
    UNNAMED = "unnamed"
    """It makes something that the server names: a second sending makes a second one."""
    UNSAFE = "unsafe"
    """A second sending may do harm, or nothing is known about it."""


class Verb(Enum):
    """What happens to an object."""

    CREATE = "create"
    DROP = "drop"
    RENAME = "rename"
    """It gets another name or another schema: what had the old one is gone."""
    TRUNCATE = "truncate"
    ALTER = "alter"
    """Anything else: the object keeps its name."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement does to one object.

    Attributes:
        verb: What happens to it.
        what: The kind of object, in capitals: `TABLE`, `INDEX`, `COLUMN`, `CONSTRAINT`.
        name: Its name, qualified where the statement qualifies it; None where the server chooses one.
        on: The table (or type) it belongs to, likewise; None where it belongs to none, or none is named.
        conditional: Whether IF EXISTS or IF NOT EXISTS may have made it do nothing.
        fails_late: Whether CockroachDB finds out only in its job that the rows there are do not fit, when
            the statement's other changes have begun.
    """

    verb: Verb
    what: str
    name: tuple[str, ...] | None
    on: tuple[str, ...] | None = None
    conditional: bool = False
    fails_late: bool = False


class Answer(NamedTuple):
    """An error that tells, on a second sending, that the first one took effect.

    Attributes:
        sqlstate: Its SQLSTATE.
        text: A pattern its message must match, where the SQLSTATE alone says nothing.
    """

    sqlstate: str
    text: str = ""


NO_ANSWERS: Final[frozenset[Answer]] = frozenset()


def answers_of(*sqlstates: str) -> frozenset[Answer]:
    return frozenset(Answer(sqlstate) for sqlstate in sqlstates)


@dataclass(frozen=True, slots=True)
class Change:
    """What a schema statement does, as far as its words tell.

    Attributes:
        answers: The errors that tell, on a second sending, that the first one took effect.
        repeat: Whether it may be sent twice.
        table: The table it works on, as written.
        names: The bare names of what it touches, the main object first.
        effects: What it does to each object it names.
        jobless: Whether CockroachDB starts no job for it.
    """

    answers: frozenset[Answer] = NO_ANSWERS
    repeat: Repeat = Repeat.UNSAFE
    table: str | None = None
    names: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    jobless: bool = False
