"""Which plots a report shows, by what they are about. Reads the records of the points whose distributions are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from harness.results import bars, distributions, plots
from harness.results.canvas import Looks, Plot
from harness.results.factors import Effect, factor_pairs, grid, main_effects
from harness.results.forest import forest
from harness.results.frame import Run
from harness.results.parquet import read_records
from harness.results.point import Point
from harness.results.ranking import ranked_levels

MOST_DISTRIBUTIONS = 8
MOST_HEATMAPS = 6
EFFECT_FIGURES = {
    "output_throughput_tok_s": "output tokens/s",
    "ttft_p95_s": "TTFT p95",
    "tpot_p50_s": "TPOT p50",
}


class Gallery:
    """The plots of one run; ``levels`` are ranked. Each method gives those that have something to show."""

    def __init__(self, run: Run, levels: pd.DataFrame) -> None:
        self._run, self._levels = run, levels
        self._simulated = run.resolved.simulated
        self._looks = Looks.of(levels) if not levels.empty else Looks({})
        self._points = best_points(run, levels, most=MOST_DISTRIBUTIONS)

    def trade_offs(self) -> tuple[Plot, ...]:
        """Throughput against latency, per GPU against per user, and what it costs."""
        levels, made = self._levels, []
        if levels.empty:
            return ()
        for metric in ("ttft", "tpot"):
            limit = self._limits(metric).get(f"{metric}_p95_s")
            x = plots.Quantity(f"{metric}_p95_s", f"{metric.upper()} p95 (ms)", 1000, limit)
            front = _keys(self._run.pareto(cost=x.column, frame=levels))
            made.append(self._trade_off(x, plots.OUTPUT, f"throughput-{metric}", front))
        faster = levels.assign(waiting=-levels[plots.PER_USER.column])
        front = _keys(self._run.pareto(gain=plots.PER_GPU.column, cost="waiting", frame=faster))
        made.append(self._trade_off(plots.PER_USER, plots.PER_GPU, "user-gpu", front))
        if self._run.resolved.prices is not None:
            currency = self._run.resolved.prices.currency
            made.append(bars.cost_bars(levels, currency=currency, simulated=self._simulated))
        return _some(made)

    def _trade_off(
        self, x: plots.Quantity, y: plots.Quantity, name: str, front: set[tuple[str, str]]
    ) -> Plot | None:
        return plots.trade_off(
            self._levels, x, y, name=name, front=front, looks=self._looks, simulated=self._simulated
        )

    def under_load(self) -> tuple[Plot, ...]:
        """Latencies and goodput against load, and the distributions behind the percentiles."""
        if self._levels.empty:
            return ()
        made = [
            plots.latency_against_load(
                self._levels, name, looks=self._looks, limits=self._limits(name), simulated=self._simulated
            )
            for name in ("ttft", "tpot", "e2e")
        ]
        made.append(plots.goodput_against_load(self._levels, looks=self._looks, simulated=self._simulated))
        made += [
            distributions.latency_cdf(self._points, metric, looks=self._looks, simulated=self._simulated)
            for metric in ("ttft", "tpot")
        ]
        return _some(made)

    def factors(self, effects: Sequence[Effect]) -> tuple[Plot, ...]:
        """Every main effect, and the best figure over each pair of factors."""
        pairs = factor_pairs([effect for effect in effects if effect.column == plots.OUTPUT.column])
        made = [forest(effects, EFFECT_FIGURES, simulated=self._simulated)]
        made += [
            heatmap(self._run, self._levels, rows=rows, columns=columns)
            for rows, columns in pairs[:MOST_HEATMAPS]
        ]
        return _some(made)

    def trust(self) -> tuple[Plot, ...]:
        """What became of the requests, and whether the windows were steady."""
        drift = distributions.drift(self._points, looks=self._looks, simulated=self._simulated)
        return _some([bars.request_outcomes(self._levels, simulated=self._simulated), drift])

    def deployments(self) -> tuple[Plot, ...]:
        """How long deployments took to serve."""
        run = self._run
        runs = run.runs.assign(label=run.runs["cell_id"].map(run.cells["label"]))
        return _some([bars.time_to_ready(runs, run.cells["label"].to_list(), simulated=self._simulated)])

    def _limits(self, metric: str) -> dict[str, float]:
        """The SLO's bounds on this metric in seconds, the tightest of each percentile, by column."""
        found: dict[str, float] = {}
        for bound in () if self._run.slo is None else self._run.slo.bounds:
            column = f"{bound.metric}_p{bound.percentile:g}_s"
            if bound.metric == metric:
                found[column] = min(bound.limit_s, found.get(column, bound.limit_s))
        return found


def all_plots(run: Run) -> tuple[Plot, ...]:
    """Every plot of the report, in its order."""
    levels = ranked_levels(run)
    gallery = Gallery(run, levels)
    if levels.empty:
        return gallery.deployments()
    effects = report_effects(run)
    parts = (gallery.trade_offs(), gallery.factors(effects), gallery.under_load(), gallery.trust())
    return (*(plot for part in parts for plot in part), *gallery.deployments())


def report_effects(run: Run) -> list[Effect]:
    """The main effects a report tells, figure by figure."""
    return [effect for column in EFFECT_FIGURES for effect in main_effects(run.levels, column)]


def heatmap(
    run: Run, levels: pd.DataFrame, *, rows: str, columns: str, figure: str | None = None
) -> Plot | None:
    """A figure over any two factors; without one named, the price of 1M output tokens within the SLO where it is
    known, else the highest output throughput."""
    if figure is None and "cost_per_mtok" in levels and levels["cost_per_mtok"].notna().any():
        figure = "cost_per_mtok"
        within = (
            levels["meets_slo"].astype(bool) if "meets_slo" in levels else levels["cost_per_mtok"].notna()
        )
        if within.any():
            levels = levels.assign(cost_per_mtok=levels["cost_per_mtok"].where(within))
    places = {cell_id: place for place, cell_id in enumerate(run.cells.index)}
    levels = levels.assign(place=levels["cell_id"].map(places)).sort_values(
        "place"
    )  # values in the plan's order
    column = figure or plots.OUTPUT.column
    lower = column.endswith("_s") or column == "cost_per_mtok"
    table = grid(levels, rows=rows, columns=columns, figure=column, lower_is_better=lower)
    words = f"{'Lowest' if lower else 'Highest'} {_words(run, column)}"
    return bars.heatmap(
        table,
        rows=rows,
        columns=columns,
        words=words,
        lower_is_better=lower,
        simulated=run.resolved.simulated,
    )


def _words(run: Run, column: str) -> str:
    if column == "cost_per_mtok" and run.resolved.prices is not None:
        return f"{run.resolved.prices.currency} per 1M output tokens"
    return plots.OUTPUT.words if column == plots.OUTPUT.column else column


def best_points(run: Run, levels: pd.DataFrame, *, most: int) -> list[tuple[str, Point]]:
    """The best-ranked level of each of the first cells, with its label; the first repeat that was stored."""
    found = []
    for _, level in (levels if levels.empty else levels.drop_duplicates("cell_id").head(most)).iterrows():
        stored = run.points[
            (run.points["cell_id"] == level["cell_id"]) & (run.points["level"] == level["level"])
        ]
        first = stored.iloc[0]
        path = run.folder.records_path(str(first["run_id"]), int(first["point"]))
        found.append((f"{level['label']} · {level['load']}", read_records(path)))
    return found


def _some(made: Iterable[Plot | None]) -> tuple[Plot, ...]:
    return tuple(plot for plot in made if plot is not None)


def _keys(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(frame["cell_id"], frame["level"], strict=True))
