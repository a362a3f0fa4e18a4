"""Values for the tests of decisions: servers, scripts, steps."""

from __future__ import annotations

from pathlib import Path

from manticore_cockroachdb._backend.dialect import Server
from manticore_cockroachdb._planner.segments import Prepared, prepare
from manticore_cockroachdb._planner.step import Step
from manticore_cockroachdb._scripts.direction import Direction
from manticore_cockroachdb._scripts.parser import parse_script
from manticore_cockroachdb._sql.server_kind import ServerKind

POSTGRESQL = Server(ServerKind.POSTGRESQL, "18.0", "db", "public", "u")
COCKROACHDB = Server(ServerKind.COCKROACHDB, "v22.1.0", "db", "public", "u")
SERVERS = {"postgresql": POSTGRESQL, "cockroachdb": COCKROACHDB}


def step(text: str, version: int = 1, direction: Direction = Direction.UP) -> Step:
    """A step of a script with this text."""
    script, problems = parse_script(Path(f"V{version}__a.sql"), text.encode())
    assert script is not None, problems
    return Step(script, direction)


def prepared(text: str, server: Server = COCKROACHDB) -> Prepared:
    """The same, prepared for a server."""
    return prepare(step(text), server)
