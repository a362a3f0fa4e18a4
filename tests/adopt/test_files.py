"""Folders of other tools as they are read and written: pure, without a server."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._scripts.parser import parse_script
from manticore_cockroachdb._scripts.script import Mode
from manticore_cockroachdb.adopt import TOOLS, checksums
from manticore_cockroachdb.adopt.conversion import Conversion, FileState, convert
from manticore_cockroachdb.adopt.numbering import numbered
from manticore_cockroachdb.adopt.table import recognized
from manticore_cockroachdb.adopt.values import Folder, Sure, TheirMigration
from manticore_cockroachdb.adopt.wording import fingerprint, located, without
from manticore_cockroachdb.errors import SettingsError

from .histories import HISTORIES, RAILS, USERS

TARGET = Path("ours")


def folder(files: dict[str, str], root: str = "theirs", *around: str) -> Folder:
    contents = {name: text.encode() for name, text in files.items()}
    return Folder(Path(root), contents, frozenset(around))


def converted(tool: str, files: dict[str, str], *around: str) -> Conversion:
    return convert(TOOLS[tool].read(folder(files, "theirs", *around)), TARGET)


def texts(conversion: Conversion) -> dict[str, str | None]:
    assert conversion.problems == ()
    return {script.script.path.name: script.text for script in conversion.scripts}


# -- recognizing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", HISTORIES)
def test_a_folder_is_recognized_by_its_files(tool: str) -> None:
    history = HISTORIES[tool]

    first = recognized(folder(dict(history.files), history.root), [tool])[0]

    assert first.tool == tool


@pytest.mark.parametrize(
    ("files", "around", "found"),
    [
        ({"structure.sql": RAILS.files["structure.sql"]}, [], [("rails", Sure.CERTAIN)]),
        ({"1_a.up.sql": ""}, [], [("golang-migrate", Sure.LIKELY), ("sqlx", Sure.POSSIBLE)]),
        (
            {"1_a.up.sql": ""},
            ["Cargo.toml"],
            [("sqlx", Sure.LIKELY), ("golang-migrate", Sure.POSSIBLE)],
        ),
        ({"V1__a.sql": ""}, [], [("flyway", Sure.LIKELY), ("refinery", Sure.POSSIBLE)]),
        (
            {"V1__a.sql": ""},
            ["Cargo.toml"],
            [("refinery", Sure.LIKELY), ("flyway", Sure.POSSIBLE)],
        ),
        (
            {"V1.1__a.sql": ""},
            [],
            [("flyway", Sure.CERTAIN)],
        ),
        (
            {"1_a.up.sql": "", "atlas.sum": ""},
            [],
            [("golang-migrate", Sure.POSSIBLE), ("atlas", Sure.POSSIBLE)],
        ),
        (
            {"1_a.up.sql": "SELECT {{ .X }};"},
            [],
            [("pop", Sure.LIKELY), ("golang-migrate", Sure.POSSIBLE), ("sqlx", Sure.POSSIBLE)],
        ),
        (
            {"1_a.up.sql": "SELECT '{{ .X }}'; -- {{ .Y }}"},
            [],
            [("golang-migrate", Sure.LIKELY), ("sqlx", Sure.POSSIBLE)],
        ),
        ({"1_a.up.fizz": ""}, [], [("pop", Sure.CERTAIN)]),
        (
            {"1_a.up.sql": "-- Up migration of a", "1_a.down.sql": "-- down migration"},
            [],
            [
                ("golang-migrate", Sure.LIKELY),
                ("sqlx", Sure.POSSIBLE),
                ("node-pg-migrate", Sure.POSSIBLE),
            ],
        ),
        (
            {"1_a.sql": "-- Up Migration"},
            [],
            [("node-pg-migrate", Sure.CERTAIN), ("sqlx", Sure.POSSIBLE)],
        ),
        ({"1_a.sql": "-- depends: b"}, [], [("yoyo", Sure.LIKELY), ("sqlx", Sure.POSSIBLE)]),
        (
            {"1_a.sql": "-- +goose Up", "atlas.sum": ""},
            [],
            [("goose", Sure.CERTAIN), ("atlas", Sure.POSSIBLE)],
        ),
        ({"notes.txt": ""}, [], []),
        ({}, [], []),
    ],
)
def test_how_sure_it_is_depends_on_what_only_one_tool_has(
    files: dict[str, str], around: list[str], found: list[tuple[str, Sure]]
) -> None:
    seen = recognized(folder(files, "theirs", *around))

    assert [(each.tool, each.sure) for each in seen][: len(found) or None] == found


def test_a_tool_that_is_not_known_is_refused_with_those_that_are() -> None:
    from manticore_cockroachdb.adopt.table import tool_named

    with pytest.raises(SettingsError) as refused:
        tool_named("sqitch")

    assert str(refused.value) == f"There is no tool 'sqitch'; known: {', '.join(TOOLS)}."


# -- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "versions"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([7, 20240101000000], [7, 20240101000000]),
        ([0, 1, 2], [1, 2, 3]),
        ([1, None, 2, 5], [1, 2, 3, 5]),
        ([20240101000000, 20240101000000, 20240102000000],) * 1
        + ([20240101000000, 20240101000001, 20240102000000],),
        ([None, None], [1, 2]),
        ([5, 3, 7], [5, 6, 7]),
        ([], []),
    ],
)
def test_numbers_are_kept_and_only_what_cannot_be_kept_is_renumbered(
    numbers: list[int | None], versions: list[int]
) -> None:
    assert numbered([_numbered(number) for number in numbers]) == versions


@given(st.lists(st.none() | st.integers(0, 30)))
def test_versions_rise_from_1_in_the_order_of_the_migrations(numbers: list[int | None]) -> None:
    versions = numbered([_numbered(number) for number in numbers])

    assert all(version > 0 for version in versions)
    assert versions == sorted(set(versions))
    if numbers == sorted({number for number in numbers if number}):
        assert versions == numbers


def _numbered(number: int | None) -> TheirMigration:
    return TheirMigration(str(number), str(number), "", number, None)


# -- files ---------------------------------------------------------------------------------------

NO_TRANSACTION = "-- manticore: mode=stepwise\n"


@pytest.mark.parametrize(
    ("tool", "files", "written"),
    [
        (
            "golang-migrate",
            {"000007_add_users.up.sql": "SELECT 1;\n", "000007_add_users.down.sql": "SELECT 2;\n"},
            {"V7__add_users.sql": "SELECT 1;\n\n-- DOWN\nSELECT 2;\n"},
        ),
        (
            "goose",
            {
                "1_a.sql": "-- why\n-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\n"
                "DO $$ BEGIN END $$;\n-- +goose StatementEnd\n-- +goose Down\n"
            },
            {"V1__a.sql": f"{NO_TRANSACTION}-- why\n\n\n\nDO $$ BEGIN END $$;\n\n-- DOWN\n"},
        ),
        (
            "dbmate",
            {
                "20240101_a.sql": "-- migrate:up transaction:false\nSELECT 1\n-- migrate:down\nSELECT -1\n"
                "-- migrate:up\nSELECT 2;\n-- migrate:down\nSELECT -2;\n"
            },
            {
                "V20240101__a.sql": f"{NO_TRANSACTION}SELECT 1\n;\n\nSELECT 2;\n\n"
                "-- DOWN\nSELECT -2;\n\n;\n\nSELECT -1\n"
            },
        ),
        (
            "sql-migrate",
            {
                "b.sql": "-- +migrate Up\nSELECT 1;\n",
                "20-a.sql": "/* (c) */\n-- +migrate Up notransaction\nSELECT 2;\n",
            },
            {
                "V20__a.sql": f"{NO_TRANSACTION}/* (c) */\n\nSELECT 2;\n",
                "V21__b.sql": "SELECT 1;\n",
            },
        ),
        (
            "sqlx",
            {"1_a.sql": "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (v);\n"},
            {
                "V1__a.sql": f"{NO_TRANSACTION}-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (v);\n"
            },
        ),
        (
            "flyway",
            {
                "a/V1_2__x.sql": "SELECT 12;",
                "V1__y.sql": "SELECT 1;",
                "V1__y.sql.conf": "executeInTransaction=false\n",
                "U1__y.sql": "SELECT -1;",
                "R__view.sql": "SELECT 0;",
            },
            {
                "V1__y.sql": f"{NO_TRANSACTION}SELECT 1;\n\n-- DOWN\nSELECT -1;\n",
                "V2__x.sql": "SELECT 12;\n",
                "R__view.sql": "SELECT 0;\n",
            },
        ),
        (
            "flyway",
            {"B7__base.sql": "SELECT 7;", "V8__x.sql": "SELECT 8;"},
            {"V7__base.sql": "SELECT 7;\n", "V8__x.sql": "SELECT 8;\n"},
        ),
        (
            "atlas",
            {
                "20240101_a.sql": '-- atlas:delimiter "\\n\\n\\n"\n\nSELECT 1\n\n\nSELECT 2\n',
                "20240102_b.sql": "-- atlas:txtar\n\n-- checks.sql --\nSELECT 0;\n"
                "-- migration.sql --\nSELECT 1;\n-- down.sql --\nSELECT -1;\n",
                "20240103_c.sql": "-- atlas:txmode none\n\nSELECT 3;\n",
            },
            {
                "V20240101__a.sql": "SELECT 1;\nSELECT 2;\n",
                "V20240102__b.sql": "SELECT 1;\n\n-- DOWN\nSELECT -1;\n",
                "V20240103__c.sql": f"{NO_TRANSACTION}SELECT 3;\n",
            },
        ),
        (
            "node-pg-migrate",
            {"1_a.sql": "-- Down Migration\nSELECT -1;\n-- Up Migration\nSELECT 1;\n"},
            {"V1__a.sql": "SELECT 1;\n\n-- DOWN\nSELECT -1;\n"},
        ),
        (
            "yoyo",
            {
                "20240101_01_AbCdE-first.sql": "SELECT 1;\n",
                "20240101_02_FgHiJ.sql": "-- depends: 20240101_01_AbCdE-first\n-- transactional: false\n"
                "SELECT 2;\n",
            },
            {
                "V2024010101__first.sql": "SELECT 1;\n",
                "V2024010102__FgHiJ.sql": f"{NO_TRANSACTION}-- depends: 20240101_01_AbCdE-first\n"
                "-- transactional: false\nSELECT 2;\n",
            },
        ),
        (
            "yoyo",
            {"0001.b.sql": "-- depends: 0002.a\nSELECT 1;\n", "0002.a.sql": "SELECT 2;\n"},
            {"V1__a.sql": "SELECT 2;\n", "V2__b.sql": "-- depends: 0002.a\nSELECT 1;\n"},
        ),
        (
            "liquibase",
            {
                "b.sql": "--liquibase formatted sql\n--changeset al:9 endDelimiter:/ dbms:postgresql\n"
                "SELECT 1\n/\n/* liquibase rollback\nSELECT -1;\n*/\n"
                "--changeset al:10 dbms:mysql\nSELECT 2;\n",
                "root.xml": "<databaseChangeLog><include file='b.sql'/></databaseChangeLog>",
            },
            {"V1__b_9.sql": "SELECT 1\n;\n\n-- DOWN\nSELECT -1;\n"},
        ),
        (
            "alembic",
            dict(HISTORIES["alembic"].files),
            {
                "V1__aaa1.sql": USERS,
                "V2__bbb2.sql": "CREATE TABLE rides (id INT8 PRIMARY KEY, rider INT8);\n\n-- DOWN\n"
                "DROP TABLE rides;\n",
                "V3__ccc3.sql": "CREATE TABLE notes (id INT8 PRIMARY KEY);\n\n-- DOWN\nDROP TABLE notes;\n",
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_tool_would_run_is_what_is_written(
    tool: str, files: dict[str, str], written: dict[str, str]
) -> None:
    assert texts(converted(tool, files)) == written


@pytest.mark.parametrize(
    ("up", "written"),
    [
        ("BEGIN;\nSELECT 1;\nCOMMIT;\n", "SELECT 1;\n"),
        ("SELECT 1;\n-- DOWN\nSELECT 2;\n", "SELECT 1;\n-- note: DOWN\nSELECT 2;\n"),
        ("SELECT 1; -- down\nSELECT 2;\n", "SELECT 1; -- note: down\nSELECT 2;\n"),
        ("-- manticore: ours\nSELECT 1;\n", "-- note: manticore: ours\nSELECT 1;\n"),
        (
            "BEGIN;SELECT 1;COMMIT; -- BEGIN\nSTART TRANSACTION;SELECT 2;END;\n",
            f"{NO_TRANSACTION}SELECT 1; -- BEGIN\nSELECT 2;\n",
        ),
        ("BEGIN;SELECT 1;COMMIT;SELECT 2;\n", f"{NO_TRANSACTION}SELECT 1;SELECT 2;\n"),
        ("\ufeffSELECT 1;\r\nSELECT 2;\r\n", "SELECT 1;\nSELECT 2;\n"),
        ("-- nothing\n", "-- nothing\n"),
        ("", ""),
    ],
)
def test_what_would_mean_something_else_here_is_made_harmless(up: str, written: str) -> None:
    assert texts(converted("golang-migrate", {"1_a.up.sql": up})) == {"V1__a.sql": written}


@pytest.mark.parametrize(
    ("tool", "files", "problem"),
    [
        (
            "golang-migrate",
            {"1_a.up.sql": "SELECT 1;\nSELECT 'x;\n"},
            (
                "1_a.up.sql cannot be converted: 1_a.up.sql:2: this string (') is never closed; "
                "close it. "
                "Write "
                "what it does to a new database as SQL into ours/V1__a.sql (empty if nothing), and run "
                "this "
                "again."
            ),
        ),
        (
            "golang-migrate",
            {"1_a.up.sql": "SELECT 1;\n\nROLLBACK;\n"},
            (
                "1_a.up.sql cannot be converted: 1_a.up.sql:3: 'ROLLBACK' is part of a transaction. "
                "Write what "
                "it "
                "does to a new database as SQL into ours/V1__a.sql (empty if nothing), and run this "
                "again."
            ),
        ),
        (
            "goose",
            {"00002_fill.go": ""},
            (
                "00002_fill.go cannot be converted: it is Go. Write what it does to a new database "
                "as SQL "
                "into "
                "ours/V2__fill.sql (empty if nothing), and run this again."
            ),
        ),
        (
            "flyway",
            {"V1__a.sql": "SELECT 1;", "V2__Fill.java": ""},
            (
                "V2__Fill.java cannot be converted: it is a program (.java), not SQL. Write what "
                "it does to "
                "a new "
                "database as SQL into ours/V2__Fill.sql (empty if nothing), and run this again."
            ),
        ),
        (
            "yoyo",
            {"0001.a.py": "", "0002.b.rollback.sql": ""},
            (
                "0001.a.py cannot be converted: it is Python. Write what it does to a new database "
                "as SQL "
                "into "
                "ours/V1__a.sql (empty if nothing), and run this again."
            ),
        ),
        (
            "pop",
            {
                "1_a.cockroach.up.sql": "",
                "1_a.pg.up.sql": "",
                "1_a.mysql.up.sql": "",
                "2_b.down.sql": "",
            },
            (
                "1_a.cockroach.up.sql: has version 1, and so has 1_a.pg.up.sql. Copy the files for your "
                "server to a separate folder, and name that (--from)."
            ),
        ),
        (
            "pop",
            {"1_a.up.fizz": "", "1_a.down.fizz": ""},
            (
                "1_a.up.fizz cannot be converted: it is fizz, not SQL. Write what it does to a new "
                "database as SQL into ours/V1__a.sql (empty if nothing), and run this again."
            ),
        ),
        (
            "golang-migrate",
            {"1_a.up.sql": "", "01_b.up.sql": ""},
            "1_a.up.sql: is version 1, and so is 01_b.up.sql. Renumber one of them.",
        ),
        (
            "goose",
            {"1_a.sql": "SELECT 1;\n-- +goose Up\n"},
            "1_a.sql:1: a statement before '-- +goose Up', which goose refuses too.",
        ),
        (
            "goose",
            {"1_a.sql": "SELECT 1;\n"},
            "1_a.sql: has no '-- +goose Up' line, so goose refuses it too.",
        ),
        (
            "yoyo",
            {"a.sql": "-- depends: b\nSELECT 1;", "b.sql": "-- depends: a\nSELECT 2;"},
            "the dependencies of a, b form a cycle.",
        ),
        (
            "prisma",
            {"1_a/migration.sql": "", "migration_lock.toml": 'provider = "mysql"\n'},
            "migration_lock.toml: is for mysql, which Manticore does not run on.",
        ),
        (
            "atlas",
            {"1_a.sql": "SELECT 1;", "atlas.sum": "h1:x\n1_a.sql h1:y\n"},
            (
                "1_a.sql: does not fit atlas.sum: it, or a file before it, was changed. Restore it, or "
                "accept "
                "it with `atlas migrate hash`."
            ),
        ),
        (
            "alembic",
            {"env.py": "", "versions/a1_x.py": ""},
            (
                "theirs: Alembic's revisions are Python. Print them with `alembic upgrade "
                "base:head --sql "
                "> "
                "upgrade.sql` and `alembic downgrade head:base --sql > downgrade.sql`, and name "
                "the folder "
                "of "
                "these two files."
            ),
        ),
    ],
)
def test_what_cannot_come_along_is_reported_with_what_to_do(
    tool: str, files: dict[str, str], problem: str
) -> None:
    conversion = converted(tool, files)

    assert [str(remark) for remark in conversion.problems] == [problem]


def test_a_script_written_by_hand_takes_the_place_of_a_program(tmp_path: Path) -> None:
    path = tmp_path / "V2__fill.sql"
    script, _ = parse_script(path, b"UPDATE t SET v = 1;\n")
    assert script is not None
    files = {"1_a.sql": "-- +goose Up\nSELECT 1;\n", "2_fill.go": ""}

    conversion = convert(TOOLS["goose"].read(folder(files)), tmp_path, {2: script})

    assert conversion.problems == ()
    assert [each.state for each in conversion.scripts] == [FileState.NEW, FileState.BY_HAND]


def test_a_down_section_that_does_not_lex_is_left_out_and_reported() -> None:
    conversion = converted("golang-migrate", {"1_a.up.sql": "SELECT 1;", "1_a.down.sql": "\n'"})

    assert texts(conversion) == {"V1__a.sql": "SELECT 1;\n"}
    assert [str(remark) for remark in conversion.left] == [
        (
            "1_a.down.sql:2: its down section cannot be converted: 1_a.down.sql:2: this string (') is "
            "never "
            "closed; "
            "close it"
        )
    ]


@pytest.mark.parametrize("tool", ["golang-migrate", "pop", "sqlx"])
def test_files_that_are_not_utf_8_are_named(tool: str) -> None:
    files = {"1_a.up.sql": b"SELECT 1;\n\xff", "1_a.down.sql": b""}

    conversion = convert(TOOLS[tool].read(Folder(Path("theirs"), files, frozenset())), TARGET)

    assert [str(remark) for remark in conversion.problems] == [
        "1_a.up.sql:2: is not UTF-8: byte 0xff. Save it as UTF-8."
    ]


_BY_HAND = (
    "Write what it does to a new database as SQL into ours/V1__a.sql (empty if nothing), and run this "
    "again."
)
_TEMPLATE = (
    "is not SQL but a template, which some program fills in. Render the files as that program does, and "
    "name the folder with the result (--from)."
)


@pytest.mark.parametrize(
    ("tool", "up", "placeholders", "problem"),
    [
        (
            "golang-migrate",
            'SELECT 1;\nCREATE TABLE {{ index .Options "Namespace" }}.users (id INT8);',
            None,
            f"1_a.up.sql:2: '{{{{ index .Options \"Namespace\" }}}}.users …' {_TEMPLATE}",
        ),
        (
            "sqlx",
            "{% if new %} SELECT 1;",
            {},
            f"1_a.sql:1: '{{% if new %}} SELECT 1;' {_TEMPLATE}",
        ),
        (
            "dbmate",
            "SELECT * FROM ${owner}.users;",
            None,
            "1_a.sql:2: '${owner}' has no value. Give it one in PLACEHOLDERS, as {'owner': …}.",
        ),
        (
            "flyway",
            "SELECT '${a}';",
            None,
            "V1__a.sql:1: '${a}' has no value. Give it one in PLACEHOLDERS, as {'a': …}.",
        ),
        (
            "flyway",
            "SELECT '${a}'; SELECT '${flyway:user}';",
            {"a": "x"},
            f"V1__a.sql:1: only that tool replaces '${{flyway:user}}'. {_BY_HAND}",
        ),
        (
            "goose",
            "-- +goose ENVSUB ON\nSELECT $USER;",
            None,
            f"line 3: only goose replaces '$USER'. {_BY_HAND}",
        ),
        (
            "goose",
            "-- +goose ENVSUB ON\nSELECT '${USER:-me}';",
            {},
            f"1_a.sql:3: only that tool replaces '${{USER:-me}}'. {_BY_HAND}",
        ),
        (
            "refinery",
            "SELECT '${a}';",
            {"a": "x"},
            f"V1__a.sql:1: '${{a}}' is text there, and PLACEHOLDERS replaces it here. {_BY_HAND}",
        ),
        (
            "refinery",
            "SELECT '${b}';",
            {"a": "x"},
            f"V1__a.sql:1: '${{b}}' is text there, and PLACEHOLDERS has no value for it. {_BY_HAND}",
        ),
    ],
)
def test_what_a_program_fills_in_is_not_what_was_run(
    tool: str, up: str, placeholders: dict[str, str] | None, problem: str
) -> None:
    name, text = _one(tool, up)
    reading = TOOLS[tool].read(folder({name: text}))

    conversion = convert(reading, TARGET, placeholders=placeholders)

    assert [str(remark) for remark in conversion.problems] == [
        f"{name} cannot be converted: {problem}"
    ]


@pytest.mark.parametrize(
    ("tool", "up", "placeholders"),
    [
        ("golang-migrate", "SELECT '{{1,2},{3,4}}'::INT8[], '{\"a\": {}}';", {}),
        ("golang-migrate", "SELECT $${{ name }}$$; -- {{ x }} ${y}\n/* {% z %} */", None),
        ("golang-migrate", "SELECT '${x}';", None),
        ("golang-migrate", "SELECT * FROM ${x}.t; -- ${x}", {"x": "public"}),
        ("flyway", "SELECT '${x}'; -- ${x}", {"x": "public"}),
        (
            "goose",
            "-- +goose ENVSUB ON\nSELECT '${x}';\n-- +goose ENVSUB OFF\nSELECT $f$ $$ $f$;",
            {"x": "1"},
        ),
    ],
)
def test_braces_that_are_text_or_have_a_value_are_kept(
    tool: str, up: str, placeholders: dict[str, str] | None
) -> None:
    name, text = _one(tool, up)

    conversion = convert(TOOLS[tool].read(folder({name: text})), TARGET, placeholders=placeholders)

    assert conversion.problems == ()
    assert len(conversion.scripts) == 1


def _one(tool: str, up: str) -> tuple[str, str]:
    """The name and text of a tool's only file."""
    return {
        "golang-migrate": ("1_a.up.sql", up),
        "sqlx": ("1_a.sql", up),
        "dbmate": ("1_a.sql", f"-- migrate:up\n{up}"),
        "goose": ("1_a.sql", f"-- +goose Up\n{up}"),
    }.get(tool, ("V1__a.sql", up))


_COMMITS = "DO $$ BEGIN INSERT INTO t VALUES (1); COMMIT; END $$;"


@pytest.mark.parametrize(
    ("tool", "files", "mode"),
    [
        ("sqlx", {"1_a.sql": "-- no-transaction\nSELECT 1;"}, Mode.STEPWISE),
        (
            "goose",
            {"1_a.sql": f"-- +goose NO TRANSACTION\n-- +goose Up\n{_COMMITS}"},
            Mode.AUTOCOMMIT,
        ),
        (
            "goose",
            {"1_a.sql": "-- +goose NO TRANSACTION\n-- +goose Up\nCALL p();"},
            Mode.AUTOCOMMIT,
        ),
        ("goose", {"1_a.sql": "-- +goose Up\nCALL p();"}, None),
        ("goose", {"1_a.sql": "-- +goose Up\nDO $$ BEGIN commit_all(); END $$;"}, None),
        ("dbmate", {"1_a.sql": f"-- migrate:up transaction:false\n{_COMMITS}"}, Mode.AUTOCOMMIT),
        ("golang-migrate", {"1_a.up.sql": _COMMITS}, Mode.AUTOCOMMIT),
        ("golang-migrate", {"1_a.up.sql": "SELECT 1;", "1_a.down.sql": _COMMITS}, Mode.AUTOCOMMIT),
        (
            "flyway",
            {"V1__a.sql": _COMMITS, "V1__a.sql.conf": "executeInTransaction=false"},
            Mode.AUTOCOMMIT,
        ),
        ("prisma", {"1_a/migration.sql": "DO 'BEGIN ROLLBACK ; END';"}, Mode.AUTOCOMMIT),
    ],
)
def test_a_script_that_runs_without_a_transaction_says_so_in_its_header(
    tool: str, files: dict[str, str], mode: Mode | None
) -> None:
    (script,) = converted(tool, files).scripts

    assert script.script.mode is mode


def test_what_alembic_prints_about_its_own_table_is_left_out_whatever_its_name() -> None:
    printed = (
        "-- Running upgrade  -> a1\n\nUPDATE docs SET version_num='2';\n\n"
        "INSERT INTO app.my_versions (version_num) VALUES ('a1') RETURNING app.my_versions.version_num;\n\n"
        "-- Running upgrade a1 -> b2\n\nSELECT 2;\n\n"
        "UPDATE \"my versions\" SET version_num='b2' WHERE \"my versions\".version_num = 'a1';\n\nCOMMIT;\n"
    )

    assert texts(converted("alembic", {"up.sql": printed})) == {
        "V1__a1.sql": "UPDATE docs SET version_num='2';\n",
        "V2__b2.sql": "SELECT 2;\n",
    }


# -- statement for statement ---------------------------------------------------------------------

STATEMENTS = st.sampled_from(
    [
        "SELECT 1",
        "SELECT ';'",
        "CREATE TABLE t (a INT, b TEXT DEFAULT '-- DOWN')",
        "INSERT INTO t VALUES (1, 'it''s'), (2, E'\\'')",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n  SELECT 1; -- down\n$$",
        'COMMENT ON TABLE "t;" IS $x$ BEGIN; $x$',
        "/* -- DOWN */ SELECT 2",
        "SELECT 3 -- down\n",
    ]
)
MARKERS = {
    "goose": ("1_a.sql", "-- +goose Up\n{up}\n-- +goose Down\n{down}"),
    "dbmate": ("1_a.sql", "-- migrate:up\n{up}\n-- migrate:down\n{down}"),
    "sql-migrate": ("1_a.sql", "-- +migrate Up\n{up}\n-- +migrate Down\n{down}"),
    "node-pg-migrate": ("1_a.sql", "-- Up Migration\n{up}\n-- Down Migration\n{down}"),
}


@pytest.mark.parametrize("tool", MARKERS)
@given(ups=st.lists(STATEMENTS), downs=st.lists(STATEMENTS))
def test_every_statement_of_a_file_is_in_the_script_and_no_other(
    tool: str, ups: list[str], downs: list[str]
) -> None:
    name, pattern = MARKERS[tool]
    up, down = ("".join(f"{each};\n" for each in part) for part in (ups, downs))

    (script,) = converted(tool, {name: pattern.format(up=up, down=down)}).scripts

    assert script.text is not None
    read, problems = parse_script(Path("V1__a.sql"), script.text.encode())
    assert problems == []
    assert read is not None
    assert fingerprint(read.up_sql) == fingerprint(up)
    assert fingerprint(read.down_sql or "") == fingerprint(down)
    assert (script.up_statements, script.down_statements) == (len(ups), len(downs))


@given(st.lists(STATEMENTS, min_size=1), st.integers(0, 10))
def test_a_statement_is_taken_out_with_its_semicolon_and_nothing_else(
    parts: list[str], place: int
) -> None:
    text = "".join(f"{part};\n" for part in parts)
    found = located(text)
    gone = found[place % len(found)]
    left = [each.raw.text for each in found if each is not gone]

    assert [each.raw.text for each in located(without(text, [gone]))] == left


# -- checksums: values that the tools themselves recorded ---------------------------------------------


def test_liquibase_checksums_are_those_that_liquibase_4_4_and_4_28_recorded() -> None:
    table = "CREATE TABLE users (id INT8 PRIMARY KEY,   name TEXT); -- a comment\n"
    function = "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS $$\n  SELECT 1;\n$$\n/\n"

    assert checksums.liquibase(table) == (
        "8:4309415980664ba748e76bbb61089a0f",
        "9:65764ad77c764ed70e35d57c9bb4edcc",
    )
    assert checksums.liquibase(function, split=False, strip=False, delimiter="/") == (
        "8:4d33f6a6d659de62b0b9de835469ffd8",
        "9:e60761aa6f52e19e9182c5ca2225408f",
    )


def test_siphash_is_that_of_its_authors() -> None:
    key0, key1 = 0x0706050403020100, 0x0F0E0D0C0B0A0908

    found = [checksums.siphash13(bytes(range(size)), key0, key1) for size in (0, 1, 8, 15)]

    assert [f"{value.to_bytes(8, 'little').hex()}" for value in found] == SIPHASH13


#: Rust's own vectors for SipHash-1-3 (library/core tests, `test_siphash_1_3`).
SIPHASH13 = ["dcc40f055801acab", "93ca577df39bf4c9", "8e9a298d11959036", "5699512a6dd820d3"]


def test_flyway_counts_no_line_ends_and_no_byte_order_mark() -> None:
    assert checksums.flyway(b"SELECT 1;\nSELECT 2;\n") == checksums.flyway(
        b"\xef\xbb\xbfSELECT 1;\r\nSELECT 2;"
    )
    assert checksums.flyway(b"SELECT 1;") != checksums.flyway(b"SELECT 2;")


def test_atlas_hashes_each_file_with_all_before_it() -> None:
    found = checksums.atlas([("1_a.sql", b"A"), ("2_b.sql", b"B")])

    both = hashlib.sha256(b"1_a.sqlA2_b.sqlB").digest()
    assert found["2_b.sql"] == base64.b64encode(both).decode()


def test_statements_about_the_tools_own_table_are_left_out_and_listed() -> None:
    files = {
        "1_a.up.sql": (
            "CREATE TABLE t (a INT);\nALTER TABLE schema_migrations\n  ADD COLUMN note TEXT;\n"
            "UPDATE \"schema_migrations\" SET note = 'x';\nBEGIN;\nDROP TABLE schema_migrations;\n"
            "CREATE VIEW v AS SELECT version FROM schema_migrations;\nCOMMIT;\n"
        ),
        "1_a.down.sql": "TRUNCATE public.schema_migrations;\nDROP TABLE t, schema_migrations;\n",
    }
    reading = TOOLS["golang-migrate"].read(folder(files, "theirs"))

    conversion = convert(reading, TARGET, own={"schema_migrations"})

    (converted,) = conversion.scripts
    statements = [" ".join(each.text.split()) for each in converted.script.up_statements()]
    assert statements == [
        "CREATE TABLE t (a INT)",
        "CREATE VIEW v AS SELECT version FROM schema_migrations",
    ]
    assert [each.text for each in converted.script.down_statements()] == [
        "DROP TABLE t, schema_migrations"
    ]
    assert (converted.up_statements, converted.down_statements) == (2, 1)
    tail = "is about that tool's own table, which a new database will not have: it is left out."
    assert [(each.message, each.path.name, each.line) for each in conversion.left if each.path] == [
        (f"'ALTER TABLE schema_migrations ADD COLUMN note TEXT' {tail}", "1_a.up.sql", 2),
        (f"'UPDATE \"schema_migrations\" SET note = 'x'' {tail}", "1_a.up.sql", 4),
        (f"'DROP TABLE schema_migrations' {tail}", "1_a.up.sql", 6),
        (f"'TRUNCATE public.schema_migrations' {tail}", "1_a.down.sql", 1),
    ]
