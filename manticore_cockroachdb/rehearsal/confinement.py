"""What of scripts may run on a scratch database: nothing that would reach another one. Pure.

Statements that change the server and not the database, such as CREATE ROLE, took effect where the scripts
were applied; run again on a scratch database they would change the same server again. They are left out,
unless a server was named for the scratch; a role that is created where it is missing stays, since grants
need it. What names another database of the server is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .._scripts.direction import Direction
from .._scripts.script import MigrationScript
from .._sql.reach import changes_server, other_database, schemas_made
from .._sql.statement import Statement, has_if_exists, summary
from .._sql.tokens import head
from ..errors import PlanRefused, Problem

_REFUSED = "The scripts cannot run on a scratch database"
#: What a block does beyond creating what is missing.
_CHANGES = re.compile(
    r"\b(?:ALTER|DROP)\s+(?:ROLE|USER|DATABASE|TABLESPACE|SYSTEM)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Confined:
    """Scripts as they run on a scratch database.

    Attributes:
        scripts: The scripts, without what is left out.
        left_out: What is left out, in words: file, line and statement.
    """

    scripts: tuple[MigrationScript, ...]
    left_out: tuple[str, ...] = ()

    def left_out_of(self, scripts: Iterable[MigrationScript]) -> tuple[str, ...]:
        """What is left out of some of them."""
        files = {path.name for each in scripts for path in (each.path, each.down_path) if path}
        return tuple(text for text in self.left_out if text.partition(":")[0] in files)


def leave_out_server(scripts: Sequence[MigrationScript]) -> Confined:
    """Scripts without the statements that change the server."""
    left_out: list[str] = []
    confined = []
    for script in scripts:
        sections = {}
        for direction in Direction:
            text = script.up_sql if direction is Direction.UP else script.down_sql
            leaving = [each for each in _statements(script, direction) if _is_left_out(each)]
            if text is None or not leaving:
                continue
            path = script.path if direction is Direction.UP else (script.down_path or script.path)
            left_out += (
                f"{path.name}:{each.line}: {' '.join(summary(each).split())}" for each in leaving
            )
            first = script.up_line if direction is Direction.UP else script.down_line
            sections[direction] = _without(text, first, leaving)
        if sections:
            up, down = (sections.get(each) for each in (Direction.UP, Direction.DOWN))
            script = replace(  # noqa: PLW2901 - the same script, less of it
                script,
                up_sql=script.up_sql if up is None else up,
                down_sql=script.down_sql if down is None else down,
            )
        confined.append(script)
    return Confined(tuple(confined), tuple(dict.fromkeys(left_out)))


def left_out_words(left_out: Iterable[str]) -> str:
    """A sentence about what is left out."""
    listed = "; ".join(left_out)
    return (
        "These statements change the server and not the database, so the scratch database was made "
        f"without them: {listed}. Name a server where they may run with --scratch URL (scratch=… in the "
        "library)."
    )


def refuse_other_databases(
    scripts: Iterable[MigrationScript],
    databases: Collection[str],
    texts: Iterable[tuple[str, Problem]] = (),
) -> None:
    """Refuse scripts for CockroachDB that would work on another database than the scratch.

    Args:
        scripts: The scripts.
        databases: The databases of the scratch's server.
        texts: Other statements that run there, each with where it stands.

    Raises:
        PlanRefused: With each such statement.
    """
    every = list(dict.fromkeys(scripts))
    schemas = frozenset(
        schemas_made(
            statement
            for script in every
            for direction in Direction
            for statement in _statements(script, direction)
        )
    )
    problems = list(_problems(every, databases, schemas))
    for text, place in texts:
        named = other_database(text, databases, schemas)
        if named is not None:
            problems.append(replace(place, message=_says(named)))
    if problems:
        raise PlanRefused(_REFUSED, problems)


def _problems(
    scripts: Iterable[MigrationScript], databases: Collection[str], schemas: Collection[str]
) -> Iterator[Problem]:
    for script in scripts:
        for direction in Direction:
            for statement in _statements(script, direction):
                if changes_server(statement):
                    continue  # Left out, or run where a server was named for it.
                named = other_database(statement.text, databases, schemas)
                if named is not None:
                    path = script.path
                    if direction is Direction.DOWN and script.down_path is not None:
                        path = script.down_path
                    yield Problem(
                        f"{' '.join(summary(statement).split())} {_says(named)}",
                        path=path,
                        line=statement.line,
                        version=script.version or None,
                        hint="Leave the database's name out: the connection says which one it is.",
                    )


def _says(database: str) -> str:
    return f"names the database {database}, and would change that one and not the scratch."


def _is_left_out(statement: Statement) -> bool:
    if not changes_server(statement):
        return False
    if head(statement.text, 1) == ("DO",):
        return _CHANGES.search(statement.text) is not None
    return head(statement.text, 1) != ("CREATE",) or not has_if_exists(statement)


def _statements(script: MigrationScript, direction: Direction) -> tuple[Statement, ...]:
    return script.up_statements() if direction is Direction.UP else script.down_statements()


def _without(text: str, first_line: int, leaving: Iterable[Statement]) -> str:
    """A section with spaces in place of some statements, so that every line stays where it is."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for statement in leaving:
        start = text.index(statement.text, starts[statement.line - first_line])
        blank = "".join(char if char in "\r\n" else " " for char in statement.text)
        text = text[:start] + blank + text[start + len(blank) :]
    return text
