"""What a command was asked to do to a database, as a value: its words, its plan, and how it is run.

Both flavors of the library have the same methods. A task calls them on whichever it is given; the results
of the async one are awaited by who called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django_manticore import messages

if TYPE_CHECKING:
    from manticore_cockroachdb.types import Plan


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do on each of a command's databases.

    Attributes:
        label: What it is, as the heading of a run names it.
        detail: What follows the label; None: the migrations folders.
        nothing: What to say when there is nothing to do.
        plan: Asks a migrator for the plan.
        run: Runs it on a migrator; given a plan that reverts something, exactly that plan or nothing;
            given one that reverts nothing, without reverting anything.
        fake: Whether the ledger alone is changed.
        may_revert: Whether it can revert something.
    """

    label: str
    detail: str | None
    nothing: str
    plan: Callable[[Any], Any]
    run: Callable[[Any, Plan | None], Any]
    fake: bool = False
    may_revert: bool = False


def migrate(target: int | None = None, *, fake: bool = False) -> Task:
    """Bring the database to a version; None: apply everything."""
    label, detail = "Apply all scripts", None
    if target is not None:
        label, detail = (
            ("Target specific version", f"{target}") if target else ("Revert all scripts", None)
        )

    def run(migrator: Any, confirmed: Plan | None) -> Any:
        if confirmed is not None and not confirmed.reverts:
            return migrator.apply(target, fake=fake)
        return migrator.migrate(target, fake=fake, confirmed=confirmed)

    return Task(
        label=label,
        detail=detail,
        nothing="No migrations to apply.",
        plan=lambda migrator: migrator.plan(target),
        run=run,
        fake=fake,
        may_revert=target is not None,
    )


def bootstrap() -> Task:
    """Build an empty database."""
    return Task(
        label="Apply all scripts",
        detail=None,
        nothing="No migrations to apply.",
        plan=lambda migrator: migrator.plan(),
        run=lambda migrator, _confirmed: migrator.bootstrap(),
    )


def roll_back(count: int = 1, *, to_version: int | None = None, fake: bool = False) -> Task:
    """Revert the highest applied scripts: a number of them, or those above a version."""
    if to_version is None:
        label = (
            "Revert the last script" if count == 1 else f"Revert the last {messages.scripts(count)}"
        )
    else:
        label = (
            f"Revert all scripts above version {to_version}" if to_version else "Revert all scripts"
        )
    return Task(
        label=label,
        detail=None,
        nothing="No migrations to roll back.",
        plan=lambda migrator: migrator.plan_rollback(count, to_version=to_version),
        run=lambda migrator, confirmed: migrator.rollback(
            count, to_version=to_version, fake=fake, confirmed=confirmed
        ),
        fake=fake,
        may_revert=True,
    )
