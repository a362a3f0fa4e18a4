"""Every error's text has its entry in the troubleshooting page, and no entry is left over."""

from __future__ import annotations

import re

import pytest

from tests.docs.docs_pages import read, sections
from tests.docs.error_texts import collect
from tests.docs.prose import strings

#: Part of a message that has its entry: what follows on its next line, or in the next sentence.
CONTINUATIONS = (
    "Connect to the primary.",
    "To change it nevertheless",
    "They were dropped, moved or changed during the run.",
    "Drop or rename a database by hand",
    "Keep the ledger in its own schema",
)


def headings() -> list[str]:
    """The texts that the page has entries for."""
    return [name.strip("`") for name in sections(read("troubleshooting.md"), level=3)]


def says(heading: str, text: str) -> bool:
    """Whether a text has a heading's words, in their order; `…` stands for anything."""
    pattern = ".*".join(map(re.escape, heading.split("…")))
    return re.search(pattern, text) is not None


@pytest.mark.parametrize(("text", "place"), sorted(collect().items()))
def test_every_error_has_an_entry(text: str, place: str) -> None:
    if not text.startswith(CONTINUATIONS):
        assert [each for each in headings() if says(each, text)], f"{place}: {text}"


def test_no_entry_is_left_over() -> None:
    texts = [" ".join(text.text.split()) for text in strings()]

    assert [each for each in headings() if not any(says(each, text) for text in texts)] == []


def test_entries_are_sorted_by_their_text() -> None:
    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9 ]", "", text.lower()).strip()

    found = headings()

    assert found == sorted(found, key=plain)
