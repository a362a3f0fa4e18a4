"""Builds the schema that scripts make, on a scratch database, and reads schemas by their settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..._backend.settings import ConnectionSettings
from ..._executor._async.executor import AsyncExecutor
from ..._executor._async.session import AsyncSession
from ..._executor.options import Options, new_owner
from ..._planner.plan import plan_migrate
from ..._planner.step import Step
from ..._printing.objects import Printing
from ..._scripts.direction import Direction
from ..._scripts.script import MigrationScript
from ..._store.ledger import own_names, split_table
from ..._store.snapshot import Snapshot
from ...events import Event, SchemaRead
from .printing import async_read_schema


def scratch_options(options: Options) -> Options:
    """Options for a run on a scratch database: its ledger is where the session creates tables."""
    _, name = split_table(options.table)
    return replace(options, table=name, allow_out_of_order=True)


async def async_apply(
    settings: ConnectionSettings,
    options: Options,
    emit: Callable[[Event], None],
    scripts: Sequence[MigrationScript],
) -> int:
    """Apply scripts to a scratch database.

    Args:
        settings: The scratch database.
        options: How runs are made.
        emit: Called with each event.
        scripts: The scripts, by version; the first one may be a checkpoint.

    Returns:
        How many were applied.

    Raises:
        MigrationFailed: A statement failed.
    """
    first = tuple(script for script in scripts if script.checkpoint is not None)
    rest = tuple(script for script in scripts if script.checkpoint is None)

    def goal(snapshot: Snapshot) -> tuple[Step, ...]:
        applied = {row.version for row in snapshot.rows}
        begin = tuple(Step(each, Direction.UP) for each in first if each.version not in applied)
        unfinished = None if begin else snapshot.unfinished
        return begin + plan_migrate(
            rest,
            snapshot.rows,
            unfinished=unfinished,
            allow_out_of_order=True,
            repeatables=snapshot.repeatables,
        )

    return await AsyncExecutor(settings, scratch_options(options), emit).run(goal)


async def async_read(
    settings: ConnectionSettings, table: str, emit: Callable[[Event], None]
) -> Printing:
    """Print the schema of a database.

    Args:
        settings: Which.
        table: The ledger's table, `name` or `schema.name`; left out, with the run state's.
        emit: Called with each event.
    """
    session = await AsyncSession.open(settings, f"{new_owner()}/read")
    try:
        schema, name = split_table(table)
        ledger = (schema or session.server.schema, name)
        own = [(ledger[0], each) for each in own_names(name)]
        printing = await async_read_schema(session, ledger=ledger, own=own)
    finally:
        await session.close()
    emit(SchemaRead(session.server.database, len(printing.objects)))
    return printing
