"""The plots of the page: bars on a logarithmic scale, Manticore's standing out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

_OURS, _OTHERS, _INK = "#5c6bc0", "#9e9e9e", "#808080"  # readable on white and on black


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """Draw everything into a folder.

    Args:
        results: What was measured.
        folder: Where the SVG files go.
    """
    rows = [row for row in results["far"] if "missing" not in row]
    scripts, link = results["scripts"], results["link"] * 1000
    seconds = folder / "seconds.svg"
    trips = folder / "round-trips.svg"
    _bars(
        seconds,
        f"{scripts} scripts on a fresh database, {link:.0f} ms link: seconds (logarithmic)",
        [(row["tool"], row["migrate"]["seconds"]) for row in rows],
        "{:.2f} s",
    )
    _bars(
        trips,
        "Round trips per script, connecting included (logarithmic)",
        [(row["tool"], row["migrate"]["trips"] / scripts) for row in rows],
        "{:.2f}",
    )
    return [seconds, trips]


def _bars(path: Path, title: str, bars: list[tuple[str, float]], label: str) -> None:
    bars = sorted(bars, key=lambda bar: -bar[1])
    names = [name.replace("`", "") for name, _ in bars]
    values = [value for _, value in bars]
    colors = [_OURS if name == "Manticore" else _OTHERS for name in names]
    # Text as text, and nothing that differs from run to run but the figures.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem, "font.size": 11}):
        figure, axes = plt.subplots(figsize=(8, 0.5 * len(bars) + 0.8), layout="constrained")
        drawn = axes.barh(names, values, color=colors, height=0.62)
        axes.bar_label(drawn, [label.format(value) for value in values], padding=5, color=_INK)
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 2, max(values) * 2.5)
        axes.set_title(title, loc="left", color=_INK, fontsize=12)
        axes.tick_params(colors=_INK, length=0)
        axes.xaxis.set_visible(False)
        for side in axes.spines.values():
            side.set_visible(False)
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
