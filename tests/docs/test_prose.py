"""The project's prose keeps to its words: pages, messages, docstrings, comments and names of tests."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tests.docs import prose
from tests.docs.docs_pages import DOCS, read


def test_pages_use_the_projects_words() -> None:
    assert prose.complaints(prose.pages()) == []


def test_messages_and_help_texts_use_the_projects_words() -> None:
    assert prose.complaints(prose.strings()) == []


def test_docstrings_and_comments_use_the_projects_words() -> None:
    assert prose.complaints(prose.docstrings()) + prose.complaints(prose.comments()) == []


def test_names_of_tests_use_the_projects_words() -> None:
    assert prose.complaints(prose.test_names()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It is told anew.", ["told", "anew"]),
        ("version 2 is half done", ["half done"]),
        ("MODE is no dict", ["is no dict"]),
        ("The run goes on.", ["goes on"]),
        ("What became of it?", ["became of"]),
        ("a column's behav" + "iour", ["behav" + "iour"]),
        ("There is no script of that name, and it is no longer there.", []),
        ("It goes on to the next.", []),
        ("a manual repair", []),
    ],
)
def test_what_is_complained_about(text: str, words: list[str]) -> None:
    found = prose.complaints(iter([prose.Text("here:1", text)]))

    assert [re.findall(r"'(.*?)'", each)[0] for each in found] == words


def test_no_table_of_a_page_has_a_head_without_a_name() -> None:
    nameless = []
    for path in sorted(DOCS.rglob("*.md")):
        lines = path.read_text(encoding="utf-8").splitlines()
        if path.name != "migrations.md":
            nameless += [
                f"{path.relative_to(DOCS)}: {head}"
                for head, rule in pairwise(lines)
                if head.startswith("|")
                and re.fullmatch(r"[|: -]+-[|: -]+", rule)
                and "" in [cell.strip() for cell in head.strip("|").split("|")]
            ]
    assert nameless == []


def test_titles_of_pages_are_in_sentence_case() -> None:
    proper = {"API", "CockroachDB", "Django", "Django's", "FAQ", "Manticore", "PostgreSQL", "SQL"}
    wrong = []
    for path in sorted(DOCS.rglob("*.md")):
        title = re.sub(r"<!--.*?-->\s*", "", read(str(path.relative_to(DOCS)))).partition("\n")[0]
        words = title.lstrip("# ").replace(":", "").split()[1:]
        wrong += [title for word in words if word[0].isupper() and word not in proper]
    assert wrong == []
