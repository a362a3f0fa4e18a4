# Generated from _async/proving.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Runs scripts on a scratch database and compares its printing with the live one's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..._backend.settings import ConnectionSettings
from ..._executor.options import Options
from ..._printing.compare import compare
from ..._printing.objects import Printing
from ..._scripts.script import MigrationScript
from ...events import Event
from ...rehearsal._sync.building import apply, read, scratch_options
from ...rehearsal._sync.scratch import Scratches
from ..proof import Proof


def read_schema(
    settings: ConnectionSettings, table: str, emit: Callable[[Event], None]
) -> Printing:
    """Print a database's schema without our own tables."""
    return read(settings, table, emit)


def compare_schemas(
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
    found = read(settings, options.table, emit)
    with Scratches(settings, emit) as scratches:
        confined = scratches.confine(scripts)
        scratch = scratches.make()
        apply(scratch, options, emit, confined.scripts)
        expected = read(scratch, scratch_options(options).table, emit)
    differences, _ = compare(expected, found, ignore)
    return Proof(found.server, len({*expected.objects, *found.objects}), differences)
