"""Scripts for the linter's tests, made from text."""

from __future__ import annotations

from pathlib import Path

from manticore_cockroachdb._scripts.header import read_options
from manticore_cockroachdb._scripts.parser import WANTED_COMMENTS
from manticore_cockroachdb._sql.lexer import split
from manticore_cockroachdb.lint import Finding, Report, lint
from manticore_cockroachdb.lint.rule import NEXT, Example
from manticore_cockroachdb.types import MigrationScript, Mode


def script(
    version: int, up: str, down: str | None = "", *, mode: Mode | None = None
) -> MigrationScript:
    """A script as if it had been loaded; its up section begins on line 1. Version 0 is repeatable."""
    lines = up.count("\n") + 2
    path = Path(f"V{version}__test.sql" if version else "R__test.sql")
    header = read_options(path, split(up, 1, WANTED_COMMENTS).comments, [])
    return MigrationScript(
        version=version,
        description="test",
        up_sql=up,
        down_sql=down,
        path=path,
        checksum="",
        mode=mode,
        lock_timeout=header.lock_timeout,
        down_line=lines,
    )


def judge(
    up: str,
    *,
    given: str = "",
    down: str | None = "",
    mode: Mode | None = None,
    server: str = "cockroachdb",
    repeatable: bool = False,
) -> Report:
    """Lint one script, or several parted by `NEXT`, after a script that is only folded."""
    if repeatable:
        scripts = [script(1, given), script(0, up, None, mode=mode)]
        return lint(scripts, server=server, only={"R__test"})
    parts = up.split(f"\n{NEXT}\n")
    scripts = [script(1, given)]
    scripts += [script(number, part, down, mode=mode) for number, part in enumerate(parts, 2)]
    return lint(scripts, server=server, only=range(2, len(parts) + 2))


def findings_of(example: Example, rule: str, server: str) -> list[Finding]:
    """What one rule finds in its own example."""
    report = judge(
        example.bad,
        given=example.given,
        down=example.down,
        mode=example.mode,
        server=server,
        repeatable=example.repeatable,
    )
    return [finding for finding in report.findings if finding.rule == rule]
