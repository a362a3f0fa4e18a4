# Generated from _async/their_ledger.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Reads the other tool's tables, and writes them together with ours.

What is read and written is decided in the pure modules of this package.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..._backend.dialect import INSUFFICIENT_PRIVILEGE, Server
from ..._backend.protocol import COMMIT, Command
from ..._backend.retry import LOCK_NOT_AVAILABLE, RETRY, TRANSACTION
from ..._executor import concurrency
from ..._executor._sync.session import Session
from ..._executor._sync.store import Store, lease_lost
from ..._sql.server_kind import ServerKind
from ..._store import fenced
from ..._store.fenced import Lease
from ..._store.transactions import begin
from ...errors import DatabaseError, LedgerRefused
from .. import takeover
from ..plan import nothing_adopted
from ..takeover import Seen, Table
from ..tool import Tool
from ..values import Finding, Found, Trouble

#: PostgreSQL: how long another writer of the tool's table is waited for.
_PATIENCE = Command("SET LOCAL lock_timeout = '10s'")
_BEGIN = Command("BEGIN")


def read_ledger(
    session: Session, tool: Tool, there: Sequence[Table], named: str | None
) -> Seen:
    """Read the rows of a tool's tables, and a fingerprint of each to know them by.

    Args:
        session: Where to ask.
        tool: The tool.
        there: The tables in the database that have a name of some tool's.
        named: The ledger's name where it is not the usual one, `name` or `schema.name`.

    Raises:
        LedgerRefused: The tables may not be read.
    """
    tables, findings = takeover.choose(tool, there, named)
    if not tables:
        return Seen(tool, {}, Found(), {}, findings)
    # The fingerprints first: rows that come in between make them differ later, not agree.
    digests = [takeover.digest(table) for table in tables.values()]
    commands = takeover.read_rows(tool, tables)
    try:
        results = session.send(*digests, *commands)
    except DatabaseError as error:
        if error.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        label = next(iter(tables.values())).label
        raise LedgerRefused(
            f"{tool.title}'s ledger {label} may not be read as {session.server.user}: {error}. "
            f"Grant it (GRANT SELECT, INSERT, UPDATE, DELETE ON {label} TO "
            f"{session.server.user}), or connect as the user that owns it."
        ) from error
    found = takeover.found(tool, tables, results[len(digests) :])
    values = [result.rows[0][0] for result in results[: len(digests)]]
    running = _running(session, tool)
    return Seen(
        tool,
        tables,
        found,
        dict(zip(tables, values, strict=True)),
        (*findings, *running),
    )


def _running(session: Session, tool: Tool) -> tuple[Finding, ...]:
    """Whether a run of the tool holds its advisory lock."""
    numbers = takeover.lock_ids(session.server, tool)
    if not numbers:
        return ()
    rows = session.send(takeover.advisory_locks(numbers))[0].rows
    return tuple(
        Finding(
            Trouble.LOCKED,
            f"Session {pid} ({name or 'no application name'}) holds {tool.title}'s advisory lock.",
            "Wait for that run to end.",
        )
        for pid, name in rows
    )


def write_both(
    store: Store, lease: Lease, seen: Seen, writes: Sequence[Command]
) -> None:
    """Write in one transaction, if the lease is ours and the other tool's tables are as they were seen.

    Args:
        store: Our tables.
        lease: The lease.
        seen: The other tool's tables, as they were seen.
        writes: What to write.

    Raises:
        PlanRefused: The other tool is running, or its ledger has changed since.
        LedgerRefused: The user may not write its tables.
        LeaseLost: The lease is another runner's.
    """
    tables = tuple(seen.tables.values())
    server = store.session.server
    if server.kind is ServerKind.POSTGRESQL:
        opening = [_BEGIN, _PATIENCE, *map(takeover.lock_table, tables)]
        running = [takeover.not_running(number) for number in takeover.lock_ids(server, seen.tool)]
    else:
        opening, running = [begin(server)], []
    same = [takeover.unchanged(table, seen.digests[name]) for name, table in seen.tables.items()]
    fence = fenced.renew_lease(store.tables, lease)
    commands = [*opening, *running, fence, *same, *writes, COMMIT]
    attempt = 0
    while True:
        attempt += 1
        _, refusal = store.session.ask(*commands)
        if refusal is None:
            return
        pause = TRANSACTION.pause(attempt) if refusal.error.sqlstate in RETRY else None
        if pause is None:
            break
        concurrency.sleep(pause)
    error = refusal.error
    place = refusal.index
    if error.sqlstate != fenced.LOST:
        raise _write_refused(seen, error, server) from error
    if len(opening) <= place < len(opening) + len(running):
        raise nothing_adopted(f"A run of {seen.tool.title} is running. Wait for it to end.")
    if place == len(opening) + len(running):
        raise lease_lost() from error
    raise nothing_adopted(
        f"{seen.tool.title}'s ledger changed meanwhile: somebody runs it. Run this again."
    )


def _write_refused(seen: Seen, error: DatabaseError, server: Server) -> Exception:
    """The error for a transaction that the server refused."""
    label = seen.main.label if seen.main else ""
    if error.sqlstate == INSUFFICIENT_PRIVILEGE:
        return LedgerRefused(
            f"{seen.tool.title}'s ledger {label} may not be changed as {server.user}: {error}. Nothing was "
            f"adopted. Connect as the user that owns it, or grant the rights."
        )
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return nothing_adopted(f"Somebody writes to {label}: {error}. Wait for that run to end.")
    return error
