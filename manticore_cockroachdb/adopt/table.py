"""Every tool there is, and which of them a folder belongs to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from ..errors import SettingsError
from .tool import Tool
from .tools import (
    alembic,
    atlas,
    baseline,
    dbmate,
    flyway,
    golang_migrate,
    goose,
    liquibase,
    node_pg_migrate,
    pop,
    prisma,
    rails,
    refinery,
    sql_migrate,
    sqlx,
    supabase,
    yoyo,
)
from .values import Folder, Reading, Recognition, Remark, Sure

TOOLS: Final[dict[str, Tool]] = {
    tool.name: tool
    for tool in (
        golang_migrate.TOOL,
        flyway.TOOL,
        goose.TOOL,
        dbmate.TOOL,
        sql_migrate.TOOL,
        sqlx.TOOL,
        refinery.TOOL,
        atlas.TOOL,
        prisma.TOOL,
        node_pg_migrate.TOOL,
        yoyo.TOOL,
        liquibase.TOOL,
        supabase.TOOL,
        pop.TOOL,
        alembic.TOOL,
        rails.TOOL,
        baseline.DJANGO,
        baseline.KNEX,
        baseline.BASELINE,
    )
}
"""By name, in the order in which they are listed."""


def tool_named(name: str) -> Tool:
    """The tool of that name.

    Raises:
        SettingsError: There is none.
    """
    try:
        return TOOLS[name]
    except KeyError:
        raise SettingsError(f"There is no tool {name!r}; known: {', '.join(TOOLS)}.") from None


def recognized(folder: Folder, ledgers: Collection[str] = ()) -> tuple[Recognition, ...]:
    """The tools that a folder may belong to, the surest first.

    Args:
        folder: The folder.
        ledgers: Names of the tools whose tables were found in the database. Among tools that the files
            alone cannot tell apart, one with its tables there is more likely.
    """
    found = [
        recognition
        for tool in TOOLS.values()
        if (recognition := tool.recognize(folder)) is not None
    ]
    return tuple(
        sorted(found, key=lambda each: (-each.sure.value, each.tool not in ledgers))
        if any(each.sure is Sure.CERTAIN for each in found)
        else sorted(found, key=lambda each: (each.tool not in ledgers, -each.sure.value))
    )


def chosen(folder: Folder, ledgers: Collection[str] = ()) -> Recognition:
    """The one tool that a folder belongs to.

    Raises:
        SettingsError: It is nobody's, or two tools' at once.
    """
    found = recognized(folder, ledgers)
    if not found:
        raise SettingsError(
            f"{folder.root} holds no migrations of a known tool. Known: {', '.join(TOOLS)}. "
            "'baseline' makes one script of the schema as it is, whatever the tool."
        )
    certain = tuple(each for each in found if each.sure is Sure.CERTAIN)
    rivals = _rivals(certain or found, ledgers)
    if found[0].tool not in ledgers:
        # A comment may look like a directive; a table does not come from nothing.
        rivals += tuple(each for each in found if each.tool in ledgers and each not in rivals)
    if len(rivals) > 1:
        listed = "; ".join(
            f"{each.tool} ({each.why}{', and its table is there' if each.tool in ledgers else ''})"
            for each in rivals
        )
        raise SettingsError(
            f"{folder.root} may belong to several tools: {listed}. Name one of them."
        )
    return found[0]


def read(tool: Tool, folder: Folder) -> Reading:
    """Read a folder as a tool's, and list what the tool would not look at.

    Nothing of a folder is passed over in silence: a file of SQL that is none of the tool's may be one whose
    name was mistyped.
    """
    found = tool.read(folder)
    known = {remark.path for remark in (*found.problems, *found.left)}
    for migration in found.migrations:
        known |= {sql.path for sql in (migration.up, migration.down) if sql is not None}
    unread = [
        Remark(f"is not named as {tool.title}'s migrations are.", folder.path(name))
        for name in sorted(folder.files)
        if name.lower().endswith(".sql") and folder.path(name) not in known
    ]
    problems = found.problems
    if not (found.migrations or problems):
        problems = (Remark(f"holds no migrations of {tool.title}.", folder.root),)
    return replace(found, problems=problems, left=(*found.left, *unread))


def _rivals(found: tuple[Recognition, ...], ledgers: Collection[str]) -> tuple[Recognition, ...]:
    """The first, and those that are as sure as it and whose tables tell no difference."""
    first = found[0]
    return tuple(
        each
        for each in found
        if each.sure is first.sure and (each.tool in ledgers) == (first.tool in ledgers)
    )
