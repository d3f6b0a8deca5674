"""One picture for each curve of growth: what was measured, against how much there was."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a picture."""

    name: str
    figures: Sequence[float]


def draw(file: Path, title: str, runs: Sequence[int], curves: Sequence[Curve], limit: float | None = None) -> None:
    """An SVG with both axes logarithmic: what grows with the runs is a slope there, what does not is level."""
    mpl.rcParams["svg.hashsalt"] = file.name  # the same figures are the same bytes
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, curve in enumerate(curves):
        style = ("-", "--", ":")[number // 10 % 3]
        axes.plot(runs, curve.figures, style, marker="o", markersize=3, label=curve.name)
    if limit is not None:
        axes.axhline(limit, color="black", linewidth=0.8)
        axes.annotate(f"target {limit:g}", (runs[0], limit), textcoords="offset points", xytext=(0, 3), fontsize=8)
    axes.set(title=title, xlabel="runs in the database (ten steps each)", xscale="log", yscale="log")
    axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    figure.savefig(file, metadata={"Date": None})
