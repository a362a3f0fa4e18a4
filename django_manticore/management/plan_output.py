"""Shows a plan without running it: which scripts, which way, and with which statements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.core.management.base import OutputWrapper

from manticore_cockroachdb._planner.segments import Prepared, prepare

from .. import messages

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration
    from manticore_cockroachdb._backend.dialect import Server
    from manticore_cockroachdb._planner.plan import Step


def server_of(migration: Migration) -> Server:
    """The server a plan would run on: its kind decides how scripts run."""
    with migration.db as db:
        server = db.server
    if server is None:  # pragma: no cover - `with` connects, or raises
        raise RuntimeError("the database is not connected")
    return server


def prepared(migration: Migration, steps: Iterable[Step], server: Server) -> list[Prepared]:
    """The steps, read, with the mode each would run in."""
    return [prepare(step, server, migration.options.mode) for step in steps]


def show(
    stdout: OutputWrapper,
    style: Any,
    verbosity: int,
    alias: str,
    server: str,
    steps: list[Prepared],
) -> None:
    """Write a plan as Django's `migrate --plan` does."""
    stdout.write(style.MIGRATE_HEADING(f"{server} ({alias})"))
    stdout.write(style.MIGRATE_LABEL("Planned operations:"))
    if not steps:
        stdout.write("  No planned migration operations.")
    for each in steps:
        stdout.write(style.MIGRATE_HEADING(f"{messages.doing(each.step)} ({each.mode.value})"))
        for statement in each.statements if verbosity >= 2 else ():
            stdout.write(f"    {messages.statement_line(statement)}")
            for line in statement.text.splitlines() if verbosity >= 3 else ():
                stdout.write(f"      {line}")
        if verbosity < 2:
            number = len(each.statements)
            stdout.write(f"    {number} statement{'' if number == 1 else 's'}")
