"""Plots that need a point's requests, not only its figures: distributions, and drift over the window. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.load.figures import RequestFigures
from harness.results.canvas import Looks, Plot, blank, finish, legend
from harness.results.point import Point
from harness.results.stats import Floats
from harness.units import counted

MOST_STEPS = 1000
MOST_BINS = 20
PER_BIN = 5


def latency_cdf(
    points: Sequence[tuple[str, Point]], metric: str, *, looks: Looks, simulated: bool
) -> Plot | None:
    """The share of requests with a TTFT, TPOT or E2E of at most x, one line a labelled point."""
    known = [(label, point, values) for label, point in points if len(values := _values(point, metric))]
    if not known:
        return None
    figure, axes = blank(f"Distribution of {metric.upper()}", simulated=simulated)
    for label, point, values in known:
        levels = np.linspace(0, 1, min(len(values), MOST_STEPS))
        look = looks.style(point.meta.cell_id) | {"markevery": max(1, len(levels) // 6)}
        axes.plot(np.quantile(values, levels) * 1000, levels * 100, label=label, **look)
    axes.set_xlabel(f"{metric.upper()} (ms)")
    axes.set_ylabel("requests (%)")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    legend(axes, figure)
    medians = {label: float(np.median(values)) * 1000 for label, _, values in known}
    low, high = min(medians, key=lambda label: medians[label]), max(medians, key=lambda label: medians[label])
    words = (
        f"{counted(len(known), 'level')} shown: medians from {medians[low]:.0f} ms ({low}) to "
        f"{medians[high]:.0f} ms ({high})."
    )
    return finish(figure, f"{metric}-cdf", axes.get_title(), words)


def drift(points: Sequence[tuple[str, Point]], *, looks: Looks, simulated: bool) -> Plot | None:
    """Median TTFT over up to twenty parts of the window, one line a labelled point: a level line is a steady state."""
    lines = [(label, point.meta.cell_id, *_binned(point)) for label, point in points]
    lines = [line for line in lines if np.isfinite(line[3]).sum() > 1]
    if not lines:
        return None
    figure, axes = blank("Median TTFT over the window", simulated=simulated)
    for label, cell_id, times, medians in lines:
        known = np.isfinite(medians)
        axes.plot(times[known], medians[known] * 1000, label=label, **looks.style(cell_id))
    axes.set_xlabel("seconds into the window")
    axes.set_ylabel("median TTFT (ms)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    legend(axes, figure)
    changes = {
        label: float(known[-1] / known[0] - 1) for label, _, _, m in lines if len(known := m[np.isfinite(m)])
    }
    most = max(changes, key=lambda label: abs(changes[label]))
    words = f"Largest change from the first to the last part: {changes[most]:+.0%} ({most})."
    return finish(figure, "drift", axes.get_title(), words)


def _values(point: Point, metric: str) -> Floats:
    figures = RequestFigures.of(point.columns)
    values: Floats = getattr(figures, metric)[figures.good]
    return values[np.isfinite(values)]


def _binned(point: Point) -> tuple[Floats, Floats]:
    figures = RequestFigures.of(point.columns)
    starts = point.columns.floats["sent_s"] - point.meta.window_start_s
    parts = int(np.clip(figures.good.sum() // PER_BIN, 2, MOST_BINS))
    edges = np.linspace(0.0, max(point.meta.window_s, 1e-9), parts + 1)
    bins = np.digitize(starts, edges) - 1
    medians = [
        float(np.median(inside)) if len(inside := figures.ttft[figures.good & (bins == part)]) else np.nan
        for part in range(parts)
    ]
    return (edges[:-1] + edges[1:]) / 2, np.asarray(medians)
