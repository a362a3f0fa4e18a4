"""What a user may choose: the servers, the rules, and how bad their findings are."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..errors import SettingsError
from .finding import Severity
from .rule import Rule
from .rules import RULES
from .target import Target

#: What turns a rule off.
OFF: Final = "off"
_LEVELS: Final = (*(severity.value for severity in Severity), OFF)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The choices, read.

    Attributes:
        targets: The servers to judge for.
        severities: The severity of each rule that does not have its own; None turns it off.
        least: The lowest severity that is reported.
        lock_timeout: Seconds that every run lets a statement wait for a lock at most; None: no limit.
    """

    targets: tuple[Target, ...]
    severities: Mapping[str, Severity | None] = field(default_factory=dict)
    least: Severity = Severity.NOTE
    lock_timeout: float | None = None

    def severity(self, rule: Rule) -> Severity | None:
        """How bad the findings of a rule are; None where it is off, or too mild to be reported."""
        chosen = self.severities.get(rule.id, rule.severity)
        return chosen if chosen is not None and chosen.rank <= self.least.rank else None


def configure(
    server: str | Target | Sequence[str | Target],
    rules: Mapping[str, str] | None = None,
    severity: str = Severity.NOTE.value,
    lock_timeout: float | None = None,
) -> Configuration:
    """Read the choices.

    Args:
        server: `cockroachdb:25.4`, or several, in a list or with commas between them.
        rules: How each rule is reported: "error", "warning", "note" or "off".
        severity: The lowest severity to report.
        lock_timeout: Seconds that every run lets a statement wait for a lock at most; None: no limit.

    Raises:
        SettingsError: A server, a rule or a severity is not known.
    """
    if isinstance(server, str):
        given: Sequence[str | Target] = [part for part in server.split(",") if part.strip()]
    else:
        given = [server] if isinstance(server, Target) else server
    targets = tuple(
        dict.fromkeys(one if isinstance(one, Target) else Target.parse(one) for one in given)
    )
    if not targets:
        raise SettingsError("no server is named; write cockroachdb:25.4 or postgresql:17")
    chosen = {rule: _level(rule, level) for rule, level in (rules or {}).items()}
    least = _LEAST.get(severity)
    if least is None:
        raise SettingsError(f"{severity!r} is not a severity; write {', '.join(map(repr, _LEAST))}")
    return Configuration(targets, chosen, least, lock_timeout)


_LEAST: Final = {severity.value: severity for severity in Severity}


def _level(rule: str, level: str) -> Severity | None:
    if rule not in RULES:
        close = difflib.get_close_matches(rule, RULES, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise SettingsError(f"there is no rule {rule!r}{hint}")
    if level not in _LEVELS:
        raise SettingsError(
            f"{level!r} is not a severity for the rule {rule!r}; write "
            f"{', '.join(map(repr, _LEVELS))}"
        )
    return None if level == OFF else Severity(level)
