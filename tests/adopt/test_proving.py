"""`prove`: the live schema is what the scripts make, or the differences are reported and nothing is
adopted.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manticore_cockroachdb._printing.compare import Change, Difference
from manticore_cockroachdb._printing.objects import ObjectName
from manticore_cockroachdb.adopt.proof import described, not_proved
from manticore_cockroachdb.errors import MigrationFailed, PlanRefused

from .harness import Harness
from .histories import HISTORIES


@pytest.mark.parametrize("tool", HISTORIES)
async def test_a_schema_that_the_scripts_make_is_proved(tool_bench: Harness, tool: str) -> None:
    harness = tool_bench
    harness.make(HISTORIES[tool])

    proof = await harness.adoption(tool=tool).prove()

    assert proof.differences == ()
    assert proof.objects > 2
    assert harness.written() == {}


async def test_what_was_changed_by_hand_stops_the_move(harness: Harness) -> None:
    harness.make(HISTORIES["goose"])
    harness.ask("ALTER TABLE users ADD COLUMN email TEXT")
    harness.ask("CREATE TABLE by_hand (id INT8 PRIMARY KEY)")
    harness.ask("DROP TABLE rides")

    with pytest.raises(PlanRefused) as refused:
        await harness.adoption().apply(prove=True)

    told = [problem.message for problem in refused.value.problems]
    assert told[0] == ("table public.by_hand: the database has it, and no script creates it.")
    assert told[1] == (
        "table public.rides: the scripts create it, and the database does not have it."
    )
    assert told[2].startswith("table public.users: it differs: ")
    assert "email" in told[2]
    assert harness.written() == {}
    assert not harness.has_ledger()


async def test_a_proved_history_is_adopted_and_no_scratch_database_is_left(
    harness: Harness,
) -> None:
    harness.make(HISTORIES["goose"])

    plan = await harness.adoption().apply(prove=True)

    assert len(plan.rows) == 2
    assert harness.ledger() == list(HISTORIES["goose"].versions[:2])
    assert (
        harness.one(
            "SELECT count(*) FROM pg_database WHERE datname LIKE "
            f"'manticore_scratch_{os.getpid()}_%'"
        )
        == 0
    )


async def test_a_script_that_a_new_database_refuses_stops_the_move(harness: Harness) -> None:
    harness.make(HISTORIES["goose"])
    harness.ask("CREATE TABLE by_hand (id INT8 PRIMARY KEY)")
    first = min(harness.theirs.glob("*.sql"))
    text = first.read_text("utf-8")
    first.write_text(
        text.replace("-- +goose Down", "DROP TABLE by_hand;\n\n-- +goose Down"), "utf-8"
    )

    with pytest.raises(PlanRefused) as refused:
        await harness.adoption().apply(prove=True)

    assert str(refused.value).endswith(
        " A script fails on an empty scratch database, as it would on a new one, so nothing was adopted."
    )
    assert "DROP TABLE by_hand failed: " in str(refused.value)
    assert harness.written() == {}
    assert not harness.has_ledger()


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        (
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (a)",
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (a) NOT VALID",
            "the database has 'NOT VALID' where the scripts have nothing",
        ),
        (
            "ALTER TABLE t ADD CHECK (v > 0)",
            "ALTER TABLE t ADD CHECK (v > 1)",
            "the database has '1)' where the scripts have '0)'",
        ),
    ],
)
def test_an_object_that_differs_is_described_by_the_words_that_differ(
    expected: str, found: str, told: str
) -> None:
    name = ObjectName("constraint", "fk on public.t")
    difference = Difference(Change.CHANGED, name, (expected,), (found,))

    assert described(difference) == f"constraint fk on public.t: it differs: {told}."


@pytest.mark.parametrize(
    ("sqlstate", "message", "mode"),
    [
        ("2D000", "invalid transaction termination", "autocommit"),
        ("25001", "VACUUM cannot run inside a transaction block", "autocommit"),
        (
            "0A000",
            "primary key dropped without addition of a new one in same transaction",
            "atomic",
        ),
        ("0A000", "not supported", None),
        ("42P01", "no such table", None),
    ],
)
def test_a_script_that_needs_another_mode_is_reported_with_the_header_to_write(
    sqlstate: str, message: str, mode: str | None
) -> None:
    failed = MigrationFailed(
        f"V1__a.sql:1: {message}\nNothing was applied.",
        version=1,
        path=Path("V1__a.sql"),
        sqlstate=sqlstate,
    )

    (problem,) = not_proved(failed).problems

    assert problem.message == f"V1__a.sql:1: {message}."
    assert problem.hint == (
        f"Write the files (--write), put `-- manticore: mode={mode}` at the top of that script, and run "
        "this again"
        if mode
        else ""
    )
