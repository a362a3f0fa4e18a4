"""What `--check` finds: versions that are not as the files and the target ask for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS

from django_manticore import messages
from manticore_cockroachdb.types import State

if TYPE_CHECKING:
    from manticore_cockroachdb.types import ScriptKey, ScriptStatus

_APPLIED = (State.APPLIED, State.DRIFTED, State.MISSING)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found on one database.

    Attributes:
        alias: The database.
        target: The version that it should be at; None: the highest.
        pending: Versions to apply.
        out_of_order: Those of them that are below the highest applied version, where that is not allowed.
        to_revert: Applied versions above the target.
        drifted: Applied versions whose files were changed.
        partially_applied: The version that an earlier run left partially applied.
        partially_reverted: The version that an earlier run left partially reverted.
        missing: Applied versions without a file. Alone that is not a finding: the code may be older than
            the database on purpose.
        unavailable: Versions that are not applied and whose files were removed.
        repeatable_pending: Repeatable scripts to run; none with a target, which leaves them alone.
        repeatable_unfinished: The repeatable script that an earlier run left partially applied.
        repeatable_missing: Repeatable scripts that were applied, without a file; fine, likewise.
    """

    alias: str
    target: int | None
    pending: tuple[int, ...]
    out_of_order: tuple[int, ...]
    to_revert: tuple[int, ...]
    drifted: tuple[int, ...]
    partially_applied: tuple[int, ...]
    partially_reverted: tuple[int, ...]
    missing: tuple[int, ...]
    repeatable_pending: tuple[str, ...] = ()
    repeatable_unfinished: tuple[str, ...] = ()
    repeatable_missing: tuple[str, ...] = ()
    unavailable: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is nothing to do and nothing to fix."""
        return not (
            self.pending
            or self.to_revert
            or self.drifted
            or self.partially_applied
            or self.partially_reverted
            or self.unavailable
            or self.repeatable_pending
            or self.repeatable_unfinished
        )


def findings(
    alias: str,
    statuses: Iterable[ScriptStatus],
    target: int | None = None,
    *,
    allow_out_of_order: bool = False,
) -> Findings:
    """What the statuses mean.

    Args:
        alias: The database.
        statuses: Every version.
        target: The version the database should be at; None: the highest.
        allow_out_of_order: Whether versions below the highest applied one may be applied.
    """
    by_state: dict[State, list[int]] = {state: [] for state in State}
    repeatable: dict[State, list[str]] = {state: [] for state in State}
    for status in statuses:
        if status.repeatable is not None:
            repeatable[status.state].append(status.repeatable)
        else:
            by_state[status.state].append(status.version)
    applied = [version for state in _APPLIED for version in by_state[state]]
    highest = max([*applied, *by_state[State.PARTIALLY_REVERTED]], default=0)
    pending = [v for v in by_state[State.PENDING] if target is None or v <= target]
    return Findings(
        alias=alias,
        target=target,
        pending=tuple(pending),
        out_of_order=()
        if allow_out_of_order
        else tuple(version for version in pending if version < highest),
        to_revert=tuple(sorted(v for v in applied if target is not None and v > target)),
        drifted=tuple(by_state[State.DRIFTED]),
        partially_applied=tuple(by_state[State.PARTIALLY_APPLIED]),
        partially_reverted=tuple(by_state[State.PARTIALLY_REVERTED]),
        missing=tuple(by_state[State.MISSING]),
        unavailable=tuple(v for v in by_state[State.UNAVAILABLE] if target is None or v <= target),
        repeatable_pending=tuple(repeatable[State.PENDING]) if target is None else (),
        repeatable_unfinished=tuple(repeatable[State.PARTIALLY_APPLIED]),
        repeatable_missing=tuple(repeatable[State.MISSING]),
    )


def in_words(found: Findings) -> list[str]:
    """What was found, for people: one line for each kind, none where all is well."""
    database = "" if found.alias == DEFAULT_DB_ALIAS else f" --database {found.alias}"
    target = "" if found.target is None else f" {found.target or 'zero'}"
    migrate = f"manticore_migrate{target}{database}"
    lines = []
    in_order: list[ScriptKey] = [v for v in found.pending if v not in found.out_of_order]
    in_order += found.repeatable_pending
    if in_order:
        what = _are(in_order, "pending")
        lines.append(f"{what}. Run {migrate} to apply {_them(in_order)}.")
    if found.out_of_order:
        what = _are(found.out_of_order, "pending below the highest applied version")
        lines.append(
            f"{what}, so manticore_migrate refuses to run. Give {_them(found.out_of_order)} the next free "
            f"{'number' if len(found.out_of_order) == 1 else 'numbers'} (manticore_makemigration "
            "--renumber), or set ALLOW_OUT_OF_ORDER."
        )
    if found.unavailable:
        what = _are(found.unavailable, "not applied, and the files were removed")
        lines.append(
            f"{what}. Restore {_them(found.unavailable)} from version control: only an empty database "
            "starts from a checkpoint."
        )
    if found.to_revert:
        what = _are(found.to_revert, f"applied above version {found.target}")
        lines.append(f"{what}. Run {migrate} to revert {_them(found.to_revert)}.")
    lines += (
        f"{_are([version], 'changed since it was applied')}. Restore the file, or accept the change with "
        f"manticore_resolve --accept-checksum {version}{database}."
        for version in found.drifted
    )
    unfinished: tuple[ScriptKey, ...] = (*found.partially_applied, *found.repeatable_unfinished)
    for state, versions in (
        (State.PARTIALLY_APPLIED, unfinished),
        (State.PARTIALLY_REVERTED, found.partially_reverted),
    ):
        if versions:
            command = f"{messages.FINISHED_BY[state]}{database}"
            lines.append(f"{_are(versions, messages.label(state))}. Run {command} to finish it.")
    return [f"{found.alias}: {line}" for line in lines]


def _are(versions: Sequence[ScriptKey], what: str) -> str:
    """`1 script is pending (V2)`."""
    verb = "is" if len(versions) == 1 else "are"
    return f"{messages.scripts(len(versions))} {verb} {what} ({messages.versions(versions)})"


def _them(versions: Sequence[ScriptKey]) -> str:
    return "it" if len(versions) == 1 else "them"
