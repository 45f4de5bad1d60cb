"""The report's plots, each from a run's frames; None where there is nothing to show. Pure.

Every figure says SIMULATED in its title where the run is.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from harness.results.canvas import (
    HEIGHT_IN,
    WIDTH_IN,
    Plot,
    blank,
    by_cell,
    by_load,
    finish,
    legend,
    legend_name,
    load_axis,
    mark_void,
    note_levels,
    style,
    titled,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column on an axis: its words with the unit, the factor to that unit, and a limit in the column's own."""

    column: str
    words: str
    factor: float = 1.0
    limit: float | None = None


OUTPUT = Quantity("output_throughput_tok_s", "output tokens/s")
PER_GPU = Quantity("output_throughput_tok_s_per_gpu", "output tokens/s per GPU")
PER_USER = Quantity("per_user_throughput_tok_s", "tokens/s per user (1 / median TPOT)")


def trade_off(
    levels: pd.DataFrame, x: Quantity, y: Quantity, *, name: str, front: set[tuple[str, str]], simulated: bool
) -> Plot | None:
    """A scatter of all levels, a line a cell; ``front`` holds the (cell_id, level) of the levels to ring."""
    shown = levels.dropna(subset=[x.column, y.column])
    if shown.empty:
        return None
    title = f"{_short(y.words)} against {_short(x.words)}"
    figure, axes = blank(title[0].upper() + title[1:], simulated=simulated)
    cells = by_cell(shown, by=y.column)
    for order, (label, cell) in enumerate(cells):
        path = by_load(cell)
        xs, ys = path[x.column] * x.factor, path[y.column] * y.factor
        axes.plot(xs, ys, label=legend_name(order, label, cells=len(cells)), **style(order))
        mark_void(axes, xs, ys, path)
        note_levels(axes, xs, ys, path["load"].to_list(), few=len(shown) <= 16)
    on_front = shown[[(c, p) in front for c, p in zip(shown["cell_id"], shown["level"], strict=True)]]
    axes.plot(
        on_front[x.column] * x.factor, on_front[y.column] * y.factor, linestyle="none", marker="o", markersize=15,
        markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.4, label="Pareto front",
    )  # fmt: skip
    if x.limit is not None:
        axes.axvline(x.limit * x.factor, color="black", linewidth=1.2, linestyle=(0, (1, 1)), label="SLO")
    axes.set_xlabel(x.words)
    axes.set_ylabel(y.words)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    legend(axes, figure)
    best = shown.iloc[int(shown[y.column].argmax())]
    words = (
        f"{len(shown)} load levels of {len(cells)} cells. Highest {_short(y.words)}: {best['label']} at "
        f"{best['load']}, {best[y.column] * y.factor:,.0f} at {best[x.column] * x.factor:,.0f} {x.words}. "
        f"{len(on_front)} levels are on the Pareto front."
    )
    return finish(figure, name, axes.get_title(), words)


def _short(words: str) -> str:
    return words.split(" (")[0]


def latency_against_load(levels: pd.DataFrame, metric: str, *, simulated: bool) -> Plot | None:
    """The p50, p95 and p99 of one latency (``ttft``, ``tpot``, ``e2e``) against load, one line a cell."""
    parts = [part for part in ("p50", "p95", "p99") if f"{metric}_{part}_s" in levels]
    shown = levels.dropna(subset=[f"{metric}_{part}_s" for part in parts])
    if shown.empty or not parts:
        return None
    title = f"{metric.upper()} percentiles against load"
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    figure.suptitle(titled(title, simulated=simulated), fontsize=11)
    grid = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    ticks, position = load_axis(shown)
    cells = by_cell(shown, by="output_throughput_tok_s")
    for axes, part in zip(grid, parts, strict=True):
        for order, (label, cell) in enumerate(cells):
            path = by_load(cell)
            xs = [position[load] for load in path["load"]]
            axes.plot(
                xs,
                path[f"{metric}_{part}_s"] * 1000,
                label=legend_name(order, label, cells=len(cells)),
                **style(order),
            )
        axes.set_title(part, fontsize=10)
        axes.set_xticks(range(len(ticks)), ticks, rotation=45 if max(map(len, ticks)) > 4 else 0)
        axes.grid(alpha=0.3)
        axes.set_xlabel("load")
    grid[0].set_ylim(bottom=0)
    grid[0].set_ylabel(f"{metric.upper()} (ms)")
    legend(grid[0], figure)
    low, high = shown[f"{metric}_{parts[0]}_s"].min() * 1000, shown[f"{metric}_{parts[-1]}_s"].max() * 1000
    count = shown["cell_id"].nunique()
    words = (
        f"{metric.upper()} of {count} cells: {parts[0]} from {low:.1f} ms, {parts[-1]} up to {high:.1f} ms."
    )
    return finish(figure, f"{metric}-load", titled(title, simulated=simulated), words)


def goodput_against_load(levels: pd.DataFrame, *, simulated: bool) -> Plot | None:
    """Requests per second that kept the SLO, against load, one line a cell; only with an SLO."""
    shown = levels.dropna(subset=["goodput_req_s"])
    if shown.empty:
        return None
    figure, axes = blank("Goodput against load", simulated=simulated)
    ticks, position = load_axis(shown)
    cells = by_cell(shown, by="goodput_req_s")
    for order, (label, cell) in enumerate(cells):
        path = by_load(cell)
        xs = [position[load] for load in path["load"]]
        axes.plot(
            xs, path["goodput_req_s"], label=legend_name(order, label, cells=len(cells)), **style(order)
        )
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("load")
    axes.set_ylabel("requests/s within the SLO")
    legend(axes, figure)
    best = shown.iloc[int(shown["goodput_req_s"].argmax())]
    words = f"Highest goodput: {best['label']} at {best['load']}, {best['goodput_req_s']:.2f} requests/s."
    return finish(figure, "goodput-load", axes.get_title(), words)
