"""`--json` of a real run: a line for each event, and nothing else on standard output."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from django_manticore.management.json_lines import LAST_LINES
from tests.django.conftest import USERS, Manage, Site


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_each_event_is_a_line(site: Site) -> None:
    site.script(*USERS)
    found = lines(site.call("manticore_migrate", json=True))
    assert {(line["format"], line["database"]) for line in found} == {(1, "default")}
    kinds = [line["event"] for line in found]
    assert kinds[0] == "connected"
    assert kinds[-3:] == ["step_finished", "run_ended", "finished"]
    assert found[-3]["step"]["name"] == USERS[0]
    assert found[-1]["scripts"] == 1
    assert tuple(set(found[-1]) - {"format", "database", "at", "event"}) == LAST_LINES["finished"]
    reverted = lines(site.call("manticore_rollback", json=True, interactive=False))
    assert [line["event"] for line in reverted][-1] == "finished"


def test_a_failure_has_its_file_line_and_exit_code(site: Site, manage: Manage) -> None:
    site.script("V1__bad", "SELECT 1;\nSELECT * FROM nowhere;", "")
    ran = manage("manticore_migrate", "--json")
    last = lines(ran.out)[-1]
    assert ran.code == 4
    assert set(last) == {"format", "database", "at", "event", *LAST_LINES["failed"]}
    assert (last["event"], last["error"], last["exit_code"], last["version"], last["line"]) == (
        "failed",
        "MigrationFailed",
        4,
        1,
        2,
    )
    assert last["path"].endswith("V1__bad.sql")
    assert last["sqlstate"] == "42P01"
    assert last["message"] in ran.err


def test_it_asks_no_questions(site: Site, manage: Manage) -> None:
    site.script(*USERS)
    site.call("manticore_migrate")
    ran = manage("manticore_rollback", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "CommandError: --json asks no questions, and this reverts 1 script. Add --noinput to revert.\n"
    )
    assert site.versions() == [1]


@pytest.mark.needs_postgresql("CockroachDB's schema changes do not wait for such locks")
def test_who_holds_a_lock_that_a_pending_script_needs_is_shown(site: Site) -> None:
    site.script(*USERS)
    site.call("manticore_migrate")
    nobody = "default\n  Nobody holds a lock that a schema change would wait for.\n"
    assert site.call("manticore_migrate", show_blockers=True) == nobody
    site.script("V2__name", "ALTER TABLE users ADD COLUMN name TEXT;", "")
    with psycopg.connect(site.urls["default"], application_name="reporting") as holder:
        holder.execute("SELECT * FROM users")
        shown = site.call("manticore_migrate", show_blockers=True)
        report = json.loads(site.call("manticore_migrate", show_blockers=True, json=True))
        pid = holder.info.backend_pid
    found = [line for line in shown.splitlines() if " on users: " in line]
    assert found[0].startswith(f"  AccessShareLock on users: pid {pid} (")
    assert found[0].endswith(": SELECT * FROM users")
    blocker = report["databases"][0]["blockers"][0]
    assert (blocker["pid"], blocker["application"]) == (pid, "reporting")
    assert site.versions() == [1]
