"""Reads the documentation's pages for the tests that hold them to the code."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"

_BLOCK = re.compile(
    r'^(?P<margin> *)```(?P<language>\w+)(?: title="(?P<title>[^"]*)")?\n'
    r"(?P<text>.*?)(?:^(?P=margin)```$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_SERVER = re.compile(r"^On (CockroachDB|PostgreSQL):\n\n\Z", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code in a page.

    Attributes:
        language: What follows its first fence.
        title: Its title, or "".
        text: The code.
        server: The server it is for, or "".
    """

    language: str
    title: str
    text: str
    server: str


def read(name: str) -> str:
    """The text of a page, by its path below docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Every block of code in a page, in its order."""
    found = []
    for match in _BLOCK.finditer(page):
        server = _SERVER.search(page, 0, match.start())
        text = textwrap.dedent(match["text"])
        found.append(
            Block(match["language"], match["title"] or "", text, server[1] if server else "")
        )
    return found


def block(page: str, title: str) -> str:
    """The text of the one block with this title."""
    (found,) = [block.text for block in blocks(page) if block.title == title]
    return found


def sections(page: str, level: int = 2) -> dict[str, str]:
    """The text below each heading of a level, up to the next of that level."""
    parts = re.split(rf"^{'#' * level} (.+)$", page, flags=re.MULTILINE)
    names = [re.sub(r" *\{.*\}$", "", name) for name in parts[1::2]]
    return dict(zip(names, parts[2::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """The rows of every table in a text, without heads and rules."""
    found: list[list[str]] = []
    head = True
    for line in text.splitlines():
        if not line.startswith("|"):
            head = True
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if set(line) <= set("|-: "):
            head = False
        elif not head:
            found.append(cells)
    return found


def code(text: str) -> list[str]:
    """What a text shows as code, in its order."""
    return re.findall(r"`([^`]+)`", text)
