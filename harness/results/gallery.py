"""Which plots a report shows, in its order. Reads the records of the few points whose distributions are drawn."""

from __future__ import annotations

import pandas as pd

from harness.results import bars, distributions, plots
from harness.results.canvas import Plot
from harness.results.factors import Effect, grid, strongest_pair
from harness.results.frame import Run
from harness.results.parquet import read_records
from harness.results.point import Point

MOST_DISTRIBUTIONS = 8


def draw(run: Run, levels: pd.DataFrame, *, effects: list[Effect]) -> list[Plot]:
    """Every plot that has something to show; ``levels`` are ranked, ``effects`` those on output throughput."""
    simulated = run.resolved.simulated
    runs = run.runs.assign(label=run.runs["cell_id"].map(run.cells["label"]))
    made: list[Plot | None] = []
    if not levels.empty:
        made += _trade_offs(run, levels)
        made += [
            plots.latency_against_load(levels, name, simulated=simulated) for name in ("ttft", "tpot", "e2e")
        ]
        made.append(plots.goodput_against_load(levels, simulated=simulated))
        if run.resolved.prices is not None:
            made.append(bars.cost_bars(levels, currency=run.resolved.prices.currency, simulated=simulated))
        made += _over_factors(run.levels, effects, simulated=simulated)
        made += _from_records(run, levels)
        made.append(bars.request_outcomes(levels, simulated=simulated))
    made.append(bars.time_to_ready(runs, run.cells["label"].to_list(), simulated=simulated))
    return [plot for plot in made if plot is not None]


def _trade_offs(run: Run, levels: pd.DataFrame) -> list[Plot | None]:
    simulated = run.resolved.simulated
    made = []
    for metric in ("ttft", "tpot"):
        x = plots.Quantity(f"{metric}_p95_s", f"{metric.upper()} p95 (ms)", 1000, _limit(run, metric))
        front = _keys(run.pareto(cost=x.column, frame=levels))
        name = f"throughput-{metric}"
        made.append(plots.trade_off(levels, x, plots.OUTPUT, name=name, front=front, simulated=simulated))
    faster = levels.assign(waiting=-levels[plots.PER_USER.column])
    front = _keys(run.pareto(gain=plots.PER_GPU.column, cost="waiting", frame=faster))
    made.append(
        plots.trade_off(
            levels, plots.PER_USER, plots.PER_GPU, name="user-gpu", front=front, simulated=simulated
        )
    )
    return made


def _over_factors(levels: pd.DataFrame, effects: list[Effect], *, simulated: bool) -> list[Plot | None]:
    pair = strongest_pair(effects)
    if pair is None:
        return []
    table = grid(levels, rows=pair[0], columns=pair[1], figure=plots.OUTPUT.column)
    words = "Best output tokens/s"
    return [bars.heatmap(table, rows=pair[0], columns=pair[1], words=words, simulated=simulated)]


def _from_records(run: Run, levels: pd.DataFrame) -> list[Plot | None]:
    """Distributions and drift of the best-ranked level of the first few cells, first repeat."""
    simulated = run.resolved.simulated
    points = best_points(run, levels)
    made = [distributions.latency_cdf(points, metric, simulated=simulated) for metric in ("ttft", "tpot")]
    return [*made, distributions.drift(points, simulated=simulated)]


def best_points(run: Run, levels: pd.DataFrame) -> list[tuple[str, Point]]:
    """The best-ranked level of each of the first cells, with its label; the first repeat that was stored."""
    found = []
    for _, level in levels.drop_duplicates("cell_id").head(MOST_DISTRIBUTIONS).iterrows():
        stored = run.points[
            (run.points["cell_id"] == level["cell_id"]) & (run.points["level"] == level["level"])
        ]
        first = stored.iloc[0]
        path = run.folder.records_path(str(first["run_id"]), int(first["point"]))
        found.append((f"{level['label']} · {level['load']}", read_records(path)))
    return found


def _keys(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(frame["cell_id"], frame["level"], strict=True))


def _limit(run: Run, metric: str) -> float | None:
    """The SLO's limit on this metric's p95, where it has one."""
    bounds = () if run.slo is None else run.slo.bounds
    limits = [bound.limit_s for bound in bounds if bound.metric == metric and bound.percentile == 95.0]
    return min(limits, default=None)
