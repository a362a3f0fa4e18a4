"""Linting as a whole: what is judged, for which server, what is accepted, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb.errors import FilesRefused, SettingsError
from manticore_cockroachdb.lint import RULES, Report, Severity, Target, lint
from manticore_cockroachdb.types import Mode, ServerKind
from tests.lint.scripts import judge, script

RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT, price NUMERIC);"
DROP = "DROP TABLE rides;"


def told(report: Report) -> list[tuple[int, int, str]]:
    return [(one.version, one.line, one.rule) for one in report.findings]


# -- what is judged ------------------------------------------------------------------------------


def test_scripts_that_are_only_known_are_not_judged() -> None:
    scripts = [script(1, RIDES), script(2, DROP), script(3, "DROP TABLE rides")]

    report = lint(scripts, server="postgresql", only={3}, severity="error")

    assert told(report) == [(3, 1, "drop-table"), (3, 1, "missing-object")]
    assert (report.scripts, report.statements) == (1, 1)


def test_what_a_script_makes_itself_may_be_changed_freely() -> None:
    report = judge(
        f"{RIDES}\nCREATE INDEX i ON rides (city);\nALTER TABLE rides ADD CHECK (price > 0);\n"
        "ALTER TABLE rides ALTER city SET NOT NULL;\nALTER TABLE rides RENAME TO trips;\n"
        "DROP INDEX i;\nUPDATE trips SET price = 1;\nDROP TABLE trips;\n"
        "CREATE MATERIALIZED VIEW v AS SELECT 1;\nREFRESH MATERIALIZED VIEW v;\nDROP VIEW v;",
        server="postgresql,cockroachdb",
    )

    assert {one.rule for one in report.findings} == {"unnamed-constraint"}


def test_lines_are_those_of_the_file() -> None:
    report = judge(f"-- a comment\n\n{DROP}\n", given=RIDES, server="postgresql")

    assert {one.line for one in report.findings} == {3}


def test_a_statement_that_is_not_understood_is_counted_and_named() -> None:
    report = judge("FROBNICATE rides NOW;\nDO $$ BEGIN END $$;\nSELECT 1;", server="postgresql")

    assert [(one.line, one.words) for one in report.not_understood] == [
        (1, "FROBNICATE RIDES NOW"),
        (2, "DO"),
    ]


def test_what_follows_a_statement_that_is_not_understood_is_not_guessed_at() -> None:
    given = f"{RIDES} {DROP}"

    assert "missing-object" in {one.rule for one in judge(DROP, given=given).findings}
    report = judge(f"SELECT make_tables(); {DROP}", given=given)
    assert "missing-object" not in {one.rule for one in report.findings}


def test_a_script_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(FilesRefused, match=r"V1__test.sql:2: this string \('\) is never closed"):
        lint([script(1, "SELECT 1;\nSELECT 'x")], server="postgresql")


def test_an_atomic_script_is_judged_as_one() -> None:
    sql = "ALTER TABLE rides ADD COLUMN note TEXT"

    atomic = judge(sql, given=RIDES, mode=Mode.ATOMIC, server="cockroachdb")
    stepwise = judge(sql, given=RIDES, server="cockroachdb")

    assert "atomic-schema-change" in {one.rule for one in atomic.findings}
    assert "atomic-schema-change" not in {one.rule for one in stepwise.findings}


def test_a_table_that_was_just_emptied_has_no_rows_in_the_way() -> None:
    add = "ALTER TABLE rides ADD COLUMN note TEXT NOT NULL;"

    assert "required-column" in {one.rule for one in judge(add, given=RIDES).findings}
    emptied = judge(f"DELETE FROM rides; {add}", given=RIDES)
    assert "required-column" not in {one.rule for one in emptied.findings}


# -- servers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "version"),
    [
        ("cockroachdb:25.4", ServerKind.COCKROACHDB, (25, 4)),
        ("CockroachDB:v24.3.1-beta.1", ServerKind.COCKROACHDB, (24, 3, 1)),
        ("crdb", ServerKind.COCKROACHDB, (26, 2)),
        ("postgres:9.6", ServerKind.POSTGRESQL, (9, 6)),
        (" pg : 17 ", ServerKind.POSTGRESQL, (17,)),
        ("postgresql-17", ServerKind.POSTGRESQL, (17,)),
        ("cockroachdb-v24.1", ServerKind.COCKROACHDB, (24, 1)),
    ],
)
def test_a_server_is_named(text: str, kind: ServerKind, version: tuple[int, ...]) -> None:
    assert Target.parse(text) == Target(kind, version)


def test_a_server_that_was_connected_to_is_a_target() -> None:
    assert str(Target.of(ServerKind.COCKROACHDB, "v25.4.1")) == "cockroachdb:25.4.1"
    assert str(Target.of(ServerKind.POSTGRESQL, "17.2 (Debian)")) == "postgresql:17.2"
    assert str(Target.of(ServerKind.POSTGRESQL, "unknown version")) == "postgresql:18"


@pytest.mark.parametrize("text", ["mysql", "", "postgresql:new", "postgresql=17", ","])
def test_a_server_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="server"):
        lint([], server=text)


def test_a_version_decides_which_rules_apply() -> None:
    sql = "ALTER TABLE rides DROP CONSTRAINT one"
    given = "CREATE TABLE rides (id INT8 PRIMARY KEY, city STRING, CONSTRAINT one UNIQUE (city))"

    found = {
        version: "drop-unique-constraint"
        in {one.rule for one in judge(sql, given=given, server=f"cockroachdb:{version}").findings}
        for version in ("25.4", "26.1", "26.2")
    }

    assert found == {"25.4": True, "26.1": True, "26.2": False}


def test_a_finding_that_several_servers_share_is_reported_once() -> None:
    report = judge(DROP, given=RIDES, server="postgresql:17,cockroachdb:25.4")

    (finding,) = [one for one in report.findings if one.rule == "drop-table"]
    assert finding.servers == ("postgresql:17", "cockroachdb:25.4")


# -- choices -------------------------------------------------------------------------------------


def test_a_rule_may_be_milder_or_off() -> None:
    scripts = [script(1, RIDES), script(2, DROP)]

    mild = lint(scripts, server="postgresql", only={2}, rules={"drop-table": "note"})
    off = lint(scripts, server="postgresql", only={2}, rules={"drop-table": "off"})

    assert [one.severity for one in mild.findings if one.rule == "drop-table"] == [Severity.NOTE]
    assert mild.ok
    assert "drop-table" not in {one.rule for one in off.findings}


def test_findings_milder_than_asked_for_are_left_out() -> None:
    report = lint([script(1, RIDES), script(2, DROP)], server="postgresql", severity="error")

    assert {one.severity for one in report.findings} == {Severity.ERROR}
    assert not report.ok


@pytest.mark.parametrize(
    ("rules", "severity", "message"),
    [
        (
            {"drop-tabel": "off"},
            "note",
            "there is no rule 'drop-tabel'; did you mean 'drop-table'?",
        ),
        ({"zzz": "off"}, "note", "there is no rule 'zzz'"),
        (
            {"drop-table": "fatal"},
            "note",
            "'fatal' is not a severity for the rule 'drop-table'; write 'error', 'warning', 'note', 'off'",
        ),
        ({}, "fatal", "'fatal' is not a severity; write 'error', 'warning', 'note'"),
    ],
)
def test_choices_that_are_not_known_are_refused(
    rules: dict[str, str], severity: str, message: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        lint([], rules=rules, severity=severity)
    assert str(refused.value) == message


# -- allowances ----------------------------------------------------------------------------------


def allowed(up: str, *, server: str = "postgresql") -> list[tuple[int, str]]:
    """The findings of a script, except those these tests are not about."""
    others = {"lock-timeout", "down-does-not-revert"}
    found = judge(up, given=RIDES, server=server).findings
    return [(one.line, one.rule) for one in found if one.rule not in others]


def test_an_allowance_accepts_the_finding_of_the_next_statement() -> None:
    assert allowed(f"-- manticore: allow=drop-table nobody uses it\n{DROP}") == []


def test_an_allowance_may_stand_inside_the_statement() -> None:
    assert allowed("DROP TABLE -- manticore: allow=drop-table nobody uses it\n rides;") == []


def test_an_allowance_may_follow_the_statement_on_its_line() -> None:
    sql = f"{DROP} -- manticore: allow=drop-table nobody uses it\nALTER TABLE others ADD a INT;"

    assert allowed(sql) == []


def test_several_allowances_may_come_before_one_statement() -> None:
    sql = "ALTER TABLE rides DROP COLUMN city, DROP COLUMN price CASCADE"
    before = "-- manticore: allow=drop-column both are unused\n-- manticore: allow=drop-cascade views too\n"

    assert allowed(before + sql) == []


def test_an_allowance_is_for_one_statement_only() -> None:
    sql = (
        "-- manticore: allow=drop-column it is unused\nALTER TABLE rides DROP COLUMN city;\n"
        "ALTER TABLE rides DROP COLUMN price;"
    )

    assert allowed(sql) == [(3, "drop-column")]


def test_an_allowance_of_a_rule_about_scripts_may_stand_anywhere() -> None:
    scripts = [script(1, f"{RIDES}\n-- manticore: allow=missing-down it stays\nSELECT 1", None)]

    assert told(lint(scripts, server="postgresql")) == []


def test_allowances_that_are_wrong_are_findings() -> None:
    sql = (
        "-- manticore: allow=drop-table\nDROP TABLE rides;\n"
        "-- manticore: allow=drop-column it is unused\nSELECT 1;\n"
        "-- manticore: allow=drop-everything because\nSELECT 2;\n"
        "-- manticore: allow=drop-table nothing follows"
    )

    report = judge(sql, given=RIDES, server="postgresql", down=RIDES)
    found = [one for one in report.findings if one.rule != "lock-timeout"]

    assert [(one.line, one.rule, one.severity.value, one.message) for one in found] == [
        (
            1,
            "allowance-without-reason",
            "warning",
            "Write why drop-table is accepted here: allow=drop-table <reason>.",
        ),
        (
            3,
            "unused-allowance",
            "warning",
            "Nothing needs this allowance of drop-column; remove it.",
        ),
        (5, "unknown-allowance", "error", "There is no rule 'drop-everything'."),
        (
            7,
            "unused-allowance",
            "warning",
            "Nothing needs this allowance of drop-table; remove it.",
        ),
    ]


def test_an_allowance_of_a_rule_for_another_server_is_not_unused() -> None:
    sql = "-- manticore: allow=create-index-blocking it is small\nCREATE INDEX i ON rides (city);"

    assert allowed(sql) == []
    assert allowed(sql, server="cockroachdb") == [(2, "needs-space")]


# -- down sections -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("up", "down", "message"),
    [
        ("ALTER TABLE rides ADD note TEXT", "ALTER TABLE rides DROP note", None),
        ("ALTER TABLE rides ADD note TEXT", "", "The down section leaves rides with the column note."),
        ("DROP TABLE rides", "", "The down section leaves rides missing."),
        ("CREATE TABLE trips (id INT8 PRIMARY KEY)", "",
         "The down section leaves trips where there was none."),
        ("CREATE INDEX i ON rides (city)", "", "The down section leaves rides with the index i."),
        ("ALTER TABLE rides ALTER city SET NOT NULL", "",
         "The down section leaves rides with another definition of city."),
        ("ALTER TABLE rides DROP COLUMN city", "ALTER TABLE rides ADD city TEXT", None),
        ("ALTER TABLE other ADD note TEXT", "", None),
        ("UPDATE rides SET city = ''", "", None),
        ("ALTER TABLE rides ADD note TEXT", "SELECT undo_everything()", None),
    ],
)  # fmt: skip
def test_a_down_section_is_compared_with_what_was_before(
    up: str, down: str, message: str | None
) -> None:
    report = judge(up, given=RIDES, down=down)

    found = [one.message for one in report.findings if one.rule == "down-does-not-revert"]
    assert found == ([message] if message else [])


def test_the_finding_about_a_down_section_is_at_its_first_line() -> None:
    report = judge(
        "ALTER TABLE rides ADD a INT,\n ADD b INT;", given=RIDES, down="\nALTER TABLE rides DROP a"
    )

    (finding,) = [one for one in report.findings if one.rule == "down-does-not-revert"]
    assert finding.line == 4


def test_every_finding_names_a_rule_and_its_source() -> None:
    report = judge(DROP, given=RIDES, server="postgresql")

    assert report.findings
    for finding in report.findings:
        assert finding.source == RULES[finding.rule].source
        assert finding.path == Path("V2__test.sql")
