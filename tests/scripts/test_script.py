"""A file's text and the migration it means, both ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from manticore_cockroachdb._scripts.filenames import ScriptName, file_name, read_name
from manticore_cockroachdb._scripts.parser import parse_script
from manticore_cockroachdb._scripts.renderer import render
from manticore_cockroachdb._scripts.script import MigrationScript, Mode, checksum
from manticore_cockroachdb._sql.statement import Kind, Statement
from manticore_cockroachdb.errors import FilesRefused, SettingsError

PATH = Path("folder/V7__make_things.sql")
DOWN_PATH = Path("folder/U7__unmake_things.sql")


def parse(text: str | bytes, down: str | bytes | None = None) -> MigrationScript:
    script, problems = parse_script(
        PATH, _raw(text), down if down is None else (DOWN_PATH, _raw(down))
    )
    assert problems == []
    assert script is not None
    return script


def problems_of(text: str | bytes, down: str | bytes | None = None) -> list[str]:
    script, problems = parse_script(
        PATH, _raw(text), down if down is None else (DOWN_PATH, _raw(down))
    )
    assert script is None
    return [str(problem) for problem in problems]


def _own(down: str | bytes | None) -> tuple[Path, bytes] | None:
    return None if down is None else (DOWN_PATH, _raw(down))


def _raw(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def test_a_file_is_read_into_its_parts() -> None:
    script = parse("-- things\n\nCREATE TABLE t (a INT);\n\n-- DOWN\n\n\n  DROP TABLE t;\n\n")
    assert script == MigrationScript(
        version=7,
        description="make things",
        up_sql="-- things\n\nCREATE TABLE t (a INT);",
        down_sql="  DROP TABLE t;",
        path=PATH,
        checksum=checksum("-- things\n\nCREATE TABLE t (a INT);"),
        mode=None,
        up_line=1,
        down_line=8,
        down_path=None,
    )
    assert script.up_statements() == (Statement("CREATE TABLE t (a INT)", 3, Kind.SCHEMA),)
    assert script.down_statements() == (Statement("DROP TABLE t", 8, Kind.SCHEMA),)


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        ("", "", None),
        ("\n\n", "", None),
        ("-- nothing\n", "-- nothing", None),
        ("-- DOWN", "", ""),
        ("-- nothing\n--down\n\n", "-- nothing", ""),
        ("SELECT 1", "SELECT 1", None),
    ],
)
def test_parts_may_be_empty_hold_comments_only_or_be_missing(
    text: str, up: str, down: str | None
) -> None:
    script = parse(text)
    assert (script.up_sql, script.down_sql) == (up, down)
    assert script.down_statements() == ()


def test_byte_order_mark_and_foreign_line_ends_are_read_away() -> None:
    script = parse("\ufeffSELECT 'a\r\nb';\r\n-- DOWN\rSELECT 2;\r\n")
    assert (script.up_sql, script.down_sql) == ("SELECT 'a\nb';", "SELECT 2;")
    assert script.down_statements()[0].line == 4


def test_a_separate_file_is_the_down_section() -> None:
    script = parse("SELECT 1;", "\n\nSELECT 2;\n")
    assert (script.down_sql, script.down_path) == ("SELECT 2;", DOWN_PATH)
    assert script.down_statements() == (Statement("SELECT 2", 3, Kind.DATA),)


@pytest.mark.parametrize(
    ("header", "mode"),
    [
        ("-- manticore: mode=atomic", Mode.ATOMIC),
        ("--  Manticore : MODE=Stepwise  ", Mode.STEPWISE),
        ("-- a comment\n\n/* another */\n-- manticore: mode=atomic, mode=atomic", Mode.ATOMIC),
        ("-- manticore is a beast", None),
        ("/*\n-- manticore: mode=atomic\n*/", None),
        ("SELECT '\n-- manticore: mode=atomic\n';", None),
    ],
)
def test_header_comments_set_the_mode(header: str, mode: Mode | None) -> None:
    assert parse(f"{header}\nSELECT 1;").mode is mode


KNOWN = (
    "known: mode=atomic|stepwise|autocommit, isolation=read committed|repeatable read|serializable, "
    "lock_timeout=2s"
)
OWN_TRANSACTIONS = (
    "Manticore opens and closes the transactions; remove it "
    "(a header line '-- manticore: mode=atomic' asks for a single one)"
)
NEARLY_DOWN = (
    "reads like the start of a down section, but only a line '-- DOWN' starts one, so the statements "
    "after it would run as part of the up section; write '-- DOWN', alone on its line, or put a "
    "comment that is only a comment in quotes"
)
COPY = (
    "COPY with STDIN or STDOUT moves rows through psql's connection, which a script does not have; "
    "write the rows as INSERT statements"
)
OPTIONS_FIRST = (
    "options must come before the first statement of the up section; move this line there"
)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("-- manticore: speed=9", [f"1: unknown option 'speed=9'; {KNOWN}"]),
        ("-- manticore: mode=fast", [f"1: unknown option 'mode=fast'; {KNOWN}"]),
        ("-- manticore: atomic", [f"1: unknown option 'atomic'; {KNOWN}"]),
        ("\n-- manticore:", [f"2: no option is given; {KNOWN}"]),
        ("-- manticore mode=atomic",
         ["1: options are written '-- manticore: mode=atomic', with a colon"]),
        ("-- manticore: mode=atomic\n-- manticore: mode=stepwise",
         ["2: two different modes; remove one of them"]),
        ("SELECT 1;\n-- manticore: mode=atomic", [f"2: {OPTIONS_FIRST}"]),
        ("-- DOWN\n-- manticore: mode=atomic", [f"2: {OPTIONS_FIRST}"]),
        ("SELECT 'a", ["1: this string (') is never closed; close it"]),
        ("SELECT 1;\n/* a", ["2: this comment is never closed; close it"]),
        ("SELECT $a$", ["1: this $a$ quote is never closed; close it"]),
        ("BEGIN;\nSELECT 1;\nCOMMIT;\n-- DOWN\nstart transaction;\nSAVEPOINT a",
         [f"1: BEGIN: {OWN_TRANSACTIONS}", f"3: COMMIT: {OWN_TRANSACTIONS}",
          f"5: START TRANSACTION: {OWN_TRANSACTIONS}", f"6: SAVEPOINT: {OWN_TRANSACTIONS}"]),
        ("BEGIN;\nSELECT 'a",
         [f"1: BEGIN: {OWN_TRANSACTIONS}", "2: this string (') is never closed; close it"]),
        ("\\restrict x\n",
         ["1: \\restrict is a command of psql, which no server knows; remove it"]),
        ("SELECT 1;\nCOPY t (a) FROM stdin;\n1\tit's\n\\.\n", [f"2: {COPY}"]),
        ("COPY t TO STDOUT;\nBEGIN", [f"1: {COPY}", f"2: BEGIN: {OWN_TRANSACTIONS}"]),
        ("SELECT 1;\n-- DOWN\nSELECT 2;\n-- down\n",
         ["4: two down sections: line 2 is '-- DOWN' already; remove one of the two lines"]),
        ("SELECT 1;\n-- Down:\nDROP TABLE t;", [f"2: '-- Down:' {NEARLY_DOWN}"]),
        ("SELECT 1;\n-- +goose Down\nDROP TABLE t;", [f"2: '-- +goose Down' {NEARLY_DOWN}"]),
        ("SELECT 1;\n-- migrate:down\nDROP TABLE t;", [f"2: '-- migrate:down' {NEARLY_DOWN}"]),
        ("SELECT 1; -- DOWN\nDROP TABLE t;", [f"1: '-- DOWN' {NEARLY_DOWN}"]),
        ("CREATE TABLE t (a INT)\n-- Down Migration\nDROP TABLE t;",
         [f"2: '-- Down Migration' {NEARLY_DOWN}"]),
        ("SELECT 1;\n/* DOWN */\nDROP TABLE t;", [f"2: '/* DOWN */' {NEARLY_DOWN}"]),
        ("\\set a 1\n\\set b 2\nSELECT :a;\nSELECT 1 \\gset\nSELECT 'C:\\dir';",
         [f"{line}: \\{word} is a command of psql, which no server knows; remove it"
          for line, word in ((1, "set"), (2, "set"), (4, "gset"))]),
        (b"SELECT 1;\nSELECT '\xe9'", ["2: is not UTF-8: byte 0xe9; save the file as UTF-8"]),
        ("SELECT 1".encode("utf-16"), ["1: is UTF-16, not UTF-8; save it as UTF-8"]),
        ("SELECT\n'\0'", ["2: a NUL character, which no server accepts in SQL; remove it"]),
    ],
)  # fmt: skip
def test_what_a_script_must_not_contain_is_refused_with_its_line(
    text: str | bytes, problems: list[str]
) -> None:
    assert problems_of(text) == [f"{PATH.name}:{problem}" for problem in problems]


ALLOWANCE = "-- manticore: allow=drop-table nobody uses it, mode=none"


def test_an_allowance_of_the_linter_may_come_before_any_statement() -> None:
    script = parse(
        f"-- manticore: mode=atomic\n{ALLOWANCE}\nDROP TABLE t;\n{ALLOWANCE}\nDROP TABLE u;"
    )
    assert script.mode is Mode.ATOMIC

    assert parse(f"SELECT 1;\n-- DOWN\n{ALLOWANCE}\nDROP TABLE t").down_sql is not None
    assert parse("SELECT 1", f"{ALLOWANCE}\nDROP TABLE t").down_sql is not None
    assert ALLOWANCE in render(
        f"{ALLOWANCE}\nDROP TABLE t", f"SELECT 1;\n{ALLOWANCE}\nDROP TABLE u"
    )


def test_a_down_section_within_and_beside_the_file_is_refused() -> None:
    assert problems_of("SELECT 1;\n-- DOWN\n", "-- DOWN\nBEGIN;\n-- manticore: mode=atomic") == [
        (
            "V7__make_things.sql:2: has a down section, and U7__unmake_things.sql is one too; "
            "remove one of the two"
        ),
        (
            "U7__unmake_things.sql:1: a '-- DOWN' line, but the whole file is the down section of "
            "V7__make_things.sql; remove it"
        ),
        "U7__unmake_things.sql:3: options belong in V7__make_things.sql; move this line there",
        f"U7__unmake_things.sql:2: BEGIN: {OWN_TRANSACTIONS}",
    ]


def test_words_that_only_look_like_transactions_are_welcome() -> None:
    parse("CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN COMMIT; END $$; SELECT 'BEGIN;';")
    parse("COPY t FROM '/file'; SELECT 1 AS copy; -- rollback: see below\n-- down the road")


# -- checksum ------------------------------------------------------------------------------------


def test_the_checksum_ignores_line_ends_trailing_spaces_and_a_byte_order_mark() -> None:
    plain = checksum("SELECT 1;\n\nSELECT 2;")
    assert checksum("\ufeff\nSELECT 1; \t\r\n  \r\nSELECT 2;\r\n\r\n") == plain
    assert checksum("SELECT 1;\nSELECT 2;") != plain
    assert checksum("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.text(), st.text(alphabet=" \t\r\n"))
def test_spaces_after_a_text_never_change_its_checksum(text: str, blanks: str) -> None:
    assert checksum(text + blanks) == checksum(text)


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "name"),
    [
        ("create users table", "V1__create_users_table.sql"),
        ("  Add e-mail / phone (2nd try)!  ", "V1__Add_e_mail_phone_2nd_try.sql"),
        ("a__b_c", "V1__a_b_c.sql"),
        ("größe für München", "V1__größe_für_München.sql"),
        ("gro\u0308ße", "V1__größe.sql"),
        ("ユーザー表", "V1__ユーザー表.sql"),
        ("../../etc/passwd", "V1__etc_passwd.sql"),
    ],
)
def test_a_description_makes_a_file_name(description: str, name: str) -> None:
    assert file_name(1, description) == name


def test_a_long_description_is_cut_between_words_or_within_a_single_one() -> None:
    assert file_name(1, "word " * 60) == "V1__" + "_".join(["word"] * 40) + ".sql"
    assert file_name(1, "ü" * 300) == "V1__" + "ü" * 100 + ".sql"


@pytest.mark.parametrize("description", ["", "  ", "...", "/_-"])
def test_a_description_that_makes_no_file_name_is_refused(description: str) -> None:
    with pytest.raises(SettingsError) as caught:
        file_name(1, description)
    assert str(caught.value) == (
        f"the description {description!r} leaves nothing for a file name; "
        'say in a few words what the script does, for example "create users table"'
    )


@given(st.text(max_size=300), st.integers(1, 2**63 - 1))
def test_every_file_name_fits_and_reads_back(description: str, version: int) -> None:
    try:
        name = file_name(version, description)
    except SettingsError:
        return
    assert len(name.encode()) <= 255
    read = read_name(name)
    assert read is not None
    assert (read.version, read.is_down) == (version, False)
    assert file_name(version, read.description) == name


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("V0007__add_it.sql", ScriptName(7, "add it", False)),
        ("U12__x.sql", ScriptName(12, "x", True)),
        ("V1__a__b.sql", ScriptName(1, "a b", False)),
        ("v1__a.sql", None),
        ("V1_a.sql", None),
        ("V1__.sql", None),
        ("V1____.sql", None),
        ("V1.1__a.sql", None),
        ("V-1__a.sql", None),
        ("V٣__a.sql", None),
        ("V1__a.SQL", None),
        ("R__a_b.sql", ScriptName(0, "a b", is_down=False, is_repeatable=True)),
        ("R__.sql", None),
        ("R____.sql", None),
        ("R1__a.sql", None),
        ("r__a.sql", None),
    ],
)
def test_a_file_name_is_read(name: str, read: ScriptName | None) -> None:
    assert read_name(name) == read


# -- render --------------------------------------------------------------------------------------


def test_a_script_is_written_without_its_margin() -> None:
    up = """
        CREATE TABLE t (
            a INT
        );
    """
    assert render(up, "\n    DROP TABLE t;\n") == (
        "CREATE TABLE t (\n    a INT\n);\n\n-- DOWN\nDROP TABLE t;\n"
    )
    assert render(up, None) == "CREATE TABLE t (\n    a INT\n);\n"
    assert render("", "") == "\n-- DOWN\n"


def test_text_in_quotes_keeps_its_margin() -> None:
    assert render("    SELECT 'a\n    b',\n      $$\n    c$$;\n    SELECT 1;", None) == (
        "SELECT 'a\n    b',\n  $$\n    c$$;\nSELECT 1;\n"
    )


@pytest.mark.parametrize(
    ("up", "down", "problems"),
    [
        ("SELECT 1;\n-- DOWN\n", None, ["up section: a '-- DOWN' line; pass the down section separately"]),
        ("SELECT 1", "--down", ["down section: a '-- DOWN' line; pass the down section separately"]),
        ("SELECT 'a", "\n\nBEGIN; COMMIT",
         ["up section, line 1: this string (') is never closed; close it",
          f"down section, line 1: BEGIN: {OWN_TRANSACTIONS}",
          f"down section, line 1: COMMIT: {OWN_TRANSACTIONS}"]),
        ("-- manticore: x=1", None, [f"up section, line 1: unknown option 'x=1'; {KNOWN}"]),
        ("", "-- manticore: mode=atomic", ["down section: options must be in the up section"]),
        ("SELECT '\0'", None,
         ["up section: a NUL character, which no server accepts in SQL; remove it"]),
        ("SELECT '\ud800'", None, ["up section: a lone surrogate, which is not a character; remove it"]),
    ],
)  # fmt: skip
def test_a_bad_part_is_refused_before_anything_is_written(
    up: str, down: str | None, problems: list[str]
) -> None:
    with pytest.raises(FilesRefused) as caught:
        render(up, down)
    assert [str(problem) for problem in caught.value.problems] == problems


PARTS = st.lists(
    st.sampled_from(
        [
            "SELECT 1;",
            "  ",
            "\n",
            "'a\n  b'",
            "$$\n c\n$$",
            "-- note\n",
            "/* x\n */",
            ";",
            "é",
            "\t",
            "\r\n",
            "\ufeff",
            "\n    SELECT 2",
            "\n    ",
            "(",
            "\f",
            "\x1c",
            "\u2028",
            "-- manticore: mode=atomic\n",
        ]
    ),
    max_size=10,
).map("".join)


@given(PARTS | st.text(max_size=40), st.none() | PARTS)
@example("\n\ufeff\n x", "\ufeff")
def test_what_is_written_reads_back(up: str, down: str | None) -> None:
    try:
        text = render(up, down)
    except FilesRefused:
        assume(False)
    script = parse(text)
    assert render(script.up_sql, script.down_sql) == text
    assert (script.down_sql is None) == (down is None)
    again = parse(render(script.up_sql, script.down_sql))
    assert (again.up_sql, again.down_sql) == (script.up_sql, script.down_sql)
    kept = "".join(up.replace("\ufeff", "").split())
    assert "".join(script.up_sql.replace("\ufeff", "").split()) == kept
