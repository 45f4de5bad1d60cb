"""The report's plots, each from a run's frames; None where there is nothing to show. Pure.

Every figure says SIMULATED in its title where the run is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.results.canvas import (
    COLOURS,
    HATCHES,
    HEIGHT_IN,
    WIDTH_IN,
    Plot,
    blank,
    by_cell,
    finish,
    legend,
    legend_name,
    load_axis,
    mark_void,
    note_levels,
    style,
    titled,
)


def throughput_latency(levels: pd.DataFrame, latency: str, *, front: set[tuple[str, int]], limit_s: float | None,
                       simulated: bool) -> Plot | None:  # fmt: skip
    """Output throughput against a latency column (``ttft_p95_s``); ``front`` holds the (cell_id, point) to ring."""
    shown = levels.dropna(subset=[latency, "output_throughput_tok_s"])
    if shown.empty:
        return None
    name, part = latency.removesuffix("_s").upper().rsplit("_", 1)
    quantity = f"{name} {part.lower()}"
    figure, axes = blank(f"Output throughput against {quantity}", simulated=simulated)
    cells = by_cell(shown, by="output_throughput_tok_s")
    for order, (label, cell) in enumerate(cells):
        path = cell.sort_values("point")
        look = style(order)
        xs, ys = path[latency] * 1000, path["output_throughput_tok_s"]
        axes.plot(xs, ys, label=legend_name(order, label, cells=len(cells)), **look)
        mark_void(axes, xs, ys, path)
        note_levels(axes, xs, ys, path["load"].to_list(), few=len(shown) <= 16)
    on_front = shown[[(c, p) in front for c, p in zip(shown["cell_id"], shown["point"], strict=True)]]
    axes.plot(
        on_front[latency] * 1000, on_front["output_throughput_tok_s"], linestyle="none", marker="o", markersize=15,
        markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.4, label="Pareto front",
    )  # fmt: skip
    if limit_s is not None:
        axes.axvline(limit_s * 1000, color="black", linewidth=1.2, linestyle=(0, (1, 1)), label="SLO")
    axes.set_xlabel(f"{quantity} (ms)")
    axes.set_ylabel("output tokens/s")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    legend(axes)
    stem = f"throughput-{name.lower()}"
    best = shown.iloc[int(shown["output_throughput_tok_s"].argmax())]
    words = (
        f"Scatter of {len(shown)} load levels of {shown['cell_id'].nunique()} cells. Highest throughput: "
        f"{best['label']} at {best['load']}, {best['output_throughput_tok_s']:.0f} tokens/s at "
        f"{best[latency] * 1000:.0f} ms. {len(on_front)} levels are on the Pareto front."
    )
    return finish(figure, stem, axes.get_title(), words)


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
            path = cell.sort_values("point")
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
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    low, high = shown[f"{metric}_{parts[0]}_s"].min() * 1000, shown[f"{metric}_{parts[-1]}_s"].max() * 1000
    count = shown["cell_id"].nunique()
    words = (
        f"{metric.upper()} of {count} cells: {parts[0]} from {low:.1f} ms, {parts[-1]} up to {high:.1f} ms."
    )
    return finish(figure, f"{metric}-load", titled(title, simulated=simulated), words)


def time_to_ready(runs: pd.DataFrame, labels: Sequence[str], *, simulated: bool) -> Plot | None:
    """A bar per cell: seconds from the create to a working completion; the median over its runs."""
    known = runs.dropna(subset=["time_to_ready_s"]).groupby("label", sort=False)["time_to_ready_s"].median()
    known = known.reindex([label for label in labels if label in known.index])
    if known.empty:
        return None
    figure, axes = blank("Time to ready", simulated=simulated, height=1.6 + 0.32 * len(known))
    axes.barh(range(len(known)), known.to_numpy(), color=COLOURS[0], edgecolor="black")
    for row, seconds in enumerate(known):
        axes.annotate(
            f"{seconds:.0f} s",
            (seconds, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(known)), known.index.to_list(), fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("seconds from create to a working completion")
    words = f"From {known.min():.0f} s ({known.idxmin()}) to {known.max():.0f} s ({known.idxmax()})."
    return finish(figure, "time-to-ready", axes.get_title(), words)


def request_outcomes(levels: pd.DataFrame, *, simulated: bool) -> Plot | None:
    """A stacked bar per level: the shares of requests that succeeded, failed and were unfinished."""
    if levels.empty:
        return None
    shown = levels.sort_values(["label", "point"]).head(60)
    total = shown["requests_sent"].where(shown["requests_sent"] > 0)
    figure, axes = blank("Request outcomes", simulated=simulated, height=1.8 + 0.24 * len(shown))
    left = np.zeros(len(shown))
    for order, kind in enumerate(("succeeded", "failed", "unfinished")):
        share = (shown[f"requests_{kind}"] / total).fillna(0).to_numpy() * 100
        axes.barh(
            range(len(shown)), share, left=left, label=kind, color=("#FFFFFF", "#D55E00", "#BBBBBB")[order],
            hatch=HATCHES[order], edgecolor="black", linewidth=0.6,
        )  # fmt: skip
        left += share
    names = [f"{label} · {load}" for label, load in zip(shown["label"], shown["load"], strict=True)]
    axes.set_yticks(range(len(shown)), names, fontsize=7)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of requests (%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8, frameon=False)
    axes.set_title(axes.get_title(), pad=24)
    failed = int(shown["requests_failed"].sum())
    words = f"{failed} of {int(shown['requests_sent'].sum())} requests failed over {len(shown)} load levels."
    return finish(figure, "request-outcomes", axes.get_title(), words)
