"""Files, ledger and target that disagree are refused."""

from __future__ import annotations

from typing import Any

import pytest

from manticore_cockroachdb._scripts.parser import parse_script
from manticore_cockroachdb.errors import (
    LedgerRefused,
    PlanRefused,
)
from tests.harness import Harness


async def applied(harness: Harness) -> None:
    """Versions 1, 2, 3 and 5 are applied; 1 has no down section."""
    harness.write("V1__one", "CREATE TABLE one (i INT8);")
    for version, name in ((2, "two"), (3, "three"), (5, "five")):
        up, down = f"CREATE TABLE {name} (i INT8);", f"DROP TABLE {name};"
        harness.write(f"V{version}__{name}", f"{up}\n-- DOWN\n{down}")
    assert await harness.engine().migrate() == 4
    harness.events.clear()


def change(harness: Harness, version: int, name: str) -> tuple[str, str]:
    """Change an applied script; the shortened checksums of what is there now and was applied."""
    path = harness.folder / f"V{version}__{name}.sql"
    before = harness.one(f"SELECT checksum FROM _migrations WHERE version = {version}")
    path.write_text(path.read_text().replace("i INT8", "i INT8, j INT8"))
    script, _ = parse_script(path, path.read_bytes())
    assert script is not None
    return script.checksum[:12], before[:12]


DRIFT = (
    "version {version} was changed after it was applied: its up section's checksum is {new}…, the ledger "
    "has {old}…. Restore the file and put the change into a new script; if the change is harmless (a "
    "comment), accept it with manticore_resolve --accept-checksum {version}."
)
GONE = (
    "version {version} ({name}) is applied but its file is not in the folder, so it cannot be rolled "
    "back. Restore the file; or revert it by hand, and record that with manticore_resolve --not-applied "
    "{version}."
)
NO_DOWN = (
    "version 1 has no down section, so it cannot be rolled back. Add a line '-- DOWN' and the statements "
    "that revert it (none, if there is nothing to do)."
)
OUT_OF_ORDER = (
    "version 4 is pending, but version 5 is applied already. Give it the next free number "
    "(manticore_makemigration --renumber 4), or allow out-of-order scripts (allow_out_of_order=True, "
    "ALLOW_OUT_OF_ORDER in the MANTICORE setting)."
)


async def refused(harness: Harness, verb: str, *arguments: Any, **options: Any) -> str:
    """The message of a verb that refuses the plan; nothing was changed by it."""
    before = harness.tables(), harness.ledger(), harness.record()
    with pytest.raises(PlanRefused) as caught:
        await getattr(harness.engine(), verb)(*arguments, **options)
    assert (harness.tables(), harness.ledger(), harness.record()) == before
    return str(caught.value)


async def test_an_unknown_target_is_refused(harness: Harness) -> None:
    await applied(harness)
    see = "; see status (manticore_showmigrations)."
    for verb in ("migrate", "plan"):
        assert await refused(harness, verb, 4) == (
            "There is no version 4 to migrate to. The folder has versions 1–5, 4 in "
            f"all{see} Nothing was run."
        )
        assert await refused(harness, verb, -1) == (
            "There is no version -1 to migrate to. A target is a version, or 0 for "
            f"none{see} Nothing was run."
        )
    for verb in ("rollback", "plan_rollback"):
        assert await refused(harness, verb, to_version=4) == (
            "There is no version 4 to migrate to. The folder has versions 1–5, 4 in "
            f"all{see} Nothing was run."
        )
    for file in harness.folder.iterdir():
        file.unlink()
    assert await refused(harness, "migrate", 4) == (
        f"There is no version 4 to migrate to. The folder has no scripts{see} Nothing was run."
    )


@pytest.mark.parametrize("count", [0, -1])
async def test_a_rollback_of_less_than_one_is_refused(harness: Harness, count: int) -> None:
    await applied(harness)
    for verb in ("rollback", "plan_rollback"):
        assert await refused(harness, verb, count) == (
            f"The number of migrations to roll back is {count}; it must be 1 or more. Nothing was run."
        )


async def test_a_rollback_over_scripts_without_down_section_or_file_is_refused(
    harness: Harness,
) -> None:
    await applied(harness)
    (harness.folder / "V3__three.sql").unlink()
    message = (
        f"2 problems. Nothing was run:\n  - {GONE.format(version=3, name='three')}"
        f"\n  - V1__one.sql: {NO_DOWN}"
    )
    assert await refused(harness, "rollback", 4) == message
    assert await refused(harness, "rollback", to_version=0) == message
    assert await refused(harness, "migrate", 0) == message
    assert await refused(harness, "rollback", 2) == (
        f"{GONE.format(version=3, name='three')} Nothing was run."
    )


async def test_a_file_that_is_gone_does_not_stop_migrating(harness: Harness) -> None:
    await applied(harness)
    (harness.folder / "V3__three.sql").unlink()
    harness.write("V6__six", "CREATE TABLE six (i INT8)")
    assert await harness.engine().migrate() == 1


async def test_a_pending_version_below_the_highest_applied_one_is_refused(harness: Harness) -> None:
    await applied(harness)
    harness.write("V4__four", "CREATE TABLE four (i INT8)")
    assert await refused(harness, "migrate") == f"V4__four.sql: {OUT_OF_ORDER} Nothing was run."
    assert await harness.engine(allow_out_of_order=True).migrate() == 1
    assert harness.ledger() == [1, 2, 3, 5, 4]


async def test_a_changed_script_is_refused(harness: Harness) -> None:
    await applied(harness)
    new, old = change(harness, 2, "two")
    drift = DRIFT.format(version=2, new=new, old=old)
    harness.write("V6__six", "CREATE TABLE six (i INT8)")
    assert await refused(harness, "migrate") == f"V2__two.sql: {drift} Nothing was run."


async def test_all_problems_of_a_plan_come_at_once(harness: Harness) -> None:
    await applied(harness)
    two, three = change(harness, 2, "two"), change(harness, 3, "three")
    harness.write("V4__four", "CREATE TABLE four (i INT8)")
    assert await refused(harness, "migrate") == "\n  - ".join(
        [
            "3 problems. Nothing was run:",
            f"V2__two.sql: {DRIFT.format(version=2, new=two[0], old=two[1])}",
            f"V3__three.sql: {DRIFT.format(version=3, new=three[0], old=three[1])}",
            f"V4__four.sql: {OUT_OF_ORDER}",
        ]
    )


# -- someone else's table -------------------------------------------------------------------------

NOT_OURS = (
    "The table _migrations is not a Manticore ledger: {reason}. It seems to be another tool's. Give "
    "this project its own table (the `table` argument, or TABLE in the MANTICORE setting), or "
    "rename that one."
)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("version INT8, description TEXT", "it has no column 'applied_at'"),
        ("id INT8, name TEXT", "it has no column 'version', 'description', 'applied_at'"),
        (
            "version INT8, description TEXT, applied_at TIMESTAMPTZ, app TEXT, name TEXT",
            "it has other columns: 'app', 'name'",
        ),
        (
            "version TEXT, description TEXT, applied_at TIMESTAMPTZ",
            "its column 'version' is not an integer",
        ),
    ],
)
async def test_a_ledger_that_is_someone_elses_is_refused(
    harness: Harness, columns: str, reason: str
) -> None:
    harness.ask(f"CREATE TABLE _migrations ({columns})")
    harness.write("V1__one", "CREATE TABLE one (i INT8)")
    engine = harness.engine()
    for verb in (engine.migrate, engine.rollback, engine.status, engine.plan, engine.initialize):
        with pytest.raises(LedgerRefused) as caught:
            await verb()
        assert str(caught.value) == NOT_OURS.format(reason=reason)
    assert harness.tables() == ["_migrations"]
