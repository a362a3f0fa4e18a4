"""What a rehearsal found, script by script. Values only, and where in a script an object is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from .._printing.compare import Difference
from .._printing.objects import ObjectName
from .._scripts.direction import Direction
from .._scripts.script import MigrationScript


class Outcome(Enum):
    """How the rehearsal of one script ended."""

    COMES_BACK = "comes back"
    """Up, down and up again: each time the schema was the same."""
    DIFFERS = "does not come back"
    """After the down section, or after the second up, the schema or the rows were not the same."""
    NOT_THE_SAME = "does not do the same again"
    """Run a second time, a repeatable script changed the schema or the rows."""
    REPEATS = "can be repeated"
    """A repeatable script was run twice: the second time changed nothing."""
    NO_DOWN = "has no down section"
    IRREVERSIBLE = "is marked irreversible"
    UP_FAILED = "fails"
    DOWN_FAILED = "fails on the way down"
    AGAIN_FAILED = "fails when it is applied again"
    ASSERTION_FAILED = "does not do what its assertions say"


#: Outcomes that are as they should be.
GOOD = frozenset({Outcome.COMES_BACK, Outcome.REPEATS, Outcome.IRREVERSIBLE})


class Recovery(Enum):
    """The outcome of a run whose connection was cut at a statement."""

    SAME_RUN = "recovered by the same run"
    NEXT_RUN = "recovered by the next run"
    ASKED = "asked"
    """The outcome could not be determined: a person must say whether the statement took effect."""
    FAILED = "failed"
    DIFFERENT = "ended in another schema"
    NOT_SENT = "was not sent as it is written"


@dataclass(frozen=True, slots=True)
class Crash:
    """A run whose connection was cut at one statement.

    Attributes:
        direction: Of the run.
        line: The statement's line.
        statement: The statement, shortened.
        cut: When the connection was cut: `before` the server saw the statement, or `after` it was done.
        recovery: The outcome.
        message: The error, or what differs, where there is one.
    """

    direction: Direction
    line: int
    statement: str
    cut: str
    recovery: Recovery
    message: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it recovered without a person."""
        return self.recovery in (Recovery.SAME_RUN, Recovery.NEXT_RUN)

    def __str__(self) -> str:
        text = (
            f"{self.direction.value}, line {self.line}, cut {self.cut} {self.statement}: "
            f"{self.recovery.value}"
        )
        return f"{text}: {self.message}" if self.message else text


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One script's rehearsal.

    Attributes:
        script: The script.
        outcome: How it ended.
        after_down: What differs after the down section from what was there before: `extra` was left
            behind, `missing` was taken away.
        after_up_again: What differs after the second up from the first.
        lost_rows: Tables whose rows were others after the down section than before, or after a
            repeatable script's second run than after its first, in words.
        failed_assertions: Assertions that did not hold, in words.
        crashes: The runs whose connection was cut, with `crash`.
        error: The error that ended it, if one did.
        seconds: How long it took.
    """

    script: MigrationScript
    outcome: Outcome
    after_down: tuple[Difference, ...] = ()
    after_up_again: tuple[Difference, ...] = ()
    lost_rows: tuple[str, ...] = ()
    failed_assertions: tuple[str, ...] = ()
    crashes: tuple[Crash, ...] = ()
    error: str | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is nothing to fix."""
        return self.outcome in GOOD and all(crash.ok for crash in self.crashes)

    def place(self, name: ObjectName) -> str:
        """File and line of the statement about an object, as far as the text tells."""
        line = line_about(self.script, name)
        return self.script.path.name if line is None else f"{self.script.path.name}:{line}"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The rehearsal of a database's scripts.

    Attributes:
        server: The kind and version of the server it was made on.
        scripts: Each script's part, in the order of the run.
        planned: How many scripts were to be rehearsed; more than there are parts where one failed.
        left_out: Statements of them that change the server and not the database, and were not run: file,
            line and statement.
    """

    server: str
    scripts: tuple[Rehearsed, ...]
    planned: int
    left_out: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every script could be rehearsed, and none has to be fixed."""
        return len(self.scripts) == self.planned and all(each.ok for each in self.scripts)


_PIECES = re.compile(r'"((?:[^"]|"")+)"|(\w+)')


def line_about(script: MigrationScript, name: ObjectName) -> int | None:
    """The line of the first statement, up section first, that names an object."""
    wanted = _bare_name(name)
    if wanted is None:
        return None
    word = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)", re.IGNORECASE)
    for statement in (*script.up_statements(), *script.down_statements()):
        if word.search(statement.text):
            return statement.line
    return None


def _bare_name(name: ObjectName) -> str | None:
    """`by_email` of `public.by_email`, `c` of `c on public.users`, `f` of `public.f(integer)`."""
    text = name.name
    if name.kind in ("comment", "grants", "owner"):
        text = re.sub(r"^[a-z ]+ (?=\S)", "", text)
    text = re.split(r" on |\(", text, maxsplit=1)[0]
    pieces = [quoted.replace('""', '"') or plain for quoted, plain in _PIECES.findall(text)]
    return pieces[-1] if pieces else None
