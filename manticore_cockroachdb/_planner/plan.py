"""What is to be done: a pure function of scripts, ledger and target. Reads nothing, sends nothing.

Every reason against a run is found here, all of them at once, before the first statement is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .._scripts.checkpoint import span
from .._scripts.direction import Direction
from .._scripts.script import MigrationScript, ScriptKey, called
from .._store.ledger import LedgerRow
from .._store.repeatables import RepeatableRow
from .._store.snapshot import Blank, Unfinished
from ..errors import PartiallyApplied, PlanRefused, Problem
from .checkpoints import (
    changed_since,
    replaced_versions,
    standing_for,
    starting_point,
    unavailable,
    unavailable_problem,
)
from .step import Step


def replaced(script: MigrationScript, row: LedgerRow) -> bool:
    """Whether the ledger's row is of another script: neither its text nor its name is this one's."""
    return drifted(script, row) and row.description != script.description


def renumberable(
    version: int, scripts: Sequence[MigrationScript], rows: Sequence[LedgerRow]
) -> MigrationScript:
    """The script that is to get another version.

    Raises:
        PlanRefused: There is none, or it is applied: under another number it would be applied twice.
    """
    versions = (script for script in scripts if not script.is_repeatable)
    script = next((script for script in versions if script.version == version), None)
    row = next((row for row in rows if row.version == version), None)
    if script is None:
        problem = Problem(f"There is no version {version} in the folder.", version=version)
    elif row is not None and not replaced(script, row):
        problem = Problem(
            f"version {version} is applied. Under another number it would be applied a second time.",
            path=script.path,
            version=version,
        )
    else:
        return script
    raise PlanRefused("No file was renamed", [problem])


def drifted(script: MigrationScript, row: LedgerRow) -> bool:
    """Whether an applied script's file is no longer what was applied."""
    return row.checksum is not None and row.checksum != script.checksum


def plan_migrate(
    scripts: Sequence[MigrationScript],
    rows: Sequence[LedgerRow],
    *,
    target: int | None = None,
    unfinished: Unfinished | None = None,
    allow_out_of_order: bool = False,
    revert: bool = True,
    checkpoints: Sequence[MigrationScript] = (),
    blank: Blank | None = None,
    repeatables: Sequence[RepeatableRow] = (),
) -> tuple[Step, ...]:
    """The steps that bring the database to a version.

    Repeatable scripts run after the versions, and only without a target: at an earlier version the tables
    that they are written for may not be there.

    Args:
        scripts: Every script: versions in their order, then repeatable scripts in theirs.
        rows: The ledger.
        target: The version to end at: lower ones are applied, higher ones reverted. 0 reverts all,
            None applies all and reverts none.
        unfinished: What an earlier run left unfinished.
        allow_out_of_order: Apply pending scripts below the highest applied one, too.
        revert: Revert what is applied above the target; False leaves it applied.
        checkpoints: Every checkpoint, by version.
        blank: What else the database holds, where nothing has run in it.
        repeatables: The repeatable scripts that were applied.

    Raises:
        PlanRefused: Something does not fit; every problem is named.
        PartiallyApplied: A script is partially applied or reverted, and this plan would not finish it.
    """
    versions = [script for script in scripts if not script.is_repeatable]
    known = {script.version: script for script in versions}
    applied = _applied(rows, unfinished)
    problems = list(_drift(known, applied))
    covered = replaced_versions(checkpoints)
    if target not in (None, 0) and not any(target in there for there in (known, applied, covered)):
        problems.append(_unknown_target(target or 0, known))
        raise PlanRefused("Nothing was run", problems)
    start = begun(checkpoints, unfinished, target) or starting_point(checkpoints, blank, target)
    done = {*applied, *numbers(start)}
    if start is not None:
        problems += changed_since(start, known)
    missing = unavailable(checkpoints, known, done, target)
    if missing:
        problems.append(unavailable_problem(checkpoints, missing, blank, target))
    highest = max(done, default=0)
    wanted = [s for s in versions if target is None or s.version <= target]
    pending = [script for script in wanted if script.version not in done]
    resuming = unfinished.version if unfinished and unfinished.direction is Direction.UP else None
    if not allow_out_of_order:
        problems += (
            _out_of_order(each, highest)
            for each in pending
            if each.version < highest and each.version != resuming
        )
    above = (v for v in applied if revert and target is not None and v > target)
    surplus = sorted(above, reverse=True)
    down, irreversible = _reverting(surplus, known, applied, standing_for(checkpoints))
    problems += irreversible
    if problems:
        raise PlanRefused("Nothing was run", problems)
    up = (*([start] if start else []), *pending)
    steps = [*down, *(Step(script, Direction.UP) for script in up)]
    if target is None:
        again = to_run_again(scripts, repeatables, unfinished)
        steps += (Step(script, Direction.UP) for script in again)
    known_by_key = {script.key: script for script in scripts}
    return _finishing(tuple(steps), unfinished, known_by_key, checkpoints)


def _out_of_order(script: MigrationScript, highest: int) -> Problem:
    return Problem(
        f"version {script.version} is pending, but version {highest} is applied already.",
        path=script.path,
        version=script.version,
        hint="Give it the next free number (manticore_makemigration --renumber "
        f"{script.version}), or allow out-of-order scripts (allow_out_of_order=True, "
        "ALLOW_OUT_OF_ORDER in the MANTICORE setting).",
    )


def begun(
    checkpoints: Sequence[MigrationScript], unfinished: Unfinished | None, target: int | None
) -> MigrationScript | None:
    """The checkpoint that an earlier run has begun, if this plan goes as far."""
    if unfinished is None or not unfinished.checkpoint:
        return None
    if target is not None and target < unfinished.version:
        return None
    return next((each for each in checkpoints if each.version == unfinished.version), None)


def to_run_again(
    scripts: Iterable[MigrationScript],
    repeatables: Iterable[RepeatableRow],
    unfinished: Unfinished | None = None,
) -> list[MigrationScript]:
    """The repeatable scripts whose text is not what the database has, in their order.

    Args:
        scripts: Every script.
        repeatables: The repeatable scripts that were applied.
        unfinished: What an earlier run left unfinished.
    """
    rows = {row.name: row for row in repeatables}
    half = unfinished.key if unfinished else None
    return [
        script
        for script in scripts
        if script.is_repeatable
        and (
            script.key == half
            or (row := rows.get(str(script.key))) is None
            or not row.holds(script)
        )
    ]


class Rollback:
    """The goal of a rollback: which versions it reverts is settled when the ledger is first seen.

    So a rollback that waited for another runner, or that continues after a lost connection, reverts what it
    was called for and nothing more. Only when something newer was applied meanwhile it chooses again.

    Args:
        scripts: Every script, by version.
        count: How many of the highest applied migrations to revert, or
        to_version: the version to end at: all above are reverted, none is applied.
        checkpoints: Every checkpoint, by version.

    Raises:
        PlanRefused: `count` is below 1.
    """

    def __init__(
        self,
        scripts: Sequence[MigrationScript],
        *,
        count: int = 1,
        to_version: int | None = None,
        checkpoints: Sequence[MigrationScript] = (),
    ) -> None:
        if count < 1:
            raise PlanRefused(
                "Nothing was run",
                [
                    Problem(
                        f"The number of migrations to roll back is {count}",
                        hint="it must be 1 or more.",
                    )
                ],
            )
        self._scripts = {script.key: script for script in scripts}
        self._known = {script.version: script for script in scripts if not script.is_repeatable}
        self._checkpoints = checkpoints
        self._covered = standing_for(checkpoints)
        self._count = count
        self._to_version = to_version
        self._chosen: tuple[int, ...] = ()
        self._top = 0

    def steps(
        self, rows: Sequence[LedgerRow], unfinished: Unfinished | None = None
    ) -> tuple[Step, ...]:
        """The steps left, the highest version first.

        Raises:
            PlanRefused: One of them has no file or no down section, or there is no such version.
            PartiallyApplied: A script is partially applied: migrating finishes it, not this.
        """
        applied = _applied(rows, unfinished)
        top = max(applied, default=0)
        if top > self._top:
            self._chosen, self._top = self._choose(applied), top
        left = [version for version in self._chosen if version in applied]
        steps, problems = _reverting(left, self._known, applied, self._covered)
        if problems:
            raise PlanRefused("Nothing was run", problems)
        return _finishing(tuple(steps), unfinished, self._scripts, self._checkpoints)

    def _choose(self, applied: dict[int, LedgerRow]) -> tuple[int, ...]:
        downwards = sorted(applied, reverse=True)
        to = self._to_version
        if to is None:
            return tuple(downwards[: self._count])
        if to != 0 and not any(to in there for there in (self._known, applied, self._covered)):
            raise PlanRefused("Nothing was run", [_unknown_target(to, self._known)])
        return tuple(version for version in downwards if version > to)


def _applied(rows: Sequence[LedgerRow], unfinished: Unfinished | None) -> dict[int, LedgerRow]:
    """The ledger by version, with the migration that is partially reverted: its row is gone already."""
    applied = {row.version: row for row in rows}
    if unfinished is not None and unfinished.direction is Direction.DOWN:
        version = unfinished.version
        applied.setdefault(version, LedgerRow(version, "partially reverted", None))
    return applied


def _drift(known: dict[int, MigrationScript], applied: dict[int, LedgerRow]) -> Iterator[Problem]:
    for version, row in sorted(applied.items()):
        script = known.get(version)
        if script is None or not drifted(script, row):
            continue
        if replaced(script, row):
            yield Problem(
                f"version {version} is applied, but as another script ({row.description!r}): this one "
                "took the same number, and has not been applied.",
                path=script.path,
                version=version,
                hint="Give it the next free number with manticore_makemigration --renumber "
                f"{version}.",
            )
        else:
            yield Problem(
                f"version {version} was changed after it was applied: its up section's checksum is "
                f"{script.checksum[:12]}…, the ledger has {(row.checksum or '')[:12]}….",
                path=script.path,
                version=version,
                hint="Restore the file and put the change into a new script; if the change is harmless "
                f"(a comment), accept it with manticore_resolve --accept-checksum {version}.",
            )


def _reverting(
    versions: Iterable[int],
    known: dict[int, MigrationScript],
    applied: dict[int, LedgerRow],
    covered: dict[int, MigrationScript],
) -> tuple[list[Step], list[Problem]]:
    steps: list[Step] = []
    problems: list[Problem] = []
    for version in versions:
        script = known.get(version)
        if script is None and version in covered:
            problems.append(
                Problem(
                    f"version {version} ({applied[version].description}) is below the checkpoint "
                    f"{covered[version].path.name}, and its file is not in the folder, so it cannot be "
                    "rolled back.",
                    version=version,
                    hint="Restore its file from version control and roll back again.",
                )
            )
        elif script is None:
            problems.append(
                Problem(
                    f"version {version} ({applied[version].description}) is applied but its file is "
                    "not in the folder, so it cannot be rolled back.",
                    version=version,
                    hint="Restore the file; or revert it by hand, and record that with manticore_resolve "
                    f"--not-applied {version}.",
                )
            )
        elif script.down_sql is None:
            problems.append(
                Problem(
                    f"version {version} has no down section, so it cannot be rolled back.",
                    path=script.path,
                    version=version,
                    hint="Add a line '-- DOWN' and the statements that revert it (none, if there is "
                    "nothing to do).",
                )
            )
        else:
            steps.append(Step(script, Direction.DOWN))
    return steps, problems


def _unknown_target(target: int, known: dict[int, MigrationScript]) -> Problem:
    if target < 0:
        hint = "A target is a version, or 0 for none"
    elif known:
        hint = f"The folder has version{'s' if len(known) > 1 else ''} {span(list(known))}"
    else:
        hint = "The folder has no scripts"
    return Problem(
        f"There is no version {target} to migrate to.",
        version=target,
        hint=f"{hint}; see status (manticore_showmigrations).",
    )


def _finishing(
    steps: tuple[Step, ...],
    unfinished: Unfinished | None,
    known: Mapping[ScriptKey, MigrationScript],
    checkpoints: Sequence[MigrationScript],
) -> tuple[Step, ...]:
    """`steps`, the unfinished one first; refuses if they do not have it."""
    if unfinished is None:
        return steps
    for step in steps:
        if _is_of(step, unfinished):
            return (step, *(other for other in steps if other is not step))
    key, direction = unfinished.key, unfinished.direction
    script = known.get(key)
    if unfinished.checkpoint:
        script = next((each for each in checkpoints if each.version == key), None)
    if script is None:
        why = "its file is not in the folder"
        hint = (
            "Restore the file and run again, or record what is true with manticore_resolve "
            f"--applied {key} or --not-applied {key}."
        )
    elif isinstance(key, str):
        why = "this would not finish it"
        hint = "Migrate without a target first."
    elif direction is Direction.UP:
        why = "this would not finish it"
        hint = f"Migrate to version {key} or higher first."
    else:
        why = "this would not finish it"
        hint = "Roll it back first."
    raise PartiallyApplied(
        Problem(
            f"{called(key)} is partially {direction.participle} and {why}.",
            path=script.path if script else None,
            version=unfinished.version or None,
            hint=hint,
        ),
        version=unfinished.version,
        direction=direction.value,
    )


def _is_of(step: Step, unfinished: Unfinished) -> bool:
    """Whether a step is what was left unfinished."""
    return (step.key, step.direction, step.script.checkpoint is not None) == (
        unfinished.key,
        unfinished.direction,
        unfinished.checkpoint,
    )


def numbers(checkpoint: MigrationScript | None) -> Iterator[int]:
    return (each.version for each in (checkpoint.stands_for if checkpoint else ()))
