"""What changes in the tables when a person says what is true of a script: the table of `resolutions`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from manticore_cockroachdb._backend.protocol import Command
from manticore_cockroachdb._planner import resolutions
from manticore_cockroachdb._scripts.direction import Direction
from manticore_cockroachdb._scripts.loader import Loaded
from manticore_cockroachdb._scripts.parser import parse_script
from manticore_cockroachdb._scripts.script import MigrationScript, ScriptKey
from manticore_cockroachdb._store import fenced
from manticore_cockroachdb._store.fenced import Lease
from manticore_cockroachdb._store.ledger import LedgerRow, find_tables
from manticore_cockroachdb._store.run_state import NOBODY
from manticore_cockroachdb._store.snapshot import BatchState, Progress, Snapshot
from manticore_cockroachdb.errors import PlanRefused

TABLES = find_tables("_migrations", (), database="d", schema="public")
LEASE = Lease("us", 3, 30.0)


def script(name: str) -> MigrationScript:
    made, problems = parse_script(Path(f"{name}.sql"), b"SELECT 1;\n-- DOWN\nSELECT 2;")
    assert made is not None, problems
    return made


ONE, TWO = script("V1__one"), script("V2__two")
LOADED = Loaded((ONE, TWO), ())
HALF_ONE = Progress(1, Direction.UP, done=1, in_flight=True)
HALF_TWO = Progress(2, Direction.UP, done=1, in_flight=True)
BATCH_ONE = replace(HALF_ONE, in_flight=False, batch=BatchState("[]", "x", windows=2))
REVERTING_ONE = replace(HALF_ONE, direction=Direction.DOWN)


def seen(*applied: int, progress: Progress | None = None) -> Snapshot:
    rows = tuple(LedgerRow(version, "one", None, checksum="other") for version in applied)
    return Snapshot(rows, replace(NOBODY, progress=progress))


def completed(done: MigrationScript, *, keep: bool = False) -> Command:
    return fenced.complete(TABLES, LEASE, done, Direction.UP, keep=keep)


FORGOTTEN = fenced.clear_progress(TABLES, LEASE)


@pytest.mark.parametrize(
    ("snapshot", "commands"),
    [
        (seen(), [completed(ONE)]),
        (seen(progress=HALF_ONE), [completed(ONE)]),
        (seen(progress=HALF_TWO), [completed(ONE, keep=True)]),
        (seen(1), []),
        (seen(1, progress=REVERTING_ONE), [FORGOTTEN]),
        (seen(1, progress=HALF_TWO), []),
    ],
)
def test_a_script_that_is_applied_gets_its_row_and_is_not_unfinished(
    snapshot: Snapshot, commands: list[Command]
) -> None:
    assert resolutions.applied(LOADED, ONE, snapshot, TABLES, LEASE) == commands


def removed(key: ScriptKey, *, keep: bool = False) -> Command:
    return fenced.remove(TABLES, LEASE, key, keep=keep)


@pytest.mark.parametrize(
    ("key", "snapshot", "commands"),
    [
        (1, seen(1), [removed(1)]),
        (1, seen(1, progress=REVERTING_ONE), [removed(1)]),
        (1, seen(1, progress=HALF_TWO), [removed(1, keep=True)]),
        (1, seen(), []),
        (1, seen(progress=HALF_ONE), [FORGOTTEN]),
        (1, seen(progress=HALF_TWO), []),
        (9, seen(9), [removed(9)]),
    ],
)
def test_a_script_that_is_not_applied_loses_its_row_and_is_not_unfinished(
    key: ScriptKey, snapshot: Snapshot, commands: list[Command]
) -> None:
    assert resolutions.not_applied(LOADED, key, snapshot, TABLES, LEASE) == commands


SEE_STATUS = "see status (manticore_showmigrations). Nothing was changed."


@pytest.mark.parametrize(("key", "called"), [(9, "version 9"), ("R__unknown", "R__unknown")])
def test_what_nothing_knows_is_refused(key: ScriptKey, called: str) -> None:
    for refused in (
        lambda: resolutions.not_applied(LOADED, key, seen(1), TABLES, LEASE),
        lambda: resolutions.script_of(LOADED, key),
        lambda: resolutions.script_on_disk(LOADED, key),
    ):
        with pytest.raises(PlanRefused) as caught:
            refused()
        assert (
            str(caught.value) == f"There is no {called} in the folder or the tables; {SEE_STATUS}"
        )


@pytest.mark.parametrize(
    ("key", "snapshot"),
    [(2, seen(progress=BATCH_ONE)), (1, seen(progress=HALF_ONE)), (1, seen())],
)
def test_only_a_batch_that_has_begun_starts_again(key: ScriptKey, snapshot: Snapshot) -> None:
    commands = resolutions.batch_restarted(1, seen(progress=BATCH_ONE), TABLES, LEASE)
    assert commands == [fenced.forget_batch(TABLES, LEASE)]
    with pytest.raises(PlanRefused) as caught:
        resolutions.batch_restarted(key, snapshot, TABLES, LEASE)
    assert str(caught.value) == (
        f"no statement of version {key} has begun in batches; {SEE_STATUS}"
    )


@pytest.mark.parametrize(
    ("snapshot", "message"),
    [
        (
            seen(1),
            (
                "V2__two.sql: version 2 is not applied, so there is no checksum to accept. Nothing was "
                "changed."
            ),
        ),
        (
            seen(1, 2),
            (
                "V2__two.sql: version 2 is applied as another script ('one'), and this one would never "
                "run. Give it the next free number with manticore_makemigration --renumber 2. Nothing was "
                "changed."
            ),
        ),
    ],
)
def test_a_checksum_is_accepted_for_the_script_that_was_applied(
    snapshot: Snapshot, message: str
) -> None:
    commands = resolutions.checksum_accepted(ONE, snapshot, TABLES, LEASE)
    assert commands == [fenced.accept_checksum(TABLES, LEASE, ONE)]
    with pytest.raises(PlanRefused) as caught:
        resolutions.checksum_accepted(TWO, snapshot, TABLES, LEASE)
    assert str(caught.value) == message
