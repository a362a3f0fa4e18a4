"""Checkpoints: their text, put together from a printing and rows, and the reasons not to make one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .._printing.compare import compare
from .._printing.head import preamble
from .._printing.objects import Kind, Printing
from .._scripts.checkpoint import Checkpoint, Replaced, render, span
from .._scripts.script import MigrationScript
from .._sql.reach import changes_server
from .._sql.statement import Statement, summary
from ..errors import PlanRefused, Problem, RehearsalRefused
from .contents import Contents, differences

_NOT_WRITTEN = "No checkpoint was written"


class Stage(Enum):
    """What a squash is doing."""

    BUILD = "building the schema from the scripts"
    READ = "reading the schema and the rows"
    PROVE = "building both again from the checkpoint"
    COMPARE = "comparing"


@dataclass(frozen=True, slots=True)
class Squash:
    """A checkpoint that was proved.

    Attributes:
        path: Its file.
        version: The highest version that it stands for.
        span: The versions that it stands for, such as `1–40`.
        server: The kind and version of the server it was proved on.
        objects: How many objects its schema has.
        rows: How many rows it inserts.
        left_out: Statements that change the server and not the database, and are not in it.
        is_new: Whether the file was written; False if it was there and said the same.
    """

    path: Path
    version: int
    span: str
    server: str
    objects: int
    rows: int
    left_out: tuple[str, ...] = ()
    is_new: bool = True


def versions_of(
    base: Sequence[MigrationScript],
) -> tuple[Replaced, ...]:
    """The versions that scripts have, those of a checkpoint among them."""
    found: list[Replaced] = []
    for script in base:
        if script.is_repeatable:
            continue
        found += script.stands_for or [
            Replaced(script.version, script.description, script.checksum)
        ]
    return tuple(sorted(found, key=lambda each: each.version))


def scripts_to_squash(
    scripts: Iterable[MigrationScript], unfilled: Iterable[MigrationScript], version: int
) -> list[MigrationScript]:
    """The scripts up to a version, by version.

    Args:
        scripts: Every script.
        unfilled: The same, without the values of placeholders.
        version: The version.

    Raises:
        PlanRefused: No script has that version, or one of them has placeholders.
    """
    numbered = [script for script in scripts if not script.is_repeatable]
    wanted = [script for script in numbered if script.version <= version]
    if not wanted or wanted[-1].version != version:
        raise nothing_to_squash(version, numbered)
    refuse_placeholders(
        [script for script in unfilled if 0 < script.version <= version],
        {script.version: script for script in wanted},
    )
    return wanted


def nothing_to_squash(version: int, scripts: Sequence[MigrationScript]) -> PlanRefused:
    """The error for a version that no script has."""
    known = [script.version for script in scripts]
    hint = f"The folder has versions {span(known)}" if known else "The folder has no scripts"
    problem = Problem(
        f"There is no script of version {version} to squash to.", version=version, hint=f"{hint}."
    )
    return PlanRefused(_NOT_WRITTEN, [problem])


def text_of(
    printing: Printing,
    rows: Contents,
    versions: tuple[Replaced, ...],
    left_out: Iterable[str] = (),
) -> str:
    """The text of a checkpoint's file.

    Each table's rows come directly after the table, before anything that would fire on them or check them
    against another table.

    Args:
        printing: The schema.
        rows: The rows.
        versions: The versions it stands for.
        left_out: Statements that are not in it, in words.
    """
    blocks = [(name, list(block)) for name, block in printing.blocks()]
    last = {name.name: at for at, (name, _) in enumerate(blocks) if name.kind == Kind.TABLE.value}
    for table in rows.tables:
        blocks[last[table.name]][1].extend(table.statements())
    pieces = ["".join(f"{statement};\n" for statement in block) for _, block in blocks]
    if rows.sequences:
        pieces.append("".join(f"{each.statement};\n" for each in rows.sequences))
    comments = "".join(f"-- Left out: {each}\n" for each in left_out)
    body = comments + preamble(printing.server) + "\n".join(pieces)
    return render(Checkpoint(printing.server, versions), body)


def refuse_unprinted(printing: Printing) -> None:
    """Refuse a schema with objects that a checkpoint would not make.

    Raises:
        RehearsalRefused: There are some.
    """
    if printing.omitted:
        named = ", ".join(str(each) for each in printing.omitted[:5])
        more = f" and {len(printing.omitted) - 5} more" if len(printing.omitted) > 5 else ""
        raise RehearsalRefused(
            f"The scripts make objects of kinds that are not printed: {named}{more}. A checkpoint would "
            "not make them. Squash to a version before the script that makes them. No file was written."
        )


def refuse_difference(
    first: Printing, second: Printing, expected: Contents, found: Contents
) -> None:
    """Refuse a checkpoint that does not make what the scripts make.

    Args:
        first: The schema that the scripts made.
        second: The schema that the checkpoint made.
        expected: The rows that the scripts inserted.
        found: The rows that the checkpoint inserted.

    Raises:
        RehearsalRefused: With what differs.
    """
    differing, _ = compare(first, second)
    words = [str(each) for each in differing]
    if not words and first.objects != second.objects:
        words = [
            f"changed {name}"
            for name in sorted({*first.objects, *second.objects})
            if first.objects.get(name) != second.objects.get(name)
        ]
    words += differences(expected, found)
    if words:
        listed = "".join(f"\n  - {each}" for each in words)
        raise RehearsalRefused(
            "The checkpoint does not make what the scripts make, so no file was written. What differs, "
            f"seen from the scripts:{listed}"
        )


def refuse_placeholders(
    unfilled: Iterable[MigrationScript], filled: Mapping[int, MigrationScript]
) -> None:
    """Refuse scripts with placeholders: a checkpoint would give every database the same values.

    Args:
        unfilled: The scripts as they are in their files.
        filled: The same with their placeholders filled in, by version.

    Raises:
        PlanRefused: With each such script.
    """
    problems = [
        Problem(
            f"version {script.version} uses placeholders. A checkpoint would hold the values of this "
            "database, and be wrong for others.",
            path=script.path,
            version=script.version,
            hint=f"Squash to a version below {script.version}.",
        )
        for script in unfilled
        if filled[script.version].up_sql != script.up_sql
    ]
    if problems:
        raise PlanRefused(_NOT_WRITTEN, problems)


def server_changes(scripts: Iterable[MigrationScript]) -> list[tuple[MigrationScript, Statement]]:
    """Statements that change the server and not the database: roles, settings, databases.

    A checkpoint is made from what the database holds, so it would not have them.
    """
    return [
        (script, statement)
        for script in scripts
        if script.checkpoint is None
        for statement in script.up_statements()
        if changes_server(statement)
    ]


def described(found: Iterable[tuple[MigrationScript, Statement]]) -> Iterator[str]:
    """Such statements, each with its file and line."""
    for script, statement in found:
        yield f"{script.path.name}:{statement.line}: {' '.join(summary(statement).split())}"


def refuse_server_changes(found: Sequence[tuple[MigrationScript, Statement]]) -> None:
    """Refuse scripts that change the server.

    Raises:
        PlanRefused: With each such statement.
    """
    if found:
        raise PlanRefused(
            _NOT_WRITTEN,
            [
                Problem(
                    f"{' '.join(summary(statement).split())} changes the server, not the database. A "
                    "checkpoint cannot hold it.",
                    path=script.path,
                    line=statement.line,
                    version=script.version,
                    hint="Leave such statements out with --leave-out-server (leave_out_server=True in "
                    "the library); new servers then need them from elsewhere.",
                )
                for script, statement in found
            ],
        )
