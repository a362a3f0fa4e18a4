"""Reports as text: for people, for programs, and for the views of pull requests. Pure.

SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
GitHub: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
GitLab: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from .._wording import counted
from .finding import Finding, Report, Severity
from .rules import RULES

FORMAT: Final = 1
"""The form of the JSON report; a higher number may change or remove keys."""

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_GITHUB: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_GITLAB: Final = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}


def shown_path(path: Path, base: Path) -> str:
    """A path as reports show it: relative to a folder where it lies below it."""
    for one, other in ((path.absolute(), base.absolute()), (path.resolve(), base.resolve())):
        if one.is_relative_to(other):
            return one.relative_to(other).as_posix()
    return path.as_posix()


def text(report: Report, base: Path, style: Callable[[Severity, str], str] | None = None) -> str:
    """For people: each finding with its safer form, then a summary.

    Args:
        report: The report.
        base: The folder that paths are relative to.
        style: Colors the words of a severity.
    """
    paint = style or (lambda _, words: words)
    lines: list[str] = []
    for one in report.findings:
        place = f"{shown_path(one.path, base)}:{one.line}"
        lines.append(
            f"{place}: {paint(one.severity, one.severity.value)}: {one.message} [{one.rule}]"
        )
        if one.safer is not None:
            lines.append("    Safer:")
            lines += [f"        {line}".rstrip() for line in one.safer.splitlines()]
    for unknown in report.not_understood:
        place = f"{shown_path(unknown.path, base)}:{unknown.line}"
        lines.append(f"{place}: not understood: {unknown.words}")
    if lines:
        lines.append("")
    lines.append(summary(report))
    return "\n".join(lines)


def summary(report: Report) -> str:
    """How much was judged and what was found, in one line."""
    judged = counted(report.scripts, "script") + ", " + counted(report.statements, "statement")
    found = ", ".join(counted(report.count(severity), severity.value) for severity in Severity)
    unknown = len(report.not_understood)
    tail = f" {counted(unknown, 'statement')} not understood." if unknown else ""
    return f"{judged} for {', '.join(report.servers)}: {found}.{tail}"


def as_json(report: Report, base: Path) -> str:
    """For programs."""
    return _dumped(
        {
            "format": FORMAT,
            "ok": report.ok,
            "servers": list(report.servers),
            "scripts": report.scripts,
            "statements": report.statements,
            "findings": [
                {
                    "rule": one.rule,
                    "severity": one.severity.value,
                    "message": one.message,
                    "safer": one.safer,
                    "path": shown_path(one.path, base),
                    "line": one.line,
                    "version": one.version or None,
                    "servers": list(one.servers),
                    "source": one.source,
                }
                for one in report.findings
            ],
            "not_understood": [
                {"path": shown_path(one.path, base), "line": one.line, "words": one.words}
                for one in report.not_understood
            ],
        }
    )


def sarif(report: Report, base: Path) -> str:
    """SARIF 2.1.0, for code scanning views and editors."""
    used = list(dict.fromkeys(one.rule for one in report.findings))
    return _dumped(
        {
            "$schema": _SARIF_SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "manticore_lint",
                            "rules": [_sarif_rule(name) for name in used],
                        }
                    },
                    "columnKind": "unicodeCodePoints",
                    "results": [
                        {
                            "ruleId": one.rule,
                            "ruleIndex": used.index(one.rule),
                            "level": one.severity.value,
                            "message": {"text": _with_safer(one)},
                            "locations": [_sarif_location(one, base)],
                            "partialFingerprints": {"manticore/v1": fingerprint},
                        }
                        for one, fingerprint in _fingerprints(report, base)
                    ],
                }
            ],
        }
    )


def _sarif_rule(name: str) -> dict[str, Any]:
    rule = RULES[name]
    return {
        "id": name,
        "shortDescription": {"text": rule.why.partition("\n")[0]},
        "fullDescription": {"text": rule.why},
        "helpUri": rule.source,
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _sarif_location(one: Finding, base: Path) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(shown_path(one.path, base))},
            "region": {"startLine": one.line},
        }
    }


def _with_safer(one: Finding) -> str:
    return one.message if one.safer is None else f"{one.message}\n\nSafer:\n{one.safer}"


def github(report: Report, base: Path) -> str:
    """Workflow commands that GitHub Actions turns into annotations."""
    lines = []
    for one in report.findings:
        place = f"file={_property(shown_path(one.path, base))},line={one.line}"
        title = f"title={_property(one.rule)}"
        lines.append(f"::{_GITHUB[one.severity]} {place},{title}::{_data(_with_safer(one))}")
    return "\n".join(lines)


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def gitlab(report: Report, base: Path) -> str:
    """A code quality report for GitLab's merge requests."""
    return _dumped(
        [
            {
                "description": one.message,
                "check_name": one.rule,
                "fingerprint": fingerprint,
                "severity": _GITLAB[one.severity],
                "location": {
                    "path": shown_path(one.path, base),
                    "lines": {"begin": one.line},
                },
            }
            for one, fingerprint in _fingerprints(report, base)
        ]
    )


def _fingerprints(report: Report, base: Path) -> Iterator[tuple[Finding, str]]:
    """The findings, each with what tells it from all others, however lines move."""
    found: Counter[tuple[str, ...]] = Counter()
    for one in report.findings:
        parts = (one.rule, shown_path(one.path, base), one.message)
        again = (str(found[parts]),) if found[parts] else ()  # the same statement, further down
        found[parts] += 1
        text = "\0".join((*parts, *again))
        yield one, hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _dumped(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


#: The formats of views of a repository, which take paths from its top.
OF_REPOSITORY: Final = frozenset(("sarif", "github", "gitlab"))
#: The formats by name, except text, which may have colors.
FORMATS: Final[Mapping[str, Callable[[Report, Path], str]]] = {
    "text": text,
    "json": as_json,
    "sarif": sarif,
    "github": github,
    "gitlab": gitlab,
}
