"""Draws the figures: ``python plot.py RESULTS.json PLOT.png``, where matplotlib is."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

OURS, FLOOR, THEIRS = "#2563eb", "#bfdbfe", "#9ca3af"


def main() -> None:
    """Draw the rates of both drains."""
    results = json.loads(Path(sys.argv[1]).read_text())
    figure, sides = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2))
    titles = ("Jobs that do nothing", "Jobs that report 100 times")
    for axes, kind, title in zip(sides, ("drain", "progress"), titles, strict=True):
        rows = sorted(results[kind], key=lambda row: row["jobs_per_second"])
        names = [row["name"] for row in rows]
        rates = [row["jobs_per_second"] for row in rows]
        colours = [_colour_of(name) for name in names]
        bars = axes.barh(names, rates, color=colours)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.set_title(title)
        axes.set_xlabel("jobs per second, two processes")
        axes.margins(x=0.18)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.text(0.01, 0.01, f"{results['date']}, {results['machine']}", color=THEIRS, size=8)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(sys.argv[2], dpi=90)


def _colour_of(name: str) -> str:
    if "statements" in name:
        return FLOOR
    return OURS if name.startswith("jobstate") else THEIRS


if __name__ == "__main__":
    main()
