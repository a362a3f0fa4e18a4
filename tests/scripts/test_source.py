"""Folders of scripts: reading all, adding one."""

from __future__ import annotations

import multiprocessing
import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from manticore_cockroachdb._scripts.loader import load
from manticore_cockroachdb._scripts.writer import create
from manticore_cockroachdb.errors import FilesRefused, SettingsError

FORM = (
    "is not a valid script name: expected V<number>__<description>.sql (a capital V, a whole number, "
    "two underscores), for a down section alone the same with U, a checkpoint with B, a repeatable "
    "script R__<description>.sql; rename it or move it away"
)


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("SELECT 1;\n", "utf-8")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(act: Callable[[], object]) -> list[str]:
    with pytest.raises(FilesRefused) as caught:
        act()
    return [str(problem) for problem in caught.value.problems]


def test_scripts_come_by_version_whatever_their_zeros(tmp_path: Path) -> None:
    fill(tmp_path, "V10__c.sql", "V2__b.sql", "V0001__a_first.sql", "U2__b.sql")
    scripts = load([tmp_path])
    assert [(script.version, script.description) for script in scripts] == [
        (1, "a first"),
        (2, "b"),
        (10, "c"),
    ]
    assert [script.down_path for script in scripts] == [None, tmp_path / "U2__b.sql", None]


def test_subfolders_hidden_and_other_files_are_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, "README.md", ".V1__hidden.sql", ".V3.reserved", "V1__a.sql")
    fill(tmp_path / "archive.sql", "nonsense.sql")
    assert [script.version for script in load([tmp_path])] == [1]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_name_that_is_not_utf8_is_refused_and_shown_escaped(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/V1__Z\xfcrich.sql")).write_text("SELECT 1", "utf-8")
    assert refused(lambda: load([tmp_path])) == [
        "V1__Z\\xfcrich.sql: its name is not UTF-8, so it cannot be recorded; rename it"
    ]


def test_several_folders_are_one_set_and_one_given_twice_is_one(tmp_path: Path) -> None:
    one, two = fill(tmp_path / "one", "V1__a.sql"), fill(tmp_path / "two", "V2__b.sql")
    assert [script.version for script in load([two, one, tmp_path / "two" / ".." / "one"])] == [
        1,
        2,
    ]
    assert load([]) == ()


def test_every_problem_of_every_file_is_reported_at_once_in_order(tmp_path: Path) -> None:
    fill(tmp_path, "V1__a.sql", "V01__b.sql", "U3__x.sql", "U03__y.sql", "V0__zero.sql",
         "V9223372036854775808__big.sql", "V9223372036854775807__fits.sql", "v5__small.sql",
         "V6_one.sql", "notes.SQL", "V7__bad.sql")  # fmt: skip
    (tmp_path / "V7__bad.sql").write_text("BEGIN;\nSELECT 'a", "utf-8")
    with pytest.raises(FilesRefused) as caught:
        load([tmp_path])
    assert str(caught.value) == "\n  - ".join(
        [
            "10 problems. Nothing was run:",
            f"V6_one.sql: {FORM}",
            f"notes.SQL: {FORM}",
            f"v5__small.sql: {FORM}",
            "V0__zero.sql: version 0 stands for the empty database: versions begin at 1; rename it",
            (
                "V1__a.sql: is version 1, and so is V01__b.sql; remove one of them, or give the "
                "one that is not applied anywhere another number: manticore_makemigration --renumber FILE"
            ),
            (
                "U03__y.sql: is a down section, but there is no V3__….sql it belongs to; "
                "add that file or remove this one"
            ),
            (
                "U3__x.sql: is the down section of version 3, and so is U03__y.sql; "
                "remove one of them, or give the one that is not applied anywhere another number: "
                "manticore_makemigration --renumber FILE"
            ),
            (
                "V7__bad.sql:1: BEGIN: Manticore opens and closes the transactions; remove "
                "it (a header line '-- manticore: mode=atomic' asks for a single one)"
            ),
            "V7__bad.sql:2: this string (') is never closed; close it",
            (
                "V9223372036854775808__big.sql: its version is beyond 9223372036854775807, "
                "the highest possible; rename it"
            ),
        ]
    )


def test_one_version_in_two_folders_names_both_paths(tmp_path: Path) -> None:
    one, two = fill(tmp_path / "one", "V1__a.sql"), fill(tmp_path / "two", "V1__a.sql")
    assert refused(lambda: load([one, two])) == [
        (
            f"V1__a.sql: is version 1, and so is {one / 'V1__a.sql'}; remove one of them, or give the "
            "one that is "
            "not applied anywhere another number: manticore_makemigration --renumber FILE"
        )
    ]


def test_a_missing_folder_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    folder = tmp_path / "my migrations"
    assert refused(lambda: load([folder])) == [
        (
            f"The migrations folder {folder} does not exist; create it with `mkdir -p '{folder}'`, "
            "or create the first script, which creates it too"
        )
    ]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "V1__a.sql")
    file = tmp_path / "V1__a.sql"
    assert refused(lambda: load([file])) == [
        f"{file} is a file, not a folder of migrations; check the path"
    ]
    assert refused(lambda: create(file, "b", "", None)) == [
        (
            f"{file} cannot be written to: File exists; "
            "check the path, its permissions and the space left"
        )
    ]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "V1__gone.sql").symlink_to(tmp_path / "nowhere")
    assert refused(lambda: load([tmp_path])) == [
        "V1__gone.sql: cannot be read: No such file or directory; check its permissions"
    ]


# -- create --------------------------------------------------------------------------------------


def test_the_first_script_makes_the_folder_and_the_next_one_follows(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert create(folder, "create users", "CREATE TABLE users ()", "DROP TABLE users") == (
        folder / "V1__create_users.sql"
    )
    assert create(folder, "more", "SELECT 1", None) == folder / "V2__more.sql"
    assert names(folder) == ["V1__create_users.sql", "V2__more.sql"]
    assert (folder / "V1__create_users.sql").read_bytes() == (
        b"CREATE TABLE users ()\n\n-- DOWN\nDROP TABLE users\n"
    )
    assert [script.version for script in load([folder])] == [1, 2]


def test_the_version_is_higher_than_every_file_and_the_ledger(tmp_path: Path) -> None:
    here, there = fill(tmp_path / "here", "V0004__a.sql"), fill(tmp_path / "there", "U9__b.sql")
    assert create(here, "x", "", None).name == "V5__x.sql"
    assert create(here, "x", "", None, others=[there, tmp_path / "nowhere"]).name == "V10__x.sql"
    assert create(here, "x", "", None, at_least=41).name == "V42__x.sql"


def test_a_timestamp_is_taken_where_it_is_higher(tmp_path: Path) -> None:
    before = int(datetime.now(UTC).strftime("%Y%m%d%H%M%S"))
    name = create(tmp_path, "x", "", None, timestamp=True).name
    version = int(re.fullmatch(r"V(\d{14})__x\.sql", name)[1])  # type: ignore[index]
    assert before <= version <= int(datetime.now(UTC).strftime("%Y%m%d%H%M%S"))
    late = create(tmp_path, "x", "", None, timestamp=True, at_least=99991231000000)
    assert late.name == "V99991231000001__x.sql"


def test_there_is_no_version_beyond_int8(tmp_path: Path) -> None:
    fill(tmp_path, "V9223372036854775807__last.sql")
    assert refused(lambda: create(tmp_path, "x", "", None)) == [
        (
            f"{tmp_path}: the next version would be 9223372036854775808, beyond "
            "9223372036854775807, the highest possible; renumber the newest script"
        )
    ]
    assert names(tmp_path) == ["V9223372036854775807__last.sql"]


def test_a_reservation_left_behind_only_skips_its_number(tmp_path: Path) -> None:
    fill(tmp_path, ".V1.reserved", ".V2.reserved")
    assert create(tmp_path, "x", "", None).name == "V3__x.sql"
    assert create(tmp_path, "y", "", None).name == "V4__y.sql"


def test_nothing_is_written_for_bad_sql_or_a_bad_description(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    assert refused(lambda: create(folder, "x", "SELECT 'a", None)) == [
        "up section, line 1: this string (') is never closed; close it"
    ]
    with pytest.raises(SettingsError):
        create(folder, "...", "SELECT 1", None)
    assert not folder.exists()


def test_file_systems_without_links_are_served_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert create(tmp_path, "x", "SELECT 1", None).name == "V1__x.sql"
    assert names(tmp_path) == ["V1__x.sql"]


def _make_ten(folder: Path, name: str) -> None:
    for number in range(10):
        create(folder, f"{name} {number}", f"SELECT {number};", "SELECT 0;")


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_many_creators_at_once_never_make_one_version_twice(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "new"
    workers: list[threading.Thread | multiprocessing.process.BaseProcess]
    if kind == "threads":
        workers = [threading.Thread(target=_make_ten, args=(folder, f"w{n}")) for n in range(8)]
    else:
        spawn = multiprocessing.get_context("forkserver")
        workers = [spawn.Process(target=_make_ten, args=(folder, f"w{n}")) for n in range(8)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        if folder.exists():
            load([folder])  # what is there is whole, at every moment
    for worker in workers:
        worker.join()
    scripts = load([folder])
    assert len({script.version for script in scripts}) == 80
    assert sorted(script.description for script in scripts) == sorted(
        f"w{worker} {number}" for worker in range(8) for number in range(10)
    )
    assert len(names(folder)) == 80
