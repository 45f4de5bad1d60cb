"""The samples of measured points as a comparison needs them. Reads the records of levels without repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.load.figures import RequestFigures
from harness.load.goodput import meets
from harness.load.records import Outcome
from harness.load.slo import Slo
from harness.results.compare import LATENCIES, METRICS, Sample
from harness.results.frame import Run
from harness.results.parquet import read_records
from harness.results.point import Point, PointMeta
from harness.results.stats import Floats, Window

COLUMNS: Mapping[str, str] = {
    "output_throughput": "output_throughput_tok_s",
    "request_throughput": "request_throughput_req_s",
    "goodput": "goodput_req_s",
}
MOST_GAPS = 200_000


def samples_of(run: Run, points: pd.DataFrame) -> list[Sample]:
    """A sample for each of a level's points; with several, the intervals come from pairs and no records are read."""
    alone = len(points) == 1
    samples = []
    for _, row in points.iterrows():
        estimates = _estimates(row)
        if alone:
            stored = read_records(run.folder.records_path(str(row["run_id"]), int(row["point"])))
            samples.append(sample_of(stored, estimates=estimates, slo=run.slo))
        else:
            samples.append(Sample(int(row["repeat"]), estimates))
    return samples


def _estimates(row: pd.Series[Any]) -> dict[str, float]:
    columns = {metric: COLUMNS.get(metric, f"{metric}_s") for metric in METRICS}
    return {
        metric: float(row[column])
        for metric, column in columns.items()
        if column in row and pd.notna(row[column])
    }


def sample_of(point: Point, *, estimates: Mapping[str, float], slo: Slo | None = None) -> Sample:
    """The point with its requests, tokens and their times, for the interval within the run.

    What goodput counts is there only where an SLO is given.
    """
    meta, columns = point.meta, point.columns
    window = Window(meta.window_s, estimates.get("e2e_mean", float("nan")))
    if window.components is None:
        return Sample(meta.repeat, estimates)
    figures = RequestFigures.of(columns)
    sent = columns.floats["sent_s"] - meta.window_start_s
    events = _counted(point, figures, slo=slo)
    for name in LATENCIES:
        values, owners = (
            (figures.gaps, figures.gap_owner)
            if name == "itl"
            else (getattr(figures, name), np.arange(len(columns)))
        )
        keep = figures.good[owners] & np.isfinite(values)
        events[name] = _thinned(values[keep], sent[owners[keep]])
    return Sample(meta.repeat, estimates, window=window, events=events)


def _counted(point: Point, figures: RequestFigures, *, slo: Slo | None) -> dict[str, tuple[Floats, Floats]]:
    """Tokens that arrived and requests that finished (and kept the SLO) in the window, and when."""
    columns, meta = point.columns, point.meta
    finished = columns.outcomes == Outcome.SUCCEEDED.value
    ended = columns.floats["ended_s"]
    found = {
        "output_throughput": _in_window(meta, columns.chunk_times_s, columns.chunk_tokens),
        "request_throughput": _in_window(meta, ended, finished),
    }
    if slo is not None:
        kept = finished & np.logical_and.reduce([meets(bound, figures) for bound in slo.bounds])
        found["goodput"] = _in_window(meta, ended, kept)
    return found


def _in_window(meta: PointMeta, times_s: Floats, weights: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    inside = (times_s >= meta.window_start_s) & (times_s <= meta.window_end_s) & (weights > 0)
    return weights[inside].astype(np.float64), times_s[inside] - meta.window_start_s


def _thinned(values: Floats, times_s: Floats) -> tuple[Floats, Floats]:
    """Of very many values every n-th by size, which leaves the quantiles where they are."""
    if len(values) <= MOST_GAPS:
        return values, times_s
    order = np.argsort(values, kind="stable")[:: len(values) // MOST_GAPS]
    return values[order], times_s[order]
