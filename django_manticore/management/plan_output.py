"""Shows a plan without running it: which scripts, which way, and with which statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_manticore import messages

if TYPE_CHECKING:
    from manticore_cockroachdb.types import Plan

    from .runner import Output


def show(output: Output, alias: str, plan: Plan) -> None:
    """Write a plan as Django's `migrate --plan` does."""
    write, style = output.stdout.write, output.style
    write(style.MIGRATE_HEADING(f"{plan.server.name} ({alias})"))
    write(style.MIGRATE_LABEL("Planned operations:"))
    if not plan:
        write("  No planned migration operations.")
    for planned in plan.detailed():
        heading = f"{messages.doing(planned.step)} ({planned.mode.value})"
        if planned.done:
            heading += f", from statement {planned.done + 1}"
        write(style.MIGRATE_HEADING(heading))
        if output.verbosity < 2:
            write(f"    {messages.statements(len(planned.statements))}")
            continue
        for statement in planned.statements:
            write(f"    {messages.statement_line(statement)}")
            for line in statement.text.splitlines() if output.verbosity >= 3 else ():
                write(f"      {line}")
