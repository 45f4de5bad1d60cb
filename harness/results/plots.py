"""The report's plots of every level: trade-offs, and figures against load; None where there is nothing to show. Pure.

Every figure says SIMULATED in its title where the run is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.load.search import NEAR_BEST
from harness.results.canvas import (
    HEIGHT_IN,
    WIDTH_IN,
    Looks,
    Plot,
    blank,
    by_load,
    finish,
    legend,
    mark_void,
    note_points,
    strands,
    titled,
)
from harness.units import counted

FEWEST_FOR_KNEE = 3
# Names of loads that have room under one axis of three.
MOST_TICKS = 12


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column on an axis: its words with the unit, the factor to that unit, and a limit in the column's own."""

    column: str
    words: str
    factor: float = 1.0
    limit: float | None = None

    @property
    def short(self) -> str:
        """The words without what stands in parentheses."""
        return self.words.split(" (")[0]

    def of(self, frame: pd.DataFrame) -> pd.Series:
        """The column in the unit of the axis."""
        return frame[self.column] * self.factor


OUTPUT = Quantity("output_throughput_tok_s", "output tokens/s")
PER_GPU = Quantity("output_throughput_tok_s_per_gpu", "output tokens/s per GPU")
PER_USER = Quantity("per_user_throughput_tok_s", "tokens/s per user (1 / median TPOT)")


def trade_off(
    levels: pd.DataFrame,
    x: Quantity,
    y: Quantity,
    *,
    name: str,
    front: set[tuple[str, str]],
    looks: Looks,
    simulated: bool,
) -> Plot | None:
    """A scatter of all levels, a line a cell; ``front`` holds the (cell_id, level) of the levels to ring."""
    shown = levels.dropna(subset=[x.column, y.column])
    if shown.empty:
        return None
    title = f"{y.short} against {x.short}"
    figure, axes = blank(title[0].upper() + title[1:], simulated=simulated)
    cells = looks.cells(shown)
    for cell_id, label, path in cells:
        _draw(axes, path, x.of(path), y.of(path), name=label, look=looks.style(cell_id))
        mark_void(axes, x.of(path), y.of(path), path)
    on_front = shown[[key in front for key in zip(shown["cell_id"], shown["level"], strict=True)]]
    axes.plot(
        x.of(on_front), y.of(on_front), linestyle="none", marker="o", markersize=15,
        markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.4, label="Pareto front",
    )  # fmt: skip
    _mark_knees(axes, [path for _, _, path in cells], x, y)
    if x.limit is not None:
        axes.axvline(x.limit * x.factor, color="black", linewidth=1.2, linestyle=(0, (1, 1)), label="SLO")
    axes.set_xlabel(x.words)
    axes.set_ylabel(y.words)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    legend(axes, figure)
    figure.draw_without_rendering()  # the texts beside the points need the final places
    figure.set_layout_engine("none")  # which these are
    notes = [
        (f"{label} · {load}", load) for label, load in zip(on_front["label"], on_front["load"], strict=True)
    ]
    points = list(zip(x.of(shown), y.of(shown), strict=True))
    note_points(axes, x.of(on_front).to_list(), y.of(on_front).to_list(), notes, beside=points)
    best = shown.iloc[int(shown[y.column].argmax())]
    words = (
        f"{counted(len(shown), 'load level')} of {counted(len(cells), 'cell')}. Highest {y.short}: {best['label']} at "
        f"{best['load']}, {best[y.column] * y.factor:,.0f} at {best[x.column] * x.factor:,.0f} {x.words}. "
        f"On the Pareto front: {counted(len(on_front), 'level')}.{looks.told}"
    )
    return finish(figure, name, axes.get_title(), words)


def knee(path: pd.DataFrame) -> int | None:
    """The row of a cell's closed-loop levels from which more users bring little: the fewest users with nine tenths of
    the best throughput, as ``harness load --find knee`` has it. None below three levels, or while it still grew."""
    users = path.dropna(subset=["concurrency"]).sort_values("concurrency")
    if len(users) < FEWEST_FOR_KNEE:
        return None
    reached = users[OUTPUT.column]
    first = int((reached >= NEAR_BEST * reached.max()).to_numpy().argmax())
    return None if first == len(users) - 1 else int(users.index[first])


def _mark_knees(axes: Axes, paths: list[pd.DataFrame], x: Quantity, y: Quantity) -> None:
    """A tick through the knee of each cell that has one; only where throughput is on the y axis."""
    if y.column != OUTPUT.column:
        return
    rows = [(path, row) for path in paths if "concurrency" in path and (row := knee(path)) is not None]
    if rows:
        xs = [x.of(path)[row] for path, row in rows]
        ys = [y.of(path)[row] for path, row in rows]
        axes.plot(
            xs,
            ys,
            linestyle="none",
            marker="|",
            markersize=20,
            markeredgewidth=2,
            color="black",
            label="knee",
        )


def latency_against_load(
    levels: pd.DataFrame, metric: str, *, looks: Looks, limits: Mapping[str, float], simulated: bool
) -> Plot | None:
    """The p50, p95 and p99 of one latency (``ttft``, ``tpot``, ``e2e``) against load, one line a cell.

    ``limits`` are the SLO's bounds in seconds by percentile column.
    """
    parts = [part for part in ("p50", "p95", "p99") if f"{metric}_{part}_s" in levels]
    shown = levels.dropna(subset=[f"{metric}_{part}_s" for part in parts])
    if shown.empty or not parts:
        return None
    title = f"{metric.upper()} percentiles against load"
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    figure.suptitle(titled(title, simulated=simulated), fontsize=11)
    grid = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    for axes, part in zip(grid, parts, strict=True):
        column = f"{metric}_{part}_s"
        _against_load(axes, shown, column, looks=looks, factor=1000)
        if column in limits:
            axes.axhline(
                limits[column] * 1000, color="black", linewidth=1.2, linestyle=(0, (1, 1)), label="SLO"
            )
        axes.set_title(part, fontsize=10)
        axes.grid(alpha=0.3)
    grid[0].set_ylim(bottom=0)
    grid[0].set_ylabel(f"{metric.upper()} (ms)")
    legend(max(grid, key=lambda axes: len(axes.get_legend_handles_labels()[1])), figure)
    low, high = shown[f"{metric}_{parts[0]}_s"].min() * 1000, shown[f"{metric}_{parts[-1]}_s"].max() * 1000
    count = shown["cell_id"].nunique()
    words = (
        f"{metric.upper()} of {counted(count, 'cell')}: {parts[0]} from {low:.1f} ms, {parts[-1]} up to "
        f"{high:.1f} ms.{looks.told}"
    )
    return finish(figure, f"{metric}-load", titled(title, simulated=simulated), words)


def goodput_against_load(levels: pd.DataFrame, *, looks: Looks, simulated: bool) -> Plot | None:
    """Requests per second that kept the SLO, against load, one line a cell; only with an SLO."""
    shown = levels.dropna(subset=["steady_goodput_req_s"])
    if shown.empty:
        return None
    figure, axes = blank("Goodput against load", simulated=simulated)
    _against_load(axes, shown, "steady_goodput_req_s", looks=looks)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("requests/s within the SLO")
    legend(axes, figure)
    best = shown.iloc[int(shown["steady_goodput_req_s"].argmax())]
    words = (
        f"Highest goodput: {best['label']} at {best['load']}, {best['steady_goodput_req_s']:.2f} requests/s."
        f"{looks.told}"
    )
    return finish(figure, "goodput-load", axes.get_title(), words)


def _draw(
    axes: Axes, path: pd.DataFrame, xs: pd.Series, ys: pd.Series, *, name: str | None, look: Mapping[str, Any]
) -> None:
    """A cell's line, broken between kinds of load; named once."""
    for order, strand in enumerate(strands(path)):
        axes.plot(xs[strand.index], ys[strand.index], label=name if order == 0 else None, **look)


def _against_load(
    axes: Axes, levels: pd.DataFrame, column: str, *, looks: Looks, factor: float = 1.0
) -> None:
    """One line a cell over its load levels: users or requests per second where all are of one kind, else by name."""
    places, words, ticks = _load_axis(levels)
    for cell_id, label, path in looks.cells(levels.assign(place=places)):
        path = path.sort_values("place")
        _draw(axes, path, path["place"], path[column] * factor, name=label, look=looks.style(cell_id))
    axes.set_xlabel(words)
    if ticks is not None:
        every = -(-len(ticks) // MOST_TICKS)
        told = ticks[::every]
        axes.set_xticks(range(0, len(ticks), every), told, rotation=45 if max(map(len, told)) > 4 else 0)
    elif words == USERS:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    else:
        axes.set_xlim(left=0)


USERS, RATE = "users (concurrency)", "requests/s offered"


def _load_axis(levels: pd.DataFrame) -> tuple[pd.Series, str, list[str] | None]:
    """The place of each level on the axis, the axis's words, and its ticks where the places are mere order."""
    for column, words in (("concurrency", USERS), ("rate_req_s", RATE)):
        if column in levels and levels[column].notna().all():
            return levels[column].astype(float), words, None
    ticks = list(dict.fromkeys(by_load(levels)["load"]))
    places = {load: place for place, load in enumerate(ticks)}
    return levels["load"].map(places), "load", ticks
