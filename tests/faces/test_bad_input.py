"""What is refused before the first statement: every problem at once, and nothing was run."""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb.errors import (
    FilesRefused,
    SettingsError,
)
from tests.flavors import Flavour
from tests.harness import Harness

KNOWN = (
    "known: mode=atomic|stepwise|autocommit, isolation=read committed|repeatable read|serializable, "
    "lock_timeout=2s"
)

#: Nobody listens there: an engine that got as far as connecting would say so.
NOWHERE = "postgresql://nobody:s3cret@127.0.0.1:1/nothing"

OWN_TRANSACTIONS = (
    "Manticore opens and closes the transactions; remove it "
    "(a header line '-- manticore: mode=atomic' asks for a single one)"
)
FORM = (
    "is not a valid script name: expected V<number>__<description>.sql (a capital V, a whole number, two "
    "underscores), for a down section alone the same with U, a checkpoint with B, a repeatable "
    "script R__<description>.sql; rename it or move it away"
)

FILES: dict[str, tuple[dict[str, str | bytes], str]] = {
    "fits no naming rule": ({"V6_one": ""}, f"V6_one.sql: {FORM}"),
    "negative version": ({"V-1__one": ""}, f"V-1__one.sql: {FORM}"),
    "duplicate versions": (
        {"V1__one": "", "V01__uno": ""},
        (
            "V1__one.sql: is version 1, and so is V01__uno.sql; remove one of them, or give "
            "the one that is not applied anywhere another number: manticore_makemigration --renumber FILE"
        ),
    ),
    "version 0": (
        {"V0__one": ""},
        "V0__one.sql: version 0 stands for the empty database: versions begin at 1; rename it",
    ),
    "version beyond INT8": (
        {"V9223372036854775808__one": ""},
        (
            "V9223372036854775808__one.sql: its version is beyond 9223372036854775807, the highest "
            "possible; rename it"
        ),
    ),
    "not UTF-8": (
        {"V1__one": b"SELECT 1;\nSELECT '\xe9'"},
        "V1__one.sql:2: is not UTF-8: byte 0xe9; save the file as UTF-8",
    ),
    "unterminated quote": (
        {"V1__one": "SELECT 1;\n\nSELECT 'a"},
        "V1__one.sql:3: this string (') is never closed; close it",
    ),
    "unterminated comment": (
        {"V1__one": "SELECT 1;\n/* /* */"},
        "V1__one.sql:2: this comment is never closed; close it",
    ),
    "unterminated dollar quote": (
        {"V1__one": "SELECT $body$ $$"},
        "V1__one.sql:1: this $body$ quote is never closed; close it",
    ),
    "BEGIN": ({"V1__one": "BEGIN;"}, f"V1__one.sql:1: BEGIN: {OWN_TRANSACTIONS}"),
    "COMMIT": ({"V1__one": "SELECT 1;\nCOMMIT"}, f"V1__one.sql:2: COMMIT: {OWN_TRANSACTIONS}"),
    "SAVEPOINT": (
        {"V1__one": "SELECT 1;\n-- DOWN\nSAVEPOINT a"},
        f"V1__one.sql:3: SAVEPOINT: {OWN_TRANSACTIONS}",
    ),
    "two down sections": (
        {"V1__one": "-- DOWN\nSELECT 1;\n-- down"},
        "V1__one.sql:3: two down sections: line 1 is '-- DOWN' already; remove one of the two lines",
    ),
    "down section in two files": (
        {"V1__one": "-- DOWN\nSELECT 1;", "U1__one": ""},
        "V1__one.sql:1: has a down section, and U1__one.sql is one too; remove one of the two",
    ),
    "down section of nothing": (
        {"U1__one": ""},
        (
            "U1__one.sql: is a down section, but there is no V1__….sql it belongs to; add that file or "
            "remove this one"
        ),
    ),
    "unknown header option": (
        {"V1__one": "-- manticore: mode=slow\nSELECT 1"},
        f"V1__one.sql:1: unknown option 'mode=slow'; {KNOWN}",
    ),
}


@pytest.mark.parametrize(("files", "message"), FILES.values(), ids=FILES)
async def test_a_bad_file_is_refused_before_anything_is_connected_to(
    flavour: Flavour, tmp_path: Path, files: dict[str, str | bytes], message: str
) -> None:
    harness = Harness(flavour, NOWHERE, NOWHERE, tmp_path / "migrations")
    for name, text in files.items():
        harness.write(name, text)
    engine = harness.engine()
    for verb in (
        engine.load_migrations,
        engine.migrate,
        engine.rollback,
        engine.status,
        engine.plan,
    ):
        with pytest.raises(FilesRefused) as caught:
            await verb()
        assert str(caught.value) == f"{message}. Nothing was run."
    assert harness.events == []


async def test_all_problems_of_all_files_come_at_once_and_nothing_is_run(harness: Harness) -> None:
    harness.write("V1__good", "CREATE TABLE good (i INT8)")
    harness.write("V2__bad", "-- manticore: speed=9\nBEGIN;\nSELECT 'a")
    harness.write("V3_nameless", "")
    harness.write("V4__worse", "-- DOWN\n-- DOWN\n")
    with pytest.raises(FilesRefused) as caught:
        await harness.engine().migrate()
    assert str(caught.value) == "\n  - ".join(
        [
            "5 problems. Nothing was run:",
            f"V3_nameless.sql: {FORM}",
            f"V2__bad.sql:1: unknown option 'speed=9'; {KNOWN}",
            f"V2__bad.sql:2: BEGIN: {OWN_TRANSACTIONS}",
            "V2__bad.sql:3: this string (') is never closed; close it",
            (
                "V4__worse.sql:2: two down sections: line 1 is '-- DOWN' already; remove one of the two "
                "lines"
            ),
        ]
    )
    assert [problem.line for problem in caught.value.problems] == [None, 1, 2, 3, 2]
    assert harness.tables() == []
    assert harness.events == []


async def test_a_missing_folder_is_refused_with_the_command_that_makes_it(
    flavour: Flavour, tmp_path: Path
) -> None:
    folder = tmp_path / "not here"
    engine = flavour.migration(flavour.database(NOWHERE), folder)
    with pytest.raises(FilesRefused) as caught:
        await engine.migrate()
    assert str(caught.value) == (
        f"The migrations folder {folder} does not exist; create it "
        f"with `mkdir -p '{folder}'`, or create the first script, which creates it too. Nothing was run."
    )


@pytest.mark.parametrize("description", ["", "   ", "!?/.."])
async def test_a_description_that_makes_no_file_name_is_refused(
    harness: Harness, description: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        await harness.engine().create_migration(description, "SELECT 1", "")
    assert str(caught.value) == (
        f"the description {description!r} leaves nothing for a file name; say in a few words what "
        'the script does, for example "create users table"'
    )
    assert list(harness.folder.iterdir()) == []
