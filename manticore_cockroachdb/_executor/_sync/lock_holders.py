# Generated from _async/lock_holders.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Looks for who holds the locks that scripts are going to need. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ..._backend import blockers
from ..._backend.blockers import Blocker
from ..._planner.step import Step
from ..._sql.statement import Kind, target_table
from ..._store.snapshot import Snapshot
from .store import Store


def lock_holders(
    store: Store, snapshot: Snapshot, steps: Sequence[Step]
) -> tuple[Blocker, ...]:
    """Who is in front of the runner that waits for a lock, and who holds locks on the tables of scripts.

    Args:
        store: The tables, over an open session.
        snapshot: What the tables hold.
        steps: The scripts.

    Returns:
        None on CockroachDB, whose schema changes do not wait for such locks.
    """
    session = store.session
    if session.server.has_jobs:
        return ()
    tables = dict.fromkeys(
        table
        for step in steps
        for statement in step.statements()
        if statement.kind is Kind.SCHEMA and (table := target_table(statement)) is not None
    )
    questions = [blockers.holders(tuple(tables))]
    if snapshot.record.owner is not None:
        questions.insert(0, blockers.blocking_runners(snapshot.record.owner))
    return blockers.read_blockers(*session.send(*questions))
