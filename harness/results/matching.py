"""Which points of two runs are compared with which, and what of them. Reads records through the runs' frames."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.errors import UsageError
from harness.load.figures import RequestFigures
from harness.load.goodput import meets
from harness.load.records import Outcome
from harness.load.slo import Slo
from harness.results.compare import LATENCIES, METRICS, Change, Sample, Subject, compare, multiplicity
from harness.results.frame import Run, load
from harness.results.parquet import read_records
from harness.results.point import Point, PointMeta
from harness.results.stats import Floats, Window

IDENTITY = ("gpu_type", "gpu_count", "replicas", "engine_version", "model", "parameter_set", "parameters")
COLUMNS: Mapping[str, str] = {
    "output_throughput": "output_throughput_tok_s",
    "request_throughput": "request_throughput_req_s",
    "goodput": "goodput_req_s",
}
MOST_GAPS = 200_000


class Comparison(pd.DataFrame):
    """The changes as a frame that says in a notebook what it is; parts of it are plain frames."""

    def _repr_html_(self) -> str:
        """The table under its title and what the number of intervals means."""
        title, note = (html.escape(str(self.attrs.get(name, ""))) for name in ("title", "note"))
        return f"<h3>{title}</h3><p>{note}</p>{pd.DataFrame(self)._repr_html_()}"  # type: ignore[operator]  # IPython's hook is not in the stubs


def compare_runs(
    a: Run | str,
    b: Run | str,
    *,
    where_a: Mapping[str, str] | None = None,
    where_b: Mapping[str, str] | None = None,
    together: bool = False,
) -> Comparison:
    """Every change from A to B as a frame; see ``changes_between``. Its columns: ``results/README.md``."""
    left, right = _run(a), _run(b)
    changes = changes_between(left, right, where_a=where_a or {}, where_b=where_b or {}, together=together)
    frame = Comparison(
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
                "level": change.level,
                "method": change.method,
                "verdict": change.verdict.value,
            }
            for change in changes
        ]
    )
    frame.attrs = {"title": f"{left.title} → {right.title}", "note": multiplicity(changes)}
    return frame


def changes_between(
    a: Run,
    b: Run,
    *,
    where_a: Mapping[str, str] | None = None,
    where_b: Mapping[str, str] | None = None,
    metrics: Sequence[str] = METRICS,
    together: bool = False,
) -> list[Change]:
    """The changes from A to B of every cell and load level that both measured, in A's order.

    Cells match when they agree in everything in which the two sides have any value in common: two sweeps over engine
    versions 0.12.0 and 0.15.1 are matched by the rest. UsageError when nothing matches, or one matches several.
    ``together`` widens the intervals so that all of them hold at once at 95 %.
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
    return compare(subjects, metrics=metrics, together=together)


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
            a=tuple(samples_of(a, left[left["load"] == load])),
            b=tuple(samples_of(b, right[right["load"] == load])),
        )
        for load in loads
    ]


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
