"""Which points of two runs are compared with which, and what of them. Reads records through the runs' frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import UsageError
from harness.load.figures import RequestFigures
from harness.load.goodput import meets
from harness.load.records import Outcome
from harness.load.slo import Slo
from harness.results.compare import LATENCIES, METRICS, Change, Sample, Subject, compare
from harness.results.frame import Run, load
from harness.results.parquet import read_records
from harness.results.point import Point
from harness.results.stats import Floats, blocks_of

IDENTITY = ("gpu_type", "gpu_count", "replicas", "engine_version", "model", "parameter_set", "parameters")
SEED = 20260101
COLUMNS: Mapping[str, str] = {
    "output_throughput": "output_throughput_tok_s",
    "request_throughput": "request_throughput_req_s",
    "goodput": "goodput_req_s",
}
MOST_GAPS = 200_000


def compare_runs(
    a: Run | str,
    b: Run | str,
    *,
    where_a: Mapping[str, str] | None = None,
    where_b: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Every change from A to B as a frame; see ``changes_between``."""
    changes = changes_between(_run(a), _run(b), where_a=where_a or {}, where_b=where_b or {})
    return pd.DataFrame(
        [
            {
                "subject": change.subject,
                "load": change.load,
                "metric": change.metric,
                "a": change.a,
                "b": change.b,
                "relative": change.relative,
                "low": np.nan if change.interval is None else change.interval.low,
                "high": np.nan if change.interval is None else change.interval.high,
                "method": change.method,
                "verdict": change.verdict.value,
            }
            for change in changes
        ]
    )


def changes_between(
    a: Run,
    b: Run,
    *,
    where_a: Mapping[str, str] | None = None,
    where_b: Mapping[str, str] | None = None,
    metrics: Sequence[str] = METRICS,
) -> list[Change]:
    """The changes from A to B of every cell and load level that both measured, in A's order.

    Cells match when they agree in everything in which the two sides have any value in common: two sweeps over engine
    versions 0.12.0 and 0.15.1 are matched by the rest. UsageError when nothing matches, or one matches several.
    """
    left, right = _chosen(a, where_a or {}, "A"), _chosen(b, where_b or {}, "B")
    keys = [key for key in IDENTITY if set(left[key]) & set(right[key])]
    if not keys:
        raise UsageError("the two runs have nothing in common to be matched by")
    names, others = _by_key(left, keys, "A"), _by_key(right, keys, "B")
    subjects = []
    for key, cell_a in names.items():
        if key in others:
            pair = (cell_a, others[key])
            subjects += _subjects(a, b, *pair, name=_name(left, right, pair))
    if not subjects:
        raise UsageError("no cell and load level was measured in both runs")
    return compare(subjects, rng=np.random.default_rng(SEED), metrics=metrics)


def _run(given: Run | str) -> Run:
    return given if isinstance(given, Run) else load(given)


def _chosen(run: Run, where: Mapping[str, str], side: str) -> pd.DataFrame:
    """The measured cells of a run that have the wanted values."""
    measured = set(run.points["cell_id"]) if not run.points.empty else set()
    cells = run.cells[run.cells.index.isin(measured)]
    for name, value in where.items():
        column = name.replace("-", "_")
        column = "parameter_set" if column == "parameters" else column
        if column not in cells:
            known = ", ".join(key.replace("_", "-") for key in IDENTITY)
            raise UsageError(f"cells have no '{name}'; one of: {known}")
        cells = cells[cells[column].astype(str) == value]
    if cells.empty:
        raise UsageError(f"nothing measured in {side}" + (f" with {dict(where)}" if where else ""))
    return cells


def _by_key(cells: pd.DataFrame, keys: Sequence[str], side: str) -> dict[tuple[Any, ...], str]:
    found: dict[tuple[Any, ...], str] = {}
    for cell_id, cell in cells.iterrows():
        key = tuple(cell[name] for name in keys)
        if key in found:
            raise UsageError(
                f"several cells of {side} match one of the other side, e.g. '{cell['label']}'; narrow them with "
                f"--where-{side.lower()} KEY=VALUE"
            )
        found[key] = str(cell_id)
    return found


def _name(left: pd.DataFrame, right: pd.DataFrame, pair: tuple[str, str]) -> str:
    """The label, or both labels where they differ."""
    label_a, label_b = str(left.loc[pair[0], "label"]), str(right.loc[pair[1], "label"])
    return label_a if label_a == label_b else f"{label_a} → {label_b}"


def _subjects(a: Run, b: Run, cell_a: str, cell_b: str, *, name: str) -> list[Subject]:
    """One subject for each load level both cells measured."""
    # The same load by its description: a search has it at another number, and may have come to it twice.
    left, right = (
        run.points[run.points["cell_id"] == cell].drop_duplicates(["repeat", "load"])
        for run, cell in ((a, cell_a), (b, cell_b))
    )
    loads = [load for load in dict.fromkeys(left["load"]) if load in set(right["load"])]
    return [
        Subject(
            name=name,
            load=str(load),
            a=tuple(_samples(a, left[left["load"] == load])),
            b=tuple(_samples(b, right[right["load"] == load])),
        )
        for load in loads
    ]


def _samples(run: Run, points: pd.DataFrame) -> list[Sample]:
    """A sample for each repeat; with several, the intervals come from pairs and the records are not read."""
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
    """The point with its requests and counts laid into time blocks, for the interval within the run.

    The blocks have goodput's counts only where an SLO is given.
    """
    meta, columns = point.meta, point.columns
    figures = RequestFigures.of(columns)
    starts = columns.floats["sent_s"] - meta.window_start_s
    mean_e2e_s = estimates.get("e2e_mean", float("nan"))
    found = blocks_of(np.nan_to_num(starts), window_s=meta.window_s, mean_e2e_s=mean_e2e_s)
    if found is None:
        return Sample(meta.repeat, estimates)
    labels, count = found
    latencies: dict[str, tuple[Floats, Any]] = {}
    for name in LATENCIES:
        values, owners = (
            (figures.gaps, figures.gap_owner)
            if name == "itl"
            else (getattr(figures, name), np.arange(len(columns)))
        )
        keep = figures.good[owners] & np.isfinite(values)
        latencies[name] = _thinned(values[keep], labels[owners[keep]])
    totals = _block_totals(point, figures, count=count, slo=slo)
    return Sample(meta.repeat, estimates, blocks=count, latencies=latencies, totals=totals)


def _block_totals(point: Point, figures: RequestFigures, *, count: int, slo: Slo | None) -> dict[str, Floats]:
    """Tokens that arrived and requests that finished (and kept the SLO) in each block of the window."""
    columns = point.columns
    edges = np.linspace(point.meta.window_start_s, point.meta.window_end_s, count + 1)
    finished = columns.outcomes == Outcome.SUCCEEDED.value
    ended = columns.floats["ended_s"]
    totals = {
        "output_throughput": np.histogram(columns.chunk_times_s, edges, weights=columns.chunk_tokens)[0],
        "request_throughput": np.histogram(ended[finished], edges)[0],
    }
    if slo is not None:
        kept = finished & np.logical_and.reduce([meets(bound, figures) for bound in slo.bounds])
        totals["goodput"] = np.histogram(ended[kept], edges)[0]
    return {name: values.astype(np.float64) for name, values in totals.items()}


def _thinned(values: Floats, labels: Any) -> tuple[Floats, Any]:
    """Values in order; of very many every n-th, which leaves the quantiles where they are."""
    order = np.argsort(values, kind="stable")
    order = order[:: max(1, len(order) // MOST_GAPS)]
    return values[order], labels[order]
