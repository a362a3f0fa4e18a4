"""Lint: what scripts would do to a server, known before they run.

from manticore_cockroachdb.lint import lint

report = lint(migration.load_migrations(), server="cockroachdb:25.4")
for finding in report.findings:
print(finding.path.name, finding.line, finding.rule, finding.message)
"""

from __future__ import annotations

from .engine import lint
from .finding import Finding, NotUnderstood, Report, Severity
from .rule import Rule
from .rules import RULES
from .target import Target

__all__ = [
    "RULES",
    "Finding",
    "NotUnderstood",
    "Report",
    "Rule",
    "Severity",
    "Target",
    "lint",
]
