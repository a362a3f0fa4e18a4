"""Repeatable scripts without a server: their names and order, and when a plan has them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._planner.plan import Rollback, plan_migrate
from manticore_cockroachdb._planner.status import statuses
from manticore_cockroachdb._scripts.script import MigrationScript, checksum
from manticore_cockroachdb._store.ledger import LedgerRow
from manticore_cockroachdb._store.repeatables import RepeatableRow
from manticore_cockroachdb._store.snapshot import Progress, Unfinished
from manticore_cockroachdb.errors import FilesRefused, PartiallyApplied, SettingsError
from manticore_cockroachdb.scripts import (
    create_repeatable_script,
    load_scripts,
    repeatable_template,
)
from manticore_cockroachdb.types import Direction, State

AT = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)


def refused(*folders: Path) -> str:
    with pytest.raises(FilesRefused) as caught:
        load_scripts(folders)
    return str(caught.value)


def names(folder: Path) -> list[int | str]:
    return [script.key for script in load_scripts(folder)]


# Files.


def test_repeatable_scripts_come_after_the_versions_in_the_order_of_their_names(
    folder: Path,
) -> None:
    write(folder, R__b="SELECT 1", V2__x="SELECT 1", R__a="SELECT 1", V1__x="SELECT 1")
    assert names(folder) == [1, 2, "R__a", "R__b"]
    (*_, last) = load_scripts(folder)
    assert (last.version, last.description, last.down_sql) == (0, "b", None)


def test_a_header_says_which_scripts_come_before(folder: Path) -> None:
    write(folder, R__a="-- manticore: after=R__b.sql\nSELECT 1", R__c="SELECT 1")
    write(folder, R__b="-- manticore: mode=stepwise, after=R__my view.sql after=R__c.sql\nSELECT 1")
    write(folder, **{"R__my view": "SELECT 1"})
    assert names(folder) == ["R__c", "R__my view", "R__b", "R__a"]


def test_what_is_wrong_with_repeatable_scripts_is_reported_at_once(folder: Path) -> None:
    write(folder, V1__x="-- manticore: after=R__a.sql\nSELECT 1", R1__x="SELECT 1")
    write(folder, R__a="SELECT 1\n-- DOWN\nSELECT 2", R__A="SELECT 1")
    write(folder, R__b="-- first\n-- manticore: after=R__nothing.sql, after=R__B.sql\nSELECT 1")
    write(folder, R__c="-- manticore: after=V1__x.sql, after=R__c\nSELECT 1")
    write(folder, R__d="-- manticore: mood=good\nSELECT 1")
    assert refused(folder) == (
        "9 problems. Nothing was run:\n"
        "  - R1__x.sql: is not a valid script name: expected V<number>__<description>.sql (a "
        "capital V, a whole "
        "number, two underscores), for a down section alone the same with U, a checkpoint with B, a "
        "repeatable script R__<description>.sql; rename it or move it away\n"
        "  - V1__x.sql:1: after=R__a.sql is for repeatable scripts (R__….sql): versions run in their own "
        "order; remove it\n"
        "  - R__a.sql: is R__A.sql except for the case of its letters, and some disks cannot tell the two "
        "apart; rename one of them\n"
        "  - R__a.sql:2: a '-- DOWN' line, but a repeatable script has no down section: it is never "
        "reverted, only run again; remove the line and the statements after it\n"
        "  - R__b.sql:2: runs after R__nothing.sql, which does not exist; there are: R__A.sql, R__a.sql, "
        "R__c.sql, R__d.sql\n"
        "  - R__b.sql:2: runs after R__B.sql, which does not exist; write R__b.sql\n"
        "  - R__c.sql:1: after= names the file of a repeatable script, and 'V1__x.sql' is none; write it "
        "as in after=R__other.sql\n"
        "  - R__c.sql:1: after= names the file of a repeatable script, and 'R__c' is none; write it as in "
        "after=R__other.sql\n"
        "  - R__d.sql:1: unknown option 'mood=good'; known: mode=atomic|stepwise|autocommit, "
        "isolation=read committed|repeatable read|serializable, lock_timeout=2s, "
        "after=R__name.sql"
    )


def test_scripts_that_wait_for_each_other_are_refused_once_for_each_circle(folder: Path) -> None:
    write(folder, R__a="-- manticore: after=R__c.sql\nSELECT 1")
    write(folder, R__b="-- manticore: after=R__a.sql\nSELECT 1")
    write(folder, R__c="-- x\n-- manticore: after=R__b.sql\nSELECT 1")
    write(folder, R__d="-- manticore: after=R__a.sql\nSELECT 1")
    write(folder, R__e="-- manticore: after=R__e.sql\nSELECT 1")
    assert refused(folder) == (
        "2 problems. Nothing was run:\n"
        "  - R__a.sql:1: runs after itself: R__a.sql after R__c.sql after R__b.sql after R__a.sql; remove "
        "one of these after= options\n"
        "  - R__e.sql:1: runs after itself: R__e.sql after R__e.sql; remove one of these after= options"
    )


def test_a_name_is_taken_once_over_all_folders(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, R__a="SELECT 1")
    write(two, R__a="SELECT 2")
    assert refused(one, two) == (
        f"R__a.sql: has the name of {one / 'R__a.sql'}, and its name is all that "
        "a repeatable script is known by; rename one of them. Nothing was run."
    )


def test_the_checksum_is_of_the_text_with_its_placeholders_filled_in(folder: Path) -> None:
    write(folder, R__a="SELECT '${who}'", V1__a="SELECT '${who}'")
    first, again = load_scripts(folder, placeholders={"who": "me"})
    other, changed = load_scripts(folder, placeholders={"who": "you"})
    assert (again.checksum, changed.checksum) == (
        checksum("SELECT 'me'"),
        checksum("SELECT 'you'"),
    )
    assert first.checksum == other.checksum


@given(st.data())
def test_the_order_keeps_every_after_and_is_by_name_otherwise(
    data: st.DataObject,
) -> None:
    from manticore_cockroachdb._scripts.repeatables import in_order
    from manticore_cockroachdb._scripts.script import After

    count = data.draw(st.integers(1, 12))
    shuffled = data.draw(st.permutations(range(count)))
    wanted: dict[str, tuple[str, ...]] = {}
    for place, number in enumerate(shuffled):  # a script waits for earlier ones of this order only
        earlier = [f"R__{each:02}.sql" for each in shuffled[:place]]
        chosen = data.draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        wanted[f"R__{number:02}.sql"] = tuple(chosen)
    scripts = [
        MigrationScript(0, "x", "", None, Path(name), "", after=tuple(After(f, 1) for f in after))
        for name, after in wanted.items()
    ]
    problems: list[object] = []
    found = [s.path.name for s in in_order(scripts, [s.path for s in scripts], problems)]  # type: ignore[arg-type]
    assert problems == []
    assert sorted(found) == sorted(wanted)
    place_of = {name: place for place, name in enumerate(found)}
    assert all(place_of[before] < place_of[name] for name in wanted for before in wanted[name])
    done: set[str] = set()
    for name in found:  # each is the first by name of those that could run
        ready = [n for n in wanted if n not in done and done.issuperset(wanted[n])]
        assert name == min(ready)
        done.add(name)


# New files.


def test_a_new_repeatable_script_is_named_after_its_description(folder: Path) -> None:
    path = create_repeatable_script(
        folder / "new", "active users", "  CREATE VIEW v AS SELECT 1;\n"
    )
    assert path == folder / "new" / "R__active_users.sql"
    assert path.read_text() == "CREATE VIEW v AS SELECT 1;\n"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("description", "sql", "message"),
    [
        (
            "a",
            "SELECT 1",
            (
                "{folder}/R__a.sql exists already; edit that file: it runs again "
                "when it has changed. No file was written."
            ),
        ),
        (
            "A",
            "SELECT 1",
            (
                "R__A.sql: is R__a.sql except for the case of its letters, and some "
                "disks cannot tell the two apart; rename one of them. No file was written."
            ),
        ),
        (
            "b",
            "SELECT 1;\n-- DOWN\nSELECT 2",
            "up section: a '-- DOWN' line; a repeatable script has no down section. No file was written.",
        ),
    ],
)
def test_a_new_repeatable_script_is_refused_and_nothing_is_overwritten(
    folder: Path, description: str, sql: str, message: str
) -> None:
    write(folder, R__a="SELECT 0")
    with pytest.raises(FilesRefused) as caught:
        create_repeatable_script(folder, description, sql)
    assert str(caught.value) == message.format(folder=folder)
    assert [(each.name, each.read_text()) for each in folder.iterdir()] == [
        ("R__a.sql", "SELECT 0")
    ]


def test_a_description_without_a_letter_makes_no_name(folder: Path) -> None:
    with pytest.raises(SettingsError):
        create_repeatable_script(folder, "…", "SELECT 1")


def test_a_template_that_was_not_filled_in_is_refused(folder: Path) -> None:
    create_repeatable_script(folder, "a", repeatable_template("a"))
    assert refused(folder) == (
        "R__a.sql:2: the script is still the template; write the SQL that runs "
        "again whenever this file changes, such as CREATE OR REPLACE VIEW, or delete this comment if there "
        "is nothing to do. Nothing was run."
    )


# Plans.


def version(number: int) -> MigrationScript:
    return MigrationScript(number, "v", "SELECT 1", "", Path(f"V{number}__v.sql"), f"v{number}")


def again(name: str, text: str = "1") -> MigrationScript:
    return MigrationScript(0, name, "SELECT 1", None, Path(f"R__{name}.sql"), text)


def applied(number: int) -> LedgerRow:
    return LedgerRow(number, "v", AT, f"v{number}")


def row(name: str, text: str | None = "1") -> RepeatableRow:
    return RepeatableRow(f"R__{name}", text, AT, 5, "host:1:ab")


PARTIAL = Unfinished(0, Direction.UP, "R__a")
SCRIPTS = [version(1), version(2), again("a"), again("b")]


@pytest.mark.parametrize(
    ("target", "rows", "repeatables", "unfinished", "steps"),
    [
        (None, [], [], None, [1, 2, "R__a", "R__b"]),
        (None, [1, 2], [], None, ["R__a", "R__b"]),
        (None, [1, 2], [row("a"), row("b")], None, []),
        (None, [1, 2], [row("a", "0"), row("b")], None, ["R__a"]),
        (None, [1, 2], [row("a"), row("b", None)], None, ["R__b"]),
        (None, [1], [row("a"), row("b"), row("gone")], None, [2]),
        # Without a target only: at an earlier version what they need may not be there.
        (2, [], [], None, [1, 2]),
        (1, [1, 2], [], None, [2]),
        (0, [1], [row("a")], None, [1]),
        # What was begun comes first, also where its row says that its text is there.
        (None, [1], [], PARTIAL, ["R__a", 2, "R__b"]),
        (None, [1, 2], [row("a"), row("b")], PARTIAL, ["R__a"]),
    ],
)
def test_a_plan_has_the_repeatable_scripts_whose_text_the_database_has_not(
    target: int | None,
    rows: list[int],
    repeatables: list[RepeatableRow],
    unfinished: Unfinished | None,
    steps: list[int | str],
) -> None:
    plan = plan_migrate(
        SCRIPTS,
        [applied(number) for number in rows],
        target=target,
        unfinished=unfinished,
        repeatables=repeatables,
    )
    assert [step.key for step in plan] == steps


@pytest.mark.parametrize(
    ("scripts", "target", "message"),
    [
        (
            SCRIPTS,
            2,
            (
                "R__a.sql: R__a is partially applied and this would not finish it. Migrate without a "
                "target first. Nothing was run."
            ),
        ),
        (
            [version(1)],
            None,
            (
                "R__a is partially applied and its file is not in the folder. Restore the file "
                "and run again, or record what is true with manticore_resolve --applied R__a or "
                "--not-applied R__a. Nothing was run."
            ),
        ),
    ],
)
def test_what_was_begun_is_not_left_behind(
    scripts: list[MigrationScript], target: int | None, message: str
) -> None:
    with pytest.raises(PartiallyApplied) as caught:
        plan_migrate(scripts, [applied(1)], target=target, unfinished=PARTIAL)
    assert str(caught.value) == message


def test_a_rollback_reverts_versions_alone() -> None:
    goal = Rollback(SCRIPTS, count=9)
    assert [step.key for step in goal.steps([applied(1), applied(2)])] == [2, 1]
    with pytest.raises(PartiallyApplied) as caught:
        goal.steps([applied(1)], PARTIAL)
    assert str(caught.value) == (
        "R__a.sql: R__a is partially applied and this would not finish it. Migrate without a target "
        "first. Nothing was run."
    )


@pytest.mark.parametrize(
    ("repeatables", "unfinished", "states"),
    [
        ([], None, {"R__a": State.PENDING, "R__b": State.PENDING}),
        ([row("a"), row("b", "0")], None, {"R__a": State.APPLIED, "R__b": State.PENDING}),
        ([row("a", None)], None, {"R__a": State.PENDING, "R__b": State.PENDING}),
        (
            [row("b"), row("gone")],
            PARTIAL,
            {
                "R__a": State.PARTIALLY_APPLIED,
                "R__b": State.APPLIED,
                "R__gone": State.MISSING,
            },
        ),
        (
            [row("a")],
            Unfinished(0, Direction.UP, "R__lost"),
            {
                "R__a": State.APPLIED,
                "R__b": State.PENDING,
                "R__lost": State.PARTIALLY_APPLIED,
            },
        ),
    ],
)
def test_where_each_repeatable_script_stands(
    repeatables: list[RepeatableRow], unfinished: Unfinished | None, states: dict[str, State]
) -> None:
    progress = unfinished and Progress(
        unfinished.version, unfinished.direction, 0, in_flight=False, script=unfinished.script
    )
    found = statuses(SCRIPTS, [applied(1), applied(2)], progress, repeatables)
    assert [each.key for each in found[:2]] == [1, 2]
    assert {each.key: each.state for each in found[2:]} == states


def test_what_is_known_of_a_repeatable_script() -> None:
    (found,) = statuses([again("a", "2")], [], None, [row("a")])
    assert (found.version, found.repeatable, found.description) == (0, "R__a", "a")
    assert (found.state, found.applied_at) == (State.PENDING, AT)
    assert (found.applied_by, found.execution_ms) == ("host:1:ab", 5)
