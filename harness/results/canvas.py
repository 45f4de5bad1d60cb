"""How the report's plots look: what tells cells apart in black and white, to the colour-blind and in words.

Figures are matplotlib objects of their own, never pyplot's, so drawing leaves no state behind. Pure.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's colours, which people with any common colour blindness tell apart; ordered by darkness contrast.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
MOST_NAMED = 2 * len(MARKERS)  # filled, then hollow
WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.8, 110


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn figure with its file stem, and what it shows in words for those who cannot see it."""

    name: str
    title: str
    description: str
    png: bytes = field(repr=False)

    def _repr_png_(self) -> bytes:
        return self.png


def titled(title: str, *, simulated: bool) -> str:
    """The title, saying SIMULATED where the run is."""
    return f"{title} (SIMULATED)" if simulated else title


def blank(title: str, *, simulated: bool, height: float = HEIGHT_IN) -> tuple[Figure, Axes]:
    """A figure with one titled, gridded pair of axes; ``height`` in inches."""
    figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(titled(title, simulated=simulated), fontsize=11)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def style(order: int) -> dict[str, Any]:
    """Colour, marker, fill and line of the n-th cell, no two alike; grey and unmarked past those the legend names."""
    if order >= MOST_NAMED:
        return {"color": "#C0C0C0", "linewidth": 0.8, "zorder": 1}
    colour = COLOURS[order % len(COLOURS)]
    hollow = order >= len(MARKERS)
    return {
        "color": colour,
        "marker": MARKERS[order % len(MARKERS)],
        "linestyle": LINES[order % len(LINES)],
        "markersize": 7,
        "linewidth": 1.2,
        "markerfacecolor": "white" if hollow else colour,
        "markeredgecolor": colour if hollow else "black",
        "markeredgewidth": 1.5 if hollow else 0.5,
    }


def legend_name(order: int, label: str, *, cells: int) -> str | None:
    """The cell's label; one entry for all the cells past those that are named; None for the rest of them."""
    if order < MOST_NAMED:
        return label
    return f"{cells - MOST_NAMED} other cells" if order == MOST_NAMED else None


def by_cell(frame: pd.DataFrame, *, by: str) -> list[tuple[str, pd.DataFrame]]:
    """Label and rows of each cell, the one with the highest ``by`` first."""
    groups = [(str(rows["label"].iloc[0]), rows) for _, rows in frame.groupby("cell_id", sort=False)]
    return sorted(groups, key=lambda item: -float(item[1][by].max()))


def by_load(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows from light to heavy load, users before rates; in the order they were run where neither says."""
    return frame.sort_values(["concurrency", "rate_req_s", "point"])


def load_axis(frame: pd.DataFrame) -> tuple[list[str], dict[str, int]]:
    """The load levels from light to heavy, and the place of each on the axis."""
    ticks = list(dict.fromkeys(by_load(frame)["load"]))
    return ticks, {load: place for place, load in enumerate(ticks)}


def mark_void(axes: Axes, xs: pd.Series, ys: pd.Series, path: pd.DataFrame) -> None:
    """A cross over every point of the path that is void."""
    if "verdict" in path:
        void = (path["verdict"] == "void").to_numpy()
        axes.plot(xs[void], ys[void], linestyle="none", marker="x", markersize=13, color="black")


def note_levels(axes: Axes, xs: pd.Series, ys: pd.Series, loads: list[str], *, few: bool) -> None:
    """The load level beside each point, unless there are too many to read."""
    if few:
        for x, y, load in zip(xs, ys, loads, strict=True):
            axes.annotate(load, (x, y), xytext=(8, -10), textcoords="offset points", fontsize=7)


def legend(axes: Axes, figure: Figure) -> None:
    """The legend below the axes, where it hides nothing; the figure grows by its height."""
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if len(labels) > 3 else max(1, len(labels))
    figure.set_figheight(figure.get_figheight() + 0.19 * (-(-len(labels) // columns) - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def finish(figure: Figure, name: str, title: str, description: str) -> Plot:
    """The figure as PNG bytes, the same for the same figure."""
    buffer = io.BytesIO()
    figure.set_dpi(DPI)
    # Drawn once; savefig would draw twice, the first time for a layout that is then made again.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]  # no stub
    return Plot(name, title, description, buffer.getvalue())
