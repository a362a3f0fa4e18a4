"""`${name}` in scripts: what is filled in, what is refused, and what a value must not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb._scripts.parser import parse_script
from manticore_cockroachdb._scripts.placeholders import filled
from manticore_cockroachdb._scripts.script import MigrationScript
from manticore_cockroachdb.errors import FilesRefused


def script(text: str, number: int = 1) -> MigrationScript:
    read, problems = parse_script(Path(f"V{number}__a.sql"), text.encode())
    assert problems == []
    assert read is not None
    return read


def refused(text: str, **values: str) -> list[str]:
    with pytest.raises(FilesRefused) as caught:
        filled([script(text)], values)
    return [str(problem) for problem in caught.value.problems]


def test_both_sections_are_filled_and_the_checksum_stays() -> None:
    raw = script("GRANT SELECT ON t TO ${role};\n-- DOWN\nREVOKE SELECT ON t FROM ${role};")
    (done,) = filled([raw], {"role": "app"})
    assert done.up_sql == "GRANT SELECT ON t TO app;"
    assert done.down_sql == "REVOKE SELECT ON t FROM app;"
    assert done.checksum == raw.checksum


def test_a_script_without_placeholders_is_the_same_object() -> None:
    raw = script("SELECT '$'; -- {}")
    assert filled([raw], {"a": "b"}) == (raw,)
    assert filled([raw], {"a": "b"})[0] is raw


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${b}", "the placeholder ${b} has no value; give it one in PLACEHOLDERS (known: a)."),
        *(
            (
                text,
                (
                    f"{shown!r} is not a placeholder: a name has letters, digits and underscores only, "
                    "such as ${owner}. For a literal '${', define a placeholder whose value is '${'."
                ),
            )
            for text, shown in (
                ("${a.b}", "${a.b}"),
                ("${a:b}", "${a:b}"),
                ("${}", "${}"),
                ("${a", "${a"),
                ("${ a }", "${ a }"),
            )
        ),
    ],
)
def test_an_unknown_placeholder_is_refused_with_its_line(text: str, problem: str) -> None:
    assert refused(f"SELECT 1;\nSELECT '{text}\n';", a="x") == [f"V1__a.sql:2: {problem}"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("O'Brien", "with its placeholders filled in: this string (') is never closed; close it"),
        (
            "x'; COMMIT; SELECT '",
            (
                "with its placeholders filled in: COMMIT: Manticore opens and "
                "closes the transactions; remove it (a header line '-- manticore: mode=atomic' asks for a "
                "single one)"
            ),
        ),
    ],
)
def test_a_value_that_spoils_its_script_is_refused_with_its_line(value: str, problem: str) -> None:
    assert refused("SELECT 1;\nSELECT '${a}';", a=value) == [f"V1__a.sql:2: {problem}"]


def test_a_value_cannot_start_a_down_section() -> None:
    assert refused("SELECT ${a};", a="1;\n-- DOWN\nDROP TABLE t") == [
        "V1__a.sql:2: a placeholder's value has a line '-- DOWN'"
    ]


def test_every_script_is_checked_before_any_is_returned() -> None:
    with pytest.raises(FilesRefused) as caught:
        filled([script("SELECT '${a}'"), script("SELECT ${b}", 2)], {"a": "'"})
    assert [problem.path and problem.path.name for problem in caught.value.problems] == [
        "V1__a.sql",
        "V2__a.sql",
    ]
