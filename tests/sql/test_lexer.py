"""Where statements end, held to PostgreSQL's own rules."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manticore_cockroachdb._sql.lexer import (
    BLANKS,
    LexError,
    RawStatement,
    TokenKind,
    split,
    split_script,
    tokens,
)


def texts(sql: str) -> list[str]:
    return [statement.text for statement in split_script(sql)]


# Each of these is one statement, whatever is in it.
WHOLE = [
    "SELECT 1",
    "SELECT 'a;b'",
    "SELECT 'it''s; here'",
    r"SELECT 'a\'",
    r"SELECT E'a\';b'",
    r"SELECT e'\\', 1",
    r"SELECT E'a'';\';b'",
    "SELECT E'a'\n  'b\\';c'",
    "SELECT E'a' -- why; not\n 'b\\';c'",
    r"SELECT b'\';'",
    "SELECT x'00', B'01', N'a;b', U&'d\\0061;'",
    r"SELECT date'2020;01', name'\'",
    'SELECT "a;b", "a"";b", U&"a;b"',
    "SELECT $$a;b$$",
    "SELECT $tag$a;$$;$other$;b$tag$",
    "SELECT $Ünï$;$Ünï$",
    "SELECT a$$b, $1, $2",
    "SELECT $1, '$$;'",
    "SELECT 1 - - 1 / 2 * 3",
    "SELECT 1 /* a; /* b; */ c; */ + 1",
    "SELECT 1 /*/ ; */ + 1",
    "SELECT 1 -- a; 'b\n + 1",
    "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT (2); SELECT ((3));)",
    "CREATE TABLE t (a DECIMAL(10, 2), /* ; */ b INT CHECK (f(g(h(1)))) -- ; (\n)",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2; $$",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
    (
        "CREATE OR REPLACE PROCEDURE p() BEGIN /* here */ ATOMIC SELECT CASE WHEN a THEN 1 END; "
        "SELECT (CASE 1 WHEN 1 THEN 2 END); BEGIN ATOMIC SELECT 1; END; END"
    ),
    *(
        f"CREATE{blank}FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END"
        for blank in ("  ", "\n", "\t", " \n ", "/* a */", " -- a\n", " /* a */ ")
    ),
    *(
        f"CREATE{blank}OR{blank}REPLACE{blank}PROCEDURE p() BEGIN ATOMIC SELECT 1; SELECT 2; END"
        for blank in ("  ", "\t\n", "/**/")
    ),
    "create /**/ function f() begin atomic select t.end; select 1 as end; select 'END'; end",
]


@pytest.mark.parametrize("sql", WHOLE)
def test_a_statement_stays_whole_between_two_others(sql: str) -> None:
    assert texts(f"SELECT 'first';\n{sql}\n;\nSELECT 'last'") == [
        "SELECT 'first'",
        sql,
        "SELECT 'last'",
    ]


def test_a_statement_that_only_looks_like_a_routine_ends_at_its_semicolon() -> None:
    assert texts("CREATE TABLE function (begin INT, atomic INT); SELECT 1") == [
        "CREATE TABLE function (begin INT, atomic INT)",
        "SELECT 1",
    ]
    assert texts("SELECT BEGIN ATOMIC; END") == ["SELECT BEGIN ATOMIC", "END"]


def test_an_unbalanced_closing_parenthesis_swallows_nothing() -> None:
    assert texts("SELECT 1); SELECT (2); SELECT 3") == ["SELECT 1)", "SELECT (2)", "SELECT 3"]


def test_comments_and_spaces_around_statements_are_trimmed_and_lines_are_right() -> None:
    sql = (
        "\n-- one\n/* two\n */ SELECT\n 1 -- inside\n + 2 -- after\n;\n;;\n\n  SELECT 3 /* end */\n"
    )
    assert split_script(sql, first_line=10) == (
        RawStatement("SELECT\n 1 -- inside\n + 2", 13),
        RawStatement("SELECT 3", 19),
    )


@pytest.mark.parametrize("sql", ["", " \n\t", "-- only\n/* comments */", ";;\n;"])
def test_an_empty_text_has_no_statements(sql: str) -> None:
    assert texts(sql) == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1;\nSELECT 'a", "line 2: this string (') is never closed; close it"),
        ("SELECT 1;\n\nSELECT 'a''", "line 3: this string (') is never closed; close it"),
        ("SELECT E'a\\';\nSELECT 1", "line 1: this string (') is never closed; close it"),
        ('SELECT (\n"a', 'line 2: this quoted name (") is never closed; close it'),
        ("SELECT $x$\na$$", "line 1: this $x$ quote is never closed; close it"),
        ("\n/* a /* b */\n", "line 2: this comment is never closed; close it"),
    ],
)
def test_what_is_never_closed_is_an_error_on_the_line_where_it_opened(
    sql: str, message: str
) -> None:
    with pytest.raises(LexError) as caught:
        split_script(sql)
    assert str(caught.value) == message


@pytest.mark.parametrize("mark", ["-- DOWN", "--down", "  -- Down \t", "--\tdOwN"])
def test_the_down_line_parts_the_script(mark: str) -> None:
    sql = f"SELECT 1\n{mark}\nSELECT 2;"
    found = split(sql)
    assert found.up == (RawStatement("SELECT 1", 1),)
    assert found.down == (RawStatement("SELECT 2", 3),)
    assert (sql[: found.up_end], sql[found.down_start :]) == ("SELECT 1\n", "SELECT 2;")
    assert found.down_line == 3


def test_the_down_line_is_found_in_unclosed_parentheses_and_bodies_too() -> None:
    assert split("SELECT (1\n-- DOWN\n)").down == (RawStatement(")", 3),)
    assert split("CREATE FUNCTION f() BEGIN ATOMIC\n-- DOWN\nSELECT 1; SELECT 2").down == (
        RawStatement("SELECT 1", 3),
        RawStatement("SELECT 2", 3),
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '\n-- DOWN\n'",
        "SELECT $$\n-- DOWN\n$$",
        "/*\n-- DOWN\n*/",
        'SELECT "\n-- DOWN\n"',
        "SELECT 1 -- DOWN",
        "-- DOWN here",
    ],
)
def test_what_only_looks_like_the_down_line_is_none(sql: str) -> None:
    assert split(sql).down is None


def test_two_down_lines_are_an_error() -> None:
    found = split("SELECT 1;\n-- DOWN\nSELECT 2;\n-- down\nSELECT 3")
    assert str(found.fault) == (
        "line 4: two down sections: line 2 is '-- DOWN' already; remove one of the two lines"
    )


def test_a_part_that_holds_a_down_line_is_an_error() -> None:
    with pytest.raises(LexError, match="line 2: a '-- DOWN' line inside one part of a script"):
        split_script("SELECT 1;\n-- DOWN\n")


def test_tokens_know_words_names_strings_and_signs() -> None:
    found = [(token.kind, token.text) for token in tokens('a$1 /* x */ "B""b" E\'\\\'\' $$d$$;12')]
    assert found == [
        (TokenKind.WORD, "a$1"),
        (TokenKind.NAME, '"B""b"'),
        (TokenKind.STRING, "E'\\''"),
        (TokenKind.STRING, "$$d$$"),
        (TokenKind.SYMBOL, ";"),
        (TokenKind.SYMBOL, "12"),
    ]


# What a statement may be made of; joined by spaces, so that two pieces never become one.
PIECES = st.sampled_from(
    [
        "SELECT",
        "x1",
        "e",
        "b",
        "a$b$c",
        "größe",
        "1.5",
        "$1",
        "+",
        "-",
        "/",
        "*",
        ",",
        "'a;b'",
        "''''",
        r"E'\';'",
        "e'a''b;'",
        r"b'\';'",
        "x'0a'",
        '"n;"',
        '"a"";"',
        "$$;$$",
        "$t$;$$;'$t$",
        "/* ; */",
        "/* /* ; */ ' */",
        "-- ; '\n",
        "(1, 'a;)', (2))",
        "( ; )",
        "(((;)))",
        "\n",
        "\\",
    ]
)
STATEMENTS = st.lists(PIECES, min_size=1, max_size=12).map(" ".join)


@given(st.lists(STATEMENTS, max_size=6))
def test_statements_joined_by_semicolons_come_back(statements: list[str]) -> None:
    whole = [f"BEGIN {statement} 'end'" for statement in statements]
    assert texts(" ;\n".join(whole)) == whole


ANY = st.text(alphabet=st.sampled_from(list("aeEbB$1'\"\\;()-/*\n\t déDOWN")), max_size=60)


@given(ANY | st.text(max_size=60))
@example("E'a'\n'")
def test_any_text_is_split_or_refused_and_nothing_is_lost(text: str) -> None:
    found = split(text)
    at = 0
    for statement in (*found.up, *(found.down or ())):
        assert statement.text == statement.text.strip(BLANKS) != ""
        begin = text.index(statement.text, at)
        assert statement.line == text.count("\n", 0, begin) + 1
        between = text[at:begin]
        assert all(token.text == ";" for token in tokens(between)), between
        at = begin + len(statement.text)
    if found.fault is None:
        assert all(token.text == ";" for token in tokens(text[at:]))


@given(ANY)
def test_tokens_come_in_order_for_any_text(text: str) -> None:
    at = 0
    for token in tokens(text):
        assert at <= token.start < token.end <= len(text)
        assert text[token.start : token.end] == token.text
        at = token.end


@pytest.mark.parametrize(
    "text",
    [
        "'" * 200_001,
        "$" * 200_001,
        "".join(f"$a{number} " for number in range(50_000)),
        "(" * 200_000,
        "('(" * 100_000,
        "(a" * 100_000,
        "/*" * 200_000,
        "(/*" * 100_000,
        "E'a'\n" * 100_000,
        "(E'a'\n" * 100_000,
        "E'a'" + "\n" * 200_000,
        "a" * 500_000,
        "- " * 200_000,
        "CREATE FUNCTION f() BEGIN ATOMIC " + "case ;" * 50_000,
        "-- x\n" * 100_000,
        "SELECT 1;" * 50_000,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    started = time.process_time()
    split(text)
    assert time.process_time() - started < 30  # a quadratic scan would take minutes
