"""Gives the package the README that `tools/package_readme.py` makes."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ReadmeHook(MetadataHookInterface):
    """Sets the field `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling with the table `[project]`."""
        tool = runpy.run_path(str(Path(self.root, "tools", "package_readme.py")))
        text = tool["for_package_index"](
            Path(self.root, "README.md").read_text(encoding="utf-8"),
            metadata.get("urls", {}).get("Source"),
            metadata["version"],
        )
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
