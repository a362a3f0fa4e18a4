"""Every rule finds its own example, and is satisfied by the form it calls safer."""

from __future__ import annotations

import pytest

from manticore_cockroachdb.lint import RULES, Rule, Target
from tests.lint.scripts import findings_of, judge


def server_of(rule: Rule) -> str:
    """The server of a rule's example: the one it names, or the first the rule is for."""
    if rule.example.server:
        return rule.example.server
    kind = next(iter(rule.servers))
    return Target.parse(kind.name.lower()).kind.name.lower()


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_finds_its_example(rule: Rule) -> None:
    assert findings_of(rule.example, rule.id, server_of(rule)) != []


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_the_safer_form_satisfies_the_rule(rule: Rule) -> None:
    example = rule.example
    found = findings_of(example, rule.id, server_of(rule))
    safer = example.fixed or found[0].safer
    assert safer is not None, "a rule shows a safer form, in its finding or in its example"
    if not safer.upper().startswith(
        (
            "ALTER",
            "CREATE",
            "--",
            "SELECT",
            "SET",
            "DROP",
            "REFRESH",
            "REINDEX",
            "VACUUM",
            "INSERT",
            "UPDATE",
            "TRUNCATE",
            "DELETE",
            "IMPORT",
        )
    ):
        safer = f"CREATE TABLE trips ({safer});"

    report = judge(
        safer, given=example.given, server=server_of(rule), repeatable=example.repeatable
    )

    assert [one for one in report.findings if one.rule == rule.id] == []
    assert report.not_understood == ()


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_is_documented(rule: Rule) -> None:
    assert rule.why.endswith(".")
    assert rule.source.startswith("https://")
    for finding in findings_of(rule.example, rule.id, server_of(rule)):
        assert finding.message[0].isupper() or finding.message.startswith(("schema_locked", "ttl_"))
        assert finding.message.endswith((".", "…"))


def test_there_are_at_least_thirty_five_rules_and_each_server_has_its_own() -> None:
    assert len(RULES) >= 35
    for kind in ("cockroachdb", "postgresql"):
        target = Target.parse(kind)
        assert sum(rule.applies(target) for rule in RULES.values()) >= 25
