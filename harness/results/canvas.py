"""How the report's plots look: what tells cells apart in black and white, to the colour-blind and in words.

Figures are matplotlib objects of their own, never pyplot's, so drawing leaves no state behind. Pure.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from harness.units import first_few

# Okabe and Ito's colours, which people with any common colour blindness tell apart; ordered by darkness contrast.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
MOST_NAMED = len(COLOURS)  # more lines than that nobody tells apart
OTHERS = {"color": "#C0C0C0", "linewidth": 0.8, "zorder": 1}
WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.8, 110
NOTE_PT, LEGEND_PT, ROW_PT = 8.5, 9, 8.5
POINT_PT = 7.0
PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}


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
    """Colour, marker and line of the n-th of the things told apart; grey and unmarked past those."""
    if order >= MOST_NAMED:
        return dict(OTHERS)
    return {
        "color": COLOURS[order],
        "marker": MARKERS[order],
        "linestyle": LINES[order % len(LINES)],
        "markersize": 7,
        "linewidth": 1.4,
        "markeredgecolor": "black",
        "markeredgewidth": 0.5,
    }


@dataclass(frozen=True, slots=True)
class Looks:
    """How cells are drawn: a cell looks the same in every plot. ``ranks`` are places by cell_id, the best at 0, as in
    the report's table of cells; ``labels`` are in that order."""

    ranks: Mapping[str, int]
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, levels: pd.DataFrame) -> Looks:
        """The cells of ranked levels, in their order."""
        first = levels.drop_duplicates("cell_id")
        ranks = {str(cell_id): rank for rank, cell_id in enumerate(first["cell_id"])}
        return cls(ranks, tuple(map(str, first["label"])))

    def style(self, cell_id: str) -> dict[str, Any]:
        """``style`` of the cell's rank."""
        return style(self.ranks[cell_id])

    def legend_name(self, cell_id: str, label: str) -> str | None:
        """The cell's label; one entry for all the cells past those that are named; None for the rest of them."""
        rank = self.ranks[cell_id]
        if rank < MOST_NAMED:
            return label
        return f"the others, {self._others}" if rank == MOST_NAMED else None

    @property
    def _others(self) -> str:
        """Which those past the named ones are."""
        first, last = MOST_NAMED + 1, len(self.ranks)
        return f"ranked {first}" if first == last else f"ranked {first} to {last}"

    @property
    def told(self) -> str:
        """A sentence on the cells without a colour of their own, to follow another; empty when all have one."""
        if len(self.ranks) <= MOST_NAMED:
            return ""
        return (
            f" Grey: the cells {self._others} in the table of cells ({first_few(self.labels[MOST_NAMED:])})."
        )

    def cells(self, frame: pd.DataFrame) -> list[tuple[str, str | None, pd.DataFrame]]:
        """cell_id, name for the legend, and rows from light to heavy load, of each cell, the best first."""
        groups = {str(cell_id): by_load(rows) for cell_id, rows in frame.groupby("cell_id")}
        ordered = sorted(groups, key=lambda cell_id: self.ranks[cell_id])
        return [
            (cell_id, self.legend_name(cell_id, str(groups[cell_id]["label"].iloc[0])), groups[cell_id])
            for cell_id in ordered
        ]


def by_load(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows from light to heavy load, users before rates; in the order they were run where neither says."""
    return frame.sort_values(
        [name for name in ("concurrency", "rate_req_s", "point") if name in frame], kind="stable"
    )


def strands(path: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows apart by kind of load, in their order: users, rates, and what has no one figure. No line joins kinds."""
    kinds = [path[name].notna() for name in ("concurrency", "rate_req_s") if name in path]
    kind = sum((2**place * known.astype(int) for place, known in enumerate(kinds)), pd.Series(0, path.index))
    return [path[kind == value] for value in dict.fromkeys(kind)]


def mark_void(axes: Axes, xs: pd.Series, ys: pd.Series, path: pd.DataFrame) -> None:
    """A cross over every point of the path that is void."""
    if "verdict" in path:
        void = (path["verdict"] == "void").to_numpy()
        axes.plot(xs[void], ys[void], linestyle="none", marker="x", markersize=13, color="black")


def note_points(
    axes: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    texts: Sequence[tuple[str, ...]],
    *,
    beside: Sequence[tuple[float, float]] = (),
) -> None:
    """A text beside each point: the first of its texts that has room inside the axes, over no other text and over none
    of the points ``beside``; else none.

    Call it when the limits of the axes are final.
    """
    pixels = axes.figure.dpi / 72
    half = POINT_PT * pixels / 2
    taken = [
        Bbox.from_extents(x - half, y - half, x + half, y + half)
        for x, y in (axes.transData.transform(point) for point in beside)
    ]
    inside = axes.get_window_extent()
    for x, y, choices in zip(xs, ys, texts, strict=True):
        at_x, at_y = axes.transData.transform((x, y))
        for text, box in _places(at_x, at_y, choices, pixels):
            if box.x0 < inside.x0 or box.x1 > inside.x1 or any(box.overlaps(other) for other in taken):
                continue
            taken.append(box)
            offset = (box.x0 - at_x, box.y0 - at_y)
            axes.annotate(
                text, (x, y), xytext=offset, textcoords="offset pixels", fontsize=NOTE_PT, bbox=PAPER
            )
            break


def _places(x: float, y: float, texts: Iterable[str], pixels: float) -> Iterator[tuple[str, Bbox]]:
    """Where each text may stand beside a point, the best first."""
    for text in texts:
        wide, high = len(text) * NOTE_PT * 0.6 * pixels, NOTE_PT * 1.4 * pixels
        for right, up in ((True, True), (True, False), (False, True), (False, False)):
            left, low = x + (12 if right else -12 - wide), y + (6 if up else -6 - high)
            yield text, Bbox.from_bounds(left, low, wide, high)


def legend(axes: Axes, figure: Figure) -> None:
    """The legend below the axes, where it hides nothing; the figure grows by its height."""
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if len(labels) > 3 else max(1, len(labels))
    figure.set_figheight(figure.get_figheight() + 0.21 * (-(-len(labels) // columns) - 1))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, fontsize=LEGEND_PT, frameon=False
    )


def finish(figure: Figure, name: str, title: str, description: str) -> Plot:
    """The figure as PNG bytes, the same for the same figure."""
    buffer = io.BytesIO()
    figure.set_dpi(DPI)
    # Drawn once; savefig would draw twice, the first time for a layout that is then made again.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]  # no stub
    return Plot(name, title, description, buffer.getvalue())
