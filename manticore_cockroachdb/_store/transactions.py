"""How a transaction of a run begins: its isolation level, and what keeps other runners out meanwhile.

Makes commands; sends nothing.

**CockroachDB** runs every transaction SERIALIZABLE. The first command writes the run state's row, which
proves the lease and keeps other runners from it until the transaction ends. Servers before v22.1 refuse a
schema change after a write in the same transaction, so there the row is written after the first one
(https://github.com/cockroachdb/cockroach/issues/69938).

**PostgreSQL** runs a transaction at the level that the server, the role or the script's header asks for.
From REPEATABLE READ on, the first statement that reads or writes rows fixes what the transaction sees. A
write of ours would fix it before a LOCK TABLE of the script is granted, and rows that were committed in
between would be lost. LOCK TABLE fixes nothing, so the table of the run state is locked instead, and the
lease is proved by the transaction's last write
(https://www.postgresql.org/docs/current/sql-lock.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._backend.dialect import Server
from .._backend.protocol import Command
from .._scripts.script import Isolation
from .._sql.statement import Kind, Statement, has_if_exists
from .._sql.tokens import head
from .ledger import Tables


def begin(server: Server, isolation: Isolation | None = None) -> Command:
    """Begin a transaction.

    Args:
        server: The server.
        isolation: The level the script's header asks for; None means the server's own default.
    """
    if server.serializable_only:
        isolation = Isolation.SERIALIZABLE
    if isolation is None:
        return Command("BEGIN")
    return Command(f"BEGIN TRANSACTION ISOLATION LEVEL {isolation.value.upper()}")


def lock_state(tables: Tables) -> Command:
    """Keep other runners from the run state until the transaction ends; readers are not kept from it."""
    return Command(f"LOCK TABLE {tables.state} IN EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class Placed:
    """A command of a transaction.

    Attributes:
        command: The command.
        ours: Whether it is a write of ours, not a statement of the script.
    """

    command: Command
    ours: bool = False


def with_write(statements: Sequence[Statement], write: Command) -> list[Placed]:
    """A script's statements, and a write of ours where every server accepts it.

    That is before them all; or, if the script changes the schema before it writes rows, after its first
    schema change.

    Args:
        statements: The statements.
        write: The command that writes our tables.
    """
    placed = [Placed(Command(each.text)) for each in statements]
    placed.insert(first_write(statements), Placed(write, ours=True))
    return placed


def first_write(statements: Sequence[Statement]) -> int:
    """How many of the statements come before a write of ours; see `with_write`."""
    conditional = 0
    for index, statement in enumerate(statements):
        if statement.kind is Kind.SCHEMA:
            # With IF NOT EXISTS it may change nothing, and the next one is the first change.
            if not has_if_exists(statement):
                return index + 1
            conditional = conditional or index + 1
        if statement.kind is Kind.DATA and head(statement.text, 1) != ("SELECT",):
            break
    return conditional
