"""Closes a fence that a page leaves open: the site's generator would take it for text."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, **_context: Any) -> str:
    """Close the last fence of a page, as renderers elsewhere do at its end."""
    fences = re.findall(r"^```", markdown, re.MULTILINE)
    return f"{markdown}\n```\n" if len(fences) % 2 else markdown
