"""The README as a package index shows it."""

from __future__ import annotations

import re
from pathlib import Path

from tools.package_readme import for_package_index

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
SOURCE = "https://example.org/manticore"


def test_links_and_images_lead_to_the_files_of_the_released_version() -> None:
    text = "![A run](docs/run.svg)\n\n[Drift](docs/drift.md#ignore), [license](LICENSE)\n"

    assert for_package_index(text, SOURCE, "1.2.0") == (
        f"![A run]({SOURCE}/raw/v1.2.0/docs/run.svg)\n\n"
        f"[Drift]({SOURCE}/blob/v1.2.0/docs/drift.md#ignore), [license]({SOURCE}/blob/v1.2.0/LICENSE)\n"
    )


def test_without_an_address_links_become_their_text_and_images_are_left_out() -> None:
    text = "Before.\n\n![A run](docs/run.svg)\n\nSee [`drift`](docs/drift.md).\n"

    assert for_package_index(text, None, "1.2.0") == "Before.\n\nSee `drift`.\n"


def test_absolute_links_stay() -> None:
    text = "[Changelog](https://keepachangelog.com), [below](#below)\n"

    assert for_package_index(text, SOURCE, "1.2.0") == text
    assert for_package_index(text, None, "1.2.0") == text


def test_no_link_of_the_readme_is_relative_there() -> None:
    for source in (None, SOURCE):
        links = re.findall(r"\]\(([^)]*)\)", for_package_index(README, source, "1.2.0"))
        assert [link for link in links if not link.startswith(SOURCE)] == []
