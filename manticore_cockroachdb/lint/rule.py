"""What a rule is: a small pure function with its documentation beside it.

A rule for statements is called with a `Step` for each statement whose command is one of the types
it names; a rule for scripts is called with a `Script` once. Both yield remarks. A rule judges up
sections; what a down section does is judged only by what it leaves.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .._model.commands import Command
from .._model.faults import Fault
from .._model.schema import Key, Schema, Space
from .._model.values import Name, Table
from .._scripts.script import MigrationScript, Mode
from .._sql.server_kind import ServerKind
from .finding import Severity
from .locks import TableLock
from .options import Options
from .target import Target

CRDB: Final = ServerKind.COCKROACHDB
PG: Final = ServerKind.POSTGRESQL

#: What SET says to take a session's own value.
_DEFAULT: Final = ("DEFAULT",)
#: Parts the scripts in a safer form.
NEXT: Final = "-- in the next script:"


@dataclass(frozen=True, slots=True)
class Remark:
    """What a rule says.

    Attributes:
        message: What the statement does, in one or two sentences.
        safer: SQL that does the same more safely, if there is some.
        line: The line it is about; None: the statement's.
        subject: What of the statement it is about, where a question to the data is about the same.
        most: The worst severity it can have, where the text alone is not sure; None: the rule's.
    """

    message: str
    safer: str | None = None
    line: int | None = None
    subject: str = ""
    most: Severity | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A statement and what it says.

    Attributes:
        text: Its text, without the closing `;`.
        line: Its line in the file, from 1.
        command: What it says.
    """

    text: str
    line: int
    command: Command


@dataclass(slots=True)
class Script:
    """A script while it is judged.

    Attributes:
    script: The script.
    target: The server it is judged for.
    statements: Its statements.
    before: The schema before it.
    after: The schema after its up section; None while that is being folded.
    reverted: The schema after its down section too; None where there is none or it is not clear.
    made: The tables and views it has made so far, temporary ones included.
    emptied: The tables it has emptied so far.
    locks: The statements so far that lock a table others use, each with its lock (PostgreSQL).
    enum_values: The statements so far that add a value to an enum that was there.
    variables: The session variables it has set so far, by name.
    down: The statements of its down section.
    targets: All servers that the scripts are judged for.
    options: What its comments ask for.
    lock_timeout: Seconds that every run lets a statement wait for a lock at most; None: no limit.
    """

    script: MigrationScript
    target: Target
    statements: tuple[Read, ...]
    before: Schema
    after: Schema | None = None
    reverted: Schema | None = None
    made: set[Key] = field(default_factory=set)
    emptied: set[Key] = field(default_factory=set)
    locks: list[tuple[Read, TableLock]] = field(default_factory=list)
    enum_values: list[Read] = field(default_factory=list)
    variables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    down: tuple[Read, ...] = ()
    targets: tuple[Target, ...] = ()
    options: Options = field(default_factory=Options)
    lock_timeout: float | None = None

    @property
    def one_transaction(self) -> bool:
        """Whether its statements share one transaction, as far as the text tells."""
        if self.script.mode is not None:
            return self.script.mode is Mode.ATOMIC
        return self.target.kind is PG


@dataclass(slots=True)
class Step:
    """A statement while it is judged.

    Attributes:
        script: The script it is in.
        index: How many statements of the script come before it.
        before: The schema before it.
        after: The schema after it.
        faults: What does not fit the schema.
    """

    script: Script
    index: int
    before: Schema
    after: Schema
    faults: tuple[Fault, ...]

    @property
    def read(self) -> Read:
        """The statement."""
        return self.script.statements[self.index]

    @property
    def text(self) -> str:
        """The statement's text, without the closing `;`."""
        return self.read.text

    @property
    def target(self) -> Target:
        """The server."""
        return self.script.target

    @property
    def earlier(self) -> tuple[Command, ...]:
        """The commands of the script before this one."""
        return tuple(read.command for read in self.script.statements[: self.index])

    @property
    def is_batched(self) -> bool:
        """Whether it runs in batches, each in a separate transaction."""
        return self.index in self.script.options.batched

    @property
    def waits_limited(self) -> bool:
        """Whether something limits how long it waits for a lock (PostgreSQL)."""
        own = self.script.options.lock_timeouts.get(self.index)
        if own is not None:
            return own > 0
        value = self.script.variables.get("lock_timeout", _DEFAULT)
        if value != _DEFAULT:
            return value != ("0",)
        header = self.script.script.lock_timeout
        return bool(self.script.lock_timeout if header is None else header)

    def is_new(self, name: Name) -> bool:
        """Whether this script made the table: nobody else uses it yet, and it is empty or
        nearly so.
        """
        return self.before.key(Space.RELATION, name) in self.script.made

    def is_empty(self, name: Name) -> bool:
        """Whether the table has no rows that could break anything: it is new, or was just emptied."""
        return self.is_new(name) or self.before.key(Space.RELATION, name) in self.script.emptied

    def table(self, name: Name) -> Table | None:
        """A table that was there before this script; None where it is not known or is new."""
        return None if self.is_new(name) else self.before.table(name)


#: A version range: from the first (None: always) to before the second (None: to the newest).
Versions = tuple[tuple[int, ...] | None, tuple[int, ...] | None]
ALWAYS: Final[Versions] = (None, None)
BOTH: Final[Mapping[ServerKind, Versions]] = {CRDB: ALWAYS, PG: ALWAYS}
ON_CRDB: Final[Mapping[ServerKind, Versions]] = {CRDB: ALWAYS}
ON_PG: Final[Mapping[ServerKind, Versions]] = {PG: ALWAYS}
Judge = Callable[[Any], Iterable[Remark]]


@dataclass(frozen=True, slots=True)
class Example:
    """A script that breaks a rule, for its documentation and its test.

    Attributes:
        bad: The script.
        given: What scripts before it made.
        down: Its down section.
        mode: The mode of its header.
        server: The server it is judged for; "" takes the rule's first.
        fixed: A script that does not break the rule, where the finding itself brings none.
        repeatable: Whether it is a repeatable script.
    """

    bad: str
    given: str = ""
    down: str | None = ""
    mode: Mode | None = None
    server: str = ""
    fixed: str | None = None
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and its documentation.

    Attributes:
        id: Its name in reports, settings and allowances.
        severity: How bad its findings are, unless the settings say otherwise.
        servers: The servers it is for, each with the versions.
        source: Where the server's documentation says so.
        why: Why the rule exists.
        example: A script that breaks it.
        commands: The commands it looks at; empty for a rule about whole scripts.
        judge: What finds.
    """

    id: str
    severity: Severity
    servers: Mapping[ServerKind, Versions]
    source: str
    why: str
    example: Example
    commands: tuple[type[Command], ...]
    judge: Judge

    def applies(self, target: Target) -> bool:
        """Whether the rule is for this server and version."""
        if target.kind not in self.servers:
            return False
        first, end = self.servers[target.kind]
        return (first is None or target.version >= first) and (end is None or target.version < end)


#: Every rule, in the order they were written down.
_RULES: Final[dict[str, Rule]] = {}


def rule(
    id: str,  # noqa: A002 - what everybody calls it
    severity: Severity,
    servers: Mapping[ServerKind, Versions],
    source: str,
    example: Example,
    on: tuple[type[Command], ...] = (),
) -> Callable[[Judge], Judge]:
    """Register a function as a rule; its docstring becomes the rule's documentation.

    Args:
        id: Its name.
        severity: How bad its findings are.
        servers: The servers it is for, each with the versions.
        source: Where the server's documentation says so.
        example: A script that breaks it.
        on: The commands it looks at; without any it is called once for each script.
    """

    def register(judge: Judge) -> Judge:
        if id in _RULES:
            raise ValueError(f"two rules are called {id}")
        why = inspect.cleandoc(judge.__doc__ or "")
        _RULES[id] = Rule(id, severity, servers, source, why, example, on, judge)
        return judge

    return register


def registered() -> dict[str, Rule]:
    """Every rule by its id, once the modules of `rules` are loaded."""
    return dict(_RULES)
