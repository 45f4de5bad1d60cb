"""Plots that need a point's requests, not only its figures: distributions, and drift over the window. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.load.figures import RequestFigures
from harness.results.canvas import Plot, Sheet, finish, sheet
from harness.results.looks import Looks, sample_of
from harness.results.marks import coloured, mark, path
from harness.results.point import Point
from harness.results.scales import Scale, latencies, linear
from harness.results.stats import Floats

MOST_STEPS = 200
MOST_BINS = 20
PER_BIN = 5
PERCENT = tuple((float(share), str(share)) for share in range(0, 101, 20))


def latency_cdf(
    points: Sequence[tuple[str, Point]], metric: str, *, looks: Looks, simulated: bool
) -> Plot | None:
    """The share of requests with a TTFT, TPOT or E2E of at most x, one line a labelled point."""
    known = [(label, point, values) for label, point in points if len(values := _values(point, metric))]
    if not known:
        return None
    most = max(float(values.max()) for _, _, values in known)
    least = min(float(values.min()) for _, _, values in known)
    paper = sheet(
        f"Distribution of {metric.upper()}",
        simulated=simulated,
        xs=[latencies([least * 1000, most * 1000], f"{metric.upper()} (ms)")],
        y=Scale(0, 100, PERCENT, "requests (%)"),
    )
    for label, point, values in known:
        levels = np.linspace(0, 1, min(len(values), MOST_STEPS))
        places = zip((np.quantile(values, levels) * 1000).tolist(), (levels * 100).tolist(), strict=True)
        _line(
            paper, list(places), label=label, cell_id=point.meta.cell_id, looks=looks, every=len(levels) // 6
        )
    medians = {label: float(np.median(values)) * 1000 for label, _, values in known}
    low, high = min(medians, key=lambda label: medians[label]), max(medians, key=lambda label: medians[label])
    words = f"Medians from {medians[low]:.0f} ms ({low}) to {medians[high]:.0f} ms ({high})."
    return finish(paper, f"{metric}-cdf", words)


def drift(points: Sequence[tuple[str, Point]], *, looks: Looks, simulated: bool) -> Plot | None:
    """Median TTFT over up to twenty parts of the window, one line a labelled point: a level line is a steady state."""
    lines = [(label, point.meta.cell_id, *_binned(point)) for label, point in points]
    lines = [line for line in lines if np.isfinite(line[3]).sum() > 1]
    if not lines:
        return None
    ends = [float(times[-1]) for _, _, times, _ in lines]
    medians = [value * 1000 for *_, found in lines for value in found[np.isfinite(found)].tolist()]
    paper = sheet(
        "Median TTFT over the window",
        simulated=simulated,
        xs=[linear(ends, "seconds into the window")],
        y=latencies(medians, "median TTFT (ms)"),
    )
    for label, cell_id, times, found in lines:
        shown = np.isfinite(found)
        places = zip(times[shown].tolist(), (found[shown] * 1000).tolist(), strict=True)
        _line(paper, list(places), label=label, cell_id=cell_id, looks=looks)
    changes = {
        label: float(known[-1] / known[0] - 1) for label, _, _, m in lines if len(known := m[np.isfinite(m)])
    }
    most = max(changes, key=lambda label: abs(changes[label]))
    words = f"Largest change from the first to the last part: {changes[most]:+.0%} ({most})."
    return finish(paper, "drift", words)


def _line(
    paper: Sheet,
    places: list[tuple[float, float]],
    *,
    label: str,
    cell_id: str,
    looks: Looks,
    every: int = 1,
) -> None:
    """A line with a mark at every n-th of its points, and its name."""
    look = looks.look(cell_id)
    if look is None:
        return
    points = [paper.panel.at(*place) for place in places]
    marks = [mark(look, at) for at in points[:: max(1, every)]]
    paper.panel.pieces.append(coloured(look, [path(points, dash=look.dash), *marks]))
    paper.legend.append((sample_of(look), label))


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
