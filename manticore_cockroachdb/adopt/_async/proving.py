"""Runs scripts on a scratch database and compares its printing with the live one's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..._backend.settings import ConnectionSettings
from ..._executor.options import Options
from ..._printing.compare import compare
from ..._printing.objects import Printing
from ..._scripts.script import MigrationScript
from ...events import Event
from ...rehearsal._async.building import async_apply, async_read, scratch_options
from ...rehearsal._async.scratch import AsyncScratches
from ..proof import Proof


async def async_read_schema(
    settings: ConnectionSettings, table: str, emit: Callable[[Event], None]
) -> Printing:
    """Print a database's schema without our own tables."""
    return await async_read(settings, table, emit)


async def async_compare_schemas(
    settings: ConnectionSettings,
    options: Options,
    emit: Callable[[Event], None],
    scripts: Sequence[MigrationScript],
    ignore: Iterable[str],
) -> Proof:
    """Compare a database with what scripts make.

    Args:
        settings: The database; it is only read.
        options: How the scripts are run.
        emit: Called with each event.
        scripts: The scripts, by version.
        ignore: Patterns of objects that are left out.
    """
    found = await async_read(settings, options.table, emit)
    async with AsyncScratches(settings, emit) as scratches:
        confined = await scratches.confine(scripts)
        scratch = await scratches.make()
        await async_apply(scratch, options, emit, confined.scripts)
        expected = await async_read(scratch, scratch_options(options).table, emit)
    differences, _ = compare(expected, found, ignore)
    return Proof(found.server, len({*expected.objects, *found.objects}), differences)
