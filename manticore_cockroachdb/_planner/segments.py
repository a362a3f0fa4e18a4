"""How a script is cut into the units that are sent, and in which mode it runs. Pure.

A segment is one schema statement alone, or neighboring data statements together. What may share a
transaction with the ledger differs by server; everything else here does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .._backend.dialect import Server
from .._scripts.script import Mode
from .._sql.server_kind import ServerKind
from .._sql.session_effects import Leaves, leaves
from .._sql.statement import Kind, Statement, refuses_transaction
from .step import Step


class Sending(Enum):
    """How a segment goes to the server."""

    TRANSACTION = "transaction"
    """In one transaction with its progress mark: it is done if, and only if, the mark is there."""

    AUTOCOMMIT = "autocommit"
    """Alone, with "in flight" recorded before and "done" after."""

    SESSION = "session"
    """Alone and unrecorded: it only changes the session, and is sent again whenever a run resumes."""

    BATCH = "batch"
    """In windows over a key, each a transaction with the position it has reached: done exactly once."""

    SCRIPT_TRANSACTION = "script transaction"
    """Every statement in one transaction on a server whose schema changes outlive it: recorded like a
    segment that is sent alone, with a mark inside that tells whether the transaction committed."""

    @property
    def has_intent(self) -> bool:
        """Whether "in flight" is recorded before such a segment is sent."""
        return self in (Sending.AUTOCOMMIT, Sending.SCRIPT_TRANSACTION)


@dataclass(frozen=True, slots=True)
class Segment:
    """What is sent as a unit.

    Attributes:
        start: How many statements of the script come before it.
        statements: Its statements, at least one.
        sending: How it is sent.
    """

    start: int
    statements: tuple[Statement, ...]
    sending: Sending

    @property
    def end(self) -> int:
        """How many statements of the script are done once it is."""
        return self.start + len(self.statements)

    def changes_session(self, kind: ServerKind) -> bool:
        """Whether it may leave the session other than it was."""
        return any(leaves(statement, kind) for statement in self.statements)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step, read and looked at.

    Attributes:
        step: The step.
        statements: Its statements.
        mode: The mode it runs in.
        one_transaction: Whether it and its ledger row are truly one transaction on this server.
        leaves: What it may leave in the session.
    """

    step: Step
    statements: tuple[Statement, ...]
    mode: Mode
    one_transaction: bool
    leaves: Leaves


def prepare(step: Step, server: Server, default: Mode | None = None) -> Prepared:
    """Read a step's statements and decide how they run: as the file asks, else as is right here.

    Args:
        step: The step.
        server: The server it is going to run on.
        default: The mode of files that ask for none; None means the server's default.
    """
    statements = step.statements()
    schema = any(statement.kind is Kind.SCHEMA for statement in statements)
    alone = any(refuses_transaction(statement, server.kind) for statement in statements)
    mode = step.script.mode or (None if alone and default is Mode.ATOMIC else default)
    if any(statement.batch for statement in statements):
        mode = Mode.STEPWISE
    if mode is None:
        stepwise = alone if server.ddl_is_transactional else schema
        mode = Mode.STEPWISE if stepwise else Mode.ATOMIC
    one_transaction = mode is Mode.ATOMIC and (server.ddl_is_transactional or not schema)
    return Prepared(
        step=step,
        statements=statements,
        mode=mode,
        one_transaction=one_transaction,
        # A whole script on CockroachDB has settings of ours before it.
        leaves=max(
            (leaves(statement, server.kind) for statement in statements),
            default=Leaves.NOTHING,
            key=int,
        )
        or Leaves(mode is Mode.ATOMIC and not one_transaction),
    )


def segments(
    statements: Sequence[Statement], mode: Mode, server: Server, *, start: int = 0
) -> tuple[Segment, ...]:
    """Cut what is left of a script.

    Args:
        statements: All its statements.
        mode: STEPWISE or AUTOCOMMIT; or ATOMIC where that cannot be one transaction with the ledger.
        server: The server.
        start: How many statements are done already.
    """
    if mode is Mode.ATOMIC:
        left = tuple(statements[start:])
        return (Segment(start, left, Sending.SCRIPT_TRANSACTION),) if left else ()
    found: list[Segment] = []
    at = start
    while at < len(statements):
        end = at + 1
        if mode is Mode.AUTOCOMMIT:
            session = statements[at].kind is Kind.SESSION
            sending = Sending.SESSION if session else Sending.AUTOCOMMIT
        elif statements[at].batch is not None:
            sending = Sending.BATCH
        elif statements[at].kind is Kind.SCHEMA:
            sending = _sending(statements[at], server)
        else:
            while end < len(statements) and not _stands_apart(statements[end]):
                end += 1
            rows = any(statements[index].kind is Kind.DATA for index in range(at, end))
            sending = Sending.TRANSACTION if rows else Sending.SESSION
        found.append(Segment(at, tuple(statements[at:end]), sending))
        at = end
    return tuple(found)


def _stands_apart(statement: Statement) -> bool:
    """Whether a statement shares no transaction with its neighbors."""
    return statement.kind is Kind.SCHEMA or statement.batch is not None


def _sending(statement: Statement, server: Server) -> Sending:
    """How a schema statement goes: its mark can share a transaction with it, or cannot."""
    if server.ddl_is_transactional and not refuses_transaction(statement, server.kind):
        return Sending.TRANSACTION
    return Sending.AUTOCOMMIT


def replay(statements: Sequence[Statement], done: int) -> tuple[Statement, ...]:
    """The session statements among those already done: a new session needs them again."""
    return tuple(s for s in statements[:done] if s.kind is Kind.SESSION)


class Fingerprint:
    """What the first statements of a script are, in 64 characters: they must not change once done.

    Args:
        statements: All its statements.
    """

    def __init__(self, statements: Sequence[Statement]) -> None:
        self._statements = statements
        self._digest = hashlib.sha256()
        self._count = 0

    def of(self, count: int) -> str:
        """The fingerprint of the first `count`; asked in rising order, each is read once."""
        if count < self._count:
            self._digest, self._count = hashlib.sha256(), 0
        for statement in self._statements[self._count : count]:
            self._digest.update(statement.text.replace("\r\n", "\n").encode())
            self._digest.update(b"\0")
        self._count = max(self._count, min(count, len(self._statements)))
        return self._digest.hexdigest()
