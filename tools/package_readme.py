"""Makes README.md fit a package index, where a relative link leads nowhere.

With the address of the repository (`Source` in `[project.urls]`), links and images lead to the files of
the released version there. Without one, links become their text and images are left out.
The build calls it: see `hatch_build.py`.
"""

from __future__ import annotations

import re

#: A link or an image: its `!`, its text, and its target if that is relative.
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?!https?://|#)(?P<target>[^)\s]+)\)")


def for_package_index(readme: str, source: str | None, version: str) -> str:
    """Return the README as a package index should show it.

    Args:
        readme: The README of the repository.
        source: The address of the repository, or None.
        version: The version that is released; its tag is `v` and this version.
    """

    def replaced(link: re.Match[str]) -> str:
        if source:
            kind = "raw" if link["image"] else "blob"
            target = f"{source.rstrip('/')}/{kind}/v{version}/{link['target']}"
            return f"{link['image']}[{link['text']}]({target})"
        return "" if link["image"] else link["text"]

    return re.sub(r"\n{3,}", "\n\n", _LINK.sub(replaced, readme))
