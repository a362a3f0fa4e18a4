"""How `manticore_migrate` ends, by what went wrong."""

from __future__ import annotations

import pytest

from django_manticore.management import exit_codes
from tests.django.conftest import Manage, Ran, Site


def test_a_failed_statement_ends_with_4_and_is_named(two: Site, manage: Manage) -> None:
    two.script("V3__bad", "SELECT 1;\nSELECT nothing_like_that();")
    ran = manage("manticore_migrate")
    assert ran.code == 4
    assert ran.out.endswith("  Applying V2__add_name... OK\n  Applying V3__bad... FAILED\n")
    assert ran.err.startswith("CommandError: V3__bad.sql:2: ")
    assert two.versions() == [1, 2]


def test_changed_files_end_with_5(two: Site, manage: Manage) -> None:
    manage("manticore_migrate")
    two.script("V2__add_name", "SELECT 2;")
    ran = manage("manticore_migrate")
    assert ran.code == 5
    assert ran.err.startswith(
        "CommandError: V2__add_name.sql: version 2 was changed after it was applied"
    )


def test_bad_files_end_with_1(two: Site, manage: Manage) -> None:
    two.script("V3__open", "SELECT 'never closed")
    ran = manage("manticore_migrate")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("CommandError: V3__open.sql:1: ")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nonsense"], "argument target: must be a version, such as 7 or V7; got 'nonsense'"),
        (
            ["--lock-timeout", "soon"],
            "argument --lock-timeout: must be a number of seconds, at least 0; got 'soon'",
        ),
    ],
)
def test_wrong_arguments_end_with_2(manage: Manage, arguments: list[str], error: str) -> None:
    ran = manage("manticore_migrate", *arguments)
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == f"manage.py manticore_migrate: error: {error}"


@pytest.mark.parametrize("command", ["manticore_migrate", "manticore_lint", "manticore_resolve"])
def test_the_help_of_a_command_says_what_its_exit_codes_mean(manage: Manage, command: str) -> None:
    ran = manage(command, "--help")

    assert (ran.code, ran.err) == (0, "")
    assert " ".join(ran.out.split()).endswith(exit_codes.SUMMARY)


def test_an_unknown_database_ends_with_2(manage: Manage) -> None:
    assert manage("manticore_migrate", "--database", "nowhere") == Ran(
        2,
        "",
        "CommandError: MANTICORE has no entry 'nowhere' (it has: 'default'). Name one with "
        "--database.\n",
    )


def test_a_lease_held_by_another_ends_with_3(two: Site, manage: Manage) -> None:
    two.call("manticore_migrate", "1")
    two.query(
        "UPDATE _migrations_state SET owner = 'elsewhere:1:aa', epoch = epoch + 1, "
        "expires_at = now() + INTERVAL '1 hour'"
    )
    ran = manage("manticore_migrate", "--lock-timeout", "0")
    assert ran.code == 3
    assert ran.err.startswith(
        "CommandError: Timed out after 0 s waiting for the lease, which elsewhere:1:aa holds ("
    )


def test_waiting_for_another_is_reported_at_once(two: Site, manage: Manage) -> None:
    two.call("manticore_migrate", "1")
    two.query(
        "UPDATE _migrations_state SET owner = 'elsewhere:1:aa', epoch = epoch + 1, "
        "expires_at = now() + INTERVAL '1 hour'"
    )
    ran = manage("manticore_migrate", "--lock-timeout", "0.3")
    assert ran.code == 3
    waits = [line for line in ran.out.splitlines() if "Waiting" in line]
    assert len(waits) == 1
    assert waits[0].startswith("    Waiting for elsewhere:1:aa (running scripts, its lease ")


def test_traceback_keeps_the_chain(two: Site) -> None:
    from django.core.management import CommandError

    from manticore_cockroachdb.errors import DatabaseError, MigrationFailed

    two.script("V3__bad", "SELECT nothing_like_that();")
    with pytest.raises(CommandError) as caught:
        two.call("manticore_migrate", traceback=True)
    assert caught.value.returncode == 4
    assert isinstance(caught.value.__cause__, MigrationFailed)
    assert isinstance(caught.value.__cause__.__cause__, DatabaseError)
