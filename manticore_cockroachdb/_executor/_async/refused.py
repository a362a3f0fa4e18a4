"""Says why the server refused one of our statements: what happened to our tables.

The fence of a write answers one error for everything that keeps it from its row. Here the server is asked
which it was: another runner has the lease, or a script has dropped, moved or hidden the tables.
"""

from __future__ import annotations

from ..._backend import introspection
from ..._backend.dialect import INSUFFICIENT_PRIVILEGE
from ..._planner.decisions import outcome_unknown
from ..._planner.step import Step
from ..._sql.statement import Statement
from ..._store import fenced, run_state
from ..._store.fenced import Lease
from ..._store.ledger import NO_TABLE
from ..._store.snapshot import RunState
from ...errors import DatabaseError, ManticoreError, MigrationFailed
from ..table_messages import gone, hidden, not_written, refused, takes_away
from .store import AsyncStore, lease_lost

#: What says that a table, its schema, its database or a column of it is not there.
_GONE = NO_TABLE | {"3D000", "42703"}


async def async_why_refused(
    store: AsyncStore,
    lease: Lease,
    error: DatabaseError,
    step: Step | None,
    *,
    committed: bool,
    in_transaction: bool = True,
) -> ManticoreError:
    """The error to raise for a statement of ours that was refused.

    Args:
        store: The tables, seen through an idle session.
        lease: The lease as we hold it.
        error: What the server said.
        step: The script that ran, where there was one.
        committed: Whether what the script did before is committed.
        in_transaction: Whether it was part of the script's own transaction: that says what failed.
    """
    if error.sqlstate not in _GONE | {fenced.LOST, INSUFFICIENT_PRIVILEGE}:
        if step is None or outcome_unknown(error.sqlstate) or in_transaction:
            return error
        message = not_written(store.tables, error, step)
        return _failed(step, None, message, error, committed=committed)
    taker = takes_away(step.statements(), store.tables) if step is not None else None
    record, rows_hidden = await _look(store)
    if record is not None and (record.owner, record.epoch) != (lease.owner, lease.epoch):
        return error if error.sqlstate != fenced.LOST else lease_lost()
    server = store.session.server
    if rows_hidden:
        message = hidden(store.tables, error)
    elif error.sqlstate == INSUFFICIENT_PRIVILEGE:
        message = refused(store.tables, server, error)
    else:
        message = gone(store.tables, error, taker, await _moved_to(store))
    if step is None:
        return DatabaseError(message, sqlstate=error.sqlstate)
    return _failed(step, taker, message, error, committed=committed)


async def _look(store: AsyncStore) -> tuple[RunState | None, bool]:
    """The run state, where it can still be read, and whether row-level security hides it from us."""
    state = store.session.state
    questions = (
        introspection.row_security(store.tables.schema, store.tables.state_name),
        run_state.read_state(store.tables),
    )
    commands = state.as_ourselves(questions)
    answers, _refusal = await store.session.ask(*commands)
    start = commands.index(questions[0])
    found = answers[start : start + len(questions)]
    hidden = bool(found and found[0].rows and found[0].rows[0][0])
    record = run_state.read(found[1]) if len(found) > 1 and found[1].rows else None
    return record, hidden


async def _moved_to(store: AsyncStore) -> str | None:
    """The one other schema that holds both tables now, if there is one."""
    tables = store.tables
    asked = introspection.homes((tables.name, tables.state_name))
    answers, _refusal = await store.session.ask(asked)
    found: dict[str, set[str]] = {}
    for schema, table, _on_path in answers[0].rows if answers else ():
        found.setdefault(schema, set()).add(table)
    if tables.schema in found:
        return None
    whole = [schema for schema, names in found.items() if len(names) == 2]
    return whole[0] if len(whole) == 1 else None


def _failed(
    step: Step, taker: Statement | None, message: str, error: DatabaseError, *, committed: bool
) -> MigrationFailed:
    verb = step.direction.participle
    state = (
        f"What {step.called} did before is done, but is not recorded as {verb}."
        if committed
        else f"Nothing of {step.called} was {verb}."
    )
    return MigrationFailed(
        f"{step.where(taker)}: {message}\n  {state}",
        version=step.version,
        path=step.path,
        line=taker.line if taker is not None else None,
        sqlstate=error.sqlstate,
    )
