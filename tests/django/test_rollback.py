"""`manticore_rollback`: what it reverts, and that it asks first."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from tests.django.conftest import Ran, Site
from tests.django.test_migrate import heading

Manage = Callable[..., Ran]


@pytest.fixture
def three(site: Site) -> Site:
    """Three scripts, applied."""
    for version, table in enumerate(("a", "b", "c"), 1):
        site.script(f"V{version}__{table}", f"CREATE TABLE {table} (id INT)", f"DROP TABLE {table}")
    site.call("manticore_migrate")
    return site


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_it_reverts_the_last_one(three: Site) -> None:
    assert three.call("manticore_rollback", interactive=False) == (
        f"{heading(three)}\n"
        "Operations to perform:\n"
        f"  Revert the last script: {three.folder}\n"
        "Running migrations:\n"
        "  Reverting V3__c... OK\n"
    )
    assert three.versions() == [1, 2]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"count": 2}, [1]),
        ({"to": 1}, [1]),
        ({"to": 0}, []),
        ({"all": True}, []),
        ({"count": 9}, []),
    ],
)
def test_how_far_can_be_chosen(three: Site, options: dict[str, int], left: list[int]) -> None:
    three.call("manticore_rollback", interactive=False, **options)
    assert three.versions() == left


def test_with_nothing_applied_it_says_so(site: Site) -> None:
    out = site.call("manticore_rollback", interactive=False)
    assert out.endswith("Running migrations:\n  No migrations to roll back.\n")


def test_it_asks_and_continues_after_yes(
    three: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "yes\n")
    ran = manage("manticore_rollback", "--count", "2")
    assert ran.code == 0
    assert ran.out.startswith(
        "This reverts 2 scripts on the database 'default':\n"
        "    V3__c\n"
        "    V2__b\n"
        "What their down sections drop or delete cannot be recovered.\n"
        "Are you sure?\n"
        "\n"
        "    Type 'yes' to continue, or 'no' to cancel: "
    )
    assert three.versions() == [1]


def test_what_was_not_confirmed_is_not_reverted(
    three: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def colleague(_prompt: str) -> str:
        three.call("manticore_rollback", interactive=False, verbosity=0)
        return "yes"

    monkeypatch.setattr("builtins.input", colleague)
    ran = manage("manticore_rollback")
    assert ran.code == 5
    assert ran.err == (
        "CommandError: The plan is not the one that was confirmed: reverting V3__c. "
        "Now it is: reverting V2__b. Look at the new plan and confirm that one. Nothing was run.\n"
    )
    assert "Reverting" not in ran.out
    assert three.versions() == [1, 2]


def test_anything_but_yes_cancels(
    three: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "y\n")
    ran = manage("manticore_rollback")
    assert ran.code == 0
    assert ran.out.endswith("Canceled: nothing was changed.\n")
    assert three.versions() == [1, 2, 3]


def test_with_nobody_to_ask_it_ends_with_2(
    three: Site, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "")
    ran = manage("manticore_rollback")
    assert ran.code == 2
    assert ran.err == (
        "CommandError: Nobody answered, so nothing was done. Use --noinput to run without "
        "confirmation.\n"
    )
    assert three.versions() == [1, 2, 3]


def test_plan_changes_nothing(three: Site) -> None:
    out = three.call("manticore_rollback", plan=True, count=2, verbosity=2)
    assert [line.partition(" (")[0] for line in out.splitlines()[1:]] == [
        "Planned operations:",
        "Reverting V3__c",
        "    line 3: DROP TABLE c",
        "Reverting V2__b",
        "    line 3: DROP TABLE b",
    ]
    report = json.loads(three.call("manticore_rollback", plan=True, json=True))
    assert [step["direction"] for step in report["databases"][0]["steps"]] == ["down"]
    assert three.versions() == [1, 2, 3]


def test_fake_takes_it_out_of_the_ledger_only(three: Site) -> None:
    out = three.call("manticore_rollback", fake=True, interactive=False)
    assert "  Reverting V3__c... FAKED\n" in out
    assert three.versions() == [1, 2]
    assert three.query("SELECT count(*) FROM c") == [(0,)]


def test_a_script_without_a_down_section_ends_with_5(three: Site, manage: Manage) -> None:
    three.script("V3__c", "CREATE TABLE c (id INT)", None)
    ran = manage("manticore_rollback", "--noinput")
    assert ran.code == 5
    assert ran.err.startswith("CommandError: V3__c.sql: version 3 has no down section")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--count", "0"], "argument --count: must be a number of scripts, at least 1; got '0'"),
        (["--all", "--count", "1"], "argument --count: not allowed with argument --all"),
        (["--to", "x"], "argument --to: must be a version, such as 7 or V7; got 'x'"),
    ],
)
def test_wrong_arguments_end_with_2(manage: Manage, arguments: list[str], error: str) -> None:
    ran = manage("manticore_rollback", *arguments)
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == f"manage.py manticore_rollback: error: {error}"


def test_two_ways_of_saying_how_far_are_refused_from_python_too(three: Site) -> None:
    from django.core.management import CommandError

    with pytest.raises(CommandError) as caught:
        three.call("manticore_rollback", count=1, to=1, interactive=False)
    assert str(caught.value) == "Only one of --count, --to and --all can be given."
    assert caught.value.returncode == 2
