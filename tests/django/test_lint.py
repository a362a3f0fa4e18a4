"""`manticore_lint`, `manticore_migrate --probe` and the setting LINT."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError

from tests.django.conftest import Ran, Site

RIDES = "CREATE TABLE rides (id INT8 PRIMARY KEY, city TEXT NOT NULL, price INT8);"
Manage = Callable[..., Ran]


@pytest.fixture
def applied(site: Site) -> Site:
    """V1 is applied; V2 is pending and drops a column."""
    site.script("V1__rides", RIDES, "DROP TABLE rides;")
    site.call("manticore_migrate", verbosity=0)
    site.script(
        "V2__drop", "ALTER TABLE rides DROP COLUMN city;", "ALTER TABLE rides ADD city TEXT;"
    )
    return site


def rules(ran: Ran) -> list[tuple[str, str]]:
    return [
        (Path(one["path"]).name, one["rule"])
        for one in json.loads(ran.out)["findings"]
        if one["severity"] == "error"
    ]


# -- which scripts -------------------------------------------------------------------------------


def test_what_the_ledger_says_is_pending_is_judged(applied: Site, manage: Manage) -> None:
    ran = manage("manticore_lint", "--format", "json")

    assert ran.code == 1
    assert rules(ran) == [("V2__drop.sql", "drop-column")]
    assert json.loads(ran.out)["scripts"] == 1
    assert "1 error found." in ran.err


def test_with_nothing_pending_nothing_is_found(site: Site, manage: Manage) -> None:
    site.script("V1__rides", RIDES, "DROP TABLE rides;")
    site.call("manticore_migrate", verbosity=0)

    ran = manage("manticore_lint")

    assert ran.code == 0
    assert ran.out.startswith("0 scripts, 0 statements for ")


def test_all_scripts_are_judged_without_a_server(
    applied: Site, manage: Manage, nowhere: None
) -> None:
    ran = manage("manticore_lint", "--all", "--server", "postgresql:17", "--format", "json")

    assert rules(ran) == [("V2__drop.sql", "drop-column")]
    assert json.loads(ran.out)["scripts"] == 2
    assert json.loads(ran.out)["servers"] == ["postgresql:17"]


def test_the_settings_limit_on_waiting_for_a_lock_counts(applied: Site, manage: Manage) -> None:
    def found() -> list[str]:
        ran = manage("manticore_lint", "--server", "postgresql:17", "--format", "json")
        return [one["rule"] for one in json.loads(ran.out)["findings"]]

    assert "lock-timeout" in found()
    applied.entry(DDL_LOCK_TIMEOUT=2)
    assert "lock-timeout" not in found()


@pytest.fixture
def nowhere(site: Site) -> None:
    """The database is out of reach."""
    site.entry(URL="postgresql://nobody@127.0.0.1:1/nowhere?connect_timeout=2")


@pytest.fixture
def repository(applied: Site) -> Site:
    """V1 is committed, V2 is not."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "V1__rides.sql"],
        ["-c", "user.email=a@b.c", "-c", "user.name=A", "commit", "--quiet", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(applied.folder), *arguments], check=True, env=environment)
    return applied


def test_without_a_server_what_git_says_is_new_is_judged(
    repository: Site, manage: Manage, nowhere: None
) -> None:
    ran = manage("manticore_lint", "--server", "postgresql", "--format", "json")

    assert rules(ran) == [("V2__drop.sql", "drop-column")]
    assert json.loads(ran.out)["scripts"] == 1
    assert "Checking the scripts that git says are new instead." in ran.err


def test_since_a_revision_needs_no_server(repository: Site, manage: Manage, nowhere: None) -> None:
    ran = manage("manticore_lint", "--since", "main", "--server", "postgresql", "--format", "json")

    assert rules(ran) == [("V2__drop.sql", "drop-column")]


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ("github", "file=V2__drop.sql,"),
        ("sarif", '"uri": "V2__drop.sql"'),
        ("gitlab", '"path": "V2__drop.sql"'),
    ],
)
def test_views_of_a_repository_get_paths_from_its_top(
    repository: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch, form: str, place: str
) -> None:
    below = repository.folder / "backend"
    below.mkdir()
    monkeypatch.chdir(below)

    ran = manage("manticore_lint", "--since", "main", "--server", "postgresql", "--format", form)

    assert place in ran.out


def test_a_revision_that_git_does_not_know_is_an_error(repository: Site, manage: Manage) -> None:
    ran = manage("manticore_lint", "--since", "nowhere")

    assert ran.code == 1
    assert ran.out == ""
    assert "git does not know the revision 'nowhere'" in ran.err


def test_live_without_a_server_is_an_error_and_not_no_findings(
    repository: Site, manage: Manage, nowhere: None
) -> None:
    for more in ((), ("--all",), ("--since", "main")):
        ran = manage("manticore_lint", "--live", *more)

        assert ran.code == 1
        assert ran.out == ""
        assert "Could not connect to 127.0.0.1:1/" in ran.err


# -- bad input -----------------------------------------------------------------------------------


def test_a_script_that_does_not_lex_is_an_error(site: Site, manage: Manage) -> None:
    site.script("V1__a", "SELECT 'x", None)

    ran = manage("manticore_lint", "--all")

    assert (ran.code, ran.out) == (1, "")
    assert "V1__a.sql:1: this string (') is never closed; close it" in ran.err


def test_a_folder_that_is_missing_is_an_error(site: Site, manage: Manage, tmp_path: Path) -> None:
    site.entry(MIGRATIONS_DIR=tmp_path / "gone")

    ran = manage("manticore_lint", "--all")

    assert (ran.code, ran.out) == (1, "")
    assert f"The migrations folder {tmp_path / 'gone'} does not exist" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--server", "mysql"], "'mysql' is not a server; write cockroachdb:25.4 or postgresql:17"),
        (["--all", "--since", "main"], "not allowed with argument --all"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--database", "zzz"], "MANTICORE has no entry 'zzz'"),
    ],
)
def test_wrong_arguments_are_refused(
    applied: Site, manage: Manage, arguments: list[str], message: str
) -> None:
    ran = manage("manticore_lint", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


# -- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "sarif", "gitlab"])
def test_formats_for_programs_are_json(applied: Site, manage: Manage, form: str) -> None:
    assert json.loads(manage("manticore_lint", "--format", form).out)


def test_text_shows_the_safer_form(applied: Site, manage: Manage) -> None:
    lines = manage("manticore_lint", "--no-color").out.splitlines()

    assert lines[0].endswith(
        "V2__drop.sql:1: error: DROP COLUMN city deletes the column of rides with its data; programs that "
        "still use it fail. [drop-column]"
    )
    assert lines[1:4] == [
        "    Safer:",
        "        -- manticore: allow=drop-column no release uses city any more",
        "        ALTER TABLE rides DROP COLUMN city;",
    ]


def test_an_allowance_in_a_script_is_taken_by_the_command_and_by_a_run(
    applied: Site, manage: Manage
) -> None:
    applied.script(
        "V2__drop",
        "-- manticore: allow=drop-column it is unused\nALTER TABLE rides DROP COLUMN city;",
        "ALTER TABLE rides ADD city TEXT NOT NULL DEFAULT '';",
    )

    assert manage("manticore_lint", "--server", "cockroachdb").code == 0
    applied.call("manticore_migrate", verbosity=0)
    assert applied.versions() == [1, 2]


# -- settings ------------------------------------------------------------------------------------


def test_the_setting_chooses_server_rules_and_severity(applied: Site, manage: Manage) -> None:
    applied.entry(
        LINT={"server": ["postgresql:16", "cockroachdb:24.3"], "rules": {"drop-column": "note"}}
    )

    ran = manage("manticore_lint", "--format", "json")

    assert ran.code == 0
    found = json.loads(ran.out)
    assert found["servers"] == ["postgresql:16", "cockroachdb:24.3"]
    assert {one["rule"]: one["severity"] for one in found["findings"]}["drop-column"] == "note"

    applied.entry(LINT={"severity": "error", "rules": {"drop-column": "off"}})
    assert json.loads(manage("manticore_lint", "--format", "json").out)["findings"] == []


# -- asking the data -----------------------------------------------------------------------------


@pytest.fixture
def with_rows(applied: Site) -> Site:
    applied.query("INSERT INTO rides VALUES (1, 'Rome', 5), (2, 'Rome', NULL)")
    applied.script(
        "V2__unique", "CREATE UNIQUE INDEX by_city ON rides (city);", "DROP INDEX by_city;"
    )
    (applied.folder / "V2__drop.sql").unlink()
    return applied


FOUND = "A row of rides has the same city as another, such as id = 1 and id = 2."


def test_live_finds_rows_that_are_in_the_way(with_rows: Site, manage: Manage) -> None:
    ran = manage("manticore_lint", "--live", "--format", "json")

    found = {one["rule"]: one for one in json.loads(ran.out)["findings"]}
    assert ran.code == 1
    assert found["unique-on-data"]["severity"] == "error"
    assert found["unique-on-data"]["message"] == FOUND


def test_live_drops_what_the_data_refutes(with_rows: Site, manage: Manage) -> None:
    with_rows.query("UPDATE rides SET city = 'Oslo' WHERE id = 2")

    ran = manage("manticore_lint", "--live", "--format", "json")

    assert "unique-on-data" not in {one["rule"] for one in json.loads(ran.out)["findings"]}


def test_a_probe_stops_a_run_before_anything_runs(with_rows: Site, manage: Manage) -> None:
    with_rows.script("V3__more", "CREATE TABLE more (id INT8 PRIMARY KEY);", "DROP TABLE more;")

    ran = manage("manticore_migrate", "--probe")

    assert ran.code == 1
    assert ran.err.strip().endswith(
        "default: the data would make a script fail, so nothing was run:\n"
        f"  - V2__unique.sql:1: {FOUND}"
    )
    assert with_rows.versions() == [1]


def test_a_probe_that_finds_nothing_lets_the_run_continue(with_rows: Site, manage: Manage) -> None:
    with_rows.query("DELETE FROM rides WHERE id = 2")

    assert manage("manticore_migrate", "--probe").code == 0
    assert with_rows.versions() == [1, 2]


def test_a_probe_without_a_server_is_an_error(applied: Site, nowhere: None) -> None:
    with pytest.raises(CommandError, match="Could not connect"):
        applied.call("manticore_migrate", probe=True)
