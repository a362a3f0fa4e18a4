"""The options in comments that change what the linter says: batches and limits on waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb.lint import lint
from manticore_cockroachdb.scripts import load_scripts
from tests.lint.scripts import judge, script

RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT, price NUMERIC);"
ADD_NOTE = "ALTER TABLE rides ADD COLUMN note TEXT;"
UPDATE = "UPDATE rides SET price = price * 100 WHERE price IS NOT NULL;"


def _rules(up: str, *, server: str = "postgresql") -> list[tuple[str, int]]:
    found = judge(up, given=RIDES, server=server).findings
    judged = ("lock-timeout", "large-write")
    return [(one.rule, one.line) for one in found if one.rule in judged]


def _from_a_file(folder: Path, up: str) -> list[tuple[str, int]]:
    """What is found in a script that was loaded, so that its header is read."""
    (folder / "V1__rides.sql").write_text(f"{RIDES}\n-- DOWN\nDROP TABLE rides;\n", "utf-8")
    (folder / "V2__note.sql").write_text(
        f"{up}\n-- DOWN\nALTER TABLE rides DROP COLUMN note;\n", "utf-8"
    )
    found = lint(load_scripts(folder), server="postgresql", only={2}).findings
    return [(one.rule, one.line) for one in found]


@pytest.mark.parametrize(
    "comment",
    [
        "-- manticore: lock_timeout=2s",
        "-- manticore: mode=stepwise, lock_timeout=500ms",
        "--manticore:LOCK_TIMEOUT=1min",
        "SET lock_timeout = '2s';",
        "SET LOCAL lock_timeout TO 500;",
    ],
)
def test_a_script_with_a_limit_does_not_need_another(tmp_path: Path, comment: str) -> None:
    assert _from_a_file(tmp_path, f"{comment}\n{ADD_NOTE}") == []


@pytest.mark.parametrize(
    "comment",
    [
        "-- lock_timeout=2s",
        "-- manticore: mode=stepwise",
        "-- manticore: lock_timeout=0s",
        "SET lock_timeout = 0;",
        "SET lock_timeout TO DEFAULT;",
    ],
)
def test_what_sets_no_limit_does_not_count(tmp_path: Path, comment: str) -> None:
    assert _from_a_file(tmp_path, f"{comment}\n{ADD_NOTE}") == [("lock-timeout", 2)]


def test_a_limit_before_a_statement_is_that_statements(tmp_path: Path) -> None:
    limited = "-- manticore: lock_timeout=2s"

    assert _from_a_file(tmp_path, f"SELECT 1;\n{limited}\n{ADD_NOTE}") == []
    assert _from_a_file(tmp_path, f"SELECT 1;\n{limited}\nSELECT 2;\n{ADD_NOTE}") == [
        ("lock-timeout", 4)
    ]


def test_a_statements_limit_of_zero_is_stronger_than_the_scripts(tmp_path: Path) -> None:
    up = f"-- manticore: lock_timeout=2s\nSELECT 1;\n-- manticore: lock_timeout=0s\n{ADD_NOTE}"

    assert _from_a_file(tmp_path, up) == [("lock-timeout", 4)]


def test_a_limit_that_all_runs_have_counts() -> None:
    scripts = [script(1, RIDES), script(2, ADD_NOTE)]

    report = lint(scripts, server="postgresql", only={2}, rules={"down-does-not-revert": "off"})
    limited = lint(
        scripts,
        server="postgresql",
        only={2},
        rules={"down-does-not-revert": "off"},
        lock_timeout=2.0,
    )

    assert [one.rule for one in report.findings] == ["lock-timeout"]
    assert limited.findings == ()


@pytest.mark.parametrize("server", ["postgresql", "cockroachdb"])
def test_a_statement_in_batches_is_not_a_large_write(server: str) -> None:
    assert _rules(f"-- manticore: batch=5000 pause=50ms\n{UPDATE}", server=server) == []
    assert _rules(UPDATE, server=server) == [("large-write", 1)]


def test_the_safer_form_of_a_large_write_is_a_batch() -> None:
    (found,) = judge(UPDATE, given=RIDES).findings

    assert found.rule == "large-write"
    assert found.safer == f"-- manticore: batch=5000\n{UPDATE}"


def test_a_batch_is_offered_only_where_it_can_run() -> None:
    of_key = judge("UPDATE rides SET id = id + 1 WHERE price > 0;", given=RIDES)
    grouped = judge("INSERT INTO rides SELECT max(price) FROM prices GROUP BY city;", given=RIDES)
    keyless = judge(UPDATE, given="CREATE TABLE rides (id BIGINT, price NUMERIC);")

    for report in (of_key, grouped, keyless):
        assert [one.safer for one in report.findings if one.rule == "large-write"] == [None]
