"""Reads the file of a checkpoint, and sees that the files it stands for are all there or gone from below.

Touches no disk and no server.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from .._sql.lexer import split
from ..errors import Problem
from .checkpoint import BadCheckpoint, read
from .filenames import ScriptName
from .parser import WANTED_COMMENTS, decode
from .rules import check
from .script import MigrationScript, checksum
from .text import trim


def parse_checkpoint(
    path: Path, name: ScriptName, raw: bytes
) -> tuple[MigrationScript | None, list[Problem]]:
    """Read one checkpoint.

    Args:
        path: Its file.
        name: What the file's name says.
        raw: The bytes in it.

    Returns:
        The script, or None and everything that is wrong with it.
    """
    problems: list[Problem] = []
    text = decode(path, raw, problems)
    if problems:
        return None, problems
    version = name.version
    hint = f"restore it, or write it again: manticore_squash {version}"
    try:
        checkpoint = read(text)
    except BadCheckpoint as error:
        return None, [Problem(str(error), path, 1, version=version, hint=hint)]
    highest = max(checkpoint.numbers)
    if highest != version:
        message = f"stands for versions up to {highest}, and its name says {version}"
        return None, [Problem(message, path, 1, version=version, hint="rename it")]
    found = split(text, wanted=WANTED_COMMENTS)
    problems += check(path, found)
    if problems:
        return None, problems
    up_sql, up_line = trim(text, 1)
    return (
        MigrationScript(
            version=version,
            description=name.description,
            up_sql=up_sql,
            down_sql=None,
            path=path,
            checksum=checksum(up_sql),
            up_line=up_line,
            checkpoint=checkpoint,
        ),
        [],
    )


def missing_files(
    checkpoints: Sequence[MigrationScript], present: Container[int]
) -> Iterator[Problem]:
    """Of the files that a checkpoint stands for, the lower ones go first: one gone from between is lost.

    Args:
        checkpoints: The checkpoints.
        present: The versions whose files are there.
    """
    told: set[int] = set()
    for script in checkpoints:
        kept = [each for each in script.stands_for if each.version in present]
        for each in script.stands_for if kept else ():
            lost = each.version > kept[0].version and each.version not in present
            if lost and each.version not in told:
                told.add(each.version)
                yield Problem(
                    f"stands for version {each.version} ({each.description}), whose file is not in the "
                    f"folder, although that of version {kept[0].version} is",
                    script.path,
                    version=script.version,
                    hint="restore that file, or remove every file up to it",
                )
