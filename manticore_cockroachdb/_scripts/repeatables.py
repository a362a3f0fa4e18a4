"""The order of repeatable scripts: by name, and after those that their headers name. Pure.

Names are compared as Flyway compares them: as words, an underscore being a space.

The order says nothing else: a script that runs after another is not run again because that one was.
"""

from __future__ import annotations

import heapq
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ..errors import Problem
from .script import After, MigrationScript

_SHOWN: Final = 10


def _folded(name: str) -> str:
    """A file's name as a disk may take it that does not tell upper from lower case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def repeated_names(paths: Iterable[Path]) -> Iterator[Problem]:
    """Repeatable scripts whose name is taken: in another folder, or in other upper and lower case."""
    found: dict[str, Path] = {}
    for path in paths:
        first = found.setdefault(_folded(path.name), path)
        if first is path:
            continue
        if first.name == path.name:
            message = (
                f"has the name of {first}, and its name is all that a repeatable script is known by"
            )
        else:
            message = (
                f"is {first.name} except for the case of its letters, and some disks cannot tell the two "
                "apart"
            )
        yield Problem(message, path, hint="rename one of them")


def in_order(
    scripts: Sequence[MigrationScript], paths: Sequence[Path], problems: list[Problem]
) -> list[MigrationScript]:
    """Put repeatable scripts into the order in which they run.

    Args:
        scripts: The scripts that could be read.
        paths: The files of all of them: one that could not be read is not an unknown name.
        problems: Names that are not known, and circles, are appended here, each with its line.
    """
    known = {_nfc(path.name) for path in paths}
    by_file = {_nfc(script.path.name): script for script in scripts}
    before: dict[str, list[After]] = {}
    for file, script in by_file.items():
        problems += (
            _unknown(script, each, known) for each in script.after if _nfc(each.file) not in known
        )
        before[file] = [each for each in script.after if _nfc(each.file) in by_file]
    ordered = _sorted({file: {_nfc(each.file) for each in before[file]} for file in by_file})
    if len(ordered) < len(by_file):
        problems += _circles(by_file, before, set(by_file) - set(ordered))
    return [by_file[file] for file in ordered]


def _sorted(before: dict[str, set[str]]) -> list[str]:
    """The names, each after those it needs, else by name; those in a circle are missing."""
    needed_by: dict[str, list[str]] = {file: [] for file in before}
    waiting = {file: len(needs) for file, needs in before.items()}
    for file, needs in before.items():
        for need in needs:
            needed_by[need].append(file)
    ready = sorted((by_name(file), file) for file, count in waiting.items() if not count)
    found = []
    while ready:
        _, file = heapq.heappop(ready)
        found.append(file)
        for other in needed_by[file]:
            waiting[other] -= 1
            if not waiting[other]:
                heapq.heappush(ready, (by_name(other), other))
    return found


def by_name(file: str) -> str:
    """What a file's name is ordered by."""
    return file.removesuffix(".sql").replace("_", " ")


def _circles(
    by_file: dict[str, MigrationScript], before: dict[str, list[After]], stuck: set[str]
) -> Iterator[Problem]:
    """One problem for each circle, at the option of its first file that closes it."""
    left = set(stuck)
    for start in sorted(stuck):
        if start not in left:
            continue
        way = [start]
        while True:
            following = next(e for e in before[way[-1]] if _nfc(e.file) in stuck)
            if _nfc(following.file) in way:
                circle = way[way.index(_nfc(following.file)) :]
                break
            way.append(_nfc(following.file))
        if left.isdisjoint(circle):
            left -= set(way)
            continue
        left -= set(way)
        first = min(circle)
        turn = circle.index(first)
        circle = [*circle[turn:], *circle[:turn]]
        option = next(e for e in before[first] if _nfc(e.file) == (*circle[1:], first)[0])
        shown = " after ".join((*circle, first))
        yield Problem(
            f"runs after itself: {shown}",
            by_file[first].path,
            option.line,
            hint="remove one of these after= options",
        )


def _unknown(script: MigrationScript, after: After, known: set[str]) -> Problem:
    alike = next((name for name in sorted(known) if _folded(name) == _folded(after.file)), None)
    others = sorted(known - {_nfc(script.path.name)})
    if alike is not None:
        hint = f"write {alike}"
    elif others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        hint = f"there are: {', '.join(others[:_SHOWN])}{more}"
    else:
        hint = "it is the only repeatable script"
    return Problem(
        f"runs after {after.file}, which does not exist", script.path, after.line, hint=hint
    )


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
