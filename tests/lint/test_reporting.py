"""Reports in every format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from manticore_cockroachdb.lint import Finding, NotUnderstood, Report, Severity
from manticore_cockroachdb.lint.reporting import FORMATS, text

BASE = Path("/project")
FINDING = Finding(
    rule="create-index-blocking",
    severity=Severity.ERROR,
    message="CREATE INDEX on rides blocks writes, 100% of them.",
    safer="CREATE INDEX CONCURRENTLY i ON rides (city);\n-- done",
    path=BASE / "sql" / "V7__a, b: c.sql",
    line=3,
    version=7,
    source="https://example.org/index",
    servers=("postgresql:17",),
)
NOTE = Finding(
    rule="short-key",
    severity=Severity.NOTE,
    message="The numbers end.",
    safer=None,
    path=Path("/elsewhere/V8__z.sql"),
    line=1,
    version=8,
    source="https://example.org/key",
    servers=("postgresql:17",),
)
REPORT = Report(
    findings=(FINDING, NOTE),
    scripts=2,
    statements=5,
    not_understood=(NotUnderstood(BASE / "sql" / "V7__a, b: c.sql", 9, "FROBNICATE"),),
    servers=("postgresql:17",),
)
NOTHING = Report((), 1, 1, (), ("cockroachdb:25.4",))


def test_text_shows_each_finding_with_its_safer_form_and_a_summary() -> None:
    assert text(REPORT, BASE) == (
        "sql/V7__a, b: c.sql:3: error: CREATE INDEX on rides blocks writes, 100% of them. "
        "[create-index-blocking]\n"
        "    Safer:\n"
        "        CREATE INDEX CONCURRENTLY i ON rides (city);\n"
        "        -- done\n"
        "/elsewhere/V8__z.sql:1: note: The numbers end. [short-key]\n"
        "sql/V7__a, b: c.sql:9: not understood: FROBNICATE\n"
        "\n"
        "2 scripts, 5 statements for postgresql:17: 1 error, 0 warnings, 1 note. "
        "1 statement not understood."
    )


def test_text_of_nothing_is_the_summary() -> None:
    assert text(NOTHING, BASE) == (
        "1 script, 1 statement for cockroachdb:25.4: 0 errors, 0 warnings, 0 notes."
    )


def test_json_has_everything() -> None:
    found = json.loads(FORMATS["json"](REPORT, BASE))

    assert (found["format"], found["ok"], found["servers"]) == (1, False, ["postgresql:17"])
    assert (found["scripts"], found["statements"]) == (2, 5)
    assert found["findings"][0] == {
        "rule": "create-index-blocking",
        "severity": "error",
        "message": FINDING.message,
        "safer": FINDING.safer,
        "path": "sql/V7__a, b: c.sql",
        "line": 3,
        "version": 7,
        "servers": ["postgresql:17"],
        "source": "https://example.org/index",
    }
    assert found["not_understood"] == [
        {"path": "sql/V7__a, b: c.sql", "line": 9, "words": "FROBNICATE"}
    ]
    assert json.loads(FORMATS["json"](NOTHING, BASE))["ok"] is True


def test_sarif_refers_from_results_to_rules() -> None:
    found = json.loads(FORMATS["sarif"](REPORT, BASE))

    (run,) = found["runs"]
    assert found["version"] == "2.1.0"
    assert found["$schema"] == "https://json.schemastore.org/sarif-2.1.0.json"
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["create-index-blocking", "short-key"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
    (location,) = run["results"][0]["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "sql/V7__a%2C%20b%3A%20c.sql"},
        "region": {"startLine": 3},
    }


def test_github_gets_one_line_for_each_finding() -> None:
    assert FORMATS["github"](REPORT, BASE).splitlines() == [
        (
            "::error file=sql/V7__a%2C b%3A c.sql,line=3,title=create-index-blocking::CREATE INDEX on "
            "rides blocks writes, 100%25 of them.%0A%0ASafer:%0ACREATE INDEX CONCURRENTLY i ON rides "
            "(city);%0A-- done"
        ),
        "::notice file=/elsewhere/V8__z.sql,line=1,title=short-key::The numbers end.",
    ]
    assert FORMATS["github"](NOTHING, BASE) == ""


def test_gitlab_gets_a_code_quality_report() -> None:
    found = json.loads(FORMATS["gitlab"](REPORT, BASE))

    assert [one["severity"] for one in found] == ["critical", "info"]
    assert found[0]["location"] == {"path": "sql/V7__a, b: c.sql", "lines": {"begin": 3}}
    assert len({one["fingerprint"] for one in found}) == 2


@pytest.mark.parametrize("name", ["gitlab", "sarif"])
def test_a_fingerprint_stays_when_lines_move(name: str) -> None:
    moved = Report((_moved(FINDING),), 1, 1, (), REPORT.servers)
    here = Report((FINDING,), 1, 1, (), REPORT.servers)

    def prints(report: Report) -> str:
        shown = FORMATS[name](report, BASE)
        return shown.replace('"begin": 99', '"begin": 3').replace(
            '"startLine": 99', '"startLine": 3'
        )

    assert prints(moved) == prints(here)


def _moved(finding: Finding) -> Finding:
    return replace(finding, line=99)


def test_the_same_statement_twice_has_two_fingerprints() -> None:
    report = replace(REPORT, findings=(FINDING, replace(FINDING, line=9), NOTE))

    found = json.loads(FORMATS["gitlab"](report, BASE))

    assert len({one["fingerprint"] for one in found}) == 3
    assert found[0] == json.loads(FORMATS["gitlab"](REPORT, BASE))[0]
