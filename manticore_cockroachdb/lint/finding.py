"""What the linter reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Severity(Enum):
    """How bad a finding is."""

    ERROR = "error"
    """The statement fails, loses data, or stops the application: exit code 1."""
    WARNING = "warning"
    """It may do harm: somebody should look."""
    NOTE = "note"
    """Worth knowing."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a rule says of one statement or script.

    Attributes:
    rule: The rule's id.
    severity: How bad it is, after the settings.
    message: What the statement does, in one or two sentences.
    safer: SQL that does the same more safely, with the script's own names; None where there is none.
    path: The script's file.
    line: The line of the statement, from 1.
    version: The script's version.
    source: Where the server's documentation says so.
    servers: The servers it holds for, such as `cockroachdb:25.4`.
    subject: What of the statement it is about, where a statement can have several such findings.
    """

    rule: str
    severity: Severity
    message: str
    safer: str | None
    path: Path
    line: int
    version: int
    source: str
    servers: tuple[str, ...]
    subject: str = ""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A statement that no rule could look at.

    Attributes:
        path: The script's file.
        line: The line of the statement, from 1.
        words: Its first words.
    """

    path: Path
    line: int
    words: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result of linting.

    Attributes:
        findings: Every finding, by script and line.
        scripts: How many scripts were judged.
        statements: How many statements they hold.
        not_understood: The statements among them that are not understood.
        servers: The servers they were judged for.
    """

    findings: tuple[Finding, ...]
    scripts: int
    statements: int
    not_understood: tuple[NotUnderstood, ...]
    servers: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    def count(self, severity: Severity) -> int:
        """How many findings have this severity."""
        return sum(finding.severity is severity for finding in self.findings)
