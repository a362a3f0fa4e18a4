"""Which databases start from a checkpoint, and which need scripts whose files are gone. Pure.

A database starts from a checkpoint if its ledger has no rows, nothing is partially run in it, its server is
of the kind that the checkpoint was proved on, and none of the tables, views and sequences that the
checkpoint makes is there. Of several, the highest one that is not above the target. Every other database
continues with the scripts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from .._scripts.checkpoint import Replaced, span
from .._scripts.script import MigrationScript
from .._sql.lexer import tokens
from .._sql.tokens import Reader, head
from .._store.snapshot import Blank
from ..errors import Problem

_RELATIONS = frozenset({"TABLE", "VIEW", "SEQUENCE"})
_BEFORE_RELATIONS = ("OR", "REPLACE", "UNLOGGED", "FOREIGN", "MATERIALIZED", "RECURSIVE")


def starting_point(
    checkpoints: Sequence[MigrationScript], blank: Blank | None, target: int | None
) -> MigrationScript | None:
    """The checkpoint that a database starts from, or None: it continues with the scripts.

    Args:
        checkpoints: Every checkpoint, by version.
        blank: What the database holds; None where it has a history.
        target: The version to end at; None: the highest.
    """
    if blank is None:
        return None
    return next(
        (
            checkpoint
            for checkpoint in reversed(checkpoints)
            if obstacle(checkpoint, blank, target) is None
        ),
        None,
    )


def obstacle(checkpoint: MigrationScript, blank: Blank, target: int | None) -> str | None:
    """Why a database without a history does not start from a checkpoint, in words; None if it does."""
    said = checkpoint.checkpoint
    if target is not None and checkpoint.version > target:
        return f"it is above the target, version {target}"
    if said is not None and said.server_kind != blank.server_kind:
        return f"it was made on {said.server}, and this server is {blank.server_kind}"
    there = sorted(blank.relations.intersection(_relations_made(checkpoint)))
    if there:
        named = ", ".join(".".join(each) for each in there[:3])
        more = f" and {len(there) - 3} more" if len(there) > 3 else ""
        return f"this database is not empty: {named}{more} exists already"
    return None


def _relations_made(checkpoint: MigrationScript) -> Iterator[tuple[str, str]]:
    """Schema and name of the tables, views and sequences that a checkpoint makes."""
    for statement in checkpoint.up_statements():
        if head(statement.text, 1) != ("CREATE",):
            continue
        reader = Reader(tokens(statement.text))
        reader.word()
        while reader.peek() in _BEFORE_RELATIONS:
            reader.word()
        if reader.word() not in _RELATIONS:
            continue
        reader.skip_condition()
        name = reader.name()
        if name is not None:
            yield (name.parts[-2] if len(name.parts) > 1 else "public", name.last)


def standing_for(checkpoints: Iterable[MigrationScript]) -> dict[int, MigrationScript]:
    """The lowest checkpoint that stands for each version."""
    found: dict[int, MigrationScript] = {}
    for checkpoint in checkpoints:
        for each in checkpoint.stands_for:
            found.setdefault(each.version, checkpoint)
    return found


def replaced_versions(checkpoints: Iterable[MigrationScript]) -> dict[int, Replaced]:
    """What the checkpoints say of each version they stand for."""
    return {each.version: each for checkpoint in checkpoints for each in checkpoint.stands_for}


def changed_since(
    checkpoint: MigrationScript, known: Mapping[int, MigrationScript]
) -> Iterator[Problem]:
    """Scripts that are no longer what a checkpoint stands for."""
    for each in checkpoint.stands_for:
        script = known.get(each.version)
        if script is not None and script.checksum != each.checksum:
            yield Problem(
                f"version {each.version} was changed after {checkpoint.path.name} was made from it.",
                path=script.path,
                version=each.version,
                hint=f"Restore the file, or write the checkpoint again: manticore_squash "
                f"{checkpoint.version}.",
            )


def unavailable(
    checkpoints: Sequence[MigrationScript],
    known: Collection[int],
    done: Collection[int],
    target: int | None,
) -> tuple[int, ...]:
    """Versions that are to be applied, but whose files are gone: only a checkpoint has them.

    Args:
        checkpoints: Every checkpoint.
        known: The versions whose files are there.
        done: The versions that are applied, or that a checkpoint to be applied stands for.
        target: The version to end at; None: the highest.
    """
    return tuple(
        version
        for version in sorted(replaced_versions(checkpoints))
        if version not in known and version not in done and (target is None or version <= target)
    )


def unavailable_problem(
    checkpoints: Sequence[MigrationScript],
    missing: Sequence[int],
    blank: Blank | None,
    target: int | None,
) -> Problem:
    """The reason against a run that needs scripts whose files are gone."""
    checkpoint = standing_for(checkpoints)[missing[0]]
    why = obstacle(checkpoint, blank, target) if blank is not None else None
    because = (
        "only an empty database starts from that, and this one has a history"
        if why is None
        else f"this database does not start from that: {why}"
    )
    files = "its file is" if len(missing) == 1 else "their files are"
    plural = "version" if len(missing) == 1 else "versions"
    return Problem(
        f"{plural} {span(missing)} must be applied, but {files} not in the folder. "
        f"{checkpoint.path.name} stands for {'it' if len(missing) == 1 else 'them'}, but {because}.",
        version=missing[0],
        hint=f"Restore {'the file' if len(missing) == 1 else 'the files'} from version control, and "
        "remove them when every database has them.",
    )


def sources(
    scripts: Sequence[MigrationScript],
    checkpoints: Sequence[MigrationScript],
    versions: Collection[int],
    server_kind: str,
) -> tuple[tuple[MigrationScript, ...], tuple[int, ...]]:
    """What builds exactly these versions on an empty database: scripts, after a checkpoint if need be.

    Args:
        scripts: Every script; repeatable ones are left out.
        checkpoints: Every checkpoint, by version.
        versions: The versions.
        server_kind: The kind of the server that they are built on.

    Returns:
        The scripts in order, a checkpoint first where files are gone; and the versions that can not be
        built, because their files are gone and no checkpoint will do.
    """
    known = {script.version: script for script in scripts if not script.is_repeatable}
    missing = tuple(sorted(version for version in versions if version not in known))
    if missing:
        for checkpoint in reversed(checkpoints):
            said = checkpoint.checkpoint
            if said is None or said.server_kind != server_kind:
                continue
            covered = said.numbers
            if covered.issubset(versions) and covered.issuperset(missing):
                left = tuple(
                    known[version] for version in sorted(versions) if version not in covered
                )
                return (checkpoint, *left), ()
    return tuple(known[version] for version in sorted(versions) if version in known), missing
